//! Who is paged without reason: a service that is exactly at its objective of 99.9 % for 30 simulated days, again and again,
//! beside the plain burn rates of the SRE workbook on the same days; and what noting an event costs.
//!
//! `cargo bench -p bailiwick-tenant --bench slo` (`BAILIWICK_SLO_PERIODS` says how many periods for each rate)
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_tenant::slo::alarms::{Alarms, PAIRS, Pair, Severity};
use bailiwick_tenant::slo::windows::{Tally, Window};
use dice::Dice;
use std::time::Instant;

#[path = "../slo/tests/dice.rs"]
mod dice;

const HOUR_MS: u64 = 3_600_000;
const PERIOD_MS: u64 = 30 * 24 * HOUR_MS;
const TICK_MS: u64 = 10_000;
/// 99.9 %.
const ALLOWED_PPM: u64 = 1_000;
const PERIODS: u64 = 1_000;
const EVENTS: u64 = 2_000_000;

/// Requests that go well before the next one that fails.
fn good_before_bad(dice: &mut Dice) -> u64 {
    (dice.uniform().ln() / (1.0 - ALLOWED_PPM as f64 / 1e6).ln()) as u64
}

/// The plain burn rate of one pair of windows.
struct Plain {
    pair: &'static Pair,
    long: Window,
    short: Window,
}

impl Plain {
    fn pages() -> Vec<Self> {
        let pages = PAIRS.iter().filter(|pair| pair.severity == Severity::Page);
        pages
            .map(|pair| {
                let slot_ms = pair.short_ms / 30;
                Self { pair, long: Window::new(slot_ms, pair.long_ms / slot_ms), short: Window::new(slot_ms, 30) }
            })
            .collect()
    }

    fn note(&mut self, tally: Tally, now: u64) -> bool {
        self.long.note(tally, now);
        self.short.note(tally, now);
        let burns = |sum: Tally| sum.bad * 10_000_000 >= sum.total() * ALLOWED_PPM * self.pair.burn_tenths;
        tally.bad > 0 && burns(self.long.sum()) && burns(self.short.sum())
    }
}

/// One period: pages told by the house, tickets, and whether plain burn rates would have paged.
fn period(seed: u64, per_hour: u64) -> (bool, bool, bool) {
    let (mut dice, mut alarms, mut pages) = (Dice(seed), Alarms::new(ALLOWED_PPM), Plain::pages());
    let (mut paged, mut ticketed, mut plain) = (false, false, false);
    let (mut left, mut sent, begin) = (good_before_bad(&mut dice), 0, 700 * PERIOD_MS);
    for tick in 0..PERIOD_MS / TICK_MS {
        let now = begin + tick * TICK_MS;
        let due = per_hour * (tick + 1) * TICK_MS / HOUR_MS;
        let mut changes = alarms.pass(now);
        while sent < due {
            let good = left.min(due - sent);
            if good > 0 {
                let tally = Tally { good, bad: 0 };
                changes.extend(alarms.note(tally, now));
                pages.iter_mut().for_each(|page| plain |= page.note(tally, now));
                (sent, left) = (sent + good, left - good);
            }
            if left == 0 && sent < due {
                changes.extend(alarms.note(Tally::one(false), now));
                pages.iter_mut().for_each(|page| plain |= page.note(Tally::one(false), now));
                (sent, left) = (sent + 1, good_before_bad(&mut dice));
            }
        }
        let told = |severity| changes.iter().any(|change| change.is_raised && change.pair.severity == severity);
        paged |= told(Severity::Page);
        ticketed |= told(Severity::Ticket);
    }
    (paged, ticketed, plain)
}

fn main() {
    let periods = std::env::var("BAILIWICK_SLO_PERIODS").ok().and_then(|text| text.parse().ok()).unwrap_or(PERIODS);
    println!("exactly at 99.9 %, {periods} periods of 30 days each: periods with");
    println!("{:>10} {:>8} {:>8} {:>18}", "an hour", "a page", "a ticket", "plain burn rates");
    for per_hour in [1, 10, 1_000] {
        let (mut paged, mut ticketed, mut plain) = (0_u64, 0_u64, 0_u64);
        for seed in 0..periods {
            let seen = period(seed * 1_000_003 + per_hour, per_hour);
            paged += u64::from(seen.0);
            ticketed += u64::from(seen.1);
            plain += u64::from(seen.2);
        }
        let share = |count: u64| 100.0 * count as f64 / periods as f64;
        println!("{per_hour:>10} {:>6.2} % {:>6.2} % {:>16.2} %", share(paged), share(ticketed), share(plain));
    }
    let (mut alarms, began) = (Alarms::new(ALLOWED_PPM), Instant::now());
    for event in 0..EVENTS {
        alarms.note(Tally::one(event % 1_000 != 0), 700 * PERIOD_MS + event / 10);
    }
    println!("noting an event: {:.0} ns", began.elapsed().as_nanos() as f64 / EVENTS as f64);
}
