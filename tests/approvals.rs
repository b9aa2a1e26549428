//! Requests that need somebody else's word, through the doors of a real house: asked, shown, decided, carried out once, and
//! kept over `kill -9`.
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
use support::{Ended, House, copy_tenants, sign_policies};

const TENANT: &str = "acme-corp";
const QUESTION: &str = "Who signs the discharge letters?";
const FACT: &str = "The discharge letters are signed by the attending physician.";

struct Scene {
    folder: tempfile::TempDir,
    house: Ended,
    /// An operator, who asks; an admin and an owner, who may approve; and a key that is nobody's.
    chiara: String,
    ben: String,
    amara: String,
    service: String,
}

impl Scene {
    /// Operators' questions need an approval, and searches are logged.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tenants = copy_tenants(folder.path());
        let path = tenants.join(TENANT).join("policies/governance.yaml");
        let rules = "rules:\n  - id: two-people-ask\n    effect: require\n    actions: [ask]\n    when: { user.role: operator }\n    \
                     obligation: approve\n  - id: who-searches-what\n    effect: require\n    actions: [search]\n    \
                     obligation: log\n";
        let text = std::fs::read_to_string(&path).unwrap().replacen("rules:\n", rules, 1);
        assert!(text.contains("two-people-ask"));
        std::fs::write(path, text).unwrap();
        sign_policies(&tenants, TENANT);
        let house = Ended(Some(House::start_on(folder.path(), None)));
        let key = async |user: &str, role: &str| house.user_key(TENANT, user, role).await;
        let (chiara, ben) = (key("chiara", "operator").await, key("ben", "admin").await);
        let (amara, service) = (key("amara", "owner").await, house.key(TENANT, "owner").await);
        house.teach(&amara, "letters", "Letters", FACT).await;
        Self { folder, house, chiara, ben, amara, service }
    }

    async fn ask(&self, key: &str, question: &str) -> (u16, Value) {
        self.house.call(Method::POST, "/v1/ask", key, Some(json!({"question": question}))).await
    }

    async fn waiting(&self) -> Vec<Value> {
        let (status, list) =
            self.house.call(Method::GET, &format!("/admin/v1/approvals/{TENANT}"), &self.amara, None).await;
        assert_eq!(status, 200, "{list}");
        list["approvals"].as_array().unwrap().clone()
    }

    /// The same list, among those of all tenants.
    async fn waiting_in_fleet(&self) -> Value {
        let (status, list) =
            self.house.call(Method::GET, "/admin/v1/approvals", &self.house.operator_key(), None).await;
        assert_eq!(status, 200, "{list}");
        assert_eq!(list["unread"], json!([]), "every tenant was asked");
        list["approvals"].clone()
    }

    async fn decide(&self, key: &str, id: &str, body: Value) -> (u16, Value) {
        self.house.call(Method::POST, &format!("/admin/v1/approvals/{TENANT}/{id}"), key, Some(body)).await
    }

    fn killed(mut self) -> Self {
        self.house.0.take().unwrap().kill();
        let house = Ended(Some(House::start_on(self.folder.path(), None)));
        Self { house, ..self }
    }

    fn command(&self, arguments: &[&str], key: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command.args(["approval"]).args(arguments).args([
            "--tenant",
            TENANT,
            "--server",
            &self.house.url,
            "--key",
            key,
        ]);
        command.output().unwrap()
    }
}

#[tokio::test]
async fn a_word_is_asked_for_given_and_used_over_power_cuts() {
    let scene = Scene::new().await;
    assert_eq!(scene.ask(&scene.amara, QUESTION).await.0, 200, "the rule is about operators");
    let (status, refused) = scene.ask(&scene.chiara, QUESTION).await;
    assert_eq!((status, &refused["code"]), (403, &json!("policy_denied")), "{refused}");
    let scene = scene.killed();
    let waiting = scene.waiting().await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let request = &waiting[0];
    let mut named = request.clone();
    named["tenant"] = json!(TENANT);
    assert_eq!(scene.waiting_in_fleet().await, json!([named]));
    let id = request["id"].as_str().unwrap();
    assert!(refused["detail"].as_str().unwrap().contains(id), "{refused}");
    assert_eq!((&request["state"], &request["subject"]), (&json!("waiting"), &json!(QUESTION)));
    assert_eq!((&request["user_id"], &request["action"]), (&json!("chiara"), &json!("ask")));

    let approve = || json!({"approve": true, "minutes": 5});
    for nobody in [&scene.service, &scene.house.operator_key()] {
        let (status, said) = scene.decide(nobody, id, approve()).await;
        assert_eq!((status, &said["code"]), (403, &json!("forbidden")), "{said}");
    }
    assert_eq!(scene.decide(&scene.chiara, id, approve()).await.0, 403, "an operator has no such right");
    for (wrong, status) in
        [(json!({"approve": true, "minutes": 0}), 400), (json!({}), 400), (json!({"approve": 1}), 400)]
    {
        assert_eq!(scene.decide(&scene.ben, id, wrong.clone()).await.0, status, "{wrong}");
    }
    assert_eq!(scene.decide(&scene.ben, "00ff", approve()).await.0, 404);
    let (status, approved) = scene.decide(&scene.ben, id, approve()).await;
    assert_eq!((status, &approved["state"]), (200, &json!("approved")), "{approved}");
    assert_eq!(scene.decide(&scene.amara, id, json!({"approve": false})).await.0, 409, "once said it is said");

    let scene = scene.killed();
    assert_eq!(scene.waiting().await[0]["state"], "approved");
    let changed = format!("{QUESTION}!");
    assert_eq!(scene.ask(&scene.chiara, &changed).await.0, 403, "changed by one character it is another request");
    let (status, answer) = scene.ask(&scene.chiara, QUESTION).await;
    assert_eq!((status, &answer["citations"][0]["document_id"]), (200, &json!("letters")), "{answer}");
    let scene = scene.killed();
    assert_eq!(scene.ask(&scene.chiara, QUESTION).await.0, 403, "one answer for one approval");
}

#[tokio::test]
async fn people_decide_on_the_command_line() {
    let scene = Scene::new().await;
    assert_eq!(scene.ask(&scene.chiara, QUESTION).await.0, 403);
    let id = scene.waiting().await[0]["id"].as_str().unwrap().to_owned();
    let text = |output: &Output| String::from_utf8([&*output.stdout, &*output.stderr].concat()).unwrap();
    let listed = scene.command(&["list"], &scene.ben);
    let said = text(&listed);
    assert!(
        listed.status.success() && said.contains(&id) && said.contains(QUESTION) && said.contains("chiara"),
        "{said}"
    );
    let approved = scene.command(&["approve", &id], &scene.ben);
    assert!(approved.status.success() && text(&approved).contains("approved"), "{}", text(&approved));
    assert_eq!(scene.ask(&scene.chiara, QUESTION).await.0, 200);
    assert_eq!(scene.ask(&scene.chiara, QUESTION).await.0, 403);
    let refused = scene.command(&["refuse", &id], &scene.amara);
    assert!(refused.status.success() && text(&refused).contains("refused"), "{}", text(&refused));
    let (_, denied) = scene.ask(&scene.chiara, QUESTION).await;
    assert!(denied["detail"].as_str().unwrap().contains("was refused by a person"), "{denied}");
    let again = scene.command(&["approve", &id], &scene.ben);
    assert!(!again.status.success() && text(&again).contains("decided already"), "{}", text(&again));
}
