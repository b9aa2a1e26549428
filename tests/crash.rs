//! The power is cut, again and again, while documents, questions and paid calls are under way: whatever was
//! acknowledged is there afterwards, and nothing is there twice.
//!
//! `BAILIWICK_CRASH_CYCLES` for shorter or longer runs; the moments of the cuts are drawn from a fixed seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
mod support;
use bailiwick_kernel::money::NanoUsd;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use support::{Ended, House, usd};
use tokio::sync::mpsc;

const CYCLES: u32 = 200;
const SEED: u64 = 0xC0FFEE;
/// Cycles between two looks at the whole export.
const AUDIT_EVERY: u32 = 25;
/// 100 prompt tokens at 10 and 100 answer tokens at 20 nano-dollars.
const UNIT: NanoUsd = NanoUsd(3_000);
/// The tenant whose calls cost money, and one that answers from its own documents for nothing.
const PAID: &str = "default";
const FREE: &str = "acme-corp";
const QUESTION: &str = "What is the codeword of the reading room?";

/// A model server of OpenAI's shape; counts what it would bill.
fn upstream(billed: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let billed = Arc::clone(&billed);
            std::thread::spawn(move || {
                socket.set_nodelay(true).unwrap();
                let (mut seen, mut buffer) = (Vec::new(), [0_u8; 65_536]);
                while let Ok(read @ 1..) = socket.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..read]);
                    while let Some(end) = end_of_request(&seen) {
                        seen.drain(..end);
                        billed.fetch_add(1, Ordering::SeqCst);
                        if socket.write_all(completion().as_bytes()).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    port
}

fn end_of_request(seen: &[u8]) -> Option<usize> {
    let head = seen.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&seen[..head]).to_lowercase();
    let length =
        text.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().trim().parse().unwrap());
    Some(head + 4 + length).filter(|end| *end <= seen.len())
}

fn completion() -> String {
    let body = json!({"id": "u", "object": "chat.completion", "created": 1, "model": "fake-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "It is amber [1]."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}})
    .to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Tenants whose first one routes to the paid upstream; gives the configuration.
fn furnish(folder: &std::path::Path, port: u16) -> String {
    let tenants = support::copy_tenants(folder);
    let router = tenants.join(PAID).join("router.yaml");
    let text = std::fs::read_to_string(&router).unwrap();
    let paid = text.replace("provider: extractive\n    model: sentences", "provider: local\n    model: fake-model");
    assert_ne!(text, paid, "the router's file has changed");
    std::fs::write(&router, paid).unwrap();
    format!(
        "[[providers]]\nname = \"local\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:{port}/v1\"\nregion = \"eu-west-1\"\nconcurrency = 64\n\
         [providers.prices.\"fake-model\"]\ninput_usd_per_1m_tokens = \"0.01\"\noutput_usd_per_1m_tokens = \"0.02\"\n"
    )
}

/// What the house said it had done.
#[derive(Debug)]
enum Acknowledged {
    Document { tenant: &'static str, id: String, seq: u64 },
    Answer { tenant: &'static str, query_id: String, cost: NanoUsd },
    Completion { key: String },
}

/// What everybody knocks with.
#[derive(Clone)]
struct Caller {
    http: Client,
    url: String,
    keys: Arc<BTreeMap<&'static str, String>>,
    heard: mpsc::UnboundedSender<Acknowledged>,
}

impl Caller {
    /// Sends one request; `None` once the house is gone.
    async fn post(&self, tenant: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Option<(u16, Value)> {
        let mut request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.keys[tenant]).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    async fn ingest(self, tenant: &'static str, round: String) {
        for number in 0_u32.. {
            let id = format!("{tenant}-{round}-{number}");
            let body = json!({"documents": [{"id": id, "title": id, "text": format!("Shelf {number} of round {round} holds maps.")}]});
            let Some((status, answer)) = self.post(tenant, "/v1/documents", &body, &[]).await else { return };
            assert_eq!(status, 201, "{answer}");
            let taken = &answer["documents"][0];
            assert_ne!(taken["state"], "failed", "{answer}");
            let _ended = self.heard.send(Acknowledged::Document { tenant, id, seq: taken["seq"].as_u64().unwrap() });
        }
    }

    async fn ask(self, tenant: &'static str) {
        loop {
            let Some((status, answer)) = self.post(tenant, "/v1/ask", &json!({"question": QUESTION}), &[]).await else {
                return;
            };
            assert_eq!(status, 200, "{answer}");
            let query_id = answer["query_id"].as_str().unwrap().to_owned();
            let _ended =
                self.heard.send(Acknowledged::Answer { tenant, query_id, cost: usd(&answer["usage"]["cost_usd"]) });
        }
    }

    async fn complete(self, round: String) {
        for number in 0_u32.. {
            let key = format!("{round}-{number}");
            let body =
                json!({"model": "fake-model", "max_tokens": 150, "messages": [{"role": "user", "content": "hello"}]});
            let Some((status, answer)) =
                self.post(PAID, "/v1/chat/completions", &body, &[("idempotency-key", &key)]).await
            else {
                return;
            };
            assert_eq!(status, 200, "{answer}");
            let _ended = self.heard.send(Acknowledged::Completion { key });
        }
    }
}

/// What must be found in every later life of the house.
#[derive(Default)]
struct Books {
    /// Acknowledged since the last look.
    fresh: Vec<Acknowledged>,
    /// Tenant and query id → what its record charges.
    charges: BTreeMap<(&'static str, String), NanoUsd>,
    /// Idempotency keys found in records.
    keys: BTreeSet<String>,
    /// Idempotency keys that were acknowledged.
    answered_keys: Vec<String>,
    documents: Vec<(&'static str, String)>,
}

impl Books {
    /// Looks up what was acknowledged before the last cut.
    async fn look_up(&mut self, house: &House, keys: &BTreeMap<&'static str, String>) {
        for acknowledged in std::mem::take(&mut self.fresh) {
            match acknowledged {
                Acknowledged::Document { tenant, id, seq } => {
                    let (status, found) =
                        house.call(Method::GET, &format!("/v1/documents/{id}"), &keys[tenant], None).await;
                    assert_eq!(
                        (status, found["seq"].as_u64()),
                        (200, Some(seq)),
                        "an acknowledged document: {id}: {found}"
                    );
                    self.documents.push((tenant, id));
                }
                Acknowledged::Answer { tenant, query_id, cost } => {
                    let charged = self.record(house, keys, tenant, &query_id).await;
                    assert_eq!(charged, cost, "an acknowledged answer is charged as it said: {query_id}");
                }
                Acknowledged::Completion { key } => self.answered_keys.push(key),
            }
        }
    }

    /// Reads one answer's record, once.
    async fn record(
        &mut self,
        house: &House,
        keys: &BTreeMap<&'static str, String>,
        tenant: &'static str,
        query_id: &str,
    ) -> NanoUsd {
        let name = (tenant, query_id.to_owned());
        if let Some(charged) = self.charges.get(&name) {
            return *charged;
        }
        let (status, found) =
            house.call(Method::GET, &format!("/v1/lineage?query_id={query_id}"), &keys[tenant], None).await;
        assert_eq!(status, 200, "the record of {query_id}: {found}");
        if let Some(key) = found["record"]["idempotency_key"].as_str() {
            assert!(self.keys.insert(key.to_owned()), "two records of one call: {key}");
        }
        let charged = usd(&found["record"]["usage"]["cost_usd"]);
        self.charges.insert(name, charged);
        charged
    }

    /// Walks the whole export: every record stands once, every acknowledged charge is among them, and they sum up to
    /// what the budget says was spent. Gives what a cut may have spent unrecorded.
    async fn audit(&mut self, house: &House, keys: &BTreeMap<&'static str, String>, billed: u64) -> NanoUsd {
        let mut unreconciled = NanoUsd::ZERO;
        for tenant in [PAID, FREE] {
            let export =
                house.raw(Method::GET, "/v1/lineage/export", &keys[tenant], &[], None).await.text().await.unwrap();
            let mut stands: BTreeMap<String, u64> = BTreeMap::new();
            for line in export.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                let (query_id, seq) = (line["query_id"].as_str().unwrap().to_owned(), line["seq"].as_u64().unwrap());
                assert_eq!(*stands.entry(query_id.clone()).or_insert(seq), seq, "recorded twice: {query_id}");
            }
            let mut sum = NanoUsd::ZERO;
            for query_id in stands.keys() {
                sum = sum.saturating_add(self.record(house, keys, tenant, query_id).await);
            }
            for (_, query_id) in self.charges.keys().filter(|(of, _)| *of == tenant) {
                assert!(stands.contains_key(query_id), "a record is not in the export: {query_id}");
            }
            let (_, usage) = house.call(Method::GET, "/v1/usage", &keys[tenant], None).await;
            let spent = usd(&usage["budget"]["spent_month"]);
            let open = usd(&usage["budget"]["unreconciled"]);
            assert_eq!(
                spent,
                sum.saturating_add(open),
                "spent is what the records charge and what cuts left open: {usage}"
            );
            if tenant == PAID {
                let cost = UNIT.saturating_times(billed);
                assert!(spent >= cost, "the provider billed {cost}, the books say {spent}");
                unreconciled = open;
            }
        }
        for key in &self.answered_keys {
            assert!(self.keys.contains(key), "an acknowledged call is not recorded: {key}");
        }
        for (tenant, id) in &self.documents {
            let (status, _) = house.call(Method::GET, &format!("/v1/documents/{id}"), &keys[*tenant], None).await;
            assert_eq!(status, 200, "an acknowledged document went missing later: {id}");
        }
        unreconciled
    }
}

/// Waits until the first question can be answered from the first document.
async fn with_a_document(house: &House, key: &str) {
    let document = json!({"documents": [{"id": "first", "title": "Codewords", "text": "The codeword of the reading room is amber."}]});
    assert_eq!(house.call(Method::POST, "/v1/documents", key, Some(document)).await.0, 201);
    while house.call(Method::POST, "/v1/search", key, Some(json!({"query": "codeword"}))).await.1["hits"][0]["document_id"]
        != "first"
    {}
}

/// Everybody works until so many things were acknowledged; then the power is cut.
async fn until_the_cut(
    mut house: Ended,
    keys: &Arc<BTreeMap<&'static str, String>>,
    cycle: u32,
    random: &mut StdRng,
) -> Vec<Acknowledged> {
    let (heard, mut acknowledgements) = mpsc::unbounded_channel();
    let caller = Caller { http: house.http.clone(), url: house.url.clone(), keys: Arc::clone(keys), heard };
    let mut work = tokio::task::JoinSet::new();
    for worker in 0..2 {
        let round = format!("{cycle}-{worker}");
        work.spawn(caller.clone().ingest(if worker == 0 { PAID } else { FREE }, round.clone()));
        work.spawn(caller.clone().ask(if worker == 0 { PAID } else { FREE }));
        work.spawn(caller.clone().complete(round));
    }
    drop(caller);
    let mut seen: Vec<Acknowledged> = Vec::new();
    // every third time until questions were answered, which take longest after a start
    let (all, answers) =
        if random.random_ratio(1, 3) { (0, random.random_range(1..4)) } else { (random.random_range(0..24), 0) };
    let is_answer = |acknowledged: &&Acknowledged| matches!(acknowledged, Acknowledged::Answer { .. });
    while seen.len() < all || seen.iter().filter(is_answer).count() < answers {
        seen.push(acknowledgements.recv().await.unwrap());
    }
    for _ in 0..random.random_range(0..200) {
        tokio::task::yield_now().await;
    }
    let log = house.0.take().unwrap().kill();
    while let Some(acknowledged) = acknowledgements.recv().await {
        seen.push(acknowledged);
    }
    while let Some(worker) = work.join_next().await {
        worker.unwrap();
    }
    for line in log {
        assert!(!line.contains("panicked") && !line.contains("damaged") && !line.contains("ERROR"), "{line}");
    }
    seen
}

#[tokio::test]
async fn whatever_was_acknowledged_survives_the_cut_and_stands_once() {
    let cycles = std::env::var("BAILIWICK_CRASH_CYCLES").map_or(CYCLES, |text| text.parse().unwrap());
    let billed = Arc::new(AtomicU64::new(0));
    let folder = tempfile::tempdir().unwrap();
    let config = furnish(folder.path(), upstream(Arc::clone(&billed)));
    let started = Instant::now();
    let start = || Ended(Some(House::start_on(folder.path(), Some(&config))));
    let mut house = start();
    let mut keys = BTreeMap::new();
    for tenant in [PAID, FREE] {
        let key = house.key(tenant, "owner").await;
        with_a_document(&house, &key).await;
        keys.insert(tenant, key);
    }
    let (keys, mut books, mut random) = (Arc::new(keys), Books::default(), StdRng::seed_from_u64(SEED));
    let (mut booting_ms, mut answers) = (0, 0);
    for cycle in 0..cycles {
        let seen = until_the_cut(house, &keys, cycle, &mut random).await;
        answers += seen.iter().filter(|acknowledged| matches!(acknowledged, Acknowledged::Answer { .. })).count();
        books.fresh.extend(seen);
        let boot = Instant::now();
        house = start();
        booting_ms += boot.elapsed().as_millis();
        books.look_up(&house, &keys).await;
        if (cycle + 1) % AUDIT_EVERY == 0 {
            books.audit(&house, &keys, billed.load(Ordering::SeqCst)).await;
        }
    }
    let open = books.audit(&house, &keys, billed.load(Ordering::SeqCst)).await;
    println!(
        "{cycles} cuts in {:.1} s ({} ms a start): {} documents, {answers} answers and {} charges acknowledged, {} records; 0 lost, 0 twice; {open} USD left open by cuts",
        started.elapsed().as_secs_f64(),
        booting_ms / u128::from(cycles.max(1)),
        books.documents.len(),
        books.answered_keys.len(),
        books.charges.len(),
    );
    assert!(
        books.answered_keys.len() >= cycles as usize / 2 && !books.documents.is_empty() && answers > 0,
        "hardly anything was under way"
    );
    let (code, log) = house.0.take().unwrap().terminate();
    assert_eq!(code, Some(0), "{log:#?}");
}
