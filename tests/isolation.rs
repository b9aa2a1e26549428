//! Who may do what, and that nobody learns anything about others: every route of the table, for every role, naming
//! its own tenant, another one, one that does not exist, or none.
//!
//! `BAILIWICK_BLESS=1 cargo test --test isolation` writes the golden matrix anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use bailiwick::gateway::{ROUTES, Route};
use bailiwick_policy::access::{Right, Role};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

#[path = "isolation/sample.rs"]
mod sample;
mod support;
use sample::{new_tenant, sample};
use support::{Ended, House, house, until};

const OWN: &str = "default";
const OTHER: &str = "beta-inc";
const ABSENT: &str = "no-such-tenant";
const REQUEST_ID: &str = "access-matrix";

/// Who knocks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Caller {
    Member(usize),
    PlatformOperator,
    Nobody,
    Revoked,
}

impl Caller {
    fn all() -> Vec<Self> {
        let members = (0..Role::ALL.len()).map(Self::Member);
        members.chain([Self::PlatformOperator, Self::Nobody, Self::Revoked]).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Member(role) => Role::ALL[role].as_str(),
            Self::PlatformOperator => "platform operator",
            Self::Nobody => "no key",
            Self::Revoked => "revoked key",
        }
    }
}

/// Which tenant a request names, in its path or in its header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Named {
    None,
    Own,
    Other,
    Absent,
}

const NAMED: [Named; 4] = [Named::None, Named::Own, Named::Other, Named::Absent];

fn in_path(route: &Route) -> bool {
    let starts = ["/admin/v1/tenants/{id}", "/admin/v1/policies/{id}", "/admin/v1/approvals/{id}"];
    starts.iter().any(|start| route.path.starts_with(start))
}

/// What the law says, written down a second time and independently of the house.
fn lawful(route: &Route, caller: Caller, named: Named) -> &'static str {
    let Some(right) = route.right else { return "allowed" };
    match (caller, named) {
        (Caller::Nobody | Caller::Revoked, _) => "unauthenticated",
        (Caller::PlatformOperator, Named::Absent) if right != Right::Fleet || in_path(route) => "not_found",
        (Caller::PlatformOperator, Named::None) if right != Right::Fleet => "invalid_request",
        (Caller::PlatformOperator, _) => "allowed",
        (Caller::Member(_), _) if right == Right::Fleet => "forbidden",
        (Caller::Member(_), Named::Other | Named::Absent) => "not_found",
        (Caller::Member(role), Named::Own | Named::None) => {
            if Role::ALL[role].may(right) {
                "allowed"
            } else {
                "forbidden"
            }
        }
    }
}

struct Fixture {
    house: Ended,
    _folder: tempfile::TempDir,
    operator: String,
    keys: BTreeMap<Caller, String>,
    own: Things,
    other: Things,
    /// The certificate of a tenant that was destroyed.
    certificate: String,
}

/// What a tenant has that paths name.
struct Things {
    query_id: String,
    erasure: String,
}

impl Fixture {
    async fn new() -> Self {
        let (folder, house) = house();
        let mut keys = BTreeMap::new();
        for (at, role) in Role::ALL.into_iter().enumerate() {
            keys.insert(Caller::Member(at), house.key(OWN, role.as_str()).await);
        }
        let owner = keys[&Caller::Member(0)].clone();
        let revoked = house.key(OWN, "owner").await;
        let path = format!("/admin/v1/tenants/{OWN}/keys/{}", public_id(&revoked));
        assert_eq!(house.call(Method::DELETE, &path, &house.operator_key(), None).await.0, 200);
        let operator = house.operator_key();
        keys.insert(Caller::PlatformOperator, operator.clone());
        keys.insert(Caller::Nobody, String::new());
        keys.insert(Caller::Revoked, revoked);
        let own = Things::of(&house, OWN, &owner).await;
        let other = Things::of(&house, OTHER, &house.key(OTHER, "owner").await).await;
        let certificate = destroyed(&house).await;
        Self { house, _folder: folder, operator, keys, own, other, certificate }
    }

    /// A key of a tenant that this request may use up.
    async fn spare_key_id(&self, tenant: &str) -> String {
        public_id(&self.house.key(tenant, "viewer").await).to_owned()
    }

    /// A document of a tenant that this request may use up.
    async fn spare_document(&self, tenant: &str) {
        let body = json!({"documents": [{"id": "spare", "title": "Spare", "text": "Something that may go."}]});
        let headers = [("x-bailiwick-tenant", tenant)];
        let answer = self.house.raw(Method::POST, "/v1/documents", &self.operator, &headers, Some(body)).await;
        assert_eq!(answer.status(), 201);
    }
}

fn public_id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

impl Things {
    async fn of(house: &House, tenant: &str, owner: &str) -> Self {
        let query_id = teach_and_ask(house, owner).await;
        // whoever has no golden question is told so, whenever that is
        std::fs::write(house.tenants.join(tenant).join("eval/golden.jsonl"), "").unwrap();
        let body = json!({"document": "never-here"});
        let (status, asked) = house.call(Method::POST, "/v1/erasures", owner, Some(body)).await;
        assert!(status < 300, "{asked}");
        let erasure = asked["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/erasures/{erasure}/certificate");
        until("nothing is left to erase", async || {
            (house.call(Method::GET, &path, owner, None).await.0 == 200).then_some(())
        })
        .await;
        Self { query_id, erasure }
    }
}

/// Destroys a tenant; where the certificate of that is.
async fn destroyed(house: &House) -> String {
    let operator = house.operator_key();
    let made = house.call(Method::POST, "/admin/v1/tenants", &operator, Some(new_tenant("destroyed"))).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let gone = house.call(Method::DELETE, "/admin/v1/tenants/destroyed?shred=true", &operator, None).await;
    let reason = gone.1["reason"].as_str().unwrap_or_else(|| panic!("{}", gone.1)).to_owned();
    reason.split("GET ").nth(1).unwrap_or_else(|| panic!("{reason}")).trim().to_owned()
}

async fn teach_and_ask(house: &House, key: &str) -> String {
    house.teach(key, "leave", "Leave", "Every employee has thirty days of paid leave in a year.").await;
    let body = json!({"question": "How many days of paid leave does an employee have?"});
    let (status, answer) = house.call(Method::POST, "/v1/ask", key, Some(body)).await;
    assert_eq!(status, 200, "{answer}");
    answer["query_id"].as_str().unwrap().to_owned()
}

/// An answer, as a caller sees it.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Seen {
    async fn of(answer: reqwest::Response) -> Self {
        let status = answer.status().as_u16();
        let mut headers: Vec<_> = answer
            .headers()
            .iter()
            // the time, and whether the body had arrived when the head was answered: neither speaks of a tenant
            .filter(|(name, _)| *name != "date" && *name != "connection")
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        let body = if status == 101 { Vec::new() } else { answer.bytes().await.unwrap().to_vec() };
        Self { status, headers, body }
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = body.get("code").or_else(|| body["error"].get("code"));
        code.and_then(Value::as_str).unwrap_or("no code").to_owned()
    }

    /// `allowed` where the door let it in, whatever was said behind it; else the door's code.
    fn outcome(&self) -> String {
        if self.status < 400 {
            return "allowed".to_owned();
        }
        let (code, text) = (self.code(), String::from_utf8_lossy(&self.body).into_owned());
        let door = match code.as_str() {
            "invalid_request" => text.contains("belongs to no tenant"),
            code => matches!(code, "unauthenticated" | "forbidden" | "not_found" | "tenant_suspended"),
        };
        if door { code } else { "allowed".to_owned() }
    }

    fn cell(&self) -> String {
        let outcome = self.outcome();
        match (outcome.as_str(), self.status < 400) {
            ("allowed", true) => format!("allowed {}", self.status),
            ("allowed", false) => format!("allowed {} {}", self.status, self.code()),
            _ => outcome,
        }
    }
}

/// Sends one request of the matrix, with everything it needs to end well if it is let in.
async fn knock(fixture: &Fixture, route: &Route, caller: Caller, named: Named, number: usize) -> Seen {
    let fleet_deletes = route.method == "DELETE" && route.path == "/admin/v1/tenants/{id}";
    let mut tenant = match named {
        Named::None | Named::Own => OWN.to_owned(),
        Named::Other => OTHER.to_owned(),
        Named::Absent => ABSENT.to_owned(),
    };
    if fleet_deletes && named != Named::Absent && caller == Caller::PlatformOperator {
        // a deleted tenant does not come back: this request has one of its own
        tenant = format!("doomed-{number}");
        let made =
            fixture.house.call(Method::POST, "/admin/v1/tenants", &fixture.operator, Some(new_tenant(&tenant))).await;
        assert_eq!(made.0, 201, "{}", made.1);
    }
    let among_others = caller == Caller::PlatformOperator && named == Named::Other;
    let things = if among_others { &fixture.other } else { &fixture.own };
    let (mut path, body) = sample(things, &fixture.certificate, route, number);
    if path == "/v1/documents/spare" && named != Named::Absent {
        fixture.spare_document(&tenant).await;
    }
    if path.contains("{key_id}") {
        let key_id = fixture.spare_key_id(if among_others { OTHER } else { OWN }).await;
        path = path.replace("{key_id}", &key_id);
    }
    path = path.replace("{id}", &tenant).replace("{version}", if among_others { "2.0.1" } else { "1.0.0" });
    let mut headers = vec![("x-request-id", REQUEST_ID)];
    if !in_path(route) && named != Named::None {
        headers.push(("x-bailiwick-tenant", &tenant));
    }
    if route.path == "/v1/session" {
        headers.extend([("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")]);
        headers.push(("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="));
    }
    let method = Method::from_bytes(route.method.as_bytes()).unwrap();
    let seen = Seen::of(fixture.house.raw(method, &path, &fixture.keys[&caller], &headers, body).await).await;
    if seen.status < 400 && (path.ends_with("/suspend") || path.ends_with("/archive")) {
        let resume = format!("/admin/v1/tenants/{tenant}/resume");
        assert_eq!(fixture.house.call(Method::POST, &resume, &fixture.operator, None).await.0, 200);
    }
    seen
}

#[tokio::test]
async fn the_access_matrix() {
    let fixture = Fixture::new().await;
    let mut table = String::from(
        "# Who may do what: the answer of every route by caller and by the tenant a request names. `allowed` carries the\n\
         # status; every other word is the stable code. Written by tests/isolation.rs with BAILIWICK_BLESS=1.\n",
    );
    let (mut wrong, mut number) = (Vec::new(), 0);
    for route in ROUTES {
        let right = route.right.map_or_else(|| "public".to_owned(), |right| format!("{right:?}").to_lowercase());
        writeln!(table, "\n{} {}  ({right})", route.method, route.path).unwrap();
        writeln!(table, "  {:<18}{:<32}{:<32}{:<32}absent", "", "no name", "own", "other").unwrap();
        for caller in Caller::all() {
            let mut row = Vec::new();
            for named in NAMED.into_iter().filter(|named| !(in_path(route) && *named == Named::None)) {
                number += 1;
                let seen = knock(&fixture, route, caller, named, number).await;
                let law = lawful(route, caller, named);
                if seen.outcome() != law {
                    wrong.push(format!(
                        "{} {} by {} naming {named:?}: {} {}, the law says {law}",
                        route.method,
                        route.path,
                        caller.name(),
                        seen.status,
                        String::from_utf8_lossy(&seen.body)
                    ));
                }
                row.push(seen);
            }
            let (other, absent) = (&row[row.len() - 2], &row[row.len() - 1]);
            if caller != Caller::PlatformOperator && route.right.is_some() {
                assert_eq!(other, absent, "{} {} by {}", route.method, route.path, caller.name());
            }
            let mut cells: Vec<String> = row.iter().map(Seen::cell).collect();
            if in_path(route) {
                cells.insert(0, "-".to_owned());
            }
            let line = format!("  {:<18}{:<32}{:<32}{:<32}{}", caller.name(), cells[0], cells[1], cells[2], cells[3]);
            writeln!(table, "{}", line.trim_end()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{} answers against the law:\n{}", wrong.len(), wrong.join("\n"));
    compare_with_golden(&table);
}

fn compare_with_golden(table: &str) {
    let golden = support::repository().join("tests/golden/access_matrix.txt");
    if std::env::var_os("BAILIWICK_BLESS").is_some() {
        std::fs::write(&golden, table).unwrap();
    }
    let kept = std::fs::read_to_string(&golden).unwrap();
    for (number, (kept, now)) in kept.lines().zip(table.lines()).enumerate() {
        assert_eq!(kept, now, "{}:{}", golden.display(), number + 1);
    }
    assert_eq!(kept.lines().count(), table.lines().count(), "BAILIWICK_BLESS=1 writes {} anew", golden.display());
}

#[tokio::test]
async fn anothers_thing_and_an_unknown_thing_answer_alike() {
    let (_folder, house) = house();
    let (own, other) = (house.key(OWN, "owner").await, house.key(OTHER, "owner").await);
    let foreign_query = teach_and_ask(&house, &other).await;
    let unknown_query = uuid::Uuid::now_v7().to_string();
    let foreign_key = public_id(&house.key(OTHER, "viewer").await).to_owned();
    let unknown_key = foreign_key.chars().rev().collect::<String>();
    assert_ne!(foreign_key, unknown_key);
    let feedback = |query: &str| Some(json!({"query_id": query, "rating": "down"}));
    let keys = |key: &str| format!("/admin/v1/tenants/{OWN}/keys/{key}");
    let pairs = [
        (Method::GET, "/v1/documents/leave".to_owned(), "/v1/documents/no-such-leave".to_owned(), None, None),
        (Method::DELETE, "/v1/documents/leave".to_owned(), "/v1/documents/no-such-leave".to_owned(), None, None),
        (
            Method::GET,
            format!("/v1/lineage?query_id={foreign_query}"),
            format!("/v1/lineage?query_id={unknown_query}"),
            None,
            None,
        ),
        (
            Method::POST,
            "/v1/feedback".into(),
            "/v1/feedback".into(),
            feedback(&foreign_query),
            feedback(&unknown_query),
        ),
        (Method::DELETE, keys(&foreign_key), keys(&unknown_key), None, None),
        (Method::POST, format!("{}/rotate", keys(&foreign_key)), format!("{}/rotate", keys(&unknown_key)), None, None),
    ];
    let headers = [("x-request-id", REQUEST_ID)];
    for (method, foreign, unknown, foreign_body, unknown_body) in pairs {
        let foreign_seen = Seen::of(house.raw(method.clone(), &foreign, &own, &headers, foreign_body).await).await;
        let unknown_seen = Seen::of(house.raw(method.clone(), &unknown, &own, &headers, unknown_body).await).await;
        assert_eq!(foreign_seen, unknown_seen, "{method} {foreign}");
        assert_eq!((foreign_seen.status, foreign_seen.code().as_str()), (404, "not_found"), "{method} {foreign}");
    }
    // and none of it did anything to the other tenant
    assert_eq!(house.call(Method::GET, "/v1/documents/leave", &other, None).await.0, 200);
    let (_, lineage) = house.call(Method::GET, &format!("/v1/lineage?query_id={foreign_query}"), &other, None).await;
    assert_eq!(lineage["feedback"], json!([]));
    let (_, listed) = house.call(Method::GET, &format!("/admin/v1/tenants/{OTHER}/keys"), &other, None).await;
    assert!(listed["keys"].as_array().unwrap().iter().all(|key| key["revoked"] == false), "{listed}");
    // nor is anything of it found by words
    let (_, found) = house.call(Method::POST, "/v1/search", &own, Some(json!({"query": "paid leave employee"}))).await;
    assert_eq!(found["hits"], json!([]));
}

#[tokio::test]
async fn an_unknown_route_is_a_problem() {
    let (_folder, house) = house();
    let key = house.key(OWN, "owner").await;
    for path in
        ["/", "/v1", "/v1/nothing", "/v1/ask/", "/v2/ask", "/admin", "/admin/v1/tenants/a/b/c", "/v1/../v1/usage%00"]
    {
        let answer = house.raw(Method::GET, path, &key, &[], None).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
            (404, "application/problem+json"),
            "{path}"
        );
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["code"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn a_suspended_tenant_serves_nothing_until_it_is_resumed() {
    let (_folder, house) = house();
    let (owner, neighbour) = (house.key(OWN, "owner").await, house.key(OTHER, "owner").await);
    let operator = house.operator_key();
    house.teach(&owner, "leave", "Leave", "Every employee has thirty days of paid leave in a year.").await;
    let path = |verb: &str| format!("/admin/v1/tenants/{OWN}/{verb}");
    let (status, view) = house.call(Method::POST, &path("suspend"), &operator, Some(json!({"reason": "unpaid"}))).await;
    assert_eq!((status, view["state"].as_str()), (200, Some("suspended")), "{view}");
    let reads = ["/v1/documents", "/v1/usage", "/v1/policy", "/v1/lineage/export"];
    for read in reads {
        let (status, problem) = house.call(Method::GET, read, &owner, None).await;
        assert_eq!((status, problem["code"].as_str()), (403, Some("tenant_suspended")), "{read}: {problem}");
    }
    let question = json!({"question": "How many days of paid leave does an employee have?"});
    let (status, problem) = house.call(Method::POST, "/v1/ask", &owner, Some(question.clone())).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("tenant_suspended")), "{problem}");
    assert_eq!(house.call(Method::GET, "/v1/usage", &neighbour, None).await.0, 200);
    let (status, view) = house.call(Method::POST, &path("resume"), &operator, None).await;
    assert_eq!((status, view["state"].as_str()), (200, Some("serving")), "{view}");
    let (status, answer) = house.call(Method::POST, "/v1/ask", &owner, Some(question)).await;
    assert_eq!((status, answer["citations"][0]["document_id"].as_str()), (200, Some("leave")), "{answer}");
}

#[tokio::test]
async fn a_revoked_or_rotated_key_is_dead_when_that_is_answered() {
    let (_folder, house) = house();
    let owner = house.key(OWN, "owner").await;
    let keys = format!("/admin/v1/tenants/{OWN}/keys");
    let usage = async |key: &str| house.call(Method::GET, "/v1/usage", key, None).await.0;
    let viewer = house.key(OWN, "viewer").await;
    assert_eq!(usage(&viewer).await, 200);
    let (status, view) = house.call(Method::DELETE, &format!("{keys}/{}", public_id(&viewer)), &owner, None).await;
    assert_eq!((status, &view["revoked"]), (200, &json!(true)), "{view}");
    assert_eq!(usage(&viewer).await, 401);

    let old = house.key(OWN, "auditor").await;
    let (status, issued) = house.call(Method::POST, &format!("{keys}/{}/rotate", public_id(&old)), &owner, None).await;
    assert_eq!((status, issued["role"].as_str()), (201, Some("auditor")), "{issued}");
    let fresh = issued["key"].as_str().unwrap();
    assert_eq!((usage(&old).await, usage(fresh).await), (401, 200));

    // an admin makes no owner, and nobody can list secrets
    let admin = house.key(OWN, "admin").await;
    let (status, problem) = house.call(Method::POST, &keys, &admin, Some(json!({"role": "owner"}))).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("forbidden")), "{problem}");
    let (_, listed) = house.call(Method::GET, &keys, &admin, None).await;
    let secret = fresh.rsplit('_').next().unwrap();
    assert!(!listed.to_string().contains(secret));
}
