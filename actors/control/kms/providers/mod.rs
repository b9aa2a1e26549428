//! Holders of root keys behind one trait, each in one file. A root key wraps the keys of tenants and never leaves its holder.
pub mod aws_kms;
pub mod local_file;
pub mod vault_transit;
mod wire;

use super::customer_key::CustomerKey;
use bailiwick_kernel::cipher::data_key::{KEY_BYTES, SecretKey};
use std::collections::BTreeMap;
use std::fmt;

/// Why a provider did not wrap or unwrap.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The wrapped key was altered, was wrapped for another context, or by another root key.
    #[error("it does not open under this node's root key as what it says it is")]
    Refused,
    /// The provider says no: the key is disabled, deleted, or not for this node. Whoever owns it has to give it back.
    #[error("the key is withheld: {0}")]
    Withheld(String),
    /// The provider itself failed, was not reached in time, or does not know this node; nothing is said about the key.
    #[error("the provider failed: {0}")]
    Failed(String),
}

/// What a wrapped key is bound to: names and values, none of them secret. Unwrapping with anything else is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncryptionContext(BTreeMap<&'static str, String>);

impl EncryptionContext {
    /// The context of these pairs.
    #[must_use]
    pub fn new<const N: usize>(pairs: [(&'static str, String); N]) -> Self {
        Self(BTreeMap::from(pairs))
    }

    /// The same with one pair more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.0.insert(name, value);
        self
    }

    /// The names and values, in the order of the names.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Bytes that no other context has: every name and value behind its length.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for text in self.pairs().flat_map(|(name, value)| [name, value]) {
            bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

/// Holds a root key. Everything here blocks.
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// What keyrings call it.
    fn name(&self) -> &'static str;

    /// Wraps a tenant's key under the root key, bound to a context.
    ///
    /// # Errors
    /// [`ProviderError::Failed`], [`ProviderError::Withheld`].
    fn wrap_key(&self, key: &[u8; KEY_BYTES], context: &EncryptionContext) -> Result<Vec<u8>, ProviderError>;

    /// Gives back the key that was wrapped under the same context.
    ///
    /// # Errors
    /// [`ProviderError::Refused`] for everything else; [`ProviderError::Failed`], [`ProviderError::Withheld`].
    fn unwrap_key(&self, wrapped: &[u8], context: &EncryptionContext) -> Result<SecretKey, ProviderError>;
}

/// A key service outside this node: many keys, each with an owner who can take it back.
pub trait KeyHolder: Send + Sync + fmt::Debug {
    /// Its kind, as keyrings and [`CustomerKey`](super::customer_key::CustomerKey) name it.
    fn kind(&self) -> &'static str;

    /// The region it is in.
    fn region(&self) -> &str;

    /// The provider over one of its keys.
    fn provider_of(&self, key: &CustomerKey) -> Box<dyn KeyProvider>;
}
