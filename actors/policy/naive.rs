//! A second evaluator for the tests, which shares nothing with the engine but the rules.
use crate::evaluate::{Outcome, Refusal, Ruling};
use crate::language::checks::{Enacted, Origin};
use crate::language::{Action, Condition, Effect, Fact, Facts, Scalar, Test};
use crate::obligations::Obligations;

/// What is ruled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naive {
    Permitted(Obligations),
    Forbidden,
    NotPermitted,
    Unjudged,
}

impl Naive {
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Permitted(obligations) => Outcome::Permitted(obligations),
            _ => Outcome::Refused,
        }
    }

    pub fn of(ruling: &Ruling<'_>) -> Self {
        match ruling {
            Ruling::Permitted { obligations, .. } => Self::Permitted(*obligations),
            Ruling::Refused(Refusal::Forbidden(_)) => Self::Forbidden,
            Ruling::Refused(Refusal::NotPermitted) => Self::NotPermitted,
            Ruling::Refused(Refusal::Unjudged(_)) => Self::Unjudged,
        }
    }
}

pub fn decide(rules: &[Enacted], action: Action, facts: &Facts) -> Naive {
    from_held(rules, action, &|index| holds(rules[index].rule.when.as_ref(), facts))
}

/// The ruling, where it is known which rules hold.
pub fn from_held(rules: &[Enacted], action: Action, held: &dyn Fn(usize) -> Option<bool>) -> Naive {
    let about = |index: &usize| rules[*index].rule.actions.contains(&action);
    let (mut permitted, mut forbidden, mut unjudged) = (false, false, false);
    let mut obligations = Obligations::default();
    for index in (0..rules.len()).filter(about) {
        let rule = &rules[index].rule;
        match (held(index), rule.effect) {
            (None, _) => unjudged = true,
            (Some(false), _) => {}
            (Some(true), Effect::Permit) => permitted = true,
            (Some(true), Effect::Require) => obligations.add(rule.obligation.as_ref().unwrap()),
            (Some(true), Effect::Forbid) => {
                let lifts = |permit: &usize| {
                    let other = &rules[*permit].rule;
                    other.effect == Effect::Permit && other.overrides.contains(&rule.id) && held(*permit) == Some(true)
                };
                let guardrail = rules[index].origin == Origin::Platform;
                forbidden |= guardrail || !(0..rules.len()).filter(about).any(|permit| lifts(&permit));
            }
        }
    }
    match (unjudged, forbidden, permitted) {
        (true, ..) => Naive::Unjudged,
        (_, true, _) => Naive::Forbidden,
        (.., true) => Naive::Permitted(obligations),
        _ => Naive::NotPermitted,
    }
}

pub fn holds(condition: Option<&Condition>, facts: &Facts) -> Option<bool> {
    match condition {
        None => Some(true),
        Some(Condition::Not(part)) => holds(Some(part), facts).map(|held| !held),
        Some(Condition::All(parts)) => {
            for part in parts {
                if !holds(Some(part), facts)? {
                    return Some(false);
                }
            }
            Some(true)
        }
        Some(Condition::Any(parts)) => {
            for part in parts {
                if holds(Some(part), facts)? {
                    return Some(true);
                }
            }
            Some(false)
        }
        Some(Condition::Is { attribute, test }) => passes(facts.get(attribute), test),
    }
}

fn passes(fact: Option<&Fact>, test: &Test) -> Option<bool> {
    if let Test::Present(wanted) = test {
        return Some(fact.is_some() == *wanted);
    }
    Some(match (fact?, test) {
        (Fact::Number(number), Test::Between { at_least, at_most }) => {
            at_least.is_none_or(|least| least <= *number) && at_most.is_none_or(|most| *number <= most)
        }
        (Fact::Texts(texts), Test::Contains(text)) => texts.contains(text),
        (fact, Test::AnyOf(scalars)) => scalars.iter().any(|scalar| match (fact, scalar) {
            (Fact::Number(one), Scalar::Number(other)) => one == other,
            (Fact::Flag(one), Scalar::Flag(other)) => one == other,
            (Fact::Text(one), Scalar::Text(other)) => match other.strip_suffix('*') {
                Some(beginning) => one.starts_with(beginning),
                None => one == other,
            },
            _ => false,
        }),
        _ => false,
    })
}
