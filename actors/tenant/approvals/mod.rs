//! Requests that a rule lets through only with somebody else's word (obligation `approve`), and the words given.
//!
//! An approval is bound to the digest of the very request and to whoever asked, lets it through once, and stands in the
//! journal: asked, decided, used. Nobody approves what they asked for themselves, whatever their role.
pub mod messages;
pub mod records;
pub mod rules;
#[cfg(test)]
mod tests;

use crate::entry::Entry;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::access::Principal;
use records::ApprovalUsed;
use rules::{Approvals, Decision, Need, Word};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The approvals of one tenant, the same for all incarnations of its rooms: a turn of an earlier one may still be at it.
#[derive(Clone, Default, Debug)]
pub struct SharedApprovals(Arc<Mutex<Book>>);

#[derive(Default, Debug)]
struct Book {
    /// As the journal has it.
    standing: Approvals,
    /// Approvals of requests that are being carried out.
    in_use: BTreeSet<String>,
}

/// What a request that needs somebody's word is met with.
#[derive(Debug)]
pub enum Met {
    /// It was approved, and is carried out now.
    Approved(Claim),
    /// It waits; see [`Word`].
    Waits(Word),
}

/// An approval that is being made use of. Dropped without [`Claim::used`], it lets the request through again.
#[derive(Debug)]
pub struct Claim {
    book: SharedApprovals,
    id: String,
}

impl SharedApprovals {
    fn lock(&self) -> MutexGuard<'_, Book> {
        // nothing that can panic runs under the lock
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on from what the journal says.
    pub fn follow(&self, standing: Approvals) {
        self.lock().standing = standing;
    }

    /// Folds in what has become durable from this position on.
    pub fn apply(&self, first: Position, entries: &[Entry]) {
        let mut book = self.lock();
        let mut position = first;
        for entry in entries {
            book.standing.apply(position, entry);
            position = position.next();
        }
    }

    /// What a request is met with.
    pub fn meet(&self, need: &Need, now_unix_ms: u64) -> Met {
        let mut book = self.lock();
        match book.standing.word(need, now_unix_ms) {
            Word::Approved if book.in_use.insert(need.id()) => {
                Met::Approved(Claim { book: self.clone(), id: need.id() })
            }
            Word::Approved => Met::Waits(Word::InUse),
            other => Met::Waits(other),
        }
    }

    /// Somebody's word on a request that waits.
    ///
    /// # Errors
    /// `not_found` where none of that id waits; `forbidden` for whoever asked and for who is no person of the tenant;
    /// `conflict` where it is decided already.
    pub fn decide(&self, id: &str, decision: Decision, by: &Principal, now_unix_ms: u64) -> Outcome<Entry> {
        self.lock().standing.decide(id, decision, by, now_unix_ms)
    }

    /// Requests that wait or may be carried out, oldest first.
    #[must_use]
    pub fn open(&self, now_unix_ms: u64) -> Vec<rules::Open> {
        self.lock().standing.open(now_unix_ms)
    }
}

impl Claim {
    /// What stands in the journal where the request is carried out.
    #[must_use]
    pub fn entry(&self, at_unix_ms: u64) -> Entry {
        Entry::ApprovalUsed(ApprovalUsed { id: self.id.clone(), at_unix_ms })
    }

    /// Its entry is durable: it lets nothing through any more.
    pub fn used(self) {
        self.book.lock().standing.use_up(&self.id);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.book.lock().in_use.remove(&self.id);
    }
}
