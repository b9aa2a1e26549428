//! Identifiers: one type per noun, so that none can be passed for another.
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The opaque name of one tenant inside the house. Equal, hashable, printable in short form; it opens nothing.
///
/// There is deliberately no `Default`, `FromStr` or `Deserialize`: only the registry's directory mints keys
/// (design §4), from the uuid of a registry record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantKey(Uuid);

impl TenantKey {
    /// Mints the key of a registered tenant. Called in one place: `control/registry/directory.rs`.
    #[must_use]
    pub fn mint(id: Uuid) -> Self {
        Self(id)
    }

    /// The sixteen bytes that name this tenant's trees, folders and associated data.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Lower-case hexadecimal without hyphens: the tenant's folder and tree name.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.simple().to_string()
    }
}

impl fmt::Display for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.0.simple().to_string();
        f.write_str(hex.get(..12).unwrap_or(&hex))
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantKey({self})")
    }
}

/// Names one question from its admission to its lineage. Time-ordered (uuid version 7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueryId(pub Uuid);

impl QueryId {
    /// A fresh id, ordered by the given wall-clock time.
    #[must_use]
    pub fn fresh(now_unix_ms: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(now_unix_ms, &random).into_uuid())
    }

    /// When it was made, in milliseconds since the Unix epoch; `None` for an id that was not made by [`QueryId::fresh`].
    #[must_use]
    pub fn unix_ms(self) -> Option<u64> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        Some(seconds.saturating_mul(1_000).saturating_add(u64::from(nanoseconds / 1_000_000)))
    }

    /// Reads an id as it stands in an answer or a URL.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(Self)
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryId({})", self.0)
    }
}

/// The incarnation of a tenant's rooms. A respawn, a suspension or a resumption makes a new one; handles minted
/// for an older generation fail closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// Fencing token of a journal's owner: every append carries it, an older one is refused as stale.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// Dense index of a record in its tenant's journal. The first record stands at 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
