//! When a tenant's key is made anew. Pure.
use bailiwick_kernel::limits::{KEY_VERSIONS_MAX, KEY_VERSIONS_ON_DEMAND_MAX};

const DAY_MS: u64 = 86_400_000;

/// What is to be seen of a tenant's newest key without opening anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Newest {
    /// Its version: as many as the keyring holds.
    pub number: u32,
    /// When it was made; `None` where it is older than times in keyrings.
    pub made_unix_ms: Option<u64>,
    /// The customer's key that wraps it; `None` for the node's root key.
    pub key_id: Option<String>,
}

/// Why a key is made anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotation {
    /// Somebody asks for it.
    OnDemand,
    /// Where the newest is older than so many days: `key_rotation_days`.
    OlderThanDays(u32),
    /// Where another key than the tenant's own, or than the node's where it names none, wraps it.
    OfAnotherHolder,
}

/// Whether a key is to be made anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// It is young enough.
    No,
    /// It is.
    Yes,
    /// It would be, but the keyring holds as many versions as it may: the newest goes on.
    Full,
}

/// Judges the newest key. One whose age is not known is old; a clock that was set back makes none older.
#[must_use]
pub fn due(newest: &Newest, rotation: Rotation, now_unix_ms: u64) -> Due {
    let versions_max = match rotation {
        // what age asks for has room left by whoever asks too often
        Rotation::OnDemand => KEY_VERSIONS_ON_DEMAND_MAX,
        Rotation::OlderThanDays(_) | Rotation::OfAnotherHolder => KEY_VERSIONS_MAX,
    };
    let is_wanted = match rotation {
        Rotation::OnDemand => true,
        Rotation::OlderThanDays(days) => newest
            .made_unix_ms
            .is_none_or(|made| now_unix_ms.saturating_sub(made) >= u64::from(days).saturating_mul(DAY_MS)),
        Rotation::OfAnotherHolder => false,
    };
    match is_wanted {
        false => Due::No,
        true if usize::try_from(newest.number).unwrap_or(usize::MAX) >= versions_max => Due::Full,
        true => Due::Yes,
    }
}
