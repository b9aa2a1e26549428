use super::messages::{Candidate, Passed};
use super::rules::{entries, former, is_new, pass};
use crate::registry::entry::Entry;
use crate::registry::fixtures::{ACME, NOW, record, signed_folder, signer, sound_of};
use crate::registry::releases::{Release, Releases};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::compile::{GOVERNANCE, PolicySnapshot, ROUTER};
use bailiwick_policy::parse::FileTexts;
use std::sync::Arc;

const ROLLOUT: (&str, &str) = ("settings:\n", "settings:\n  rollout: { stage_minutes: 1 }\n");

/// The files of a tenant with texts of them replaced, signed again.
fn files(changes: &[(&str, &str, &str)]) -> FileTexts {
    let mut texts = signed_folder(&record("acme", ACME));
    for (file, from, to) in changes {
        let text = texts.get_mut(*file).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}:\n{text}");
        *text = text.replacen(from, to, 1);
    }
    signer().sign_folder("acme", &[], &mut texts).unwrap();
    texts
}

fn candidate(texts: FileTexts, releases: &Releases) -> Candidate {
    let sound = sound_of("acme", texts);
    Candidate {
        policy: sound.policy,
        texts: sound.texts,
        committed: None,
        releases: releases.clone(),
        in_force: None,
        is_frozen: false,
        golden: sound.golden,
        rehearse: None,
    }
}

/// What came through first: a release that asks for stages, or one that does not.
fn settled(has_stages: bool) -> (Arc<PolicySnapshot>, Releases) {
    let first = files(if has_stages { &[(GOVERNANCE, ROLLOUT.0, ROLLOUT.1)] } else { &[] });
    let policy = sound_of("acme", first).policy;
    let mut releases = Releases::default();
    releases.committed(named(policy.release.clone(), policy.version.clone()), false);
    (policy, releases)
}

fn named(release: String, version: String) -> Release {
    Release { release, version, committed_at: String::new(), rehearsal: None }
}

fn is_staged(passed: &Passed) -> Option<bool> {
    passed.entries.iter().find_map(|entry| match entry {
        Entry::ReleaseCommitted { is_staged, .. } => Some(*is_staged),
        _ => None,
    })
}

#[test]
fn the_first_release_is_everybodys() {
    let first = candidate(files(&[(GOVERNANCE, ROLLOUT.0, ROLLOUT.1)]), &Releases::default());
    assert_eq!(former(&first), None);
    let written = entries(&first, NOW).unwrap();
    assert!(matches!(written.as_slice(), [Entry::PolicyCommitted { .. }]));
    let passed = pass(&first, written, None, None, NOW);
    assert_eq!((is_staged(&passed), passed.entries.len()), (Some(false), 2));
    assert!(is_new(&first) && passed.policy.control.is_none());
}

#[test]
fn who_signed_nothing_passes_nothing() {
    let mut texts = files(&[]);
    texts.get_mut(GOVERNANCE).unwrap().push_str("\n# a word\n");
    let rejection = entries(&candidate(texts, &Releases::default()), NOW).unwrap_err();
    assert_eq!(rejection.code, Code::PolicyDenied);
    assert!(rejection.detail.contains("governance.yaml.sig"), "{}", rejection.detail);
}

#[test]
fn a_release_goes_in_stages_where_the_one_before_asks_for_it() {
    let other_model = (ROUTER, "sentences", "paragraphs");
    for (has_stages, changes, staged) in [
        (true, vec![(GOVERNANCE, ROLLOUT.0, ROLLOUT.1), other_model], true),
        (true, vec![other_model], true), // which lets go of stages, too: only after it has come through
        (false, vec![(GOVERNANCE, ROLLOUT.0, ROLLOUT.1), other_model], false),
        (false, vec![other_model], false),
        (true, vec![(GOVERNANCE, ROLLOUT.0, "settings:\n  rollout: { stage_minutes: 2 }\n")], false), // nobody notices
    ] {
        let (before, releases) = settled(has_stages);
        let next = candidate(files(&changes), &releases);
        assert_eq!(former(&next), Some(before.release.as_str()));
        let passed = pass(&next, Vec::new(), Some(Arc::clone(&before)), None, NOW);
        assert_eq!(is_staged(&passed), Some(staged), "{changes:?}");
        assert_eq!(passed.policy.control.is_some(), staged, "{changes:?}");
        assert_eq!(
            passed.policy.settled().router.routing == before.router.routing,
            staged || !changes.contains(&other_model)
        );
    }
}

#[test]
fn what_is_on_its_way_or_was_sent_back_stays_so_whatever_else_changes() {
    let changes = [(GOVERNANCE, ROLLOUT.0, ROLLOUT.1), (ROUTER, "sentences", "paragraphs")];
    let (before, mut releases) = settled(true);
    let first = candidate(files(&changes), &releases);
    let release = first.policy.release.clone();
    releases.committed(named(release.clone(), String::new()), true);
    for sent_back in [false, true] {
        if sent_back {
            releases.ended(&release, false);
        }
        let again = candidate(files(&changes), &releases);
        assert_eq!(former(&again), Some(before.release.as_str()));
        let passed = pass(&again, Vec::new(), Some(Arc::clone(&before)), None, NOW);
        assert!(!is_new(&again) && passed.entries.is_empty(), "{:?}", passed.entries);
        assert!(passed.policy.is_same_as(&again.policy.in_stages(&before)));
    }
    releases.committed(named(release, String::new()), false);
    assert_eq!(former(&candidate(files(&changes), &releases)), None, "everybody has it");
}

#[test]
fn going_back_by_hand_is_a_release_for_everybody_at_once() {
    let (before, mut releases) = settled(true);
    releases.committed(named("on its way".to_owned(), String::new()), true);
    let back = candidate(files(&[(GOVERNANCE, ROLLOUT.0, ROLLOUT.1)]), &releases);
    assert_eq!((former(&back), back.policy.release == before.release), (None, true));
    let passed = pass(&back, Vec::new(), None, None, NOW);
    assert_eq!(is_staged(&passed), Some(false));
}
