use super::*;
use crate::schema::Sovereignty;
use proptest::prelude::*;

const DAY: u64 = 86_400_000;

fn ground(kind: GroundKind, name: &str) -> Ground {
    Ground { kind, name: name.into(), basis: format!("basis of {name}") }
}

fn minimum(data_type: DataType, days: u32) -> Minimum {
    Minimum { data_type, days, ground: ground(GroundKind::Minimum, "min") }
}

fn maximum(days: u32) -> Maximum {
    Maximum { data_type: DataType::Data, days, ground: ground(GroundKind::Maximum, "max") }
}

fn documents(patterns: &[&str]) -> Selects {
    Selects { documents: patterns.iter().map(ToString::to_string).collect(), ..Selects::default() }
}

fn hold(name: &str, pattern: &str, since: u64, released: Option<u64>) -> Hold {
    let ground = ground(GroundKind::Hold, name);
    Hold { selects: documents(&[pattern]), since_unix_ms: since, released_unix_ms: released, ground }
}

fn request(name: &str, pattern: &str, made: u64, within_days: u32) -> Request {
    let ground = ground(GroundKind::Request, name);
    Request { selects: documents(&[pattern]), made_unix_ms: made, within_days, ground }
}

fn rules(days: u32) -> Rules {
    Rules { minimums: vec![minimum(DataType::Data, days)], ..Rules::default() }
}

fn record(id: &str, stored_unix_ms: u64) -> Record<'_> {
    Record { id, data_type: "data", domain: "general", subjects: &[], stored_unix_ms }
}

/// A decision in few words, with the next instant.
fn said(rules: &Rules, record: &Record<'_>, now: u64) -> (String, Option<u64>) {
    let names = |because: &[&Ground]| because.iter().map(|ground| ground.name.clone()).collect::<Vec<_>>().join("+");
    let kept = |keep: &Side<'_, End>| match keep.at {
        End::At(end) => format!("until {end} {}", names(&keep.because)),
        End::Open => format!("open {}", names(&keep.because)),
    };
    let gone = |erase: &Side<'_, u64>| format!("by {} {}", erase.at, names(&erase.because));
    let verdict = rules.verdict(record, now).unwrap();
    let words = match verdict.decision() {
        Decision::Keep(keep) => format!("keep {}", kept(keep)),
        Decision::MayErase { by } => by.as_ref().map_or("may".into(), |by| format!("may {}", gone(by))),
        Decision::MustErase(erase) => format!("must {}", gone(erase)),
        Decision::Conflict { keep, erase } => format!("conflict {} {}", kept(keep), gone(erase)),
    };
    // only what nothing keeps can be erased, and only what has to go is due
    assert_eq!(verdict.leave().is_ok(), words.starts_with('m'), "{words}");
    assert_eq!(verdict.due().is_some(), words.starts_with("must"), "{words}");
    (words, verdict.next_unix_ms())
}

fn says(rules: &Rules, now: u64, words: &str, next: Option<u64>) {
    assert_eq!(said(rules, &record("a", 10 * DAY), now), (words.to_owned(), next), "at {now}");
}

#[test]
fn the_latest_minimum_keeps_to_the_millisecond() {
    let mut rules = rules(3);
    rules.minimums.push(minimum(DataType::Data, 5));
    rules.minimums.push(minimum(DataType::Logs, 9));
    let end = 15 * DAY;
    says(&rules, 10 * DAY, &format!("keep until {end} min"), Some(end));
    says(&rules, end - 1, &format!("keep until {end} min"), Some(end));
    says(&rules, end, "may", None);
    says(&rules, 0, &format!("keep until {end} min"), Some(end));
}

#[test]
fn no_days_keep_nothing_whatever_the_clock_does() {
    says(&rules(0), 10 * DAY, "may", None);
    says(&rules(0), 0, "may", None);
}

#[test]
fn an_unknown_type_stays_and_so_does_one_without_a_minimum() {
    let rules = rules(0);
    for data_type in ["", "Data", "datas", "prompts", "logs", "backups"] {
        let refused = rules.verdict(&Record { data_type, ..record("a", 0) }, u64::MAX).unwrap_err();
        assert_eq!(refused, UnknownType(data_type.into()));
        assert_eq!(refused.to_string(), format!("no retention is set for data of type {data_type:?}: it stays"));
    }
}

#[test]
fn a_hold_keeps_from_its_beginning_until_it_is_released() {
    let mut rules = rules(0);
    rules.holds.push(hold("h", "a", 20 * DAY, Some(30 * DAY)));
    says(&rules, 20 * DAY - 1, "may", Some(20 * DAY));
    says(&rules, 20 * DAY, &format!("keep until {} h", 30 * DAY), Some(30 * DAY));
    says(&rules, 30 * DAY - 1, &format!("keep until {} h", 30 * DAY), Some(30 * DAY));
    says(&rules, 30 * DAY, "may", None);
    rules.holds[0].released_unix_ms = None;
    says(&rules, u64::MAX, "keep open h", None);
}

#[test]
fn the_end_that_is_open_is_the_latest_and_every_hold_without_end_is_named() {
    let mut rules = rules(400);
    rules.holds = vec![hold("h", "a", 0, None), hold("i", "a*", 0, None), hold("j", "a", 0, Some(90 * DAY))];
    says(&rules, 11 * DAY, "keep open h+i", None);
    let refused = rules.verdict(&record("a", 0), 1).unwrap().leave().unwrap_err();
    assert_eq!(refused, "it is kept by legal hold h (basis of h) and legal hold i (basis of i) until that is released");
}

#[test]
fn the_earliest_maximum_or_request_ends_it() {
    let mut rules = rules(0);
    rules.maximums = vec![maximum(50), maximum(40)];
    let end = 50 * DAY;
    says(&rules, 11 * DAY, &format!("may by {end} max"), Some(end));
    says(&rules, end - 1, &format!("may by {end} max"), Some(end));
    says(&rules, end, &format!("must by {end} max"), None);
    rules.requests.push(request("r", "a", 20 * DAY, 7));
    says(&rules, 20 * DAY - 1, &format!("may by {end} max"), Some(20 * DAY));
    says(&rules, 20 * DAY, &format!("must by {} r", 27 * DAY), None);
    // due because it was asked for, by the day the maximum says
    rules.requests[0].within_days = 100;
    says(&rules, 20 * DAY, &format!("must by {end} max"), None);
}

#[test]
fn a_request_is_about_what_was_stored_by_then() {
    let mut rules = rules(0);
    rules.requests.push(request("r", "*", 10 * DAY, 1));
    assert_eq!(said(&rules, &record("a", 10 * DAY), 12 * DAY).0, format!("must by {} r", 11 * DAY));
    assert_eq!(said(&rules, &record("a", 10 * DAY + 1), 12 * DAY).0, "may");
}

#[test]
fn a_conflict_names_both_sides_and_becomes_an_erasure_when_what_keeps_it_ends() {
    let mut rules = rules(5);
    rules.maximums.push(maximum(20));
    rules.holds.push(hold("h", "a", 12 * DAY, None));
    let by = 30 * DAY;
    says(&rules, 11 * DAY, &format!("keep until {} min", 15 * DAY), Some(12 * DAY));
    says(&rules, 12 * DAY, &format!("conflict open h by {by} max"), None);
    says(&rules, 90 * DAY, &format!("conflict open h by {by} max"), None);
    let refused = rules.verdict(&record("a", 10 * DAY), 90 * DAY).unwrap().leave().unwrap_err();
    assert_eq!(
        refused,
        "it is kept by legal hold h (basis of h) until that is released, though it has to be gone by \
         1970-01-31T00:00:00.000Z for max (basis of max)"
    );
    // released: the same question has another answer, at that instant and without anybody asking
    rules.holds[0].released_unix_ms = Some(91 * DAY);
    says(&rules, 90 * DAY, &format!("conflict until {} h by {by} max", 91 * DAY), Some(91 * DAY));
    says(&rules, 91 * DAY, &format!("must by {by} max"), None);
    // released in time: it stays as long as it would have
    rules.holds[0].released_unix_ms = Some(13 * DAY);
    says(&rules, 13 * DAY, &format!("keep until {} min", 15 * DAY), Some(15 * DAY));
    says(&rules, 15 * DAY, &format!("may by {by} max"), Some(by));
}

#[test]
fn a_request_below_a_minimum_is_a_conflict_until_the_minimum_ends() {
    let mut rules = rules(30);
    rules.requests.push(request("r", "a", 11 * DAY, 1));
    let words = format!("conflict until {} min by {} r", 40 * DAY, 12 * DAY);
    says(&rules, 11 * DAY, &words, Some(40 * DAY));
    says(&rules, 40 * DAY, &format!("must by {} r", 12 * DAY), None);
    // due on the very instant its keeping ends: nothing contradicts
    rules.requests[0].within_days = 29;
    says(&rules, 11 * DAY, &format!("keep until {} min", 40 * DAY), Some(40 * DAY));
}

#[test]
fn what_is_selected_is_decided_record_by_record() {
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let subjects = names(&["user-1", "user-2"]);
    let one = Record { subjects: &subjects, ..record("contract-7", 0) };
    for (documents, domains, of, is_selected) in [
        (&["contract-7"][..], &[][..], &[][..], true),
        (&["contract-*"], &[], &[], true),
        (&["*"], &[], &[], true),
        (&["contract"], &[], &[], false),
        (&["contract-70", "contract-77*"], &[], &[], false),
        (&[], &["general"], &[], true),
        (&[], &["gen*", "gen", "finance"], &[], false),
        (&[], &[], &["user-2"], true),
        (&[], &[], &["user-*", "user-"], false),
        (&["x"], &["finance"], &["user-1"], true),
        (&[], &[], &[], false),
    ] {
        let selects = Selects { documents: names(documents), domains: names(domains), subjects: names(of) };
        assert_eq!(selects.has(&one), is_selected, "{selects:?}");
    }
    let mut rules = rules(0);
    rules.holds.push(hold("h", "contract-*", 0, None));
    assert_eq!(said(&rules, &one, 1).0, "keep open h");
    assert_eq!(said(&rules, &record("memo-7", 0), 1).0, "may", "a hold on one record holds no other");
}

#[test]
fn times_saturate() {
    let mut rules = rules(u32::MAX);
    rules.maximums.push(maximum(u32::MAX));
    rules.requests.push(request("r", "a", u64::MAX, u32::MAX));
    let late = record("a", u64::MAX - 5);
    assert_eq!(said(&rules, &late, u64::MAX - 1), (format!("keep until {} min", u64::MAX), Some(u64::MAX)));
    assert_eq!(said(&rules, &late, u64::MAX), (format!("must by {} max+r", u64::MAX), None));
}

#[test]
fn a_hold_is_on_an_object_while_it_is_in_force() {
    let mut rules = rules(400);
    rules.holds = vec![hold("h", "b", 0, None), hold("i", "a", 20 * DAY, Some(30 * DAY)), hold("j", "a", 0, Some(5))];
    let name = |now| rules.hold_on(&record("a", 0), now).map(|hold| hold.ground.name.as_str());
    assert_eq!([name(4), name(5), name(20 * DAY - 1)], [Some("j"), None, None]);
    assert_eq!([name(20 * DAY), name(30 * DAY - 1), name(30 * DAY)], [Some("i"), Some("i"), None]);
}

#[test]
fn what_has_to_go_is_due_when_the_last_that_keeps_it_ends() {
    let due = |rules: &Rules, now| rules.due_unix_ms(&record("a", 10 * DAY), now).unwrap();
    let mut rules = rules(5);
    assert!(!rules.end_anything());
    assert_eq!(due(&rules, 0), None, "nothing says that it has to go");
    rules.maximums.push(maximum(20));
    assert!(rules.end_anything());
    assert_eq!(due(&rules, 0), Some(30 * DAY));
    assert_eq!(due(&rules, 33 * DAY), Some(33 * DAY), "now, when it is overdue");
    rules.holds = vec![hold("h", "a", 29 * DAY, Some(40 * DAY)), hold("i", "a", 35 * DAY, Some(50 * DAY))];
    assert_eq!(due(&rules, 0), Some(50 * DAY));
    rules.holds.push(hold("j", "a", 45 * DAY, None));
    assert_eq!(due(&rules, 0), None, "until somebody releases it");
    rules.holds.clear();
    rules.requests.push(request("r", "a", 12 * DAY, 30));
    assert_eq!(due(&rules, 11 * DAY), Some(15 * DAY), "asked for, and kept by the minimum up to then");
    assert!(rules.due_unix_ms(&Record { data_type: "prompts", ..record("a", 0) }, 0).is_err());
    assert!(Rules { requests: rules.requests, ..Rules::default() }.end_anything());
}

#[test]
fn what_may_still_come_is_due_no_earlier() {
    let mut rules = rules(5);
    assert_eq!(rules.newcomer_due_unix_ms("data", 7), None);
    rules.maximums = vec![maximum(20), maximum(30)];
    rules.holds = vec![hold("h", "a*", 0, None)];
    assert_eq!(rules.newcomer_due_unix_ms("data", 7), Some(7 + 20 * DAY));
    assert_eq!(rules.newcomer_due_unix_ms("logs", 7), None);
    rules.holds.push(hold("i", "*", 0, None));
    assert_eq!(rules.newcomer_due_unix_ms("data", 7), None, "everything is held, whatever comes");
}

fn written(compliance: &[&str], data_days_max: Option<u32>) -> Sovereignty {
    serde_json::from_value(serde_json::json!({
        "region": "eu-west-1", "allowed_regions": ["eu-*"], "compliance": compliance,
        "retention": {"logs_days": 90, "data_days": 7, "data_days_max": data_days_max, "backups_days": 2555},
        "encryption": {"at_rest": "AES-256", "in_transit": "TLS-1.3"},
    }))
    .unwrap()
}

#[test]
fn the_files_say_how_long_each_type_is_kept() {
    let rules = Rules::of(&written(&[], None), &[]);
    for (data_type, days) in [("logs", 90), ("data", 7), ("backups", 2555)] {
        let record = Record { data_type, ..record("a", 3) };
        let kept = rules.verdict(&record, 3 + days * DAY - 1).unwrap().leave().unwrap_err();
        assert!(kept.contains(&format!("by {data_type}_days (data-sovereignty.yaml asks for {days} days)")), "{kept}");
        assert_eq!(rules.verdict(&record, 3 + days * DAY).unwrap().leave().unwrap().id(), "a");
    }
    // the regime's word stands beside the file's, for the day somebody lowers that
    let rules = Rules::of(&written(&["GDPR", "PCI-DSS"], None), &[]);
    let verdict = rules.verdict(&Record { data_type: "logs", ..record("a", 0) }, 364 * DAY);
    assert!(verdict.unwrap().leave().unwrap_err().contains("PCI-DSS (requirement 10.5.1"));
}

#[test]
fn a_maximum_is_of_documents_alone() {
    let rules = Rules::of(&written(&[], Some(9)), &[]);
    assert_eq!(said(&rules, &record("a", 0), 8 * DAY).0, format!("may by {} data_days_max", 9 * DAY));
    assert_eq!(rules.verdict(&record("a", 0), 9 * DAY).unwrap().due().unwrap().id(), "a");
    for data_type in ["logs", "backups"] {
        assert_eq!(said(&rules, &Record { data_type, ..record("a", 0) }, 9_000 * DAY).0, "may");
    }
}

#[test]
fn a_hold_is_read_as_it_is_written() {
    let mut written = LegalHold {
        id: "case-7".into(),
        basis: "litigation".into(),
        selects: documents(&["a"]),
        since: "1970-01-02T01:00:00+01:00".into(),
        released: Some("1970-01-03T00:00:00Z".into()),
    };
    let read = |written: &LegalHold| {
        let hold = written.as_rule();
        (hold.since_unix_ms, hold.released_unix_ms)
    };
    assert_eq!(read(&written), (DAY, Some(2 * DAY)));
    written.since = "1960-01-01T00:00:00Z".into();
    written.released = None;
    assert_eq!(read(&written), (0, None));
    // the check refuses these; if one came through all the same, it would keep more and not less
    written.since = "soon".into();
    written.released = Some("later".into());
    assert_eq!(read(&written), (0, None));
}

proptest! {
    #[test]
    fn what_is_held_without_end_is_never_erased(
        stored: u64, since: u64, now: u64, days in 0_u32..10_000, most in 0_u32..10_000, made: u64,
    ) {
        let mut rules = rules(days);
        rules.maximums.push(maximum(most));
        rules.requests.push(request("r", "*", made, most));
        rules.holds.push(hold("h", "a", since, None));
        let verdict = rules.verdict(&record("a", stored), now).unwrap();
        prop_assert!(now < since || verdict.leave().is_err());
        prop_assert!(verdict.next_unix_ms().is_none_or(|next| next > now));
    }
}
