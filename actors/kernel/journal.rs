//! A tenant's journal as its owner sees it: typed entries in, typed entries out; sealing and epochs inside.
use crate::cipher::{Cipher, CipherError, Purpose};
use crate::codec::{self, CodecError};
use crate::disclosure::{self, Shown};
use crate::fabric::chain::Head;
use crate::fabric::{AppendError, Appended, Blob, Fabric, FabricError, SealedRecord};
use crate::ids::{Epoch, Position, TenantKey};
use crate::limits::RECORD_BYTES_MAX;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use zeroize::Zeroizing;

const READ_BATCH: usize = 512;
/// Which names those of bodies are, among the names of a tenant.
const BODIES: &str = "bodies";

/// Why a journal could not be opened, read or written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JournalError {
    /// The seam refused the append.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The seam could not read.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// A record could not be encoded or decoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A record could not be sealed or opened.
    #[error(transparent)]
    Cipher(#[from] CipherError),
}

/// The right to append to and read one tenant's journal, for as long as its epoch is the newest.
#[derive(Clone)]
pub struct Journal {
    fabric: Arc<dyn Fabric>,
    cipher: Cipher,
    epoch: Epoch,
    next_at_opening: Position,
}

/// An entry, sealed for the journal it will be appended to.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Vec<u8>);

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record({} bytes)", self.0.len())
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({}, epoch {})", self.cipher.tenant(), self.epoch.0)
    }
}

impl Journal {
    /// Takes ownership of the journal of the cipher's tenant. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Fabric`] where the journal is damaged or the store fails.
    pub fn acquire(fabric: Arc<dyn Fabric>, cipher: Cipher) -> Result<Self, JournalError> {
        let tenure = fabric.acquire(cipher.tenant())?;
        Ok(Self { fabric, cipher, epoch: tenure.epoch, next_at_opening: tenure.next })
    }

    /// Whose journal this is.
    #[must_use]
    pub fn tenant(&self) -> TenantKey {
        self.cipher.tenant()
    }

    /// The epoch appends are fenced with.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where the journal ended when it was acquired: replay reaches up to here.
    #[must_use]
    pub fn next_at_opening(&self) -> Position {
        self.next_at_opening
    }

    /// Appends entries as one unit; resolves when they are durable (invariant JRN2). Appends stand in the journal in the
    /// order of these calls, whichever is awaited first.
    ///
    /// # Errors
    /// [`JournalError`]; after [`AppendError::Unsure`] or [`AppendError::Stale`] the owner must be rebuilt.
    pub fn append<T: Serialize>(
        &self,
        entries: &[T],
    ) -> impl Future<Output = Result<Appended, JournalError>> + Send + 'static + use<T> {
        let sealed: Result<Vec<Record>, JournalError> = entries.iter().map(|entry| self.record(entry)).collect();
        let queued = sealed.map(|records| self.append_records(records));
        async move { queued?.await }
    }

    /// Seals an entry, to be appended with [`Journal::append_records`]: the part of an append that only computes.
    ///
    /// # Errors
    /// [`AppendError::TooLarge`]; [`JournalError::Codec`], [`JournalError::Cipher`].
    pub fn record<T: Serialize>(&self, entry: &T) -> Result<Record, JournalError> {
        let plain = Zeroizing::new(codec::encode(entry)?);
        if plain.len() > RECORD_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes: plain.len(), max: RECORD_BYTES_MAX }.into());
        }
        Ok(Record(disclosure::seal(&self.cipher, &plain)?))
    }

    /// As [`Journal::append`], with entries this journal has sealed.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_records(
        &self,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Appended, JournalError>> + Send + 'static + use<> {
        let sealed = records.into_iter().map(|Record(sealed)| sealed).collect();
        let queued = self.fabric.append(self.tenant(), self.epoch, sealed);
        async move { Ok(queued.await?) }
    }

    /// Reads entries from a position on, in order, up to the present end. Blocking.
    ///
    /// # Errors
    /// [`JournalError`] for damage, a wrong key or an unknown version; what was visited before stays visited.
    pub fn replay<T: DeserializeOwned>(
        &self,
        from: Position,
        mut visit: impl FnMut(Position, [u8; 32], T),
    ) -> Result<Position, JournalError> {
        let mut at = from;
        loop {
            let records = self.fabric.read(self.tenant(), at, READ_BATCH)?;
            if records.is_empty() {
                return Ok(at);
            }
            for record in records {
                let plain = Zeroizing::new(disclosure::open(&self.cipher, &record.payload)?);
                visit(record.position, record.hash, codec::decode(&plain)?);
                at = record.position.next();
            }
        }
    }

    /// Reads up to `max` entries from a position on, with position and chain hash. Blocking.
    ///
    /// # Errors
    /// As [`Journal::replay`].
    pub fn portion<T: DeserializeOwned>(
        &self,
        from: Position,
        max: usize,
    ) -> Result<Vec<(Position, [u8; 32], T)>, JournalError> {
        let records = self.fabric.read(self.tenant(), from, max)?;
        let open = |record: crate::fabric::SealedRecord| {
            let plain = Zeroizing::new(disclosure::open(&self.cipher, &record.payload)?);
            Ok((record.position, record.hash, codec::decode(&plain)?))
        };
        records.into_iter().map(open).collect()
    }

    /// Reads one entry. Blocking.
    ///
    /// # Errors
    /// As [`Journal::replay`].
    pub fn entry<T: DeserializeOwned>(&self, at: Position) -> Result<Option<([u8; 32], T)>, JournalError> {
        match self.fabric.read(self.tenant(), at, 1)?.into_iter().next() {
            Some(record) if record.position == at => {
                let plain = Zeroizing::new(disclosure::open(&self.cipher, &record.payload)?);
                Ok(Some((record.hash, codec::decode(&plain)?)))
            }
            _ => Ok(None),
        }
    }

    /// Records with their keys, for somebody who may read these and nothing else. Blocking.
    ///
    /// # Errors
    /// As [`Journal::replay`].
    pub fn shown(&self, from: Position, max: usize) -> Result<Vec<Shown>, JournalError> {
        let before = Position(from.0.saturating_sub(1));
        let mut previous = match self.fabric.read(self.tenant(), before, 1)?.into_iter().next() {
            Some(record) if from.0 > 0 && record.position == before => record.hash,
            _ => Head::genesis(self.tenant()).hash,
        };
        let records = self.fabric.read(self.tenant(), from, max)?;
        let show = |record: SealedRecord| {
            let SealedRecord { position, epoch, hash, payload } = record;
            let key = disclosure::key_of(&self.cipher, &payload).ok();
            Shown { position, epoch, previous: std::mem::replace(&mut previous, hash), payload, key }
        };
        Ok(records.into_iter().map(show).collect())
    }

    /// What a body stands under: whoever has the disk and guesses what a body is called learns nothing from it.
    fn body(&self, name: &str) -> Result<String, JournalError> {
        Ok(hex::encode(self.cipher.shelf_name(&[BODIES], name.as_bytes())?))
    }

    /// Seals a document body under its name, to be stored with [`Journal::blobs_put`].
    ///
    /// # Errors
    /// [`JournalError::Cipher`].
    pub fn blob(&self, name: &str, plain: &[u8]) -> Result<Blob, JournalError> {
        let name = self.body(name)?;
        let sealed = self.cipher.seal(Purpose::Blob, name.as_bytes(), plain)?;
        Ok(Blob { name, sealed })
    }

    /// Stores document bodies; durable with the next acknowledged append. Blocking.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn blobs_put(&self, blobs: Vec<Blob>) -> Result<(), JournalError> {
        Ok(self.fabric.blobs_put(self.tenant(), blobs)?)
    }

    /// Reads a document body, one that an earlier build has stored under its plain name as well. Blocking.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn blob_get(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let body = self.body(name)?;
        for name in [body.as_str(), name] {
            if let Some(sealed) = self.fabric.blob_get(self.tenant(), name)? {
                return Ok(Some(self.cipher.open(Purpose::Blob, name.as_bytes(), &sealed)?));
            }
        }
        Ok(None)
    }

    /// Removes a document body. Blocking.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn blob_delete(&self, name: &str) -> Result<(), JournalError> {
        self.fabric.blob_delete(self.tenant(), &self.body(name)?)?;
        Ok(self.fabric.blob_delete(self.tenant(), name)?)
    }
}
