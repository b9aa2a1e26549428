//! Records that can be shown one by one: each is sealed under a key of its own, and that key under the tenant's. Whoever is
//! given a record's key reads this record, and can prove to others what it says, and reads nothing else.
//!
//! Layout: the sealed record key, a 32-byte commitment to it, ciphertext, 16-byte tag. The commitment makes the sealed bytes
//! mean one thing: no second key opens them to other words (AES-GCM alone would allow that), so that a record that is in the
//! tree of its journal cannot be shown differently to different people.
use crate::cipher::{Cipher, CipherError, OVERHEAD_BYTES, Purpose, key_version_of};
use crate::codec::{self, CodecError};
use crate::fabric::chain;
use crate::ids::{Epoch, Position};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde::de::DeserializeOwned;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a record's key.
pub const KEY_BYTES: usize = 32;
const COMMITMENT_BYTES: usize = 32;
/// What the key of a record is sealed as.
const NAME: &[u8] = b"record key";
const SEALED_KEY_BYTES: usize = KEY_BYTES + OVERHEAD_BYTES;
const TAG_BYTES: usize = 16;
/// Bytes sealing a record adds.
pub const RECORD_OVERHEAD_BYTES: usize = SEALED_KEY_BYTES + COMMITMENT_BYTES + TAG_BYTES;

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

/// Seals a record under a fresh key of its own.
///
/// # Errors
/// As [`Cipher::seal`].
pub fn seal(cipher: &Cipher, plain: &[u8]) -> Result<Vec<u8>, CipherError> {
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_unspecified| CipherError::Random)?;
    let record_key = RecordKey(bytes);
    let (key, commitment) = record_key.derived()?;
    let mut sealed = Vec::with_capacity(plain.len().saturating_add(RECORD_OVERHEAD_BYTES));
    cipher.seal_into(Purpose::Record, NAME, record_key.as_bytes(), &mut sealed)?;
    sealed.extend_from_slice(&commitment);
    // room for the tag: sealed in place, it is not moved while it is plain
    let mut body = Vec::with_capacity(plain.len().saturating_add(TAG_BYTES));
    body.extend_from_slice(plain);
    key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut body).map_err(|_unspecified| CipherError::Refused)?;
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

/// The key of a record, for its owner.
///
/// # Errors
/// [`CipherError::Refused`] where the record belongs elsewhere, or is older than keys of records.
pub fn key_of(cipher: &Cipher, payload: &[u8]) -> Result<RecordKey, CipherError> {
    let (sealed, _body) = payload.split_at_checked(SEALED_KEY_BYTES).ok_or(CipherError::Refused)?;
    let bytes = Zeroizing::new(cipher.open(Purpose::Record, NAME, sealed)?);
    let bytes = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_length| CipherError::Refused)?;
    Ok(RecordKey::from_bytes(bytes))
}

/// Opens a record for its owner, one from before records had keys of their own as well.
///
/// # Errors
/// [`CipherError::Refused`] where it was altered or belongs elsewhere.
pub fn open(cipher: &Cipher, payload: &[u8]) -> Result<Vec<u8>, CipherError> {
    match key_of(cipher, payload) {
        Ok(key) => key.open(payload.get(SEALED_KEY_BYTES..).unwrap_or_default()),
        Err(CipherError::Refused) => cipher.open(Purpose::Record, b"", payload),
        Err(other) => Err(other),
    }
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

    /// The version of the tenant's key its own key is sealed under: a part of its sealed bytes, and so of its chain hash.
    #[must_use]
    pub fn key_version(&self) -> Option<u32> {
        key_version_of(&self.payload)
    }

    /// What it says.
    ///
    /// # Errors
    /// [`ShownError`].
    pub fn entry<T: DeserializeOwned>(&self) -> Result<T, ShownError> {
        let body = self.payload.get(SEALED_KEY_BYTES..).ok_or(CipherError::Refused)?;
        let key = self.key.as_ref().ok_or(CipherError::Refused)?;
        Ok(codec::decode(&key.open(body)?)?)
    }
}

#[cfg(test)]
#[path = "disclosure_tests.rs"]
mod tests;
