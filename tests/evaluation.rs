//! Golden questions asked through the real binary: what comes back is measured, recorded, shown and held against the policy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::process::{Command, Output};

mod support;
use support::{Ended, House, house, repository, sign_policies, until};

const TENANT: &str = "default";

fn run(house: &House, key: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .args(["eval", "run", "--tenant", TENANT, "--output", "json", "--server", &house.url, "--key", key])
        .output()
        .unwrap()
}

fn said(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn mean(evaluation: &Value, name: &str) -> f64 {
    let measures = evaluation["measures"].as_array().unwrap();
    let found =
        measures.iter().find(|measure| measure["name"] == name).unwrap_or_else(|| panic!("{name}: {evaluation}"));
    found["estimate"]["mean"].as_f64().unwrap()
}

/// A tenant with its sample corpus, under the names its golden questions know.
async fn taught(house: &Ended) -> String {
    let key = house.key(TENANT, "owner").await;
    let ingested = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .args(["ingest", "--tenant", TENANT, "--server", &house.url, "--key", &key])
        .arg(repository().join("tenants").join(TENANT).join("corpus"))
        .output()
        .unwrap();
    assert!(ingested.status.success(), "{ingested:?}");
    until("the corpus is searchable", async || {
        let listed = house.call(Method::GET, "/v1/documents?limit=1000", &key, None).await.1;
        let documents = listed["documents"].as_array().unwrap().clone();
        (!documents.is_empty() && documents.iter().all(|document| document["state"] != "accepted")).then_some(())
    })
    .await;
    key
}

fn golden(house: &House) -> std::path::PathBuf {
    house.tenants.join(TENANT).join("eval/golden.jsonl")
}

#[tokio::test]
async fn golden_questions_are_asked_measured_recorded_and_held_against_the_policy() {
    let (folder, house) = house();
    let owner = taught(&house).await;
    let questions = std::fs::read_to_string(golden(&house)).unwrap().lines().count();

    let output = run(&house, &owner);
    let evaluation = said(&output);
    assert_eq!(evaluation["questions"], questions, "{evaluation}");
    assert_eq!(evaluation["failed"], 0, "{evaluation}");
    assert!((mean(&evaluation, "citation_validity") - 1.0).abs() < 1e-9, "{evaluation}");
    assert!(mean(&evaluation, "recall_at_10") > 0.8, "{evaluation}");
    assert_eq!(output.status.success(), evaluation["objections"].as_array().unwrap().is_empty());
    let answered = house.usage(&owner).await["counts"]["answered"].as_u64().unwrap();
    assert!(answered > 0, "they are asked like any other question");

    // auditors see it, askers do not; it outlives the process
    let path = format!("/admin/v1/tenants/{TENANT}/evals");
    let viewer = house.key(TENANT, "viewer").await;
    assert_eq!(house.call(Method::POST, &path, &viewer, None).await.0, 403);
    let auditor = house.key(TENANT, "auditor").await;
    assert_eq!(house.call(Method::POST, &path, &auditor, None).await.0, 403, "it costs money");
    let listed = house.call(Method::GET, &path, &auditor, None).await.1;
    assert_eq!(listed["evaluations"][0], evaluation);
    // every answer given was measured, whoever asked
    let release = &listed["online"]["releases"][0];
    assert_eq!(release["answers"], questions, "{listed}");
    let told = questions as u64 - release["abstained"].as_u64().unwrap();
    for name in ["citation_validity", "k_precision", "citation_support"] {
        let measures = release["measures"].as_array().unwrap();
        let measure = measures.iter().find(|measure| measure["name"] == name).unwrap();
        assert_eq!(measure["estimate"]["count"], told, "{name}: {release}");
    }
    assert!((mean(release, "citation_validity") - 1.0).abs() < 1e-9, "{release}");
    let mut house = house;
    house.0.take().unwrap().kill();
    let house = Ended(Some(House::start_on(folder.path(), None)));
    until("the tenant serves again", async || {
        (house.call(Method::GET, &path, &auditor, None).await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(house.call(Method::GET, &path, &auditor, None).await.1, listed);
}

#[tokio::test]
async fn a_policy_that_asks_for_more_than_it_gets_is_told_so() {
    let (_folder, house) = house();
    let owner = taught(&house).await;
    for file in ["policies/evaluation.yaml", "policies/governance.yaml"] {
        let file = house.tenants.join(TENANT).join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        let line = |line: &str| match line.split_once(':') {
            Some(("policy_semver", _)) => "policy_semver: 9.0.0\n".to_owned(),
            Some(("  min_ndcg_at_10", _)) => "  min_ndcg_at_10: 1.0\n".to_owned(),
            _ => format!("{line}\n"),
        };
        std::fs::write(&file, text.lines().map(line).collect::<String>()).unwrap();
    }
    // a question whose document nobody has: nDCG can no longer be 1
    let unknown = json!({"question": "What does the missing document say?", "relevant": ["missing.md"]});
    let mut questions = std::fs::read_to_string(golden(&house)).unwrap();
    questions.push_str(&format!("{unknown}\n"));
    std::fs::write(golden(&house), questions).unwrap();
    sign_policies(&house.tenants, TENANT);
    let view = format!("/admin/v1/tenants/{TENANT}");
    until("the stricter policy is in force", async || {
        let view = house.call(Method::GET, &view, &house.operator_key(), None).await.1;
        assert!(view["reason"].is_null(), "{view}");
        (view["policy_version"] == "9.0.0").then_some(())
    })
    .await;
    let output = run(&house, &owner);
    let evaluation = said(&output);
    assert_eq!(output.status.code(), Some(1), "{evaluation}");
    assert!(evaluation["objections"][0].as_str().unwrap().contains("settings.min_ndcg_at_10"), "{evaluation}");
    assert!(evaluation["missed"].to_string().contains("no document that answers it was found"), "{evaluation}");

    std::fs::write(golden(&house), "").unwrap();
    let (status, body) = house.call(Method::POST, &format!("{view}/evals"), &owner, None).await;
    assert_eq!(status, 409, "{body}");
    assert!(body["detail"].as_str().unwrap().contains("golden.jsonl"), "{body}");
}
