//! What governance costs, measured in one run: governed search against the raw tantivy query, governed ingest against raw
//! tantivy, the processor time of a passed-through completion with every guard on, and what it adds to the slowest hundredth.
//!
//! `cargo bench --bench doors` ; `BAILIWICK_COLLECTION=folder` (corpus.jsonl, queries.jsonl) instead of made-up text.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery};
use tantivy::schema::{IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value as _};
use tantivy::tokenizer::{Language, LowerCaser, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer};
use tantivy::{Index, IndexWriter, TantivyDocument, Term};

mod clients;
#[path = "../tests/support/mod.rs"]
mod support;
use support::House;

const TOP_K: usize = 10;
const BATCH: usize = 500;
const COMPLETIONS: usize = 20_000;
const CONNECTIONS: usize = 64;
const SEARCH_CONNECTIONS: usize = 16;
const UPLOAD_CONNECTIONS: usize = 4;
/// Pairs of raw and governed ingest: one alone takes half a second on a small collection, and varies.
const INGESTS: usize = 9;
/// Pairs of raw and governed searches, and how many searches are in half a pair.
const SEARCHES: usize = 9;
const SEARCHES_AT_ONCE: usize = 6_000;
/// Pairs of completions asked of the model server itself and through the house, at an even pace that leaves both at rest.
const PACED_PAIRS: usize = 5;
const PACED_PER_SECOND: usize = 200;
const PACED_AT_ONCE: usize = 1_200;

struct Collection {
    documents: Vec<(String, String)>,
    queries: Vec<String>,
}

fn lines(path: &std::path::Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Twenty thousand made-up abstracts with a natural spread of word frequencies; the same on every machine.
fn made_up() -> Collection {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut word = move || {
        let uniform = (random() % 1_000_000) as f64 / 1_000_000.0;
        let rank = (20_000_f64.powf(uniform)) as u64;
        format!("w{}x", rank * 7_919 % 20_011)
    };
    let mut text = |words: usize| (0..words).map(|_| word()).collect::<Vec<_>>().join(" ");
    let documents = (0..20_000).map(|_| (text(12), text(200))).collect();
    let queries = (0..300).map(|_| text(12)).collect();
    Collection { documents, queries }
}

fn collection() -> Collection {
    let Ok(folder) = std::env::var("BAILIWICK_COLLECTION") else { return made_up() };
    let folder = std::path::PathBuf::from(folder);
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    Collection {
        documents: lines(&folder.join("corpus.jsonl"))
            .iter()
            .map(|line| (text(line, "title"), text(line, "text")))
            .collect(),
        queries: lines(&folder.join("queries.jsonl")).iter().map(|line| text(line, "text")).collect(),
    }
}

/// Processor seconds a process has used.
fn cpu_seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

struct Raw {
    index: Index,
    text: tantivy::schema::Field,
    stored: tantivy::schema::Field,
}

fn raw_index(folder: &std::path::Path) -> (Raw, IndexWriter) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default().set_tokenizer("english").set_index_option(IndexRecordOption::WithFreqs);
    let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
    let stored = schema.add_text_field("stored", STORED);
    let index = Index::create_in_dir(folder, schema.build()).unwrap();
    let analyzer = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(LowerCaser)
        .filter(StopWordFilter::new(Language::English).unwrap())
        .filter(Stemmer::new(Language::English))
        .build();
    index.tokenizers().register("english", analyzer);
    let options = tantivy::indexer::IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(50_000_000)
        .build();
    let writer = index.writer_with_options(options).unwrap();
    (Raw { index, text, stored }, writer)
}

fn raw_ingest(collection: &Collection) -> (Raw, tempfile::TempDir, f64) {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let (raw, mut writer) = raw_index(folder.path());
    for (title, text) in &collection.documents {
        let mut document = TantivyDocument::new();
        document.add_text(raw.text, format!("{title}\n{text}"));
        document.add_text(raw.stored, format!("{title}\n{text}"));
        writer.add_document(document).unwrap();
    }
    writer.commit().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    (raw, folder, collection.documents.len() as f64 / seconds)
}

/// Searches on every core at once: the governed searches find every core busy too, and a core whose neighbour works is
/// slower than one whose neighbour rests.
fn raw_search_cpu_ms(raw: &Raw, queries: &[String], rounds: usize) -> f64 {
    let searcher = raw.index.reader().unwrap().searcher();
    let cores = std::thread::available_parallelism().unwrap().get();
    let before = cpu_seconds("self");
    std::thread::scope(|scope| {
        for core in 0..cores {
            let searcher = &searcher;
            scope.spawn(move || {
                let mine: Vec<&String> = queries.iter().skip(core).step_by(cores).collect();
                for _ in 0..rounds {
                    raw_searches(raw, searcher, &mine);
                }
            });
        }
    });
    (cpu_seconds("self") - before) * 1_000.0 / (queries.len() * rounds) as f64
}

fn raw_searches(raw: &Raw, searcher: &tantivy::Searcher, queries: &[&String]) {
    let mut analyzer = raw.index.tokenizers().get("english").unwrap();
    let mut found = 0;
    for query in queries {
        let mut terms: Vec<(String, f32)> = Vec::new();
        let mut tokens = analyzer.token_stream(query);
        while tokens.advance() {
            let token = tokens.token().text.clone();
            match terms.iter_mut().find(|(term, _)| *term == token) {
                Some((_, count)) => *count += 1.0,
                None => terms.push((token, 1.0)),
            }
        }
        let clauses = terms.into_iter().map(|(term, count)| {
            let query = TermQuery::new(Term::from_field_text(raw.text, &term), IndexRecordOption::WithFreqs);
            (Occur::Should, Box::new(BoostQuery::new(Box::new(query), count)) as Box<dyn Query>)
        });
        let top = searcher
            .search(&BooleanQuery::new(clauses.collect()), &TopDocs::with_limit(TOP_K).order_by_score())
            .unwrap();
        for (_, address) in top {
            let document: TantivyDocument = searcher.doc(address).unwrap();
            found += document.get_first(raw.stored).and_then(|value| value.as_str()).map_or(0, str::len);
        }
    }
    assert!(found > 0, "the raw index found nothing");
}

/// Sends one body and takes the whole answer, which must have this status.
async fn post(http: &reqwest::Client, url: &str, key: &str, body: String, status: u16) {
    let request = http.post(url).bearer_auth(key).header("content-type", "application/json").body(body);
    let answer = request.send().await.unwrap();
    let given = answer.status();
    let text = answer.bytes().await.unwrap();
    assert_eq!(given, status, "{}", String::from_utf8_lossy(&text));
}

/// Uploads over a few connections, as a client with a folder to bring in does; timed until the last one is searchable.
async fn governed_ingest(house: &House, key: &str, collection: &Collection) -> f64 {
    let bodies: Vec<String> = collection
        .documents
        .chunks(BATCH)
        .enumerate()
        .map(|(number, batch)| {
            let document = |(at, (title, text)): (usize, &(String, String))| json!({"id": format!("d-{}", number * BATCH + at), "title": title, "text": text});
            json!({"documents": batch.iter().enumerate().map(document).collect::<Vec<Value>>()}).to_string()
        })
        .collect();
    let bodies = std::sync::Arc::new(bodies);
    let started = Instant::now();
    let uploads: Vec<_> = (0..UPLOAD_CONNECTIONS)
        .map(|first| {
            let (http, url, key, bodies) =
                (house.http.clone(), format!("{}/v1/documents", house.url), key.to_owned(), bodies.clone());
            tokio::spawn(async move {
                for body in bodies.iter().skip(first).step_by(UPLOAD_CONNECTIONS) {
                    post(&http, &url, &key, body.clone(), 201).await;
                }
            })
        })
        .collect();
    for upload in uploads {
        upload.await.unwrap();
    }
    for number in (0..collection.documents.len()).rev().step_by(BATCH) {
        let document = format!("/v1/documents/d-{number}");
        while house.call(Method::GET, &document, key, None).await.1["state"] != "indexed" {
            // a client that asks without pause takes the processors the index needs
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
    collection.documents.len() as f64 / started.elapsed().as_secs_f64()
}

/// Searches over several connections, as a busy server sees them: processor time at rest would measure waking threads.
async fn governed_search_cpu_ms(house: &House, key: &str, queries: &[String], rounds: usize) -> f64 {
    let process = house.process_id().to_string();
    let bodies: std::sync::Arc<Vec<String>> =
        std::sync::Arc::new(queries.iter().map(|query| json!({"query": query, "top_k": TOP_K}).to_string()).collect());
    let before = cpu_seconds(&process);
    let tasks: Vec<_> = (0..SEARCH_CONNECTIONS)
        .map(|start| {
            let (http, url, key, bodies) =
                (house.http.clone(), format!("{}/v1/search", house.url), key.to_owned(), bodies.clone());
            tokio::spawn(async move {
                for body in bodies
                    .iter()
                    .skip(start)
                    .step_by(SEARCH_CONNECTIONS)
                    .cycle()
                    .take(bodies.len() * rounds / SEARCH_CONNECTIONS)
                {
                    post(&http, &url, &key, body.clone(), 200).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let sent = queries.len() * rounds / SEARCH_CONNECTIONS * SEARCH_CONNECTIONS;
    (cpu_seconds(&process) - before) * 1_000.0 / sent as f64
}

/// A model server of OpenAI's shape with no delay: whatever is seen is overhead.
fn upstream() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            socket.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                clients::come_first();
                let body = json!({"id": "u", "object": "chat.completion", "created": 1, "model": "fake-model",
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x".repeat(400)}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}})
                .to_string();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let (mut seen, mut buffer) = (Vec::new(), [0_u8; 65_536]);
                while let Ok(read @ 1..) = socket.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..read]);
                    while let Some(head) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                        let text = String::from_utf8_lossy(&seen[..head]).to_lowercase();
                        let length = text
                            .split("content-length: ")
                            .nth(1)
                            .map_or(0, |rest| rest.split("\r\n").next().unwrap().trim().parse::<usize>().unwrap());
                        if seen.len() < head + 4 + length {
                            break;
                        }
                        seen.drain(..head + 4 + length);
                        socket.write_all(answer.as_bytes()).unwrap();
                    }
                }
            });
        }
    });
    port
}

fn passthrough_house(folder: &std::path::Path, port: u16) -> House {
    let tenants = support::copy_tenants(folder);
    let router = tenants.join("default/router.yaml");
    let text = std::fs::read_to_string(&router).unwrap();
    let (start, end) = (text.find("routing:").unwrap(), text.find("\nsla:").unwrap());
    let routing =
        "routing:\n  primary:\n    provider: local\n    model: fake-model\n    temperature: 0.0\n    max_tokens: 256\n";
    std::fs::write(&router, format!("{}{routing}{}", &text[..start], &text[end..])).unwrap();
    let record = tenants.join("default/tenant.yaml");
    let text = std::fs::read_to_string(&record)
        .unwrap()
        .replace("max_requests_per_hour: 100000", "max_requests_per_hour: 100000000");
    std::fs::write(&record, text).unwrap();
    let config = format!(
        "[[providers]]\nname = \"local\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:{port}/v1\"\nregion = \"eu-west-1\"\nconcurrency = 256\n\n[providers.prices.\"fake-model\"]\ninput_usd_per_1m_tokens = \"0.01\"\noutput_usd_per_1m_tokens = \"0.02\"\n"
    );
    House::start_on(folder, Some(&config))
}

fn completion() -> String {
    json!({"model": "fake-model", "max_tokens": 200, "messages": [{"role": "user", "content": "lorem ipsum ".repeat(33)}]})
        .to_string()
}

async fn completions(house: &House, key: &str, count: usize) {
    let body = completion();
    let (url, key) = (format!("{}/v1/chat/completions", house.url), key.to_owned());
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (http, url, key, body) = (house.http.clone(), url.clone(), key.clone(), body.clone());
            tokio::spawn(async move {
                for _ in 0..count / CONNECTIONS {
                    post(&http, &url, &key, body.clone(), 200).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// How many requests may be on their way at the same time.
#[derive(Clone, Copy)]
enum Line {
    /// One: a request waits for the one before.
    One,
    /// As many as come: none waits for another.
    Many,
}

/// The slowest hundredth of completions at an even pace, in microseconds from when each was due. A thread of its own keeps
/// the pace: the timer of the runtime only counts whole milliseconds.
async fn paced_p99_us(url: &str, key: &str, line: Line) -> u64 {
    let http = reqwest::Client::builder().tcp_nodelay(true).build().unwrap();
    let (url, key, runtime) = (format!("{url}/v1/chat/completions"), key.to_owned(), tokio::runtime::Handle::current());
    let paced = bailiwick_kernel::residue::spawn_blocking(move || {
        let began = Instant::now();
        let (mut answered, mut on_their_way) = (Vec::with_capacity(PACED_AT_ONCE), Vec::new());
        for number in 0..PACED_AT_ONCE {
            let due = began + std::time::Duration::from_secs_f64(number as f64 / PACED_PER_SECOND as f64);
            while let Some(early) = due.checked_duration_since(Instant::now()).filter(|early| !early.is_zero()) {
                std::thread::park_timeout(early);
            }
            let (http, url, key) = (http.clone(), url.clone(), key.clone());
            let request = runtime.spawn(async move {
                post(&http, &url, &key, completion(), 200).await;
                due.elapsed().as_micros() as u64
            });
            match line {
                Line::One => answered.push(runtime.block_on(request).unwrap()),
                Line::Many => on_their_way.push(request),
            }
        }
        (answered, on_their_way)
    });
    let (mut micros, on_their_way) = paced.await.unwrap();
    for request in on_their_way {
        micros.push(request.await.unwrap());
    }
    micros.sort_unstable();
    micros[(micros.len() - 1) * 99 / 100]
}

/// The model server itself and through the house, in turn; the pair with the middle difference counts.
async fn added(house: &House, key: &str, port: u16) {
    let upstream = format!("http://127.0.0.1:{port}");
    for (name, line) in [("one connection", Line::One), ("as they come", Line::Many)] {
        let mut pairs = Vec::new();
        for _ in 0..PACED_PAIRS {
            let direct = paced_p99_us(&upstream, key, line).await;
            let governed = paced_p99_us(&house.url, key, line).await;
            pairs.push((governed.saturating_sub(direct), direct, governed));
        }
        pairs.sort_unstable();
        let (added, direct, governed) = pairs[PACED_PAIRS / 2];
        println!(
            "added    {PACED_PER_SECOND} requests/s, {name}: p99 {direct} us direct, {governed} us governed: {added} us more, {} to {} in {PACED_PAIRS} pairs (bar: at most 1000)",
            pairs[0].0,
            pairs[PACED_PAIRS - 1].0
        );
    }
}

/// Raw and governed ingest in turn, each governed one into a house of its own; the pair with the middle ratio counts.
/// Gives the last raw index and house back, for the searches.
async fn ingests(collection: &Collection) -> (Raw, House, [tempfile::TempDir; 2]) {
    let mut pairs = Vec::new();
    loop {
        let folder = tempfile::tempdir().unwrap();
        let house = House::start(folder.path());
        let key = house.key("default", "owner").await;
        let (raw, raw_folder, raw_rate) = raw_ingest(collection);
        let rate = governed_ingest(&house, &key, collection).await;
        pairs.push((rate / raw_rate, raw_rate, rate));
        if pairs.len() < INGESTS {
            house.terminate();
            continue;
        }
        pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (ratio, raw_rate, rate) = pairs[INGESTS / 2];
        println!(
            "ingest   raw {raw_rate:.0} documents/s   governed {rate:.0} documents/s   ratio {ratio:.2}, {:.2} to {:.2} in {INGESTS} pairs (bar: at least 0.6)",
            pairs[0].0,
            pairs[INGESTS - 1].0
        );
        return (raw, house, [folder, raw_folder]);
    }
}

/// Raw and governed searches in turn; the pair with the middle ratio counts.
async fn searches(raw: &Raw, house: &House, key: &str, queries: &[String]) {
    raw_search_cpu_ms(raw, queries, 1);
    governed_search_cpu_ms(house, key, queries, 1).await;
    let rounds = (SEARCHES_AT_ONCE / queries.len()).max(1);
    let mut pairs = Vec::new();
    for _ in 0..SEARCHES {
        let raw_ms = raw_search_cpu_ms(raw, queries, rounds);
        let governed_ms = governed_search_cpu_ms(house, key, queries, rounds).await;
        pairs.push((governed_ms / raw_ms, raw_ms, governed_ms));
    }
    pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, raw_ms, governed_ms) = pairs[SEARCHES / 2];
    println!(
        "search   raw {raw_ms:.3} CPU-ms   governed {governed_ms:.3} CPU-ms   ratio {ratio:.2}, {:.2} to {:.2} in {SEARCHES} pairs (bar: at most 1.5)",
        pairs[0].0,
        pairs[SEARCHES - 1].0
    );
}

/// Ingest and search.
async fn documents(collection: &Collection) {
    let (raw, house, _folders) = ingests(collection).await;
    let key = house.key("default", "owner").await;

    // the raw index is one segment, and so is that of an idle tenant of this size
    while house.call(Method::GET, "/v1/usage", &key, None).await.1["corpus"]["segments"].as_u64().unwrap() > 1 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    searches(&raw, &house, &key, &collection.queries).await;
    house.terminate();
}

/// The processor time of completions that are passed through, as many as go.
async fn passed_through(house: &House, key: &str) {
    completions(house, key, COMPLETIONS / 10).await;
    let process = house.process_id().to_string();
    let (before, started) = (cpu_seconds(&process), Instant::now());
    completions(house, key, COMPLETIONS).await;
    let sent = (COMPLETIONS / CONNECTIONS * CONNECTIONS) as f64;
    let cpu_ms = (cpu_seconds(&process) - before) * 1_000.0 / sent;
    println!(
        "chat     {:.0} requests/s at {CONNECTIONS} connections   {cpu_ms:.3} CPU-ms a request (fastest Rust peer with guards off: 0.27)",
        sent / started.elapsed().as_secs_f64()
    );
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(documents(&collection()));
    let (folder, port) = (tempfile::tempdir().unwrap(), upstream());
    let house = passthrough_house(folder.path(), port);
    let key = runtime.block_on(house.key("default", "owner"));
    runtime.block_on(passed_through(&house, &key));
    clients::runtime().block_on(added(&house, &key, port));
    house.terminate();
}
