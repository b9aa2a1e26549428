//! A model server that misbehaves on command, and a house whose tenant asks it.
use super::{Ended, House, copy_tenants};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the model server does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Good,
    NotJson,
    NothingAtAll,
    AnotherShape,
    CutBeforeTheHead,
    CutInTheBody,
    Refuses,
    Hangs,
    /// The first words, then the rest when it is told to go on.
    Pauses,
    /// A good answer, when it is told to go on.
    Waits,
}

/// The words a good answer ends with.
pub const WORDS: &str = "Every employee has thirty days of paid leave [1].";

/// The model whose answers its passages do not carry.
pub const POOR: &str = "fake-poor";
const POOR_WORDS: &str = "Everybody gets ninety crowns on Sundays [1].";

/// The model that judges answers: good is what says nothing of ninety.
pub const JUDGE: &str = "fake-judge";

/// The model whose embeddings count words.
pub const EMBEDDER: &str = "fake-embedder";

pub struct Upstream {
    pub port: u16,
    mood: Arc<Mutex<Mood>>,
    go_on: Arc<Notify>,
    served: Arc<AtomicU64>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mood = Arc::new(Mutex::new(Mood::Good));
        let go_on = Arc::new(Notify::new());
        let served = Arc::new(AtomicU64::new(0));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let upstream = Self { port, mood, go_on, served, asked };
        let (mood, go_on) = (Arc::clone(&upstream.mood), Arc::clone(&upstream.go_on));
        let (served, asked) = (Arc::clone(&upstream.served), Arc::clone(&upstream.asked));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (mood, go_on) = (Arc::clone(&mood), Arc::clone(&go_on));
                let (served, asked) = (Arc::clone(&served), Arc::clone(&asked));
                tokio::spawn(async move {
                    let Some(request) = read(&mut socket).await else { return };
                    served.fetch_add(1, Ordering::SeqCst);
                    asked.lock().unwrap().push(request.clone());
                    serve(socket, request, mood, go_on).await;
                });
            }
        });
        upstream
    }

    pub fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Requests that came so far.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }

    /// The bodies of those requests.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    /// Ends one pause.
    pub fn go_on(&self) {
        self.go_on.notify_one();
    }
}

/// Answers one request a connection.
async fn serve(mut socket: TcpStream, request: Value, mood: Arc<Mutex<Mood>>, go_on: Arc<Notify>) {
    let streamed = request["stream"] == true;
    let mood = *mood.lock().unwrap();
    if mood == Mood::Waits {
        go_on.notified().await;
    }
    let answer = match mood {
        Mood::Hangs => {
            let _gone = socket.read(&mut [0; 64]).await;
            return;
        }
        Mood::CutBeforeTheHead => return,
        Mood::Refuses => whole(400, "application/json", &json!({"error": {"message": "no", "code": "no"}}).to_string()),
        Mood::NotJson if streamed => events(&["<html>".to_owned(), "[DONE]".to_owned()]),
        Mood::NotJson => whole(200, "text/html", "<html>down for maintenance</html>"),
        Mood::NothingAtAll => whole(200, "application/json", ""),
        Mood::AnotherShape => whole(200, "application/json", "{\"choices\": \"none\"}"),
        Mood::CutInTheBody if streamed => events(&chunks()[..2]),
        Mood::CutInTheBody => {
            let good = whole(200, "application/json", &completion(WORDS).to_string());
            good[..good.len() / 2].to_owned()
        }
        _ if request.get("documents").is_some() => whole(200, "application/json", &ranking(&request).to_string()),
        _ if request["model"] == EMBEDDER => {
            whole(200, "application/json", &bag_of_words(&request["input"]).to_string())
        }
        _ if request.get("input").is_some() => whole(200, "application/json", &embeddings().to_string()),
        Mood::Good | Mood::Waits | Mood::Pauses if streamed => {
            let mut chunks = chunks();
            chunks.push("[DONE]".to_owned());
            events(&chunks)
        }
        Mood::Good | Mood::Waits | Mood::Pauses => {
            whole(200, "application/json", &completion(said_to(&request)).to_string())
        }
    };
    let pause_at = if mood == Mood::Pauses { answer.match_indices("data: ").nth(2).map_or(0, |(at, _)| at) } else { 0 };
    let (start, rest) = answer.split_at(pause_at);
    if !start.is_empty() {
        let _gone = socket.write_all(start.as_bytes()).await;
        go_on.notified().await;
    }
    let _gone = socket.write_all(rest.as_bytes()).await;
    let _gone = socket.shutdown().await;
}

async fn read(socket: &mut TcpStream) -> Option<Value> {
    let mut seen = Vec::new();
    loop {
        if socket.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
        let Some(head) = seen.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        if let Ok(body) = serde_json::from_slice(&seen[head + 4..]) {
            return Some(body);
        }
    }
}

fn whole(status: u16, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn events(data: &[String]) -> String {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    data.iter().fold(head.to_owned(), |text, data| text + "data: " + data + "\n\n")
}

fn said_to(request: &Value) -> &'static str {
    let words = request["messages"].to_string();
    match request["model"].as_str() {
        Some(JUDGE) if words.contains("ninety") => "No.",
        Some(JUDGE) => "Yes.",
        Some(POOR) => POOR_WORDS,
        _ => WORDS,
    }
}

fn completion(words: &str) -> Value {
    json!({"id": "u", "object": "chat.completion", "created": 1, "model": "fake-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}})
}

fn embeddings() -> Value {
    json!({"object": "list", "model": "fake-model", "usage": {"prompt_tokens": 100, "total_tokens": 100},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -1.0e-7, 0.333_333_333_333_333_3]}]})
}

/// What a model would say that ranks by the word *precisely* and nothing else, the last text first.
fn ranking(request: &Value) -> Value {
    let documents = request["documents"].as_array().unwrap().iter().enumerate().rev();
    let score = |text: &Value| text.as_str().unwrap().matches("precisely").count();
    let results: Vec<Value> =
        documents.map(|(index, text)| json!({"index": index, "relevance_score": score(text)})).collect();
    json!({"model": request["model"], "results": results, "usage": {"total_tokens": 100}})
}

/// What a model of meaning would say that knew no synonyms; a token a word.
fn bag_of_words(input: &Value) -> Value {
    let texts: Vec<&str> = match input {
        Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap()).collect(),
        text => vec![text.as_str().unwrap()],
    };
    let mut tokens = 0;
    let mut bag_of = |text: &str| {
        let text = text.to_lowercase();
        let mut bag = vec![0.0; 256];
        for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let hash = word.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(131).wrapping_add(byte.into()));
            bag[hash % 256] += 1.0;
            tokens += 1;
        }
        bag
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": bag_of(text)}))
        .collect();
    json!({"object": "list", "model": EMBEDDER, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}, "data": data})
}

fn chunks() -> Vec<String> {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "fake-model",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        .to_string()
    };
    // the house withholds the last words it has heard, so there are many before the last ones
    let (start, end) = WORDS.split_at("Every employee ".len());
    let usage = json!({"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "fake-model", "choices": [],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}});
    vec![
        chunk(json!({"role": "assistant", "content": "Leave is a right. ".repeat(8)}), Value::Null),
        chunk(json!({"content": "It is not a favour [1]. ".repeat(8)}), Value::Null),
        chunk(json!({"content": start}), Value::Null),
        chunk(json!({"content": end}), Value::Null),
        chunk(json!({}), json!("stop")),
        usage.to_string(),
    ]
}

/// A house whose tenant `default` routes to the model server on this port, and waits so long for it.
pub fn house_on(port: u16, timeout_ms: u64) -> (tempfile::TempDir, Ended) {
    house_within(port, timeout_ms, "")
}

/// As [`house_on`], with the stated limits.
pub fn house_within(port: u16, timeout_ms: u64, limits: &str) -> (tempfile::TempDir, Ended) {
    house_prepared(port, timeout_ms, limits, |_tenants| ())
}

/// As [`house_within`], with folders of tenants that were changed before it starts.
pub fn house_prepared(
    port: u16,
    timeout_ms: u64,
    limits: &str,
    prepare: impl FnOnce(&Path),
) -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    let tenants = copy_tenants(folder.path());
    prepare(&tenants);
    let router = tenants.join("default/router.yaml");
    let text = std::fs::read_to_string(&router).unwrap();
    let (start, end) = (text.find("routing:").unwrap(), text.find("\nsla:").unwrap());
    let routing =
        "routing:\n  primary:\n    provider: local\n    model: fake-model\n    temperature: 0.0\n    max_tokens: 256\n";
    std::fs::write(&router, format!("{}{routing}{}", &text[..start], &text[end..])).unwrap();
    let config = format!(
        "{limits}[[providers]]\nname = \"local\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:{port}/v1\"\nregion = \"eu-west-1\"\n\
         timeout_ms = {timeout_ms}\nretries = 0\n\n[providers.prices.\"fake-model\"]\ninput_usd_per_1m_tokens = \"1\"\noutput_usd_per_1m_tokens = \"2\"\n\
         [providers.prices.\"{POOR}\"]\ninput_usd_per_1m_tokens = \"1\"\noutput_usd_per_1m_tokens = \"2\"\n\
         [providers.prices.\"{JUDGE}\"]\ninput_usd_per_1m_tokens = \"1\"\noutput_usd_per_1m_tokens = \"2\"\n\
         [providers.prices.\"{EMBEDDER}\"]\ninput_usd_per_1m_tokens = \"0.5\"\noutput_usd_per_1m_tokens = \"0\"\n"
    );
    let house = House::start_on(folder.path(), Some(&config));
    (folder, Ended(Some(house)))
}
