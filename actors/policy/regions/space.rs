//! All requests for one action, and what part of them a condition matches.
use super::axis::{Axis, Constants};
use super::boxes::{AxisNumber, Box, Steps, TooComplicated};
use super::cells::Cells;
use crate::language::attributes::{self, Kind};
use crate::language::{Condition, Fact, Facts, Rule, Test};
use std::collections::{BTreeMap, BTreeSet};

/// Boxes one condition may come apart into.
pub const BOXES_MAX: usize = 4_096;
const PERMISSIONS: &str = "user.permissions";
/// Between the name of a set and what it is asked to contain; no attribute's name has it.
const CONTAINS: char = '\u{1}';

/// The attributes the rules of one action ask for, cut into cells.
#[derive(Clone, Debug)]
pub struct Space {
    names: BTreeMap<String, AxisNumber>,
    axes: Vec<Axis>,
    lengths: Vec<u32>,
}

/// How a condition parts all requests: disjoint boxes where it holds, where it does not, and where it cannot be judged.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    /// It holds.
    pub holds: Vec<Box>,
    /// It does not.
    pub fails: Vec<Box>,
    /// It asks for an attribute that is absent.
    pub errs: Vec<Box>,
}

/// The axis a test is about: sets have one for every text they are asked to contain.
fn axis_name(attribute: &str, test: &Test) -> String {
    match test {
        Test::Contains(text) => format!("{attribute}{CONTAINS}{text}"),
        _ => attribute.to_owned(),
    }
}

impl Space {
    /// The space in which all of these rules are told apart.
    #[must_use]
    pub fn of<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Self {
        let mut constants: BTreeMap<String, Constants> = BTreeMap::new();
        for condition in rules.into_iter().filter_map(|rule| rule.when.as_ref()) {
            condition.each_test(&mut |attribute, test| {
                let found = attributes::find(attribute);
                let (kind, optional) = found.map_or((Kind::Text, true), |found| (found.kind, found.optional));
                constants
                    .entry(axis_name(attribute, test))
                    .or_insert_with(|| Constants::new(kind, optional))
                    .note(test);
            });
        }
        let mut space = Self { names: BTreeMap::new(), axes: Vec::new(), lengths: Vec::new() };
        for (number, (name, constants)) in (0..).zip(constants) {
            let axis = constants.axis();
            space.lengths.push(axis.cells());
            space.axes.push(axis);
            space.names.insert(name, number);
        }
        space
    }

    fn axis(&self, number: AxisNumber) -> Option<&Axis> {
        usize::try_from(number).ok().and_then(|number| self.axes.get(number))
    }

    /// How many cells every axis has.
    #[must_use]
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// The axes, by attribute.
    pub fn axes(&self) -> impl Iterator<Item = (&str, &Axis)> {
        self.names.iter().filter_map(|(name, number)| Some((name.as_str(), self.axis(*number)?)))
    }

    /// How a rule parts all requests.
    ///
    /// # Errors
    /// [`TooComplicated`] where it comes apart into more than [`BOXES_MAX`] boxes.
    pub fn regions(&self, rule: &Rule) -> Result<Regions, TooComplicated> {
        match &rule.when {
            None => Ok(Regions { holds: vec![Box::all()], ..Regions::default() }),
            Some(condition) => self.parted(condition),
        }
    }

    fn parted(&self, condition: &Condition) -> Result<Regions, TooComplicated> {
        match condition {
            Condition::Not(part) => {
                let Regions { holds, fails, errs } = self.parted(part)?;
                Ok(Regions { holds: fails, fails: holds, errs })
            }
            Condition::All(parts) => {
                let mut whole = Regions { holds: vec![Box::all()], ..Regions::default() };
                for part in parts {
                    let next = self.parted(part)?;
                    whole.fails.extend(product(&whole.holds, &next.fails)?);
                    whole.errs.extend(product(&whole.holds, &next.errs)?);
                    whole.holds = product(&whole.holds, &next.holds)?;
                }
                whole.bounded()
            }
            Condition::Any(parts) => {
                let mut whole = Regions { fails: vec![Box::all()], ..Regions::default() };
                for part in parts {
                    let next = self.parted(part)?;
                    whole.holds.extend(product(&whole.fails, &next.holds)?);
                    whole.errs.extend(product(&whole.fails, &next.errs)?);
                    whole.fails = product(&whole.fails, &next.fails)?;
                }
                whole.bounded()
            }
            Condition::Is { attribute, test } => Ok(self.tested(attribute, test)),
        }
    }

    fn tested(&self, attribute: &str, test: &Test) -> Regions {
        let number = self.names.get(&axis_name(attribute, test)).copied();
        let Some((number, axis)) = number.and_then(|number| Some((number, self.axis(number)?))) else {
            return Regions::default();
        };
        let passing = axis.passing(test);
        let missing = if matches!(test, Test::Present(_)) { Cells::default() } else { axis.missing() };
        let failing = passing.complement(axis.cells()).without(&missing, axis.cells());
        let slab = |cells| Box::of(number, cells).into_iter().collect();
        Regions { holds: slab(passing), fails: slab(failing), errs: slab(missing) }
    }

    /// A request in the box.
    #[must_use]
    pub fn sample(&self, inside: &Box) -> Facts {
        let mut permissions = BTreeSet::new();
        let mut facts = Facts::new();
        for (name, number) in &self.names {
            let Some(axis) = self.axis(*number) else { continue };
            let cell = inside.cells(*number).and_then(Cells::first).unwrap_or_default();
            match (name.split_once(CONTAINS), axis.sample(cell)) {
                (Some((_, text)), Some(Fact::Flag(true))) => drop(permissions.insert(text.to_owned())),
                (None, Some(fact)) => facts = facts.with(name.clone(), fact),
                _ => {}
            }
        }
        facts.with(PERMISSIONS, Fact::Texts(permissions))
    }

    /// The box in words, one part an attribute.
    #[must_use]
    pub fn describe(&self, inside: &Box) -> Vec<String> {
        let mut words = Vec::new();
        for (name, number) in &self.names {
            let (Some(axis), Some(cells)) = (self.axis(*number), inside.cells(*number)) else {
                continue;
            };
            words.push(match name.split_once(CONTAINS) {
                Some((set, text)) if cells.first() == Some(1) => format!("{set} contains {text:?}"),
                Some((set, text)) => format!("{set} does not contain {text:?}"),
                None => format!("{name}: {}", axis.describe(cells)),
            });
        }
        words
    }
}

impl Regions {
    fn bounded(self) -> Result<Self, TooComplicated> {
        let most = self.holds.len().max(self.fails.len()).max(self.errs.len());
        if most > BOXES_MAX { Err(TooComplicated) } else { Ok(self) }
    }
}

fn product(ones: &[Box], others: &[Box]) -> Result<Vec<Box>, TooComplicated> {
    let mut steps = Steps::new(BOXES_MAX as u64 * 16);
    let mut both = Vec::new();
    for one in ones {
        for other in others {
            steps.take(1)?;
            both.extend(one.and(other));
        }
    }
    if both.len() > BOXES_MAX { Err(TooComplicated) } else { Ok(both) }
}

#[cfg(test)]
impl Space {
    /// Whether a request lies in a box, told by the tests themselves: it agrees with the box's sample in every test the
    /// rules make of a bound attribute.
    pub fn holds_point(&self, inside: &Box, facts: &Facts, rules: &[crate::language::checks::Enacted]) -> bool {
        let mut agrees = true;
        for condition in rules.iter().filter_map(|enacted| enacted.rule.when.as_ref()) {
            condition.each_test(&mut |attribute, test| {
                let Some(cells) = self.names.get(&axis_name(attribute, test)).and_then(|axis| inside.cells(*axis))
                else {
                    return;
                };
                let axis = self.axes().find(|(name, _)| *name == axis_name(attribute, test)).unwrap().1;
                agrees &= cells
                    .ranges()
                    .iter()
                    .any(|(from, to)| (*from..*to).any(|cell| cell == axis.cell_of(test, facts.get(attribute))));
            });
        }
        agrees
    }
}
