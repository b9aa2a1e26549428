//! Purpose: keeps the node's master key and derives every cipher from it.
//! Owns: the master key, in memory and in its file.
//! Sends to: nobody; the registry and the housing call it.
//! Never: prints, logs or returns key material; makes a new key over data that were sealed under another.
//! Invariants: without a whole, readable key nothing starts.
mod key_file;
#[cfg(test)]
mod tests;

pub use key_file::KeyFileError;

use aws_lc_rs::hkdf;
use bailiwick_kernel::cipher::{Cipher, CipherError};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Derives ciphers from the master key. Cheap to clone; the key is wiped with the last clone.
#[derive(Clone)]
pub struct KeyService {
    master: Arc<Zeroizing<[u8; 32]>>,
}

impl std::fmt::Debug for KeyService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyService")
    }
}

impl KeyService {
    /// Reads the master key of a data folder (`DATA/master.key`), or makes it where the folder holds no data yet.
    /// Blocking.
    ///
    /// # Errors
    /// [`KeyFileError`], each with what to do.
    pub fn open(data: &Path) -> Result<Self, KeyFileError> {
        Ok(Self { master: Arc::new(key_file::read_or_make(data)?) })
    }

    /// The seed of the key this node signs policies with: HKDF-SHA-256 of the master key.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where the crypto provider refuses.
    pub fn policy_signing_seed(&self) -> Result<Zeroizing<[u8; 32]>, CipherError> {
        self.seed(b"bailiwick policy signer v1", &[b"ed25519"])
    }

    /// What signs the heads of a tenant's journal: HKDF-SHA-256 of the master key. It outlives the tenant's own keys: what it
    /// has signed stays verifiable when they are destroyed.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where the crypto provider refuses.
    pub fn head_signer(&self, tenant: TenantKey) -> Result<HeadSigner, CipherError> {
        Ok(HeadSigner::new(tenant, &self.seed(b"bailiwick head signer v1", &[b"ed25519", tenant.as_bytes()])?))
    }

    fn seed(&self, salt: &[u8], info: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, CipherError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(self.master.as_slice())
            .expand(info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(seed.as_mut_slice()))
            .map_err(|_unspecified| CipherError::Refused)?;
        Ok(seed)
    }

    /// The cipher of one tenant: HKDF-SHA-256 of the master key with the tenant's key as info.
    ///
    /// # Errors
    /// [`CipherError`] where the crypto provider refuses.
    pub fn cipher_for(&self, tenant: TenantKey) -> Result<Cipher, CipherError> {
        Cipher::derive(&self.master, tenant)
    }
}
