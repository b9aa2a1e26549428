//! Whether a signed head goes on from the one before it: what is published, and what is witnessed, never goes back and never
//! goes another way. Pure.
use super::forms::{NotOfThisForm, SignedHead, hashes};
use bailiwick_kernel::transparency::checkpoint::{self, CheckpointError, Head};
use bailiwick_kernel::transparency::tree;
use serde::{Deserialize, Serialize};

/// A head that was taken before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// The head, signed.
    pub checkpoint: String,
    /// What it is verified with.
    pub verifier_key: String,
    /// Records it is of.
    pub size: u64,
}

impl From<&SignedHead> for Taken {
    fn from(head: &SignedHead) -> Self {
        let SignedHead { checkpoint, verifier_key, size, .. } = head;
        Self { checkpoint: checkpoint.clone(), verifier_key: verifier_key.clone(), size: *size }
    }
}

/// Why a head does not go on from the one before it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    /// A head or a proof has not the form of one, or nobody who is trusted has signed it.
    #[error("taking a signed head: {0}")]
    Unreadable(String),
    /// It is signed by another key.
    #[error("taking a signed head: it is signed by another key than the one before")]
    AnotherKey,
    /// It is about another journal.
    #[error("taking a signed head: it is about another journal than it says")]
    AnotherJournal,
    /// The journal has become shorter.
    #[error("taking a signed head: it is of {now} records, and one of {before} was signed before: records are gone")]
    Shorter {
        /// Of how many records the one before is.
        before: u64,
        /// Of how many this one is.
        now: u64,
    },
    /// The journal went another way.
    #[error(
        "taking a signed head: its {now} records do not begin with the {before} that were signed before: the journal was written anew"
    )]
    Forked {
        /// Of how many records the one before is.
        before: u64,
        /// Of how many this one is.
        now: u64,
    },
}

impl From<CheckpointError> for Broken {
    fn from(error: CheckpointError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<NotOfThisForm> for Broken {
    fn from(error: NotOfThisForm) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Verifies that a head goes on from the one before, where there is one; of equal size they have to be the same.
///
/// # Errors
/// [`Broken`].
pub fn goes_on(before: Option<&Taken>, next: &SignedHead) -> Result<Head, Broken> {
    let key = before.map_or(next.verifier_key.as_str(), |before| &before.verifier_key);
    if next.verifier_key != key {
        return Err(Broken::AnotherKey);
    }
    let head = checkpoint::read(&next.checkpoint, key)?;
    if head.tenant != next.tenant_key || head.size != next.size {
        return Err(Broken::AnotherJournal);
    }
    let Some(before) = before else { return Ok(head) };
    let was = checkpoint::read(&before.checkpoint, key)?;
    if head.size < was.size {
        return Err(Broken::Shorter { before: was.size, now: head.size });
    }
    let forked = Broken::Forked { before: was.size, now: head.size };
    if head.size == was.size {
        return if head.root == was.root { Ok(head) } else { Err(forked) };
    }
    let proof = hashes(next.consistency.as_deref().unwrap_or_default())?;
    tree::check_consistency(&proof, (head.size, head.root), (was.size, was.root)).map_err(|_proves_nothing| forked)?;
    Ok(head)
}
