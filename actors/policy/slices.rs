//! Which rules of an action are evaluated for a request (Cedar's manual calls it policy slicing).
//!
//! A condition tries its parts in their order, and the first that does not hold decides. A rule is therefore filed under
//! the constants one such part compares an attribute with: a request that says something else cannot match it.
//!
//! Owns: the Cedar policies of one action.
//! Never: judges a rule; whatever may hold is left to Cedar.
//! Invariants: what is left out would not hold, and Cedar would say so without an error. A rule is filed by a part that
//! compares with constants exactly, no part tried before it can err, and where it errs itself because the attribute is
//! absent, the rule is filed under its absence as well. What cannot err is told by the attributes' types: a request
//! that does not keep to them has every rule evaluated.
use crate::evaluate::NotCompiled;
use crate::language::attributes::{Attribute, Kind, find};
use crate::language::checks::Enacted;
use crate::language::condition::{Pattern, Scalar};
use crate::language::{Condition, Fact, Facts, Test};
use cedar_policy::{Policy, PolicySet};
use std::collections::{BTreeMap, BTreeSet};

/// Values one rule is filed under; with more it is evaluated for every request. A rule's place in the files takes no
/// more room than a test of as many constants.
const VALUES_MAX: usize = 128;

/// The policies of one action, filed.
#[derive(Clone, Default)]
pub struct Slices {
    always: PolicySet,
    /// Policies that are filed under the same values are evaluated together.
    filed: Vec<PolicySet>,
    attributes: BTreeMap<String, Drawer>,
}

/// What is filed by one attribute that rules ask for: places in [`Slices::filed`].
#[derive(Clone, Default)]
struct Drawer {
    /// `None` where the language has no such attribute: nothing is filed by it.
    known: Option<Attribute>,
    absent: Vec<usize>,
    equal: BTreeMap<Fact, Vec<usize>>,
}

/// Values of one attribute without which a rule surely does not hold; `None` stands for its absence.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    attribute: &'a str,
    values: BTreeSet<Option<Fact>>,
}

impl Slices {
    /// Files the policies of an action, each with the rule it was made of.
    ///
    /// # Errors
    /// [`NotCompiled`] where a rule comes twice.
    pub fn file(policies: Vec<(&Enacted, Policy)>) -> Result<Self, NotCompiled> {
        let mut slices = Self::default();
        let mut told_apart: BTreeMap<&str, BTreeSet<Option<Fact>>> = BTreeMap::new();
        let mut candidates = Vec::with_capacity(policies.len());
        for (enacted, policy) in policies {
            let places = enacted.rule.when.as_ref().map(|when| slices.places(when)).unwrap_or_default();
            for place in &places {
                told_apart.entry(place.attribute).or_default().extend(place.values.iter().cloned());
            }
            candidates.push((enacted, policy, places));
        }
        // one more for whatever no rule names
        let known =
            |place: &Place<'_>| told_apart.get(place.attribute).map_or(1, |values| values.len().saturating_add(1));
        let mut sets: BTreeMap<Option<Place<'_>>, PolicySet> = BTreeMap::new();
        for (enacted, policy, places) in candidates {
            // the smallest share of the values that rules tell apart: the fewest requests to evaluate the rule for
            let narrowest = places.into_iter().min_by(|one, other| {
                let shares = [(one, other), (other, one)].map(|(own, its)| own.values.len().saturating_mul(known(its)));
                let [one, other] = shares;
                one.cmp(&other)
            });
            sets.entry(narrowest)
                .or_default()
                .add(policy)
                .map_err(|error| NotCompiled { rule: enacted.rule.id.clone(), problem: error.to_string() })?;
        }
        for (place, set) in sets {
            slices.insert(place, set);
        }
        Ok(slices)
    }

    fn insert(&mut self, place: Option<Place<'_>>, set: PolicySet) {
        let Some(Place { attribute, values }) = place else {
            self.always = set;
            return;
        };
        let drawer = self.attributes.entry(attribute.to_owned()).or_default();
        for value in values {
            let places = match value {
                None => &mut drawer.absent,
                Some(fact) => drawer.equal.entry(fact).or_default(),
            };
            places.push(self.filed.len());
        }
        self.filed.push(set);
    }

    /// True where a rule asks for this attribute.
    #[must_use]
    pub fn ask(&self, attribute: &str) -> bool {
        self.attributes.contains_key(attribute)
    }

    /// The policies that may hold for a request, or err.
    #[must_use]
    pub fn of(&self, facts: &Facts) -> Vec<&PolicySet> {
        let mut places = Vec::new();
        for (attribute, drawer) in &self.attributes {
            let fact = facts.get(attribute);
            if drawer.known.is_some_and(|known| !known.admits(fact)) {
                return self.all();
            }
            let here = fact.map_or(Some(&drawer.absent), |fact| drawer.equal.get(fact));
            places.extend(here.into_iter().flatten().filter_map(|place| self.filed.get(*place)));
        }
        places.extend((!self.always.is_empty()).then_some(&self.always));
        places
    }

    /// Every policy.
    #[must_use]
    pub fn all(&self) -> Vec<&PolicySet> {
        std::iter::once(&self.always).chain(&self.filed).collect()
    }

    /// Where a rule with this condition may be filed. Notes every attribute that is asked for.
    fn places<'a>(&mut self, condition: &'a Condition) -> Vec<Place<'a>> {
        condition.each_test(&mut |attribute, _| {
            if !self.ask(attribute) {
                let drawer = Drawer { known: find(attribute).ok(), ..Drawer::default() };
                self.attributes.insert(attribute.to_owned(), drawer);
            }
        });
        let mut places = Vec::new();
        self.surely_answers(condition, &mut BTreeSet::new(), &mut places);
        places
    }

    /// Whether a condition holds or does not for every request that keeps to the attributes' types. Adds where it may be
    /// filed, and what is surely `present` once it has held.
    fn surely_answers<'a>(
        &self,
        condition: &'a Condition,
        present: &mut BTreeSet<&'a str>,
        places: &mut Vec<Place<'a>>,
    ) -> bool {
        // what is below `any` and `not` need not hold: nothing is filed by it, and nothing learned from it
        let aside = |part: &'a Condition| self.surely_answers(part, &mut present.clone(), &mut Vec::new());
        match condition {
            Condition::All(parts) => parts.iter().all(|part| self.surely_answers(part, present, places)),
            Condition::Any(parts) => parts.iter().all(aside),
            Condition::Not(part) => aside(part),
            Condition::Is { attribute, test } => {
                let Some(known) = self.attributes.get(attribute).and_then(|drawer| drawer.known) else { return false };
                let errs_absent =
                    known.optional && !present.contains(attribute.as_str()) && !matches!(test, Test::Present(_));
                if let Some(mut values) = values(test, known.kind) {
                    values.extend(errs_absent.then_some(None));
                    places.push(Place { attribute, values });
                }
                if *test == Test::Present(true) {
                    present.insert(attribute);
                }
                !errs_absent && fits(test, known.kind)
            }
        }
    }
}

/// The values that pass a test, if they can be counted.
fn values(test: &Test, kind: Kind) -> Option<BTreeSet<Option<Fact>>> {
    match (test, kind) {
        (Test::Present(false), _) => Some(BTreeSet::from([None])),
        (Test::AnyOf(scalars), _) if scalars.len() <= VALUES_MAX => {
            scalars.iter().map(|scalar| Some(Some(exactly(scalar)?))).collect()
        }
        (Test::Between { at_least, at_most }, Kind::Number(low, high)) => {
            let numbers = at_least.unwrap_or(low)..=at_most.unwrap_or(high);
            let values: BTreeSet<_> = numbers.take(VALUES_MAX + 1).map(|number| Some(Fact::Number(number))).collect();
            (values.len() <= VALUES_MAX).then_some(values)
        }
        _ => None,
    }
}

/// The one value that equals a constant.
fn exactly(scalar: &Scalar) -> Option<Fact> {
    match scalar {
        Scalar::Number(number) => Some(Fact::Number(*number)),
        Scalar::Flag(flag) => Some(Fact::Flag(*flag)),
        Scalar::Text(text) => match Pattern::of(text) {
            Pattern::Exactly(text) => Some(Fact::Text(text.to_owned())),
            Pattern::Prefix(_) => None,
        },
    }
}

/// Whether Cedar can ask this of a value of this type; it compares any two for equality.
fn fits(test: &Test, kind: Kind) -> bool {
    match test {
        Test::Present(_) => true,
        Test::Between { .. } => matches!(kind, Kind::Number(..)),
        Test::Contains(_) => kind == Kind::Texts,
        Test::AnyOf(scalars) => {
            matches!(kind, Kind::Text | Kind::Choice(_)) || scalars.iter().all(|scalar| exactly(scalar).is_some())
        }
    }
}

#[cfg(test)]
#[path = "slices_tests.rs"]
mod tests;
