//! A quiet tenant beside a noisy one of the same plan, through the real doors: the victim searches at an even pace,
//! alone, beside its neighbour, and alone again, three times in one run; its latencies count from when each search was due.
//! Its client comes before others, its neighbour's after: both have machines of their own. What two processors cannot do is
//! told apart twice. A second node on the same machine: the noisy one is its tenant there, and shares nothing with the quiet
//! one but the machine. And a program that only counts, on every processor, of the class that leaves it to whoever else wants
//! it: what two processors that are never at rest do to a search.
//!
//! `cargo bench --bench neighbours` ; `BAILIWICK_PHASE_SECONDS=30` for longer phases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_kernel::background::Yielding;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

mod clients;
#[path = "../tests/support/mod.rs"]
mod support;
use support::House;

const VICTIM: &str = "default";
const AGGRESSOR: &str = "beta-inc";
const DOCUMENTS: usize = 4_000;
const BATCH: usize = 500;
const TOP_K: usize = 10;
/// Connections that show what the node can do.
const CONNECTIONS: usize = 16;
/// Requests of the aggressor that are sent and not answered: a client has an end, too.
const OUTSTANDING_MAX: usize = 256;
/// Uploads of the largest request the doors take, one after another on each: as many as one tenant may have under way.
const UPLOAD_CONNECTIONS: usize = 4;
const DOCUMENTS_PER_UPLOAD: usize = 1_000;
/// How often the victim is measured beside its neighbour, each time between two times alone; the middle one counts.
const ROUNDS: usize = 3;
/// Names the work of a child process of this program.
const CHILD: &str = "BAILIWICK_NEIGHBOUR";

/// The same made-up words on every machine.
struct Words(u64);

impl Words {
    fn word(&mut self) -> String {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let uniform = (self.0 % 1_000_000) as f64 / 1_000_000.0;
        let rank = 20_000_f64.powf(uniform) as u64;
        format!("w{}x", rank * 7_919 % 20_011)
    }

    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

fn upload(words: &mut Words, name: &str, documents: usize, length: usize) -> String {
    let document =
        |at: usize| json!({"id": format!("{name}-{at}"), "title": words.text(8), "text": words.text(length)});
    json!({"documents": (0..documents).map(document).collect::<Vec<Value>>()}).to_string()
}

fn searches() -> Vec<String> {
    let mut words = Words(0x2545_F491_4F6C_DD1D);
    (0..300).map(|_| json!({"query": words.text(8), "top_k": TOP_K}).to_string()).collect()
}

async fn post(http: &Client, url: &str, key: &str, body: String) -> u16 {
    let request = http.post(url).bearer_auth(key).header("content-type", "application/json").body(body);
    let Ok(answer) = request.send().await else { return 0 };
    let status = answer.status().as_u16();
    if answer.bytes().await.is_err() { 0 } else { status }
}

fn client() -> Client {
    Client::builder().tcp_nodelay(true).build().unwrap()
}

// --- the aggressor: a process of its own -------------------------------------------------------------------------

/// What a child is told, and what it tells in the end.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Orders {
    url: String,
    key: String,
    seconds: u64,
    work: Work,
}

#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
enum Work {
    /// One search after another on every connection: what the node can do.
    Capacity,
    /// So many searches a second, whatever comes back.
    Flood(f64),
    /// Nothing but the largest uploads.
    Uploads,
    /// Nothing of any node's: it counts.
    Counting,
}

#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
struct Report {
    served: u64,
    refused: u64,
    per_second: f64,
}

#[derive(Default)]
struct Counts {
    served: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    fn count(&self, is_served: bool, amount: u64) {
        let counter = if is_served { &self.served } else { &self.refused };
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

async fn child(orders: Orders) {
    let counts = Arc::new(Counts::default());
    let began = Instant::now();
    let until = began + Duration::from_secs(orders.seconds);
    match orders.work {
        Work::Capacity => one_after_another(&orders, until, &counts).await,
        Work::Flood(per_second) => flood(&orders, per_second, until, &counts).await,
        Work::Uploads => pile_up(&orders, until, &counts).await,
        Work::Counting => keep_all_processors(until),
    }
    let (served, refused) = (counts.served.load(Ordering::Relaxed), counts.refused.load(Ordering::Relaxed));
    let per_second = served as f64 / began.elapsed().as_secs_f64();
    println!("{}", serde_json::to_string(&Report { served, refused, per_second }).unwrap());
}

/// Searches on a few connections, each when the one before is answered.
async fn one_after_another(orders: &Orders, until: Instant, counts: &Arc<Counts>) {
    let workers = (0..CONNECTIONS).map(|first| {
        let (http, url, key) = (client(), format!("{}/v1/search", orders.url), orders.key.clone());
        let counts = Arc::clone(counts);
        tokio::spawn(async move {
            for body in searches().iter().cycle().skip(first * 17) {
                if Instant::now() >= until {
                    break;
                }
                counts.count(post(&http, &url, &key, body.clone()).await == 200, 1);
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

/// Sends at its own pace, whatever comes back.
async fn flood(orders: &Orders, per_second: f64, until: Instant, counts: &Arc<Counts>) {
    let (http, bodies, room) = (client(), searches(), Arc::new(Semaphore::new(OUTSTANDING_MAX)));
    let url = format!("{}/v1/search", orders.url);
    let (began, mut sent) = (Instant::now(), 0_usize);
    while Instant::now() < until {
        let due = (began.elapsed().as_secs_f64() * per_second) as usize;
        while sent < due {
            sent += 1;
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
            let (http, url, key, body) =
                (http.clone(), url.clone(), orders.key.clone(), bodies[sent % bodies.len()].clone());
            let counts = Arc::clone(counts);
            tokio::spawn(async move {
                counts.count(post(&http, &url, &key, body).await == 200, 1);
                drop(place);
            });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Nothing but the largest requests, always the same documents with other words in them.
async fn pile_up(orders: &Orders, until: Instant, counts: &Arc<Counts>) {
    let uploads = (0..UPLOAD_CONNECTIONS).map(|connection| {
        let (http, url, key) = (client(), format!("{}/v1/documents", orders.url), orders.key.clone());
        let counts = Arc::clone(counts);
        tokio::spawn(async move {
            let mut words = Words(connection as u64 + 1);
            let bodies: Vec<String> =
                (0..2).map(|_| upload(&mut words, &format!("c{connection}"), DOCUMENTS_PER_UPLOAD, 60)).collect();
            for body in bodies.iter().cycle() {
                if Instant::now() >= until {
                    return;
                }
                let is_served = post(&http, &url, &key, body.clone()).await == 201;
                counts.count(is_served, DOCUMENTS_PER_UPLOAD as u64);
            }
        })
    });
    for upload in uploads.collect::<Vec<_>>() {
        upload.await.unwrap();
    }
}

/// Keeps every processor busy for whoever wants none of them.
fn keep_all_processors(until: Instant) {
    let processors = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            });
        }
    });
}

fn start_child(orders: &Orders) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(CHILD, serde_json::to_string(orders).unwrap()).stdout(Stdio::piped()).spawn().unwrap()
}

async fn report(child: Child) -> Report {
    let output = bailiwick_kernel::residue::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

// --- the victim ---------------------------------------------------------------------------------------------------

struct Felt {
    micros: Vec<u64>,
    refused: usize,
}

/// What a phase was like against the mean of the times alone before it and after it.
struct Ratio {
    p50: f64,
    p99: f64,
}

impl Felt {
    fn percentile(&self, percent: usize) -> u64 {
        self.micros[(self.micros.len() - 1) * percent / 100]
    }

    fn against(&self, alone: [&Self; 2]) -> Ratio {
        let of = |percent| {
            let alone = alone.map(|felt| felt.percentile(percent) as f64);
            self.percentile(percent) as f64 * 2.0 / (alone[0] + alone[1])
        };
        Ratio { p50: of(50), p99: of(99) }
    }

    fn print(&self, when: &str) {
        println!(
            "  {when:<6} p50 {:>7} us   p99 {:>7} us   refused {} of {}",
            self.percentile(50),
            self.percentile(99),
            self.refused,
            self.micros.len()
        );
    }
}

/// Searches at an even pace. A thread of its own keeps it: the timer of the runtime only counts whole milliseconds.
async fn victim(house: &House, key: &str, per_second: f64, seconds: u64) -> Felt {
    let (bodies, url) = (searches(), format!("{}/v1/search", house.url));
    let (runtime, http, key) = (tokio::runtime::Handle::current(), house.http.clone(), key.to_owned());
    let pace = bailiwick_kernel::residue::spawn_blocking(move || {
        let began = Instant::now();
        let all = (0..(per_second * seconds as f64) as usize).map(|number| {
            let due = began + Duration::from_secs_f64(number as f64 / per_second);
            while let Some(early) = due.checked_duration_since(Instant::now()).filter(|early| !early.is_zero()) {
                std::thread::park_timeout(early);
            }
            let (http, url, key, body) =
                (http.clone(), url.clone(), key.clone(), bodies[number % bodies.len()].clone());
            runtime.spawn(async move {
                let status = post(&http, &url, &key, body).await;
                (status, due.elapsed())
            })
        });
        all.collect::<Vec<_>>()
    });
    let mut felt = Felt { micros: Vec::new(), refused: 0 };
    for one in pace.await.unwrap() {
        let (status, took) = one.await.unwrap();
        felt.refused += usize::from(status != 200);
        felt.micros.push(took.as_micros() as u64);
    }
    felt.micros.sort_unstable();
    felt
}

// --- the house ----------------------------------------------------------------------------------------------------

/// Both tenants with the same plan, and with quotas that are not what is measured.
fn house(folder: &Path) -> House {
    let tenants = support::copy_tenants(folder);
    for (name, plan) in [(VICTIM, "plan: free"), (AGGRESSOR, "plan: pro")] {
        let record = tenants.join(name).join("tenant.yaml");
        let text = std::fs::read_to_string(&record).unwrap();
        assert!(text.contains(plan), "{name} has another plan");
        let text = text
            .replace(plan, "plan: pro")
            .replace("max_requests_per_hour: 100000", "max_requests_per_hour: 100000000");
        std::fs::write(&record, text).unwrap();
    }
    House::start_on(folder, None)
}

async fn fill(house: &House, key: &str) {
    let mut words = Words(7);
    for batch in 0..DOCUMENTS / BATCH {
        let body = upload(&mut words, &format!("d{batch}"), BATCH, 200);
        assert_eq!(post(&house.http, &format!("{}/v1/documents", house.url), key, body).await, 201);
    }
    for batch in (0..DOCUMENTS / BATCH).rev() {
        house.indexed(key, &format!("d{batch}-0")).await;
    }
}

/// The searches a second a tenant gets through: the node's, from which the loads are reckoned.
struct Scene<'a> {
    house: &'a House,
    victim: &'a str,
    aggressor: &'a str,
    /// Another node, and the aggressor's key there.
    elsewhere: (&'a House, &'a str),
    capacity: f64,
    seconds: u64,
}

impl Scene<'_> {
    fn orders(&self, work: Work) -> Orders {
        self.orders_at((self.house, self.aggressor), work)
    }

    fn orders_at(&self, (house, key): (&House, &str), work: Work) -> Orders {
        Orders { url: house.url.clone(), key: key.to_owned(), seconds: self.seconds + 2, work }
    }

    /// A phase passes before the first measurement: filling the node leaves work behind.
    async fn come_to_rest(&self) {
        victim(self.house, self.victim, self.capacity * 0.02, self.seconds).await;
    }

    /// The victim while a child carries out its orders.
    async fn beside(&self, orders: &Orders, rate: f64) -> (Felt, Report) {
        let noisy = start_child(orders);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let felt = victim(self.house, self.victim, rate, self.seconds).await;
        (felt, report(noisy).await)
    }

    /// The victim for a phase with nobody beside it.
    async fn alone(&self, rate: f64) -> Felt {
        let felt = victim(self.house, self.victim, rate, self.seconds).await;
        felt.print("alone");
        felt
    }

    /// Alone, with, alone, with, alone; then with the noise on another node of this machine, and with none but busy
    /// processors, each between two times alone, too.
    async fn play(&self, load: f64, floods: bool) {
        let rate = self.capacity * load;
        let noise = if floods { Work::Flood(rate * 100.0) } else { Work::Uploads };
        let name = if floods { "100 times the rate" } else { "largest uploads only" };
        println!("victim at {:.0} % of capacity ({rate:.0}/s) beside {name}", load * 100.0);
        let by_itself = report(start_child(&self.orders(noise))).await;
        self.tell("by itself", noise, by_itself);
        let mut scenes = vec![("with", self.orders(noise)); ROUNDS];
        scenes.extend([("apart", self.orders_at(self.elsewhere, noise)), ("busy", self.orders(Work::Counting))]);
        let (mut before, mut ratios) = (self.alone(rate).await, Vec::new());
        for (when, orders) in scenes {
            let (felt, told) = self.beside(&orders, rate).await;
            felt.print(when);
            if when == "with" {
                self.tell("beside the victim", noise, told);
            }
            let after = self.alone(rate).await;
            ratios.push((when, felt.against([&before, &after])));
            before = after;
        }
        let mut with: Vec<f64> = ratios.iter().take(ROUNDS).map(|(_, ratio)| ratio.p99).collect();
        with.sort_by(f64::total_cmp);
        for (when, Ratio { p50, p99 }) in &ratios {
            println!("  {when:<5} / alone  p50 {p50:.2}   p99 {p99:.2}");
        }
        println!("  p99 with the neighbour is {:.2} times what it is alone, the middle of {ROUNDS}", with[ROUNDS / 2]);
    }

    fn tell(&self, when: &str, noise: Work, told: Report) {
        let Report { per_second, refused, .. } = told;
        match noise {
            Work::Uploads => println!("  aggressor {when} {per_second:.0} documents/s, {refused} refused"),
            _ => println!(
                "  aggressor {when} {per_second:.0} searches/s, {:.0} % of capacity, {refused} refused",
                per_second * 100.0 / self.capacity
            ),
        }
    }
}

async fn measure() {
    let seconds = std::env::var("BAILIWICK_PHASE_SECONDS").map_or(10, |text| text.parse().unwrap());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [house, other] = [house(folders[0].path()), house(folders[1].path())];
    let (victim, aggressor) = (house.key(VICTIM, "owner").await, house.key(AGGRESSOR, "owner").await);
    let elsewhere = other.key(AGGRESSOR, "owner").await;
    for (house, key) in [(&house, &victim), (&house, &aggressor), (&other, &elsewhere)] {
        fill(house, key).await;
    }
    let mut scene = Scene {
        house: &house,
        victim: &victim,
        aggressor: &aggressor,
        elsewhere: (&other, &elsewhere),
        capacity: 0.0,
        seconds,
    };
    let told = report(start_child(&scene.orders(Work::Capacity))).await;
    assert_eq!(told.refused, 0);
    scene.capacity = told.per_second;
    println!("capacity {:.0} searches/s over {CONNECTIONS} connections", scene.capacity);
    scene.come_to_rest().await;
    for load in [0.10, 0.02] {
        for floods in [true, false] {
            scene.play(load, floods).await;
        }
    }
    let metrics = house.raw(Method::GET, "/metrics", &house.operator_key(), &[], None).await.text().await.unwrap();
    for line in metrics.lines().filter(|line| line.starts_with("bailiwick_fairness_gap_ratio")) {
        println!("{line}");
    }
    house.terminate();
    other.terminate();
}

fn main() {
    let orders = std::env::var(CHILD).ok();
    match orders {
        Some(orders) => {
            // a client has a machine of its own: on this one the noisy one's runs when nobody else would
            Yielding::Most.lower_this_thread();
            tokio::runtime::Runtime::new().unwrap().block_on(child(serde_json::from_str(&orders).unwrap()));
        }
        None => clients::runtime().block_on(measure()),
    }
}
