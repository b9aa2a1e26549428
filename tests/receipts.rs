//! Receipts and exports of a real house, verified by the command line on files alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

mod support;
use support::{Ended, House, house};

const TENANT: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";

struct Scene {
    folder: tempfile::TempDir,
    house: Ended,
    key: String,
    query_id: String,
}

/// What `verify` says of a file, and whether it holds.
fn verified(file: &Path, more: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick")).arg("verify").arg(file).args(more).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

impl Scene {
    async fn new() -> Self {
        let (folder, house) = house();
        let key = house.key(TENANT, "owner").await;
        house.teach(&key, "leave", "Leave", "Every employee has thirty days of paid leave in a year.").await;
        let (status, answer) = house.call(Method::POST, "/v1/ask", &key, Some(json!({"question": QUESTION}))).await;
        assert_eq!(status, 200, "{answer}");
        let query_id = answer["query_id"].as_str().unwrap().to_owned();
        Self { folder, house, key, query_id }
    }

    /// Saves what a route gives.
    async fn saved(&self, path: &str, name: &str) -> PathBuf {
        let answer = self.house.raw(Method::GET, path, &self.key, &[], None).await;
        assert_eq!(answer.status(), 200);
        let file = self.folder.path().join(name);
        std::fs::write(&file, answer.bytes().await.unwrap()).unwrap();
        file
    }

    async fn receipt(&self, name: &str) -> PathBuf {
        self.saved(&format!("/v1/receipts?query_id={}", self.query_id), name).await
    }

    async fn verifier_key(&self) -> String {
        let (_, head) = self.house.call(Method::GET, "/v1/receipts/checkpoint", &self.key, None).await;
        head["verifier_key"].as_str().unwrap().to_owned()
    }

    fn killed(mut self) -> Self {
        self.house.0.take().unwrap().kill();
        let house = Ended(Some(House::start_on(self.folder.path(), None)));
        Self { house, ..self }
    }
}

#[tokio::test]
async fn an_answer_is_proved_by_a_file() {
    let scene = Scene::new().await;
    let (file, key) = (scene.receipt("receipt.json").await, scene.verifier_key().await);
    let (holds, said) = verified(&file, &["--verifier-key", &key]);
    assert!(holds && said.contains(&format!("holds: the answer {}", scene.query_id)), "{said}");
    assert!(
        said.contains("signed by the key you named")
            && said.contains("cites leave#0 of leave as accepted at ")
            && said.contains("text sha256 "),
        "{said}"
    );
    assert!(said.contains("thirty days") && said.contains("policy 1.0.0, model extractive/sentences"), "{said}");
    let (holds, said) = verified(&file, &[]);
    assert!(holds && said.contains("which you did not name"), "{said}");
    for told in
        ["sealed under version 1 of the tenant's key", "permitted by ", "USD were held", "flags: ", "streaming = true"]
    {
        assert!(said.contains(told), "{told}: {said}");
    }
    let (holds, said) = verified(&file, &["--output", "json", "--verifier-key", &key]);
    let told: Value = serde_json::from_str(&said).unwrap();
    assert!(holds && told["holds"] == true && told["answer"]["question"] == QUESTION, "{told}");
    // another tenant's key, and nothing that is one
    let other = scene.house.key("beta-inc", "owner").await;
    let (_, head) = scene.house.call(Method::GET, "/v1/receipts/checkpoint", &other, None).await;
    let (holds, said) = verified(&file, &["--verifier-key", head["verifier_key"].as_str().unwrap()]);
    assert!(!holds && said.contains("does not hold"), "{said}");
    // one letter of what it says
    let text = std::fs::read_to_string(&file).unwrap();
    let receipt: Value = serde_json::from_str(&text).unwrap();
    let payload = receipt["records"][0]["payload"].as_str().unwrap();
    let (start, end) = payload.split_at(payload.len() / 2);
    let letter = if end.starts_with('A') { "B" } else { "A" };
    std::fs::write(&file, text.replace(payload, &format!("{start}{letter}{}", &end[1..]))).unwrap();
    let (holds, said) = verified(&file, &["--verifier-key", &key]);
    assert!(!holds && said.contains("not what stands in the signed journal"), "{said}");
    for (words, expected) in
        [("", "it is empty"), ("{}", "no receipt and no export"), ("{\"format\":\"x\"}", "knows no")]
    {
        std::fs::write(&file, words).unwrap();
        let (holds, said) = verified(&file, &[]);
        assert!(!holds && said.contains(expected), "{words}: {said}");
    }
}

#[tokio::test]
async fn a_journal_is_proved_whole_and_grown_from_what_it_was() {
    let scene = Scene::new().await;
    let earlier = scene.saved("/v1/receipts/checkpoint", "earlier.json").await;
    let scene = scene.killed();
    let ask = Some(json!({"question": QUESTION}));
    assert_eq!(scene.house.call(Method::POST, "/v1/ask", &scene.key, ask).await.0, 200);
    let (file, key) = (scene.saved("/v1/receipts/export", "journal.jsonl").await, scene.verifier_key().await);
    let since = ["--verifier-key", &key, "--since", earlier.to_str().unwrap()];
    let (holds, said) = verified(&file, &since);
    assert!(holds && said.contains("2 answers, charged 0 USD together: none is missing"), "{said}");
    assert!(said.contains("it has grown from the earlier checkpoint"), "{said}");
    let lines: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    let write = |lines: &[String]| std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    write(&lines[..lines.len() - 1]);
    let (holds, said) = verified(&file, &since);
    assert!(!holds && said.contains("records are missing"), "{said}");
    let without: Vec<_> = lines.iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, line)| line.clone()).collect();
    write(&without);
    let (holds, said) = verified(&file, &since);
    assert!(!holds && said.contains("behind the record before it"), "{said}");
    let (status, told) = scene.house.call(Method::GET, "/v1/receipts/checkpoint?since=3", &scene.key, None).await;
    assert!(status == 200 && told["consistency"].is_array(), "{told}");
    let whole = scene.saved("/v1/receipts/export", "journal.jsonl").await;
    let told = scene.saved("/v1/lineage/export", "lineage.jsonl").await;
    let against = ["--journal", whole.to_str().unwrap(), "--verifier-key", &key, "--checkpoint", since[3]];
    let (holds, said) = verified(&told, &against);
    assert!(holds && said.contains("the 2 lines of lineage are what its records say"), "{said}");
    let (holds, said) = verified(&told, &[]);
    assert!(!holds && said.contains("it is a lineage file; name the export of its journal with --journal"), "{said}");
    let (holds, said) = verified(&told, &["--journal", told.to_str().unwrap()]);
    assert!(!holds && said.contains("it is no export"), "{said}");
    let lines = std::fs::read_to_string(&told).unwrap();
    std::fs::write(&told, lines.replacen("\"leave\"", "\"other\"", 1)).unwrap();
    let (holds, said) = verified(&told, &against);
    assert!(!holds && said.contains("verifying line 1 of the lineage"), "{said}");
    std::fs::write(&told, lines.lines().next().unwrap()).unwrap();
    let (holds, said) = verified(&told, &against);
    assert!(!holds && said.contains("lines were cut off"), "{said}");
    let viewer = scene.house.key(TENANT, "viewer").await;
    assert_eq!(scene.house.call(Method::GET, "/v1/receipts/export", &viewer, None).await.0, 403);
}
