//! The answer cache through the doors of a real house, against a model server that counts: off until the tenant's file
//! asks for it, a hit costs nothing and says so in every dialect, and nobody is ever given another tenant's answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
mod support;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::upstream::{EMBEDDER, Upstream, WORDS, house_on};
use support::{Ended, until};

const TENANT: &str = "default";
const ASK: &str = "/v1/ask";
const CHAT: &str = "/v1/chat/completions";
const EMBED: &str = "/v1/embeddings";
const CACHE: &str = "\ncache:\n  exact:\n    ttl_s: 600\n    max_bytes: 1000000\n";

fn by_meaning() -> String {
    format!(
        "\ncache:\n  semantic:\n    ttl_s: 600\n    max_bytes: 1000000\n    min_similarity: 0.85\n    embedding:\n      \
         provider: local\n      model: {EMBEDDER}\n"
    )
}

struct Scene {
    _folder: tempfile::TempDir,
    house: Ended,
    upstream: Upstream,
    key: String,
}

/// An answer with what its headers say.
#[derive(Debug)]
struct Told {
    state: String,
    cost: String,
    model: String,
    body: String,
}

impl Told {
    async fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (state, cost) = (header("x-bailiwick-cache"), header("x-bailiwick-cost-usd"));
        Self { state, cost, model: header("x-bailiwick-model"), body: response.text().await.unwrap() }
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
        Self { _folder: folder, house, upstream, key }
    }

    async fn tell(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Told {
        Told::of(self.house.raw(Method::POST, path, &self.key, headers, Some(body)).await).await
    }

    /// Writes the section into the tenant's file and waits until it is in force.
    async fn remember(&self) {
        self.remember_by(CACHE, CHAT, chat()).await;
    }

    /// As [`Scene::remember`], with another section, seen in force by a call of this kind.
    async fn remember_by(&self, section: &str, path: &str, body: Value) {
        let router = self.house.tenants.join(TENANT).join("router.yaml");
        let text = std::fs::read_to_string(&router).unwrap();
        std::fs::write(&router, text + section).unwrap();
        until("the cache is in force", async || {
            let probe = self.tell(path, &[("cache-control", "no-store")], body.clone()).await;
            (probe.state == "bypass").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_hit_says_so_in_every_dialect_and_costs_nothing() {
    let scene = Scene::new().await;
    for _ in 0..2 {
        assert_eq!(scene.tell(ASK, &[], ask()).await.state, "", "off until the file asks for it");
    }
    scene.remember().await;
    let served = scene.upstream.served();
    let calls = [(ASK, ask()), (CHAT, chat()), (EMBED, embed())];
    let mut first = Vec::new();
    for (path, body) in &calls {
        let told = scene.tell(path, &[], body.clone()).await;
        assert_eq!((told.state.as_str(), told.model.as_str()), ("miss", "local/fake-model"));
        assert_ne!(told.cost, "0");
        first.push(told);
    }
    for ((path, body), first) in calls.iter().zip(&first) {
        let hit = scene.tell(path, &[], body.clone()).await;
        assert_eq!((hit.state.as_str(), hit.cost.as_str()), ("hit", "0"), "{path}");
        assert_eq!(hit.model, "cache/local/fake-model");
        if *path == ASK {
            assert_eq!(
                (&hit.json()["answer"], &hit.json()["citations"]),
                (&first.json()["answer"], &first.json()["citations"])
            );
            assert_eq!(hit.json()["usage"]["cost_usd"], "0");
            let path = format!("/v1/lineage?query_id={}", hit.json()["query_id"].as_str().unwrap());
            let (status, lineage) = scene.house.call(Method::GET, &path, &scene.key, None).await;
            assert_eq!((status, &lineage["lines"][0]["agent_id"]), (200, &json!("cache/local/fake-model")));
            assert_eq!(lineage["record"]["usage"]["cost_usd"], "0");
        } else {
            assert_eq!(hit.body, first.body, "what the provider said, to the byte");
        }
        for (wish, expected) in [("no-cache", "bypass"), ("no-store", "bypass"), ("max-age=60", "hit")] {
            assert_eq!(scene.tell(path, &[("cache-control", wish)], body.clone()).await.state, expected);
        }
    }
    assert_eq!(scene.upstream.served(), served + 3 + 6, "three misses, and two wishes for each");
}

#[tokio::test]
async fn a_stream_is_remembered_and_given_again_in_either_way() {
    let scene = Scene::new().await;
    scene.remember().await;
    let served = scene.upstream.served();
    let first = scene.tell(CHAT, &[], streamed(chat())).await;
    let again = scene.tell(CHAT, &[], streamed(chat())).await;
    assert_eq!((first.state.as_str(), again.state.as_str()), ("miss", "hit"));
    let words = |told: &Told| -> String {
        let data =
            told.body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
        data.filter_map(|chunk| Some(chunk.pointer("/choices/0/delta/content")?.as_str()?.to_owned())).collect()
    };
    assert!(words(&first).ends_with(WORDS), "{first:?}");
    assert_eq!(words(&first), words(&again));
    let whole = scene.tell(CHAT, &[], chat()).await;
    assert_eq!(
        (whole.state.as_str(), whole.json()["choices"][0]["message"]["content"].as_str()),
        ("hit", Some(words(&first).as_str()))
    );
    let asked = scene.tell(ASK, &[], streamed(ask())).await;
    let told = scene.tell(ASK, &[], streamed(ask())).await;
    assert_eq!((asked.state.as_str(), told.state.as_str()), ("miss", "hit"));
    let names: Vec<_> = told.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["citations", "delta", "done"]);
    assert_eq!(scene.upstream.served(), served + 2);
}

#[tokio::test]
async fn another_tenant_asks_the_same_and_is_not_given_our_answer() {
    let scene = Scene::new().await;
    let other = "beta-inc";
    std::fs::copy(
        scene.house.tenants.join(TENANT).join("router.yaml"),
        scene.house.tenants.join(other).join("router.yaml"),
    )
    .unwrap();
    let router = scene.house.tenants.join(other).join("router.yaml");
    let text = std::fs::read_to_string(&router).unwrap().replace("tenant_id: default", "tenant_id: beta-inc");
    std::fs::write(&router, text + CACHE).unwrap();
    scene.remember().await;
    let key = scene.house.key(other, "owner").await;
    let theirs = async |headers: &[(&str, &str)]| {
        Told::of(scene.house.raw(Method::POST, CHAT, &key, headers, Some(chat())).await).await
    };
    until("the other one's cache is in force", async || {
        let response = scene.house.raw(Method::POST, CHAT, &key, &[("cache-control", "no-store")], Some(chat())).await;
        (response.status() == 200 && response.headers().contains_key("x-bailiwick-cache")).then_some(())
    })
    .await;
    let served = scene.upstream.served();
    assert_eq!(scene.tell(CHAT, &[], chat()).await.state, "miss");
    assert_eq!(scene.tell(CHAT, &[], chat()).await.state, "hit");
    assert_eq!(theirs(&[]).await.state, "miss");
    assert_eq!(theirs(&[]).await.state, "hit");
    assert_eq!(scene.upstream.served(), served + 2);
}

#[tokio::test]
async fn a_repeated_call_and_a_remembered_answer_go_together() {
    let scene = Scene::new().await;
    scene.remember().await;
    assert_eq!(scene.tell(CHAT, &[], chat()).await.state, "miss");
    let served = scene.upstream.served();
    let keyed = scene.tell(CHAT, &[("idempotency-key", "k")], chat()).await;
    assert_eq!((keyed.state.as_str(), keyed.cost.as_str()), ("hit", "0"));
    let response = scene.house.raw(Method::POST, CHAT, &scene.key, &[("idempotency-key", "k")], Some(chat())).await;
    assert_eq!(response.headers()["x-bailiwick-idempotent-replay"], "true");
    let again = Told::of(response).await;
    assert_eq!((again.state.as_str(), again.body), ("", keyed.body));
    assert_eq!(scene.upstream.served(), served);
}

#[tokio::test]
async fn the_same_meaning_is_known_in_every_dialect_and_costs_its_embedding() {
    let scene = Scene::new().await;
    scene.remember_by(&by_meaning(), ASK, ask()).await;
    let served = scene.upstream.served();
    let first = scene.tell(ASK, &[], ask()).await;
    // 100 prompt tokens at 1, 10 answer tokens at 2, and 10 words at half a millionth of a dollar
    assert_eq!(
        (first.state.as_str(), first.cost.as_str(), first.model.as_str()),
        ("miss", "0.000125", "local/fake-model")
    );
    assert_eq!(scene.upstream.served(), served + 2, "the question embedded, the model asked");
    let paraphrase = json!({"question": "How many days of paid leave does each employee have?"});
    let again = scene.tell(ASK, &[], paraphrase.clone()).await;
    assert_eq!((again.state.as_str(), again.cost.as_str()), ("semantic-hit", "0.000005"));
    assert_eq!((again.model.as_str(), scene.upstream.served()), ("cache/local/fake-model", served + 3));
    for field in ["answer", "citations"] {
        assert_eq!(again.json()[field], first.json()[field]);
    }
    assert_eq!(again.json()["usage"], json!({"prompt_tokens": 10, "completion_tokens": 0, "cost_usd": "0.000005"}));
    let told = scene.tell(ASK, &[], streamed(paraphrase)).await;
    let names: Vec<_> = told.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((told.state.as_str(), names), ("semantic-hit", vec!["citations", "delta", "done"]));
    let other = json!({"question": "Is unpaid leave of an employee counted in days?"});
    assert_eq!(scene.tell(ASK, &[], other).await.state, "miss");
    let grounded = json!({"model": "bailiwick", "messages": [{"role": "user", "content": "How many days of leave does an employee have?"}]});
    assert_eq!(
        scene.tell(CHAT, &[], grounded).await.state,
        "semantic-hit",
        "the house's own model is the same question"
    );
    assert_eq!(scene.tell(CHAT, &[], chat()).await.state, "", "calls that pass through are not looked up");
}
