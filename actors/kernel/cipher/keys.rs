//! The keys of one tenant, as a cipher is made from them: what a keyring holds once it is opened.
use super::CipherError;
use super::data_key::{DataKey, SALT_BYTES, SecretKey};
use super::legacy::LegacyKey;
use crate::ids::TenantKey;
use std::fmt;

/// One version of a tenant's key. It seals nothing by itself: data keys are derived from it.
pub struct KeyVersion {
    /// Its number; versions of one tenant ascend from 1 and never come twice.
    pub number: u32,
    /// The region it was made for: a part of every data key, so that what it seals opens as nothing else.
    pub region: String,
    /// The key.
    pub key: SecretKey,
}

impl fmt::Debug for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyVersion({} in {})", self.number, self.region)
    }
}

impl KeyVersion {
    /// The data key of a salt.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where the crypto provider refuses.
    pub(super) fn data_key(&self, tenant: TenantKey, salt: &[u8; SALT_BYTES]) -> Result<DataKey, CipherError> {
        let number = self.number.to_be_bytes();
        let context = [b"bailiwick data key v1".as_slice(), tenant.as_bytes(), &number, self.region.as_bytes()];
        DataKey::derive(&self.key, salt, &context)
    }
}

/// Every key of one tenant: the newest version seals, all of them open.
#[derive(Debug)]
pub struct TenantKeys {
    /// Whose.
    pub tenant: TenantKey,
    /// There where the tenant is older than its keyring: opens what was sealed before.
    pub legacy: Option<LegacyKey>,
    /// In ascending order.
    pub versions: Vec<KeyVersion>,
}
