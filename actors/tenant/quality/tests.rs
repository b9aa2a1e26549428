use super::rules::{note, view};
use crate::entry::{AnswerCited, AnswerRecorded, Entry, LineageChunk};
use crate::question::{ModelUsed, Usage};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::drift::sample::Days;
use bailiwick_policy::drift::trend::Quality;

const DAY_MS: u64 = 86_400_000;
const TODAY: u64 = 20_000;

fn chunk(trust_score: f64) -> LineageChunk {
    LineageChunk { source_id: "d".into(), chunk_id: "d#0".into(), trust_score, ..LineageChunk::default() }
}

fn model() -> ModelUsed {
    ModelUsed { provider: "p".into(), name: "m".into(), region: "local".into(), fallback: false }
}

fn answer(kind: &str, day: u64, abstained: bool, trust: &[f64]) -> Entry {
    Entry::AnswerRecorded(Box::new(AnswerRecorded {
        query_id: "q".into(),
        kind: kind.into(),
        question: String::new(),
        answer: String::new(),
        abstained,
        cited: trust.iter().map(|trust| chunk(*trust)).collect(),
        model: model(),
        usage: Usage::default(),
        overrun: NanoUsd::ZERO,
        policy_version: "1.0.0".into(),
        key_id: "k".into(),
        user_id: None,
        admitted_unix_ms: day * DAY_MS,
        cleared_unix_ms: day * DAY_MS + 5,
        idempotency_key: None,
        cut_short: false,
    }))
}

fn refused(code: &str, day: u64) -> Entry {
    let (query_id, detail, by) = ("q".to_owned(), String::new(), "k".to_owned());
    Entry::Refused { query_id, code: code.to_owned(), detail, at_unix_ms: day * DAY_MS, by }
}

#[test]
fn a_record_says_how_a_question_ended() {
    let mut days = Days::default();
    let further = AnswerCited {
        query_id: "q".into(),
        cited: vec![chunk(0.5)],
        model: model(),
        policy_version: "1.0.0".into(),
        cleared_unix_ms: TODAY * DAY_MS,
    };
    let entries = [
        answer("ask", TODAY, false, &[0.8, 0.6]),
        Entry::AnswerCited(Box::new(further)),
        answer("ask", TODAY, true, &[]),
        answer("ask", TODAY, false, &[]),
        answer("chat", TODAY, false, &[]),
        answer("embed", TODAY, false, &[]),
        refused("policy_denied", TODAY),
        refused("rate_limited", TODAY),
        refused("budget_exceeded", TODAY),
        Entry::EscrowReturned { at_unix_ms: TODAY * DAY_MS },
    ];
    entries.iter().for_each(|entry| note(&mut days, entry));
    let (recent, _) = days.split(TODAY);
    let counted: Vec<_> = recent[0].cells.0.iter().enumerate().filter(|(_, count)| **count > 0).collect();
    assert_eq!(counted, [(0, &1), (1, &1), (2, &1), (17, &1)], "one of each, and the answer at a trust of 0.7");
    let shown = view(&days, TODAY);
    assert_eq!(shown.avg_trust, Some(0.6333), "of three passages");
    assert_eq!((shown.drift_score, shown.p_value, shown.quality_trend), (0.0, None, Quality::Unknown));
}

#[test]
fn a_week_that_differs_is_seen_and_told_with_what_it_rests_on() {
    let mut days = Days::default();
    for day in TODAY - 34..=TODAY {
        for number in 0..40 {
            let abstained = day > TODAY - 7 && number % 2 == 0;
            let trust = 0.7 + f64::from(number % 5) / 50.0;
            let cited: &[f64] = if abstained { &[] } else { &[trust] };
            note(&mut days, &answer("ask", day, abstained, cited));
        }
    }
    let shown = view(&days, TODAY);
    assert!(
        shown.drift_score > 0.2 && shown.p_value.is_some_and(|probability| probability <= shown.level),
        "{shown:?}"
    );
    assert_eq!((shown.questions_recent, shown.questions_reference), (280, 1_120));
    assert_eq!(shown.quality_trend, Quality::Declining);
    let (low, high) = (shown.quality_change_low.unwrap(), shown.quality_change_high.unwrap());
    assert!(low <= high && high < -0.25, "{shown:?}");
    // three weeks later everything that was compared is reference, and there is nothing to compare
    let later = view(&days, TODAY + 21);
    assert_eq!((later.questions_recent, later.drift_score, later.avg_trust), (0, 0.0, None));
}
