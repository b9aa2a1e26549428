//! Bearer tokens of an identity provider at the doors of a real house: whom they let in, where to, and until when.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

mod support;
use support::issuer::{Provider, Signer};
use support::{Ended, House, copy_tenants, until};

const OWN: &str = "acme-corp";
const OTHER: &str = "beta-inc";
const FACT: &str = "The cardiology ward has twelve monitored beds.";

/// A house that trusts a provider for one tenant, which knows one document.
struct Scene {
    provider: Provider,
    signer: Signer,
    folder: tempfile::TempDir,
    house: Ended,
}

impl Scene {
    async fn new() -> Self {
        let (provider, signer) = (Provider::start().await, Signer::ed("first"));
        provider.publish(&[&signer]);
        Self::with(provider, signer).await
    }

    async fn with(provider: Provider, signer: Signer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_tenants(folder.path());
        let house = Ended(Some(House::start_on(folder.path(), Some(&provider.trusted_for(&[OWN])))));
        Self { provider, signer, folder, house }
    }

    fn token(&self, user: &str, role: &str) -> String {
        self.signer.sign(&self.provider.claims(OWN, user, role))
    }

    /// A good token with one claim replaced.
    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.provider.claims(OWN, "chiara", "operator");
        claims[name] = value;
        self.signer.sign(&claims)
    }

    /// Locks a user; comes back when nobody is let in with this token of the user any more.
    async fn lock(&self, user: &str, token: &str) {
        let file = self.house.tenants.join(OWN).join("users.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, after) = (format!("user_id: {user}\n"), format!("user_id: {user}\n    status: locked\n"));
        std::fs::write(&file, text.replace(&before, &after)).unwrap();
        until("the file is in force", async || (self.search(token, &[]).await.0 == 401).then_some(())).await;
    }

    async fn search(&self, key: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let query = Some(json!({"query": "monitored beds in cardiology"}));
        let response = self.house.raw(Method::POST, "/v1/search", key, headers, query).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Status and what a refusal says, without what is different every time.
    async fn refusal(&self, key: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let (status, mut body) = self.search(key, headers).await;
        body.as_object_mut().unwrap().remove("request_id");
        (status, body)
    }
}

#[actix_web::test]
async fn a_token_is_let_in_to_its_tenant_and_nowhere_else() {
    let scene = Scene::new().await;
    let owner = scene.house.key(OWN, "owner").await;
    scene.house.teach(&owner, "beds", "Wards", FACT).await;
    let token = scene.token("chiara", "operator");
    let (status, found) = scene.search(&token, &[]).await;
    assert_eq!((status, found["hits"].as_array().map(Vec::len)), (200, Some(1)), "{found}");
    let named = scene.search(&token, &[("x-bailiwick-tenant", OWN)]).await;
    assert_eq!((named.0, &named.1["hits"]), (200, &found["hits"]));
    let other = scene.refusal(&token, &[("x-bailiwick-tenant", OTHER)]).await;
    let absent = scene.refusal(&token, &[("x-bailiwick-tenant", "no-such-tenant")]).await;
    assert_eq!((other.0, &other), (404, &absent), "another tenant's name opens nothing and says nothing");
    for (path, status) in [
        (format!("/admin/v1/tenants/{OWN}/keys"), 403),
        (format!("/admin/v1/tenants/{OTHER}/keys"), 404),
        ("/admin/v1/tenants".to_owned(), 403),
    ] {
        let (found, body) = scene.house.call(Method::GET, &path, &token, None).await;
        assert_eq!(found, status, "{path}: {body}");
    }
    let (usage, _) = scene.house.call(Method::GET, "/v1/usage", &scene.token("elif", "owner"), None).await;
    let (asked, _) = scene.search(&scene.token("elif", "owner"), &[]).await;
    assert_eq!((usage, asked), (200, 403), "users.yaml knows elif as a viewer");
}

#[actix_web::test]
async fn whatever_is_wrong_with_a_token_the_answer_is_that_to_an_unknown_key() {
    let scene = Scene::new().await;
    let unknown = scene.refusal(&format!("bwk_{}_{}", "a".repeat(12), "0".repeat(64)), &[]).await;
    assert_eq!((unknown.0, &unknown.1["code"]), (401, &json!("unauthenticated")));
    let good = scene.token("chiara", "operator");
    assert_eq!(scene.search(&good, &[]).await.0, 200);
    let wrong = [
        ("expired", scene.with_claim("exp", json!(1_700_000_000))),
        ("not yet valid", scene.with_claim("nbf", json!(4_000_000_000_u64))),
        ("another tenant", scene.with_claim("tenant", json!(OTHER))),
        ("no tenant", scene.with_claim("tenant", Value::Null)),
        ("no role", scene.with_claim("role", Value::Null)),
        ("another audience", scene.with_claim("aud", json!("somebody"))),
        ("another issuer", scene.with_claim("iss", json!("https://login.example"))),
        ("another key", Signer::ed("first").sign(&scene.provider.claims(OWN, "chiara", "operator"))),
        ("cut", good[..good.len() - 1].to_owned()),
    ];
    for (what, token) in &wrong {
        for headers in [&[][..], &[("x-bailiwick-tenant", OWN)], &[("x-bailiwick-tenant", OTHER)]] {
            assert_eq!(scene.refusal(token, headers).await, unknown, "{what}");
        }
    }
    let Scene { mut house, .. } = scene;
    let log = house.0.take().unwrap().kill().join("\n");
    for reason in ["expired", "not_yet_valid", "tenant", "role", "audience", "unknown_issuer", "signature"] {
        let line = log.lines().find(|line| line.contains("a token is refused") && line.contains(reason));
        assert!(line.is_some_and(|line| line.contains("tenant=")), "{reason}:\n{log}");
    }
    assert!(!log.contains(&good[..40]), "no token stands in the log");
}

#[actix_web::test]
async fn a_provider_may_come_up_later_and_change_its_keys() {
    let (provider, first) = (Provider::start().await, Signer::ed("first"));
    let scene = Scene::with(provider, first).await;
    scene.provider.publish(&[&scene.signer]);
    let old = scene.token("chiara", "operator");
    assert_eq!(scene.search(&old, &[]).await.0, 200, "the key set is read because of this token");

    let scene = Scene::new().await;
    let old = scene.token("chiara", "operator");
    assert_eq!(scene.search(&old, &[]).await.0, 200);
    let second = Signer::ec("second");
    scene.provider.publish(&[&second]);
    let new = second.sign(&scene.provider.claims(OWN, "chiara", "operator"));
    assert_eq!(scene.search(&new, &[]).await.0, 200);
    assert_eq!(scene.search(&old, &[]).await.0, 401, "its key was withdrawn, although it was let in a moment ago");
}

#[actix_web::test]
async fn a_locked_user_is_refused_and_so_is_everybody_whose_issuer_is_not_trusted_any_more() {
    let scene = Scene::new().await;
    let body = json!({"role": "operator", "user_id": "chiara"});
    let path = format!("/admin/v1/tenants/{OWN}/keys");
    let (status, issued) = scene.house.call(Method::POST, &path, &scene.house.operator_key(), Some(body)).await;
    assert_eq!(status, 201, "{issued}");
    let (key, token) = (issued["key"].as_str().unwrap().to_owned(), scene.token("chiara", "operator"));
    let (other, other_key) = (scene.token("ben", "operator"), scene.house.key(OWN, "operator").await);
    for credential in [&key, &token, &other, &other_key] {
        assert_eq!(scene.search(credential, &[]).await.0, 200);
    }
    scene.lock("chiara", &token).await;
    for (credential, status) in [(&key, 401), (&token, 401), (&other, 200), (&other_key, 200)] {
        assert_eq!(scene.search(credential, &[]).await.0, status);
    }
    let Scene { mut house, folder, .. } = scene;
    house.0.take().unwrap().kill();
    let house = Ended(Some(House::start_on(folder.path(), None)));
    let query = json!({"query": "beds"});
    for (credential, status) in [(&other, 401), (&key, 401), (&other_key, 200)] {
        assert_eq!(house.call(Method::POST, "/v1/search", credential, Some(query.clone())).await.0, status);
    }
}

#[actix_web::test]
async fn a_session_opened_by_a_token_ends_for_a_locked_user_at_once() {
    let scene = Scene::new().await;
    let token = scene.token("chiara", "operator");
    let url = format!("{}/v1/session", scene.house.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    let offered = format!("bailiwick.v1, bailiwick-key.{token}");
    request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
    let (mut session, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let mut ask = async |id: &str| {
        let frame = json!({"type": "ask", "id": id, "question": "How many beds does the ward have?"});
        session.send(Message::text(frame.to_string())).await.unwrap();
        loop {
            let heard = tokio::time::timeout(std::time::Duration::from_secs(30), session.next()).await;
            if let Message::Text(text) = heard.expect("the session is silent").unwrap().unwrap() {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["type"] == "done" || frame["type"] == "error" {
                    return frame;
                }
            }
        }
    };
    let first = ask("a").await;
    assert_eq!(first["type"], "done", "{first}");
    scene.lock("chiara", &token).await;
    let next = ask("b").await;
    assert!(next["type"] == "error" && next.to_string().contains("unauthenticated"), "{next}");
}
