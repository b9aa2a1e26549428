use super::tests::{changed, errors};
use super::*;

/// The acme folder with these legal holds.
fn held(holds: &str) -> FileTexts {
    changed(GOVERNANCE, "settings:\n", &format!("settings:\n  legal_holds:\n{holds}"))
}

const CASE: &str = "    - id: case-7\n      basis: Smith v. Acme, order of 2026-01-05\n      selects: {documents: [contract-*], domains: [finance]}\n      \
                    since: \"2026-01-05T00:00:00Z\"\n";

#[test]
fn legal_holds_are_read_and_part_of_the_retention() {
    let policy = compile("acme-corp", &held(CASE), &Guardrails::none()).unwrap();
    assert_eq!(policy.warnings, []);
    let rules = policy.retention();
    assert_eq!(rules.holds.len(), 1);
    assert_eq!(rules.holds[0].since_unix_ms, 1_767_571_200_000);
    assert_eq!((rules.holds[0].released_unix_ms, rules.holds[0].ground.name.as_str()), (None, "case-7"));
}

#[test]
fn a_legal_hold_that_would_hold_nothing_is_refused_where_it_stands() {
    let twice = format!("{CASE}{CASE}");
    let many = CASE.repeat(65);
    let names = format!("documents: [{}]", vec!["x"; 257].join(", "));
    for (from, to, words) in [
        ("", "", None),
        ("selects: {documents: [contract-*], domains: [finance]}", "selects: {}", Some("selects: it selects nothing")),
        ("domains: [finance]", "domain: [finance]", Some("unknown key \"domain\": did you mean \"domains\"?")),
        ("since:", "sinc:", Some("unknown key \"sinc\": did you mean \"since\"?")),
        ("[finance]", "[\"\"]", Some("domains[0]: the text is empty")),
        ("[finance]", "[fin*]", Some("domains[0]: \"fin*\" would stand for itself alone")),
        ("[finance]", "[], subjects: [\"u*\"]", Some("subjects[0]: \"u*\" would stand for itself alone")),
        ("documents: [contract-*]", names.as_str(), Some("selects: 258 names are too many")),
        ("id: case-7", "id: ' '", Some("legal_holds[0].id: the text is empty")),
        ("basis: Smith v. Acme, order of 2026-01-05", "basis: ''", Some("legal_holds[0].basis: the text is empty")),
        ("basis: Smith", "basis: \"a\\nb\" #", Some("legal_holds[0].basis: write at most 500 characters on one line")),
        ("2026-01-05T00:00:00Z", "yesterday", Some("legal_holds[0].since: \"yesterday\" is no time")),
        (
            "since: \"2026-01-05T00:00:00Z\"",
            "since: \"2026-01-05T00:00:00Z\"\n      released: \"2026-01-04T00:00:00Z\"",
            Some("legal_holds[0].released: it is released before it begins"),
        ),
        ("since: \"2026-01-05T00:00:00Z\"", "released: \"2026-01-05T00:00:00Z\"", Some("missing key \"since\"")),
        (CASE, twice.as_str(), Some("legal_holds[1].id: the legal hold \"case-7\" stands here twice")),
        (CASE, many.as_str(), Some("legal_holds: 65 legal holds are too many")),
    ] {
        assert!(CASE.contains(from), "{from}");
        let found = errors(&held(&CASE.replacen(from, to, 1)));
        match words {
            None => assert!(found.is_empty(), "{found:?}"),
            Some(words) => {
                assert!(found.iter().any(|error| error.contains(words)), "{words}: {found:?}");
                assert!(found.iter().all(|error| error.starts_with("policies/governance.yaml:")), "{found:?}");
                assert!(!found.iter().any(|error| error.starts_with("policies/governance.yaml:0")), "{found:?}");
            }
        }
    }
}

#[test]
fn a_maximum_is_held_against_the_minimum_and_the_holds() {
    let most =
        |days: &str| changed(SOVEREIGNTY, "data_days: 365", &format!("data_days: 365\n    data_days_max: {days}"));
    assert_eq!(errors(&most("365")), Vec::<String>::new());
    for (days, words) in [
        ("0", "data_days_max: 0 would erase every document as it comes"),
        ("364", "data_days_max: a document would have to go after 364 days and to stay for the 365 of data_days"),
    ] {
        let found = errors(&most(days));
        assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
        assert!(found[0].starts_with("data-sovereignty.yaml:") && !found[0].contains(":0:0"), "{found:?}");
    }
    let mut texts = held(CASE);
    texts.insert(SOVEREIGNTY.into(), most("400").remove(SOVEREIGNTY).unwrap());
    let warnings = compile("acme-corp", &texts, &Guardrails::none()).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].line > 0, "{warnings:?}");
    assert!(
        warnings[0].problem.contains("what \"case-7\" selects stays beyond the 400 days of data_days_max"),
        "{warnings:?}"
    );
    let released = CASE.to_owned() + "      released: \"2026-02-05T00:00:00Z\"\n";
    texts.insert(GOVERNANCE.into(), held(&released).remove(GOVERNANCE).unwrap());
    assert_eq!(compile("acme-corp", &texts, &Guardrails::none()).unwrap().warnings, []);
}

#[test]
fn a_release_in_stages_holds_for_everybody_at_once() {
    let before = compile("acme-corp", &held(CASE), &Guardrails::none()).unwrap();
    let other = CASE.replace("case-7", "case-8");
    let next = compile("acme-corp", &held(&other), &Guardrails::none()).unwrap();
    let staged = next.in_stages(&before);
    let names: Vec<_> = staged.control.unwrap().retention().holds.into_iter().map(|hold| hold.ground.name).collect();
    assert_eq!(names, ["case-8"]);
    assert!(next.is_released_like(&before), "nobody notices a hold but whoever removes");
}
