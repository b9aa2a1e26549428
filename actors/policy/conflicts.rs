//! Conflicts between rules: all of them, within the fragment the language is, each with a request that shows it.
//!
//! What is found is defined by the engine's decisions, not by how rules look: two rules overlap when a request matches
//! both, a rule is redundant when no decision changes without it. `forbidden_patterns` and other free texts are outside
//! the fragment and not analysed.
use crate::evaluate::{Engine, Matcher, Refusal, Ruling};
use crate::language::checks::Enacted;
use crate::language::{Action, Effect, Facts};
use crate::obligations::Obligation;
use crate::regions::boxes::{Box, Steps, TooComplicated, difference, uncovered};
use crate::regions::space::{Regions, Space};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Conflicts that are told one by one; the rest is counted.
pub const CONFLICTS_MAX: usize = 1_000;
/// Work for all questions about all rules: some seconds.
const STEPS_MAX: u64 = 60_000_000;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request lacks what the rule asks for, and is refused for it.
    CanError,
    /// No request matches the rule.
    NeverMatches,
    /// A permit and a forbid match the same request, and neither says that it overrides the other.
    Overlap,
    /// Whatever the rule matches is decided by stronger rules.
    Shadowed,
    /// A permit reaches into what a guardrail of the platform forbids, where the guardrail stands.
    WeakerThanGuardrail,
    /// Every decision is the same without the rule.
    Redundant,
    /// The rule and those it meets are too complicated to be analysed.
    TooComplicated,
}

impl Kind {
    /// True where a policy with this conflict does not come into force.
    #[must_use]
    pub fn refuses(self) -> bool {
        !matches!(self, Self::WeakerThanGuardrail | Self::Redundant)
    }
}

/// One conflict.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Conflict {
    /// What is wrong.
    pub kind: Kind,
    /// The rule it is told about.
    pub rule: String,
    /// The other rule, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// For these actions.
    pub actions: Vec<Action>,
    /// A request that shows it, to be asked for the first action; none where no request can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Facts>,
    /// Lower case: what is wrong and what to do.
    pub problem: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        let (Some(action), Some(example)) = (self.actions.first(), &self.example) else { return Ok(()) };
        let example = serde_json::to_string(example).map_err(|_unwritable| fmt::Error)?;
        write!(f, "; for example: {action} with {example}")
    }
}

/// All conflicts of a set of rules.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Conflicts {
    /// At most [`CONFLICTS_MAX`], those that refuse first.
    pub found: Vec<Conflict>,
    /// How many more there are, at least.
    pub more: usize,
}

/// Finds every conflict of checked rules.
#[must_use]
pub fn conflicts(rules: &[Enacted]) -> Conflicts {
    let mut analysis = Analysis { action: Action::Ask, found: BTreeMap::new(), more: 0, steps: Steps::new(STEPS_MAX) };
    for action in Action::ALL {
        let concerned: Vec<_> = rules.iter().filter(|enacted| enacted.rule.actions.contains(&action)).collect();
        analysis.action = action;
        analysis.run(&concerned);
    }
    let mut found: Vec<Conflict> = analysis.found.into_values().collect();
    found.sort_by_key(|conflict| !conflict.kind.refuses());
    Conflicts { found, more: analysis.more }
}

type Gathered = BTreeMap<(Kind, String, Option<String>), Conflict>;

/// One rule with the requests it matches.
struct Judged<'a> {
    enacted: &'a Enacted,
    regions: Regions,
    /// Of a forbid: what no permit that overrides it lets through. Of others: what they match.
    effective: Vec<Box>,
}

struct Analysis {
    action: Action,
    found: Gathered,
    more: usize,
    steps: Steps,
}

impl Analysis {
    fn run(&mut self, rules: &[&Enacted]) {
        let space = Space::of(rules.iter().map(|enacted| &enacted.rule));
        let mut judged = Vec::with_capacity(rules.len());
        for enacted in rules {
            match space.regions(&enacted.rule) {
                Ok(regions) => judged.push(Judged { enacted, effective: regions.holds.clone(), regions }),
                Err(TooComplicated) => self.note(Kind::TooComplicated, enacted, None, None),
            }
        }
        if judged.len() < rules.len() || !self.narrow(&mut judged, &space) {
            return;
        }
        let mut errs = false;
        for rule in &judged {
            let err = rule.regions.errs.first();
            errs |= err.is_some();
            if let Some(err) = err {
                self.note(Kind::CanError, rule.enacted, None, Some(space.sample(err)));
            }
            if rule.regions.holds.is_empty() {
                self.note(Kind::NeverMatches, rule.enacted, None, None);
            }
        }
        let permits: Vec<_> = judged.iter().filter(|rule| rule.is(Effect::Permit)).collect();
        let forbids: Vec<_> = judged.iter().filter(|rule| rule.is(Effect::Forbid)).collect();
        self.overlaps(&permits, &forbids, &space);
        // what a rule contributes can be said only where every rule can be judged
        if !errs {
            let world = World { judged: &judged, permits, forbids, lengths: space.lengths() };
            for rule in judged.iter().filter(|rule| !rule.enacted.is_guardrail()) {
                if !self.weigh(rule, &world, &space) {
                    return;
                }
            }
        }
    }

    /// Takes out of every forbid what overriding permits let through; false where that is too complicated.
    fn narrow(&mut self, judged: &mut [Judged<'_>], space: &Space) -> bool {
        let mut all = true;
        for at in 0..judged.len() {
            let Some(forbid) = judged.get(at) else { continue };
            if !forbid.is(Effect::Forbid) {
                continue;
            }
            let lifting: Vec<_> = judged
                .iter()
                .filter(|other| other.enacted.lifts(forbid.enacted, self.action))
                .flat_map(|permit| &permit.regions.holds)
                .collect();
            let looked = self.steps.take(judged.len());
            if lifting.is_empty() && looked.is_ok() {
                continue;
            }
            let left = looked
                .and_then(|()| difference(forbid.regions.holds.clone(), &lifting, space.lengths(), &mut self.steps));
            match (left, judged.get_mut(at)) {
                (Ok(left), Some(forbid)) => forbid.effective = left,
                (Err(TooComplicated), Some(forbid)) => {
                    let enacted = forbid.enacted;
                    self.note(Kind::TooComplicated, enacted, None, None);
                    all = false;
                }
                (_, None) => {}
            }
        }
        all
    }

    fn overlaps(&mut self, permits: &[&Judged<'_>], forbids: &[&Judged<'_>], space: &Space) {
        for permit in permits {
            let pairs = forbids.iter().map(|forbid| forbid.regions.holds.len()).sum::<usize>();
            if self.steps.take(pairs.saturating_mul(permit.regions.holds.len().max(1))).is_err() {
                return self.note(Kind::TooComplicated, permit.enacted, None, None);
            }
            for forbid in forbids {
                let declared = permit.enacted.overrides(forbid.enacted) || forbid.enacted.overrides(permit.enacted);
                if declared {
                    continue;
                }
                let Some(both) = meeting(&permit.regions.holds, &forbid.regions.holds) else { continue };
                let kind = if forbid.enacted.is_guardrail() { Kind::WeakerThanGuardrail } else { Kind::Overlap };
                self.note(kind, permit.enacted, Some(forbid.enacted), Some(space.sample(&both)));
            }
        }
    }

    /// Says what a rule contributes where that is nothing; false where no work is left to find out.
    fn weigh(&mut self, rule: &Judged<'_>, world: &World<'_>, space: &Space) -> bool {
        let Some(example) = rule.regions.holds.first() else { return true };
        let weight = match rule.enacted.rule.effect {
            Effect::Permit => world.permit(rule, self.action, &mut self.steps),
            Effect::Forbid => world.forbid(rule, &mut self.steps),
            Effect::Require => world.require(rule, &mut self.steps),
        };
        let kind = match weight {
            Ok(Weight::Decides) => return true,
            Ok(Weight::Shadowed) => Kind::Shadowed,
            Ok(Weight::Redundant) => Kind::Redundant,
            Err(TooComplicated) => Kind::TooComplicated,
        };
        self.note(kind, rule.enacted, None, Some(space.sample(example)));
        kind != Kind::TooComplicated
    }

    fn note(&mut self, kind: Kind, rule: &Enacted, with: Option<&Enacted>, example: Option<Facts>) {
        let key = (kind, rule.rule.id.clone(), with.map(|other| other.rule.id.clone()));
        let action = self.action;
        if self.found.len() >= CONFLICTS_MAX && !self.found.contains_key(&key) {
            self.more = self.more.saturating_add(1);
            // a conflict that refuses is told before any that does not
            let milder = self.found.keys().rev().find(|(known, ..)| kind.refuses() && !known.refuses()).cloned();
            if milder.and_then(|milder| self.found.remove(&milder)).is_none() {
                if kind.refuses() {
                    // as many refuse as are told: nothing more needs to be known
                    self.steps = Steps::new(0);
                }
                return;
            }
        }
        self.found.entry(key).and_modify(|known| known.actions.push(action)).or_insert_with(|| Conflict {
            kind,
            rule: rule.rule.id.clone(),
            with: with.map(|other| other.rule.id.clone()),
            actions: vec![action],
            example,
            problem: problem(kind, &rule.rule.id, with),
        });
    }
}

fn problem(kind: Kind, rule: &str, with: Option<&Enacted>) -> String {
    let other = with.map_or("", |other| other.rule.id.as_str());
    match kind {
        Kind::CanError => format!(
            "the rule {rule:?} asks for an attribute this request lacks, and refuses it for that: ask `present: true` first"
        ),
        Kind::NeverMatches => format!("no request matches the rule {rule:?}: correct its condition or remove it"),
        Kind::Overlap => format!(
            "the rule {rule:?} permits what {other:?} forbids: say in one of them that it `overrides` the other, or narrow it"
        ),
        Kind::Shadowed => {
            format!(
                "whatever the rule {rule:?} matches is decided by stronger rules: remove it, or let it override them"
            )
        }
        Kind::WeakerThanGuardrail => {
            format!(
                "the rule {rule:?} permits what the platform's guardrail {other:?} forbids, and the guardrail stands"
            )
        }
        Kind::Redundant => format!("every decision is the same without the rule {rule:?}: remove it"),
        Kind::TooComplicated => {
            format!("the rule {rule:?} is too complicated to be analysed with those it meets: split it")
        }
    }
}

impl Judged<'_> {
    fn is(&self, effect: Effect) -> bool {
        self.enacted.rule.effect == effect
    }

    fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.enacted, other.enacted)
    }
}

/// What a rule contributes.
enum Weight {
    Decides,
    Shadowed,
    Redundant,
}

struct World<'a> {
    judged: &'a [Judged<'a>],
    permits: Vec<&'a Judged<'a>>,
    forbids: Vec<&'a Judged<'a>>,
    lengths: &'a [u32],
}

impl World<'_> {
    fn covered(&self, whole: &Box, covers: &[&Box], steps: &mut Steps) -> Result<bool, TooComplicated> {
        steps.take(covers.len())?;
        let near: Vec<_> = covers.iter().copied().filter(|cover| cover.meets(whole)).collect();
        uncovered(whole, &near, self.lengths, steps).map(|left| left.is_none())
    }

    fn permit(&self, permit: &Judged<'_>, action: Action, steps: &mut Steps) -> Result<Weight, TooComplicated> {
        let forbidden: Vec<_> = self.forbids.iter().flat_map(|forbid| &forbid.effective).collect();
        let others: Vec<_> =
            self.permits.iter().filter(|other| !other.is_same(permit)).flat_map(|other| &other.regions.holds).collect();
        let mut shadowed = true;
        for part in &permit.regions.holds {
            shadowed &= self.covered(part, &forbidden, steps)?;
            let known: Vec<_> = forbidden.iter().chain(&others).copied().collect();
            if !self.covered(part, &known, steps)? {
                return Ok(Weight::Decides);
            }
        }
        if shadowed {
            return Ok(Weight::Shadowed);
        }
        for forbid in self.forbids.iter().filter(|forbid| permit.enacted.lifts(forbid.enacted, action)) {
            let lifting = self
                .permits
                .iter()
                .filter(|other| !other.is_same(permit) && other.enacted.lifts(forbid.enacted, action));
            let known: Vec<_> =
                forbidden.iter().copied().chain(lifting.flat_map(|other| &other.regions.holds)).collect();
            for part in meetings(&permit.regions.holds, &forbid.regions.holds) {
                if !self.covered(&part, &known, steps)? {
                    return Ok(Weight::Decides);
                }
            }
        }
        Ok(Weight::Redundant)
    }

    fn forbid(&self, forbid: &Judged<'_>, steps: &mut Steps) -> Result<Weight, TooComplicated> {
        if forbid.effective.is_empty() {
            return Ok(Weight::Shadowed);
        }
        let others: Vec<_> =
            self.forbids.iter().filter(|other| !other.is_same(forbid)).flat_map(|other| &other.effective).collect();
        self.decides(&forbid.effective, &others, steps)
    }

    fn require(&self, require: &Judged<'_>, steps: &mut Steps) -> Result<Weight, TooComplicated> {
        for part in require.enacted.rule.obligation.iter().flat_map(Obligation::parts) {
            let implies = |other: &&Judged<'_>| {
                let obligation = other.enacted.rule.obligation.as_ref();
                !other.is_same(require) && obligation.is_some_and(|other| other.implies(&part))
            };
            let others: Vec<_> = self
                .judged
                .iter()
                .filter(implies)
                .flat_map(|other| &other.regions.holds)
                .chain(self.forbids.iter().flat_map(|forbid| &forbid.effective))
                .collect();
            if let Weight::Decides = self.decides(&require.regions.holds, &others, steps)? {
                return Ok(Weight::Decides);
            }
        }
        Ok(Weight::Redundant)
    }

    /// Whether something of the boxes is permitted and in none of the others.
    fn decides(&self, boxes: &[Box], others: &[&Box], steps: &mut Steps) -> Result<Weight, TooComplicated> {
        for permit in &self.permits {
            steps.take(boxes.len().saturating_mul(permit.regions.holds.len()))?;
            for part in meetings(boxes, &permit.regions.holds) {
                if !self.covered(&part, others, steps)? {
                    return Ok(Weight::Decides);
                }
            }
        }
        Ok(Weight::Redundant)
    }
}

fn meetings<'a>(ones: &'a [Box], others: &'a [Box]) -> impl Iterator<Item = Box> + 'a {
    ones.iter().flat_map(move |one| others.iter().filter_map(move |other| one.and(other)))
}

fn meeting(ones: &[Box], others: &[Box]) -> Option<Box> {
    let near = |one: &Box| others.iter().find(|other| one.meets(other)).and_then(|other| one.and(other));
    ones.iter().find_map(near)
}

impl Conflict {
    /// True where the others have one of this kind about the same rules.
    #[must_use]
    pub fn is_in(&self, others: &Conflicts) -> bool {
        let same = |other: &Self| (other.kind, &other.rule, &other.with) == (self.kind, &self.rule, &self.with);
        others.found.iter().any(same)
    }

    /// Asks the running engine whether the example shows the conflict. `rules` are those it was found in.
    #[must_use]
    pub fn is_confirmed(&self, rules: &[Enacted]) -> bool {
        let (Some(action), Some(example)) = (self.actions.first(), &self.example) else {
            return matches!(self.kind, Kind::NeverMatches | Kind::TooComplicated);
        };
        let (Ok(engine), Ok(matcher)) = (Engine::compile(rules.to_vec()), Matcher::compile(rules)) else {
            return false;
        };
        let matching = matcher.matching(*action, example);
        let matches = |id: &str| matching.contains(&id);
        let ruling = engine.decide(*action, example);
        match self.kind {
            Kind::NeverMatches | Kind::TooComplicated => true,
            Kind::CanError => {
                matches!(&ruling, Ruling::Refused(Refusal::Unjudged(rules)) if rules.iter().any(|found| found.rule.id == self.rule))
            }
            Kind::Overlap | Kind::WeakerThanGuardrail => {
                matches(&self.rule) && self.with.as_deref().is_some_and(matches)
            }
            Kind::Shadowed | Kind::Redundant => {
                let others = rules.iter().filter(|enacted| enacted.rule.id != self.rule).cloned().collect();
                let without = Engine::compile(others).map(|engine| engine.decide(*action, example).outcome());
                matches(&self.rule) && without.is_ok_and(|without| without == ruling.outcome())
            }
        }
    }
}

#[cfg(test)]
#[path = "conflicts_tests.rs"]
mod tests;
#[cfg(test)]
pub(crate) use tests::everything;
