//! Alarms against the closed form, and what a time without events says.
use crate::slo::alarms::{Alarms, Change, PAIRS, Pair};
use crate::slo::gate::{START_MS, evidence_needed};
use crate::slo::windows::Tally;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// The beginning of a period, so that no weight is lost.
const BEGIN: u64 = 680 * 30 * DAY_MS;
/// 99.9 %.
const ALLOWED_PPM: u64 = 1_000;

/// Requests that come evenly.
struct Service {
    alarms: Alarms,
    now: u64,
    every_ms: u64,
    count: u64,
    changes: Vec<(u64, Change)>,
}

impl Service {
    fn of(every_ms: u64) -> Self {
        Self { alarms: Alarms::new(ALLOWED_PPM), now: BEGIN, every_ms, count: 0, changes: Vec::new() }
    }

    /// Goes on for so long; of so many requests one fails, none where it is 0.
    fn run(&mut self, for_ms: u64, one_fails_of: u64) {
        let end = self.now + for_ms;
        let mut look = self.now;
        while self.now < end {
            self.now += self.every_ms;
            while look + START_MS <= self.now {
                look += START_MS;
                self.changes.extend(self.alarms.pass(look).into_iter().map(|change| (look, change)));
            }
            self.count += 1;
            let is_good = one_fails_of == 0 || !self.count.is_multiple_of(one_fails_of);
            let changes = self.alarms.note(Tally::one(is_good), self.now);
            self.changes.extend(changes.into_iter().map(|change| (self.now, change)));
        }
    }

    fn raised_after(&self, pair: &Pair, since: u64) -> Option<u64> {
        let is_it = |(at, change): &&(u64, Change)| change.is_raised && change.pair == pair && *at >= since;
        self.changes.iter().find(is_it).map(|(at, _)| at - since)
    }

    fn ended_after(&self, pair: &Pair, since: u64) -> Option<u64> {
        let is_it = |(at, change): &&(u64, Change)| !change.is_raised && change.pair == pair && *at >= since;
        self.changes.iter().find(is_it).map(|(at, _)| at - since)
    }
}

/// When an alarm is to be raised, where one of so many requests fails from now on and none has before: when the failures are
/// their share of the long window, and when they are evidence enough.
fn closed_form_ms(pair: &Pair, every_ms: u64, one_fails_of: u64, before_ms: u64) -> u64 {
    let allowed = ALLOWED_PPM as f64 / 1e6;
    let (share, worse) = (allowed * pair.burn_tenths as f64 / 10.0, allowed * pair.worse_tenths as f64 / 10.0);
    let fails_every_ms = (every_ms * one_fails_of) as f64;
    let burn_ms = share * pair.long_ms as f64 / every_ms as f64 * fails_every_ms;
    // a mixture of starts, of which those before the outage have seen good requests only: a geometric sum
    let (if_bad, if_good) = (worse / allowed, (1.0 - worse) / (1.0 - allowed));
    let weight = START_MS as f64 / (30 * DAY_MS) as f64;
    let by_start = if_good.powf(START_MS as f64 / every_ms as f64);
    let starts = before_ms as f64 / START_MS as f64;
    let before =
        if by_start < 1.0 { weight * (1.0 - by_start.powf(starts)) / (1.0 - by_start) } else { weight * starts };
    // during it each start grows by what a failure and the good ones between two of them come to
    let growth = if_bad * if_good.powf(one_fails_of as f64 - 1.0);
    let (mut evidence, mut gate_ms, mut failures) = (before, 0.0, 0_u32);
    while evidence < evidence_needed() && failures < 100_000 {
        evidence = (evidence + weight * fails_every_ms / START_MS as f64) * growth;
        gate_ms += fails_every_ms;
        failures += 1;
    }
    burn_ms.max(gate_ms).round() as u64
}

#[test]
fn an_outage_is_told_when_the_closed_form_says() {
    println!("  every  1 of    alarm      told    closed form");
    // the tick: a slot of the evidence, or of the alarm's own windows
    for (every_ms, one_fails_of, pairs) in [
        (10, 1, &PAIRS[..]),
        (100, 1, &PAIRS),
        (1_000, 1, &PAIRS),
        (100, 10, &PAIRS),
        (100, 50, &PAIRS[..2]),
        (360_000, 1, &PAIRS[..2]),
        (3_600_000, 1, &PAIRS[..2]),
    ] {
        let before_ms = 7 * HOUR_MS.max(every_ms);
        let mut service = Service::of(every_ms);
        service.run(before_ms, 0);
        let outage = service.now;
        // failures come evenly from here on
        service.count = 0;
        service.run(2 * HOUR_MS.max(every_ms * 10), one_fails_of);
        for pair in pairs {
            let told = service.raised_after(pair, outage).expect("an outage is told");
            // the long window holds at most what there was
            let form = closed_form_ms(pair, every_ms, one_fails_of, before_ms);
            let form = if pair.long_ms > before_ms + form {
                short_of_history(pair, every_ms, one_fails_of, before_ms)
            } else {
                form
            };
            println!(
                "{every_ms:>6} ms {one_fails_of:>4} {:>9} {:>8.2} s {:>8.2} s",
                pair.name,
                told as f64 / 1e3,
                form as f64 / 1e3
            );
            let tick = (every_ms * one_fails_of).max(START_MS.max(pair.short_ms / 30));
            assert!(
                told.abs_diff(form) <= tick,
                "{} every {every_ms} ms, 1 of {one_fails_of}: {told}, not {form}",
                pair.name
            );
        }
    }
}

/// The closed form where the long window is not full yet: failures are their share of what there is.
fn short_of_history(pair: &Pair, every_ms: u64, one_fails_of: u64, before_ms: u64) -> u64 {
    let allowed = ALLOWED_PPM as f64 / 1e6;
    let share = allowed * pair.burn_tenths as f64 / 10.0;
    let failing = 1.0 / one_fails_of as f64;
    let burn_ms = share * before_ms as f64 / (failing - share);
    let whole = closed_form_ms(&Pair { long_ms: 0, ..*pair }, every_ms, one_fails_of, before_ms);
    burn_ms.max(whole as f64) as u64
}

#[test]
fn a_total_outage_pages_after_52_seconds_and_ends_within_five_minutes_of_its_end() {
    let page = &PAIRS[0];
    let mut service = Service::of(100);
    service.run(2 * HOUR_MS, 0);
    let outage = service.now;
    service.run(10 * 60_000, 1);
    let told = service.raised_after(page, outage).unwrap();
    assert!((51_000..=52_000).contains(&told), "{told}");
    let fixed = service.now;
    service.run(HOUR_MS, 0);
    let ended = service.ended_after(page, fixed).unwrap();
    println!("paged after {} ms, ended {} ms after the fix", told, ended);
    assert!(ended <= 300_000, "{ended}");
    assert_eq!(service.changes.iter().filter(|(_, change)| change.pair == page).count(), 2, "told once, ended once");
}

#[test]
fn silence_is_no_recovery_and_no_alarm() {
    let mut service = Service::of(1_000);
    service.run(2 * HOUR_MS, 0);
    service.run(5 * 60_000, 1);
    assert_eq!(service.alarms.raised().count(), 3);
    // nothing for 50 minutes: it is not known to be better
    let quiet_to = service.now + 50 * 60_000;
    let changes: Vec<_> = (service.now..quiet_to).step_by(10_000).flat_map(|at| service.alarms.pass(at)).collect();
    assert_eq!(changes, []);
    // one that went well is news
    assert_eq!(service.alarms.note(Tally::one(true), quiet_to).len(), 2, "for 5 minutes, and for 30");
    // and after three days nothing is left to be said
    assert_eq!(service.alarms.pass(quiet_to + 4 * DAY_MS).len(), 1);
    assert_eq!(service.alarms.raised().count(), 0);
    assert_eq!(Alarms::new(ALLOWED_PPM).pass(BEGIN), []);
}

#[test]
fn few_failures_of_few_requests_are_no_alarm() {
    for failures in 1..=3 {
        let mut service = Service::of(360_000);
        service.run(DAY_MS, 0);
        service.run(failures * 360_000, 1);
        assert_eq!(service.alarms.raised().count(), 0, "{failures} failures in a row, ten requests an hour");
    }
}

#[test]
fn objectives_at_their_ends_alarm_too() {
    // nothing may fail
    let mut strict = Alarms::new(0);
    let raised = (0..3).flat_map(|at| strict.note(Tally::one(false), BEGIN + at * 1_000)).count();
    assert_eq!(raised, 0);
    for at in 3..40 {
        strict.note(Tally::one(false), BEGIN + at * 1_000);
    }
    assert_eq!(strict.raised().count(), 3);
    // so lax that 14.4 times as many is more than all
    let mut lax = Alarms::new(100_000);
    for at in 0..10_000 {
        lax.note(Tally::one(true), BEGIN + at * 1_000);
    }
    for at in 10_000..14_000 {
        lax.note(Tally::one(false), BEGIN + at * 1_000);
    }
    assert!(lax.raised().any(|(pair, _)| pair.name == "burn_14x"), "{:?}", lax.raised().collect::<Vec<_>>());
    // everything may fail
    let mut any = Alarms::new(1_000_000);
    for at in 0..1_000 {
        assert_eq!(any.note(Tally::one(false), BEGIN + at * 1_000), []);
    }
}

#[test]
fn another_objective_keeps_the_counts_and_forgets_the_evidence() {
    let mut service = Service::of(100);
    service.run(HOUR_MS, 0);
    service.run(50_000, 1);
    assert!(service.alarms.raised().all(|(pair, _)| pair.name != "burn_14x"));
    // ten times as strict: the share is there already, the evidence comes within a second
    service.alarms.adopt(ALLOWED_PPM / 10);
    service.run(2_000, 1);
    assert!(service.alarms.raised().any(|(pair, _)| pair.name == "burn_14x"));
}
