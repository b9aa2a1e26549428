//! What stands in the journal of a request for erasure.
use bailiwick_kernel::erasures::{Mark, Of};
use serde::{Deserialize, Serialize};

/// Somebody asked for an erasure.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErasureAsked {
    /// Its id.
    pub id: String,
    /// What is named.
    pub of: Of,
    /// Which one, as a keyed digest.
    pub mark: Mark,
    /// Why: the legal basis, in the asker's words.
    pub basis: String,
    /// Days within which it is due.
    pub within_days: u32,
    /// By whose key.
    pub key_id: String,
    /// By whom, where the key names a user.
    pub user_id: Option<String>,
    /// When. It is about what was stored by then.
    pub at_unix_ms: u64,
}

/// A request for erasure has come to its end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErasureEnded {
    /// Which.
    pub id: String,
    /// Documents that were erased for it.
    pub erased: u64,
    /// When.
    pub at_unix_ms: u64,
}
