use super::controls::Control;
use super::facts::*;
use super::frameworks::Framework;
use super::pdf::pdf;
use super::report::{Checkpoint, Outcome, Report, Score, WeekScore};
use super::rules::{Subject, all_controls, assess, report, score};
use super::verification::{Unsound, verified};
use super::week::{is_week, week_of};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Monday, 23 November 2026, noon.
const NOW: u64 = 1_795_435_200_000;
const SOURCE: &str = "test";

fn names(of: &[&str]) -> FactValue {
    FactValue::from(of.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
}

fn facts(of: Vec<(&FactKind, FactValue)>) -> Facts {
    let mut facts = Facts::default();
    of.into_iter().for_each(|(kind, value)| facts.note(kind, value, SOURCE, NOW));
    facts
}

type Told = Vec<(&'static FactKind, FactValue)>;

/// Each control with facts under which it passes, and those it fails by when one of them says this.
fn table() -> Vec<(&'static str, Told, Told)> {
    let text = |text: &str| FactValue::from(text);
    let count = FactValue::Count;
    let is = FactValue::Is;
    vec![
        (
            "CRY-1",
            vec![
                (&CIPHER_AT_REST, text("AES-256-GCM")),
                (&KEY_VERSIONS, count(2)),
                (&KEY_IS_LEGACY, is(false)),
                (&AT_REST_ASKED, text("AES-256")),
            ],
            vec![
                (&CIPHER_AT_REST, text("AES-128-GCM")),
                (&KEY_VERSIONS, count(0)),
                (&KEY_IS_LEGACY, is(true)),
                (&AT_REST_ASKED, text("none")),
            ],
        ),
        (
            "CRY-2",
            vec![(&KEY_AGE_DAYS, count(90)), (&ROTATION_DAYS, count(90))],
            vec![(&KEY_AGE_DAYS, count(91)), (&ROTATION_DAYS, count(0))],
        ),
        (
            "CRY-3",
            vec![(&KEY_PROVIDER, text("aws-kms")), (&KMS_KEY_NAMED, text("arn:aws:kms:us-east-1:1:key/a"))],
            vec![(&KEY_PROVIDER, text("local-file")), (&KMS_KEY_NAMED, text("vault:transit/a"))],
        ),
        (
            "CRY-4",
            vec![(&NODE_TLS, text("TLS-1.3")), (&IN_TRANSIT_ASKED, text("TLS-1.2"))],
            vec![(&NODE_TLS, text("")), (&IN_TRANSIT_ASKED, text("TLS-1.4"))],
        ),
        (
            "AUD-1",
            vec![
                (&JOURNAL_RECORDS, count(7)),
                (&JOURNAL_VERIFIED, count(7)),
                (&JOURNAL_PROBLEMS, names(&[])),
                (&JOURNAL_WHOLE, is(true)),
            ],
            vec![
                (&JOURNAL_RECORDS, count(8)),
                (&JOURNAL_VERIFIED, count(6)),
                (&JOURNAL_PROBLEMS, names(&["record 3 does not follow the one before it"])),
            ],
        ),
        ("AUD-2", vec![(&HEAD_SIGNED, is(true))], vec![(&HEAD_SIGNED, is(false))]),
        ("AUD-3", vec![(&WATCHDOG_FINDINGS, names(&[]))], vec![(&WATCHDOG_FINDINGS, names(&["it enforces another"]))]),
        ("AUD-4", vec![(&REPORT_MADE, text("2026-W47"))], vec![]),
        (
            "CHG-1",
            vec![(&POLICY_PROBLEMS, names(&[])), (&POLICY_SIGNERS, names(&["ann"]))],
            vec![(&POLICY_PROBLEMS, names(&["it stands in no journal"])), (&POLICY_SIGNERS, names(&[]))],
        ),
        ("CHG-2", vec![(&POLICY_DRIFT, names(&[]))], vec![(&POLICY_DRIFT, names(&["its folder is gone"]))]),
        ("CHG-3", vec![(&POLICY_APPROVALS, count(2))], vec![(&POLICY_APPROVALS, count(1))]),
        ("CHG-4", vec![(&POLICY_CONFLICTS, count(0))], vec![(&POLICY_CONFLICTS, count(1))]),
        (
            "CHG-5",
            vec![(&POLICY_REHEARSED, is(true)), (&POLICY_STAGED, is(false))],
            vec![(&POLICY_REHEARSED, is(false))],
        ),
        (
            "ACC-1",
            vec![(&USERS_GOVERNING, names(&["ann", "ben"])), (&USERS_AUDITING, names(&["eve"]))],
            vec![(&USERS_GOVERNING, names(&["ann"])), (&USERS_AUDITING, names(&[]))],
        ),
        ("ACC-2", vec![(&KEYS_USABLE, count(3)), (&KEYS_WITHOUT_USER, count(0))], vec![(&KEYS_WITHOUT_USER, count(1))]),
        ("ACC-3", vec![(&KEYS_USABLE, count(1)), (&KEYS_WITHOUT_END, count(0))], vec![(&KEYS_WITHOUT_END, count(1))]),
        ("ACC-4", vec![(&KEYS_OF_ABSENT, names(&[]))], vec![(&KEYS_OF_ABSENT, names(&["bob"]))]),
        (
            "DAT-1",
            vec![(&NODE_REGION, text("eu-west-1")), (&PLACEMENT_PROBLEMS, names(&[]))],
            vec![(&PLACEMENT_PROBLEMS, names(&["eu-west-1 is not allowed"]))],
        ),
        (
            "DAT-2",
            vec![(&LOGS_DAYS, count(90)), (&DATA_DAYS, count(365)), (&BACKUPS_DAYS, count(30))],
            vec![(&LOGS_DAYS, count(0)), (&DATA_DAYS, count(0)), (&BACKUPS_DAYS, count(0))],
        ),
        ("DAT-3", vec![(&DATA_DAYS_MAX, count(730))], vec![(&DATA_DAYS_MAX, count(0))]),
        ("DAT-4", vec![(&ERASURE_OVERDUE, count(0))], vec![(&ERASURE_OVERDUE, count(2))]),
        (
            "DAT-5",
            vec![(&GUARD_REFUSES, is(true)), (&GUARD_SIGNATURES, is(false)), (&GUARD_TRUST, count(60))],
            vec![(&GUARD_REFUSES, is(false)), (&GUARD_TRUST, count(0))],
        ),
        ("DAT-6", vec![(&CITATIONS_REQUIRED, is(true))], vec![(&CITATIONS_REQUIRED, is(false))]),
        ("DAT-7", vec![(&OUTPUT_PATTERNS, count(1))], vec![(&OUTPUT_PATTERNS, count(0))]),
        ("OPS-1", vec![(&BACKUP_MADE, text("backup 7"))], vec![]),
        ("OPS-2", vec![(&RESTORE_TRIED, text("of backup 7"))], vec![]),
        ("OPS-3", vec![(&LEVEL_KEPT, is(true))], vec![(&LEVEL_KEPT, is(false))]),
    ]
}

fn control(id: &str) -> &'static Control {
    all_controls().find(|control| control.id == id).unwrap()
}

#[test]
fn each_control_passes_fails_and_is_unknown_where_it_should() {
    let table = table();
    assert_eq!(
        table.iter().map(|row| row.0).collect::<BTreeSet<_>>(),
        all_controls().map(|control| control.id).collect()
    );
    for (id, passes, fails) in &table {
        let control = control(id);
        let whole = facts(passes.clone());
        assert_eq!(passes.len(), control.facts.len(), "{id}: a fact is not in the table");
        let passed = assess(control, &whole, NOW);
        assert_eq!((passed.outcome, &passed.to_do), (Outcome::Passed, &None), "{id}: {}", passed.why);
        for (kind, value) in fails {
            let mut otherwise = whole.clone();
            otherwise.note(kind, value.clone(), SOURCE, NOW);
            let failed = assess(control, &otherwise, NOW);
            assert_eq!(failed.outcome, Outcome::Failed, "{id} with {} {value:?}: {}", kind.name, failed.why);
            assert!(!failed.why.is_empty() && failed.to_do.is_some(), "{id}");
        }
        for (kind, value) in passes {
            let mut without = whole.clone();
            without.forget(kind);
            let unknown = assess(control, &without, NOW);
            assert_eq!((unknown.outcome, unknown.why), (Outcome::Unknown, format!("nobody has told {}", kind.name)));
            let mut stale = whole.clone();
            stale.note(kind, value.clone(), SOURCE, NOW - kind.fresh_for_ms - 1);
            let outdated = assess(control, &stale, NOW);
            assert_eq!((outdated.outcome, outdated.why), (Outcome::Unknown, format!("{} is outdated", kind.name)));
            stale.note(kind, value.clone(), SOURCE, NOW - kind.fresh_for_ms);
            assert_eq!(assess(control, &stale, NOW).outcome, Outcome::Passed, "{id}: fresh to the last millisecond");
            let mut ahead = whole.clone();
            ahead.note(kind, value.clone(), SOURCE, NOW + 3_600_000);
            assert_eq!(assess(control, &ahead, NOW).outcome, Outcome::Unknown, "{id}: from the future");
            let mut strange = whole.clone();
            let other = if matches!(value, FactValue::Is(_)) { FactValue::Count(1) } else { FactValue::Is(true) };
            strange.note(kind, other, SOURCE, NOW);
            let is_told_as_it_is = ["AUD-1", "OPS-1", "OPS-2"].contains(id)
                && ["backup", "journal.read_whole"].iter().any(|of| kind.name.starts_with(of));
            let expected = if is_told_as_it_is { Outcome::Passed } else { Outcome::Unknown };
            assert_eq!(assess(control, &strange, NOW).outcome, expected, "{id}: {} of another kind", kind.name);
        }
    }
}

#[test]
fn every_framework_has_controls_and_every_clause_its_form() {
    let ids: BTreeSet<_> = all_controls().map(|control| control.id).collect();
    assert_eq!(ids.len(), all_controls().count(), "an id stands twice");
    for framework in Framework::ALL {
        let of = all_controls().flat_map(|control| control.supports).filter(|(of, _)| *of == framework);
        let clauses: Vec<_> = of.map(|(_, clause)| *clause).collect();
        assert!(clauses.len() >= 10, "{framework:?} has {} clauses", clauses.len());
        let begins: &[&str] = match framework {
            Framework::Hipaa => &["164.3"],
            Framework::Sox => &["Section 302", "Section 404(a): ", "Section 802"],
            Framework::Gdpr => &["Art. "],
            Framework::Soc2 => &["CC", "A1.", "C1.", "PI1."],
            Framework::Iso27001 => &["A.5.", "A.8."],
        };
        assert!(clauses.iter().all(|clause| begins.iter().any(|begin| clause.starts_with(begin))), "{clauses:?}");
    }
    assert!(all_controls().all(|control| (1..=3).contains(&control.weight) && !control.supports.is_empty()));
}

fn subject(regimes: &[&str]) -> Subject {
    Subject {
        tenant: "acme-corp".into(),
        tenant_id: "id".into(),
        regimes: regimes.iter().map(|regime| (*regime).to_owned()).collect(),
        policy_version: "1.2.3".into(),
        region: "us-east-1".into(),
        week: week_of(NOW),
        history: vec![WeekScore {
            week: "2026-W47".into(),
            reported_at: "2026-11-16T00:00:00.000Z".into(),
            sha256: "00".into(),
            score: Score { score_ppm: 500_000, ..Score::default() },
        }],
        checkpoint: Some(Checkpoint {
            tenant_key: "ab".into(),
            size: 12,
            note: "origin\n12\nroot=\n\n— origin signature\n".into(),
            verifier_key: "origin+key".into(),
        }),
    }
}

fn everything() -> Facts {
    facts(table().into_iter().flat_map(|(_, passes, _)| passes).collect())
}

#[test]
fn a_report_holds_what_the_frameworks_ask_for_and_scores_it() {
    let whole = report(subject(&["GDPR", "HIPAA", "PCI-DSS", "GDPR"]), &everything(), NOW);
    let named: Vec<_> = whole.frameworks.iter().map(|one| one.framework).collect();
    assert_eq!(
        (named, whole.not_mapped.clone()),
        (vec![Framework::Hipaa, Framework::Gdpr], vec!["PCI-DSS".to_owned()])
    );
    assert_eq!((whole.score.score_ppm, whole.score.failed, whole.score.unknown), (1_000_000, 0, 0));
    assert!(whole.controls.iter().all(|control| {
        control.supports.iter().any(|clause| [Framework::Hipaa, Framework::Gdpr].contains(&clause.framework))
    }));
    // every control is in scope where no framework is named
    let none = report(subject(&[]), &Facts::default(), NOW);
    assert_eq!((none.controls.len(), none.score.score_ppm), (all_controls().count(), 0));
    assert_eq!(none.score.unknown as usize, none.controls.len());
    let text = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), whole, "it reads back");
    assert!(text.len() < 60_000, "{} bytes", text.len());
}

#[test]
fn weeks_are_those_of_the_calendar() {
    for (unix_ms, week) in [
        (NOW, "2026-W48"),
        (1_798_761_600_000, "2026-W53"), // 1 January 2027 is a Friday
        (1_735_516_799_999, "2024-W52"), // the last moment of Sunday, 29 December 2024
        (1_735_516_800_000, "2025-W01"), // and the Monday after it
        (0, "1970-W01"),
    ] {
        assert_eq!(week_of(unix_ms), week);
        assert!(is_week(week));
    }
    for text in ["", "2026", "2026-W", "2026-W4", "2026-W048", "26-W48", "2026-w48", "../etc-W48", "２０２６-W48"] {
        assert!(!is_week(text), "{text}");
    }
}

#[test]
fn the_same_report_is_the_same_file() {
    let made = report(subject(&["HIPAA", "SOX"]), &everything(), NOW);
    let first = pdf(&made).unwrap();
    assert!(first.starts_with(b"%PDF-1.") && first == pdf(&made).unwrap());
    let other = report(subject(&["HIPAA", "SOX"]), &Facts::default(), NOW);
    assert_ne!(first, pdf(&other).unwrap());
    // letters no typeface has, and a word that fits no line
    let mut odd = made.clone();
    odd.tenant = "テナント".repeat(40);
    odd.checkpoint = None;
    odd.controls[0].why = "w".repeat(2_000);
    assert!(pdf(&odd).is_ok());
}

/// What may be changed in a report, and how that is found.
#[test]
fn a_report_that_says_more_than_its_evidence_is_found() {
    let made = report(subject(&["HIPAA"]), &everything(), NOW);
    let changed = |change: fn(&mut Report)| {
        let mut other = made.clone();
        change(&mut other);
        verified(&other, None).unwrap_err()
    };
    // as far as its controls and scores go it is sound: the checkpoint of this test is signed by nobody
    assert!(matches!(changed(|_| {}), Unsound::Head(_)));
    assert!(matches!(changed(|report| report.checkpoint = None), Unsound::NoCheckpoint));
    assert!(matches!(changed(|report| report.format = "x".into()), Unsound::Format(_)));
    assert!(matches!(changed(|report| report.score.score_ppm = 1), Unsound::Score(_)));
    assert!(matches!(changed(|report| report.frameworks[0].score.passed += 1), Unsound::Score(_)));
    let control = |change: fn(&mut super::report::ControlResult)| {
        let mut other = made.clone();
        change(&mut other.controls[0]);
        matches!(verified(&other, None).unwrap_err(), Unsound::Control(id) if id == other.controls[0].id)
    };
    assert!(control(|one| one.outcome = Outcome::Failed));
    assert!(control(|one| one.weight = 30));
    assert!(control(|one| one.evidence.truncate(1)));
    assert!(control(|one| one.evidence[0].value = Some("AES-128-GCM".into())));
    assert!(control(|one| one.evidence[0].observed_at = Some("2020-01-01T00:00:00.000Z".into())));
    assert!(control(|one| one.supports.clear()));
    assert!(control(|one| one.id = "CRY-9".into()));
}

proptest! {
    /// A fact that comes never lowers a score, and what is scored is what stands in the report.
    #[test]
    fn evidence_never_lowers_a_score(kept in prop::collection::vec(any::<bool>(), 64), added in any::<prop::sample::Index>(), bad in any::<bool>()) {
        let all: Vec<_> = table().into_iter().flat_map(|(_, passes, fails)| {
            passes.into_iter().map(move |(kind, value)| {
                let other = fails.iter().find(|(of, _)| of.name == kind.name).map(|(_, value)| value.clone());
                (kind, value, other)
            })
        }).collect();
        let mut some = Facts::default();
        for ((kind, value, _), _) in all.iter().zip(&kept).filter(|(_, kept)| **kept) {
            some.note(kind, value.clone(), SOURCE, NOW);
        }
        let (kind, good, otherwise) = &all[added.index(all.len())];
        some.forget(kind);
        let before = report(subject(&[]), &some, NOW);
        let value = if bad { otherwise.clone().unwrap_or_else(|| good.clone()) } else { good.clone() };
        some.note(kind, value, SOURCE, NOW);
        let after = report(subject(&[]), &some, NOW);
        prop_assert!(after.score.score_ppm >= before.score.score_ppm, "{}", kind.name);
        prop_assert_eq!(after.score, score(after.controls.iter()));
    }
}
