//! A model server that counts what it bills: one cent an answer, whole or in events, after a delay of its own. Some of them
//! do not care how long an answer may be.
use super::{Ended, House, copy_tenants};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What one answer costs: 100 prompt tokens at 10 and 100 answer tokens at 90 dollars a million.
pub const CENT_NANO_USD: u64 = 10_000_000;

/// How long its answers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Habit {
    /// As long as they may be.
    #[default]
    Keeps,
    /// Ten times as long where they come whole, and without end where they come in events.
    Ignores,
    /// The same, and says with every event what it has used: a thousand tokens each.
    IgnoresAndReports,
}

/// Tokens that are used with every event by who says so.
pub const TOKENS_AN_EVENT: u64 = 1_000;

/// The model server.
#[derive(Clone)]
pub struct Till {
    pub port: u16,
    habit: Habit,
    /// Requests read whole.
    pub started: Arc<AtomicU64>,
    /// Answers written whole.
    pub billed: Arc<AtomicU64>,
    /// Bytes of answers without end, written until nobody took any more.
    pub endless_bytes: Arc<AtomicU64>,
    /// Such answers that nobody took any more.
    pub hung_up: Arc<AtomicU64>,
}

impl Till {
    /// Starts on a free port; every answer takes so long.
    pub async fn start(delay: Duration) -> Self {
        Self::with_habit(delay, Habit::default()).await
    }

    /// As [`Till::start`], with answers of another length.
    pub async fn with_habit(delay: Duration, habit: Habit) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let till = Self {
            port,
            habit,
            started: Arc::default(),
            billed: Arc::default(),
            endless_bytes: Arc::default(),
            hung_up: Arc::default(),
        };
        let shared = till.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, delay, shared.clone()));
            }
        });
        till
    }

    pub fn billed(&self) -> u64 {
        self.billed.load(Ordering::SeqCst)
    }

    /// Waits until so many answers without end were given up by who asked for them.
    pub async fn hung_up(&self, answers: u64) {
        super::until("connections of answers without end are closed", async || {
            (self.hung_up.load(Ordering::SeqCst) == answers).then_some(())
        })
        .await;
    }

    /// Waits until every request that was read is answered and billed.
    pub async fn at_rest(&self) {
        super::until("the model server is at rest", async || {
            (self.started.load(Ordering::SeqCst) == self.billed()).then_some(())
        })
        .await;
    }
}

async fn serve(mut socket: TcpStream, delay: Duration, till: Till) {
    let _ = socket.set_nodelay(true);
    let mut seen = Vec::new();
    loop {
        let Some(request) = next(&mut socket, &mut seen).await else { return };
        till.started.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(delay).await;
        let answer = match (request["stream"] == true, till.habit) {
            (true, Habit::Keeps) => streamed(),
            (false, Habit::Keeps) => whole(1),
            (true, Habit::Ignores | Habit::IgnoresAndReports) => return without_end(socket, till).await,
            (false, Habit::Ignores | Habit::IgnoresAndReports) => whole(10),
        };
        // a server bills what it has generated, also where nobody is there to take it
        till.billed.fetch_add(1, Ordering::SeqCst);
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn next(socket: &mut TcpStream, seen: &mut Vec<u8>) -> Option<Value> {
    loop {
        if let Some(head) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&seen[..head]).to_lowercase();
            let length = text.split("content-length: ").nth(1)?.lines().next()?.trim().parse::<usize>().ok()?;
            if seen.len() >= head + 4 + length {
                let request = serde_json::from_slice(&seen[head + 4..head + 4 + length]).ok()?;
                seen.drain(..head + 4 + length);
                return Some(request);
            }
        }
        if socket.read_buf(seen).await.ok()? == 0 {
            return None;
        }
    }
}

/// An answer that goes on until nobody takes any more of it.
async fn without_end(mut socket: TcpStream, till: Till) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let mut taken = socket.write_all(head.as_bytes()).await;
    for events in 1.. {
        if taken.is_err() {
            break;
        }
        let usage = match till.habit {
            Habit::IgnoresAndReports => usage(TOKENS_AN_EVENT * events),
            Habit::Keeps | Habit::Ignores => Value::Null,
        };
        let event = format!("data: {}\n\n", word(ENDLESS_WORDS, usage));
        taken = socket.write_all(event.as_bytes()).await;
        till.endless_bytes.fetch_add(event.len() as u64, Ordering::SeqCst);
    }
    till.hung_up.fetch_add(1, Ordering::SeqCst);
}

/// What is said again and again.
pub const ENDLESS_WORDS: &str = "Lorem ipsum dolor sit amet [1]. ";

fn usage(completion_tokens: u64) -> Value {
    json!({"prompt_tokens": 100, "completion_tokens": completion_tokens, "total_tokens": 100 + completion_tokens})
}

/// An answer of so many times a hundred tokens.
fn whole(times: usize) -> String {
    let message = json!({"role": "assistant", "content": "lorem ipsum ".repeat(40 * times)});
    let body = json!({"id": "u", "object": "chat.completion", "created": 1, "model": "fake-model",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage(100 * times as u64)})
    .to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn chunk(choices: Value, usage: Value) -> String {
    json!({"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "fake-model", "choices": choices, "usage": usage}).to_string()
}

fn word(text: &str, usage: Value) -> String {
    chunk(json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]), usage)
}

fn streamed() -> String {
    let mut events: Vec<String> = (0..20).map(|_| word("lorem ipsum ", Value::Null)).collect();
    events.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null));
    events.push(chunk(json!([]), usage(100)));
    events.push("[DONE]".to_owned());
    let body = events.iter().fold(String::new(), |body, event| body + "data: " + event + "\n\n");
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Tenants whose first one routes to the model server under this budget; gives the configuration.
pub fn furnish(folder: &std::path::Path, port: u16, budget: &str) -> String {
    let tenants = copy_tenants(folder);
    let router = tenants.join("default/router.yaml");
    let text = std::fs::read_to_string(&router).unwrap();
    let (start, end) = (text.find("routing:").unwrap(), text.find("\nsla:").unwrap());
    let sla = &text[end..text.find("\nbudget:").unwrap()];
    let routing = "routing:\n  primary:\n    provider: local\n    model: fake-model\n    temperature: 0.0\n    max_tokens: 1024\n";
    std::fs::write(&router, format!("{}{routing}{sla}\nbudget:\n{budget}", &text[..start])).unwrap();
    format!(
        "[[providers]]\nname = \"local\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:{port}/v1\"\nregion = \"eu-west-1\"\nconcurrency = 256\nretries = 0\n\
         [providers.prices.\"fake-model\"]\ninput_usd_per_1m_tokens = \"10\"\noutput_usd_per_1m_tokens = \"90\"\n"
    )
}

/// A house whose tenant `default` pays this model server out of this budget.
pub fn house_paying(port: u16, budget: &str) -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    let config = furnish(folder.path(), port, budget);
    let house = House::start_on(folder.path(), Some(&config));
    (folder, Ended(Some(house)))
}

/// The same with a second model server behind the first one, at a tenth of its prices.
pub fn house_paying_two(primary: u16, fallback: u16, budget: &str) -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    let config = furnish(folder.path(), primary, budget);
    let router = folder.path().join("tenants/default/router.yaml");
    let text = std::fs::read_to_string(&router).unwrap();
    let second =
        "  fallback:\n    provider: second\n    model: spare-model\n    temperature: 0.0\n    max_tokens: 1024\n\nsla:";
    std::fs::write(&router, text.replacen("\nsla:", second, 1)).unwrap();
    let config = format!(
        "{config}\n[[providers]]\nname = \"second\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:{fallback}/v1\"\nregion = \"eu-west-1\"\nconcurrency = 256\nretries = 0\n\
         [providers.prices.\"spare-model\"]\ninput_usd_per_1m_tokens = \"1\"\noutput_usd_per_1m_tokens = \"9\"\n"
    );
    let house = House::start_on(folder.path(), Some(&config));
    (folder, Ended(Some(house)))
}
