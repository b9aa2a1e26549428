//! A journal and its blobs as they lie here, to be copied elsewhere and to be put back: sealed bytes, never opened.
use super::chain::{Damage, Head};
use super::embedded::Embedded;
use super::record::Unit;
use super::{Fabric, FabricError, SealedRecord, ledger, record};
use crate::ids::{Epoch, Position, TenantKey};
use crate::limits::INLINE_BLOB_BYTES_MAX;
use std::collections::BTreeSet;
use std::sync::{RwLockReadGuard, RwLockWriteGuard};
use zeroize::Zeroizing;

/// What a blob stands under: a digest of its name.
pub type BlobDigest = [u8; 32];

/// While it lives, no blob of this node is removed, and no secret of a document destroyed.
#[derive(Debug)]
pub struct BlobsHeld<'a>(#[expect(dead_code, reason = "held, never looked at")] RwLockWriteGuard<'a, ()>);

/// One removal under way.
#[derive(Debug)]
pub(super) struct Removing<'a>(#[expect(dead_code, reason = "held, never looked at")] RwLockReadGuard<'a, ()>);

impl<'a> Removing<'a> {
    pub(super) fn of(guard: RwLockReadGuard<'a, ()>) -> Self {
        Self(guard)
    }
}

impl<'a> BlobsHeld<'a> {
    pub(super) fn of(guard: RwLockWriteGuard<'a, ()>) -> Self {
        Self(guard)
    }
}

/// A journal that is being put back, record by record.
#[derive(Debug)]
pub struct Returning<'a> {
    store: &'a Embedded,
    tenant: TenantKey,
    head: Head,
    epoch: Epoch,
}

impl Embedded {
    /// Where a journal durably ends now. Blocking.
    ///
    /// # Errors
    /// [`FabricError`].
    pub fn end_of(&self, tenant: TenantKey) -> Result<Head, FabricError> {
        let newest = self.newest(tenant)?;
        Ok(newest
            .map_or_else(|| Head::genesis(tenant), |record| Head { next: record.position.next(), hash: record.hash }))
    }

    /// Waits until no blob is being removed, and lets none be removed until what it gives is dropped. Blocking.
    ///
    /// Whoever holds it and then looks where a journal ends finds every blob that the records before that end point to.
    #[must_use]
    pub fn hold_blobs(&self) -> BlobsHeld<'_> {
        self.blobs().hold()
    }

    /// What the blobs of a tenant stand under. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn blob_digests(&self, tenant: TenantKey) -> Result<BTreeSet<BlobDigest>, FabricError> {
        self.blobs().digests(tenant)
    }

    /// The sealed bytes of a blob; nothing where it is gone. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn blob_under(&self, tenant: TenantKey, digest: &BlobDigest) -> Result<Option<Vec<u8>>, FabricError> {
        self.blobs().get_under(tenant, digest)
    }

    /// Puts a blob back under what it stood under; durable when [`Returning::end`] has returned. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn put_under(&self, tenant: TenantKey, digest: BlobDigest, sealed: Vec<u8>) -> Result<(), FabricError> {
        self.blobs().put_under(tenant, digest, sealed)
    }

    /// The secrets of a tenant's documents, by slot, as they are now. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn secrets_of(&self, tenant: TenantKey) -> Result<Zeroizing<Vec<u8>>, FabricError> {
        self.secrets_kept().copied(tenant)
    }

    /// Puts the secrets of a tenant's documents back where it has none; durable when this returns. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn put_secrets_back(&self, tenant: TenantKey, secrets: &[u8]) -> Result<(), FabricError> {
        self.secrets_kept().put_back(tenant, secrets)
    }

    /// Begins to put a journal back where there is none. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Damaged`] where there is one.
    pub fn put_back(&self, tenant: TenantKey) -> Result<Returning<'_>, FabricError> {
        let head = Head::genesis(tenant);
        if self.end_of(tenant)? != head {
            let reason = String::from("there is one already; put it back where there is none");
            return Err(FabricError::Damaged { tenant, position: Position(0), reason });
        }
        Ok(Returning { store: self, tenant, head, epoch: Epoch(0) })
    }
}

impl Returning<'_> {
    /// Where the records put back so far end.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Puts the next records back. They must be those that stood there. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Damaged`] for a record that does not follow the one before it; [`FabricError::Store`].
    pub fn records(&mut self, records: &[SealedRecord]) -> Result<(), FabricError> {
        let mut frames = Vec::with_capacity(records.len());
        for found in records {
            let damaged = |reason: &str| FabricError::Damaged {
                tenant: self.tenant,
                position: found.position,
                reason: reason.to_owned(),
            };
            if found.position != self.head.next {
                return Err(damaged("it does not stand behind the record before it"));
            }
            let extended = self.head.extend(self.tenant, found.epoch, &found.payload, Unit::Ends);
            let (head, frame) = extended.ok_or_else(|| damaged("it is longer than a record can be"))?;
            if head.hash != found.hash {
                return Err(damaged("its content does not match its hash"));
            }
            frames.push((record::key(self.head.next).to_vec(), frame));
            self.head = head;
            self.epoch = self.epoch.max(found.epoch);
        }
        self.store.write_frames(self.tenant, frames)
    }

    /// Ends it: records and blobs are durable when this returns. Blocking.
    ///
    /// # Errors
    /// [`FabricError::Store`]; [`FabricError::Damaged`] where the journal did not come to this end.
    pub fn end(self, expected: Head) -> Result<(), FabricError> {
        if self.head != expected {
            let Damage { position, reason } =
                Damage { position: self.head.next, reason: String::from("the journal does not end as it did") };
            return Err(FabricError::Damaged { tenant: self.tenant, position, reason });
        }
        self.store.write_ledger(self.tenant, &ledger::Entry { epoch: self.epoch, mark: self.head })?;
        self.store.sync()
    }
}

/// Records from a position on, up to an end, in portions.
///
/// # Errors
/// Those of [`Fabric::read`], and of `each`.
pub fn each_portion<E: From<FabricError>>(
    store: &Embedded,
    tenant: TenantKey,
    (from, end): (Position, Position),
    mut each: impl FnMut(Vec<SealedRecord>) -> Result<(), E>,
) -> Result<(), E> {
    /// Records read at once.
    const PORTION: u64 = 256;
    let mut at = from;
    while at < end {
        let max = usize::try_from(end.0.saturating_sub(at.0).min(PORTION)).unwrap_or(usize::MAX);
        let records = store.read(tenant, at, max)?;
        let Some(last) = records.last().map(|record| record.position) else {
            let reason = String::from("it is missing, although it was there a moment ago");
            return Err(FabricError::Damaged { tenant, position: at, reason }.into());
        };
        at = last.next();
        each(records)?;
    }
    Ok(())
}

/// Whether a blob of so many bytes stands in the store, beside the journal.
pub(super) fn is_inline(bytes: usize) -> bool {
    bytes <= INLINE_BLOB_BYTES_MAX
}
