//! How many calls a second can be held for and settled durably, and what the budget's step costs one hot tenant. The disk
//! of the machine is measured in the same run: one sync after another, as a ledger without group commit would write.
//!
//! `cargo bench -p bailiwick-tenant --bench budget`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::shelf::Vault;
use bailiwick_policy::compile::{FILES, PolicySnapshot, compile};
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::schema::Route;
use bailiwick_tenant::budget::accounts::{Accounts, Spender, Sum};
use bailiwick_tenant::budget::hold::Candidate;
use bailiwick_tenant::budget::ledger::Ledger;
use bailiwick_tenant::budget::rules::{Balance, Call, Cover, Ended, Weighed};
use bailiwick_tenant::catalog::Price;
use bailiwick_tenant::entry::{AnswerRecorded, Entry};
use bailiwick_tenant::question::{ModelUsed, Usage};
use bailiwick_tenant::routing::tokens;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const NOW: u64 = 1_760_000_000_000;
const PAIRS: u64 = 200_000;
const AT_ONCE: u64 = 512;
const SYNCS: u32 = 500;
const HOT: usize = 5_000;
const HOT_PER_SECOND: u32 = 1_000;

/// The sample policy with a ceiling at every level.
fn policy(holds: &str) -> PolicySnapshot {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants/default");
    let text = |file: &&str| Some(((*file).to_owned(), std::fs::read_to_string(folder.join(file)).ok()?));
    let mut texts: FileTexts = FILES.iter().filter_map(text).collect();
    let router = texts.get_mut("router.yaml").unwrap();
    let start = router.find("\nbudget:").unwrap();
    let levels = ["domain", "usecase", "user", "key"];
    let ceilings: String =
        levels.iter().map(|level| format!("    - {{level: {level}, window: day, limit_usd: 100000}}\n")).collect();
    *router = format!(
        "{}\nbudget:\n  monthly_limit_usd: 1000000\n  daily_limit_usd: 100000\n  hourly_limit_usd: 50000\n  holds: {holds}\n  ceilings:\n{ceilings}",
        &router[..start]
    );
    compile("default", &texts, &Guardrails::none()).unwrap()
}

fn call(number: u64, prompt_tokens: u64) -> Call {
    let route = Route { provider: "p".into(), model: "m".into(), temperature: 0.0, max_tokens: 256 };
    let price = Price { input_nano_usd_per_token: 1_000, output_nano_usd_per_token: 4_000 };
    let some = |name: &str| Some(name.to_owned());
    Call {
        query_id: format!("q{number}"),
        spender: Spender { domain: some("hr"), usecase: some("leave"), user: some("ann"), key: some("k1") },
        admitted_unix_ms: NOW,
        candidates: vec![Candidate { route, price, fallback: false, answers: 1, is_cut: false }],
        embedding: None,
        fallback: None,
        is_grounded: false,
        prompt_tokens,
    }
}

fn record(number: u64, cost: NanoUsd) -> Entry {
    Entry::AnswerRecorded(Box::new(AnswerRecorded {
        query_id: format!("q{number}"),
        kind: "chat".into(),
        question: String::new(),
        answer: String::new(),
        abstained: false,
        cited: Vec::new(),
        model: ModelUsed { provider: "p".into(), name: "m".into(), region: "eu-west-1".into(), fallback: false },
        usage: Usage { prompt_tokens: 100, completion_tokens: 100, cost },
        overrun: NanoUsd::ZERO,
        policy_version: "1.0.0".into(),
        key_id: "k1".into(),
        user_id: Some("ann".into()),
        admitted_unix_ms: NOW,
        cleared_unix_ms: NOW,
        idempotency_key: None,
        cut_short: false,
    }))
}

/// One call: weighed, held, covered, recorded with its charge, settled.
async fn pair(balance: &Mutex<Balance>, journal: &Journal, number: u64) {
    let call = call(number, 100);
    let made = {
        let mut balance = balance.lock().unwrap();
        let Weighed::Fits(fit) = balance.weigh(&call, NOW) else { panic!("the budget is used up") };
        balance.make(&fit, &call)
    };
    match made.cover {
        Cover::Covered => {}
        Cover::Ahead(block) | Cover::Grow(block) => {
            journal.append(&[Entry::EscrowTaken { block, at_unix_ms: NOW }]).await.unwrap();
            balance.lock().unwrap().escrowed(block);
        }
        Cover::Record(taken) => drop(journal.append(&[Entry::HoldTaken(taken)]).await.unwrap()),
    }
    let cost = NanoUsd(500_000);
    journal.append(&[record(number, cost)]).await.unwrap();
    balance.lock().unwrap().returned(made.number, Ended::Settled(Sum { money: cost, tokens: 200 }), NanoUsd::ZERO, NOW);
}

async fn pairs(holds: &str) {
    let folder = tempfile::tempdir().unwrap();
    let cipher = Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(1))).unwrap();
    let own = Vault::open(folder.path()).unwrap().belongings(cipher).unwrap();
    let balance = Arc::new(Mutex::new(Balance::new(Ledger::default(), Accounts::default(), &policy(holds))));
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (balance, journal, next) = (Arc::clone(&balance), own.journal.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut took = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= PAIRS {
                        return took;
                    }
                    let began = Instant::now();
                    pair(&balance, &journal, number).await;
                    took.push(began.elapsed());
                }
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    let seconds = started.elapsed().as_secs_f64();
    let held = balance.lock().unwrap().held();
    assert_eq!(held, NanoUsd::ZERO, "every hold came home");
    let [p50, _, p99] = percentiles(&mut took);
    println!(
        "pairs    {holds}: {:.0} durable hold and settle pairs/s, {AT_ONCE} at once   p50 {:.2} ms   p99 {:.2} ms",
        PAIRS as f64 / seconds,
        p50.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3
    );
}

/// The pairs again at a steady rate, open loop: what one of them takes when the house is not saturated.
async fn steady(per_second: u64) {
    let folder = tempfile::tempdir().unwrap();
    let cipher = Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(2))).unwrap();
    let own = Vault::open(folder.path()).unwrap().belongings(cipher).unwrap();
    let balance = Arc::new(Mutex::new(Balance::new(Ledger::default(), Accounts::default(), &policy("escrow"))));
    let (started, mut tasks, count) = (Instant::now(), Vec::new(), per_second * 3);
    let mut sent = 0;
    while sent < count {
        let due = (started.elapsed().as_secs_f64() * per_second as f64) as u64;
        while sent < due.min(count) {
            let intended = started + Duration::from_nanos(sent * 1_000_000_000 / per_second);
            let (balance, journal, number) = (Arc::clone(&balance), own.journal.clone(), sent);
            tasks.push(tokio::spawn(async move {
                pair(&balance, &journal, number).await;
                intended.elapsed()
            }));
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut took = Vec::new();
    for task in tasks {
        took.push(task.await.unwrap());
    }
    let [p50, _, p99] = percentiles(&mut took);
    println!(
        "steady   escrow: {per_second} pairs/s, open loop   p50 {:.2} ms   p99 {:.2} ms",
        p50.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3
    );
}

/// The budget's step of one hot tenant, open loop: the prompt counted, the call weighed and held.
fn hot() {
    tokens::warm();
    let mut balance = Balance::new(Ledger::default(), Accounts::default(), &policy("escrow"));
    balance.escrowed(NanoUsd(1_000_000_000_000));
    let body = serde_json::json!({"messages": [{"role": "user", "content": "lorem ipsum dolor ".repeat(22)}]});
    let gap = Duration::from_secs(1) / HOT_PER_SECOND;
    let started = Instant::now();
    let (mut took, mut rule) = (Vec::new(), Vec::new());
    for number in 0..HOT {
        let due = started + gap * u32::try_from(number).unwrap();
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        let began = Instant::now();
        let prompt_tokens = tokens::count_chat(&body);
        let counted = Instant::now();
        let call = call(number as u64, prompt_tokens);
        let Weighed::Fits(fit) = balance.weigh(&call, NOW) else { panic!("the budget is used up") };
        let made = balance.make(&fit, &call);
        let held = Instant::now();
        took.push(held - began);
        rule.push(held - counted);
        balance.returned(made.number, Ended::Settled(Sum { money: NanoUsd(500_000), tokens: 200 }), NanoUsd::ZERO, NOW);
    }
    let [p50, _, p99] = percentiles(&mut took);
    let [rule_p50, _, rule_p99] = percentiles(&mut rule);
    println!(
        "step     {HOT_PER_SECOND} requests/s: prompt counted, weighed at seven counters and held   p50 {:.1} us   p99 {:.1} us   (without counting {:.1} / {:.1} us)",
        micros(p50),
        micros(p99),
        micros(rule_p50),
        micros(rule_p99)
    );
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn percentiles(took: &mut [Duration]) -> [Duration; 3] {
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    [at(50), at(95), at(99)]
}

fn serial_syncs() {
    let mut file = tempfile::tempfile().unwrap();
    let started = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[7; 200]).unwrap();
        file.sync_data().unwrap();
    }
    println!(
        "disk     {:.0} writes/s, each synced before the next",
        f64::from(SYNCS) / started.elapsed().as_secs_f64()
    );
}

fn main() {
    serial_syncs();
    hot();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        pairs("escrow").await;
        pairs("strict").await;
        steady(20_000).await;
    });
}
