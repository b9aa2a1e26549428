//! What a decision over all levels costs, beside one check of the `governor` crate's direct limiter, measured in one
//! run: both are taken in turn, so that a busy machine disturbs both alike.
//!
//! `cargo bench -p bailiwick-tenant --bench limits`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_policy::access::Principal;
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::{LevelLimit, Quotas};
use bailiwick_tenant::limits::rates::RequestRates;
use bailiwick_tenant::limits::scope::Scope;
use bailiwick_tenant::question::{Matter, Question};
use governor::{Quota, RateLimiter};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

const DECISIONS: usize = 2_000_000;
const ASKERS: usize = 256;
const PER_HOUR: u32 = 40_000_000;

fn every(level: Level, per_minute: u32) -> LevelLimit {
    LevelLimit {
        level,
        name: "*".into(),
        max_requests_per_hour: None,
        max_requests_per_minute: Some(per_minute),
        max_tokens_per_minute: None,
        max_concurrent_requests: None,
        max_storage_gb: None,
    }
}

/// The tenant's hour and minute, and every domain, use case, user and key: six counters a decision. The keys' are
/// tight, so that refusals are measured as well.
fn quotas() -> Quotas {
    let limits = vec![
        every(Level::Domain, 1_000_000),
        every(Level::Usecase, 1_000_000),
        every(Level::User, 1_000_000),
        every(Level::Key, 4_000),
    ];
    Quotas {
        max_requests_per_hour: PER_HOUR,
        max_requests_per_minute: Some(PER_HOUR / 60),
        limits,
        ..Quotas::default()
    }
}

fn askers() -> Vec<(Matter, Principal)> {
    let asker = |number: usize| {
        let question = Question {
            domain: Some(format!("domain-{}", number % 8)),
            usecase: Some(format!("use-case-{}", number % 16)),
            ..Question::default()
        };
        let principal = Principal {
            key_id: format!("{number:016x}"),
            user_id: Some(format!("user-{}", number % 64)),
            role: None,
            attributes: Default::default(),
        };
        (Matter::Ask(question), principal)
    };
    (0..ASKERS).map(asker).collect()
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap()
}

struct Measured(Vec<u64>);

impl Measured {
    fn at(&self, share: f64) -> u64 {
        self.0[((self.0.len() - 1) as f64 * share) as usize]
    }

    fn print(&self, what: &str) {
        println!("{what:<44} p50 {:>5} ns   p99 {:>5} ns", self.at(0.5), self.at(0.99));
    }
}

fn main() {
    let (mut rates, askers) = (RequestRates::new(&quotas()), askers());
    let direct = RateLimiter::direct(Quota::per_hour(NonZeroU32::new(PER_HOUR).unwrap()));
    let (mut levels, mut one, mut timer) = (Vec::new(), Vec::new(), Vec::new());
    let (started, mut admitted) = (Instant::now(), 0_usize);
    for decision in 0..DECISIONS {
        let (matter, principal) = &askers[decision.wrapping_mul(97) % ASKERS];
        let now_ns = nanoseconds(started);

        let begun = Instant::now();
        let scope = Scope::of(matter, principal);
        let is_admitted = black_box(rates.peek(&scope, now_ns)).is_ok();
        black_box(if is_admitted { rates.take(&scope, now_ns) } else { rates.figure(&scope, now_ns) });
        levels.push(nanoseconds(begun));
        admitted += usize::from(is_admitted);

        let begun = Instant::now();
        let _decided = black_box(direct.check());
        one.push(nanoseconds(begun));

        let begun = Instant::now();
        timer.push(nanoseconds(begun));
    }
    let sorted = |mut times: Vec<u64>| {
        times.sort_unstable();
        Measured(times)
    };
    let (levels, one, timer) = (sorted(levels), sorted(one), sorted(timer));
    println!("{DECISIONS} decisions, {admitted} admitted, {} members counted by name", rates.members());
    timer.print("the clock alone, in every figure below");
    levels.print("six counters, decided and told (headers)");
    one.print("governor, one counter, decided");
    println!(
        "ratio to governor's check()                  p50 {:>5.2}      p99 {:>5.2}",
        levels.at(0.5) as f64 / one.at(0.5) as f64,
        levels.at(0.99) as f64 / one.at(0.99) as f64
    );
}
