//! Every field of a request that bears an id, with ids of another tenant and near misses of them, through the real
//! binary: the rows of level `Http` in `tests/support/foreign.rs`. Each is asked twice, with the other tenant's id and with
//! one of the same form that nobody has; the two answers must be the same bytes but for the id itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use bailiwick::gateway::{ROUTES, Route};
use futures_util::{StreamExt, stream};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[path = "foreign/listed.rs"]
mod listed;
#[path = "foreign/other_doors.rs"]
mod other_doors;
#[path = "foreign/scene.rs"]
mod scene;
mod support;

use scene::{CANARY, NAMES, OTHER, OWN, Scene};
use support::foreign::{Dice, Level, Pair, demand_none, of_level};

/// Requests under way at a time.
const IN_FLIGHT: usize = 16;
/// Shorter ids are not sent where an answer repeats them: they would be found in every word.
const ECHOED_CHARS_MIN: usize = 5;
const QUESTION: &str = "Where does the heron of the alder pond stand?";

/// An answer with what differs from one request to the next taken out.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// What follows from the moment, from how much the asker itself has asked before, or from the length of the id.
const PASSING: [&str; 4] = ["date", "connection", "content-length", "x-ratelimit-"];

impl Seen {
    async fn of(answer: reqwest::Response, id: &str) -> Self {
        let status = answer.status().as_u16();
        let names = answer
            .headers()
            .iter()
            .filter(|(name, _)| !PASSING.iter().any(|passing| name.as_str().starts_with(passing)));
        let mut headers: Vec<_> = names.map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect();
        headers.sort();
        Self { status, headers, body: masked(&answer.text().await.unwrap(), id) }
    }
}

/// The body without the id that was sent, however it is written there.
fn masked(body: &str, id: &str) -> String {
    if id.chars().count() < ECHOED_CHARS_MIN {
        return body.to_owned();
    }
    let inside = |text: String| text.trim_matches('"').to_owned();
    let json_of = |text: &str| inside(Value::from(text).to_string());
    let debug = inside(format!("{id:?}"));
    let forms = [json_of(&debug), debug.clone(), json_of(id), id.to_owned()];
    forms.iter().fold(body.to_owned(), |body, form| body.replace(form.as_str(), "<id>"))
}

/// A path segment or query value, with everything escaped that has a meaning there.
fn escaped(id: &str) -> String {
    if matches!(id, "." | "..") {
        return "dots".to_owned();
    }
    id.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// One request.
struct Asked {
    method: Method,
    path: String,
    key: String,
    header: Option<(&'static str, String)>,
    body: Option<Value>,
}

impl Asked {
    fn new(method: &str, path: impl Into<String>) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Self { method, path: path.into(), key: String::new(), header: None, body: None }
    }

    fn with(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn under(mut self, name: &'static str, value: &str) -> Self {
        self.header = Some((name, value.to_owned()));
        self
    }
}

impl Scene {
    async fn send(&self, asked: Asked) -> reqwest::Response {
        let key = if asked.key.is_empty() { &self.own_key } else { &asked.key };
        let mut request = self.house.http.request(asked.method, format!("{}{}", self.house.url, asked.path));
        request = request.bearer_auth(key).header("x-request-id", "foreign");
        if let Some((name, value)) = asked.header {
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        if let Some(body) = asked.body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    /// Asks with both ids; what was answered differently.
    async fn alike(&self, pair: &Pair, ask: impl Fn(&str) -> Asked) -> Option<String> {
        let theirs = Seen::of(self.send(ask(&pair.theirs)).await, &pair.theirs).await;
        let nobodys = Seen::of(self.send(ask(&pair.nobodys)).await, &pair.nobodys).await;
        let says_theirs = theirs.body.contains(CANARY);
        (theirs != nobodys || says_theirs).then(|| format!("{:?}: {theirs:?} and {nobodys:?}", pair.theirs))
    }

    /// Asks with both ids for what bears names of its own; what was answered differently in what is looked at.
    async fn says_alike(&self, pair: &Pair, fields: &[&str], ask: impl Fn(&str) -> Asked) -> Option<String> {
        let (mut told, mut replayed) = (Vec::new(), false);
        for id in [&pair.theirs, &pair.nobodys] {
            let answer = self.send(ask(id)).await;
            replayed |= answer.headers().contains_key("x-bailiwick-idempotent-replay");
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            let looked_at: Vec<Value> = fields.iter().map(|field| body[*field].clone()).collect();
            told.push((status, looked_at));
        }
        let is_hit = told[0] != told[1] || replayed || format!("{told:?}").contains(CANARY);
        is_hit.then(|| format!("{:?}: {told:?}", pair.theirs))
    }

    async fn attempt(&self, row: &'static str, times: usize) -> Vec<String> {
        let tried = stream::iter(0..times).map(async |number| {
            let hit = self.one(row, number, &mut Dice::of(row, number)).await;
            hit.map(|hit| format!("{row} {number} {hit}"))
        });
        // uploads one by one: a tenant may have few at a time
        let in_flight = if row.starts_with("document:") || row.starts_with("form:") { 1 } else { IN_FLIGHT };
        tried.buffer_unordered(in_flight).filter_map(std::future::ready).collect().await
    }

    async fn one(&self, row: &'static str, number: usize, dice: &mut Dice) -> Option<String> {
        match row {
            row if row.starts_with('/') => self.in_path(row, dice).await,
            "?after" | "?query_id" | "?journal" => self.in_query(row, dice).await,
            "x-bailiwick-tenant"
            | "authorization"
            | "Idempotency-Key"
            | "X-Bailiwick-Conversation"
            | "If-None-Match" => self.in_header(row, number, dice).await,
            row => self.in_body(row, number, dice).await,
        }
    }

    async fn in_path(&self, row: &str, dice: &mut Dice) -> Option<String> {
        let routes: Vec<&Route> = ROUTES.iter().filter(|route| route.path.starts_with(row)).collect();
        let route = *dice.one_of(&routes);
        let (pool, is_echoed) = match row {
            "/admin/v1/tenants/{id}" | "/admin/v1/policies/{id}" | "/admin/v1/approvals/{id}" => (&self.names, false),
            "/admin/v1/approvals/{id}/{approval}" => (&self.approvals, false),
            "/admin/v1/tenants/{id}/keys/{key_id}" => (&self.key_ids, false),
            "/admin/v1/policies/{id}/releases/{version}" => (&self.versions, true),
            "/v1/documents/{id}" | "/admin/v1/tenants/{id}/feedback/{document}" => (&self.documents, false),
            "/v1/erasures/{id}" => (&self.erasures, false),
            "/admin/v1/certificates/{id}" => (&self.names, false),
            "/v1/models/{model}" => (&self.documents, true),
            _ => (&self.flags, true),
        };
        let pair = self.drawn(dice, pool, is_echoed);
        let (start, rest) = route.path.split_at(row.len());
        let (start, _param) = start.rsplit_once('{').unwrap();
        let fill = |path: &str| {
            path.replace("{id}", OWN)
                .replace("{key_id}", &self.key_ids[0].theirs)
                .replace("{version}", &self.versions[0].theirs)
                .replace("{document}", "nobodys")
                .replace("{approval}", &self.approvals[0].theirs)
        };
        let (start, rest) = (fill(start), fill(rest));
        self.alike(&pair, |id| {
            let asked = Asked::new(route.method, format!("{start}{}{rest}", escaped(id)));
            let body = if route.path.ends_with("{approval}") { json!({"approve": true}) } else { json!({}) };
            if matches!(route.method, "GET" | "DELETE") { asked } else { asked.with(body) }
        })
        .await
    }

    async fn in_query(&self, row: &str, dice: &mut Dice) -> Option<String> {
        if row == "?query_id" {
            let admin = format!("/admin/v1/tenants/{OWN}/lineage");
            let path = dice.one_of(&["/v1/lineage".to_owned(), "/v1/receipts".to_owned(), admin]).clone();
            let pair = self.drawn(dice, &self.queries, false);
            return self.alike(&pair, |id| Asked::new("GET", format!("{path}?query_id={}", escaped(id)))).await;
        }
        if row == "?journal" {
            let pair = self.drawn(dice, &self.journals, false);
            let path = "/v1/receipts/witnessed?journal=";
            return self.alike(&pair, |id| Asked::new("GET", format!("{path}{}", escaped(id)))).await;
        }
        let path = dice.one_of(&["/v1/documents".to_owned(), format!("/admin/v1/tenants/{OWN}/documents")]).clone();
        let pair = self.drawn(dice, &self.documents, false);
        if pair.theirs.contains('\0') {
            // refused as such
            return self.alike(&pair, |id| Asked::new("GET", format!("{path}?after={}", escaped(id)))).await;
        }
        let after = pair.theirs;
        let answer = self.send(Asked::new("GET", format!("{path}?limit=2&after={}", escaped(&after)))).await;
        let page: Value = answer.json().await.unwrap();
        let listed: Vec<_> =
            page["documents"].as_array().into_iter().flatten().map(|view| view["id"].clone()).collect();
        // where a text stands among the own documents says a keyed digest of it; a page is in the order of ids
        let is_page = |at: usize| {
            let mut ids: Vec<&String> = self.own_documents.iter().skip(at).take(2).collect();
            ids.sort();
            ids.into_iter().map(|id| json!(id)).eq(listed.iter().cloned())
        };
        (!(0..=self.own_documents.len()).any(is_page)).then(|| format!("{after:?}: {page}"))
    }

    async fn in_header(&self, row: &'static str, number: usize, dice: &mut Dice) -> Option<String> {
        match row {
            "x-bailiwick-tenant" => {
                let heeding = |route: &&Route| {
                    route.right.is_some() && !route.path.starts_with("/admin/") && route.path != "/v1/session"
                };
                let routes: Vec<_> = ROUTES.iter().filter(heeding).collect();
                let route = *dice.one_of(&routes);
                let pair = self.visible(dice, &self.names);
                self.alike(&pair, |id| Asked::new(route.method, route.path).with(json!({})).under(row, id)).await
            }
            "authorization" => {
                let path = *dice.one_of(&["/v1/documents", "/v1/usage", "/v1/policy", "/v1/lineage/export"]);
                let secret = self.own_key.rsplit('_').next().unwrap();
                let pair = self.visible(dice, &self.key_ids);
                self.alike(&pair, |id| Asked { key: format!("bwk_{id}_{secret}"), ..Asked::new("GET", path) }).await
            }
            "Idempotency-Key" => {
                // a key that was used once is not used again: the second time it would be the asker's own
                let pair = self.visible(dice, &self.idempotency_keys);
                let key = self.unused(&pair.theirs, number);
                let pair = Pair { nobodys: format!("{key}-{number}"), theirs: key };
                let ask = json!({"question": QUESTION});
                self.says_alike(&pair, &["abstained", "answer", "citations"], |id| {
                    Asked::new("POST", "/v1/ask").with(ask.clone()).under("idempotency-key", id)
                })
                .await
            }
            "X-Bailiwick-Conversation" => {
                let pair = self.visible(dice, &self.conversations);
                let ask = json!({"question": QUESTION});
                self.says_alike(&pair, &["abstained", "answer", "citations"], |id| {
                    Asked::new("POST", "/v1/ask").with(ask.clone()).under("x-bailiwick-conversation", id)
                })
                .await
            }
            _ => {
                let pair = self.visible(dice, &self.tags);
                let context = json!({"context": {"targetingKey": "dana"}});
                self.alike(&pair, |tag| {
                    Asked::new("POST", "/ofrep/v1/evaluate/flags").with(context.clone()).under("if-none-match", tag)
                })
                .await
            }
        }
    }

    async fn in_body(&self, row: &'static str, number: usize, dice: &mut Dice) -> Option<String> {
        let answer = ["status", "code", "abstained", "answer", "citations", "reason"];
        let field = row.split('.').nth(1).unwrap_or_default();
        match row {
            "FeedbackBody.query_id" => {
                let pair = self.drawn(dice, &self.queries, false);
                self.alike(&pair, |id| {
                    Asked::new("POST", "/v1/feedback").with(json!({"query_id": id, "rating": "down"}))
                })
                .await
            }
            "ImportedBody.file_sha256" => {
                let step = *dice.one_of(&["withdraw", "keep"]);
                let pair = self.drawn(dice, &self.imports, false);
                let path = format!("/admin/v1/tenants/{OWN}/lineage/import/{step}");
                self.alike(&pair, |id| Asked::new("POST", path.clone()).with(json!({"file_sha256": id}))).await
            }
            "ErasureBody.subject" | "ErasureBody.document" => {
                let pair = self.drawn(dice, if field == "subject" { &self.users } else { &self.documents }, false);
                let told = ["status", "code", "state", "of", "basis", "kept_documents", "kept"];
                self.says_alike(&pair, &told, |id| Asked::new("POST", "/v1/erasures").with(json!({field: id}))).await
            }
            "AskBody.domain" | "AskBody.usecase" => {
                let pair = self.drawn(dice, &self.domains, false);
                self.says_alike(&pair, &answer, |id| {
                    Asked::new("POST", "/v1/ask").with(json!({"question": QUESTION, field: id}))
                })
                .await
            }
            "AskBody.question" => {
                let pair = self.drawn(dice, &self.documents, false);
                self.says_alike(&pair, &answer, |id| {
                    Asked::new("POST", "/v1/ask").with(json!({"question": format!("Explain quagga {id}")}))
                })
                .await
            }
            "ask: conversation_id, user" => {
                let (field, pool) = *dice.one_of(&[("conversation_id", &self.conversations), ("user", &self.users)]);
                let pair = dice.one_of(pool).clone();
                self.says_alike(&pair, &answer, |id| {
                    Asked::new("POST", "/v1/ask").with(json!({"question": QUESTION, field: id}))
                })
                .await
            }
            "SearchBody.domain" | "SearchBody.usecase" => {
                let pair = self.drawn(dice, &self.domains, false);
                let search = |id: &str| json!({"query": "heron quagga", field: id});
                self.alike(&pair, |id| Asked::new("POST", "/v1/search").with(search(id))).await
            }
            "SearchBody.query" => {
                let pair = self.drawn(dice, &self.documents, false);
                self.alike(&pair, |id| Asked::new("POST", "/v1/search").with(json!({"query": format!("quagga {id}")})))
                    .await
            }
            "EvaluationBody.context" => {
                let pair = self.drawn(dice, &self.users, false);
                let context = |id: &str| json!({"context": {"targetingKey": id, "tenant": OTHER}});
                self.alike(&pair, |id| Asked::new("POST", "/ofrep/v1/evaluate/flags").with(context(id))).await
            }
            "chat: model, user" => {
                let pair = self.drawn(dice, &self.documents, true);
                let messages = json!([{"role": "user", "content": QUESTION}]);
                let chat = |body: Value| Asked::new("POST", "/v1/chat/completions").with(body);
                if number.is_multiple_of(2) {
                    self.alike(&pair, |id| chat(json!({"model": id, "messages": messages}))).await
                } else {
                    let ask = |id: &str| chat(json!({"model": "bailiwick", "messages": messages, "user": id}));
                    self.says_alike(&pair, &["error", "choices"], ask).await
                }
            }
            "NewKey.user_id" => self.key_for(self.drawn(dice, &self.users, false)).await,
            "document: id, source, domain, usecase" => self.takes_in(number, dice).await,
            "form: file name, id, source, domain, usecase" => self.in_form(number, dice).await,
            "session: id, idempotency_key, domain, usecase" => self.in_session(number, dice).await,
            "session: sec-websocket-protocol" => self.in_subprotocol(dice).await,
            row => panic!("{row} is in the table and nowhere tried"),
        }
    }

    fn drawn(&self, dice: &mut Dice, pool: &[Pair], is_echoed: bool) -> Pair {
        let pair = dice.one_of(pool).clone();
        let spelled = pair.spelled(dice, &NAMES);
        let is_short = |pair: &Pair| pair.theirs.chars().count().min(pair.nobodys.chars().count()) < ECHOED_CHARS_MIN;
        if spelled.theirs.is_empty() || (is_echoed && is_short(&spelled)) { pair } else { spelled }
    }

    /// As [`Scene::drawn`], written so that a header can carry it.
    fn visible(&self, dice: &mut Dice, pool: &[Pair]) -> Pair {
        let pair = dice.one_of(pool).clone();
        let spelled = pair.spelled(dice, &NAMES);
        let fits = |id: &str| !id.is_empty() && id.trim() == id && HeaderValue::from_bytes(id.as_bytes()).is_ok();
        if fits(&spelled.theirs) && fits(&spelled.nobodys) { spelled } else { pair }
    }
}

#[tokio::test]
async fn another_tenants_id_and_an_unknown_one_are_the_same_bytes_in_every_field() {
    let scene = Scene::new().await;
    let before = scene.state().await;
    let (mut tried, mut hits) = (Vec::new(), Vec::new());
    for field in of_level(Level::Http) {
        hits.extend(scene.attempt(field.name, field.attempts).await);
        tried.push((field.name, field.attempts));
    }
    demand_none(Level::Http, &tried, &hits);
    assert_eq!(scene.state().await, before, "the other tenant has changed");
}

#[tokio::test]
async fn what_an_id_opens_is_found() {
    // put together wrongly: what is called the other tenant's is the asker's own
    let mut scene = Scene::new().await;
    scene.names = vec![Pair::of(OWN)];
    scene.documents = vec![Pair::of("pond-alder")];
    for row in ["/admin/v1/tenants/{id}", "x-bailiwick-tenant", "SearchBody.query", "/v1/documents/{id}"] {
        let hits = scene.attempt(row, 60).await;
        println!("{row}: {} hits of 60", hits.len());
        assert!(!hits.is_empty(), "{row} found nothing");
    }
}

#[test]
fn every_parameter_of_a_path_is_in_the_table() {
    let listed: BTreeSet<&str> = of_level(Level::Http).map(|field| field.name).collect();
    let due: BTreeSet<String> = ROUTES
        .iter()
        .flat_map(|route| {
            let ends = route.path.match_indices('}').map(|(at, _)| at + 1);
            ends.map(|end| route.path[..end].to_owned())
        })
        .collect();
    let missing: Vec<_> = due.iter().filter(|path| !listed.contains(path.as_str())).collect();
    assert!(missing.is_empty(), "give these a row in tests/support/foreign.rs: {missing:?}");
    assert!(due.len() >= 7, "{due:?}");
}
