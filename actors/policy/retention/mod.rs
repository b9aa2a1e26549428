//! How long an object is kept and by when it is gone: one decision about one object at one instant, and the next instant
//! at which it becomes another one (specification 2.5; GDPR article 17).
//!
//! * keep-until is the latest end of what keeps the object: minimums of its data type (from its storage on) and legal holds
//!   that select it (from `since` until `released`; without that word, without end).
//! * erase-by is the earliest of what ends it: maximums of its data type and requests that select it (from the day they
//!   are made; of what was stored later they say nothing).
//! * What is kept beyond its erase-by is a [conflict](Decision::Conflict): it stays, with both sides named. Nobody has to
//!   come back to it: [`Verdict::next_unix_ms`] says when to ask again, and the decision is then another one.
//!
//! Whatever deletes asks for an [`Erasable`], and a [`Verdict`] is the only maker of one.
mod algebra;
mod holds;
mod rules;

pub use algebra::{Decision, End, Erasable, Side, Verdict};
pub(crate) use holds::check;
pub use holds::{LegalHold, Selects};
pub use rules::{Ground, GroundKind, Hold, Maximum, Minimum, Record, Request, Rules, UnknownType};

use serde::Serialize;

/// What kind of object it is; each has a minimum of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// Records of what was done.
    Logs,
    /// Documents.
    Data,
    /// Copies for the case that the first is lost.
    Backups,
}

impl DataType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::Logs, Self::Data, Self::Backups];

    /// By its name in `data-sovereignty.yaml`; `None` for any other.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|data_type| data_type.as_str() == name)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Data => "data",
            Self::Backups => "backups",
        }
    }
}

#[cfg(test)]
mod tests;
