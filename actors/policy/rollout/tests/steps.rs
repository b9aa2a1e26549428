//! What moves a rollout, and what does not.
use super::*;
use proptest::prelude::*;

const HOUR_MS: u64 = 3_600_000;

/// Computed by another program.
const PLACES_ELSEWHERE: [(&str, &str, u32); 4] = [
    ("", "", 21_592),
    ("salt", "conversation", 6_655),
    ("policy 7", "0198c0de-0000-7000-8000-000000000001", 7_011),
    ("ä", "用户", 7_788),
];

/// Ten percent of the requests are canary, none fails: as good as it gets.
fn feed_well(rollout: &mut Rollout, requests: u64, moment: Moment) -> Step {
    let mut step = Step::Hold(Hold::NoData);
    for request in 0..requests {
        let arm = if request % 10 == 0 { Arm::Canary } else { Arm::Control };
        step = rollout.step(outcome(arm, false), moment);
        if !matches!(step, Step::Hold(_)) {
            return step;
        }
    }
    step
}

/// Every canary request fails.
fn feed_badly(rollout: &mut Rollout, requests: u64, moment: Moment) -> Step {
    let mut step = Step::Hold(Hold::NoData);
    for request in 0..requests {
        let is_canary = request % 10 == 0;
        step = rollout.step(outcome(if is_canary { Arm::Canary } else { Arm::Control }, is_canary), moment);
    }
    step
}

fn frozen(unix_ms: u64) -> Moment {
    Moment { unix_ms, is_frozen: true }
}

fn begin() -> Rollout {
    Rollout::begin(Rules::default(), 0)
}

#[test]
fn a_good_version_takes_every_stage() {
    let mut rollout = begin();
    assert_eq!(feed_well(&mut rollout, 5_000, at(HOUR_MS)), Step::Advance(Stage::Half));
    assert_eq!((rollout.stage(), rollout.since_unix_ms()), (Stage::Half, HOUR_MS));
    assert_eq!(feed_well(&mut rollout, 5_000, at(2 * HOUR_MS)), Step::Advance(Stage::Full));
    assert_eq!(feed_well(&mut rollout, 5_000, at(3 * HOUR_MS)), Step::Complete);
    assert_eq!(rollout.step(Event::Withdraw, at(4 * HOUR_MS)), Step::Complete, "what is complete is the control now");
    assert!((0..100).all(|key| rollout.arm("salt", &key.to_string()) == Arm::Canary));
}

#[test]
fn no_data_holds_for_years() {
    let mut rollout = begin();
    for year in 1..=20 {
        assert_eq!(rollout.step(Event::Tick, at(year * 8_766 * HOUR_MS)), Step::Hold(Hold::NoData));
    }
    assert_eq!(rollout.stage(), Stage::Tenth);
}

#[test]
fn one_arm_alone_says_nothing() {
    for (arm, failed) in [Arm::Control, Arm::Canary].into_iter().flat_map(|arm| [(arm, true), (arm, false)]) {
        let mut rollout = begin();
        for _ in 0..10_000 {
            assert_eq!(
                rollout.step(outcome(arm, failed), at(9 * HOUR_MS)),
                Step::Hold(Hold::NoData),
                "{arm:?} {failed}"
            );
        }
        assert!(rollout.evidence().ln_harmless() <= 0.0, "{arm:?} {failed}");
    }
}

#[test]
fn no_data_holds_at_the_last_stage_too() {
    let mut rollout = begin();
    feed_well(&mut rollout, 5_000, at(HOUR_MS));
    feed_well(&mut rollout, 5_000, at(2 * HOUR_MS));
    assert_eq!(rollout.stage(), Stage::Full);
    for _ in 0..1_000 {
        let straggler = outcome(Arm::Control, false);
        assert_eq!(rollout.step(straggler, at(9 * HOUR_MS)), Step::Hold(Hold::NoData));
    }
}

#[test]
fn a_hold_names_what_is_missing() {
    let mut rollout = begin();
    assert_eq!(feed_well(&mut rollout, 500, at(9 * HOUR_MS)), Step::Hold(Hold::TooFewRequests { missing: 50 }));
    assert_eq!(feed_well(&mut rollout, 2_000, at(0)), Step::Hold(Hold::TooSoon { missing_ms: HOUR_MS }));
    assert_eq!(rollout.step(Event::Tick, at(HOUR_MS - 1)), Step::Hold(Hold::TooSoon { missing_ms: 1 }));
    assert_eq!(rollout.step(Event::Tick, at(HOUR_MS)), Step::Advance(Stage::Half));
    let mut rollout = Rollout::begin(Rules { canary_requests: 1, ..Rules::default() }, 0);
    assert_eq!(feed_well(&mut rollout, 100, at(HOUR_MS)), Step::Hold(Hold::HarmNotExcluded));
}

#[test]
fn a_clock_set_back_only_lengthens_a_stage() {
    let mut rollout = Rollout::begin(Rules::default(), 5 * HOUR_MS);
    assert_eq!(feed_well(&mut rollout, 5_000, at(HOUR_MS)), Step::Hold(Hold::TooSoon { missing_ms: HOUR_MS }));
}

#[test]
fn an_outage_of_everything_is_no_proof_of_harmlessness() {
    let mut rollout = begin();
    for request in 0..20_000 {
        let arm = if request % 10 == 0 { Arm::Canary } else { Arm::Control };
        assert!(matches!(rollout.step(outcome(arm, true), at(9 * HOUR_MS)), Step::Hold(_)));
    }
    assert_eq!(rollout.step(Event::Tick, at(9 * HOUR_MS)), Step::Hold(Hold::HarmNotExcluded));
}

#[test]
fn a_freeze_holds_at_every_stage_and_nothing_is_lost() {
    let mut rollout = begin();
    for (hour, next) in [(1, Step::Advance(Stage::Half)), (2, Step::Advance(Stage::Full)), (3, Step::Complete)] {
        assert_eq!(feed_well(&mut rollout, 5_000, frozen(hour * HOUR_MS)), Step::Hold(Hold::Frozen));
        assert_eq!(rollout.step(Event::Tick, at(hour * HOUR_MS)), next);
    }
}

#[test]
fn a_rollback_wins_over_a_freeze_and_is_final() {
    let worse = Step::RollBack(RollBack::Worse);
    let mut rollout = begin();
    assert_eq!(feed_badly(&mut rollout, 200, frozen(1)), worse);
    assert_eq!(feed_well(&mut rollout, 50_000, at(9 * HOUR_MS)), worse);
    assert_eq!(rollout.step(Event::Withdraw, at(9 * HOUR_MS)), worse, "the first reason stays");
    assert!((0..1_000).all(|key| rollout.arm("salt", &key.to_string()) == Arm::Control));
    let mut withdrawn = begin();
    assert_eq!(withdrawn.step(Event::Withdraw, frozen(1)), Step::RollBack(RollBack::Withdrawn));
    assert_eq!(withdrawn.step(Event::Tick, at(9 * HOUR_MS)), Step::RollBack(RollBack::Withdrawn));
}

#[test]
fn evidence_of_an_earlier_stage_counts_against_a_version_later() {
    let ten_percent_bad = |rollout: &mut Rollout| {
        feed_badly(rollout, 20, at(HOUR_MS));
        rollout.evidence().ln_worse()
    };
    let mut rollout = begin();
    let before = ten_percent_bad(&mut rollout);
    assert!(before > 1.0);
    let mut next = rollout.evidence().clone();
    next.begin_stage();
    assert_eq!(next.ln_worse().to_bits(), before.to_bits());
    assert_eq!((next.ln_harmless(), next.in_stage(Arm::Canary).requests), (0.0, 0));
    assert_eq!(next.total(Arm::Canary), Tally { requests: 2, failures: 2 });
}

#[test]
fn a_block_never_spans_two_stages() {
    let mut evidence = Evidence::default();
    let closes = |evidence: &mut Evidence| evidence.record(Arm::Canary, true, 10, Margin::default());
    assert!((0..19).all(|_| !closes(&mut evidence)));
    evidence.begin_stage();
    assert!((0..19).all(|_| !closes(&mut evidence)));
    assert!(closes(&mut evidence));
}

#[test]
fn no_probability_turns_the_guard_off() {
    let mut rollout = Rollout::begin(Rules { false_rollback_ppm: 0, ..Rules::default() }, 0);
    assert_eq!(feed_badly(&mut rollout, 400, at(1)), Step::RollBack(RollBack::Worse));
}

#[test]
fn a_full_count_stops_and_nothing_else_does() {
    let full = r#"{"requests":18446744073709551615,"failures":18446744073709551615}"#;
    let text = serde_json::to_string(&begin()).unwrap().replace(r#"{"requests":0,"failures":0}"#, full);
    let mut rollout: Rollout = serde_json::from_str(&text).unwrap();
    for failed in [true, false, true] {
        rollout.step(outcome(Arm::Canary, failed), at(HOUR_MS));
        assert!(rollout.evidence().ln_worse().is_finite() && rollout.evidence().ln_harmless().is_finite());
    }
    assert_eq!(rollout.evidence().total(Arm::Canary).requests, u64::MAX);
}

#[test]
fn raising_a_stage_never_takes_a_conversation_back() {
    let mut counts = [0_u32; 3];
    for number in 0..100_000 {
        let key = format!("conversation-{number}");
        let arms = [Stage::Tenth, Stage::Half, Stage::Full].map(|stage| arm("policy 7", &key, stage));
        for (count, pair) in counts.iter_mut().zip([[Arm::Control, arms[0]], [arms[0], arms[1]], [arms[1], arms[2]]]) {
            assert_ne!(pair, [Arm::Canary, Arm::Control], "{key}");
            *count += u32::from(pair == [Arm::Control, Arm::Canary]);
        }
    }
    println!("new at 10 %, 50 %, 100 %: {counts:?} of 100,000");
    assert_eq!(counts.iter().sum::<u32>(), 100_000);
    // five standard deviations
    assert!(counts[0].abs_diff(10_000) < 475 && counts[1].abs_diff(40_000) < 775, "{counts:?}");
}

#[test]
fn the_arm_is_written_down_once_and_for_all() {
    // python3: h = sha256(b"".join(len(p).to_bytes(8, "big") + p for p in parts)); int.from_bytes(h[:8]) * 100000 >> 64
    for (salt, key, expected) in PLACES_ELSEWHERE {
        assert_eq!(place(&[salt, key], PLACES), expected, "{salt:?} {key:?}");
    }
    assert_ne!(place(&["ab", "c"], PLACES), place(&["a", "bc"], PLACES), "the parts do not run into each other");
}

fn events() -> impl Strategy<Value = Vec<(Event, Moment)>> {
    let event = prop_oneof![
        200 => any::<(bool, bool)>().prop_map(|(is_canary, failed)| {
            outcome(if is_canary { Arm::Canary } else { Arm::Control }, failed)
        }),
        200 => any::<bool>().prop_map(|is_canary| outcome(if is_canary { Arm::Canary } else { Arm::Control }, false)),
        20 => Just(Event::Tick),
        1 => Just(Event::Withdraw),
    ];
    let moment =
        (0..20 * HOUR_MS, proptest::bool::weighted(0.2)).prop_map(|(unix_ms, is_frozen)| Moment { unix_ms, is_frozen });
    proptest::collection::vec((event, moment), 0..600)
}

/// Rules under which short sequences get far.
fn rules() -> impl Strategy<Value = Rules> {
    let loose = (any::<u32>(), 500_000..=u32::MAX, 200_000..=u32::MAX, any::<u32>(), 0..20_u64, 0..HOUR_MS);
    loose.prop_map(|(false_rollback_ppm, false_advance_ppm, points_ppm, factor_percent, canary_requests, stage_ms)| {
        let margin = Margin { points_ppm, factor_percent };
        Rules { false_rollback_ppm, false_advance_ppm, margin, canary_requests, stage_ms }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_stage_is_skipped_and_no_end_is_left(rules in rules(), events in events()) {
        let mut rollout = Rollout::begin(rules, 0);
        let mut stage = Stage::Tenth;
        let mut end = None;
        for (event, moment) in events {
            let step = rollout.step(event, moment);
            prop_assert!(end.is_none_or(|end| end == step));
            match step {
                Step::Hold(_) => {}
                Step::Advance(next) => {
                    prop_assert!(!moment.is_frozen);
                    prop_assert!(matches!((stage, next), (Stage::Tenth, Stage::Half) | (Stage::Half, Stage::Full)));
                    stage = next;
                }
                Step::Complete => {
                    prop_assert!(end.is_some() || !moment.is_frozen);
                    prop_assert_eq!(stage, Stage::Full);
                    end = Some(step);
                }
                Step::RollBack(_) => end = Some(step),
            }
            prop_assert_eq!(rollout.stage(), stage);
            prop_assert!(rollout.evidence().ln_worse().is_finite() && rollout.evidence().ln_harmless().is_finite());
        }
    }

    #[test]
    fn a_rollout_read_back_continues_alike(rules in rules(), events in events(), cut in 0..600_usize) {
        let mut rollout = Rollout::begin(rules, 0);
        let (before, after) = events.split_at(cut.min(events.len()));
        for (event, moment) in before {
            rollout.step(*event, *moment);
        }
        let mut read: Rollout = serde_json::from_str(&serde_json::to_string(&rollout).unwrap()).unwrap();
        prop_assert_eq!(&read, &rollout);
        for (event, moment) in after {
            prop_assert_eq!(read.step(*event, *moment), rollout.step(*event, *moment));
        }
        prop_assert_eq!(read, rollout);
    }
}

#[test]
fn who_promotes_ends_it_at_once_but_not_under_a_freeze() {
    let mut rollout = begin();
    assert_eq!(rollout.step(Event::Promote, frozen(1)), Step::Hold(Hold::Frozen));
    assert_eq!((rollout.end(), rollout.stage()), (None, Stage::Tenth));
    assert_eq!(rollout.step(Event::Promote, at(2)), Step::Complete);
    assert_eq!(rollout.end(), Some(Step::Complete));
    assert_eq!(rollout.step(Event::Withdraw, at(3)), Step::Complete, "what everybody has is no rollout any more");
    let mut withdrawn = begin();
    withdrawn.step(Event::Withdraw, at(1));
    assert_eq!(withdrawn.step(Event::Promote, at(2)), Step::RollBack(RollBack::Withdrawn), "what went back stays back");
}
