//! The name a repeated call is known by. Pure.
use crate::digest::Canon;
use std::fmt;

/// Names a call under an `Idempotency-Key`: SHA-256 over the API key's id and the key's text. The same text sent with
/// another API key is another name, and a tenant's names never meet another tenant's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name([u8; 32]);

impl Name {
    /// The name of a key's text sent with an API key.
    #[must_use]
    pub fn of(key_id: &str, idempotency_key: &str) -> Self {
        let mut canon = Canon::new("repeat");
        canon.text(key_id);
        canon.text(idempotency_key);
        Self(canon.finish())
    }

    /// The bytes a shelf knows it by.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A name as a shelf gave it back.
    #[must_use]
    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", crate::digest::short(&self.0))
    }
}
