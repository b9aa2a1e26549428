use super::*;
use crate::compile::{FILES, GOVERNANCE, ROUTER, compile};
use crate::guardrails::Guardrails;
use crate::parse::FileTexts;
use std::path::Path;

fn with(file: &str, changes: &[(&str, &str)]) -> PolicySnapshot {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants/acme-corp");
    let mut texts: FileTexts =
        FILES.iter().map(|file| ((*file).to_owned(), std::fs::read_to_string(root.join(file)).unwrap())).collect();
    let text = texts.get_mut(file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{file} has no {from:?}");
        *text = text.replacen(from, to, 1);
    }
    compile("acme-corp", &texts, &Guardrails::none()).unwrap()
}

fn asked(role: &str, bytes: u64, answer: &str) -> Recorded {
    let facts = Facts::new().text("user.role", role).number("request.bytes", bytes);
    let model = RecordedModel {
        provider: "extractive".into(),
        name: "sentences".into(),
        region: "us-east-1".into(),
        fallback: false,
    };
    Recorded {
        action: Action::Ask,
        facts,
        model: Some(model),
        answer: answer.to_owned(),
        is_grounded: true,
        admitted_unix_ms: 0,
    }
}

fn asking(min_ndcg_at_10: f64) -> EvaluationSettings {
    EvaluationSettings { sample_rate: 0.0, min_ndcg_at_10, min_groundedness: 0.0, every_hours: None, judge: None }
}

const FORBIDS: &str = "rules:\n  - id: long-questions\n    effect: forbid\n    actions: [ask]\n    when: { request.bytes: { \
                       at_least: 100 } }\n    overrides: [members-work]\n    reason: they are read aloud\n";

#[test]
fn nothing_changes_under_the_same_policy() {
    let policy = with(GOVERNANCE, &[]);
    let recorded: Vec<_> = (0..300).map(|number| asked("viewer", number, "yes")).collect();
    let replayed = replay(&policy, &policy, &recorded);
    assert_eq!(replayed, Replayed { requests: 300, ..Replayed::default() });
    let rehearsal = Rehearsal { recorded: replayed, golden: GoldenReport::default() };
    assert!(
        rehearsal.objections(&SandboxSettings { refused_percent_max: 0, golden_lost_max: 0 }, &asking(0.0)).is_empty()
    );
}

#[test]
fn what_would_be_refused_withheld_or_answered_is_counted_and_shown() {
    let (before, after) = (with(GOVERNANCE, &[]), with(GOVERNANCE, &[("rules:\n", FORBIDS)]));
    let recorded: Vec<_> = (0..200).map(|number| asked("viewer", number, "yes")).collect();
    let replayed = replay(&before, &after, &recorded);
    assert_eq!((replayed.requests, replayed.refused, replayed.examples.len()), (200, 100, EXAMPLES_MAX));
    let example = serde_json::to_string(&replayed.examples[0]).unwrap();
    assert!(example.contains("\"request.bytes\":100") && example.contains("they are read aloud"), "{example}");
    assert_eq!(replay(&after, &before, &recorded).answered, 100);
    let objects = |percent| {
        let settings = SandboxSettings { refused_percent_max: percent, golden_lost_max: 0 };
        let rehearsal = Rehearsal { recorded: replayed.clone(), golden: GoldenReport::default() };
        rehearsal.objections(&settings, &asking(0.0)).len()
    };
    assert_eq!((objects(50), objects(49), objects(100)), (0, 1, 0));

    let silent = with(GOVERNANCE, &[("output_forbidden_patterns:\n", "output_forbidden_patterns:\n    - amber\n")]);
    let said = [asked("viewer", 1, "amber"), asked("viewer", 1, "green")];
    let replayed = replay(&before, &silent, &said);
    assert_eq!((replayed.withheld, replayed.refused, replayed.requests), (1, 0, 2));
    let citing = with(GOVERNANCE, &[("obligation: cite", "obligation: { cap_tokens: 7 }")]);
    assert_eq!(replay(&before, &citing, &said).obliged_otherwise, 2);
}

#[test]
fn the_model_that_answered_is_ruled_on_too() {
    let before = with(GOVERNANCE, &[]);
    let elsewhere = with(GOVERNANCE, &[("model.region: [us-*, local]", "model.region: eu-*")]);
    let replayed = replay(&before, &elsewhere, &[asked("viewer", 1, "yes")]);
    assert_eq!(replayed.refused, 1);
}

#[test]
fn golden_documents_that_are_found_no_longer_are_objected_to() {
    let searched = |before: &[&str], after: &[&str]| Searched {
        question: "how long?".into(),
        relevant: vec!["a".into(), "b".into()],
        before: before.iter().map(ToString::to_string).collect(),
        after: after.iter().map(ToString::to_string).collect(),
    };
    let search = GoldenSearch {
        searched: vec![
            searched(&["a", "b", "c"], &["b"]),
            searched(&[], &["a"]),
            searched(&["c"], &[]),
            searched(&["a"], &["a", "c"]),
        ],
        before: SearchedBy { meaning: true, reason: None },
        after: SearchedBy { meaning: false, reason: Some("of another model".into()) },
    };
    let golden = compare(&search);
    assert_eq!((&golden.searched_before, &golden.searched_after), (&search.before, &search.after));
    assert_eq!((golden.questions, golden.found_before, golden.found_after, golden.lost), (4, 3, 3, 1));
    let rehearsal = Rehearsal { recorded: Replayed::default(), golden };
    let objections = rehearsal.objections(&SandboxSettings::default(), &asking(0.0));
    assert!(objections[0].contains("\"a\" for \"how long?\""), "{objections:?}");
    assert!(objections[0].contains("by words alone: of another model"), "who reads it may not know: {objections:?}");
    assert!(
        rehearsal
            .objections(&SandboxSettings { golden_lost_max: 1, ..SandboxSettings::default() }, &asking(0.0))
            .is_empty()
    );
}

#[test]
fn only_what_a_rehearsal_could_show_is_rehearsed() {
    let before = with(GOVERNANCE, &[]);
    assert!(!is_needed(&before, &before));
    assert!(!is_needed(&before, &with(ROUTER, &[("model: sentences", "model: paragraphs")])));
    assert!(!is_needed(&before, &with(GOVERNANCE, &[("policy_semver: 1.2.3", "policy_semver: 1.2.4")])));
    assert!(is_needed(&before, &with(GOVERNANCE, &[("rules:\n", FORBIDS)])));
    assert!(is_needed(&before, &with(crate::compile::RETRIEVAL, &[("top_k: 8", "top_k: 7")])));
}

#[test]
fn an_answer_no_guard_would_have_let_through_is_found() {
    let (old, new) = (with(GOVERNANCE, &[]), with(GOVERNANCE, &[("rules:\n", FORBIDS)]));
    let answers = [
        asked("viewer", 1, "yes"),
        asked("viewer", 200, "yes"),
        asked("viewer", 1, "SSN 123-45-6789"),
        Recorded { is_grounded: false, ..asked("viewer", 1, "no marker") },
    ];
    let found = |policies: &[&PolicySnapshot]| unguarded(policies, &answers).cloned().collect::<Vec<_>>();
    assert_eq!(found(&[&old]), answers[2..], "what its patterns withhold, and what cites nothing");
    assert_eq!(found(&[&new]), answers[1..]);
    assert_eq!(found(&[&old, &new]), answers[2..], "of two releases, either may have served it");
    assert_eq!(found(&[]).len(), 4);
}

#[test]
fn a_worse_ranking_below_the_floor_is_objected_to_and_no_other() {
    let rehearsed = |before: &[&str], after: &[&str]| {
        let owned = |ids: &[&str]| ids.iter().map(ToString::to_string).collect();
        let searched =
            Searched { question: "q".into(), relevant: vec!["a".into()], before: owned(before), after: owned(after) };
        let search = GoldenSearch { searched: vec![searched], ..GoldenSearch::default() };
        Rehearsal { recorded: Replayed::default(), golden: compare(&search) }
    };
    let objects =
        |rehearsal: &Rehearsal, floor: f64| rehearsal.objections(&SandboxSettings::default(), &asking(floor)).len();
    // the document falls from the first place to the second: 1 to 0.63
    let worse = rehearsed(&["a", "b"], &["b", "a"]);
    assert_eq!((objects(&worse, 0.7), objects(&worse, 0.6)), (1, 0));
    assert_eq!(objects(&rehearsed(&["b", "a"], &["b", "a"]), 0.7), 0, "below it before, and no worse");
    assert_eq!(objects(&rehearsed(&["b", "a"], &["a", "b"]), 1.0), 0, "better");
    let text = worse.objections(&SandboxSettings::default(), &asking(0.7)).join(" ");
    assert!(text.contains("from 1.0000 to 0.6309") && text.contains("min_ndcg_at_10"), "{text}");
}
