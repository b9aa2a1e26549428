//! A collector of traces: takes OTLP over HTTP, takes it apart, and keeps every span. It may be slow, or answer nothing at all. The
//! same server plays the model, and keeps the heads of what it was asked.
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Came {
    /// Request line and headers.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Came {
    /// A header, where there is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (said, value) = line.split_once(':')?;
            said.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// What is said to a request; nothing where there is nothing to say.
type Answer = Arc<dyn Fn(&Came) -> Option<String> + Send + Sync>;

/// A server that keeps what comes.
#[derive(Clone)]
pub struct Keeper {
    pub port: u16,
    pub came: Arc<Mutex<Vec<Came>>>,
}

impl Keeper {
    async fn start(answer: impl Fn(&Came) -> Option<String> + Send + Sync + 'static) -> Self {
        let answer: Answer = Arc::new(answer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let keeper = Self { port, came: Arc::default() };
        let kept = Arc::clone(&keeper.came);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&answer), Arc::clone(&kept)));
            }
        });
        keeper
    }

    /// A collector that takes everything.
    pub async fn collector() -> Self {
        Self::start(|_came| Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned())).await
    }

    /// A collector that takes everything and says nothing.
    pub async fn silent() -> Self {
        Self::start(|_came| None).await
    }

    /// A model server that answers a chat with these words, whole or in events.
    pub async fn model(words: &'static str) -> Self {
        let whole =
            serde_json::json!({"id": "u", "object": "chat.completion", "created": 1, "model": "fake-model-2026",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}})
            .to_string();
        let chunk = |delta: serde_json::Value, reason: serde_json::Value| {
            serde_json::json!({"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "fake-model-2026",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        };
        let events = [
            chunk(serde_json::json!({"content": words}), serde_json::Value::Null),
            chunk(serde_json::json!({}), "stop".into()),
        ];
        let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let events = events + "data: [DONE]\n\n";
        let said = |kind: &str, body: &str| {
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        let (whole, events) = (said("application/json", &whole), said("text/event-stream", &events));
        Self::start(move |came| {
            let asked: serde_json::Value = serde_json::from_slice(&came.body).unwrap();
            Some(if asked["stream"] == true { events.clone() } else { whole.clone() })
        })
        .await
    }

    /// What came so far.
    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// Every span that came so far.
    pub fn spans(&self) -> Vec<Span> {
        let taken_apart = |came: Came| ExportTraceServiceRequest::decode(&came.body[..]).unwrap().resource_spans;
        let scopes = self.came().into_iter().flat_map(taken_apart).flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

async fn serve(mut socket: TcpStream, answer: Answer, kept: Arc<Mutex<Vec<Came>>>) {
    let mut seen = Vec::new();
    loop {
        while let Some((came, length)) = whole(&seen) {
            seen.drain(..length);
            let said = answer(&came);
            kept.lock().unwrap().push(came);
            if let Some(answer) = said
                && socket.write_all(answer.as_bytes()).await.is_err()
            {
                return;
            }
        }
        if !matches!(socket.read_buf(&mut seen).await, Ok(1..)) {
            return;
        }
    }
}

/// A request that has come whole, and how long it was.
fn whole(seen: &[u8]) -> Option<(Came, usize)> {
    let end = seen.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(seen[..end].to_vec()).unwrap();
    let mut came = Came { head, body: Vec::new() };
    let length: usize = came.header("content-length").map_or(0, |length| length.parse().unwrap());
    came.body = seen.get(end..end + length)?.to_vec();
    Some((came, end + length))
}

/// The attributes of a span, as text.
pub fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value: Any| match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        Any::BoolValue(is_so) => is_so.to_string(),
        Any::ArrayValue(values) => {
            let one = |value: Any| if let Any::StringValue(text) = value { text } else { format!("{value:?}") };
            values.values.into_iter().filter_map(|value| value.value).map(one).collect::<Vec<_>>().join(",")
        }
        other => format!("{other:?}"),
    };
    let pair = |attribute: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        Some((attribute.key.clone(), text(attribute.value.clone()?.value?)))
    };
    span.attributes.iter().filter_map(pair).collect()
}

/// The one span of this name.
pub fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let [span] = found[..] else {
        panic!("{} spans {name}: {:?}", found.len(), spans.iter().map(|span| &span.name).collect::<Vec<_>>())
    };
    span
}
