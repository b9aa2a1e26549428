//! Random policy sets and requests for the tests: a seed gives the same ones on every machine.
use crate::language::attributes::{ATTRIBUTES, Attribute, Kind};
use crate::language::checks::{Enacted, Origin, problems};
use crate::language::{Action, Condition, Effect, Fact, Facts, Rule, Scalar, Test};
use crate::obligations::Obligation;
use crate::redaction::Recogniser;
use std::collections::BTreeSet;

/// A deterministic source of numbers (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What random rules are made of: the fewer attributes and constants, the more rules meet.
pub struct World {
    pub attributes: Vec<&'static str>,
    pub patterns: &'static [&'static str],
    pub numbers: &'static [i64],
    /// One in so many tests of an optional attribute is not guarded by `present`.
    pub careless: usize,
    /// One in so many rules has no condition.
    pub unconditional: usize,
    pub depth: usize,
}

/// Of requests; one has the beginnings rules ask for in its middle only.
const TEXTS: [&str; 8] = ["a", "ab", "abc", "b", "cab", "eu-west-1", "eu-north-1", "cn-north-1"];
const PERMISSIONS: [&str; 2] = ["a", "ab"];

impl World {
    /// All attributes an action has.
    pub fn large(action: Action) -> Self {
        let known = ATTRIBUTES.into_iter().filter(|attribute| attribute.belongs_to(action));
        Self {
            attributes: known.map(|attribute| attribute.name).chain(["user.attributes.department"]).collect(),
            patterns: &["a", "ab", "a*", "ab*", "b", "eu-*", "eu-west-1", "cn-*", "*"],
            numbers: &[0, 1, 5, 9, 10, 23],
            careless: 8,
            unconditional: 6,
            depth: 2,
        }
    }

    /// Two or three attributes with few values, of a document that is added or of a question: only an answer meets
    /// obligations.
    pub fn small(dice: &mut Dice) -> (Action, Self) {
        const DOCUMENT: [&str; 4] =
            ["request.domain", "user.attributes.department", "document.trust_percent", "user.permissions"];
        const QUESTION: [&str; 4] =
            ["request.domain", "user.attributes.department", "request.top_k", "user.permissions"];
        let (action, some) =
            if dice.once_in(3) { (Action::Ingest, &DOCUMENT[..]) } else { (Action::Ask, &QUESTION[..]) };
        let mut attributes: BTreeSet<_> = (0..2).map(|_| *dice.pick(some)).collect();
        if dice.once_in(3) {
            attributes.insert(*dice.pick(some));
        }
        let world = Self {
            attributes: attributes.into_iter().collect(),
            patterns: &["a", "a*", "ab", "b*"],
            numbers: &[0, 5, 9],
            careless: 12,
            unconditional: 6,
            depth: 2,
        };
        (action, world)
    }
}

fn test(dice: &mut Dice, attribute: Attribute, world: &World) -> Test {
    if attribute.optional && dice.once_in(3) {
        return Test::Present(dice.once_in(2));
    }
    let some = |dice: &mut Dice, from: &[&str]| {
        (0..=dice.below(2)).map(|_| Scalar::Text((*dice.pick(from)).to_owned())).collect()
    };
    match attribute.kind {
        Kind::Text => Test::AnyOf(some(dice, world.patterns)),
        Kind::Choice(known) => Test::AnyOf(some(dice, known)),
        Kind::Flag => Test::AnyOf(vec![Scalar::Flag(dice.once_in(2))]),
        Kind::Texts => Test::Contains((*dice.pick(&PERMISSIONS)).to_owned()),
        Kind::Number(..) if dice.once_in(3) => Test::AnyOf(vec![Scalar::Number(*dice.pick(world.numbers))]),
        Kind::Number(..) => {
            let (one, other) = (*dice.pick(world.numbers), *dice.pick(world.numbers));
            let (low, high) = (one.min(other), one.max(other));
            match dice.below(3) {
                0 => Test::Between { at_least: Some(low), at_most: None },
                1 => Test::Between { at_least: None, at_most: Some(high) },
                _ => Test::Between { at_least: Some(low), at_most: Some(high) },
            }
        }
    }
}

fn condition(dice: &mut Dice, world: &World, depth: usize) -> Condition {
    if depth == 0 || dice.once_in(2) {
        let name = (*dice.pick(&world.attributes)).to_owned();
        let found = crate::language::attributes::find(&name).unwrap();
        let test = test(dice, found, world);
        let asks = Condition::Is { attribute: name.clone(), test: test.clone() };
        let guarded = found.optional && !matches!(test, Test::Present(_)) && !dice.once_in(world.careless);
        return if guarded {
            Condition::All(vec![Condition::Is { attribute: name, test: Test::Present(true) }, asks])
        } else {
            asks
        };
    }
    let parts = |dice: &mut Dice| (0..2).map(|_| condition(dice, world, depth - 1)).collect();
    match dice.below(5) {
        0 | 1 => Condition::All(parts(dice)),
        2 | 3 => Condition::Any(parts(dice)),
        _ => Condition::Not(std::boxed::Box::new(condition(dice, world, depth - 1))),
    }
}

/// Up to so many rules about one action that pass every check.
pub fn policy(dice: &mut Dice, action: Action, world: &World, most: usize) -> Vec<Enacted> {
    let mut rules: Vec<Enacted> = Vec::new();
    for index in 0..=dice.below(most) {
        let effects = [Effect::Permit, Effect::Permit, Effect::Forbid, Effect::Forbid, Effect::Require];
        let redact = |forms: &[Recogniser]| Obligation::Redact(forms.iter().copied().collect());
        let duties = [
            Obligation::Cite,
            Obligation::CapTokens(100),
            Obligation::CapTokens(200),
            Obligation::MinSources(2),
            Obligation::MinSources(3),
            Obligation::MaxAnswerCharacters(400),
            Obligation::MaxAnswerCharacters(900),
            redact(&[Recogniser::Email]),
            redact(&[Recogniser::Card]),
            redact(&[Recogniser::Email, Recogniser::Card]),
            Obligation::Log,
            Obligation::Approve,
        ];
        let met: Vec<_> = duties.into_iter().filter(|obligation| obligation.is_met_by(action)).collect();
        // most actions have no answer that could meet an obligation
        let effect = *dice.pick(if met.is_empty() { &effects[..4] } else { &effects });
        let obligation = (effect == Effect::Require).then(|| dice.pick(&met).clone());
        let origin = if effect != Effect::Permit && dice.once_in(5) {
            Origin::Platform
        } else {
            Origin::Tenant { file: "policies/governance.yaml", index }
        };
        let opposite = |other: &&Enacted| {
            !other.is_guardrail()
                && matches!(
                    (effect, other.rule.effect),
                    (Effect::Permit, Effect::Forbid) | (Effect::Forbid, Effect::Permit)
                )
        };
        let overrides: BTreeSet<_> =
            rules.iter().filter(opposite).filter(|_| dice.once_in(4)).map(|other| other.rule.id.clone()).collect();
        let rule = Rule {
            id: format!("r{index}"),
            effect,
            actions: vec![action],
            when: (!dice.once_in(world.unconditional)).then(|| condition(dice, world, world.depth)),
            overrides: overrides.into_iter().collect(),
            obligation,
            reason: String::new(),
        };
        rules.push(Enacted { rule, origin });
    }
    let found = problems(&rules);
    assert!(found.is_empty(), "the generator makes rules that pass: {found:?}\n{rules:#?}");
    rules
}

/// A random request.
pub fn facts(dice: &mut Dice, action: Action) -> Facts {
    let mut facts = Facts::new();
    if !dice.once_in(3) {
        facts = facts.text("user.attributes.department", *dice.pick(&TEXTS));
    }
    for attribute in ATTRIBUTES.into_iter().filter(|attribute| attribute.belongs_to(action)) {
        if attribute.optional && dice.once_in(3) {
            continue;
        }
        let fact = match attribute.kind {
            Kind::Text => Fact::Text((*dice.pick(&TEXTS)).to_owned()),
            Kind::Number(..) => Fact::Number(dice.below(24) as i64),
            Kind::Choice(known) => Fact::Text((*dice.pick(known)).to_owned()),
            Kind::Flag => Fact::Flag(dice.once_in(2)),
            Kind::Texts => {
                Fact::Texts(PERMISSIONS.iter().filter(|_| dice.once_in(2)).map(|text| (*text).to_owned()).collect())
            }
        };
        facts = facts.with(attribute.name, fact);
    }
    facts
}
