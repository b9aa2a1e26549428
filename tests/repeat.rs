//! Calls under an `Idempotency-Key` through the doors of a real house, against a model server that counts: one call, one
//! charge, one answer to the byte, however often it is repeated, in whatever dialect, and across a cut.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
mod support;

use bailiwick_kernel::money::NanoUsd;
use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::upstream::{Mood, Upstream, WORDS, house_on};
use support::{Ended, House, until, usd};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const TENANT: &str = "default";
const DUPLICATES: usize = 64;
/// 100 prompt tokens at 1 and 10 answer tokens at 2 USD a million.
const UNIT: &str = "0.00012";
const ASK: &str = "/v1/ask";
const CHAT: &str = "/v1/chat/completions";
const EMBED: &str = "/v1/embeddings";

struct Scene {
    folder: tempfile::TempDir,
    house: Ended,
    upstream: Upstream,
    key: String,
}

/// An answer with what its headers say.
#[derive(PartialEq, Eq, Debug, Clone)]
struct Told {
    status: u16,
    is_repeat: bool,
    cost: String,
    body: String,
}

impl Told {
    async fn of(response: Response) -> Self {
        let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (is_repeat, cost) = (header("x-bailiwick-idempotent-replay") == "true", header("x-bailiwick-cost-usd"));
        Self { status: response.status().as_u16(), is_repeat, cost, body: response.text().await.unwrap() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn ask() -> Value {
    json!({"question": "How many days of paid leave does an employee have?"})
}

fn chat() -> Value {
    json!({"model": "fake-model", "max_tokens": 200, "messages": [{"role": "user", "content": "hello"}]})
}

fn grounded() -> Value {
    json!({"model": "bailiwick", "messages": [{"role": "user", "content": "How many days of paid leave?"}]})
}

fn embed() -> Value {
    json!({"model": "fake-model", "input": "hello"})
}

fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

impl Scene {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let (folder, house) = house_on(upstream.port, 60_000);
        let key = house.key(TENANT, "owner").await;
        house.teach(&key, "leave", "Leave", "Every employee has thirty days of paid leave in a year.").await;
        Self { folder, house, upstream, key }
    }

    async fn send(&self, path: &str, key: &str, body: Value) -> Response {
        self.house.raw(Method::POST, path, &self.key, &[("idempotency-key", key)], Some(body)).await
    }

    async fn tell(&self, path: &str, key: &str, body: Value) -> Told {
        Told::of(self.send(path, key, body).await).await
    }

    /// What was spent, once nothing is held any more.
    async fn spent(&self) -> String {
        until("nothing is held any more", async || {
            let budget = self.house.usage(&self.key).await["budget"].clone();
            (budget["held"] == "0").then(|| budget["spent_month"].as_str().unwrap().to_owned())
        })
        .await
    }

    /// Cuts the power and starts the house anew on what is left.
    fn cut(self) -> Self {
        let Self { folder, mut house, upstream, key } = self;
        house.0.take().unwrap().kill();
        let config = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
        let house = Ended(Some(House::start_on(folder.path(), Some(&config))));
        Self { folder, house, upstream, key }
    }
}

#[tokio::test]
async fn duplicates_sent_together_are_one_call_with_one_charge() {
    let scene = Scene::new().await;
    scene.upstream.be(Mood::Waits);
    let sent = (0..DUPLICATES).map(|_| scene.tell(CHAT, "k", chat()));
    let released = async {
        until("the first call has reached the model", async || (scene.upstream.served() > 0).then_some(())).await;
        assert_eq!(
            scene
                .tell(CHAT, "k", json!({"model": "fake-model", "messages": [{"role": "user", "content": "other"}]}))
                .await
                .status,
            409
        );
        scene.upstream.be(Mood::Good);
        scene.upstream.go_on();
    };
    let (mut told, ()) = tokio::join!(futures_util::future::join_all(sent), released);
    assert_eq!(told.iter().filter(|told| !told.is_repeat).count(), 1, "one of them is the call, the others repeat it");
    assert!(told.iter().all(|told| told.status == 200), "{told:?}");
    assert!(told.iter().all(|told| told.cost == if told.is_repeat { "0" } else { UNIT }), "{told:?}");
    told.dedup_by(|one, other| one.body == other.body);
    assert_eq!(told.len(), 1, "the same to the byte: {told:?}");
    assert_eq!((scene.upstream.served(), scene.spent().await.as_str()), (1, UNIT));
    let other = scene.tell(CHAT, "k", other_limit()).await;
    assert_eq!((other.status, other.json()["error"]["code"].as_str()), (409, Some("conflict")));
}

fn other_limit() -> Value {
    json!({"model": "fake-model", "max_tokens": 201, "messages": [{"role": "user", "content": "hello"}]})
}

#[tokio::test]
async fn every_route_tells_the_same_to_the_byte_and_across_a_cut() {
    let mut scene = Scene::new().await;
    let calls = [(ASK, ask()), (CHAT, chat()), (CHAT, grounded()), (EMBED, embed())];
    let mut first = Vec::new();
    for (number, (path, body)) in calls.iter().enumerate() {
        let told = scene.tell(path, &number.to_string(), body.clone()).await;
        assert_eq!((told.status, told.is_repeat), (200, false), "{told:?}");
        first.push(told);
    }
    let (served, spent) = (scene.upstream.served(), scene.spent().await);
    assert_eq!(served, 4);
    for _ in 0..2 {
        for (number, (path, body)) in calls.iter().enumerate() {
            let again = scene.tell(path, &number.to_string(), body.clone()).await;
            let expected = Told { is_repeat: true, cost: "0".into(), ..first[number].clone() };
            assert_eq!(again, expected);
            let other = scene.tell(path, &((number + 1) % calls.len()).to_string(), body.clone()).await;
            assert_eq!(other.status, 409, "another body under a used key: {other:?}");
        }
        // an answer's record names itself in the receipt, whether or not it came under a key
        let answer = first[0].json();
        let path = format!("/v1/lineage?query_id={}", answer["query_id"].as_str().unwrap());
        let (_, lineage) = scene.house.call(Method::GET, &path, &scene.key, None).await;
        let receipt = format!("bwr1.{}.{}", lineage["seq"], lineage["hash"].as_str().unwrap());
        assert_eq!((&answer["receipt"], &lineage["record"]["idempotency_key"]), (&json!(receipt), &json!("0")));
        scene = scene.cut();
    }
    let budget = scene.house.usage(&scene.key).await["budget"].clone();
    let expected = NanoUsd::parse_usd(&spent).unwrap().saturating_add(usd(&budget["unreconciled"]));
    assert_eq!(usd(&budget["spent_month"]), expected, "one charge each, and what a cut left open: {budget}");
    assert_eq!(scene.upstream.served(), served, "nothing was called again");
}

#[tokio::test]
async fn a_call_that_was_cut_before_it_was_recorded_runs_again_and_is_recorded_once() {
    let scene = Scene::new().await;
    scene.upstream.be(Mood::Waits);
    let cut = async {
        until("the call has reached the model", async || (scene.upstream.served() > 0).then_some(())).await;
        let process = scene.house.process_id().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &process]).status().unwrap().success());
    };
    let request = scene.house.http.post(format!("{}{CHAT}", scene.house.url)).bearer_auth(&scene.key);
    let (lost, ()) = tokio::join!(request.header("idempotency-key", "k").json(&chat()).send(), cut);
    assert!(lost.is_err(), "the house is gone");
    scene.upstream.be(Mood::Good);
    let scene = scene.cut();
    let told = scene.tell(CHAT, "k", chat()).await;
    assert_eq!((told.status, told.is_repeat, scene.upstream.served()), (200, false, 2));
    let again = scene.tell(CHAT, "k", chat()).await;
    assert_eq!((again.is_repeat, &again.body, scene.upstream.served()), (true, &told.body, 2));
    let export = scene.house.raw(Method::GET, "/v1/lineage/export", &scene.key, &[], None).await.text().await.unwrap();
    assert_eq!(export.lines().count(), 1, "one record: {export}");
}

type Session = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

impl Scene {
    async fn session(&self) -> Session {
        let url = format!("{}/v1/session", self.house.url.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", self.key).parse().unwrap());
        tokio_tungstenite::connect_async(request).await.unwrap().0
    }
}

async fn say(session: &mut Session, frame: &Value) {
    session.send(Message::text(frame.to_string())).await.unwrap();
}

async fn next(session: &mut Session) -> Value {
    loop {
        if let Message::Text(text) = session.next().await.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

fn question_frame() -> Value {
    let mut frame = ask();
    frame["type"] = json!("ask");
    frame["id"] = json!("1");
    frame["idempotency_key"] = json!("k");
    frame
}

/// Names and data of the events of a stream.
fn events(body: &str) -> Vec<(String, Value)> {
    let event = |text: &str| {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        (field("event: "), serde_json::from_str(&field("data: ")).unwrap_or(Value::Null))
    };
    body.split("\n\n").filter(|text| !text.is_empty()).map(event).collect()
}

#[tokio::test]
async fn a_stream_is_told_again_as_a_stream_or_whole() {
    let scene = Scene::new().await;
    let first = scene.tell(ASK, "a", streamed(ask())).await;
    let done = events(&first.body).pop().unwrap().1;
    let again = scene.tell(ASK, "a", streamed(ask())).await;
    assert!(again.is_repeat && !first.is_repeat);
    let told = events(&again.body);
    assert_eq!(told.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["citations", "delta", "done"]);
    assert_eq!((&told[1].1["text"], &told[2].1), (&done["answer"], &done));
    assert_eq!(told[0].1["citations"], done["citations"]);
    let whole = scene.tell(ASK, "a", ask()).await;
    assert_eq!((whole.is_repeat, whole.json()), (true, done));

    let words = |told: &Told| -> String {
        let deltas = events(&told.body)
            .into_iter()
            .filter_map(|(_, chunk)| Some(chunk.pointer("/choices/0/delta/content")?.as_str()?.to_owned()));
        deltas.collect()
    };
    let asked = json!({"stream_options": {"include_usage": true}});
    let mut body = streamed(chat());
    body["stream_options"] = asked["stream_options"].clone();
    let first = scene.tell(CHAT, "c", body.clone()).await;
    let again = scene.tell(CHAT, "c", body).await;
    assert!(words(&first).ends_with(WORDS) && again.is_repeat, "{first:?}");
    assert_eq!(words(&first), words(&again));
    let usage = |told: &Told| {
        events(&told.body)
            .into_iter()
            .find_map(|(_, chunk)| chunk.get("usage").filter(|usage| usage.is_object()).cloned())
    };
    assert_eq!((usage(&first).unwrap()["completion_tokens"].as_u64(), usage(&first)), (Some(10), usage(&again)));
    assert!(again.body.ends_with("data: [DONE]\n\n"));
    let whole = scene.tell(CHAT, "c", chat()).await.json();
    assert_eq!(
        (whole["object"].as_str(), whole["choices"][0]["finish_reason"].as_str()),
        (Some("chat.completion"), Some("stop"))
    );
    assert_eq!(whole["choices"][0]["message"]["content"], words(&first));
    assert_eq!(scene.upstream.served(), 2);
}

#[tokio::test]
async fn a_stream_its_asker_left_is_not_told_as_if_it_were_whole() {
    let scene = Scene::new().await;
    scene.upstream.be(Mood::Pauses);
    let mut session = scene.session().await;
    say(&mut session, &question_frame()).await;
    while next(&mut session).await["type"] != "delta" {}
    say(&mut session, &json!({"type": "cancel", "id": "1"})).await;
    while next(&mut session).await["cancelled"] != true {}
    let spent = until("what had come is charged", async || {
        let spent = scene.spent().await;
        (spent != "0").then_some(spent)
    })
    .await;
    scene.upstream.be(Mood::Good);
    for body in [streamed(ask()), ask()] {
        let again = scene.tell(ASK, "k", body).await;
        assert_eq!((again.status, again.is_repeat), (409, false), "{again:?}");
        assert!(again.json()["detail"].as_str().unwrap().contains("hung up"), "{again:?}");
    }
    assert_eq!((scene.upstream.served(), scene.spent().await), (1, spent));
    assert_eq!(scene.tell(ASK, "l", ask()).await.status, 200, "another key asks again");
}

#[tokio::test]
async fn a_session_repeats_what_the_route_answered() {
    let scene = Scene::new().await;
    let first = scene.tell(ASK, "k", ask()).await.json();
    let mut session = scene.session().await;
    let mut frame = question_frame();
    say(&mut session, &frame).await;
    let mut told = Vec::new();
    while told.last().is_none_or(|frame: &Value| frame["type"] != "done") {
        told.push(next(&mut session).await);
    }
    let names: Vec<_> = told.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(names, ["accepted", "citations", "delta", "done"]);
    let done = told.last().unwrap();
    assert_eq!((&done["idempotent_replay"], &done["receipt"]), (&json!(true), &first["receipt"]));
    frame["question"] = json!("What else?");
    say(&mut session, &frame).await;
    assert_eq!(next(&mut session).await["type"], "accepted");
    let refused = next(&mut session).await;
    let verdict = (&refused["type"], &refused["status"], &refused["code"]);
    assert_eq!(verdict, (&json!("error"), &json!(409), &json!("conflict")));
    assert_eq!(scene.upstream.served(), 1);
}
