use super::rules::*;
use super::state::{Plan, State, StateError, exchange, optional};
use bailiwick_policy::parse::FileTexts;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn plan() -> Plan {
    Plan {
        tenant: "default".into(),
        from: "/old".into(),
        begun_at: "2026-11-26T06:00:00Z".into(),
        files: BTreeMap::from([("features.yaml".into(), None)]),
        sources: map(&[]),
    }
}

#[test]
fn an_id_follows_from_place_and_content() {
    let id = document_id("a/b.txt", "00");
    assert_eq!(id, document_id("a/b.txt", "00"));
    assert!(id.starts_with("migrated-") && id.len() == 41);
    let others = [document_id("a/b.txt", "01"), document_id("a/c.txt", "00"), document_id("a/b.txt0", "0")];
    assert!(others.iter().all(|other| *other != id));
}

#[test]
fn what_was_begun_is_sent_again_and_what_was_there_before_is_nobodys() {
    let corpus = map(&[("a", "a.txt"), ("b", "b.txt"), ("c", "c.txt"), ("d", "d.txt")]);
    let mut progress = Progress::of([
        Event::Sending { documents: map(&[("a", "a.txt"), ("b", "b.txt"), ("old", "x.txt")]) },
        Event::Taken { ids: set(&["a"]) },
    ]);
    let there = set(&["a", "b", "c"]);
    let ids = |progress: &Progress| {
        progress.to_send(&corpus, &there).into_iter().map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&progress), ["b", "d"], "b was under way, c is the tenant's own");
    assert_eq!(progress.to_remove(&corpus), set(&["old"]));
    progress.apply(Event::Removed { ids: set(&["a", "old"]) });
    assert_eq!(ids(&progress), ["b", "d"], "there before as far as anybody can tell");
    assert_eq!(progress.to_remove(&corpus), set(&[]));
}

#[test]
fn a_failure_is_forgotten_when_the_file_is_tried_again() {
    let sending = || Event::Sending { documents: map(&[("a", "a.txt")]) };
    let failed = Event::Failed { path: "a.txt".into(), problem: "broken".into() };
    let mut progress = Progress::of([sending(), failed]);
    assert_eq!(progress.failed, map(&[("a.txt", "broken")]));
    progress.apply(sending());
    assert_eq!(progress.failed, map(&[]));
}

#[test]
fn each_stage_allows_what_it_may() {
    let sending = || Event::Sending { documents: map(&[]) };
    for (events, stage, on, back, confirmed) in [
        (vec![], Stage::Planned, true, true, false),
        (vec![Event::Placing { files: BTreeMap::new() }], Stage::Moving, true, true, false),
        (vec![Event::Complete], Stage::Complete, true, true, true),
        (vec![Event::Complete, sending()], Stage::Moving, true, true, false),
        (vec![Event::Complete, Event::Confirmed], Stage::Confirmed, false, false, true),
        (vec![Event::Complete, Event::Leaving], Stage::Leaving, false, true, false),
        (vec![Event::Leaving, Event::Placing { files: BTreeMap::new() }], Stage::Leaving, false, true, false),
        (vec![Event::Leaving, Event::Left], Stage::Left, false, false, false),
    ] {
        let progress = Progress::of(events.clone());
        let may = (progress.may_go_on().is_ok(), progress.may_go_back().is_ok(), progress.may_be_confirmed().is_ok());
        assert_eq!((progress.stage, may), (stage, (on, back, confirmed)), "{events:?}");
    }
}

#[test]
fn a_file_is_exchanged_once_and_never_over_somebody_elses() {
    let swap = Swap { from: Some("a".into()), to: Some("b".into()) };
    let new = Swap { from: None, to: Some("b".into()) };
    for (swap, now, placing) in [
        (&swap, Some("a"), Placing::Exchange),
        (&swap, Some("b"), Placing::Done),
        (&swap, Some("c"), Placing::Changed),
        (&swap, None, Placing::Changed),
        (&new, None, Placing::Exchange),
        (&new, Some("b"), Placing::Done),
        (&new, Some("a"), Placing::Changed),
    ] {
        assert_eq!(swap.placing(now), placing, "{swap:?} {now:?}");
    }
}

#[test]
fn what_is_noted_is_there_again_and_half_a_line_is_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(State::is_absent(folder.path(), "default"));
    let mut state = State::open(folder.path(), "default").unwrap();
    assert!(state.note(Event::Complete).is_err(), "nothing was begun");
    state.begin(plan(), &FileTexts::from([("policies/a.yaml".into(), "x".into())])).unwrap();
    assert!(matches!(State::open(folder.path(), "default"), Err(StateError::Busy)));
    let events = [
        Event::Placing { files: BTreeMap::from([("f".into(), Swap { from: None, to: Some("d".into()) })]) },
        Event::Placed,
        Event::Sending { documents: map(&[("a", "a.txt")]) },
        Event::Taken { ids: set(&["a"]) },
        Event::Failed { path: "b".into(), problem: "p".into() },
        Event::Lineage { file_sha256: "ab".into(), bytes: 7 },
        Event::Imported { to: 3, lines: 2 },
        Event::Removed { ids: set(&["z"]) },
        Event::Complete,
    ];
    for event in events.clone() {
        state.note(event).unwrap();
    }
    let progress = state.progress().clone();
    assert_eq!(progress, Progress::of(events));
    let log = state.folder().join("progress.jsonl");
    drop(state);
    let whole = std::fs::read(&log).unwrap();
    let mut file = std::fs::File::options().append(true).open(&log).unwrap();
    file.write_all(br#"{"event":"confir"#).unwrap();
    let state = State::open(folder.path(), "default").unwrap();
    assert_eq!((state.progress(), state.plan()), (&progress, Some(&plan())));
    assert_eq!(std::fs::read(&log).unwrap(), whole);
    assert_eq!(optional(&state.folder().join("after/default/policies/a.yaml")).unwrap().unwrap(), "x");
    drop(state);
    std::fs::write(&log, "{\"event\":\"nothing\"}\n").unwrap();
    assert!(matches!(State::open(folder.path(), "default"), Err(StateError::Damaged { .. })));
}

#[test]
fn beginning_anew_leaves_nothing_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = State::open(folder.path(), "default").unwrap();
    state.begin(plan(), &FileTexts::from([("old.yaml".into(), "x".into())])).unwrap();
    state.keep_before(&FileTexts::from([("old.yaml".into(), "x".into())])).unwrap();
    state.note(Event::Left).unwrap();
    state.begin(plan(), &FileTexts::new()).unwrap();
    assert_eq!(state.progress(), &Progress::default());
    assert_eq!(state.before("old.yaml").unwrap(), None);
    assert!(!state.folder().join("after/default/old.yaml").exists());
}

#[test]
fn a_file_is_exchanged_whole_or_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies/a.yaml");
    exchange(&path, Some("one")).unwrap();
    exchange(&path, Some("two")).unwrap();
    assert_eq!(optional(&path).unwrap().unwrap(), "two");
    exchange(&path, None).unwrap();
    exchange(&path, None).unwrap();
    assert_eq!(optional(&path).unwrap(), None);
}
