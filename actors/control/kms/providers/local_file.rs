//! The embedded provider: the root key is the node's master key.
//!
//! Layout of a wrapped key: 16-byte salt, 16-byte commitment, 12-byte nonce, sealed key, 16-byte tag. Every wrapping has a
//! key of its own, derived from the root key and the salt.
use super::{EncryptionContext, KeyProvider, ProviderError};
use crate::kms::RootKey;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bailiwick_kernel::cipher::CipherError;
use bailiwick_kernel::cipher::data_key::{COMMITMENT_BYTES, DataKey, KEY_BYTES, SALT_BYTES, SecretKey};
use zeroize::Zeroizing;

const PURPOSE: &[u8] = b"bailiwick tenant key wrapping v1";

/// Wraps under the master key.
pub struct LocalFile {
    root: RootKey,
}

impl std::fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalFile")
    }
}

impl LocalFile {
    /// The provider over a root key.
    #[must_use]
    pub fn new(root: RootKey) -> Self {
        Self { root }
    }

    fn wrapping_key(&self, salt: &[u8; SALT_BYTES]) -> Result<DataKey, CipherError> {
        DataKey::derive(&self.root, salt, &[PURPOSE])
    }
}

impl KeyProvider for LocalFile {
    fn name(&self) -> &'static str {
        "local-file"
    }

    fn wrap_key(&self, key: &[u8; KEY_BYTES], context: &EncryptionContext) -> Result<Vec<u8>, ProviderError> {
        let failed = |error: CipherError| ProviderError::Failed(error.to_string());
        let (random, mut salt) = (SystemRandom::new(), [0_u8; SALT_BYTES]);
        random.fill(&mut salt).map_err(|_unspecified| failed(CipherError::Random))?;
        let wrapping = self.wrapping_key(&salt).map_err(failed)?;
        let mut wrapped = [salt.as_slice(), wrapping.commitment()].concat();
        wrapping.seal_onto(&random, &context.canonical(), key, &mut wrapped).map_err(failed)?;
        Ok(wrapped)
    }

    fn unwrap_key(&self, wrapped: &[u8], context: &EncryptionContext) -> Result<SecretKey, ProviderError> {
        let refused = |_malformed| ProviderError::Refused;
        let (salt, rest) = wrapped.split_first_chunk::<SALT_BYTES>().ok_or(ProviderError::Refused)?;
        let (commitment, sealed) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(ProviderError::Refused)?;
        let wrapping = self.wrapping_key(salt).map_err(refused)?;
        if !wrapping.is_committed_to_by(commitment) {
            return Err(ProviderError::Refused);
        }
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        wrapping.open_into(&context.canonical(), sealed, key.as_mut_slice()).map_err(refused)?;
        Ok(key)
    }
}
