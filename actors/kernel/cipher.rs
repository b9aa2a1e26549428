//! The tenant's cipher: AES-256-GCM with the tenant's key as associated data, so that a stray record of another
//! tenant cannot even be decrypted (design §4.6).
use crate::ids::TenantKey;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::sync::Arc;

const TAG_BYTES: usize = 16;
/// Bytes sealing adds: the nonce in front, the tag behind.
pub const OVERHEAD_BYTES: usize = NONCE_LEN + TAG_BYTES;

/// What a ciphertext is for; part of its associated data, so that a blob cannot stand in for a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A journal record.
    Record,
    /// A document body.
    Blob,
    /// A value of a shelf.
    Shelf,
    /// A file of a search index.
    Index,
}

impl Purpose {
    fn tag(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Blob => 2,
            Self::Shelf => 3,
            Self::Index => 4,
        }
    }
}

/// Why sealing or opening failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CipherError {
    /// The bytes were altered, belong to another tenant, purpose or name, or the key is wrong.
    #[error("opening sealed bytes: authentication failed; they were altered or belong elsewhere")]
    Refused,
    /// The random source failed.
    #[error("sealing bytes: the random source failed")]
    Random,
}

/// Seals and opens the bytes of exactly one tenant. Cheap to clone; the key is wiped with the last clone.
#[derive(Clone)]
pub struct Cipher {
    tenant: TenantKey,
    key: Arc<LessSafeKey>,
    random: Arc<SystemRandom>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({})", self.tenant)
    }
}

struct KeyBytes;
impl hkdf::KeyType for KeyBytes {
    fn len(&self) -> usize {
        32
    }
}

impl Cipher {
    /// Derives a tenant's cipher from a master secret (HKDF-SHA-256, RFC 5869; the tenant key is the info).
    ///
    /// # Errors
    /// [`CipherError::Refused`] where the provider rejects the key.
    pub fn derive(master: &[u8; 32], tenant: TenantKey) -> Result<Self, CipherError> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"bailiwick tenant cipher v1");
        let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
        salt.extract(master)
            .expand(&[tenant.as_bytes()], KeyBytes)
            .and_then(|okm| okm.fill(bytes.as_mut_slice()))
            .map_err(|_unspecified| CipherError::Refused)?;
        Self::with_key(&bytes, tenant)
    }

    /// A cipher with the given data key.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where the provider rejects the key.
    pub fn with_key(key: &[u8; 32], tenant: TenantKey) -> Result<Self, CipherError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_unspecified| CipherError::Refused)?;
        Ok(Self { tenant, key: Arc::new(LessSafeKey::new(key)), random: Arc::new(SystemRandom::new()) })
    }

    /// Whose bytes this cipher seals.
    #[must_use]
    pub fn tenant(&self) -> TenantKey {
        self.tenant
    }

    fn associated(&self, purpose: Purpose, name: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(17 + name.len());
        data.extend_from_slice(self.tenant.as_bytes());
        data.push(purpose.tag());
        data.extend_from_slice(name);
        data
    }

    /// Seals `plain` for a purpose and a name (a key, a path); the same name is needed to open it.
    /// Layout: 12-byte random nonce, ciphertext, 16-byte tag.
    ///
    /// # Errors
    /// [`CipherError::Random`] where no nonce can be drawn.
    pub fn seal(&self, purpose: Purpose, name: &[u8], plain: &[u8]) -> Result<Vec<u8>, CipherError> {
        let mut sealed = Vec::new();
        self.seal_into(purpose, name, plain, &mut sealed)?;
        Ok(sealed)
    }

    /// Seals like [`Cipher::seal`] and appends the result to `sealed`, without a buffer of its own. Adds
    /// [`OVERHEAD_BYTES`] to the length of `plain`.
    ///
    /// # Errors
    /// [`CipherError::Random`] where no nonce can be drawn.
    pub fn seal_into(
        &self,
        purpose: Purpose,
        name: &[u8],
        plain: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), CipherError> {
        let mut nonce = [0_u8; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_unspecified| CipherError::Random)?;
        sealed.reserve(plain.len() + OVERHEAD_BYTES);
        sealed.extend_from_slice(&nonce);
        let start = sealed.len();
        sealed.extend_from_slice(plain);
        let body = sealed.get_mut(start..).ok_or(CipherError::Refused)?;
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.associated(purpose, name)),
                body,
            )
            .map_err(|_unspecified| CipherError::Refused)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens like [`Cipher::open`] into a buffer that is exactly [`OVERHEAD_BYTES`] shorter than `sealed`. Where it
    /// refuses, what stands in the buffer means nothing.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where anything was altered or belongs elsewhere, or the buffer has another length.
    pub fn open_into(&self, purpose: Purpose, name: &[u8], sealed: &[u8], plain: &mut [u8]) -> Result<(), CipherError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(CipherError::Refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_unspecified| CipherError::Refused)?;
        let (body, tag) = body.split_at_checked(plain.len()).ok_or(CipherError::Refused)?;
        if tag.len() != TAG_BYTES {
            return Err(CipherError::Refused);
        }
        self.key
            .open_separate_gather(nonce, Aad::from(self.associated(purpose, name)), body, tag, plain)
            .map_err(|_unspecified| CipherError::Refused)
    }

    /// Opens what [`Cipher::seal`] made for the same tenant, purpose and name.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where anything was altered or belongs elsewhere.
    pub fn open(&self, purpose: Purpose, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CipherError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(CipherError::Refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_unspecified| CipherError::Refused)?;
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(self.associated(purpose, name)), &mut body)
            .map_err(|_unspecified| CipherError::Refused)?;
        let length = plain.len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "test")]
    fn cipher() -> Cipher {
        Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(1))).unwrap()
    }

    #[test]
    fn both_ways_of_sealing_are_opened_by_both_ways_of_opening() {
        let cipher = cipher();
        let mut appended = b"before".to_vec();
        cipher.seal_into(Purpose::Index, b"name", b"plain", &mut appended).unwrap();
        let sealed = appended.split_off(6);
        assert_eq!(appended, b"before");
        assert_eq!(sealed.len(), 5 + OVERHEAD_BYTES);
        assert_eq!(cipher.open(Purpose::Index, b"name", &sealed).unwrap(), b"plain");

        let sealed = cipher.seal(Purpose::Index, b"name", b"plain").unwrap();
        let mut plain = [0; 5];
        cipher.open_into(Purpose::Index, b"name", &sealed, &mut plain).unwrap();
        assert_eq!(&plain, b"plain");
    }

    #[test]
    fn opening_into_refuses_what_was_altered_renamed_or_is_of_another_length() {
        let cipher = cipher();
        let sealed = cipher.seal(Purpose::Index, b"name", b"plain").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(cipher.open_into(Purpose::Index, b"name", &altered, &mut [0; 5]), Err(CipherError::Refused));
        }
        assert_eq!(cipher.open_into(Purpose::Index, b"other", &sealed, &mut [0; 5]), Err(CipherError::Refused));
        assert_eq!(cipher.open_into(Purpose::Blob, b"name", &sealed, &mut [0; 5]), Err(CipherError::Refused));
        for length in [0, 4, 6, 64] {
            let mut plain = vec![0; length];
            assert_eq!(cipher.open_into(Purpose::Index, b"name", &sealed, &mut plain), Err(CipherError::Refused));
        }
    }
}
