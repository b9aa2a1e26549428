//! What must hold in every rule before anything is made of it: names, types, ranges, references.
use super::attributes::{self, Attribute, Kind};
use super::condition::{Pattern, Scalar};
use super::{Action, Condition, Effect, Rule, Test};
use crate::obligations::Obligation;
use crate::parse::advice;
use std::collections::{BTreeMap, BTreeSet};

/// Rules a tenant may have.
pub const RULES_MAX: usize = 10_000;
/// Tests in one rule.
const TESTS_MAX: usize = 64;
/// How deep conditions nest.
const DEPTH_MAX: usize = 16;
/// Constants in one test.
const CONSTANTS_MAX: usize = 256;
/// Rules one rule may override.
const OVERRIDES_MAX: usize = 64;
/// Attributes all rules together may ask for, and texts sets are asked to contain.
const ASKED_MAX: usize = 4_096;
/// Problems that are told; with as many, the rest can wait.
const PROBLEMS_MAX: usize = 100;
/// Bytes of one constant, and of a rule's id.
const TEXT_BYTES_MAX: usize = 256;

/// Begins the ids of guardrails, so that a new one never meets a tenant's.
pub const GUARDRAIL_PREFIX: &str = "platform.";

/// A rule and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Enacted {
    /// The rule.
    pub rule: Rule,
    /// Who gave it.
    pub origin: Origin,
}

/// Who gave a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The tenant, in a policy file.
    Tenant {
        /// The file, relative to the tenant's folder.
        file: &'static str,
        /// Its place in the file's list.
        index: usize,
    },
    /// The platform: a guardrail, above every tenant.
    Platform,
}

impl Enacted {
    /// True for a guardrail.
    #[must_use]
    pub fn is_guardrail(&self) -> bool {
        self.origin == Origin::Platform
    }

    /// True where this rule takes precedence over the other by its own declaration.
    #[must_use]
    pub fn overrides(&self, other: &Self) -> bool {
        !other.is_guardrail() && self.rule.overrides.contains(&other.rule.id)
    }

    /// True where this permits what the other would forbid, for this action.
    #[must_use]
    pub fn lifts(&self, other: &Self, action: Action) -> bool {
        self.rule.effect == Effect::Permit
            && other.rule.effect == Effect::Forbid
            && self.rule.actions.contains(&action)
            && self.overrides(other)
    }
}

/// Something wrong with a rule: which, where in it, and what.
pub type Problem = (usize, String, String);

/// Everything wrong with these rules, as (index, key path within the rule, problem).
#[must_use]
pub fn problems(rules: &[Enacted]) -> Vec<Problem> {
    let mut found = Vec::new();
    if rules.len() > RULES_MAX {
        found.push((
            RULES_MAX,
            String::new(),
            format!("{} rules are too many: write at most {RULES_MAX}", rules.len()),
        ));
        return found;
    }
    let mut asked = BTreeSet::new();
    for condition in rules.iter().filter_map(|enacted| enacted.rule.when.as_ref()) {
        condition.each_test(&mut |attribute, test| {
            asked.insert((attribute, if let Test::Contains(text) = test { text.as_str() } else { "" }));
        });
    }
    if asked.len() > ASKED_MAX {
        let problem = format!("the rules ask for {} attributes: more than {ASKED_MAX} are not told apart", asked.len());
        found.push((0, "when".into(), problem));
        return found;
    }
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, enacted) in rules.iter().enumerate() {
        if found.len() >= PROBLEMS_MAX {
            return found;
        }
        let mut note = |path: &str, problem: String| found.push((index, path.to_owned(), problem));
        head(enacted, &mut note);
        if by_id.insert(&enacted.rule.id, index).is_some() {
            note("id", format!("the rule {:?} is there twice: give every rule an id of its own", enacted.rule.id));
        }
        if let Some(condition) = &enacted.rule.when {
            self::condition(&enacted.rule, condition, &mut note);
        }
    }
    for (index, enacted) in rules.iter().enumerate() {
        if found.len() >= PROBLEMS_MAX {
            return found;
        }
        let mut note = |path: &str, problem: String| found.push((index, path.to_owned(), problem));
        precedence(enacted, rules, &by_id, &mut note);
    }
    found
}

fn head(enacted: &Enacted, note: &mut impl FnMut(&str, String)) {
    let rule = &enacted.rule;
    let letters = rule.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if rule.id.is_empty() || rule.id.len() > TEXT_BYTES_MAX || !letters {
        note("id", format!("{:?} is no id of a rule: write letters, digits, hyphens, dots and underscores", rule.id));
    }
    if rule.id.starts_with(GUARDRAIL_PREFIX) && !enacted.is_guardrail() {
        note("id", format!("an id that begins with {GUARDRAIL_PREFIX:?} is a guardrail's: call the rule otherwise"));
    }
    if rule.actions.is_empty() {
        let known: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        note("actions", format!("the rule is about nothing: write at least one of {}", known.join(", ")));
    }
    if rule.actions.iter().collect::<BTreeSet<_>>().len() < rule.actions.len() {
        note("actions", "an action stands here twice: keep one".into());
    }
    if let Some((obligation, action)) = rule
        .obligation
        .as_ref()
        .and_then(|obligation| Some((obligation, rule.actions.iter().find(|action| !obligation.is_met_by(**action))?)))
    {
        let written = serde_json::json!(obligation);
        note("obligation", format!("nothing that is said to {action} could meet {written}: remove that action"));
    }
    if let Some(problem) = rule.obligation.as_ref().and_then(Obligation::problem) {
        note("obligation", problem.into());
    }
    match (rule.effect, &rule.obligation) {
        (Effect::Require, None) => note("effect", "a rule that requires names its `obligation`: add it".into()),
        (Effect::Permit | Effect::Forbid, Some(_)) => {
            note(
                "obligation",
                "only a rule with `effect: require` has an obligation: make it a rule of its own".into(),
            );
        }
        _ => {}
    }
    if enacted.is_guardrail() && rule.effect == Effect::Permit {
        note("effect", "a guardrail narrows and never permits: write forbid or require".into());
    }
}

fn precedence(
    enacted: &Enacted,
    rules: &[Enacted],
    by_id: &BTreeMap<&str, usize>,
    note: &mut impl FnMut(&str, String),
) {
    let overrides = &enacted.rule.overrides;
    if overrides.len() > OVERRIDES_MAX {
        return note(
            "overrides",
            format!("{} rules are too many to override: write at most {OVERRIDES_MAX}", overrides.len()),
        );
    }
    if overrides.is_empty() {
        return;
    }
    let known: Vec<_> = by_id.keys().copied().collect();
    for (place, id) in overrides.iter().enumerate() {
        let path = format!("overrides[{place}]");
        let Some(other) = by_id.get(id.as_str()).and_then(|index| rules.get(*index)) else {
            note(&path, format!("there is no rule {id:?}: {}", advice(id, &known)));
            continue;
        };
        let opposite = matches!(
            (enacted.rule.effect, other.rule.effect),
            (Effect::Permit, Effect::Forbid) | (Effect::Forbid, Effect::Permit)
        );
        if other.is_guardrail() {
            note(&path, format!("{id:?} is a guardrail of the platform, and nothing overrides it: remove it here"));
        } else if !opposite {
            note(&path, format!("{id:?} has no opposite effect: name a forbid in a permit, or a permit in a forbid"));
        } else if !enacted.rule.actions.iter().any(|action| other.rule.actions.contains(action)) {
            note(&path, format!("{id:?} is about other actions: remove it here, or add an action"));
        } else if enacted.rule.effect == Effect::Permit && other.overrides(enacted) {
            note(&path, format!("{id:?} overrides this rule as well: keep one of the two declarations"));
        }
    }
}

fn condition(rule: &Rule, condition: &Condition, note: &mut impl FnMut(&str, String)) {
    if condition.tests() > TESTS_MAX {
        note("when", format!("{} tests are too many for one rule: write at most {TESTS_MAX}", condition.tests()));
    } else if depth(condition) > DEPTH_MAX {
        note("when", format!("the condition nests deeper than {DEPTH_MAX}: split the rule"));
    } else {
        part(rule, condition, "when", note);
    }
}

fn depth(condition: &Condition) -> usize {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().map(depth).max().unwrap_or_default().saturating_add(1)
        }
        Condition::Not(part) => depth(part).saturating_add(1),
        Condition::Is { .. } => 1,
    }
}

fn part(rule: &Rule, condition: &Condition, path: &str, note: &mut impl FnMut(&str, String)) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) if parts.is_empty() => {
            note(path, "an empty list of conditions says nothing: fill it or remove it".into());
        }
        Condition::All(parts) | Condition::Any(parts) => {
            let word = if matches!(condition, Condition::All(_)) { "all" } else { "any" };
            for (index, inner) in parts.iter().enumerate() {
                part(rule, inner, &format!("{path}.{word}[{index}]"), note);
            }
        }
        Condition::Not(inner) => part(rule, inner, &format!("{path}.not"), note),
        Condition::Is { attribute, test } => {
            let path = format!("{path}.{attribute}");
            match attributes::find(attribute) {
                Err(problem) => note(&path, problem),
                Ok(found) => {
                    if let Some(action) = rule.actions.iter().find(|action| !found.belongs_to(**action)) {
                        note(&path, format!("a request to {action} has no {attribute}: make a rule for the others"));
                    }
                    if let Err(problem) = fits(found, test) {
                        note(&path, problem);
                    }
                }
            }
        }
    }
}

/// Whether a test can be asked of an attribute.
fn fits(attribute: Attribute, test: &Test) -> Result<(), String> {
    match (test, attribute.kind) {
        (Test::Present(_), _) if attribute.optional => Ok(()),
        (Test::Present(_), _) => Err("every request has this attribute: remove the test".into()),
        (Test::Contains(text), Kind::Texts) if text.contains('*') => {
            Err(format!("{text:?} is looked for as it stands: a set is not searched by beginnings, remove the `*`"))
        }
        (Test::Contains(text), Kind::Texts) => text_fits(text),
        (Test::Contains(_), _) => Err("only a set contains something: compare the value itself".into()),
        (Test::AnyOf(_), Kind::Texts) => Err("this is a set: ask what it `contains`".into()),
        (Test::Between { at_least, at_most }, Kind::Number(low, high)) => {
            between(at_least.unwrap_or(low), at_most.unwrap_or(high), low, high)
        }
        (Test::Between { .. }, _) => {
            Err("this is no number, and has no `at_least` or `at_most`: compare values".into())
        }
        (Test::AnyOf(constants), kind) => {
            if constants.is_empty() || constants.len() > CONSTANTS_MAX {
                return Err(format!("{} values are out of range: write 1 to {CONSTANTS_MAX}", constants.len()));
            }
            constants.iter().try_for_each(|constant| constant_fits(constant, kind))
        }
    }
}

fn between(at_least: i64, at_most: i64, low: i64, high: i64) -> Result<(), String> {
    if at_least > at_most {
        return Err(format!("no number is at least {at_least} and at most {at_most}: exchange them"));
    }
    if at_least < low || at_most > high {
        return Err(format!("this attribute lies between {low} and {high}: write bounds within"));
    }
    Ok(())
}

fn constant_fits(constant: &Scalar, kind: Kind) -> Result<(), String> {
    match (constant, kind) {
        (Scalar::Text(text), Kind::Text) => text_fits(text),
        (Scalar::Text(text), Kind::Choice(known)) => {
            if known.contains(&text.as_str()) {
                Ok(())
            } else {
                Err(format!("unknown value {text:?}: {}", advice(text, known)))
            }
        }
        (Scalar::Number(number), Kind::Number(low, high)) => between(*number, *number, low, high),
        (Scalar::Flag(_), Kind::Flag) => Ok(()),
        (_, Kind::Number(..)) => Err("this is a number: write a whole number".into()),
        (_, Kind::Flag) => Err("this is a yes or no: write true or false".into()),
        (_, Kind::Text | Kind::Choice(_) | Kind::Texts) => Err("this is a text: write it in quotes".into()),
    }
}

fn text_fits(text: &str) -> Result<(), String> {
    let (Pattern::Exactly(fixed) | Pattern::Prefix(fixed)) = Pattern::of(text);
    if fixed.contains('*') {
        return Err(format!("{text:?} has a `*` before its end, where it would stand for itself: only the last may"));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("the text is longer than {TEXT_BYTES_MAX} bytes: shorten it"));
    }
    Ok(())
}
