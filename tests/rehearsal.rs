//! Policies are rehearsed before they come into force: on what was asked before, and on what the tenant knows the answer to.
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
use support::{Ended, House, house, repository, sign_policies, until};

const TENANT: &str = "default";
/// Of the sample tenant's golden questions, and the document that answers it.
const QUESTION: &str = "Which induction must I complete before I may use the laser cutter?";
const DOCUMENT: &str = "maker-space-safety.md";
const ASKED: u64 = 12;
const NOBODY_ASKS: &str = "rules:\n  - id: nobody-asks\n    effect: forbid\n    actions: [ask]\n    when: { request.bytes: { \
                           at_least: 1 } }\n    overrides: [members-work]\n    reason: a slip\n";

struct Scene {
    folder: tempfile::TempDir,
    house: Ended,
    key: String,
}

impl Scene {
    /// A tenant that has one document of its golden set, and has been asked about it.
    async fn new() -> Self {
        let (folder, house) = house();
        let key = house.key(TENANT, "owner").await;
        let text =
            std::fs::read_to_string(repository().join("tenants").join(TENANT).join("corpus").join(DOCUMENT)).unwrap();
        house.teach(&key, DOCUMENT, "Safety", &text).await;
        let scene = Self { folder, house, key };
        for _ in 0..ASKED {
            assert_eq!(scene.ask().await.0, 200);
        }
        scene
    }

    async fn ask(&self) -> (u16, Value) {
        self.house.call(Method::POST, "/v1/ask", &self.key, Some(json!({"question": QUESTION}))).await
    }

    /// Changes a policy file as its signers would.
    fn change(&self, file: &str, changes: &[(&str, &str)]) {
        let path = self.house.tenants.join(TENANT).join(file);
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{file} has no {from:?}:\n{text}");
            text = text.replacen(from, to, 1);
        }
        std::fs::write(&path, text).unwrap();
        sign_policies(&self.house.tenants, TENANT);
    }

    async fn view(&self) -> Value {
        self.house.call(Method::GET, &format!("/admin/v1/tenants/{TENANT}"), &self.house.operator_key(), None).await.1
    }

    /// Waits until the newest files are refused for a reason with these words.
    async fn refused(&self, words: &str) -> String {
        until(words, async || {
            self.view().await["reason"].as_str().filter(|reason| reason.contains(words)).map(str::to_owned)
        })
        .await
    }

    async fn in_force(&self, version: &str) {
        until(version, async || (self.view().await["policy_version"] == version).then_some(())).await;
    }

    fn rehearse(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args(["policy", "rehearse", "--tenant", TENANT, "--server", &self.house.url])
            .args(["--key", &self.house.operator_key()])
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        said
    }

    fn killed(mut self) -> Self {
        self.house.0.take().unwrap().kill();
        let house = Ended(Some(House::start_on(self.folder.path(), None)));
        Self { house, ..self }
    }
}

#[tokio::test]
async fn a_guard_that_loses_a_golden_document_does_not_come_into_force() {
    let scene = Scene::new().await;
    let file = "policies/retrieval.yaml";
    let forbid = ("forbidden_patterns:\n", "forbidden_patterns:\n      - '(?i)laser'\n");
    scene.change(file, &[forbid, ("policy_semver: 1.0.0", "policy_semver: 1.1.0")]);
    let reason = scene.refused("golden question").await;
    assert!(reason.contains(DOCUMENT) && reason.contains(QUESTION), "{reason}");
    assert!(reason.contains("more than the 0 of settings.sandbox.golden_lost_max"), "{reason}");
    let (_, answer) = scene.ask().await;
    assert_eq!(answer["citations"][0]["document_id"], DOCUMENT, "what was in force stays: {answer}");
    let said = scene.rehearse();
    assert!(said.contains(&format!("of the last {} requests", ASKED + 1)), "{said}");
    assert!(said.contains("golden questions find 0 documents with an answer, instead of 1"), "{said}");

    // a tenant that says so itself: what may be lost is asked of the policy in force, not of the one that would lose it
    let golden = scene.house.tenants.join(TENANT).join("eval/golden.jsonl");
    std::fs::write(&golden, "{\"question\": \"no json\"").unwrap();
    scene.change(file, &[("policy_semver: 1.1.0", "policy_semver: 1.1.1")]);
    scene.refused("eval/golden.jsonl:1:").await;
    std::fs::write(&golden, "").unwrap();
    scene.change(file, &[("policy_semver: 1.1.1", "policy_semver: 1.1.2")]);
    until("nothing is found any more", async || {
        let (_, answer) = scene.ask().await;
        (answer["abstained"] == true).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_would_refuse_what_was_answered_is_held_by_what_the_one_before_allows() {
    let mut scene = Scene::new().await;
    let file = "policies/governance.yaml";
    let bounded = ("settings:\n", "settings:\n  sandbox: { refused_percent_max: 50 }\n");
    scene.change(file, &[bounded, ("policy_semver: 1.0.0", "policy_semver: 1.1.0")]);
    scene.in_force("1.1.0").await;
    scene = scene.killed();
    let loose = ("refused_percent_max: 50", "refused_percent_max: 100");
    scene.change(file, &[("rules:\n", NOBODY_ASKS), loose, ("policy_semver: 1.1.0", "policy_semver: 2.0.0")]);
    let reason = scene.refused("would be refused or withheld").await;
    let all = format!("of the last {ASKED} requests that were answered, {ASKED} would");
    assert!(reason.contains(&all) && reason.contains("the 50 %"), "requests survive a power cut: {reason}");
    assert_eq!(scene.ask().await.0, 200);
    let said = scene.rehearse();
    assert!(said.contains(&format!("{} would be refused", ASKED + 1)) && said.contains("a slip"), "{said}");

    scene.change(file, &[(NOBODY_ASKS, "rules:\n"), ("policy_semver: 2.0.0", "policy_semver: 2.0.1")]);
    scene.in_force("2.0.1").await;
    scene.change(file, &[("rules:\n", NOBODY_ASKS), ("policy_semver: 2.0.1", "policy_semver: 2.0.2")]);
    scene.in_force("2.0.2").await;
    assert_eq!(scene.ask().await.0, 403, "the one before allows it now");
    let path = format!("/admin/v1/policies/{TENANT}/releases");
    let (_, list) = scene.house.call(Method::GET, &path, &scene.key, None).await;
    let releases = list["releases"].as_array().unwrap();
    let versions: Vec<_> = releases.iter().map(|release| release["version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["1.0.0", "1.1.0", "2.0.1", "2.0.2"]);
    assert_eq!(releases[0]["rehearsal"], Value::Null);
    let last = &releases[3]["rehearsal"];
    assert_eq!((&last["requests"], &last["refused"]), (&json!(ASKED + 1), &json!(ASKED + 1)), "{list}");
}
