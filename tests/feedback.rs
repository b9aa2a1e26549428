//! Judgements through the real binary: rejected passages cost their document trust until it is given back, accepted answers
//! become golden questions, and both outlive the process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;

mod support;
use support::{Ended, House, erase, house, until};

/// Its policy trusts uploads with 0.7 and serves nothing below 0.6.
const TENANT: &str = "acme-corp";
const QUESTION: &str = "What do herons eat?";

struct Scene {
    house: House,
    owner: String,
}

impl Scene {
    /// The documents a search finds, and how far each is trusted.
    async fn found(&self) -> Vec<(String, f64)> {
        let hits = self.house.call(Method::POST, "/v1/search", &self.owner, Some(json!({"query": QUESTION}))).await.1;
        let one = |hit: &Value| (hit["document_id"].as_str().unwrap().to_owned(), hit["trust_score"].as_f64().unwrap());
        let mut found: Vec<_> = hits["hits"].as_array().unwrap_or_else(|| panic!("{hits}")).iter().map(one).collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    /// Asks, and says of the answer which chunks of a document it cites.
    async fn ask(&self) -> (String, Value) {
        let (status, answer) =
            self.house.call(Method::POST, "/v1/ask", &self.owner, Some(json!({"question": QUESTION}))).await;
        assert_eq!(status, 200, "{answer}");
        (answer["query_id"].as_str().unwrap().to_owned(), answer)
    }

    async fn judge(&self, key: &str, body: Value) -> u16 {
        self.house.call(Method::POST, "/v1/feedback", key, Some(body)).await.0
    }

    async fn view(&self) -> Value {
        self.house.call(Method::GET, &format!("/admin/v1/tenants/{TENANT}/feedback"), &self.owner, None).await.1
    }
}

fn printed(house: &House, key: &str, verb: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .arg("eval")
        .args(verb)
        .args(["--tenant", TENANT, "--server", &house.url, "--key", key])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_rejected_passage_costs_trust_until_it_is_given_back() {
    let (folder, house) = house();
    let mut house: Ended = house;
    let house = house.0.take().unwrap();
    let owner = house.key(TENANT, "owner").await;
    let scene = Scene { house, owner };
    scene.house.teach(&scene.owner, "right", "Herons", "Herons eat fish and frogs at the lake.").await;
    scene.house.teach(&scene.owner, "wrong", "Herons", "Herons eat stones, and herons eat glass.").await;
    assert_eq!(scene.found().await, [("right".to_owned(), 0.7), ("wrong".to_owned(), 0.7)]);

    let (query_id, answer) = scene.ask().await;
    let cited = answer["citations"].as_array().unwrap().iter().find(|citation| citation["document_id"] == "wrong");
    let chunk = cited.unwrap_or_else(|| panic!("{answer}"))["chunk_id"].clone();
    let people = ["dr-amara", "nurse-lee", "ops-kim"];
    let down = json!({"query_id": query_id, "rating": "down", "rejected_chunks": [chunk]});
    let mut keys = Vec::new();
    for _person in people {
        keys.push(scene.house.key(TENANT, "operator").await);
    }

    // what the answer does not cite cannot be rejected; praise rejects nothing; neither leaves a record
    let other = json!({"query_id": query_id, "rating": "down", "rejected_chunks": ["other#0"]});
    assert_eq!(scene.judge(&keys[0], other).await, 400);
    let praise = json!({"query_id": query_id, "rating": "up", "rejected_chunks": [chunk]});
    assert_eq!(scene.judge(&keys[0], praise).await, 400);
    assert_eq!(scene.view().await, json!({"distrusted": [], "candidates": []}));

    // one person counts once; two do not take it below the minimum, three do
    for key in [&keys[0], &keys[0], &keys[1]] {
        assert_eq!(scene.judge(key, down.clone()).await, 201);
    }
    let found = scene.found().await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!((found[1].1 - 0.6).abs() < 1e-9, "{found:?}");
    assert_eq!(scene.judge(&keys[2], down.clone()).await, 201);
    assert_eq!(scene.found().await, [("right".to_owned(), 0.7)]);
    let lost = json!([{"document_id": "wrong", "trust_score": 0.7, "trust_lost": 0.15, "rejected_by": 3}]);
    assert_eq!(scene.view().await["distrusted"], lost);
    let (_, answer) = scene.ask().await;
    assert!(answer["citations"].as_array().unwrap().iter().all(|cited| cited["document_id"] == "right"), "{answer}");

    // it outlives the process
    scene.house.kill();
    let scene = Scene { house: House::start_on(folder.path(), None), owner: scene.owner };
    until("the tenant serves again", async || (scene.view().await["distrusted"] == lost).then_some(())).await;
    assert_eq!(scene.found().await, [("right".to_owned(), 0.7)]);

    // the person takes it back, or an admin does for everybody
    assert_eq!(scene.judge(&keys[2], json!({"query_id": query_id, "rating": "up"})).await, 201);
    assert_eq!(scene.found().await.len(), 2);
    let printed = printed(&scene.house, &scene.owner, &["trust", "wrong"]);
    assert_eq!(printed, "");
    assert_eq!(scene.found().await, [("right".to_owned(), 0.7), ("wrong".to_owned(), 0.7)]);
    let path = format!("/admin/v1/tenants/{TENANT}/feedback/wrong");
    assert_eq!(scene.house.call(Method::DELETE, &path, &scene.owner, None).await.0, 200, "twice is once");

    // a new version starts anew
    for key in &keys {
        assert_eq!(scene.judge(key, down.clone()).await, 201);
    }
    assert_eq!(scene.found().await.len(), 1);
    scene.house.teach(&scene.owner, "wrong", "Herons", "Herons eat newts, and herons eat snails.").await;
    assert_eq!(scene.found().await, [("right".to_owned(), 0.7), ("wrong".to_owned(), 0.7)]);
    assert_eq!(scene.view().await["distrusted"], json!([]));
    let _ended = Ended(Some(scene.house));
}

#[tokio::test]
async fn accepted_answers_become_golden_questions() {
    let (_folder, mut ended) = house();
    let house = ended.0.take().unwrap();
    let owner = house.key(TENANT, "owner").await;
    let scene = Scene { house, owner };
    scene.house.teach(&scene.owner, "right", "Herons", "Herons eat fish and frogs at the lake.").await;
    let (first, answer) = scene.ask().await;
    let (second, _) = scene.ask().await;
    assert_eq!(scene.judge(&scene.owner, json!({"query_id": first, "rating": "up"})).await, 201);
    let corrected = json!({"query_id": second, "rating": "down", "correct_answer": "Fish."});
    assert_eq!(scene.judge(&scene.owner, corrected).await, 201);
    let lines = printed(&scene.house, &scene.owner, &["candidates"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(answer["answer"].as_str().unwrap().contains("[1]"), "{answer}");
    let words = "Herons eat fish and frogs at the lake.";
    let accepted = json!({"question": QUESTION, "answer": words, "relevant": ["right"]});
    assert_eq!(lines, [json!({"question": QUESTION, "answer": "Fish.", "relevant": []}), accepted]);
    // the file of golden questions takes them as they are
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(bailiwick_policy::golden::parse(&text).unwrap().len(), 2);
    // a later word on the same answer counts, not the earlier one
    assert_eq!(scene.judge(&scene.owner, json!({"query_id": first, "rating": "down"})).await, 201);
    assert_eq!(printed(&scene.house, &scene.owner, &["candidates"]).lines().count(), 1);
    let _ended = Ended(Some(scene.house));
}

#[tokio::test]
async fn what_quotes_an_erased_document_is_no_golden_question() {
    // where no minimum keeps documents
    const TENANT: &str = "default";
    let (_folder, house) = house();
    let owner = house.key(TENANT, "owner").await;
    let ask = async || {
        let (status, answer) = house.call(Method::POST, "/v1/ask", &owner, Some(json!({"question": QUESTION}))).await;
        assert_eq!((status, &answer["abstained"]), (200, &json!(false)), "{answer}");
        answer["query_id"].clone()
    };
    let judge = async |body: Value| {
        assert_eq!(house.call(Method::POST, "/v1/feedback", &owner, Some(body)).await.0, 201);
    };
    let candidates = async || {
        let path = format!("/admin/v1/tenants/{TENANT}/feedback");
        house.call(Method::GET, &path, &owner, None).await.1["candidates"].clone()
    };
    house.teach(&owner, "gone", "Herons", "Herons eat fish and frogs at the lake.").await;
    let (accepted, corrected) = (ask().await, ask().await);
    judge(json!({"query_id": accepted, "rating": "up"})).await;
    let words = json!({"query_id": corrected, "rating": "down", "correct_answer": "Frogs at the lake."});
    judge(words.clone()).await;
    assert_eq!(candidates().await.as_array().unwrap().len(), 2);

    erase(&house, &owner, "gone").await;
    assert_eq!(candidates().await, json!([]), "neither the answer nor what was said of it");
    // what is said of it from now on is no candidate either, and what cites something else is one
    judge(words).await;
    house.teach(&owner, "stays", "Herons", "Herons eat newts and snails in the meadow.").await;
    judge(json!({"query_id": ask().await, "rating": "up"})).await;
    let answer = "Herons eat newts and snails in the meadow.";
    assert_eq!(candidates().await, json!([{"question": QUESTION, "answer": answer, "relevant": ["stays"]}]));
}
