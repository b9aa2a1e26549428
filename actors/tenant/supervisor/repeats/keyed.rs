//! The duty of a call in flight to those who wait for it under the same `Idempotency-Key`. Whoever holds it tells them by
//! dropping it; a holder that panics or is dropped on its way tells them that the call was lost.
use super::name::Name;
use crate::digest::MatterDigest;
use crate::turn::Given;
use actix::{Message, Recipient};
use bailiwick_kernel::mail::post_certain_to;
use bailiwick_kernel::outcome::{Outcome, Rejection};

/// A call under an `Idempotency-Key`.
#[derive(Debug)]
pub struct Keyed {
    /// Key that asks.
    pub key_id: String,
    /// The `Idempotency-Key`.
    pub key: String,
    /// What is asked.
    pub matter: MatterDigest,
    attempt: u64,
    home: Recipient<CallEnded>,
    outcome: Option<Outcome<Given>>,
}

/// A call under an `Idempotency-Key` ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallEnded {
    /// Under which name.
    pub name: Name,
    /// Which attempt.
    pub attempt: u64,
    /// What was asked.
    pub matter: MatterDigest,
    /// What those who waited are told.
    pub outcome: Outcome<Given>,
}

impl Keyed {
    /// The duty of an attempt. Made by the supervisor's admission only.
    pub(in crate::supervisor) fn new(
        key_id: String,
        key: String,
        matter: MatterDigest,
        attempt: u64,
        home: Recipient<CallEnded>,
    ) -> Self {
        Self { key_id, key, matter, attempt, home, outcome: None }
    }

    /// The name it is known by.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::of(&self.key_id, &self.key)
    }

    /// Which attempt it is.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Notes what those who wait are told; the first note stands.
    pub(crate) fn note(&mut self, outcome: impl FnOnce() -> Outcome<Given>) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome());
        }
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(Rejection::lost()));
        let ended = CallEnded { name: self.name(), attempt: self.attempt, matter: self.matter, outcome };
        // one for each turn admitted, and never to be lost to a full mailbox: somebody waits for it
        post_certain_to(&self.home, ended);
    }
}
