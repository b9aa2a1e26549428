//! What changes between two versions of a policy: exactly the requests that are decided otherwise, with an example each.
use crate::evaluate::Outcome;
use crate::language::checks::Enacted;
use crate::language::{Action, Effect, Facts};
use crate::obligations::Obligations;
use crate::regions::boxes::{Box, Steps, TooComplicated, difference};
use crate::regions::space::{Regions, Space};
use serde::Serialize;

/// Changes that are told one by one; the rest is counted.
pub const CHANGES_MAX: usize = 1_000;
/// Work for one action.
const STEPS_MAX: u64 = 4_000_000;

/// Requests that are decided otherwise, all alike.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// For this action.
    pub action: Action,
    /// What was ruled.
    pub before: Outcome,
    /// What is ruled.
    pub after: Outcome,
    /// The requests in words: all of these hold. None where every request is meant.
    pub requests: Vec<String>,
    /// One of them.
    pub example: Facts,
}

/// Every change.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Changes {
    /// At most [`CHANGES_MAX`]; no request is in two of them.
    pub found: Vec<Change>,
    /// How many more there are.
    pub more: usize,
}

/// Compares two checked sets of rules.
///
/// # Errors
/// [`TooComplicated`].
pub fn changes(before: &[Enacted], after: &[Enacted]) -> Result<Changes, TooComplicated> {
    let mut changes = Changes::default();
    for action in Action::ALL {
        let space = Space::of(before.iter().chain(after).map(|enacted| &enacted.rule).filter(about(action)));
        for (from, to, inside) in moved(before, after, action, &space)? {
            if changes.found.len() >= CHANGES_MAX {
                changes.more = changes.more.saturating_add(1);
                continue;
            }
            changes.found.push(Change {
                action,
                before: from,
                after: to,
                requests: space.describe(&inside),
                example: space.sample(&inside),
            });
        }
    }
    Ok(changes)
}

fn about(action: Action) -> impl Fn(&&crate::language::Rule) -> bool {
    move |rule| rule.actions.contains(&action)
}

/// Disjoint boxes with what was ruled in them and what is.
fn moved(
    before: &[Enacted],
    after: &[Enacted],
    action: Action,
    space: &Space,
) -> Result<Vec<(Outcome, Outcome, Box)>, TooComplicated> {
    let mut steps = Steps::new(STEPS_MAX);
    let (old, new) = (permitted(before, action, space, &mut steps)?, permitted(after, action, space, &mut steps)?);
    let mut moved = Vec::new();
    for (one, had) in &old {
        for (other, has) in &new {
            steps.take(1)?;
            if had != has {
                moved.extend(one.and(other).map(|both| (Outcome::Permitted(*had), Outcome::Permitted(*has), both)));
            }
        }
    }
    for (pieces, others, is_old) in [(&old, &new, true), (&new, &old, false)] {
        let known: Vec<_> = others.iter().map(|(inside, _)| inside).collect();
        for (inside, obligations) in pieces {
            let gone = difference(vec![inside.clone()], &known, space.lengths(), &mut steps)?;
            let permitted = Outcome::Permitted(*obligations);
            let (from, to) = if is_old { (permitted, Outcome::Refused) } else { (Outcome::Refused, permitted) };
            moved.extend(gone.into_iter().map(|inside| (from, to, inside)));
        }
    }
    Ok(moved)
}

/// Disjoint boxes of what is permitted, with what goes with it.
fn permitted(
    rules: &[Enacted],
    action: Action,
    space: &Space,
    steps: &mut Steps,
) -> Result<Vec<(Box, Obligations)>, TooComplicated> {
    let mut judged: Vec<(&Enacted, Regions)> = Vec::new();
    for enacted in rules.iter().filter(|enacted| enacted.rule.actions.contains(&action)) {
        judged.push((enacted, space.regions(&enacted.rule)?));
    }
    let of = |effect: Effect| judged.iter().filter(move |(enacted, _)| enacted.rule.effect == effect);
    let lengths = space.lengths();
    let mut refused: Vec<Box> = judged.iter().flat_map(|(_, regions)| regions.errs.clone()).collect();
    for (forbid, regions) in of(Effect::Forbid) {
        let lifting: Vec<_> = judged
            .iter()
            .filter(|(other, _)| other.lifts(forbid, action))
            .flat_map(|(_, regions)| &regions.holds)
            .collect();
        refused.extend(difference(regions.holds.clone(), &lifting, lengths, steps)?);
    }
    let refused: Vec<_> = refused.iter().collect();
    let mut boxes: Vec<Box> = Vec::new();
    for (_, regions) in of(Effect::Permit) {
        let known: Vec<_> = boxes.iter().collect();
        let fresh = difference(regions.holds.clone(), &known, lengths, steps)?;
        boxes.extend(difference(fresh, &refused, lengths, steps)?);
    }
    let mut pieces: Vec<_> = boxes.into_iter().map(|inside| (inside, Obligations::default())).collect();
    for (require, regions) in of(Effect::Require) {
        let holds: Vec<_> = regions.holds.iter().collect();
        let mut next = Vec::with_capacity(pieces.len());
        for (piece, obligations) in pieces {
            let mut more = obligations;
            require.rule.obligation.iter().for_each(|obligation| more.add(obligation));
            next.extend(holds.iter().filter_map(|inside| piece.and(inside)).map(|inside| (inside, more)));
            let rest = difference(vec![piece], &holds, lengths, steps)?;
            next.extend(rest.into_iter().map(|inside| (inside, obligations)));
        }
        pieces = next;
    }
    Ok(pieces)
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
