//! A model server that counts what it bills: one cent an answer, whole or in events, after a delay of its own.
use super::{Ended, House, copy_tenants};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What one answer costs: 100 prompt tokens at 10 and 100 answer tokens at 90 dollars a million.
pub const CENT_NANO_USD: u64 = 10_000_000;

/// The model server.
#[derive(Clone)]
pub struct Till {
    pub port: u16,
    /// Requests read whole.
    pub started: Arc<AtomicU64>,
    /// Answers written whole.
    pub billed: Arc<AtomicU64>,
}

impl Till {
    /// Starts on a free port; every answer takes so long.
    pub async fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let till = Self { port, started: Arc::default(), billed: Arc::default() };
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
        let answer = if request["stream"] == true { streamed() } else { whole() };
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

fn usage() -> Value {
    json!({"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200})
}

fn whole() -> String {
    let message = json!({"role": "assistant", "content": "lorem ipsum ".repeat(40)});
    let body = json!({"id": "u", "object": "chat.completion", "created": 1, "model": "fake-model",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage()})
    .to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn streamed() -> String {
    let chunk = |choices: Value, usage: Value| {
        json!({"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "fake-model", "choices": choices, "usage": usage}).to_string()
    };
    let word =
        |text: &str| chunk(json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]), Value::Null);
    let mut events: Vec<String> = (0..20).map(|_| word("lorem ipsum ")).collect();
    events.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null));
    events.push(chunk(json!([]), usage()));
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
