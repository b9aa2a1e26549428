//! The seam between the house and what carries it: journals, blobs, leases and the view of who owns what.
//!
//! Purpose: one trait under which the embedded back end (one machine) and a log engine for many machines are equal.
//! Owns: the vocabulary of the seam; the back ends own their data.
//! Sends to: nobody; callers await.
//! Never: sees plaintext. Every byte that crosses the seam was sealed by the tenant's cipher.
//! Invariants: JRN1 (dense and chained), JRN2 (acknowledged means durable), stale owners cannot append.
use crate::ids::{Epoch, Position, TenantKey};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use zeroize::Zeroizing;

mod blobs;
pub mod chain;
#[cfg(test)]
mod conformance;
pub mod copies;
pub mod embedded;
pub mod ledger;
#[cfg(test)]
mod memory;
pub mod record;
mod seats;
mod secrets;
pub mod store;
#[cfg(test)]
mod tests;
mod write_ahead;
mod writer;

/// Bytes of one sealed payload.
pub const PAYLOAD_BYTES_MAX: usize = crate::limits::STORE_VALUE_BYTES_MAX - record::OVERHEAD_BYTES;

/// A boxed future that may cross threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// A journal's owner: the epoch to append with and where the journal ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tenure {
    /// Fencing token; a later `acquire` makes this one stale.
    pub epoch: Epoch,
    /// Where the next record will stand.
    pub next: Position,
}

/// What an append answers once it is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Position of the first record of the append; the others follow densely.
    pub first: Position,
    /// Chain hash of the first record: commits to it and to everything before it.
    pub first_hash: [u8; 32],
    /// Position of the last record.
    pub last: Position,
    /// Chain hash of the last record: commits to everything before it.
    pub head: [u8; 32],
}

/// One sealed record as it stands in a journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedRecord {
    /// Its dense index.
    pub position: Position,
    /// Epoch of the owner that wrote it.
    pub epoch: Epoch,
    /// Chain hash of this record.
    pub hash: [u8; 32],
    /// The sealed payload.
    pub payload: Vec<u8>,
}

/// Why an append was not acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AppendError {
    /// A newer owner exists; certainly not appended.
    #[error("appending to the journal: epoch {} is stale, the owner is now {}; the rooms must be rebuilt", .ours.0, .owner.0)]
    Stale {
        /// The epoch of this append.
        ours: Epoch,
        /// The epoch of the present owner.
        owner: Epoch,
    },
    /// Too many appends wait; certainly not appended. How many is the node's affair and no word of it is in the text: they
    /// are every tenant's, and the text reaches the one that was refused.
    #[error("appending to the journal: as many appends as may wait are waiting; try again shortly")]
    Full(usize),
    /// Larger than a record may be; certainly not appended.
    #[error("appending to the journal: {bytes} bytes are more than the limit of {max}")]
    TooLarge {
        /// Size of the offending record, or of the append where that is what is too large.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// No record, or more than one append may hold; certainly not appended.
    #[error("appending to the journal: one append holds 1 to {max} records, this one has {records}")]
    Count {
        /// Records of the append.
        records: usize,
        /// The limit.
        max: usize,
    },
    /// May have been appended: the owner must re-acquire and read before it goes on.
    #[error("appending to the journal: outcome unknown ({0}); the rooms must be rebuilt from the journal")]
    Unsure(String),
}

/// Why the seam could not read or open.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FabricError {
    /// The store failed.
    #[error("{doing}: the store failed: {reason}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What the store said.
        reason: String,
    },
    /// A record is missing or was altered; the journal never activates.
    #[error("reading the journal of {tenant}: record {} is damaged: {reason}; restore it from a backup", .position.0)]
    Damaged {
        /// Whose journal.
        tenant: TenantKey,
        /// Which record.
        position: Position,
        /// What does not fit.
        reason: String,
    },
}

/// Who holds a tenant, as far as this node knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// The tenant.
    pub tenant: TenantKey,
    /// The epoch it was acquired with.
    pub epoch: Epoch,
    /// The node that holds it; the embedded back end knows only `here`.
    pub node: String,
}

/// Sealed bytes and the name they are asked for by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blob {
    /// Its name; part of what it was sealed with.
    pub name: String,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

/// The secret of one document: without it nothing that was written of the document opens, with all keys there are.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; secrets::SECRET_BYTES]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A secret nobody has had yet; nothing where the random source failed.
    #[must_use]
    pub fn drawn() -> Option<Self> {
        let mut bytes = Zeroizing::new([0; secrets::SECRET_BYTES]);
        SystemRandom::new().fill(bytes.as_mut_slice()).ok()?;
        Some(Self(bytes))
    }

    /// A secret from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; secrets::SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; secrets::SECRET_BYTES] {
        &self.0
    }
}

/// What a slot for a secret holds.
#[derive(Clone, Debug)]
pub enum SecretState {
    /// Nothing: nobody has used it.
    Free,
    /// Nothing any more: it was written over.
    Destroyed,
    /// A secret.
    Held(Secret),
}

/// What carries the house. All methods are safe to call from any thread; appends are group-committed across tenants.
pub trait Fabric: Send + Sync + 'static {
    /// Takes ownership of a tenant's journal: verifies the whole chain, cuts a torn tail to the last whole record,
    /// persists a new epoch. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Damaged`] for a gap or an altered record: such a journal never activates.
    fn acquire(&self, tenant: TenantKey) -> Result<Tenure, FabricError>;

    /// Appends sealed payloads as one unit and resolves when they are durable.
    fn append(
        &self,
        tenant: TenantKey,
        epoch: Epoch,
        payloads: Vec<Vec<u8>>,
    ) -> BoxFuture<Result<Appended, AppendError>>;

    /// Reads up to `max` records from a position on, in order, verifying the chain between them. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Damaged`] for a gap or an altered record.
    fn read(&self, tenant: TenantKey, from: Position, max: usize) -> Result<Vec<SealedRecord>, FabricError>;

    /// Waits while the back end is behind with what was written before: for whoever writes much and is not in a hurry.
    /// Blocking.
    fn keep_pace(&self) {}

    /// Stores sealed blobs. They are durable once the next append of this tenant is acknowledged. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`]; some of them may be stored then.
    fn blobs_put(&self, tenant: TenantKey, blobs: Vec<Blob>) -> Result<(), FabricError>;

    /// Reads a sealed blob. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    fn blob_get(&self, tenant: TenantKey, name: &str) -> Result<Option<Vec<u8>>, FabricError>;

    /// Removes a blob. Removing what is not there is no error. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    fn blob_delete(&self, tenant: TenantKey, name: &str) -> Result<(), FabricError>;

    /// Keeps secrets in slots that follow each other and that nobody has used, and gives the first. Durable once
    /// [`Fabric::secrets_sync`] has returned.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    fn secrets_keep(&self, tenant: TenantKey, secrets: &[Secret]) -> Result<u64, FabricError>;

    /// Returns once all secrets kept before are on the disk. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    fn secrets_sync(&self, tenant: TenantKey) -> Result<(), FabricError>;

    /// What slots hold, in the order asked for. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    fn secrets(&self, tenant: TenantKey, slots: &[u64]) -> Result<Vec<SecretState>, FabricError>;

    /// Destroys secrets: they are written over where they stand, on the disk, when this returns. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    fn secrets_destroy(&self, tenant: TenantKey, slots: &[u64]) -> Result<(), FabricError>;

    /// Removes every record, blob and secret of a tenant. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    fn shred(&self, tenant: TenantKey) -> Result<(), FabricError>;

    /// Who holds what, as far as this node knows.
    fn view(&self) -> Vec<Holding>;
}
