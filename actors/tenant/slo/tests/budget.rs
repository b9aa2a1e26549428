//! The budget against brute force, and what few events and none say.
use crate::slo::budget::{BUDGET_MS, EXHAUSTING_FAILURES_MIN, Events, Status, allowed_ppm};
use crate::slo::windows::{Tally, Window};
use proptest::prelude::*;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const BEGIN: u64 = 1_760_000_000_000;
/// 99.9 %.
const ALLOWED: u64 = 1_000;

#[test]
fn nothing_is_no_number() {
    let view = Events::default().budget(ALLOWED, BEGIN).view();
    assert_eq!((view.consumed_minutes, view.remaining_minutes, view.status), (None, None, None));
    assert!((view.monthly_downtime_minutes - 43.2).abs() < 1e-9);
    let shown = serde_json::to_string(&view).unwrap();
    assert!(shown.contains("\"status\":null") && !shown.contains("NaN"), "{shown}");
    // a month later nothing is left
    let mut events = Events::default();
    events.note(Tally { good: 10, bad: 10 }, BEGIN);
    events.pass(BEGIN + BUDGET_MS + HOUR_MS);
    assert_eq!(events.budget(ALLOWED, BEGIN + BUDGET_MS + HOUR_MS).status(), None);
}

#[test]
fn few_failures_use_no_budget_up_and_many_do() {
    let mut events = Events::default();
    events.note(Tally { good: 9, bad: 0 }, BEGIN);
    events.note(Tally { good: 0, bad: 1 }, BEGIN + DAY_MS);
    let budget = events.budget(ALLOWED, BEGIN + DAY_MS);
    assert!(budget.consumed_ms().unwrap() > budget.allowed_ms(), "one of ten is 100 times the share");
    assert_eq!(budget.status(), Some(Status::Warning), "and may be chance");
    events.note(Tally { good: 0, bad: EXHAUSTING_FAILURES_MIN - 1 }, BEGIN + DAY_MS);
    assert_eq!(events.budget(ALLOWED, BEGIN + DAY_MS).status(), Some(Status::Exhausted));
}

#[test]
fn an_outage_of_the_allowed_minutes_uses_the_budget_up_however_old_the_tenant_is() {
    for age_days in [0, 1, 7, 40] {
        let mut events = Events::default();
        let mut now = BEGIN;
        let second = |events: &mut Events, now: &mut u64, tally| {
            *now += 60_000;
            events.note(tally, *now);
        };
        for _ in 0..age_days * 24 * 60 {
            second(&mut events, &mut now, Tally { good: 60, bad: 0 });
        }
        let mut minutes = 0;
        while events.budget(ALLOWED, now).status() != Some(Status::Exhausted) {
            second(&mut events, &mut now, Tally { good: 0, bad: 60 });
            minutes += 1;
        }
        println!("{age_days} days old: exhausted after {minutes} minutes of outage");
        // 43.2, and the hour that is only partly within the window
        assert!((43..=45).contains(&minutes), "{age_days} days: {minutes}");
    }
}

#[test]
fn a_clock_that_goes_back_gives_no_budget_back() {
    let mut events = Events::default();
    for hour in 0..3 {
        events.note(Tally { good: 0, bad: 10 }, BEGIN + hour * HOUR_MS);
    }
    for now in [BEGIN + 2 * HOUR_MS, BEGIN, 0] {
        events.pass(now);
        assert_eq!(events.budget(ALLOWED, now).status(), Some(Status::Exhausted), "at {now}");
    }
}

#[test]
fn status_follows_its_edges() {
    let at = |bad: u64| {
        let mut events = Events::default();
        events.note(Tally { good: 0, bad: 0 }, BEGIN);
        events.note(Tally { good: 1_000_000 - bad, bad }, BEGIN);
        // a whole month is covered
        events.budget(ALLOWED, BEGIN + 29 * DAY_MS + 23 * HOUR_MS)
    };
    // 1,000 of a million are allowed, a little more where an hour of the month is still to come
    assert_eq!(at(0).status(), Some(Status::Healthy));
    assert_eq!(at(740).status(), Some(Status::Healthy));
    assert_eq!(at(760).status(), Some(Status::Warning));
    assert_eq!(at(1_002).status(), Some(Status::Exhausted));
    assert!(at(890).may_thaw() && !at(910).may_thaw());
    let view = at(500).view();
    assert!((view.consumed_minutes.unwrap() + view.remaining_minutes.unwrap() - 43.2).abs() < 1e-9);
}

#[test]
fn an_objective_is_read_in_parts_of_a_million() {
    for (availability, ppm) in
        [(0.999, 1_000), (0.9995, 500), (0.99, 10_000), (1.0, 0), (0.0, 1_000_000), (0.99999, 10)]
    {
        assert_eq!(allowed_ppm(availability), ppm, "{availability}");
    }
}

proptest! {
    #[test]
    fn the_budget_is_that_of_brute_force(
        steps in proptest::collection::vec((0_u64..40 * HOUR_MS, 0_u64..50, 0_u64..5), 1..80),
        ppm in 0_u64..20_000,
    ) {
        let (mut events, mut now, mut all) = (Events::default(), BEGIN, Vec::new());
        for (gap, good, bad) in steps {
            now += gap;
            events.note(Tally { good, bad }, now);
            all.push((now, good, bad));
            let hour = now / HOUR_MS;
            let within = |at: u64| at / HOUR_MS + BUDGET_MS / HOUR_MS > hour;
            let (good, bad) = all.iter().filter(|(at, ..)| within(*at)).fold((0, 0), |sum, one| (sum.0 + one.1, sum.1 + one.2));
            let budget = events.budget(ppm, now);
            prop_assert_eq!(budget.tally, Tally { good, bad });
            let share = u128::from(bad) * u128::from(budget.covered_ms);
            let consumed = (good + bad > 0).then(|| u64::try_from(share / u128::from(good + bad)).unwrap());
            prop_assert_eq!(budget.consumed_ms(), consumed);
            prop_assert!(budget.covered_ms <= BUDGET_MS);
        }
    }

    #[test]
    fn a_window_is_the_sum_of_its_slots_and_bounded(
        steps in proptest::collection::vec((0_u64..3_000, any::<bool>()), 1..300),
    ) {
        let (mut window, mut now, mut all) = (Window::new(100, 20), 0, Vec::new());
        for (gap, good) in steps {
            now += gap;
            window.note(Tally::one(good), now);
            all.push((now, good));
            let within: Vec<_> = all.iter().filter(|(at, _)| at / 100 + 20 > now / 100).collect();
            let bad = within.iter().filter(|(_, good)| !good).count() as u64;
            prop_assert_eq!(window.sum(), Tally { good: within.len() as u64 - bad, bad });
            prop_assert!(window.slots().count() <= 20);
        }
    }
}
