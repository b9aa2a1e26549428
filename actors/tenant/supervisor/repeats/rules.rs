//! Pure rules of repeated calls. A key is absent, in flight with those who wait for it, or kept in the journal; only the
//! middle one is state here, the journal is the truth of the last.
//!
//! Nothing about a call in flight is believed twice: whoever comes first searches the journal, runs where nothing is
//! kept, and everybody who comes meanwhile is told what the first one was told.
use super::name::Name;
use crate::digest::MatterDigest;
use bailiwick_kernel::limits::REPEATS_WAITING_MAX;
use bailiwick_kernel::outcome::{Code, Rejection};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The calls in flight under an `Idempotency-Key`, each with those who wait for it. As many keys as turns are admitted,
/// and [`REPEATS_WAITING_MAX`] waiting at each.
#[derive(Debug)]
pub struct Repeats<W> {
    in_flight: HashMap<Name, InFlight<W>>,
    attempts: u64,
}

#[derive(Debug)]
struct InFlight<W> {
    attempt: u64,
    /// What is asked, once the journal is known to keep nothing. Before that the first one's body is no better than
    /// any other's.
    runs: Option<MatterDigest>,
    waiting: Vec<(MatterDigest, W)>,
}

/// What becomes of a call that came.
#[derive(PartialEq, Eq, Debug)]
pub enum Came<W> {
    /// It is the first: search the journal, then [`Repeats::runs`] or [`Repeats::ended`].
    First {
        /// Tells this attempt from a later one of the same key.
        attempt: u64,
        /// Who came.
        waiter: W,
    },
    /// It waits until the first one ended.
    Waits,
    /// It is refused.
    Refused(W, Rejection),
}

/// Those who waited.
#[derive(PartialEq, Eq, Debug)]
pub struct Waited<W> {
    /// They asked the same: they are told the same.
    pub same: Vec<W>,
    /// They asked something else under the same key: refuse them with [`other_body`].
    pub other: Vec<W>,
}

impl<W> Default for Repeats<W> {
    fn default() -> Self {
        Self { in_flight: HashMap::new(), attempts: 0 }
    }
}

impl<W> Repeats<W> {
    /// A call came under a name.
    pub fn came(&mut self, name: Name, matter: MatterDigest, waiter: W) -> Came<W> {
        match self.in_flight.entry(name) {
            Entry::Vacant(absent) => {
                self.attempts = self.attempts.saturating_add(1);
                absent.insert(InFlight { attempt: self.attempts, runs: None, waiting: Vec::new() });
                Came::First { attempt: self.attempts, waiter }
            }
            Entry::Occupied(mut found) => {
                let first = found.get_mut();
                if first.runs.is_some_and(|runs| runs != matter) {
                    return Came::Refused(waiter, other_body());
                }
                if first.waiting.len() >= REPEATS_WAITING_MAX {
                    return Came::Refused(waiter, too_many_waiting());
                }
                first.waiting.push((matter, waiter));
                Came::Waits
            }
        }
    }

    /// The journal keeps nothing: the first one runs. Gives those who asked something else under the same key, to be
    /// refused with [`other_body`]; the others go on waiting.
    pub fn runs(&mut self, name: &Name, attempt: u64, matter: MatterDigest) -> Vec<W> {
        let Some(first) = self.in_flight.get_mut(name).filter(|first| first.attempt == attempt) else {
            return Vec::new();
        };
        first.runs = Some(matter);
        let (same, other): (Vec<_>, _) = first.waiting.drain(..).partition(|(asked, _)| *asked == matter);
        first.waiting = same;
        other.into_iter().map(|(_, waiter)| waiter).collect()
    }

    /// An attempt ended, by what the journal kept or by its own turn, with an outcome for this matter. Gives those who
    /// waited; the key is in flight no more.
    pub fn ended(&mut self, name: &Name, attempt: u64, matter: MatterDigest) -> Waited<W> {
        let mut waited = Waited { same: Vec::new(), other: Vec::new() };
        if self.in_flight.get(name).is_none_or(|first| first.attempt != attempt) {
            return waited;
        }
        for (asked, waiter) in self.in_flight.remove(name).into_iter().flat_map(|first| first.waiting) {
            if asked == matter { waited.same.push(waiter) } else { waited.other.push(waiter) }
        }
        waited
    }

    /// Keys in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}

/// Whether an outcome kept for one matter answers another.
///
/// # Errors
/// `conflict`, as [`other_body`].
pub fn judge(kept: MatterDigest, asked: MatterDigest) -> Result<(), Rejection> {
    if kept == asked { Ok(()) } else { Err(other_body()) }
}

/// The refusal of another body under a key that was used (contract §2).
#[must_use]
pub fn other_body() -> Rejection {
    Rejection::new(
        Code::Conflict,
        "repeating a call: this Idempotency-Key was sent before with another body; send a key of its own with every call that is not a repetition",
    )
}

fn too_many_waiting() -> Rejection {
    let detail = format!(
        "repeating a call: {REPEATS_WAITING_MAX} calls wait already for the first one under this Idempotency-Key; try again when it has ended"
    );
    Rejection::retry_after(Code::Overloaded, detail, 1_000)
}
