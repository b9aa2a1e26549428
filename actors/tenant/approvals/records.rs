//! What stands in the journal of a request that needs somebody's word: asked, decided, used.
use bailiwick_policy::language::Action;
use serde::{Deserialize, Serialize};

/// A request that waits for somebody else's word.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApprovalAsked {
    /// The first half of the digest, in hexadecimal.
    pub id: String,
    /// What is asked for.
    pub action: Action,
    /// All that is asked, to be read by whoever decides.
    pub subject: String,
    /// SHA-256 of action, request and asker, in a canonical form.
    pub digest: [u8; 32],
    /// Key that asks.
    pub key_id: String,
    /// User that asks, where the key names one.
    pub user_id: Option<String>,
    /// When.
    pub at_unix_ms: u64,
    /// Until when it waits.
    pub until_unix_ms: u64,
}

/// Somebody's word on a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApprovalDecided {
    /// Which request.
    pub id: String,
    /// True where it may be carried out.
    pub approved: bool,
    /// By whose key.
    pub key_id: String,
    /// By whom.
    pub user_id: String,
    /// When.
    pub at_unix_ms: u64,
    /// Until when it may be carried out, or is refused.
    pub until_unix_ms: u64,
}

/// An approval that has let its request through.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApprovalUsed {
    /// Which request.
    pub id: String,
    /// When.
    pub at_unix_ms: u64,
}
