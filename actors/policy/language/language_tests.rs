//! Rules as they are written: what is read, and what is refused where.
use super::checks::{Enacted, Origin, problems};
use super::*;
use crate::parse::parse;
use proptest::prelude::*;

#[derive(Deserialize, Debug)]
struct Rules {
    rules: Vec<Rule>,
}

fn read(text: &str) -> Vec<Enacted> {
    let Rules { rules } = parse("rules.yaml", text).unwrap();
    let placed = rules.into_iter().enumerate();
    placed.map(|(index, rule)| Enacted { rule, origin: Origin::Tenant { file: "rules.yaml", index } }).collect()
}

/// A permit and a forbid that pass every check; the tests change words of them.
const GOOD: &str = r#"
rules:
  - id: staff-asks
    effect: permit
    actions: [ask, search]
    when:
      - user.role: [owner, operator]
      - any:
          - request.bytes: { at_least: 1, at_most: 4000 }
          - not: { request.domain: { present: true } }
          - user.permissions: { contains: long-questions }
  - id: not-on-sunday
    effect: forbid
    actions: [ask]
    when: { request.weekday: sunday, request.hour_utc: { at_most: 7 } }
    overrides: [staff-asks]
    reason: the desk is closed
"#;

fn found(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from:?} is not there");
    let text = GOOD.replacen(from, to, 1);
    match parse::<Rules>("rules.yaml", &text) {
        Err(error) => vec![error.to_string()],
        Ok(_) => problems(&read(&text))
            .into_iter()
            .map(|(index, path, problem)| format!("{index} {path}: {problem}"))
            .collect(),
    }
}

#[test]
fn rules_are_read_as_they_are_meant() {
    let rules = read(GOOD);
    assert_eq!(problems(&rules), []);
    let is = |attribute: &str, test: Test| Condition::Is { attribute: attribute.into(), test };
    let roles = Test::AnyOf(vec![Scalar::Text("owner".into()), Scalar::Text("operator".into())]);
    let absent = Condition::Not(Box::new(is("request.domain", Test::Present(true))));
    let any = Condition::Any(vec![
        is("request.bytes", Test::Between { at_least: Some(1), at_most: Some(4000) }),
        absent,
        is("user.permissions", Test::Contains("long-questions".into())),
    ]);
    assert_eq!(rules[0].rule.when, Some(Condition::All(vec![is("user.role", roles), any])));
    assert!(rules[1].overrides(&rules[0]) && !rules[0].overrides(&rules[1]));
    assert_eq!(rules[1].rule.reason, "the desk is closed");
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_the_nearest_word() {
    let table = [
        ("id: staff-asks", "id: 'staff asks'", "0 id: \"staff asks\" is no id of a rule"),
        ("id: not-on-sunday", "id: staff-asks", "1 id: the rule \"staff-asks\" is there twice"),
        (
            "effect: permit",
            "effect: allow",
            "rules.yaml:4:13: unknown value \"allow\": known here: permit, forbid, require",
        ),
        ("[ask, search]", "[ask, serach]", "rules.yaml:5:20: unknown value \"serach\": did you mean \"search\"?"),
        ("[ask, search]", "[]", "0 actions: the rule is about nothing"),
        ("[ask, search]", "[ask, ask]", "0 actions: an action stands here twice"),
        (
            "[ask, search]",
            "[ask, ingest]",
            "0 when.all[1].any[0].request.bytes: a request to ingest has no request.bytes",
        ),
        ("effect: permit", "effect: require", "0 effect: a rule that requires names its `obligation`"),
        (
            "effect: permit\n    actions: [ask, search]",
            "effect: require\n    obligation: log\n    actions: [ask, remove]",
            "0 obligation: nothing that is said to remove could meet \"log\"",
        ),
        (
            "effect: permit\n    actions: [ask, search]",
            "effect: require\n    obligation: approve\n    actions: [ask, read]",
            "0 obligation: nothing that is said to read could meet \"approve\"",
        ),
        ("reason: the", "obligation: cite\n    reason: the", "1 obligation: only a rule with `effect: require`"),
        (
            "user.role:",
            "user.rol:",
            "0 when.all[0].user.rol: unknown attribute \"user.rol\": did you mean \"user.role\"?",
        ),
        ("user.role:", "user.attributes.Dept:", "\"Dept\" is no attribute of a user"),
        ("operator]", "operater]", "0 when.all[0].user.role: unknown value \"operater\": did you mean \"operator\"?"),
        ("operator]", "7]", "this is a text: write it in quotes"),
        ("at_least: 1", "at_least: 5000", "no number is at least 5000 and at most 4000: exchange them"),
        ("at_least: 1", "at_least: -1", "this attribute lies between 0 and"),
        ("at_least: 1", "at_lest: 1", "unknown key \"at_lest\": did you mean \"at_least\"?"),
        ("at_least: 1", "present: true", "two tests of one attribute"),
        ("{ at_least: 1, at_most: 4000 }", "{}", "an empty test asks nothing"),
        ("{ at_least: 1, at_most: 4000 }", "long", "this is a number: write a whole number"),
        ("{ at_least: 1, at_most: 4000 }", "[]", "0 values are out of range"),
        ("request.domain: { present: true }", "user.role: { present: true }", "every request has this attribute"),
        ("request.domain: { present: true }", "request.domain: 'a*b'", "\"a*b\" has a `*` before its end"),
        ("{ contains: long-questions }", "long-questions", "this is a set: ask what it `contains`"),
        ("user.permissions: { contains", "request.domain: { contains", "only a set contains something"),
        ("weekday: sunday", "weekday: { at_least: 1 }", "this is no number"),
        ("{ request.weekday: sunday, request.hour_utc: { at_most: 7 } }", "{}", "an empty condition says nothing"),
        (
            "{ request.weekday: sunday, request.hour_utc: { at_most: 7 } }",
            "{ all: [] }",
            "1 when: an empty list of conditions",
        ),
        (
            "overrides: [staff-asks]",
            "overrides: [staff-ask]",
            "1 overrides[0]: there is no rule \"staff-ask\": did you mean \"staff-asks\"?",
        ),
        (
            "overrides: [staff-asks]",
            "overrides: [not-on-sunday]",
            "1 overrides[0]: \"not-on-sunday\" has no opposite effect",
        ),
        ("actions: [ask]", "actions: [search]", ""),
        ("actions: [ask]", "actions: [read]", "1 overrides[0]: \"staff-asks\" is about other actions"),
        (
            "actions: [ask, search]",
            "overrides: [not-on-sunday]\n    actions: [ask, search]",
            "0 overrides[0]: \"not-on-sunday\" overrides this rule as well",
        ),
    ];
    for (from, to, expected) in table {
        let found = found(from, to);
        let told =
            if expected.is_empty() { found.is_empty() } else { found.iter().any(|problem| problem.contains(expected)) };
        assert!(told, "{to}: {found:#?}");
    }
}

#[test]
fn rules_are_bounded() {
    let many = |count: usize| {
        let tests = vec!["{ user.role: owner }"; count].join(", ");
        found("any:", &format!("all: [{tests}]\n      - any:"))
    };
    assert_eq!(many(60), Vec::<String>::new());
    assert!(many(70)[0].contains("tests are too many for one rule"));
    let deep = |depth: usize| {
        let nested = format!("{}{{ user.role: owner }}{}", "{ not: ".repeat(depth), " }".repeat(depth));
        found("{ request.weekday: sunday, request.hour_utc: { at_most: 7 } }", &nested)
    };
    assert_eq!(deep(15), Vec::<String>::new());
    assert!(deep(16)[0].contains("nests deeper than"));
    let domains = |count: usize, letters: usize| {
        let names: Vec<_> = (0..count).map(|number| format!("{number:0>letters$}")).collect();
        found("{ present: true }", &format!("['{}']", names.join("', '")))
    };
    assert_eq!(domains(256, 256), Vec::<String>::new());
    assert!(domains(257, 4)[0].contains("257 values are out of range"));
    assert!(domains(1, 257)[0].contains("longer than 256 bytes"));
}

#[test]
fn a_guardrail_forbids_or_requires_and_nothing_overrides_it() {
    let mut rules = read(GOOD);
    rules[0].origin = Origin::Platform;
    let told = |rules: &[Enacted]| problems(rules).into_iter().map(|(_, _, problem)| problem).collect::<String>();
    assert!(told(&rules).contains("a guardrail narrows and never permits"));
    let mut rules = read(&GOOD.replace("overrides: [staff-asks]", "overrides: []"));
    rules[0].rule.overrides = vec![rules[1].rule.id.clone()];
    assert_eq!(told(&rules), "");
    assert!(rules[0].overrides(&rules[1]) && rules[0].lifts(&rules[1], Action::Ask));
    assert!(!rules[0].lifts(&rules[1], Action::Read), "it permits nothing of that action");
    rules[1].origin = Origin::Platform;
    assert!(!rules[0].overrides(&rules[1]) && !rules[0].lifts(&rules[1], Action::Ask));
    assert!(told(&rules).contains("is a guardrail of the platform, and nothing overrides it"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[-:{}\\[\\]a-z.*0-9 \n'\"]{0,200}") {
        let _read = parse::<Rules>("rules.yaml", &text);
        let _read = parse::<Rules>("rules.yaml", &format!("rules:\n  - id: a\n    effect: permit\n    actions: [ask]\n    when:\n      {text}\n"));
    }
}

#[test]
fn a_rule_reads_back_as_it_was_written() {
    for enacted in read(GOOD) {
        let json = serde_json::to_string(&enacted.rule).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), enacted.rule, "{json}");
    }
}

#[test]
fn a_request_comes_with_a_role_of_the_tenant_or_none() {
    let roles = crate::access::Role::ALL.map(crate::access::Role::as_str);
    let told: Vec<_> = roles.into_iter().chain([attributes::PLATFORM]).collect();
    assert_eq!(attributes::ROLES, told);
}
