//! Records that can be shown one by one: each is sealed under a key of its own, and that key under the tenant's. Whoever is
//! given a record's key reads this record, and can prove to others what it says, and reads nothing else.
//!
//! Layout: the sealed record key, a 32-byte commitment to it, ciphertext, 16-byte tag. The commitment makes the sealed bytes
//! mean one thing: no second key opens them to other words (AES-GCM alone would allow that), so that a record that is in the
//! tree of its journal cannot be shown differently to different people.
//!
//! What is written of a document, its record and its body, begins with a byte and a number more: the slot its secret lies in.
//! The sealed key is then only half of it: the key that encrypts follows from both, and where the secret is destroyed, nobody
//! opens it any more, the tenant's own keys or not. Its bytes stay what they are, and so does every proof about them.
use crate::cipher::{Cipher, CipherError, OVERHEAD_BYTES, Purpose, key_version_of};
use crate::codec::{self, CodecError};
use crate::fabric::{Secret, SecretState, chain};
use crate::ids::{Epoch, Position};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a record's key.
pub const KEY_BYTES: usize = 32;
const COMMITMENT_BYTES: usize = 32;
/// What the key of a record is sealed as.
const NAME: &[u8] = b"record key";
const SEALED_KEY_BYTES: usize = KEY_BYTES + OVERHEAD_BYTES;
const TAG_BYTES: usize = 16;
/// First byte of what is written of a document.
const OF_DOCUMENT: u8 = 0xD0;
/// What stands before the sealed key of what is written of a document: that byte, and the slot.
const SLOT_HEAD_BYTES: usize = 1 + size_of::<u64>();
/// A slot nobody has: what is sealed before its secret has a slot.
const NO_SLOT: u64 = u64::MAX;
/// Bytes sealing a record adds, at most.
pub const RECORD_OVERHEAD_BYTES: usize = SLOT_HEAD_BYTES + SEALED_KEY_BYTES + COMMITMENT_BYTES + TAG_BYTES;

/// What is sealed, and what its key is sealed as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    purpose: Purpose,
    name: &'a [u8],
}

impl Place<'static> {
    /// A record of a journal.
    pub(crate) const RECORD: Self = Self { purpose: Purpose::Record, name: NAME };
}

impl<'a> Place<'a> {
    /// The body of a document, under its name.
    pub(crate) fn body(name: &'a str) -> Self {
        Self { purpose: Purpose::Blob, name: name.as_bytes() }
    }
}

/// The key of one record.
#[derive(Clone)]
pub struct RecordKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey")
    }
}

struct Length(usize);
impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl RecordKey {
    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes, to be given to whoever may read the record.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// What encrypts, and what commits to it (HKDF-SHA-256, RFC 5869).
    fn derived(&self) -> Result<(LessSafeKey, [u8; COMMITMENT_BYTES]), CipherError> {
        let refused = |_unspecified| CipherError::Refused;
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, b"bailiwick record v1").extract(self.0.as_slice());
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        let mut commitment = [0_u8; COMMITMENT_BYTES];
        let fill = |what: &[u8], out: &mut [u8]| {
            key.expand(&[what], Length(out.len())).and_then(|okm| okm.fill(out)).map_err(refused)
        };
        fill(b"encryption", bytes.as_mut_slice())?;
        fill(b"commitment", &mut commitment)?;
        let key = UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map_err(refused)?;
        Ok((LessSafeKey::new(key), commitment))
    }

    /// The key of what is written of a document: from its half that lies with it and from the document's secret.
    fn of_document(half: &[u8; KEY_BYTES], secret: &Secret, place: Place<'_>) -> Result<Self, CipherError> {
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        let context = [b"bailiwick document v1".as_slice(), &[place.purpose.tag()]];
        hkdf::Salt::new(hkdf::HKDF_SHA256, secret.as_bytes())
            .extract(half)
            .expand(&context, Length(KEY_BYTES))
            .and_then(|okm| okm.fill(bytes.as_mut_slice()))
            .map_err(|_unspecified| CipherError::Refused)?;
        Ok(Self(bytes))
    }

    /// Opens what stands behind the sealed key of a record.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where it was sealed under another key, or altered.
    fn open(&self, body: &[u8]) -> Result<Vec<u8>, CipherError> {
        let (commitment, sealed) = body.split_first_chunk::<COMMITMENT_BYTES>().ok_or(CipherError::Refused)?;
        let (key, own) = self.derived()?;
        verify_slices_are_equal(commitment, &own).map_err(|_unspecified| CipherError::Refused)?;
        let mut plain = sealed.to_vec();
        let length =
            key.open_in_place(nonce(), Aad::empty(), &mut plain).map_err(|_unspecified| CipherError::Refused)?.len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// A record's key seals one message: its nonce need not be drawn.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn drawn() -> Result<Zeroizing<[u8; KEY_BYTES]>, CipherError> {
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_unspecified| CipherError::Random)?;
    Ok(bytes)
}

/// Seals a record under a fresh key of its own.
///
/// # Errors
/// As [`Cipher::seal`].
pub fn seal(cipher: &Cipher, plain: &[u8]) -> Result<Vec<u8>, CipherError> {
    let own = drawn()?;
    let mut sealed = Vec::with_capacity(plain.len().saturating_add(RECORD_OVERHEAD_BYTES));
    seal_behind(cipher, Place::RECORD, &own, &RecordKey(own.clone()), plain, &mut sealed)?;
    Ok(sealed)
}

/// Seals what is written of a document under its secret as well. It has no slot yet: [`put_in_slot`] gives it one.
///
/// # Errors
/// As [`Cipher::seal`].
pub(crate) fn seal_of_document(
    cipher: &Cipher,
    place: Place<'_>,
    secret: &Secret,
    plain: &[u8],
) -> Result<Vec<u8>, CipherError> {
    let half = drawn()?;
    let mut sealed = Vec::with_capacity(plain.len().saturating_add(RECORD_OVERHEAD_BYTES));
    sealed.push(OF_DOCUMENT);
    sealed.extend_from_slice(&NO_SLOT.to_be_bytes());
    seal_behind(cipher, place, &half, &RecordKey::of_document(&half, secret, place)?, plain, &mut sealed)?;
    Ok(sealed)
}

/// Says in which slot the secret of something lies that was sealed for a document.
pub(crate) fn put_in_slot(sealed: &mut [u8], slot: u64) {
    if let Some((_mark, rest)) = sealed.split_first_mut()
        && let Some(place) = rest.first_chunk_mut::<8>()
    {
        *place = slot.to_be_bytes();
    }
}

/// Appends `with` sealed, the commitment to `key`, and what `key` makes of the words.
fn seal_behind(
    cipher: &Cipher,
    place: Place<'_>,
    with: &[u8; KEY_BYTES],
    key: &RecordKey,
    plain: &[u8],
    sealed: &mut Vec<u8>,
) -> Result<(), CipherError> {
    let (key, commitment) = key.derived()?;
    cipher.seal_into(place.purpose, place.name, with, sealed)?;
    sealed.extend_from_slice(&commitment);
    // room for the tag: sealed in place, it is not moved while it is plain
    let mut body = Vec::with_capacity(plain.len().saturating_add(TAG_BYTES));
    body.extend_from_slice(plain);
    key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut body).map_err(|_unspecified| CipherError::Refused)?;
    sealed.extend_from_slice(&body);
    Ok(())
}

/// The slot that something names for its secret, where it is of a document. Whether that is true shows when it opens.
#[must_use]
pub fn slot_named(sealed: &[u8]) -> Option<u64> {
    let (mark, rest) = sealed.split_first()?;
    let (slot, _) = rest.split_first_chunk::<8>()?;
    (*mark == OF_DOCUMENT).then(|| u64::from_be_bytes(*slot))
}

/// What stands before the sealed key.
fn head_bytes(sealed: &[u8]) -> usize {
    if sealed.first() == Some(&OF_DOCUMENT) { SLOT_HEAD_BYTES } else { 0 }
}

/// What its owner's keys make of something sealed.
pub(crate) enum Unlocked<'a> {
    /// Its key, and what it opens.
    Key(RecordKey, &'a [u8]),
    /// It is of a document: half of its key.
    Half(Half<'a>),
}

/// Half of the key of something that is written of a document.
pub(crate) struct Half<'a> {
    /// Where the secret lies that is the other half.
    pub(crate) slot: u64,
    place: Place<'a>,
    half: Zeroizing<[u8; KEY_BYTES]>,
    body: &'a [u8],
}

impl<'a> Half<'a> {
    /// The whole key, and what it opens.
    pub(crate) fn with(&self, secret: &Secret) -> Result<(RecordKey, &'a [u8]), CipherError> {
        Ok((RecordKey::of_document(&self.half, secret, self.place)?, self.body))
    }
}

/// Opens the key of something sealed, or the half of it that lies with it.
///
/// # Errors
/// [`CipherError::Refused`] where it belongs elsewhere, or is older than such keys.
pub(crate) fn unlock<'a>(cipher: &Cipher, place: Place<'a>, sealed: &'a [u8]) -> Result<Unlocked<'a>, CipherError> {
    let (head, rest) = sealed.split_at_checked(head_bytes(sealed)).ok_or(CipherError::Refused)?;
    let (own, body) = rest.split_at_checked(SEALED_KEY_BYTES).ok_or(CipherError::Refused)?;
    let own = Zeroizing::new(cipher.open(place.purpose, place.name, own)?);
    let own = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(own.as_slice()).map_err(|_length| CipherError::Refused)?);
    Ok(match head.split_last_chunk::<8>() {
        Some((_mark, slot)) => Unlocked::Half(Half { slot: u64::from_be_bytes(*slot), place, half: own, body }),
        None => Unlocked::Key(RecordKey(own), body),
    })
}

/// What a key opens.
///
/// # Errors
/// [`CipherError::Refused`] where it was altered or belongs elsewhere.
pub(crate) fn read(key: &RecordKey, body: &[u8]) -> Result<Vec<u8>, CipherError> {
    key.open(body)
}

/// The key of a record, for its owner.
///
/// # Errors
/// [`CipherError::Refused`] where the record belongs elsewhere, is of a document, or is older than keys of records.
pub fn key_of(cipher: &Cipher, payload: &[u8]) -> Result<RecordKey, CipherError> {
    match unlock(cipher, Place::RECORD, payload)? {
        Unlocked::Key(key, _body) => Ok(key),
        Unlocked::Half(_) => Err(CipherError::Refused),
    }
}

/// What opening a record comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    /// What it says.
    Words(Zeroizing<Vec<u8>>),
    /// It went with its document, whose secret was destroyed.
    Shredded,
    /// The secret of its document is not there.
    Secretless,
}

/// Opens a record for its owner, one from before records had keys of their own as well. `secrets` has what the slots hold
/// that records name.
///
/// # Errors
/// [`CipherError::Refused`] where it was altered or belongs elsewhere.
pub fn open(cipher: &Cipher, payload: &[u8], secrets: &HashMap<u64, SecretState>) -> Result<Opened, CipherError> {
    let plain = match unlock(cipher, Place::RECORD, payload) {
        Ok(Unlocked::Key(key, body)) => key.open(body)?,
        Ok(Unlocked::Half(half)) => match secrets.get(&half.slot) {
            Some(SecretState::Held(secret)) => {
                let (key, body) = half.with(secret)?;
                key.open(body)?
            }
            Some(SecretState::Destroyed) => return Ok(Opened::Shredded),
            Some(SecretState::Free) | None => return Ok(Opened::Secretless),
        },
        Err(CipherError::Refused) => cipher.open(Purpose::Record, b"", payload)?,
        Err(other) => return Err(other),
    };
    Ok(Opened::Words(Zeroizing::new(plain)))
}

/// A record as it is shown to somebody without the tenant's keys.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its place in the journal.
    pub position: Position,
    /// Epoch of the owner that wrote it.
    pub epoch: Epoch,
    /// Chain hash of the record before it.
    pub previous: [u8; 32],
    /// Its sealed bytes.
    pub payload: Vec<u8>,
    /// Its key; none where it is older than keys of records, so that its place can be proved and not what it says.
    pub key: Option<RecordKey>,
}

/// Why a shown record was not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShownError {
    /// The key is missing or not the one it was sealed under, or the bytes were altered.
    #[error(transparent)]
    Cipher(#[from] CipherError),
    /// It says nothing this build can read.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Shown {
    /// Its chain hash, which is the leaf of the tree where everything here is as it was written.
    #[must_use]
    pub fn chain_hash(&self, journal: &[u8; 16]) -> [u8; 32] {
        chain::link(journal, self.position, self.epoch, &self.previous, &self.payload)
    }

    /// Whether it says that it is of a document: a part of its sealed bytes, and so of its chain hash. Its key may have gone with
    /// the document.
    #[must_use]
    pub fn is_of_document(&self) -> bool {
        slot_named(&self.payload).is_some()
    }

    /// The version of the tenant's key its own key is sealed under: a part of its sealed bytes, and so of its chain hash.
    #[must_use]
    pub fn key_version(&self) -> Option<u32> {
        self.payload.get(head_bytes(&self.payload)..).and_then(key_version_of)
    }

    /// What it says.
    ///
    /// # Errors
    /// [`ShownError`].
    pub fn entry<T: DeserializeOwned>(&self) -> Result<T, ShownError> {
        let behind = head_bytes(&self.payload).saturating_add(SEALED_KEY_BYTES);
        let body = self.payload.get(behind..).ok_or(CipherError::Refused)?;
        let key = self.key.as_ref().ok_or(CipherError::Refused)?;
        Ok(codec::decode(&key.open(body)?)?)
    }
}

#[cfg(test)]
#[path = "disclosure_tests.rs"]
mod tests;
