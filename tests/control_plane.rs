//! Walks through the doors of the control plane: policies that change without a restart, the life of a tenant, and
//! what a restart keeps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

mod support;
use support::{House, house, sign_policies, until};

const TENANT: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";
const LEAVE: &str = "Every employee has thirty days of paid leave in a year.";

async fn post(house: &House, path: &str, key: &str, body: Value) -> (u16, Value) {
    house.call(Method::POST, path, key, Some(body)).await
}

async fn view(house: &House, tenant: &str) -> Value {
    house.call(Method::GET, &format!("/admin/v1/tenants/{tenant}"), &house.operator_key(), None).await.1
}

fn edit(file: &Path, change: impl Fn(&str) -> String) -> String {
    let before = std::fs::read_to_string(file).unwrap();
    let after = change(&before);
    assert_ne!(before, after, "{}", file.display());
    std::fs::write(file, after).unwrap();
    before
}

/// Waits until the newest files of the tenant are refused for a reason with these words.
async fn refusal(house: &House, words: &str) -> String {
    until(words, async || {
        let view = view(house, TENANT).await;
        view["reason"].as_str().filter(|reason| reason.contains(words)).map(str::to_owned)
    })
    .await
}

async fn hits(house: &House, key: &str) -> usize {
    let (status, found) = post(house, "/v1/search", key, json!({"query": "paid leave employee"})).await;
    assert_eq!(status, 200, "{found}");
    found["hits"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_policy_changes_without_a_restart_and_a_broken_one_changes_nothing() {
    let (_folder, house) = house();
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    assert_eq!(hits(&house, &key).await, 1);
    let file = house.tenants.join(TENANT).join("policies/retrieval.yaml");
    let sound = edit(&file, |text| {
        text.replace("forbidden_patterns:\n", "forbidden_patterns:\n      - 'thirty days'\n")
            .replace("policy_semver: 1.0.0", "policy_semver: 1.1.0")
    });
    sign_policies(&house.tenants, TENANT);
    until("the poisoned document is out of retrieval", async || (hits(&house, &key).await == 0).then_some(())).await;
    let (_, document) = house.call(Method::GET, "/v1/documents/leave", &key, None).await;
    assert_eq!(document["state"], "quarantined", "{document}");
    let (_, policy) = house.call(Method::GET, "/v1/policy", &key, None).await;
    assert!(policy["retrieval"]["guard"]["forbidden_patterns"].to_string().contains("thirty days"), "{policy}");
    let (_, answer) = post(&house, "/v1/ask", &key, json!({"question": QUESTION})).await;
    assert_eq!((&answer["abstained"], &answer["citations"]), (&json!(true), &json!([])), "{answer}");

    // a file that cannot be read keeps the version in force, and says where it is wrong
    let poisoned = edit(&file, |text| text.replace("min_trust_score:", "min_trust_scor:"));
    let refused = until("the broken file is noticed", async || {
        let view = view(&house, TENANT).await;
        view["reason"].is_string().then_some(view)
    })
    .await;
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("retrieval.yaml") && reason.contains("min_trust_score"), "{reason}");
    let (_, still) = house.call(Method::GET, "/v1/policy", &key, None).await;
    assert_eq!(still["digest"], policy["digest"]);
    assert_eq!(hits(&house, &key).await, 0);

    std::fs::write(&file, poisoned).unwrap();
    until("the file is sound again", async || view(&house, TENANT).await["reason"].is_null().then_some(())).await;
    // what was in force before does not come back by itself, signed as it was: going back is a newer version
    std::fs::write(&file, &sound).unwrap();
    sign_policies(&house.tenants, TENANT);
    let reason = refusal(&house, "1.0.0 is not newer than 1.1.0").await;
    assert!(reason.starts_with("policies/retrieval.yaml:"), "{reason}");
    assert_eq!(hits(&house, &key).await, 0);
    std::fs::write(&file, sound.replace("policy_semver: 1.0.0", "policy_semver: 1.2.0")).unwrap();
    refusal(&house, "signed by 0 of the 1 people").await;
    assert_eq!(hits(&house, &key).await, 0, "it is newer, and nobody signed it");
    sign_policies(&house.tenants, TENANT);
    until("the document is back", async || (hits(&house, &key).await == 1).then_some(())).await;
}

#[tokio::test]
async fn a_folder_that_appears_is_a_tenant_and_one_that_goes_is_none() {
    let (_folder, house) = house();
    let (from, to) = (house.tenants.join(TENANT), house.tenants.join("newcomer"));
    let staged = house.data.parent().unwrap().join("staged");
    for entry in walkdir::WalkDir::new(&from) {
        let entry = entry.unwrap();
        let target = staged.join(entry.path().strip_prefix(&from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
        } else if entry.path().extension().is_some_and(|ending| ending == "yaml") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let text =
                text.replace("tenant_id: default", "tenant_id: newcomer").replace("name: default", "name: newcomer");
            let text = text.replace("6a0f3f7e-52c1-4b7d-9a36-0c1d8f4b2e91", "0e2d9c3b-1f57-4f0a-8a4e-7d5a3c9b1e60");
            std::fs::write(&target, text).unwrap();
        } else if entry.file_name() == "allowed_signers" {
            let list = std::fs::read_to_string(entry.path()).unwrap();
            std::fs::write(&target, list.replace("tenant=default", "tenant=newcomer")).unwrap();
        }
    }
    sign_policies(staged.parent().unwrap(), "staged");
    std::fs::rename(&staged, &to).unwrap();
    until("the newcomer serves", async || (view(&house, "newcomer").await["state"] == "serving").then_some(())).await;
    let key = house.key("newcomer", "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    assert_eq!(hits(&house, &key).await, 1);
    assert_eq!(hits(&house, &house.key(TENANT, "owner").await).await, 0);
    // a folder that is called like a tenant's id says nothing about that tenant
    let id = view(&house, TENANT).await["id"].as_str().unwrap().to_owned();
    let stranger = house.tenants.join(&id);
    std::fs::create_dir(&stranger).unwrap();
    until("the stranger is seen", async || {
        let listed = house.call(Method::GET, "/admin/v1/tenants", &house.operator_key(), None).await.1;
        listed["tenants"].as_array().unwrap().iter().any(|tenant| tenant["name"] == id.as_str()).then_some(())
    })
    .await;
    std::fs::remove_dir(&stranger).unwrap();
    assert_eq!(view(&house, TENANT).await["state"], "serving");
    assert!(view(&house, TENANT).await["reason"].is_null());
    std::fs::rename(&to, &staged).unwrap();
    until("the newcomer is closed", async || {
        let (status, problem) = house.call(Method::GET, "/v1/usage", &key, None).await;
        (status == 403 && problem["code"] == "tenant_suspended").then_some(())
    })
    .await;
}

fn new_tenant(name: &str) -> Value {
    json!({
        "name": name, "plan": "pro",
        "config": {"region": "local", "retention_days": 30, "encryption": "standard"},
        "quotas": {"max_requests_per_hour": 1000, "max_concurrent_requests": 8, "max_cost_per_month": "10.50", "max_storage_gb": 1},
        "metadata": {"industry": "shipping", "compliance": ["SOC2"], "contact_email": "a@b.example"},
    })
}

#[tokio::test]
async fn the_life_of_a_tenant() {
    let (_folder, house) = house();
    let operator = house.operator_key();
    let tenants = "/admin/v1/tenants";
    let (status, made) = post(&house, tenants, &operator, new_tenant("harbour")).await;
    assert_eq!((status, &made["name"], &made["state"]), (201, &json!("harbour"), &json!("serving")), "{made}");
    assert!(house.tenants.join("harbour/tenant.yaml").is_file());
    let (status, problem) = post(&house, tenants, &operator, new_tenant("harbour")).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("conflict")), "{problem}");
    let key = house.key("harbour", "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let (status, answer) = post(&house, "/v1/ask", &key, json!({"question": QUESTION})).await;
    assert_eq!((status, &answer["abstained"]), (200, &json!(false)), "{answer}");

    let listed = async |query: &str| {
        let (status, list) = house.call(Method::GET, &format!("{tenants}{query}"), &operator, None).await;
        assert_eq!(status, 200, "{list}");
        let names =
            list["tenants"].as_array().unwrap().iter().map(|tenant| tenant["name"].as_str().unwrap().to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    assert_eq!(listed("").await, ["acme-corp", "beta-inc", "default", "harbour"]);
    assert_eq!(listed("?plan=pro&industry=shipping").await, ["harbour"]);
    assert_eq!(listed("?industry=healthcare").await, ["acme-corp"]);
    assert_eq!(listed("?compliance=HIPAA").await, ["acme-corp"]);
    assert_eq!(listed("?status=suspended").await, [""; 0]);

    let (status, changed) =
        house.call(Method::PATCH, &format!("{tenants}/harbour"), &operator, Some(json!({"plan": "enterprise"}))).await;
    assert_eq!(
        (status, &changed["plan"], &changed["quotas"]["max_cost_per_month"]),
        (200, &json!("enterprise"), &json!("10.5")),
        "{changed}"
    );
    let by_id = format!("{tenants}/{}", made["id"].as_str().unwrap());
    assert_eq!(house.call(Method::GET, &by_id, &operator, None).await.1["plan"], "enterprise");

    let usage = async || house.call(Method::GET, "/v1/usage", &key, None).await;
    for (verb, state) in
        [("suspend", "suspended"), ("resume", "serving"), ("archive", "archived"), ("resume", "serving")]
    {
        let (status, view) = house.call(Method::POST, &format!("{tenants}/harbour/{verb}"), &operator, None).await;
        assert_eq!((status, view["state"].as_str()), (200, Some(state)), "{verb}: {view}");
        let (status, problem) = usage().await;
        if state == "serving" {
            assert_eq!(status, 200, "after {verb}: {problem}");
            assert_eq!(hits(&house, &key).await, 1, "after {verb}");
        } else {
            assert_eq!((status, problem["code"].as_str()), (403, Some("tenant_suspended")), "after {verb}");
            assert_eq!(listed(&format!("?status={state}")).await, ["harbour"]);
        }
    }
    let (status, view) = house.call(Method::DELETE, &format!("{tenants}/harbour"), &operator, None).await;
    assert_eq!((status, view["state"].as_str()), (200, Some("deleted")), "{view}");
    assert_eq!(usage().await.0, 403);
    let (status, problem) = house.call(Method::POST, &format!("{tenants}/harbour/resume"), &operator, None).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("conflict")), "{problem}");

    // destroyed: its keys are unknown, its name is free, and nothing of it comes back with the name
    let (status, view) = house.call(Method::DELETE, &format!("{tenants}/harbour?shred=true"), &operator, None).await;
    assert_eq!(status, 200, "{view}");
    assert_eq!(usage().await.0, 401);
    assert_eq!(house.call(Method::GET, &format!("{tenants}/harbour"), &operator, None).await.0, 404);
    tells_its_life(&house, made["id"].as_str().unwrap()).await;
    let (status, made_again) = post(&house, tenants, &operator, new_tenant("harbour")).await;
    assert_eq!(status, 201, "{made_again}");
    assert_ne!(made_again["id"], made["id"]);
    let key = house.key("harbour", "owner").await;
    let (status, usage) = house.call(Method::GET, "/v1/usage", &key, None).await;
    assert_eq!((status, &usage["corpus"]["documents"]), (200, &json!(0)), "{usage}");
}

/// The audit trail has the whole life of a tenant, also when it is over, and an outsider can verify it.
async fn tells_its_life(house: &House, id: &str) {
    let operator = house.operator_key();
    let (status, page) = house.call(Method::GET, &format!("/admin/v1/audit?tenant={id}"), &operator, None).await;
    assert_eq!((status, &page["next"]), (200, &Value::Null), "{page}");
    let entries = page["entries"].as_array().unwrap();
    let said: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["tenant_registered", "key_issued", "tenant_changed", "destruction_begun", "destruction_done"] {
        assert!(said.contains(&action), "{action} in {said:?}");
    }
    let operator_id = operator.split('_').nth(1).unwrap();
    let begun = entries.iter().find(|entry| entry["action"] == "destruction_begun").unwrap();
    assert_eq!(begun["by"], operator_id, "who had it destroyed");
    let standings = entries.iter().filter(|entry| entry["action"] == "standing_changed");
    let standings: Vec<_> = standings.map(|entry| entry["details"]["standing"].as_str().unwrap()).collect();
    assert_eq!(standings, ["suspended", "active", "archived", "active", "deleted"]);
    for wrong in ["?limit=0", "?limit=1001", "?from=first", "?tenat=x"] {
        assert_eq!(
            house.call(Method::GET, &format!("/admin/v1/audit{wrong}"), &operator, None).await.0,
            400,
            "{wrong}"
        );
    }

    let export = house.http.get(format!("{}/admin/v1/audit/export", house.url)).bearer_auth(&operator).send().await;
    let text = export.unwrap().error_for_status().unwrap().text().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let verified = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let verify = ["verify", file.to_str().unwrap(), "--output", "json"];
        std::process::Command::new(env!("CARGO_BIN_EXE_bailiwick")).args(verify).output().unwrap()
    };
    let held = verified(&text);
    assert!(held.status.success(), "{}", String::from_utf8_lossy(&held.stderr));
    let told: Value = serde_json::from_slice(&held.stdout).unwrap();
    let of_it: Vec<_> = entries.iter().map(|entry| &entry["hash"]).collect();
    let proved: Vec<_> = told["entries"].as_array().unwrap().iter().map(|entry| &entry["hash"]).collect();
    assert!(of_it.iter().all(|hash| proved.contains(hash)), "what was told is what is proved");
    let shorter = &text[..text.trim_end().rfind('\n').unwrap()];
    assert!(!verified(shorter).status.success(), "its last entry is left out");
}

/// Everything a caller can see of a tenant that a restart must keep.
async fn memory(house: &House, key: &str, query_id: &str) -> Value {
    let get = async |path: &str| house.call(Method::GET, path, key, None).await.1;
    let usage = get("/v1/usage").await;
    json!({
        "documents": get("/v1/documents").await,
        "text": get("/v1/documents/leave").await,
        "lineage": get(&format!("/v1/lineage?query_id={query_id}")).await,
        "counts": usage["counts"],
        "spent": usage["budget"]["spent_month"],
        "keys": get(&format!("/admin/v1/tenants/{TENANT}/keys")).await,
        "policy": get("/v1/policy").await,
    })
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let (folder, mut first) = house();
    let (owner, viewer) = (first.key(TENANT, "owner").await, first.key(TENANT, "viewer").await);
    let operator = first.operator_key();
    let revoked = format!("/admin/v1/tenants/{TENANT}/keys/{}", viewer.split('_').nth(1).unwrap());
    assert_eq!(first.call(Method::DELETE, &revoked, &operator, None).await.0, 200);
    first.teach(&owner, "leave", "Leave", LEAVE).await;
    let (_, answer) = post(&first, "/v1/ask", &owner, json!({"question": QUESTION})).await;
    let query_id = answer["query_id"].as_str().unwrap().to_owned();
    post(&first, "/v1/feedback", &owner, json!({"query_id": query_id, "rating": "up"})).await;
    post(&first, "/admin/v1/tenants", &operator, new_tenant("harbour")).await;
    let suspend = "/admin/v1/tenants/beta-inc/suspend";
    assert_eq!(post(&first, suspend, &operator, json!({"reason": "unpaid"})).await.0, 200);
    let before = memory(&first, &owner, &query_id).await;
    let house = first.0.take().unwrap();
    let (code, log) = bailiwick_kernel::residue::spawn_blocking(move || house.terminate()).await.unwrap();
    assert_eq!(code, Some(0), "{}", log.join("\n"));

    let again = support::Ended(Some(House::start_on(folder.path(), None)));
    assert_eq!(again.operator_key(), operator);
    assert_eq!(memory(&again, &owner, &query_id).await, before);
    assert_eq!(hits(&again, &owner).await, 1);
    let (_, answered) = post(&again, "/v1/ask", &owner, json!({"question": QUESTION})).await;
    assert_eq!((&answered["answer"], &answered["citations"]), (&answer["answer"], &answer["citations"]));
    assert_eq!(again.call(Method::GET, "/v1/usage", &viewer, None).await.0, 401);
    assert_eq!(view(&again, "beta-inc").await["state"], "suspended");
    assert_eq!(view(&again, "harbour").await["state"], "serving");
    for line in log {
        assert!(!line.contains(&owner) && !line.contains(&operator), "{line}");
    }
}

#[tokio::test]
async fn a_policy_that_was_replaced_does_not_serve_after_a_restart_either() {
    let (folder, mut first) = house();
    let key = first.key(TENANT, "owner").await;
    let log = async |house: &House| {
        let path = format!("/admin/v1/policies/{TENANT}/log");
        house.call(Method::GET, &path, &house.operator_key(), None).await.1["commits"].clone()
    };
    let (policies, kept) = (first.tenants.join(TENANT).join("policies"), folder.path().join("kept"));
    copy_files(&policies, &kept);
    edit(&policies.join("governance.yaml"), |text| text.replace("policy_semver: 1.0.0", "policy_semver: 1.0.1"));
    sign_policies(&first.tenants, TENANT);
    until("the next version is in force", async || (log(&first).await.as_array().unwrap().len() == 2).then_some(()))
        .await;
    let commits = log(&first).await;
    assert_eq!(commits[1]["version"], "1.0.1", "{commits}");
    assert_eq!(commits[1]["signed_by"], json!(["samples@bailiwick.example"]), "{commits}");
    let killed = first.0.take().unwrap();
    bailiwick_kernel::residue::spawn_blocking(move || killed.kill()).await.unwrap();

    copy_files(&kept, &policies);
    let again = support::Ended(Some(House::start_on(folder.path(), None)));
    let reason = refusal(&again, "1.0.0 is not newer than 1.0.1").await;
    assert!(reason.starts_with("policies/governance.yaml:"), "{reason}");
    assert_eq!(view(&again, TENANT).await["state"], "refused");
    let (status, problem) = post(&again, "/v1/search", &key, json!({"query": "leave"})).await;
    assert_eq!(status, 403, "{problem}");
    assert_eq!(log(&again).await, commits, "what came into force stays written down");
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn a_policy_is_compared_and_committed_on_demand() {
    let (_folder, house) = house();
    let operator = house.operator_key();
    let path = |verb: &str| format!("/admin/v1/policies/{TENANT}/{verb}");
    let file = house.tenants.join(TENANT).join("policies/governance.yaml");
    let (status, same) = house.call(Method::GET, &path("diff"), &operator, None).await;
    assert_eq!((status, &same), (200, &json!({"found": [], "more": 0})));
    edit(&file, |text| {
        let rule = "  - id: quiet-sundays\n    effect: forbid\n    actions: [ask]\n    when: { request.weekday: sunday }\n    overrides: [members-work]\n\nmetadata:\n";
        text.replace("policy_semver: 1.0.0", "policy_semver: 1.1.0").replace("metadata:\n", rule)
    });
    let (status, changed) = house.call(Method::GET, &path("diff"), &operator, None).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["found"][0]["action"], "ask", "{changed}");
    assert_eq!(changed["found"][0]["after"], "refused", "{changed}");
    assert_eq!(changed["found"][0]["example"]["request.weekday"], "sunday", "{changed}");
    let (status, refused) = house.call(Method::POST, &path("commit"), &operator, None).await;
    assert_eq!((status, refused["code"].as_str()), (403, Some("policy_denied")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("is signed by 0 of the 1 people"), "{refused}");
    sign_policies(&house.tenants, TENANT);
    let (status, committed) = house.call(Method::POST, &path("commit"), &operator, None).await;
    assert_eq!((status, committed["policy_version"].as_str()), (200, Some("1.1.0")), "{committed}");
    let (_, same) = house.call(Method::GET, &path("diff"), &operator, None).await;
    assert_eq!(same["found"], json!([]));
    let (_, map) = house.call(Method::GET, "/admin/v1/conflicts", &operator, None).await;
    assert_eq!(map["tenants"].as_array().unwrap().len(), 3, "{map}");
    let key = house.key(TENANT, "auditor").await;
    assert_eq!(house.call(Method::POST, &path("commit"), &key, None).await.0, 403, "an auditor changes nothing");
    assert_eq!(house.call(Method::GET, &path("conflicts"), &key, None).await.0, 200);
}
