//! A release on its way to everybody, from outside: in stages, by conversation, over a `kill -9`, and back by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

mod support;
use support::{Ended, House, copy_tenants, repository, sign_policies, until};

const TENANT: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";
const LEAVE: &str = "Every employee has thirty days of paid leave in a year.";
/// Conversations whose release is looked at one by one.
const LOOKED_AT: usize = 60;
/// Far more requests than a stage takes.
const REQUESTS_MAX: usize = 20_000;

/// A house whose tenant's releases go in stages that are as short as can be.
struct Scene {
    folder: tempfile::TempDir,
    house: Ended,
    key: String,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_tenants(folder.path());
        let text = |file: &str| folder.path().join("tenants").join(TENANT).join(file);
        let record = std::fs::read_to_string(text("tenant.yaml")).unwrap();
        let quotas = "max_requests_per_hour: 100000000";
        let (before, rest) = record.split_once("max_requests_per_hour: ").unwrap();
        let (_, rest) = rest.split_once('\n').unwrap();
        std::fs::write(text("tenant.yaml"), format!("{before}{quotas}\n{rest}")).unwrap();
        let governance = std::fs::read_to_string(text("policies/governance.yaml")).unwrap();
        let staged = "settings:\n  rollout: { stage_minutes: 0, stage_requests: 20 }\n";
        std::fs::write(text("policies/governance.yaml"), governance.replacen("settings:\n", staged, 1)).unwrap();
        sign_policies(&folder.path().join("tenants"), TENANT);
        let house = House::start_on(folder.path(), None);
        let key = house.key(TENANT, "owner").await;
        house.teach(&key, "leave", "Leave", LEAVE).await;
        Self { folder, house: Ended(Some(house)), key }
    }

    /// Changes governance.yaml as its signers would, under another version.
    fn release(&self, version: &str, from: &str, to: &str) {
        let file = self.house.tenants.join(TENANT).join("policies/governance.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        let versioned = |line: &str| match line.strip_prefix("policy_semver:") {
            Some(_) => format!("policy_semver: {version}"),
            None => line.to_owned(),
        };
        let text: Vec<_> = text.replacen(from, to, 1).lines().map(versioned).collect();
        std::fs::write(&file, text.join("\n") + "\n").unwrap();
        sign_policies(&self.house.tenants, TENANT);
    }

    async fn rollout(&self) -> Value {
        let path = format!("/admin/v1/policies/{TENANT}/rollout");
        self.house.call(Method::GET, &path, &self.key, None).await.1["rollout"].clone()
    }

    async fn until_on_its_way(&self) {
        until("the release is on its way", async || (!self.rollout().await.is_null()).then_some(())).await;
    }

    async fn send(&self, path: &str, conversation: &str, body: Value) -> (u16, Value) {
        let headers = [("x-bailiwick-conversation", conversation)];
        let answer = self.house.raw(Method::POST, path, &self.key, &headers, Some(body)).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Which release serves each of some conversations.
    async fn served(&self) -> BTreeMap<usize, String> {
        let ask = async |number: usize| {
            let (status, answer) =
                self.send("/v1/ask", &format!("looked-at-{number}"), json!({"question": QUESTION})).await;
            assert_eq!(status, 200, "{answer}");
            (number, answer["policy_version"].as_str().unwrap().to_owned())
        };
        stream::iter((0..LOOKED_AT).map(ask)).buffer_unordered(8).collect().await
    }

    /// Searches, each in a conversation of its own, until the rollout stands as wanted; how many it took.
    async fn search_until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> usize {
        let mut sent = 0;
        while sent < REQUESTS_MAX {
            let search = async |number: usize| {
                self.send("/v1/search", &format!("{what}-{number}"), json!({"query": "paid leave"})).await.0
            };
            let statuses: Vec<u16> = stream::iter((sent..sent + 20).map(search)).buffer_unordered(8).collect().await;
            assert!(statuses.iter().all(|status| [200, 403].contains(status)), "{statuses:?}");
            sent += 20;
            if is_so(&self.rollout().await) {
                return sent;
            }
        }
        panic!("{what}: not after {REQUESTS_MAX} requests, {}", self.rollout().await)
    }

    async fn tenant(&self) -> Value {
        self.house.call(Method::GET, &format!("/admin/v1/tenants/{TENANT}"), &self.house.operator_key(), None).await.1
    }

    /// As after a power cut.
    fn killed(mut self) -> Self {
        self.house.0.take().unwrap().kill();
        let house = Ended(Some(House::start_on(self.folder.path(), None)));
        Self { house, ..self }
    }

    fn command(&self, line: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .arg("policy")
            .args(line)
            .args(["--tenant", TENANT, "--server", &self.house.url, "--key", &self.house.operator_key()])
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }
}

fn of(served: &BTreeMap<usize, String>, version: &str) -> Vec<usize> {
    served.iter().filter(|(_, served)| *served == version).map(|(number, _)| *number).collect()
}

#[tokio::test]
async fn a_good_release_reaches_everybody_in_stages_and_nobody_twice() {
    let mut scene = Scene::new().await;
    scene.release("2.0.0", "require_citations: true", "require_citations: false");
    scene.until_on_its_way().await;
    let tenth = scene.served().await;
    let (new, old) = (of(&tenth, "2.0.0"), of(&tenth, "1.0.0"));
    assert!(!new.is_empty() && new.len() < LOOKED_AT / 3 && new.len() + old.len() == LOOKED_AT, "{tenth:?}");
    assert_eq!(scene.tenant().await["policy_version"], "1.0.0", "what came through");
    scene = scene.killed();
    scene.until_on_its_way().await;
    assert_eq!(scene.served().await, tenth, "one conversation, one release, also after a power cut");
    scene.search_until("half", |rollout| rollout["percent"] == 50).await;
    let half = scene.served().await;
    assert!(of(&tenth, "2.0.0").iter().all(|number| half[number] == "2.0.0"), "nobody goes back: {tenth:?} {half:?}");
    assert!((LOOKED_AT / 4..LOOKED_AT * 3 / 4).contains(&of(&half, "2.0.0").len()), "{half:?}");
    scene = scene.killed();
    scene.until_on_its_way().await;
    assert_eq!(scene.rollout().await["percent"], 50, "a stage that opened stays open");
    assert_eq!(scene.served().await, half);
    scene.search_until("whole", Value::is_null).await;
    assert_eq!(of(&scene.served().await, "2.0.0").len(), LOOKED_AT);
    scene = scene.killed();
    assert_eq!(of(&scene.served().await, "2.0.0").len(), LOOKED_AT);
    assert_eq!((&scene.tenant().await["policy_version"], &scene.rollout().await), (&json!("2.0.0"), &Value::Null));
}

#[tokio::test]
async fn a_release_that_refuses_goes_back_by_itself_and_stays_back() {
    let mut scene = Scene::new().await;
    let forbids = "rules:\n  - id: nobody-searches\n    effect: forbid\n    actions: [search]\n    \
                   when: { request.bytes: { at_least: 1 } }\n    overrides: [members-work]\n    reason: a slip\n";
    scene.release("2.0.0", "rules:\n", forbids);
    scene.until_on_its_way().await;
    let went_back = |rollout: &Value| rollout["next"] == json!({"roll_back": "worse"});
    let sent = scene.search_until("searched", went_back).await;
    let rollout = scene.rollout().await;
    let exposed = rollout["canary"]["requests"].as_u64().unwrap();
    assert!(exposed < 200 && sent < 2_000, "{sent} {rollout}");
    for _ in 0..2 {
        assert_eq!(of(&scene.served().await, "1.0.0").len(), LOOKED_AT);
        let reason = until("it is said", async || scene.tenant().await["reason"].as_str().map(str::to_owned)).await;
        assert!(reason.contains("version 2.0.0 was sent back"), "{reason}");
        for number in 0..20 {
            let body = json!({"query": "paid leave"});
            assert_eq!(scene.send("/v1/search", &format!("after-{number}"), body).await.0, 200);
        }
        scene = scene.killed();
        scene.until_on_its_way().await;
    }
    scene.release("2.0.1", forbids, "rules:\n");
    let is_in_force = async || (scene.tenant().await["policy_version"] == "2.0.1").then_some(());
    until("what people had is for everybody at once", is_in_force).await;
    assert_eq!((&scene.tenant().await["reason"], &scene.rollout().await), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn people_may_hurry_a_release_stop_it_and_go_back_to_an_earlier_one() {
    let scene = Scene::new().await;
    let (done, said) = scene.command(&["promote"]);
    assert!(!done && said.contains("no release is on its way"), "{said}");
    scene.release("2.0.0", "require_citations: true", "require_citations: false");
    scene.until_on_its_way().await;
    let (done, said) = scene.command(&["rollout"]);
    assert!(done && said.contains("10 % of the conversations have the release"), "{said}");
    let (done, said) = scene.command(&["promote"]);
    assert!(done, "{said}");
    until("everybody has it", async || scene.rollout().await.is_null().then_some(())).await;
    assert_eq!(of(&scene.served().await, "2.0.0").len(), LOOKED_AT);

    let signer = repository().join("tests/keys/sample_signer");
    let back = ["rollback", "--to", "1.0.0", "--signer", signer.to_str().unwrap()];
    let tenants = scene.house.tenants.to_str().unwrap().to_owned();
    let (done, said) = scene.command(&[&back[..], &["--tenants", &tenants]].concat());
    assert!(done && said.contains("governance.yaml as in version 1.0.0"), "{said}");
    let file = std::fs::read_to_string(scene.house.tenants.join(TENANT).join("policies/governance.yaml")).unwrap();
    assert!(file.contains("policy_semver: 2.0.1") && file.contains("require_citations: true"), "{file}");
    scene.until_on_its_way().await;
    let (done, said) = scene.command(&["rollback"]);
    assert!(done, "{said}");
    let reason = until("it is said", async || scene.tenant().await["reason"].as_str().map(str::to_owned)).await;
    assert!(reason.contains("version 2.0.1 was sent back"), "{reason}");
    assert_eq!(of(&scene.served().await, "2.0.0").len(), LOOKED_AT);
    let (done, said) = scene.command(&["rollback", "--to", "9.9.9", "--signer", signer.to_str().unwrap()]);
    assert!(!done && said.contains("there are 1.0.0, 2.0.0, 2.0.1"), "{said}");
}
