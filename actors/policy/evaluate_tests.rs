//! The engine against an evaluator of a hundred lines that shares nothing with it but the rules.
use super::*;
use crate::naive::{Naive, decide};
use crate::random_rules::{Dice, World, facts, policy};
use crate::redaction::{Recogniser, Redactions};
use std::collections::BTreeSet;

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

/// One in so many requests does not keep to the attributes' types: it lacks something, or says a number.
fn careless(dice: &mut Dice, facts: Facts) -> Facts {
    if !dice.once_in(6) {
        return facts;
    }
    let spoilt = dice.below(facts.iter().count());
    facts.iter().enumerate().fold(Facts::new(), |kept, (index, (attribute, fact))| match index == spoilt {
        true if dice.once_in(2) => kept,
        true => kept.with(attribute.to_owned(), Fact::Number(-1)),
        false => kept.with(attribute.to_owned(), fact.clone()),
    })
}

#[test]
fn what_is_not_evaluated_changes_no_ruling_and_no_reason() {
    let (mut evaluated, mut all) = (0, 0);
    for seed in 0..1_000 {
        let mut dice = Dice::new(seed);
        let action = Action::ALL[dice.below(Action::ALL.len())];
        let engine = Engine::compile(policy(&mut dice, action, &World::large(action), 12)).unwrap();
        let slices = &engine.actions[&action];
        for _ in 0..100 {
            let drawn = facts(&mut dice, action);
            let facts = careless(&mut dice, drawn);
            let request = engine.request(slices, &facts).unwrap();
            let whole = ruling(engine.told(&request, &slices.all()));
            let rules = &engine.rules;
            assert_eq!(engine.decide(action, &facts), whole, "seed {seed}: {action} {facts:?}\n{rules:#?}");
            let count = |sets: Vec<&PolicySet>| sets.iter().map(|set| set.policies().count()).sum::<usize>();
            evaluated += count(slices.of(&facts));
            all += count(slices.all());
        }
    }
    println!("{evaluated} of {all} rules evaluated");
    assert!(evaluated * 5 < all * 4, "at least a fifth is left out: {evaluated} of {all} evaluated");
}

#[test]
fn an_outcome_says_everything_that_goes_with_it() {
    let told = |obligations: Obligations| Outcome::Permitted(obligations).to_string();
    let redact = Redactions::of(&BTreeSet::from([Recogniser::Phone, Recogniser::Email]));
    assert_eq!(told(Obligations::default()), "permitted");
    assert_eq!(told(Obligations { redact, ..Obligations::default() }), "permitted with email, phone taken out");
    assert_eq!(
        told(Obligations {
            cite: true,
            cap_tokens: Some(9),
            min_sources: Some(2),
            max_answer_characters: Some(400),
            redact,
            log: true,
            approve: true
        }),
        "permitted with citations and at most 9 tokens and at least 2 sources and at most 400 characters and \
         email, phone taken out and a record and somebody's approval"
    );
}

#[test]
fn nothing_is_permitted_by_nobody() {
    let engine = Engine::compile(Vec::new()).unwrap();
    for action in Action::ALL {
        assert_eq!(engine.decide(action, &Facts::new()), Ruling::Refused(Refusal::NotPermitted), "{action}");
    }
}
