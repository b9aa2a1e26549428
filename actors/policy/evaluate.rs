//! The running engine: rules compiled to Cedar, filed for each action, and what it rules on a request.
//!
//! Cedar is asked with the facts as its context. A policy that cannot be evaluated, because a fact is absent, denies the
//! request: Cedar itself would skip it, which for a forbidding rule means to let pass.
use crate::language::checks::Enacted;
use crate::language::condition::{Pattern, Scalar};
use crate::language::{Action, Condition, Effect, Fact, Facts, Test};
use crate::obligations::Obligations;
use crate::slices::Slices;
use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The rules of one tenant and the guardrails above it, ready to be asked.
#[derive(Clone)]
pub struct Engine {
    authorizer: Authorizer,
    actions: BTreeMap<Action, Slices>,
    nobody: EntityUid,
    /// Cedar's entities: everything a rule may ask is among the facts.
    entities: Entities,
    rules: Vec<Enacted>,
}

/// What Cedar says to a request: the rules that decide it and those that cannot be judged, in their order.
struct Told<'a> {
    deciding: Vec<&'a Enacted>,
    unjudged: Vec<&'a Enacted>,
}

/// What the engine rules.
#[derive(Clone, PartialEq, Debug)]
pub enum Ruling<'a> {
    /// It may be done, and this goes with it.
    Permitted {
        /// The rules that permit it.
        by: Vec<&'a Enacted>,
        /// What goes with it.
        obligations: Obligations,
    },
    /// It may not.
    Refused(Refusal<'a>),
}

/// Why something may not be done.
#[derive(Clone, PartialEq, Debug)]
pub enum Refusal<'a> {
    /// These rules forbid it.
    Forbidden(Vec<&'a Enacted>),
    /// No rule permits it.
    NotPermitted,
    /// These rules cannot be judged: they ask for what this request does not have.
    Unjudged(Vec<&'a Enacted>),
}

/// A ruling without its reasons: what changes for whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It may be done, and this goes with it.
    Permitted(Obligations),
    /// It may not.
    Refused,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::Permitted(obligations) => {
                f.write_str("permitted")?;
                let cap = obligations.cap_tokens.map(|cap| format!("at most {cap} tokens"));
                let sources = obligations.min_sources.map(|sources| format!("at least {sources} sources"));
                let length = obligations.max_answer_characters.map(|most| format!("at most {most} characters"));
                let cite = obligations.cite.then(|| "citations".to_owned());
                let redact = (!obligations.redact.is_empty()).then(|| format!("{} taken out", obligations.redact));
                let log = obligations.log.then(|| "a record".to_owned());
                let approve = obligations.approve.then(|| "somebody's approval".to_owned());
                let with: Vec<_> = [cite, cap, sources, length, redact, log, approve].into_iter().flatten().collect();
                if with.is_empty() { Ok(()) } else { write!(f, " with {}", with.join(" and ")) }
            }
        }
    }
}

impl Ruling<'_> {
    /// The ruling without its reasons.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Permitted { obligations, .. } => Outcome::Permitted(*obligations),
            Self::Refused(_) => Outcome::Refused,
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted => f.write_str("no rule of the policy permits it; ask for a rule that does"),
            Self::Forbidden(rules) => {
                let rule = rules.iter().find(|enacted| !enacted.rule.reason.is_empty()).or(rules.first());
                let (id, reason) =
                    rule.map_or(("", ""), |enacted| (enacted.rule.id.as_str(), enacted.rule.reason.as_str()));
                let above = if rule.is_some_and(|enacted| enacted.is_guardrail()) { "of the platform " } else { "" };
                write!(f, "the rule {id:?} {above}forbids it")?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::Unjudged(rules) => {
                let id = rules.first().map_or("", |enacted| enacted.rule.id.as_str());
                write!(
                    f,
                    "the rule {id:?} asks for what this request does not say, and what cannot be judged is refused"
                )
            }
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

/// Rules that Cedar does not take. Checked rules never come to this.
#[derive(Debug, thiserror::Error)]
#[error("compiling the rule {rule:?} to Cedar: {problem}; write it in another way")]
pub struct NotCompiled {
    /// The rule's id.
    pub rule: String,
    /// What Cedar says.
    pub problem: String,
}

impl Engine {
    /// Compiles checked rules.
    ///
    /// # Errors
    /// [`NotCompiled`].
    pub fn compile(rules: Vec<Enacted>) -> Result<Self, NotCompiled> {
        let mut overriding: BTreeMap<&str, Vec<&Enacted>> = BTreeMap::new();
        for enacted in &rules {
            for other in &enacted.rule.overrides {
                overriding.entry(other).or_default().push(enacted);
            }
        }
        let mut policies: BTreeMap<Action, Vec<(&Enacted, Policy)>> = BTreeMap::new();
        for (index, enacted) in rules.iter().enumerate() {
            let overriding = overriding.get(enacted.rule.id.as_str()).map_or(&[][..], Vec::as_slice);
            for action in &enacted.rule.actions {
                let text = cedar(enacted, *action, overriding);
                let policy = Policy::from_json(Some(PolicyId::new(index.to_string())), text);
                let policy = policy
                    .map_err(|error| NotCompiled { rule: enacted.rule.id.clone(), problem: error.to_string() })?;
                policies.entry(*action).or_default().push((enacted, policy));
            }
        }
        let filed = policies.into_iter().map(|(action, policies)| Ok((action, Slices::file(policies)?)));
        let actions = filed.collect::<Result<_, NotCompiled>>()?;
        let nobody = EntityUid::from_str("Bailiwick::\"nobody\"")
            .map_err(|error| NotCompiled { rule: String::new(), problem: error.to_string() })?;
        Ok(Self { authorizer: Authorizer::new(), actions, nobody, entities: Entities::empty(), rules })
    }

    /// The rules, guardrails among them.
    #[must_use]
    pub fn rules(&self) -> &[Enacted] {
        &self.rules
    }

    /// Rules on one request.
    #[must_use]
    pub fn decide(&self, action: Action, facts: &Facts) -> Ruling<'_> {
        let Some(slices) = self.actions.get(&action) else {
            return Ruling::Refused(Refusal::NotPermitted);
        };
        let Some(request) = self.request(slices, facts) else {
            return Ruling::Refused(Refusal::Unjudged(Vec::new()));
        };
        ruling(self.told(&request, &slices.of(facts)))
    }

    /// What of the facts the rules of an action ask for: requests with equal ones are ruled alike.
    #[must_use]
    pub fn asked(&self, action: Action, facts: &Facts) -> String {
        let Some(slices) = self.actions.get(&action) else { return String::new() };
        let asked = facts.iter().filter(|(attribute, _)| slices.ask(attribute));
        asked.map(|(attribute, fact)| format!("{attribute}={fact:?};")).collect()
    }

    fn request(&self, slices: &Slices, facts: &Facts) -> Option<Request> {
        let asked = facts.iter().filter(|(attribute, _)| slices.ask(attribute));
        let pairs = asked.map(|(attribute, fact)| (attribute.to_owned(), expression(fact)));
        let context = Context::from_pairs(pairs).ok()?;
        Request::new(self.nobody.clone(), self.nobody.clone(), self.nobody.clone(), context, None).ok()
    }

    fn told(&self, request: &Request, sets: &[&PolicySet]) -> Told<'_> {
        let (mut deciding, mut unjudged) = (Vec::new(), Vec::new());
        for set in sets {
            let response = self.authorizer.is_authorized(request, set, &self.entities);
            deciding.extend(response.diagnostics().reason().filter_map(index_of));
            unjudged.extend(response.diagnostics().errors().filter_map(|error| match error {
                AuthorizationError::PolicyEvaluationError(error) => index_of(error.policy_id()),
            }));
        }
        Told { deciding: self.named(deciding), unjudged: self.named(unjudged) }
    }

    /// The rules at these places, in their order.
    fn named(&self, mut indexes: Vec<usize>) -> Vec<&Enacted> {
        indexes.sort_unstable();
        indexes.into_iter().filter_map(|index| self.rules.get(index)).collect()
    }
}

/// As Cedar decides over all policies at once: what cannot be judged is refused, a forbid stands above every permit, and
/// nothing is permitted by nobody.
fn ruling(told: Told<'_>) -> Ruling<'_> {
    if !told.unjudged.is_empty() {
        return Ruling::Refused(Refusal::Unjudged(told.unjudged));
    }
    let of = |effect| told.deciding.iter().copied().filter(move |enacted| enacted.rule.effect == effect);
    let (forbidding, by): (Vec<_>, Vec<_>) = (of(Effect::Forbid).collect(), of(Effect::Permit).collect());
    if !forbidding.is_empty() {
        return Ruling::Refused(Refusal::Forbidden(forbidding));
    }
    if by.is_empty() {
        return Ruling::Refused(Refusal::NotPermitted);
    }
    let mut obligations = Obligations::default();
    told.deciding.iter().filter_map(|enacted| enacted.rule.obligation.as_ref()).for_each(|one| obligations.add(one));
    Ruling::Permitted { by, obligations }
}

/// Which rules match a request at all, told by the same engine: it shows a conflict where rules contradict each other.
pub struct Matcher {
    engine: Engine,
}

impl Matcher {
    /// Compiles the conditions of checked rules.
    ///
    /// # Errors
    /// [`NotCompiled`].
    pub fn compile(rules: &[Enacted]) -> Result<Self, NotCompiled> {
        let plain = rules.iter().cloned().map(|mut enacted| {
            enacted.rule.effect = Effect::Permit;
            enacted
        });
        Engine::compile(plain.collect()).map(|engine| Self { engine })
    }

    /// The ids of the rules whose condition holds.
    #[must_use]
    pub fn matching(&self, action: Action, facts: &Facts) -> Vec<&str> {
        let slices = self.engine.actions.get(&action);
        let Some((slices, request)) = slices.and_then(|slices| Some((slices, self.engine.request(slices, facts)?)))
        else {
            return Vec::new();
        };
        let told = self.engine.told(&request, &slices.of(facts));
        told.deciding.into_iter().map(|enacted| enacted.rule.id.as_str()).collect()
    }
}

fn index_of(id: &PolicyId) -> Option<usize> {
    AsRef::<str>::as_ref(id).parse().ok()
}

fn expression(fact: &Fact) -> RestrictedExpression {
    match fact {
        Fact::Text(text) => RestrictedExpression::new_string(text.clone()),
        Fact::Number(number) => RestrictedExpression::new_long(*number),
        Fact::Flag(flag) => RestrictedExpression::new_bool(*flag),
        Fact::Texts(texts) => {
            RestrictedExpression::new_set(texts.iter().cloned().map(RestrictedExpression::new_string))
        }
    }
}

/// One rule in Cedar's JSON form, so that no constant is ever read as syntax. A forbidding rule leaves out what the
/// permits among those overriding it match.
fn cedar(enacted: &Enacted, action: Action, overriding: &[&Enacted]) -> Value {
    let effect = if enacted.rule.effect == Effect::Forbid { "forbid" } else { "permit" };
    let mut conditions = vec![json!({ "kind": "when", "body": condition(enacted.rule.when.as_ref()) })];
    if enacted.rule.effect == Effect::Forbid {
        let permits = overriding.iter().filter(|other| other.lifts(enacted, action));
        conditions
            .extend(permits.map(|permit| json!({ "kind": "unless", "body": condition(permit.rule.when.as_ref()) })));
    }
    json!({
        "effect": effect,
        "principal": { "op": "All" },
        "action": { "op": "All" },
        "resource": { "op": "All" },
        "conditions": conditions,
    })
}

fn condition(condition: Option<&Condition>) -> Value {
    condition.map_or_else(|| json!({ "Value": true }), written)
}

fn written(condition: &Condition) -> Value {
    match condition {
        Condition::All(parts) => joined("&&", true, parts.iter().map(written)),
        Condition::Any(parts) => joined("||", false, parts.iter().map(written)),
        Condition::Not(part) => json!({ "!": { "arg": written(part) } }),
        Condition::Is { attribute, test } => tested(attribute, test),
    }
}

/// Joined from the left, so that the first that decides is evaluated first.
fn joined(operator: &str, nothing: bool, parts: impl Iterator<Item = Value>) -> Value {
    parts
        .reduce(|left, right| json!({ operator: { "left": left, "right": right } }))
        .unwrap_or_else(|| json!({ "Value": nothing }))
}

fn tested(attribute: &str, test: &Test) -> Value {
    let context = json!({ "Var": "context" });
    let value = json!({ ".": { "left": context, "attr": attribute } });
    let compare = |operator: &str, bound: &Value| json!({ operator: { "left": value, "right": { "Value": bound } } });
    match test {
        Test::Present(true) => json!({ "has": { "left": context, "attr": attribute } }),
        Test::Present(false) => json!({ "!": { "arg": { "has": { "left": context, "attr": attribute } } } }),
        Test::Contains(text) => compare("contains", &json!(text)),
        Test::Between { at_least, at_most } => {
            let bounds = [(">=", at_least), ("<=", at_most)];
            joined(
                "&&",
                true,
                bounds.into_iter().filter_map(|(operator, bound)| Some(compare(operator, &json!((*bound)?)))),
            )
        }
        Test::AnyOf(scalars) => any_of(scalars, &value),
    }
}

fn any_of(scalars: &[Scalar], value: &Value) -> Value {
    let (mut constants, mut patterns) = (Vec::new(), Vec::new());
    for scalar in scalars {
        match scalar {
            Scalar::Number(number) => constants.push(json!({ "Value": number })),
            Scalar::Flag(flag) => constants.push(json!({ "Value": flag })),
            Scalar::Text(text) => match Pattern::of(text) {
                Pattern::Exactly(text) => constants.push(json!({ "Value": text })),
                Pattern::Prefix(prefix) => {
                    patterns.push(json!({ "like": { "left": value, "pattern": [{ "Literal": prefix }, "Wildcard"] } }))
                }
            },
        }
    }
    let equal = match constants.as_slice() {
        [] => None,
        [only] => Some(json!({ "==": { "left": value, "right": only } })),
        _ => Some(json!({ "contains": { "left": { "Set": constants }, "right": value } })),
    };
    joined("||", false, equal.into_iter().chain(patterns))
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
