//! One data key: an AES-256-GCM key and the commitment to it, derived from a longer-lived key, a salt and a context.
//!
//! HKDF-SHA-256 (RFC 5869) with the salt gives 48 bytes: the first 32 encrypt, the last 16 stand in front of every
//! ciphertext. AES-GCM alone commits to nothing: who knows two keys can make bytes that open under both of them, as
//! different texts. Here both keys would have to have the same commitment, a collision of SHA-256 cut to 128 bits, which
//! takes 2^64 tries of somebody who may choose both keys. The commitment is compared with the one of the key that opens,
//! never believed as the name of a key.
use super::CipherError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a key of any kind.
pub const KEY_BYTES: usize = 32;
/// Bytes of a salt. Two data keys that drew the same one share a key, and a nonce budget: 2^32 draws meet with a
/// probability of 2^-65.
pub const SALT_BYTES: usize = 16;
/// Bytes of a commitment.
pub const COMMITMENT_BYTES: usize = 16;
/// Bytes of the tag behind a ciphertext.
pub const TAG_BYTES: usize = 16;

/// A key the memory of which is wiped when it is dropped.
pub type SecretKey = Zeroizing<[u8; KEY_BYTES]>;

struct Derived;
impl hkdf::KeyType for Derived {
    fn len(&self) -> usize {
        KEY_BYTES + COMMITMENT_BYTES
    }
}

/// Seals and opens messages, and says which key it is.
pub struct DataKey {
    key: LessSafeKey,
    commitment: [u8; COMMITMENT_BYTES],
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    /// Derives it. `context` says what for; only its last part may have another length than the same part elsewhere.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where the crypto provider refuses.
    pub fn derive(from: &[u8; KEY_BYTES], salt: &[u8; SALT_BYTES], context: &[&[u8]]) -> Result<Self, CipherError> {
        let mut derived = Zeroizing::new([0_u8; KEY_BYTES + COMMITMENT_BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(from)
            .expand(context, Derived)
            .and_then(|okm| okm.fill(derived.as_mut_slice()))
            .map_err(|_unspecified| CipherError::Refused)?;
        let (key, rest) = derived.split_first_chunk::<KEY_BYTES>().ok_or(CipherError::Refused)?;
        let commitment = *rest.first_chunk::<COMMITMENT_BYTES>().ok_or(CipherError::Refused)?;
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_unspecified| CipherError::Refused)?;
        Ok(Self { key: LessSafeKey::new(key), commitment })
    }

    /// What stands in front of everything this key seals.
    #[must_use]
    pub fn commitment(&self) -> &[u8; COMMITMENT_BYTES] {
        &self.commitment
    }

    /// Whether this is the key a commitment was made to.
    #[must_use]
    pub fn is_committed_to_by(&self, shown: &[u8]) -> bool {
        verify_slices_are_equal(&self.commitment, shown).is_ok()
    }

    /// Appends a random nonce, the sealed text and its tag. Whoever calls this counts the messages of the key.
    ///
    /// # Errors
    /// [`CipherError::Random`] where no nonce can be drawn.
    pub fn seal_onto(
        &self,
        random: &SystemRandom,
        associated: &[u8],
        plain: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), CipherError> {
        let mut nonce = [0_u8; NONCE_LEN];
        random.fill(&mut nonce).map_err(|_unspecified| CipherError::Random)?;
        sealed.extend_from_slice(&nonce);
        let start = sealed.len();
        sealed.extend_from_slice(plain);
        let body = sealed.get_mut(start..).ok_or(CipherError::Refused)?;
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), body)
            .map_err(|_unspecified| CipherError::Refused)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens what [`DataKey::seal_onto`] appended, into a buffer of exactly the plain text's length. Where it refuses, what
    /// stands in the buffer means nothing.
    ///
    /// # Errors
    /// [`CipherError::Refused`].
    pub fn open_into(&self, associated: &[u8], sealed: &[u8], plain: &mut [u8]) -> Result<(), CipherError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CipherError::Refused)?;
        let (body, tag) = body.split_at_checked(plain.len()).ok_or(CipherError::Refused)?;
        if tag.len() != TAG_BYTES {
            return Err(CipherError::Refused);
        }
        self.key
            .open_separate_gather(Nonce::from(nonce), Aad::from(associated), body, tag, plain)
            .map_err(|_unspecified| CipherError::Refused)
    }
}
