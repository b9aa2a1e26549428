//! A node in a region, through the doors: who is served there, where documents are kept, and what a list that takes the
//! region back does to a tenant that is being served.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::json;

mod support;
use support::{Ended, House, copy_tenants, until};

const HERE: &str = "region = \"eu-west-1\"\n";

fn house_here() -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    copy_tenants(folder.path());
    let house = House::start_on(folder.path(), Some(HERE));
    (folder, Ended(Some(house)))
}

#[tokio::test]
async fn a_node_serves_whom_its_region_suits() {
    let (folder, house) = house_here();
    let operator = house.operator_key();
    let keys = |tenant: &str| format!("/admin/v1/tenants/{tenant}/keys");
    let (status, body) = house.call(Method::POST, &keys("acme-corp"), &operator, Some(json!({"role": "owner"}))).await;
    assert_eq!((status, body["code"].as_str()), (404, Some("not_found")), "its lists name the States only: {body}");
    let shown = house.call(Method::GET, "/admin/v1/tenants/acme-corp", &operator, None).await.1;
    let reason = shown["reason"].as_str().unwrap();
    for words in ["eu-west-1", "data-sovereignty.yaml", "config.toml"] {
        assert!(reason.contains(words), "{words}: {reason}");
    }

    let beta = house.key("beta-inc", "owner").await;
    let kept =
        |region: &str| json!({"documents": [{"id": "a", "title": "A", "text": "Badgers dig.", "region": region}]});
    let (status, body) = house.call(Method::POST, "/v1/documents", &beta, Some(kept("eu-central-1"))).await;
    assert_eq!(status, 422, "not this node's: {body}");
    assert_eq!(body["documents"][0]["code"], "sovereignty_violation");
    assert!(body["documents"][0]["error"].as_str().unwrap().contains("eu-central-1"), "{body}");
    assert_eq!(house.call(Method::POST, "/v1/documents", &beta, Some(kept("eu-west-1"))).await.0, 201);
    house.teach(&beta, "b", "B", "The codeword of the vault is amber.").await;
    for id in ["a", "b"] {
        let (_, document) = house.call(Method::GET, &format!("/v1/documents/{id}"), &beta, None).await;
        assert_eq!(document["region"], "eu-west-1", "{document}");
    }
    let question = json!({"question": "What is the codeword of the vault?"});
    let (status, answer) = house.call(Method::POST, "/v1/ask", &beta, Some(question.clone())).await;
    assert_eq!((status, answer["model"]["region"].as_str()), (200, Some("eu-west-1")), "where the node is: {answer}");

    let file = folder.path().join("tenants/beta-inc/data-sovereignty.yaml");
    let before = std::fs::read_to_string(&file).unwrap();
    let home = |text: &str| text.replace("region: eu-west-1", "region: eu-central-1");
    let record = folder.path().join("tenants/beta-inc/tenant.yaml");
    std::fs::write(&record, home(&std::fs::read_to_string(&record).unwrap())).unwrap();
    std::fs::write(&file, home(&before).replace("    - eu-west-1\n", "")).unwrap();
    let refused = until("the tenant is closed", async || {
        let (status, body) = house.call(Method::POST, "/v1/ask", &beta, Some(question.clone())).await;
        (status != 200).then_some(body)
    })
    .await;
    assert_eq!(refused["code"], "sovereignty_violation", "{refused}");
    std::fs::write(&file, home(&before)).unwrap();
    until("it may be here again", async || {
        (house.call(Method::POST, "/v1/ask", &beta, Some(question.clone())).await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_tenant_is_created_where_the_node_is() {
    let (_folder, house) = house_here();
    let operator = house.operator_key();
    let new = |name: &str, region: &str| {
        json!({"name": name, "plan": "free", "config": {"region": region, "retention_days": 30, "encryption": "standard"},
            "quotas": {"max_requests_per_hour": 100, "max_concurrent_requests": 4, "max_cost_per_month": "31", "max_storage_gb": 1.0},
            "metadata": {"industry": "x", "compliance": ["GDPR"], "contact_email": "a@b.example"}})
    };
    let (status, body) = house.call(Method::POST, "/admin/v1/tenants", &operator, Some(new("far", "us-east-1"))).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("sovereignty_violation")), "{body}");
    assert!(!house.tenants.join("far").exists(), "nothing was written");
    let (status, body) = house.call(Method::POST, "/admin/v1/tenants", &operator, Some(new("near", "eu-west-1"))).await;
    assert_eq!(status, 201, "{body}");
    let key = house.key("near", "owner").await;
    house.teach(&key, "a", "A", "Badgers dig.").await;
}
