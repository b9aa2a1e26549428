//! One document is removed, replaced or erased: what was written of it does not open any more, not with its tenant's own keys, and
//! every proof about it holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use bailiwick_kernel::disclosure::{self, Opened};
use bailiwick_kernel::ids::TenantKey;
use reqwest::Method;
use serde_json::json;
use std::path::Path;

mod support;
use support::disk::{Sealed, copy, keys_of, post, sealed_in, tenant_key};
use support::{Ended, House, erase, house};

/// No minimum keeps its documents.
const TENANT: &str = "default";

/// What the tenant's own keys make of what lies in a folder, and how many records say that they were shredded.
fn told(data: &Path, tenant: TenantKey, (records, secrets): &Sealed) -> (String, usize) {
    let own = keys_of(data).cipher_for(tenant, || panic!("it has a keyring")).unwrap();
    let (mut words, mut shredded) = (Vec::new(), 0);
    for record in records {
        match disclosure::open(&own, record, secrets).unwrap() {
            Opened::Words(plain) => words.extend_from_slice(&plain),
            Opened::Shredded => shredded += 1,
            Opened::Secretless => panic!("no secret is missing"),
        }
    }
    (String::from_utf8_lossy(&words).into_owned(), shredded)
}

#[tokio::test]
async fn an_erased_document_does_not_open_with_its_tenants_own_keys() {
    let (folder, mut house) = house();
    let key = house.key(TENANT, "owner").await;
    let (_, view) = house.call(Method::GET, &format!("/admin/v1/tenants/{TENANT}"), &house.operator_key(), None).await;
    let tenant = tenant_key(view["id"].as_str().unwrap());
    for name in ["gone", "replaced", "stays"] {
        let document = json!({"id": format!("{name}-id"), "title": format!("{name}-title"), "text": format!("The {name} crane is blue."),
            "metadata": {"note": format!("{name}-note")}});
        post(&house, "/v1/documents", &key, json!({"documents": [document]})).await;
    }
    house.0.take().unwrap().kill();
    let (data, before) = (folder.path().join("data"), folder.path().join("before"));
    copy(&data, &before);
    let copied = sealed_in(&before, tenant);
    let (words, shredded) = told(&before, tenant, &copied);
    assert!(words.contains("gone-title") && words.contains("gone-note") && shredded == 0, "the journal has it");

    let house = Ended(Some(House::start_on(folder.path(), None)));
    erase(&house, &key, "gone-id").await;
    post(
        &house,
        "/v1/documents",
        &key,
        json!({"documents": [{"id": "replaced-id", "title": "new-title", "text": "Now."}]}),
    )
    .await;
    let export = house.raw(Method::GET, "/v1/receipts/export", &key, &[], None).await.text().await.unwrap();
    let (_, head) = house.call(Method::GET, "/v1/receipts/checkpoint", &key, None).await;
    let mut house = house;
    house.0.take().unwrap().kill();

    // what was copied before does not open with the secrets that are left, and the journal says that two versions went
    let sealed = sealed_in(&data, tenant);
    for records in [&copied.0, &sealed.0] {
        let (words, shredded) = told(&data, tenant, &(records.clone(), sealed.1.clone()));
        for gone in ["gone-title", "gone-note", "replaced-title", "replaced-note"] {
            assert!(!words.contains(gone), "{gone}");
        }
        assert!(words.contains("stays-title") && shredded == 2, "{shredded}");
    }
    // and every proof holds
    let file = folder.path().join("journal.jsonl");
    std::fs::write(&file, export).unwrap();
    let mut verify = std::process::Command::new(env!("CARGO_BIN_EXE_bailiwick"));
    verify.arg("verify").arg(&file).args(["--verifier-key", head["verifier_key"].as_str().unwrap()]);
    let output = verify.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("none is missing") && said.contains("2 records were shredded with their documents"),
        "{said}"
    );

    let third = Ended(Some(House::start_on(folder.path(), None)));
    let (_, page) = third.call(Method::GET, "/v1/documents", &key, None).await;
    let titles: Vec<&str> =
        page["documents"].as_array().unwrap().iter().map(|view| view["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["new-title", "stays-title"], "it folds as removed");
    let (_, shown) = third.call(Method::GET, "/v1/documents/stays-id", &key, None).await;
    assert_eq!(shown["text"].as_str().unwrap().trim(), "The stays crane is blue.");
}
