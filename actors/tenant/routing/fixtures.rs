//! What the tests of this room share: a policy, passages, turns, an upstream that does what it is told.
use super::providers::{GroundedCall, PassedCall, Provider, ProviderFuture, Said};
use crate::budget::hold::{Candidate, Hold, Returned};
use crate::catalog::{Price, ProviderEntry};
use crate::question::{Matter, Passage, Question};
use crate::ruling::Ruled;
use crate::supervisor::sideways::Sideways;
use crate::turn::{Answered, Awaiting, Case, Funded, Grounded, ReplyLine, Turn};
use actix::prelude::*;
use bailiwick_kernel::ids::QueryId;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::evaluate::Engine;
use bailiwick_policy::guard::Guard;
use bailiwick_policy::language::Action;
use bailiwick_policy::language::checks::{Enacted, Origin};
use bailiwick_policy::schema::Route;
use regex::RegexSet;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// When every test's turn is admitted.
pub(super) const NOW: u64 = 1_700_000_000_000;

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn permit_all() -> Enacted {
    let rule = read(json!({"id": "all", "effect": "permit", "actions": Action::ALL}));
    Enacted { rule, origin: Origin::Tenant { file: "policies/governance.yaml", index: 0 } }
}

/// A policy that allows `eu-*`, forbids the given patterns, and lets two calls be under way.
pub(super) fn policy(output_forbidden: &[&str]) -> Arc<PolicySnapshot> {
    let route = json!({"provider": "primary", "model": "model"});
    Arc::new(PolicySnapshot {
        version: "1.0.0".into(),
        digest: String::new(),
        release: String::new(),
        tenant: read(json!({
            "id": "00000000-0000-4000-8000-000000000001", "name": "t",
            "config": {"region": "eu-west-1", "retention_days": 1},
            "quotas": {"max_requests_per_hour": 1, "max_concurrent_requests": 2, "max_cost_per_month": 1, "max_storage_gb": 1.0},
            "metadata": {"industry": "i", "contact_email": "e"},
        })),
        guard: Arc::new(Guard::compile(&read(json!({"allowlist": ["upload.local"], "min_trust_score": 0.0}))).unwrap()),
        top_k: 3,
        dense: None,
        rerank: None,
        output_forbidden: RegexSet::new(output_forbidden).unwrap(),
        engine: Arc::new(Engine::compile(vec![permit_all()]).unwrap()),
        conflicts: Arc::default(),
        governance: read(json!({"require_citations": false})),
        evaluation: read(json!({"sample_rate": 0.0, "min_ndcg_at_10": 0.0, "min_groundedness": 0.0})),
        router: read(json!({
            "tenant_id": "t", "routing": {"primary": route},
            "sla": {"p95_latency_ms": 1, "error_rate_max": 0.1, "cost_per_1k_qa_usd": 1},
            "budget": {"monthly_limit_usd": 1, "daily_limit_usd": 1},
        })),
        budget_zone: bailiwick_policy::budget::zone("UTC").unwrap(),
        features: read(json!({"tenant_id": "t"})),
        sovereignty: read(json!({
            "region": "eu-west-1", "allowed_regions": ["eu-*"], "retention": {"logs_days": 1, "data_days": 1, "backups_days": 1},
            "encryption": {"at_rest": "AES-256", "in_transit": "TLS-1.3"},
        })),
        slo: read(json!({"availability": 0.9, "p95_latency_ms": 1, "error_rate_max": 0.1, "cost_per_1k_qa_usd": 1})),
        users: Vec::new(),
        signed: Arc::default(),
        revoked: Arc::default(),
        control: None,
        warnings: Vec::new(),
    })
}

/// Two passages.
pub(super) fn passages() -> Arc<[Passage]> {
    let passage = |number: usize, text: &str| Passage {
        document_id: format!("doc{number}"),
        chunk_id: format!("doc{number}#0"),
        title: format!("Title {number}"),
        source: "upload.local/doc.txt".into(),
        text: text.into(),
        start: 0,
        end: text.chars().count(),
        page: None,
        score: 1.0,
        trust_score: 1.0,
        domain: "general".into(),
        usecase: "general".into(),
        version: 0,
        document_sha256: String::new(),
    };
    Arc::new([passage(1, "Salt dissolves in water."), passage(2, "Oil does not.")])
}

/// An entry of the catalogue.
pub(super) fn entry(name: &str, kind: &str, base_url: &str) -> ProviderEntry {
    ProviderEntry {
        name: name.into(),
        kind: kind.into(),
        base_url: Some(base_url.into()),
        api_key: Some(secrecy::SecretString::from("sk-very-secret-key".to_owned())),
        local: None,
        region: "eu-central-1".into(),
        concurrency: 4,
        requests_per_minute: None,
        timeout_ms: 20_000,
        retries: 0,
        prices: BTreeMap::new(),
    }
}

/// A candidate of a hold.
pub(super) fn candidate(provider: &str, fallback: bool) -> Candidate {
    let route = Route { provider: provider.into(), model: "model".into(), temperature: 0.0, max_tokens: 100 };
    Candidate { route, price: Price::default(), fallback, answers: 1, is_cut: false }
}

/// Collects one kind of message.
pub(crate) struct Collector<M>(pub(super) mpsc::UnboundedSender<M>);

impl<M: Unpin + 'static> Actor for Collector<M> {
    type Context = Context<Self>;
}

impl<M: Message<Result = ()> + Unpin + Send + 'static> Handler<M> for Collector<M> {
    type Result = ();

    fn handle(&mut self, message: M, _context: &mut Self::Context) {
        let _gone = self.0.send(message);
    }
}

/// A recipient and what it received.
pub(crate) fn collector<M: Message<Result = ()> + Unpin + Send + 'static>() -> (Recipient<M>, mpsc::UnboundedReceiver<M>)
{
    let (sender, received) = mpsc::unbounded_channel();
    (Actor::start(Collector(sender)).recipient(), received)
}

/// What a test needs of a turn in flight.
pub(super) struct Funding {
    pub(super) turn: Turn<Funded>,
    pub(super) asker: Awaiting,
    pub(super) returned: mpsc::UnboundedReceiver<Returned>,
}

/// A funded turn over the given candidates, with a minute to go.
pub(super) fn funded(
    matter: Matter,
    streaming: bool,
    policy: Arc<PolicySnapshot>,
    candidates: Vec<Candidate>,
) -> Funding {
    funded_with(NanoUsd(5), matter, streaming, policy, candidates)
}

/// Tokens of every prompt here.
pub(super) const PROMPT_TOKENS: u64 = 42;

/// As [`funded`], with so much held.
pub(super) fn funded_with(
    amount: NanoUsd,
    matter: Matter,
    streaming: bool,
    policy: Arc<PolicySnapshot>,
    candidates: Vec<Candidate>,
) -> Funding {
    let (turn, asker) = grounded(matter, streaming, policy);
    let (home, returned) = collector::<Returned>();
    let hold = Hold::new(1, amount, candidates, PROMPT_TOKENS, home);
    Funding { turn: turn.fund(hold), asker, returned }
}

/// A turn whose passages were found, with a minute to go, and who waits for it.
pub(crate) fn grounded(matter: Matter, streaming: bool, policy: Arc<PolicySnapshot>) -> (Turn<Grounded>, Awaiting) {
    let (line, asker) = if streaming { ReplyLine::streaming() } else { ReplyLine::whole() };
    let principal = Principal { key_id: "key".into(), user_id: None, role: None, attributes: Default::default() };
    let ruled = Ruled::on(&policy, &matter, &principal, NOW).unwrap();
    let case = Case {
        query_id: QueryId::fresh(NOW, [7; 10]),
        matter,
        principal,
        policy,
        ruled,
        arrived_unix_ms: NOW,
        admitted_unix_ms: NOW,
        deadline_unix_ms: NOW + 60_000,
        idempotency_key: None,
        cache_control: Default::default(),
        remember_as: None,
        lookup: None,
        approval: None,
        permit: None,
        exposure: None,
        found_by_meaning: None,
        ranked_again: None,
        remembered_at: None,
        sideways: Sideways::unheard(),
    };
    (Turn::admit(case, line, Arc::default(), std::time::Duration::ZERO).ground(passages()), asker)
}

/// The question every test asks.
pub(super) fn ask() -> Matter {
    Matter::Ask(Question { text: "Does salt dissolve?".into(), ..Question::default() })
}

/// Ends of a turn: the words, as the exit receives them.
pub(super) type Exit = (Recipient<Turn<Answered>>, mpsc::UnboundedReceiver<Turn<Answered>>);

type Script = dyn Fn(crate::turn::FrameSink) -> ProviderFuture<Said> + Send + Sync;

/// A provider that does what its script says, whatever it is asked.
pub(super) struct Scripted(pub(super) Box<Script>);

impl Scripted {
    pub(super) fn new(
        script: impl Fn(crate::turn::FrameSink) -> ProviderFuture<Said> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self(Box::new(script)))
    }
}

impl Provider for Scripted {
    fn answer(&self, call: GroundedCall) -> ProviderFuture<Said> {
        (self.0)(call.sink)
    }

    fn chat(&self, call: PassedCall) -> ProviderFuture<Said> {
        (self.0)(call.sink)
    }

    fn embed(&self, call: PassedCall) -> ProviderFuture<Said> {
        (self.0)(call.sink)
    }
}

/// How a hand-written upstream answers one request.
pub(super) enum Wire {
    /// These bytes, then the connection ends.
    Close(String),
    /// These bytes one by one, then the connection ends.
    Drip(String),
    /// These bytes, then nothing, until the caller hangs up.
    Hold(String),
}

/// An upstream on a socket of its own; answers its script in order, one connection each.
pub(super) struct Upstream {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    pub(super) async fn playing(script: Vec<Wire>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut script = VecDeque::from(script);
            while let Some(wire) = script.pop_front() {
                let (mut socket, _) = listener.accept().await.unwrap();
                let request = request(&mut socket).await;
                seen.lock().unwrap().push(request);
                play(&mut socket, wire).await;
            }
        });
        Self { url, requests }
    }

    /// The requests that came, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn play(socket: &mut TcpStream, wire: Wire) {
    match wire {
        Wire::Close(bytes) => socket.write_all(bytes.as_bytes()).await.unwrap_or_default(),
        Wire::Drip(bytes) => {
            socket.set_nodelay(true).unwrap();
            for byte in bytes.as_bytes() {
                socket.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
        Wire::Hold(bytes) => {
            socket.write_all(bytes.as_bytes()).await.unwrap();
            let mut rest = [0_u8; 16];
            while socket.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        }
    }
}

async fn request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0_u8; 4096];
        let read = socket.read(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
            body.len() >= length.unwrap_or(0)
        });
        if whole || read == 0 {
            return text;
        }
    }
}

/// A whole HTTP answer.
pub(super) fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// An HTTP answer of JSON.
pub(super) fn http_json(status: &str, body: &Value) -> String {
    http(status, "content-type: application/json\r\n", &body.to_string())
}

/// The head and events of a stream that ends with its connection.
pub(super) fn http_events(events: &[String]) -> String {
    let body: String = events.iter().map(|event| format!("{event}\n\n")).collect();
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n{body}")
}

/// One chunk of OpenAI's stream.
pub(super) fn openai_chunk(content: &str, finish: Option<&str>) -> String {
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]});
    format!("data: {chunk}")
}

/// OpenAI's stream of the given words, whole.
pub(super) fn openai_events(words: &[&str]) -> Vec<String> {
    let mut events: Vec<String> = words.iter().map(|words| openai_chunk(words, None)).collect();
    events.push(openai_chunk("", Some("stop")));
    events.push("data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7}}".into());
    events.push("data: [DONE]".into());
    events
}

/// OpenAI's whole answer.
pub(super) fn openai_answer(content: &str) -> Value {
    json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m", "x_unknown": {"kept": true},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    })
}
