//! A tenant's journal as its owner sees it: typed entries in, typed entries out; sealing and epochs inside.
use crate::background::Turn;
use crate::cipher::{Cipher, CipherError, Purpose};
use crate::codec::{self, CodecError};
use crate::disclosure::{self, Opened, Place, RecordKey, Shown, Unlocked};
use crate::fabric::chain::Head;
use crate::fabric::{AppendError, Appended, Blob, Fabric, FabricError, SealedRecord, Secret, SecretState};
use crate::ids::{Epoch, Position, TenantKey};
use crate::limits::RECORD_BYTES_MAX;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;
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
    /// A record of a document whose secret is not there, though it was not destroyed.
    #[error(
        "reading record {}: the secret of its document is missing; restore the node, its folder `secrets` included, from a backup",
        .0.0
    )]
    Secretless(Position),
    /// A record of a document whose secret was destroyed, where there should be no documents.
    #[error("reading record {}: it was shredded with its document", .0.0)]
    Shredded(Position),
}

/// What is read from a journal.
pub trait Readable: DeserializeOwned {
    /// What is read in the place of a record that was shredded with its document; nothing where a journal of these has none.
    #[must_use]
    fn shredded() -> Option<Self> {
        None
    }
}

/// Journals of plain words.
impl Readable for String {}

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

/// What is written of a document, its record and its body, sealed under a secret that lies in no slot yet: neither can be stored
/// before [`Journal::place`] has given it one.
#[derive(Debug)]
pub struct OfDocument {
    record: Record,
    body: Blob,
    secret: Secret,
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
        Ok(Record(disclosure::seal(&self.cipher, &encoded(entry)?)?))
    }

    /// Seals the entry that a document was accepted, and its text, under a secret of its own: destroyed, it takes both with it.
    ///
    /// # Errors
    /// As [`Journal::record`].
    pub fn of_document<T: Serialize>(
        &self,
        entry: &T,
        body_name: &str,
        text: &[u8],
    ) -> Result<OfDocument, JournalError> {
        let secret = Secret::drawn().ok_or(CipherError::Random)?;
        let plain = encoded(entry)?;
        let record = Record(disclosure::seal_of_document(&self.cipher, Place::RECORD, &secret, &plain)?);
        let name = self.body(body_name)?;
        let sealed = disclosure::seal_of_document(&self.cipher, Place::body(&name), &secret, text)?;
        Ok(OfDocument { record, body: Blob { name, sealed }, secret })
    }

    /// Gives the secrets of documents a slot each, and the records and bodies, which are then to be stored. None of the records
    /// may be appended before [`Journal::secrets_sync`] has returned. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Fabric`].
    pub fn place(&self, documents: Vec<OfDocument>) -> Result<(Vec<Record>, Vec<Blob>), JournalError> {
        if documents.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let secrets: Vec<Secret> = documents.iter().map(|document| document.secret.clone()).collect();
        let first = self.fabric.secrets_keep(self.tenant(), &secrets)?;
        let placed = (first..).zip(documents).map(|(slot, document)| {
            let OfDocument { record: Record(mut record), mut body, secret: _ } = document;
            disclosure::put_in_slot(&mut record, slot);
            disclosure::put_in_slot(&mut body.sealed, slot);
            (Record(record), body)
        });
        Ok(placed.unzip())
    }

    /// Returns once the secrets of all documents placed before are on the disk. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Fabric`].
    pub fn secrets_sync(&self) -> Result<(), JournalError> {
        Ok(self.fabric.secrets_sync(self.tenant())?)
    }

    /// Destroys the secrets of documents: those that the records at these positions, and the bodies of these names, are sealed
    /// under. They are gone from the disk when this returns. Records and bodies that have none stay what they are. Blocking.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn shred(&self, records: &[Position], bodies: &[String]) -> Result<(), JournalError> {
        let (mut slots, mut turn) = (Vec::new(), Turn::begin());
        let mut note = |place: Place<'_>, sealed: &[u8]| match disclosure::unlock(&self.cipher, place, sealed) {
            Ok(Unlocked::Half(half)) => {
                slots.push(half.slot);
                Ok(())
            }
            Ok(Unlocked::Key(..)) | Err(CipherError::Refused) => Ok(()),
            Err(other) => Err(other),
        };
        for position in records {
            turn.offer();
            for record in self.fabric.read(self.tenant(), *position, 1)? {
                note(Place::RECORD, &record.payload)?;
            }
        }
        for name in bodies {
            turn.offer();
            let name = self.body(name)?;
            if let Some(sealed) = self.fabric.blob_get(self.tenant(), &name)? {
                note(Place::body(&name), &sealed)?;
            }
        }
        slots.sort_unstable();
        slots.dedup();
        if slots.is_empty() { Ok(()) } else { Ok(self.fabric.secrets_destroy(self.tenant(), &slots)?) }
    }

    /// What the slots hold that these records name.
    fn secrets_for(&self, records: &[SealedRecord]) -> Result<HashMap<u64, SecretState>, JournalError> {
        let slots: Vec<u64> = records.iter().filter_map(|record| disclosure::slot_named(&record.payload)).collect();
        if slots.is_empty() {
            return Ok(HashMap::new());
        }
        let states = self.fabric.secrets(self.tenant(), &slots)?;
        Ok(slots.into_iter().zip(states).collect())
    }

    fn read_as<T: Readable>(
        &self,
        record: &SealedRecord,
        secrets: &HashMap<u64, SecretState>,
    ) -> Result<T, JournalError> {
        match disclosure::open(&self.cipher, &record.payload, secrets)? {
            Opened::Words(plain) => Ok(codec::decode(&plain)?),
            Opened::Shredded => T::shredded().ok_or(JournalError::Shredded(record.position)),
            Opened::Secretless => Err(JournalError::Secretless(record.position)),
        }
    }

    /// The key of a record, to be shown with it; nothing where it has none, or none any more.
    fn key_of(&self, payload: &[u8], secrets: &HashMap<u64, SecretState>) -> Option<RecordKey> {
        match disclosure::unlock(&self.cipher, Place::RECORD, payload).ok()? {
            Unlocked::Key(key, _body) => Some(key),
            Unlocked::Half(half) => match secrets.get(&half.slot)? {
                SecretState::Held(secret) => half.with(secret).ok().map(|(key, _body)| key),
                SecretState::Free | SecretState::Destroyed => None,
            },
        }
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
    pub fn replay<T: Readable>(
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
            let secrets = self.secrets_for(&records)?;
            for record in records {
                visit(record.position, record.hash, self.read_as(&record, &secrets)?);
                at = record.position.next();
            }
        }
    }

    /// Reads up to `max` entries from a position on, with position and chain hash. Blocking.
    ///
    /// # Errors
    /// As [`Journal::replay`].
    pub fn portion<T: Readable>(
        &self,
        from: Position,
        max: usize,
    ) -> Result<Vec<(Position, [u8; 32], T)>, JournalError> {
        let records = self.fabric.read(self.tenant(), from, max)?;
        let secrets = self.secrets_for(&records)?;
        let open = |record: SealedRecord| Ok((record.position, record.hash, self.read_as(&record, &secrets)?));
        records.into_iter().map(open).collect()
    }

    /// Reads one entry. Blocking.
    ///
    /// # Errors
    /// As [`Journal::replay`].
    pub fn entry<T: Readable>(&self, at: Position) -> Result<Option<([u8; 32], T)>, JournalError> {
        let records = self.fabric.read(self.tenant(), at, 1)?;
        let secrets = self.secrets_for(&records)?;
        match records.into_iter().next() {
            Some(record) if record.position == at => Ok(Some((record.hash, self.read_as(&record, &secrets)?))),
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
        let secrets = self.secrets_for(&records)?;
        let show = |record: SealedRecord| {
            let SealedRecord { position, epoch, hash, payload } = record;
            let key = self.key_of(&payload, &secrets);
            Shown { position, epoch, previous: std::mem::replace(&mut previous, hash), payload, key }
        };
        Ok(records.into_iter().map(show).collect())
    }

    /// What a body stands under: whoever has the disk and guesses what a body is called learns nothing from it.
    fn body(&self, name: &str) -> Result<String, JournalError> {
        Ok(hex::encode(self.cipher.shelf_name(&[BODIES], name.as_bytes())?))
    }

    /// Seals what is kept beside the journal and is of no document under its name, to be stored with [`Journal::blobs_put`].
    ///
    /// # Errors
    /// [`JournalError::Cipher`].
    pub fn blob(&self, name: &str, plain: &[u8]) -> Result<Blob, JournalError> {
        let name = self.body(name)?;
        let sealed = self.cipher.seal(Purpose::Blob, name.as_bytes(), plain)?;
        Ok(Blob { name, sealed })
    }

    /// Waits while the back end is behind with what was written before: for whoever writes much. Blocking.
    pub fn keep_pace(&self) {
        self.fabric.keep_pace();
    }

    /// Stores document bodies; durable with the next acknowledged append. Blocking.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn blobs_put(&self, blobs: Vec<Blob>) -> Result<(), JournalError> {
        Ok(self.fabric.blobs_put(self.tenant(), blobs)?)
    }

    /// Reads a document body, one that an earlier build has stored under its plain name as well. Nothing where it is gone, or
    /// its secret was destroyed. Blocking.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn blob_get(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let body = self.body(name)?;
        for name in [body.as_str(), name] {
            if let Some(sealed) = self.fabric.blob_get(self.tenant(), name)? {
                return self.opened_body(name, &sealed);
            }
        }
        Ok(None)
    }

    fn opened_body(&self, name: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        let half = match disclosure::unlock(&self.cipher, Place::body(name), sealed) {
            Ok(Unlocked::Half(half)) => half,
            Ok(Unlocked::Key(..)) | Err(CipherError::Refused) => {
                return Ok(Some(self.cipher.open(Purpose::Blob, name.as_bytes(), sealed)?));
            }
            Err(other) => return Err(other.into()),
        };
        match self.fabric.secrets(self.tenant(), &[half.slot])?.pop() {
            Some(SecretState::Held(secret)) => {
                let (key, body) = half.with(&secret)?;
                Ok(Some(disclosure::read(&key, body)?))
            }
            Some(SecretState::Free | SecretState::Destroyed) | None => Ok(None),
        }
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

/// An entry as it is sealed.
fn encoded<T: Serialize>(entry: &T) -> Result<Zeroizing<Vec<u8>>, JournalError> {
    let plain = Zeroizing::new(codec::encode(entry)?);
    if plain.len() > RECORD_BYTES_MAX {
        return Err(AppendError::TooLarge { bytes: plain.len(), max: RECORD_BYTES_MAX }.into());
    }
    Ok(plain)
}
