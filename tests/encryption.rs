//! The keys of tenants through the doors: made anew while the tenant is asked, wrapped by a key of the customer's own, taken back
//! and given back while the neighbours are asked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use bailiwick_control::kms::customer_key::CustomerKey;
use bailiwick_control::kms::providers::vault_transit::{Token, VaultAccess, VaultTransit};
use bailiwick_control::kms::providers::{EncryptionContext, KeyHolder, ProviderError};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

mod support;
use support::vault::{TOKEN, Vault, Verdict};
use support::{Ended, House, copy_tenants, house, until};

const ROTATIONS: u64 = 40;
const OWN: &str = "vault:local:transit/harbour";
const NEIGHBOUR: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";
const LEAVE: &str = "Every employee has thirty days of paid leave in a year.";

/// A tenant without ceilings a test would reach.
async fn harbour(house: &House) -> String {
    let body = json!({
        "name": "harbour", "plan": "enterprise",
        "config": {"region": "local", "retention_days": 30, "encryption": "standard"},
        "quotas": {"max_requests_per_hour": 1_000_000, "max_concurrent_requests": 8, "max_cost_per_month": "10.50", "max_storage_gb": 1},
        "metadata": {"industry": "shipping", "compliance": ["SOC2"], "contact_email": "a@b.example"},
    });
    let (status, made) = house.call(Method::POST, "/admin/v1/tenants", &house.operator_key(), Some(body)).await;
    assert_eq!(status, 201, "{made}");
    house.key("harbour", "owner").await
}

/// Asks, searches and reads one after the other until told to stop; counts what was done and what failed.
struct Asker {
    going_on: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Vec<Value>>,
}

impl Asker {
    fn start(house: &House, key: &str) -> Self {
        let (going_on, done) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let (http, url, key) = (house.http.clone(), house.url.clone(), key.to_owned());
        let (goes_on, count) = (Arc::clone(&going_on), Arc::clone(&done));
        let task = tokio::spawn(async move {
            let mut failed = Vec::new();
            while goes_on.load(Ordering::SeqCst) {
                let requests = [
                    http.post(format!("{url}/v1/ask")).json(&json!({"question": QUESTION})),
                    http.post(format!("{url}/v1/search")).json(&json!({"query": "paid leave"})),
                    http.get(format!("{url}/v1/documents/leave")),
                ];
                for request in requests {
                    let response = request.bearer_auth(&key).send().await;
                    let (status, body) = match response {
                        Ok(response) => {
                            (response.status().as_u16(), response.json::<Value>().await.unwrap_or_default())
                        }
                        Err(error) => (0, json!(error.to_string())),
                    };
                    let is_empty = body["abstained"] == json!(true) || body["hits"] == json!([]);
                    if status != 200 || is_empty {
                        failed.push(json!({"status": status, "body": body}));
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
            failed
        });
        Self { going_on, done, task }
    }

    async fn ended(self) -> (u64, Vec<Value>) {
        self.going_on.store(false, Ordering::SeqCst);
        (self.done.load(Ordering::SeqCst), self.task.await.unwrap())
    }
}

async fn encryption(house: &House, tenant: &str) -> Value {
    let path = format!("/admin/v1/tenants/{tenant}/encryption");
    let (status, view) = house.call(Method::GET, &path, &house.operator_key(), None).await;
    assert_eq!(status, 200, "{view}");
    view
}

async fn state(house: &House, tenant: &str) -> Value {
    house.call(Method::GET, &format!("/admin/v1/tenants/{tenant}"), &house.operator_key(), None).await.1
}

#[tokio::test]
async fn a_key_is_made_anew_again_and_again_and_no_read_fails() {
    let (folder, first) = house();
    let key = harbour(&first).await;
    first.teach(&key, "leave", "Leave", LEAVE).await;
    let askers: Vec<_> = (0..3).map(|_| Asker::start(&first, &key)).collect();
    for number in 1..=ROTATIONS {
        let path = "/admin/v1/tenants/harbour/encryption/rotate";
        let (status, view) = first.call(Method::POST, path, &key, None).await;
        assert_eq!((status, view["version"].as_u64()), (200, Some(number + 1)), "{view}");
        let document =
            json!({"id": format!("shed-{number}"), "title": "Shed", "text": format!("Shed {number} is swept.")});
        let (status, answer) =
            first.call(Method::POST, "/v1/documents", &key, Some(json!({"documents": [document]}))).await;
        assert_eq!(status, 201, "{answer}");
    }
    let mut reads = 0;
    for asker in askers {
        let (done, failed) = asker.ended().await;
        assert_eq!(failed, Vec::<Value>::new());
        reads += done;
    }
    println!("{ROTATIONS} rotations, {reads} reads meanwhile, 0 failed");
    assert!(reads > ROTATIONS, "it was asked all the time");
    // and after a restart, from the keyring
    let mut running = first;
    running.0.take().unwrap().kill();
    let again = Ended(Some(House::start_on(folder.path(), None)));
    for number in 1..=ROTATIONS {
        let (status, document) = again.call(Method::GET, &format!("/v1/documents/shed-{number}"), &key, None).await;
        assert_eq!((status, document["text"].as_str()), (200, Some(format!("Shed {number} is swept.").as_str())));
    }
    let view = encryption(&again, "harbour").await;
    assert_eq!(view["versions"].as_array().unwrap().len() as u64, ROTATIONS + 1, "{view}");
    // an auditor may not, and nobody's neighbour
    let auditor = again.key("harbour", "auditor").await;
    let rotate = |tenant: &str| format!("/admin/v1/tenants/{tenant}/encryption/rotate");
    assert_eq!(again.call(Method::POST, &rotate("harbour"), &auditor, None).await.0, 403);
    assert_eq!(again.call(Method::POST, &rotate(NEIGHBOUR), &key, None).await.0, 404);
}

fn config(folder: &Path, vault: &Vault) -> String {
    let token = folder.join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    format!(
        "[[kms.providers]]\nkind = \"vault-transit\"\nregion = \"local\"\nendpoint = \"http://127.0.0.1:{}\"\ntoken_file = {:?}\n",
        vault.port,
        token.display().to_string()
    )
}

#[tokio::test]
async fn a_customers_key_that_is_taken_back_seals_its_tenant_alone_and_unseals_it_given_back() {
    let (folder, vault) = (tempfile::tempdir().unwrap(), Vault::start().await);
    vault.be("harbour", Verdict::Allowed);
    copy_tenants(folder.path());
    let config = config(folder.path(), &vault);
    let house = Ended(Some(House::start_on(folder.path(), Some(&config))));
    let (key, neighbour) = (harbour(&house).await, house.key(NEIGHBOUR, "owner").await);
    for key in [&key, &neighbour] {
        house.teach(key, "leave", "Leave", LEAVE).await;
    }
    let beside = Asker::start(&house, &neighbour);
    let asks = async || {
        let (status, answer) = house.call(Method::POST, "/v1/ask", &key, Some(json!({"question": QUESTION}))).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    // named while it is served
    let file = folder.path().join("tenants/harbour/data-sovereignty.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("in_transit: TLS-1.3", &format!("in_transit: TLS-1.3\n    kms_key_id: {OWN}")))
        .unwrap();
    until("the customer's key wraps", async || {
        let view = encryption(&house, "harbour").await;
        let versions = view["versions"].as_array().unwrap().clone();
        versions.iter().all(|version| version["wrapped_by"] == OWN).then_some(())
    })
    .await;
    assert_eq!(asks().await, (200, String::new()));

    for verdict in [Verdict::Denied, Verdict::TooOld, Verdict::Deleted] {
        let began = Instant::now();
        vault.be("harbour", verdict);
        until("the tenant is sealed", async || (asks().await == (403, "tenant_sealed".to_owned())).then_some(())).await;
        println!("{verdict:?}: sealed after {:.1} s", began.elapsed().as_secs_f64());
        assert_eq!(state(&house, "harbour").await["state"], "sealed");
        for (method, path) in
            [(Method::GET, "/v1/documents/leave"), (Method::GET, "/v1/usage"), (Method::GET, "/v1/lineage/export")]
        {
            let (status, body) = house.call(method, path, &key, None).await;
            assert_eq!((status, body["code"].as_str()), (403, Some("tenant_sealed")), "{path}: {body}");
        }
        vault.be("harbour", Verdict::Allowed);
        until("the tenant is unsealed", async || (asks().await.0 == 200).then_some(())).await;
    }
    // what says nothing about the key seals nothing yet
    let calls = vault.calls("harbour");
    for verdict in [Verdict::Sealed, Verdict::UnknownToken, Verdict::Endless, Verdict::Nonsense] {
        vault.be("harbour", verdict);
        let so_far = vault.calls("harbour");
        until("it was looked at", async || (vault.calls("harbour") > so_far + 1).then_some(())).await;
        assert_eq!(asks().await, (200, String::new()), "{verdict:?}");
    }
    assert!(vault.calls("harbour") > calls);

    // a node that starts while the key is withheld
    vault.be("harbour", Verdict::Denied);
    let (done, failed) = beside.ended().await;
    assert_eq!(failed, Vec::<Value>::new(), "of the neighbour's");
    println!("{done} requests of the neighbour meanwhile, 0 failed");
    let mut running = house;
    running.0.take().unwrap().kill();
    let house = Ended(Some(House::start_on(folder.path(), Some(&config))));
    let asks = async || house.call(Method::POST, "/v1/ask", &key, Some(json!({"question": QUESTION}))).await;
    assert_eq!(asks().await.1["code"], "tenant_sealed");
    let (status, answer) = house.call(Method::POST, "/v1/ask", &neighbour, Some(json!({"question": QUESTION}))).await;
    assert_eq!((status, &answer["abstained"]), (200, &json!(false)));
    vault.be("harbour", Verdict::Allowed);
    until("the tenant is opened", async || (asks().await.0 == 200).then_some(())).await;
}

#[tokio::test]
async fn what_vault_says_of_a_key_is_understood_and_bounded() {
    let vault = Vault::start().await;
    let access = VaultAccess {
        region: "local".to_owned(),
        address: format!("http://127.0.0.1:{}", vault.port).parse().unwrap(),
        token: Token::Given(TOKEN.into()),
        timeout: Duration::from_millis(1_000),
    };
    let holder = VaultTransit::new(access);
    let key = holder.provider_of(&CustomerKey::parse(OWN).unwrap());
    let (context, another) =
        (EncryptionContext::new([("tenant", "1".to_owned())]), EncryptionContext::new([("tenant", "2".to_owned())]));
    vault.be("harbour", Verdict::Allowed);
    let cases = [
        (Verdict::Denied, "withheld"),
        (Verdict::TooOld, "withheld"),
        (Verdict::Deleted, "withheld"),
        (Verdict::UnknownToken, "failed"),
        (Verdict::Sealed, "failed"),
        (Verdict::Endless, "failed"),
        (Verdict::Nonsense, "failed"),
        (Verdict::Mute, "failed"),
    ];
    bailiwick_kernel::residue::spawn_blocking(move || {
        let wrapped = key.wrap_key(&[5; 32], &context).unwrap();
        assert!(wrapped.starts_with(b"vault:v1:"));
        assert_eq!(*key.unwrap_key(&wrapped, &context).unwrap(), [5; 32]);
        assert_eq!(key.unwrap_key(&wrapped, &another), Err(ProviderError::Refused), "bound to its context");
        assert_eq!(key.unwrap_key(b"vault:v1:AAAA", &context), Err(ProviderError::Refused));
        assert_eq!(key.unwrap_key(&[0xFF, 0xFE], &context), Err(ProviderError::Refused));
        for (verdict, expected) in cases {
            vault.be("harbour", verdict);
            let error = key.unwrap_key(&wrapped, &context).unwrap_err();
            let kind = match &error {
                ProviderError::Withheld(_) => "withheld",
                ProviderError::Failed(_) => "failed",
                ProviderError::Refused => "refused",
            };
            assert_eq!(kind, expected, "{verdict:?}: {error}");
            assert!(!error.to_string().contains(TOKEN), "{error}");
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_root_key_is_changed_from_the_command_line_while_nothing_runs() {
    let (folder, mut running) = house();
    let key = harbour(&running).await;
    running.teach(&key, "leave", "Leave", LEAVE).await;
    let head = |house: &House| {
        let (url, http, key) = (house.url.clone(), house.http.clone(), key.clone());
        async move {
            let response = http.get(format!("{url}/v1/receipts/checkpoint")).bearer_auth(key).send().await.unwrap();
            response.json::<Value>().await.unwrap()["verifier_key"].clone()
        }
    };
    let signs = head(&running).await;
    let rewrap = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        let output = command
            .args(["kms", "rewrap", "--output", "json", "--data"])
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (done, _, said) = rewrap();
    assert!(!done && said.contains("stop the server first"), "{said}");
    let before = std::fs::read(folder.path().join("data/master.key")).unwrap();
    running.0.take().unwrap().terminate();
    let (done, said, problem) = rewrap();
    assert!(done, "{problem}");
    let told: Value = serde_json::from_str(&said).unwrap();
    assert!(told["keyrings"].as_u64() >= Some(2) && told["done_before"] == 0, "{told}");
    assert_ne!(std::fs::read(folder.path().join("data/master.key")).unwrap(), before);
    let again = Ended(Some(House::start_on(folder.path(), None)));
    let (status, answer) = again.call(Method::POST, "/v1/ask", &key, Some(json!({"question": QUESTION}))).await;
    assert_eq!((status, &answer["abstained"]), (200, &json!(false)), "{answer}");
    assert_eq!(head(&again).await, signs, "heads are signed by the same key");
}
