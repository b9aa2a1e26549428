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

/// How keyrings name it.
pub const NAME: &str = "local-file";

/// Wraps under a root key; while keys are wrapped anew it also unwraps what the root key before has wrapped.
#[derive(Clone)]
pub struct LocalFile {
    root: RootKey,
    former: Option<RootKey>,
}

impl std::fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalFile")
    }
}

impl LocalFile {
    /// The provider over a root key.
    #[must_use]
    pub fn new(root: RootKey, former: Option<RootKey>) -> Self {
        Self { root, former }
    }

    /// Whether the root key that wraps now has wrapped this.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] where it is nothing that a root key has wrapped.
    pub fn is_of_present_root(&self, wrapped: &[u8]) -> Result<bool, ProviderError> {
        let (salt, rest) = wrapped.split_first_chunk::<SALT_BYTES>().ok_or(ProviderError::Refused)?;
        let (commitment, _sealed) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(ProviderError::Refused)?;
        let wrapping = wrapping_key(&self.root, salt).map_err(|_malformed| ProviderError::Refused)?;
        Ok(wrapping.is_committed_to_by(commitment))
    }
}

fn wrapping_key(root: &RootKey, salt: &[u8; SALT_BYTES]) -> Result<DataKey, CipherError> {
    DataKey::derive(root, salt, &[PURPOSE])
}

impl KeyProvider for LocalFile {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wrap_key(&self, key: &[u8; KEY_BYTES], context: &EncryptionContext) -> Result<Vec<u8>, ProviderError> {
        let failed = |error: CipherError| ProviderError::Failed(error.to_string());
        let (random, mut salt) = (SystemRandom::new(), [0_u8; SALT_BYTES]);
        random.fill(&mut salt).map_err(|_unspecified| failed(CipherError::Random))?;
        let wrapping = wrapping_key(&self.root, &salt).map_err(failed)?;
        let mut wrapped = [salt.as_slice(), wrapping.commitment()].concat();
        wrapping.seal_onto(&random, &context.canonical(), key, &mut wrapped).map_err(failed)?;
        Ok(wrapped)
    }

    fn unwrap_key(&self, wrapped: &[u8], context: &EncryptionContext) -> Result<SecretKey, ProviderError> {
        let refused = |_malformed| ProviderError::Refused;
        let (salt, rest) = wrapped.split_first_chunk::<SALT_BYTES>().ok_or(ProviderError::Refused)?;
        let (commitment, sealed) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(ProviderError::Refused)?;
        // a commitment says which root key it was: none is tried that it was not made to
        let committed = [Some(&self.root), self.former.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|root| wrapping_key(root, salt).ok().filter(|wrapping| wrapping.is_committed_to_by(commitment)));
        let wrapping = committed.ok_or(ProviderError::Refused)?;
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        wrapping.open_into(&context.canonical(), sealed, key.as_mut_slice()).map_err(refused)?;
        Ok(key)
    }
}
