//! A key service in memory, whose keys are taken back and given back by the test.
use super::customer_key::{CustomerKey, VAULT_TRANSIT};
use super::providers::local_file::LocalFile;
use super::providers::{EncryptionContext, KeyHolder, KeyProvider, ProviderError};
use bailiwick_kernel::cipher::data_key::{KEY_BYTES, SecretKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// How a key answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Good,
    Disabled,
    Silent,
}

/// The key service of region `local`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holder {
    keys: Arc<Mutex<HashMap<String, Mood>>>,
    /// Calls so far, by key.
    calls: Arc<Mutex<HashMap<String, u64>>>,
}

impl Holder {
    pub(crate) fn set(&self, key: &str, mood: Mood) {
        self.keys.lock().unwrap().insert(key.to_owned(), mood);
    }

    pub(crate) fn calls(&self, key: &str) -> u64 {
        self.calls.lock().unwrap().get(key).copied().unwrap_or_default()
    }

    fn answer(&self, key: &str) -> Result<(), ProviderError> {
        *self.calls.lock().unwrap().entry(key.to_owned()).or_default() += 1;
        match self.keys.lock().unwrap().get(key) {
            Some(Mood::Good) => Ok(()),
            Some(Mood::Disabled) => Err(ProviderError::Withheld("it is disabled".to_owned())),
            Some(Mood::Silent) => Err(ProviderError::Failed("no answer in time".to_owned())),
            None => Err(ProviderError::Withheld("there is no such key".to_owned())),
        }
    }
}

impl KeyHolder for Holder {
    fn kind(&self) -> &'static str {
        VAULT_TRANSIT
    }

    fn region(&self) -> &str {
        "local"
    }

    fn provider_of(&self, key: &CustomerKey) -> Box<dyn KeyProvider> {
        let mut root = [0; 32];
        root.iter_mut().zip(key.name.bytes()).for_each(|(byte, letter)| *byte = letter);
        let wraps = LocalFile::new(Arc::new(Zeroizing::new(root)), None);
        Box::new(HeldKey { holder: self.clone(), key: key.name.clone(), wraps })
    }
}

#[derive(Debug)]
struct HeldKey {
    holder: Holder,
    key: String,
    wraps: LocalFile,
}

impl KeyProvider for HeldKey {
    fn name(&self) -> &'static str {
        VAULT_TRANSIT
    }

    fn wrap_key(&self, key: &[u8; KEY_BYTES], context: &EncryptionContext) -> Result<Vec<u8>, ProviderError> {
        self.holder.answer(&self.key)?;
        self.wraps.wrap_key(key, context)
    }

    fn unwrap_key(&self, wrapped: &[u8], context: &EncryptionContext) -> Result<SecretKey, ProviderError> {
        self.holder.answer(&self.key)?;
        self.wraps.unwrap_key(wrapped, context)
    }
}
