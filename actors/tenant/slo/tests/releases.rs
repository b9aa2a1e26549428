//! The freeze: begun and ended by the budget, overridden by two people, the same after every replay.
use crate::entry::Entry;
use crate::service_level::rules::Ended;
use crate::slo::SharedService;
use crate::slo::budget::{Events, Status};
use crate::slo::rules::{OVERRIDE_WAITS_MS, OverrideWish, Releases, ServiceRecord};
use crate::slo::windows::Tally;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::schema::Objectives;

const NOW: u64 = 1_760_000_000_000;
const MINUTE_MS: u64 = 60_000;
const ALLOWED: u64 = 1_000;

fn objectives(availability: f64) -> Objectives {
    Objectives { availability, p95_latency_ms: 100, error_rate_max: 0.01, cost_per_1k_qa_usd: NanoUsd(1) }
}

fn person(user: Option<&str>, key: &str, role: Option<Role>) -> Principal {
    let (key_id, user_id) = (key.to_owned(), user.map(str::to_owned));
    Principal { key_id, user_id, role, attributes: std::collections::BTreeMap::new() }
}

fn wish(minutes: u64, reason: &str) -> OverrideWish {
    OverrideWish { for_ms: minutes * MINUTE_MS, reason: reason.to_owned() }
}

/// Events of a day, of which so many have failed.
fn events(bad: u64) -> Events {
    let mut events = Events::default();
    events.note(Tally { good: 0, bad: 0 }, NOW - 24 * 60 * MINUTE_MS);
    events.note(Tally { good: 10_000 - bad, bad }, NOW - 24 * 60 * MINUTE_MS);
    events
}

fn frozen() -> Releases {
    let mut releases = Releases::default();
    let entry = releases.judge(events(400).budget(ALLOWED, NOW), NOW).expect("it is used up");
    releases.apply(&entry);
    releases
}

#[test]
fn a_freeze_begins_when_the_budget_is_used_up_and_ends_when_a_tenth_is_left() {
    let mut releases = Releases::default();
    assert_eq!(releases.judge(events(100).budget(ALLOWED, NOW), NOW), None);
    releases = frozen();
    assert!(releases.is_frozen(NOW));
    // 2.7 to 3 percent of a day are 90 to 100 percent of the minutes of a month
    assert_eq!(releases.judge(events(290).budget(ALLOWED, NOW), NOW), None, "at the edge it stays");
    let thawed = releases.judge(events(260).budget(ALLOWED, NOW), NOW).unwrap();
    assert_eq!(thawed, Entry::ReleasesThawed { at_unix_ms: NOW });
    releases.apply(&thawed);
    assert!(!releases.is_frozen(NOW) && releases.frozen().is_none());
}

#[test]
fn a_looser_objective_ends_no_freeze_and_a_stricter_one_counts() {
    let releases = frozen();
    assert_eq!(events(400).budget(100_000, NOW).status(), Some(Status::Healthy));
    assert_eq!(releases.judge(events(400).budget(100_000, NOW), NOW), None);
    assert_eq!(releases.judge(events(100).budget(10, NOW), NOW), None);
    assert!(releases.judge(events(100).budget(100_000, NOW), NOW).is_some());
}

#[test]
fn two_people_who_say_the_same_override_it_for_a_time() {
    let mut releases = frozen();
    let (dana, eve) = (person(Some("dana"), "k1", Some(Role::Owner)), person(Some("eve"), "k2", Some(Role::Admin)));
    let asked = releases.say(wish(30, "fix the fix"), &dana, NOW).unwrap();
    assert!(matches!(asked, Entry::OverrideAsked(_)));
    releases.apply(&asked);
    assert!(releases.is_frozen(NOW), "one word is none");
    let code = |releases: &Releases, wish, by: &Principal, now| releases.say(wish, by, now).unwrap_err().code;
    for (by, why) in [
        (&dana, "the same person"),
        (&person(Some("dana"), "k3", Some(Role::Owner)), "the same person by another key"),
        (&person(Some("eve"), "k1", Some(Role::Owner)), "another name on the same key"),
        (&person(None, "k4", Some(Role::Owner)), "a key of nobody"),
        (&person(Some("root"), "k5", None), "the platform's operator"),
    ] {
        assert_eq!(code(&releases, wish(30, "fix the fix"), by, NOW), Code::Forbidden, "{why}");
    }
    // other words, or too late, are a wish of their own
    for (other, now) in [
        (wish(31, "fix the fix"), NOW),
        (wish(30, "fix the fix."), NOW),
        (wish(30, "fix the fix"), NOW + OVERRIDE_WAITS_MS),
    ] {
        assert!(matches!(releases.say(other, &eve, now).unwrap(), Entry::OverrideAsked(_)));
    }
    let agreed = releases.say(wish(30, "fix the fix"), &eve, NOW + MINUTE_MS).unwrap();
    releases.apply(&agreed);
    assert!(!releases.is_frozen(NOW + 31 * MINUTE_MS - 1) && releases.is_frozen(NOW + 31 * MINUTE_MS));
    assert_eq!(code(&releases, wish(1, "more"), &eve, NOW + 2 * MINUTE_MS), Code::Conflict, "it is in force");
    let view = releases.view(NOW + 2 * MINUTE_MS);
    assert_eq!(view.overridden.unwrap().by, ["dana", "eve"]);
    assert!(!view.frozen && view.frozen_since.is_some() && view.asked.is_none());
    // the next freeze knows nothing of it
    releases.apply(&Entry::ReleasesThawed { at_unix_ms: NOW });
    let again = releases.judge(events(400).budget(ALLOWED, NOW), NOW).unwrap();
    releases.apply(&again);
    assert!(releases.is_frozen(NOW));
    assert_eq!(code(&Releases::default(), wish(1, "no"), &dana, NOW), Code::Conflict, "nothing is frozen");
}

#[test]
fn the_very_turn_that_uses_the_budget_up_freezes_releases() {
    let service = SharedService::new(&objectives(0.999));
    service.follow(&ServiceRecord::default(), NOW);
    let mut now = NOW;
    while !service.is_frozen(now) {
        assert!(now < NOW + 24 * 60 * MINUTE_MS, "it never froze");
        now += MINUTE_MS / 10;
        let noted = service.note(Ended::Failed, now);
        let is_used_up = service.view(now).error_budget.status == Some(Status::Exhausted);
        assert_eq!(noted.releases.is_some_and(|frozen| frozen.is_some()), is_used_up, "{}", now - NOW);
        assert_eq!(service.is_frozen(now), is_used_up, "{}", now - NOW);
    }
    let owed = service.take_owed(now);
    assert!(owed.iter().any(|entry| matches!(entry, Entry::ReleasesFrozen(_))), "to be written at once: {owed:?}");
}

#[test]
fn what_is_owed_makes_the_next_process_know_the_same() {
    let service = SharedService::new(&objectives(0.999));
    service.follow(&ServiceRecord::default(), NOW);
    let mut record = ServiceRecord::default();
    let fold = |record: &mut ServiceRecord, entries: Vec<Entry>| entries.iter().for_each(|entry| record.apply(entry));
    let (mut now, mut written, mut minutes) = (NOW, 0, 0);
    while !service.is_frozen(now) {
        now += MINUTE_MS;
        minutes += 1;
        for _ in 0..100 {
            let noted = service.note(Ended::Failed, now);
            if let Some(frozen) = noted.releases {
                assert!(frozen.is_some() && noted.is_owed);
            }
        }
        let owed = service.take_owed(now);
        written += owed.len();
        fold(&mut record, owed);
        assert!(minutes < 60, "it never froze");
    }
    assert!(written <= minutes + 1, "{written} records in {minutes} minutes of 100 events");
    fold(&mut record, service.take_owed(now));
    let next = SharedService::new(&objectives(0.999));
    next.follow(&record, now);
    assert!(next.is_frozen(now), "killed right after it froze");
    assert_eq!(next.pass(now).releases, None, "and the counts it follows from are there as well");
    // what could not be written is owed again, in the same order
    service.note(Ended::Failed, now);
    let all = service.take_all();
    assert_eq!(all.len(), 1);
    service.give_back(all.clone());
    assert_eq!(service.take_all(), all);
    // before the journal was read nothing is decided
    let unread = SharedService::new(&objectives(0.999));
    for at in 0..60 {
        unread.note(Ended::Failed, NOW + at * MINUTE_MS);
    }
    assert!(!unread.is_frozen(NOW + 60 * MINUTE_MS));
    unread.follow(&ServiceRecord::default(), NOW + 60 * MINUTE_MS);
    assert!(unread.pass(NOW + 60 * MINUTE_MS).releases.is_some(), "what was counted meanwhile counts");
}
