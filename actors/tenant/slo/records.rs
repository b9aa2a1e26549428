//! What stands in the journal of a service level: counts a minute at a time, and what became of the tenant's releases.
use serde::{Deserialize, Serialize};

/// Turns that ended within one minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TurnsCounted {
    /// Those that ended well.
    pub good: u64,
    /// Those the house or a provider failed.
    pub bad: u64,
    /// In which minute: when the first of them ended.
    pub at_unix_ms: u64,
}

/// The error budget is used up: nothing new is released.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReleasesFrozen {
    /// Share of failures the objective allowed then, in parts of a million. The freeze ends by this or by less.
    pub allowed_ppm: u64,
    /// Turns of the 30 days before that ended well.
    pub good: u64,
    /// Turns of the 30 days before that failed.
    pub bad: u64,
    /// Milliseconds of outage they come to.
    pub consumed_ms: u64,
    /// When.
    pub at_unix_ms: u64,
}

/// Somebody wants to release in spite of a freeze; somebody else has to say the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OverrideAsked {
    /// For how long, from the second word on.
    pub for_ms: u64,
    /// Why.
    pub reason: String,
    /// By whose key.
    pub key_id: String,
    /// By whom.
    pub user_id: String,
    /// When.
    pub at_unix_ms: u64,
    /// Until when it waits.
    pub until_unix_ms: u64,
}

/// Two people let releases through in spite of a freeze.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FreezeOverridden {
    /// Why.
    pub reason: String,
    /// Who said so first, and by which key.
    pub asked_by: (String, String),
    /// Who said the same, and by which key.
    pub agreed_by: (String, String),
    /// When.
    pub at_unix_ms: u64,
    /// Until when.
    pub until_unix_ms: u64,
}
