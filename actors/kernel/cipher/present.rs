//! What seals and what opens at this moment, and the count of one data key's messages.
use super::data_key::{DataKey, SALT_BYTES};
use super::keys::KeyVersion;
use super::legacy::LegacyKey;
use super::names::Names;
use super::{CipherError, Head, head_of};
use crate::ids::TenantKey;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The last part of a data key's messages, in which the next one is derived: a sixteenth, so that a random source that
/// fails has 2^28 messages to come back.
const NEAR_DIVISOR: u64 = 16;

/// Draws the salt of a data key. Injected, so that a test can have it fail.
pub(super) type DrawSalt = fn() -> Result<[u8; SALT_BYTES], CipherError>;

/// From the system's random source.
pub(super) fn draw_salt() -> Result<[u8; SALT_BYTES], CipherError> {
    let mut salt = [0_u8; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_unspecified| CipherError::Random)?;
    Ok(salt)
}

/// Every key of a tenant. Never changed, only exchanged for another one.
pub(super) struct Present {
    pub(super) legacy: Option<Arc<LegacyKey>>,
    /// In ascending order.
    pub(super) versions: Vec<Arc<KeyVersion>>,
    pub(super) sealing: Sealing,
    pub(super) names: Names,
}

/// The data key that seals.
pub(super) struct Sealing {
    pub(super) head: Head,
    pub(super) key: Arc<DataKey>,
    /// Of the tenant's key it is derived from.
    pub(super) version: u32,
    messages: AtomicU64,
    messages_max: u64,
}

/// Where a message stands among those a data key may seal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Count {
    /// It may be sealed.
    Within,
    /// It may be sealed, and the next data key is due.
    Near,
    /// It may not be sealed.
    Over,
}

impl Sealing {
    /// A data key of a version that has sealed nothing yet.
    pub(super) fn begin(
        tenant: TenantKey,
        version: &KeyVersion,
        salt: &[u8; SALT_BYTES],
        messages_max: u64,
    ) -> Result<Self, CipherError> {
        let key = version.data_key(tenant, salt)?;
        let head = head_of(version.number, salt, key.commitment());
        Ok(Self { head, key: Arc::new(key), version: version.number, messages: AtomicU64::new(0), messages_max })
    }

    /// Counts one message, before it is sealed; never given back, because a count that is too high is safe.
    pub(super) fn count(&self) -> Count {
        let before = self.messages.fetch_add(1, Ordering::Relaxed);
        if before >= self.messages_max {
            Count::Over
        } else if before >= self.messages_max - self.messages_max / NEAR_DIVISOR {
            Count::Near
        } else {
            Count::Within
        }
    }
}
