//! The engine against an evaluator of a hundred lines that shares nothing with it but the rules.
use super::*;
use crate::naive::{Naive, decide};
use crate::random_rules::{Dice, World, facts, policy};
use crate::redaction::{Recogniser, Redactions};

#[test]
fn the_engine_decides_like_the_naive_evaluator() {
    let (mut decided, mut seen) = (0_u64, BTreeMap::new());
    for seed in 0..2_000 {
        let mut dice = Dice::new(seed);
        let action = Action::ALL[dice.below(Action::ALL.len())];
        let rules = policy(&mut dice, action, &World::large(action), 6);
        let engine = Engine::compile(rules.clone()).unwrap();
        for _ in 0..500 {
            let facts = facts(&mut dice, action);
            let (expected, ruling) = (decide(&rules, action, &facts), engine.decide(action, &facts));
            assert_eq!(Naive::of(&ruling), expected, "seed {seed}: {action} {facts:?}\n{rules:#?}");
            *seen.entry(format!("{expected:?}").split(' ').next().unwrap().to_owned()).or_insert(0) += 1;
            decided += 1;
        }
    }
    println!("{decided} decisions, 0 differences: {seen:?}");
    assert!(seen.values().filter(|count| **count > 1_000).count() >= 4, "every kind of ruling occurs: {seen:?}");
}

#[test]
fn an_outcome_says_everything_that_goes_with_it() {
    let told = |obligations: Obligations| Outcome::Permitted(obligations).to_string();
    let redact = Redactions::of(&BTreeSet::from([Recogniser::Phone, Recogniser::Email]));
    assert_eq!(told(Obligations::default()), "permitted");
    assert_eq!(told(Obligations { redact, ..Obligations::default() }), "permitted with email, phone taken out");
    assert_eq!(
        told(Obligations { cite: true, cap_tokens: Some(9), redact }),
        "permitted with citations and at most 9 tokens and email, phone taken out"
    );
}

#[test]
fn nothing_is_permitted_by_nobody() {
    let engine = Engine::compile(Vec::new()).unwrap();
    for action in Action::ALL {
        assert_eq!(engine.decide(action, &Facts::new()), Ruling::Refused(Refusal::NotPermitted), "{action}");
    }
}
