//! Two tenants of one house, and everything of the other one that has a name.
use super::support::foreign::{Names, Pair};
use super::support::{Ended, House, copy_tenants, sign_policies};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub const OWN: &str = "default";
pub const OTHER: &str = "beta-inc";
/// Stands in every text of the other tenant and nowhere else.
pub const CANARY: &str = "zanzibar";
pub const NAMES: Names<'static> = Names { theirs: OTHER, their_uuid: "c81e7b52-3d94-4f0e-a7c6-5be2914f6d03", own: OWN };

const PONDS: [&str; 3] = ["alder", "birch", "cedar"];
const LEDGERS: usize = 4;

/// The asker's house, and what its neighbour has.
pub struct Scene {
    pub house: Ended,
    _folder: tempfile::TempDir,
    pub own_key: String,
    their_key: String,
    pub own_documents: Vec<String>,
    pub names: Vec<Pair>,
    pub documents: Vec<Pair>,
    pub sources: Vec<Pair>,
    pub domains: Vec<Pair>,
    pub queries: Vec<Pair>,
    pub idempotency_keys: Vec<Pair>,
    pub conversations: Vec<Pair>,
    pub key_ids: Vec<Pair>,
    pub users: Vec<Pair>,
    pub flags: Vec<Pair>,
    pub versions: Vec<Pair>,
    pub approvals: Vec<Pair>,
    pub imports: Vec<Pair>,
    pub erasures: Vec<Pair>,
    pub journals: Vec<Pair>,
    pub tags: Vec<Pair>,
    used: Mutex<HashSet<String>>,
}

/// Removals of the other tenant wait for somebody's approval.
fn careful(tenants: &Path) {
    let path = tenants.join(OTHER).join("policies/governance.yaml");
    let rule =
        "rules:\n  - id: two-people-remove\n    effect: require\n    actions: [remove]\n    obligation: approve\n";
    let text = std::fs::read_to_string(&path).unwrap().replacen("rules:\n", rule, 1);
    assert!(text.contains("two-people-remove"));
    std::fs::write(path, text).unwrap();
    sign_policies(tenants, OTHER);
}

impl Scene {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        careful(&copy_tenants(folder.path()));
        let house = Ended(Some(House::start_on(folder.path(), None)));
        let (own_key, their_key) =
            (house.user_key(OWN, "dana", "owner").await, house.user_key(OTHER, "farah", "owner").await);
        let mut scene = Self {
            house,
            _folder: folder,
            own_key,
            their_key,
            own_documents: Vec::new(),
            names: vec![Pair::of(OTHER), Pair::of_uuid(NAMES.their_uuid), Pair::of("acme-corp")],
            documents: Vec::new(),
            sources: Vec::new(),
            domains: ["payments", "closing"].map(Pair::of).to_vec(),
            queries: Vec::new(),
            idempotency_keys: Vec::new(),
            conversations: Vec::new(),
            key_ids: Vec::new(),
            users: ["farah", "goran", "hana"].map(Pair::of).to_vec(),
            flags: vec![Pair::of("drift_alerts")],
            versions: Vec::new(),
            approvals: Vec::new(),
            imports: Vec::new(),
            erasures: Vec::new(),
            journals: Vec::new(),
            tags: Vec::new(),
            used: Mutex::default(),
        };
        scene.own_works().await;
        scene.they_work().await;
        scene.a_third_erases().await;
        scene
    }

    /// Somebody else's requests for erasure; the other tenant's own wait for an approval.
    async fn a_third_erases(&mut self) {
        let key = self.house.user_key("acme-corp", "bob", "owner").await;
        for subject in ["nobody", "nobody else"] {
            let (status, asked) =
                self.house.call(Method::POST, "/v1/erasures", &key, Some(json!({"subject": subject}))).await;
            assert_eq!(status, 202, "{asked}");
            self.erasures.push(Pair::of(asked["id"].as_str().unwrap()));
        }
    }

    async fn own_works(&mut self) {
        for pond in PONDS {
            let id = format!("pond-{pond}");
            let text = format!("The heron of the {pond} pond stands in shallow water.");
            self.house.teach(&self.own_key, &id, &format!("Pond {pond}"), &text).await;
        }
        self.own_documents = self.in_order().await;
    }

    /// The own documents, page by page, in the order pages have.
    async fn in_order(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().map(|id| format!("&after={id}")).unwrap_or_default();
            let path = format!("/v1/documents?limit=1{after}");
            let (status, page) = self.house.call(Method::GET, &path, &self.own_key, None).await;
            assert_eq!(status, 200, "{page}");
            let Some(next) = page["documents"][0]["id"].as_str() else { return all };
            all.push(next.to_owned());
        }
    }

    async fn they_work(&mut self) {
        for number in 0..LEDGERS {
            let id = format!("invoice-{number:02}");
            let text = format!("The quagga of {CANARY} ledger {number} is kept by auditors of {CANARY}.");
            let document = json!({"id": id, "title": format!("{CANARY} {number}"), "text": text,
                "domain": "payments", "usecase": "closing"});
            let taken = self.they(Method::POST, "/v1/documents", Some(json!({"documents": [document]}))).await;
            self.house.indexed(&self.their_key, &id).await;
            assert_eq!(taken["documents"][0]["state"], "accepted", "{taken}");
            self.documents.extend([Pair::of(format!("{id}#0")), Pair::of(id)]);
            let (key, conversation) = (format!("closing-2025-{number}"), format!("thread-{number}"));
            let headers = [("idempotency-key", key.as_str()), ("x-bailiwick-conversation", conversation.as_str())];
            let ask = json!({"question": format!("Who keeps the quagga of {CANARY} ledger {number}?")});
            let answer = self.house.raw(Method::POST, "/v1/ask", &self.their_key, &headers, Some(ask)).await;
            let answer: Value = answer.json().await.unwrap();
            assert!(answer.to_string().contains(CANARY) && answer["abstained"] == false, "{answer}");
            let query_id = answer["query_id"].as_str().unwrap().to_owned();
            self.they(Method::POST, "/v1/feedback", Some(json!({"query_id": query_id, "rating": "up"}))).await;
            self.queries.push(Pair::of_uuid(query_id));
            self.idempotency_keys.push(Pair::of(key));
            self.conversations.push(Pair::of(conversation));
        }
        let from_upload = |id: &Pair| {
            let [theirs, nobodys] = [&id.theirs, &id.nobodys].map(|id| format!("upload.local/{id}"));
            Pair { theirs, nobodys }
        };
        self.sources = self.documents.iter().map(from_upload).collect();
        for role in ["owner", "operator", "viewer"] {
            let key = self.house.key(OTHER, role).await;
            self.key_ids.push(Pair::of(key.split('_').nth(1).unwrap()));
        }
        for number in 0..LEDGERS {
            let path = format!("/v1/documents/invoice-{number:02}");
            assert_eq!(self.house.call(Method::DELETE, &path, &self.their_key, None).await.0, 403, "it waits");
        }
        let waiting = self.they(Method::GET, &format!("/admin/v1/approvals/{OTHER}"), None).await;
        let ids = waiting["approvals"].as_array().unwrap().iter().map(|request| request["id"].as_str().unwrap());
        self.approvals.extend(ids.map(Pair::of));
        assert_eq!(self.approvals.len(), LEDGERS);
        let digest = "5f16".repeat(16);
        let line = json!({"query_id": "quarter-1", "source_id": CANARY, "chunk_id": "ledger-1", "trust_score": 0.5,
            "agent_id": "planner", "policy_version": "1", "timestamp": "2025-10-08T12:00:00Z"});
        let import = json!({"file_sha256": digest, "file": CANARY, "after": 0, "lines": [line.to_string()]});
        self.they(Method::POST, &format!("/admin/v1/tenants/{OTHER}/lineage/import"), Some(import)).await;
        self.imports.push(Pair::of(digest));
        self.queries.push(Pair::of("quarter-1"));
        let releases = self.they(Method::GET, &format!("/admin/v1/policies/{OTHER}/releases"), None).await;
        let newest = releases["releases"].as_array().unwrap().last().unwrap();
        for field in ["version", "release"] {
            self.versions.push(Pair::of(newest[field].as_str().unwrap()));
        }
        let head = self.they(Method::GET, "/v1/receipts/checkpoint", None).await;
        self.journals.push(Pair::of(head["tenant_key"].as_str().unwrap()));
        let context = json!({"context": {"targetingKey": "farah"}});
        let flags = self.house.raw(Method::POST, "/ofrep/v1/evaluate/flags", &self.their_key, &[], Some(context)).await;
        self.tags.push(Pair::of(flags.headers()["etag"].to_str().unwrap()));
    }

    async fn they(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.house.call(method, path, &self.their_key, body).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    /// Everything of the other tenant that somebody else could have changed.
    pub async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        let admin = |what: &str| format!("/admin/v1/tenants/{OTHER}/{what}");
        let mut paths = vec!["/v1/documents".to_owned(), "/v1/policy".to_owned()];
        paths.extend(["keys", "users", "flags", "budget", "costs"].map(admin));
        paths.push(format!("/admin/v1/policies/{OTHER}/log"));
        paths.push(format!("/admin/v1/approvals/{OTHER}"));
        paths.extend((0..LEDGERS).map(|number| format!("/v1/documents/invoice-{number:02}")));
        paths.extend(self.queries.iter().map(|query| format!("/v1/lineage?query_id={}", query.theirs)));
        for path in paths {
            state.push(self.they(Method::GET, &path, None).await);
        }
        let export = self.house.raw(Method::GET, "/v1/lineage/export", &self.their_key, &[], None).await;
        state.push(json!(export.text().await.unwrap()));
        state
    }

    /// This key, or one nobody used where the asker has used it before.
    pub fn unused(&self, key: &str, number: usize) -> String {
        let mut used = self.used.lock().unwrap();
        if used.insert(key.to_owned()) { key.to_owned() } else { format!("{key}-again-{number}-{}", used.len()) }
    }
}

pub type Session = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

pub async fn session(house: &House, key: &str) -> Session {
    let mut request = format!("{}/v1/session", house.url.replacen("http", "ws", 1)).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

/// Opens a session with a key offered as a sub-protocol; status and body of the answer.
pub async fn offering(house: &House, key: &str) -> (u16, String) {
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("x-request-id", "foreign"),
        ("sec-websocket-protocol", &format!("bailiwick.v1, bailiwick-key.{key}")),
    ];
    let mut request = house.http.get(format!("{}/v1/session", house.url));
    for (name, value) in headers {
        request = request.header(name, reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, if status == 101 { String::new() } else { answer.text().await.unwrap() })
}

/// Sends a frame and gives the one that ends its answer.
pub async fn hears(session: &mut Session, frame: &Value) -> Value {
    session.send(Message::text(frame.to_string())).await.unwrap();
    loop {
        let heard = tokio::time::timeout(Duration::from_secs(30), session.next()).await;
        let Message::Text(text) = heard.expect("the session is silent").expect("the session has ended").unwrap() else {
            continue;
        };
        let heard: Value = serde_json::from_str(&text).unwrap();
        if heard["type"] == "done" || heard["type"] == "error" {
            return heard;
        }
    }
}
