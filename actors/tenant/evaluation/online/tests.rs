use super::*;
use crate::evaluation::estimate::estimate;
use crate::question::{ModelUsed, Usage};
use bailiwick_kernel::money::NanoUsd;
use proptest::prelude::*;

fn answered(policy_version: &str, at_unix_ms: u64, abstained: bool) -> Entry {
    Entry::AnswerRecorded(Box::new(AnswerRecorded {
        query_id: "q".into(),
        kind: ASK.into(),
        question: String::new(),
        answer: String::new(),
        abstained,
        cited: Vec::new(),
        model: ModelUsed { provider: "embedded".into(), name: "extractive".into(), ..ModelUsed::default() },
        usage: Usage::default(),
        overrun: NanoUsd::ZERO,
        policy_version: policy_version.into(),
        key_id: "k".into(),
        user_id: None,
        admitted_unix_ms: at_unix_ms,
        cleared_unix_ms: at_unix_ms,
        idempotency_key: None,
        cut_short: false,
    }))
}

fn measured(policy_version: &str, cleared_unix_ms: u64, k_precision: f64) -> Entry {
    Entry::AnswerMeasured(Box::new(AnswerMeasured {
        query_id: "q".into(),
        policy_version: policy_version.into(),
        provider: "embedded".into(),
        model: "extractive".into(),
        cleared_unix_ms,
        grounding: Grounding { k_precision: Some(k_precision), ..Grounding::default() },
    }))
}

fn mean(measures: &[Measure], name: &str) -> Option<(f64, u64)> {
    let found = measures.iter().find(|measure| measure.name == name)?;
    Some((found.estimate.mean, found.estimate.count))
}

#[test]
fn answers_are_told_apart_by_release_and_by_day() {
    let mut online = Online::default();
    for (version, day, precision) in [("1.0.0", 10, 1.0), ("1.0.0", 11, 0.5), ("2.0.0", 11, 0.25)] {
        online.apply(&answered(version, day * DAY_MS, false));
        online.apply(&measured(version, day * DAY_MS, precision));
    }
    online.apply(&answered("2.0.0", 11 * DAY_MS + 1, true));
    let view = online.view();
    let releases: Vec<_> = view
        .releases
        .iter()
        .map(|release| (release.policy_version.as_str(), release.answers, release.abstained))
        .collect();
    assert_eq!(releases, [("2.0.0", 2, 1), ("1.0.0", 2, 0)]);
    assert_eq!(mean(&view.releases[1].measures, "k_precision"), Some((0.75, 2)));
    assert_eq!(mean(&view.releases[1].measures, "number_fidelity"), None, "what was never measured has no mean");
    let days: Vec<_> = view.days.iter().map(|day| (day.day.as_str(), day.answers)).collect();
    assert_eq!(days, [("1970-01-12", 3), ("1970-01-11", 1)]);
    assert_eq!(mean(&view.days[0].measures, "k_precision"), Some((0.375, 2)));
}

#[test]
fn releases_and_days_are_bounded_and_the_oldest_go() {
    let mut online = Online::default();
    for number in 0..3 * DAYS_MAX as u64 {
        online.apply(&answered(&format!("{number}.0.0"), number * DAY_MS, false));
    }
    let last = 3 * DAYS_MAX as u64 - 1;
    online.apply(&answered("late", 0, false));
    let view = online.view();
    assert_eq!((view.releases.len(), view.days.len()), (RELEASES_MAX, DAYS_MAX));
    assert_eq!(view.releases[1].policy_version, format!("{last}.0.0"));
    assert_eq!(view.days[0].day, rfc3339(last * DAY_MS)[..DATE_CHARS]);
    assert!(view.days.iter().all(|day| day.answers == 1), "a day that is gone does not come back");
}

#[test]
fn all_that_is_kept_fits_beside_the_rest_of_the_fold() {
    let mut online = Online::default();
    for number in 0..200_u64 {
        let version = format!("{number}.{}", "v".repeat(120));
        online.apply(&answered(&version, number * DAY_MS, false));
        online.apply(&measured(&version, number * DAY_MS, 0.123));
    }
    let bytes = bailiwick_kernel::codec::encode(&online).unwrap().len();
    assert!(bytes < 16 << 10, "{bytes}");
}

proptest! {
    #[test]
    fn sums_say_what_the_values_say(values in prop::collection::vec(0..=10_000_u32, 1..60)) {
        let values: Vec<f64> = values.into_iter().map(|parts| f64::from(parts) / 10_000.0).collect();
        let mut sums = Sums::default();
        values.iter().for_each(|value| sums.note(*value));
        let (one, other) = (estimate_of(&sums).unwrap(), estimate(&values).unwrap());
        prop_assert_eq!(one.count, other.count);
        for (one, other) in [(one.mean, other.mean), (one.low, other.low), (one.high, other.high)] {
            prop_assert!((one - other).abs() < 1e-6, "{} {}", one, other);
        }
    }

    #[test]
    fn sums_of_all_or_nothing_have_wilsons_interval(values in prop::collection::vec(any::<bool>(), 1..60)) {
        let values: Vec<f64> = values.into_iter().map(|held| f64::from(u8::from(held))).collect();
        let mut sums = Sums::default();
        values.iter().for_each(|value| sums.note(*value));
        prop_assert_eq!(estimate_of(&sums), estimate(&values));
    }
}
