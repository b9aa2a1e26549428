//! What was sealed before there were keyrings: one key for ever, derived from the node's master key, and no header.
//!
//! Layout: 12-byte nonce, ciphertext, 16-byte tag. Opened for tenants whose keyring says so; never sealed any more.
use super::{CipherError, Purpose, associated, data_key::KEY_BYTES, data_key::SecretKey};
use crate::ids::TenantKey;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use std::fmt;
use zeroize::Zeroizing;

struct Derived;
impl hkdf::KeyType for Derived {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

/// Derives a key from a secret and a tenant's key: HKDF-SHA-256, RFC 5869.
///
/// # Errors
/// [`CipherError::Refused`] where the crypto provider refuses.
pub(super) fn derive(secret: &[u8; KEY_BYTES], tenant: TenantKey) -> Result<SecretKey, CipherError> {
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"bailiwick tenant cipher v1")
        .extract(secret)
        .expand(&[tenant.as_bytes()], Derived)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .map_err(|_unspecified| CipherError::Refused)?;
    Ok(key)
}

/// Opens what was sealed for one tenant in the layout without a header.
pub struct LegacyKey {
    tenant: TenantKey,
    key: LessSafeKey,
}

impl fmt::Debug for LegacyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LegacyKey({})", self.tenant)
    }
}

impl LegacyKey {
    /// The key every tenant had before it had a keyring.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where the crypto provider refuses.
    pub fn derive(master: &[u8; KEY_BYTES], tenant: TenantKey) -> Result<Self, CipherError> {
        let key = derive(master, tenant)?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_unspecified| CipherError::Refused)?;
        Ok(Self { tenant, key: LessSafeKey::new(key) })
    }

    /// Opens.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where it was altered, belongs elsewhere, or has another layout.
    pub fn open(&self, purpose: Purpose, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CipherError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CipherError::Refused)?;
        let mut body = body.to_vec();
        let length = self
            .key
            .open_in_place(Nonce::from(nonce), Aad::from(associated(self.tenant, purpose, name)), &mut body)
            .map_err(|_unspecified| CipherError::Refused)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}
