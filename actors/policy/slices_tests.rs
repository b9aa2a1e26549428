//! For each way to ask, whether a rule may be left out; that nothing changes by it is tested with the engine.
use super::*;
use crate::evaluate::{Engine, Refusal, Ruling};
use crate::language::checks::Origin;
use crate::language::{Action, Effect, Rule};
use crate::naive::{Naive, decide, holds};
use cedar_policy::PolicyId;
use serde_json::{Value, json};

/// A question of a viewer at 5 o'clock who names no domain.
fn question() -> Facts {
    Facts::new()
        .text("user.role", "viewer")
        .with("user.permissions", Fact::Texts(BTreeSet::from(["a".to_owned()])))
        .number("request.hour_utc", 5)
        .text("request.weekday", "monday")
        .number("request.bytes", 1)
        .number("request.top_k", 8)
}

/// A rule with this condition.
fn rule(action: Action, when: Value) -> Enacted {
    let rule = Rule {
        id: "r".into(),
        effect: Effect::Permit,
        actions: vec![action],
        when: Some(serde_json::from_value(when).unwrap()),
        overrides: Vec::new(),
        obligation: None,
        reason: String::new(),
    };
    Enacted { rule, origin: Origin::Tenant { file: "policies/governance.yaml", index: 0 } }
}

/// How many of the rules are evaluated for a request.
fn evaluated(rules: &[Enacted], facts: &Facts) -> usize {
    let policies = rules.iter().enumerate().map(|(index, rule)| {
        let id = PolicyId::new(index.to_string());
        (rule, Policy::parse(Some(id), "permit(principal, action, resource);").unwrap())
    });
    let slices = Slices::file(policies.collect()).unwrap();
    slices.of(facts).iter().map(|set| set.policies().count()).sum()
}

/// Whether the only rule is evaluated for a request; the engine rules as it should in either case.
fn is_evaluated(action: Action, when: Value, facts: &Facts) -> bool {
    let rules = vec![rule(action, when)];
    let engine = Engine::compile(rules.clone()).unwrap();
    assert_eq!(Naive::of(&engine.decide(action, facts)), decide(&rules, action, facts), "{rules:?}");
    let evaluated = evaluated(&rules, facts) == 1;
    assert!(evaluated || holds(rules[0].rule.when.as_ref(), facts) == Some(false), "{rules:?}");
    evaluated
}

fn asked(when: Value, facts: &Facts) -> bool {
    is_evaluated(Action::Ask, when, facts)
}

#[test]
fn a_rule_is_left_out_where_a_value_is_none_of_its_constants() {
    assert!(!asked(json!({ "user.role": ["owner", "admin"] }), &question()));
    assert!(asked(json!({ "user.role": ["owner", "viewer"] }), &question()));
    assert!(!asked(json!({ "request.top_k": 7 }), &question()));
    assert!(asked(json!({ "request.top_k": 8 }), &question()));
    assert!(!asked(json!({ "request.hour_utc": { "at_least": 6 } }), &question()));
    assert!(asked(json!({ "request.hour_utc": { "at_most": 5 } }), &question()));
}

#[test]
fn a_rule_is_left_out_where_what_it_asks_to_be_there_is_not() {
    let guarded = json!([{ "request.domain": { "present": true } }, { "request.domain": "a" }]);
    assert!(!asked(guarded.clone(), &question()));
    assert!(!asked(guarded.clone(), &question().text("request.domain", "b")));
    assert!(asked(guarded, &question().text("request.domain", "a")));
    let absent = json!({ "request.domain": { "present": false } });
    assert!(asked(absent.clone(), &question()));
    assert!(!asked(absent, &question().text("request.domain", "a")));
}

#[test]
fn parts_that_cannot_err_may_stand_before() {
    let parts = json!([
        { "any": [{ "user.role": "viewer" }, { "request.bytes": { "at_least": 2 } }] },
        { "not": { "all": [{ "user.id": { "present": true } }, { "user.id": "a*" }] } },
        { "user.permissions": { "contains": "a" } },
        { "request.top_k": 9 },
    ]);
    assert!(!asked(parts, &question()));
}

#[test]
fn a_part_before_may_err() {
    let unguarded = json!([{ "request.domain": "a" }, { "user.role": "owner" }]);
    assert!(asked(unguarded.clone(), &question()), "it cannot be judged, and that refuses the request");
    assert!(!asked(unguarded, &question().text("request.domain", "b")));
    let beginning = json!([{ "request.domain": "a*" }, { "user.role": "owner" }]);
    assert!(asked(beginning, &question()));
    let nested = json!([{ "not": { "request.domain": "a" } }, { "user.role": "owner" }]);
    assert!(asked(nested, &question()));
    let elsewhere = json!([
        { "any": [{ "request.domain": { "present": true } }, { "user.role": "viewer" }] },
        { "request.domain": "a" },
        { "user.role": "owner" },
    ]);
    assert!(asked(elsewhere, &question()), "what one branch asks to be there need not be");
}

#[test]
fn a_beginning_stands_for_many_texts() {
    let guarded = json!([{ "request.domain": { "present": true } }, { "request.domain": ["b", "a*"] }]);
    assert!(asked(guarded.clone(), &question().text("request.domain", "ab")));
    assert!(asked(guarded, &question().text("request.domain", "c")), "what begins how is Cedar's to say");
}

#[test]
fn a_number_has_a_type_and_a_range_not_too_long() {
    assert!(asked(json!({ "request.top_k": { "at_least": 9 } }), &question()), "too many to file");
    assert!(asked(
        json!({ "request.top_k": { "at_least": 9, "at_most": 136 } }),
        &question().number("request.top_k", 9)
    ));
    assert!(!asked(json!({ "request.top_k": { "at_least": 9, "at_most": 136 } }), &question()));
    assert!(asked(json!({ "request.top_k": { "at_least": 9, "at_most": 137 } }), &question()));
}

#[test]
fn a_flag_is_one_of_two() {
    let call = |fallback: bool| question().of_model("p", "m", "r", fallback);
    assert!(is_evaluated(Action::Generate, json!({ "model.fallback": true }), &call(true)));
    assert!(!is_evaluated(Action::Generate, json!({ "model.fallback": true }), &call(false)));
}

#[test]
fn a_set_contains_more_than_one_text() {
    assert!(asked(json!({ "user.permissions": { "contains": "a" } }), &question()));
    assert!(asked(json!({ "user.permissions": { "contains": "b" } }), &question()));
}

#[test]
fn what_stands_below_not_and_any_need_not_hold() {
    assert!(asked(json!({ "not": { "user.role": "owner" } }), &question()));
    assert!(asked(json!({ "any": [{ "user.role": "owner" }, { "request.top_k": 8 }] }), &question()));
}

#[test]
fn a_request_that_does_not_keep_to_the_types_has_every_rule_evaluated() {
    let parts = || json!([{ "request.hour_utc": { "at_least": 3 } }, { "user.role": "owner" }]);
    assert!(!asked(parts(), &question()));
    let noon = question().text("request.hour_utc", "noon");
    let rules = vec![rule(Action::Ask, parts())];
    assert_eq!(evaluated(&rules, &noon), 1);
    let engine = Engine::compile(rules).unwrap();
    assert!(matches!(engine.decide(Action::Ask, &noon), Ruling::Refused(Refusal::Unjudged(_))));
    assert!(asked(parts(), &question().number("request.hour_utc", 24)));
    assert!(asked(parts(), &Facts::new().text("user.role", "viewer")));
}

#[test]
fn a_rule_is_filed_by_what_tells_most_rules_apart() {
    let when = |domain: &str| json!([{ "user.role": ["viewer"] }, { "request.domain": { "present": true } }, { "request.domain": domain }]);
    let rules: Vec<_> = ["a", "b", "c"].into_iter().map(|domain| rule(Action::Ask, when(domain))).collect();
    assert_eq!(evaluated(&rules, &question().text("request.domain", "b")), 1);
}
