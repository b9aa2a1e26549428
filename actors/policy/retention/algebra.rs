//! Intervals in which an object is kept, and duties to erase it: what they come to at an instant.
use super::rules::{Ground, GroundKind};
use bailiwick_kernel::clock::rfc3339;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// When something ends; what is open ends after every instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// At this instant, in milliseconds since the Unix epoch; it is over then.
    At(u64),
    /// Not before somebody ends it.
    Open,
}

/// One side of a decision: the instant it comes to, and every rule that says just that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Side<'r, T> {
    /// Until when, or by when.
    pub at: T,
    /// Why.
    pub because: Vec<&'r Ground>,
}

/// What is to become of an object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision<'r> {
    /// It stays, until then.
    Keep(Side<'r, End>),
    /// Nothing keeps it, and nothing asks for its erasure yet.
    MayErase {
        /// By when it will have to go, where something says so.
        by: Option<Side<'r, u64>>,
    },
    /// It has to go, by then.
    MustErase(Side<'r, u64>),
    /// It stays longer than it may: that is for people to settle, and until then it stays.
    Conflict {
        /// What keeps it.
        keep: Side<'r, End>,
        /// What would have it gone.
        erase: Side<'r, u64>,
    },
}

/// The decision about one object at one instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict<'r> {
    id: String,
    decision: Decision<'r>,
    next_unix_ms: Option<u64>,
}

/// Leave to erase one object. Made by a [`Verdict`] alone.
#[derive(PartialEq, Eq, Debug)]
pub struct Erasable {
    id: String,
}

impl Erasable {
    /// Which object.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Keeps an object from one instant on, up to its end.
pub(super) struct Keeper<'r> {
    pub(super) from_unix_ms: u64,
    pub(super) end: End,
    pub(super) ground: &'r Ground,
}

/// Has an object gone by some instant.
pub(super) struct Duty<'r> {
    /// Since when it is reckoned with.
    pub(super) known_unix_ms: u64,
    /// Since when the object has to go, if nothing keeps it.
    pub(super) from_unix_ms: u64,
    pub(super) by_unix_ms: u64,
    pub(super) ground: &'r Ground,
}

impl<'r> Verdict<'r> {
    pub(super) fn of(id: &str, keepers: &[Keeper<'r>], duties: &[Duty<'r>], now_unix_ms: u64) -> Self {
        let decision = decide(keepers, duties, now_unix_ms);
        // nothing but these instants is asked for in a decision
        let kept = keepers.iter().flat_map(|keeper| match keeper.end {
            End::At(end_unix_ms) => [Some(keeper.from_unix_ms), Some(end_unix_ms)],
            End::Open => [Some(keeper.from_unix_ms), None],
        });
        let due = duties.iter().flat_map(|duty| [duty.known_unix_ms, duty.from_unix_ms]);
        let instants: BTreeSet<u64> = kept.flatten().chain(due).filter(|instant| *instant > now_unix_ms).collect();
        let next_unix_ms = instants.into_iter().find(|instant| decide(keepers, duties, *instant) != decision);
        Self { id: id.to_owned(), decision, next_unix_ms }
    }

    /// What is to become of the object.
    #[must_use]
    pub fn decision(&self) -> &Decision<'r> {
        &self.decision
    }

    /// When to ask again: the first instant at which the decision is another one. `None` where it stands for good, as far
    /// as these rules say.
    #[must_use]
    pub fn next_unix_ms(&self) -> Option<u64> {
        self.next_unix_ms
    }

    /// Leave to erase the object now, where nothing keeps it.
    ///
    /// # Errors
    /// What keeps it, in words for the caller.
    pub fn leave(&self) -> Result<Erasable, String> {
        match &self.decision {
            Decision::Keep(keep) => Err(keep.to_string()),
            Decision::Conflict { keep, erase } => Err(format!("{keep}, though {erase}")),
            Decision::MayErase { .. } | Decision::MustErase(_) => Ok(Erasable { id: self.id.clone() }),
        }
    }

    /// Leave to erase the object now, where it has to go and nothing keeps it.
    #[must_use]
    pub fn due(&self) -> Option<Erasable> {
        matches!(self.decision, Decision::MustErase(_)).then(|| Erasable { id: self.id.clone() })
    }
}

fn decide<'r>(keepers: &[Keeper<'r>], duties: &[Duty<'r>], now_unix_ms: u64) -> Decision<'r> {
    let in_force = |keeper: &&Keeper<'r>| keeper.from_unix_ms <= now_unix_ms && End::At(now_unix_ms) < keeper.end;
    let keep = side(keepers.iter().filter(in_force).map(|keeper| (keeper.end, keeper.ground)), |new, old| new > old);
    let known = || duties.iter().filter(|duty| duty.known_unix_ms <= now_unix_ms);
    let erase = side(known().map(|duty| (duty.by_unix_ms, duty.ground)), |new, old| new < old);
    match (keep, erase) {
        (Some(keep), Some(erase)) if keep.at > End::At(erase.at) => Decision::Conflict { keep, erase },
        (Some(keep), _) => Decision::Keep(keep),
        (None, Some(erase)) if known().any(|duty| duty.from_unix_ms <= now_unix_ms) => Decision::MustErase(erase),
        (None, by) => Decision::MayErase { by },
    }
}

/// The outermost instant with all its grounds.
fn side<'r, T: PartialEq + Copy>(
    said: impl Iterator<Item = (T, &'r Ground)>,
    is_beyond: impl Fn(T, T) -> bool,
) -> Option<Side<'r, T>> {
    said.fold(None, |known, (at, ground)| match known {
        Some(mut side) if side.at == at => {
            side.because.push(ground);
            Some(side)
        }
        Some(side) if !is_beyond(at, side.at) => Some(side),
        _ => Some(Side { at, because: vec![ground] }),
    })
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            GroundKind::Minimum => "",
            GroundKind::Hold => "legal hold ",
            GroundKind::Maximum => "",
            GroundKind::Request => "request ",
        };
        write!(f, "{kind}{} ({})", self.name, self.basis)
    }
}

fn listed(because: &[&Ground]) -> String {
    because.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for Side<'_, End> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = listed(&self.because);
        match self.at {
            End::At(end_unix_ms) => write!(f, "it is kept until {} by {because}", rfc3339(end_unix_ms)),
            End::Open => write!(f, "it is kept by {because} until that is released"),
        }
    }
}

impl fmt::Display for Side<'_, u64> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it has to be gone by {} for {}", rfc3339(self.at), listed(&self.because))
    }
}
