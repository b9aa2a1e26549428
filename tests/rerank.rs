//! The second look at passages, over HTTP: a server speaks the protocol of rerankers, ranks, refuses, and says what is none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::upstream::{Mood, Upstream};
use support::{Ended, House, copy_tenants, is_proved_whole, sign_policies};

const TENANT: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";

/// A house whose tenant has the first passages found looked at once more.
async fn house(port: u16, when_it_fails: &str) -> (tempfile::TempDir, Ended, String) {
    let folder = tempfile::tempdir().unwrap();
    let tenants = copy_tenants(folder.path());
    let policies = tenants.join(TENANT).join("policies");
    let change = |file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(policies.join(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(policies.join(file), text.replacen(from, to, 1)).unwrap();
    };
    let rerank = format!("settings:\n  rerank: {{ model: fake-ranker, top_n: 10, when_it_fails: {when_it_fails} }}\n");
    change("retrieval.yaml", "settings:\n", &rerank);
    change("governance.yaml", "allowed_models: []", "allowed_models: [fake-ranker]");
    sign_policies(&tenants, TENANT);
    let config = format!(
        "[[providers]]\nname = \"ranker\"\nkind = \"rerank\"\nbase_url = \"http://127.0.0.1:{port}/v1\"\nregion = \"eu-west-1\"\n\
         timeout_ms = 60000\nretries = 0\n\n[providers.prices.\"fake-ranker\"]\ninput_usd_per_1m_tokens = \"1\"\n\
         output_usd_per_1m_tokens = \"0\"\n"
    );
    let house = House::start_on(folder.path(), Some(&config));
    let key = house.key(TENANT, "owner").await;
    let first = "Paid leave: days of paid leave, leave that is paid, of an employee. An employee has twenty days of paid leave.";
    house.teach(&key, "first", "Paid leave", first).await;
    house.teach(&key, "second", "Handbook", "Each employee gets precisely thirty days of leave in a year, paid.").await;
    (folder, Ended(Some(house)), key)
}

async fn found(house: &House, key: &str) -> Vec<String> {
    let (status, found) = house.call(Method::POST, "/v1/search", key, Some(json!({"query": QUESTION}))).await;
    assert_eq!(status, 200, "{found}");
    found["hits"].as_array().unwrap().iter().map(|hit| hit["document_id"].as_str().unwrap().to_owned()).collect()
}

async fn asked(house: &House, key: &str) -> (u16, Value) {
    house.call(Method::POST, "/v1/ask", key, Some(json!({"question": QUESTION, "top_k": 1}))).await
}

#[tokio::test]
async fn passages_come_in_the_order_of_the_second_look_and_it_is_paid_for() {
    let upstream = Upstream::start().await;
    let (_folder, house, key) = house(upstream.port, "keep_order").await;
    assert_eq!(found(&house, &key).await, ["second", "first"]);
    let request = upstream.asked().pop().unwrap();
    assert_eq!((&request["model"], &request["query"]), (&json!("fake-ranker"), &json!(QUESTION)));
    assert!(request["documents"][0].as_str().unwrap().starts_with("Paid leave\n"), "{request}");
    let (status, answer) = asked(&house, &key).await;
    assert_eq!((status, answer["notes"].is_null()), (200, true), "{answer}");
    assert!(answer["answer"].as_str().unwrap().contains("thirty"), "one passage, and the best of both: {answer}");
    let path = format!("/v1/lineage?query_id={}", answer["query_id"].as_str().unwrap());
    let lineage = house.call(Method::GET, &path, &key, None).await.1;
    assert_eq!((&lineage["ranked"]["model"], &lineage["ranked"]["reason"]), (&json!("fake-ranker"), &Value::Null));
    is_proved_whole(&house, &key, &answer).await;
    let usage = house.call(Method::GET, "/v1/usage", &key, None).await.1.to_string();
    assert!(usage.contains("0.0002"), "two calls of 100 tokens at a dollar a million: {usage}");
}

#[tokio::test]
async fn where_it_fails_the_order_stands_and_the_answer_says_so() {
    let upstream = Upstream::start().await;
    let (_folder, house, key) = house(upstream.port, "keep_order").await;
    for mood in [Mood::Refuses, Mood::NotJson, Mood::AnotherShape, Mood::CutBeforeTheHead] {
        upstream.be(mood);
        assert_eq!(found(&house, &key).await, ["first", "second"], "{mood:?}");
        let (status, answer) = asked(&house, &key).await;
        assert_eq!(status, 200, "{mood:?}: {answer}");
        let note = answer["notes"][0].as_str().unwrap();
        assert!(note.starts_with("the passages found were not looked at once more: "), "{mood:?}: {note}");
        assert!(answer["answer"].as_str().unwrap().contains("twenty"), "{mood:?}: {answer}");
    }
}

#[tokio::test]
async fn a_tenant_may_want_no_answer_without_it() {
    let upstream = Upstream::start().await;
    let (_folder, house, key) = house(upstream.port, "refuse").await;
    assert_eq!(asked(&house, &key).await.0, 200);
    upstream.be(Mood::Refuses);
    let (status, problem) = asked(&house, &key).await;
    assert_eq!((status, &problem["code"]), (502, &json!("upstream_failed")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("not looked at once more"), "{problem}");
}
