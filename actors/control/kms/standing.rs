//! What is known of a tenant's keys without opening them: for whoever has to say how they are kept.
use super::keyring::Keyring;
use super::{KeyError, KeyService, damaged};
use bailiwick_kernel::ids::TenantKey;

/// What the kernel's cipher seals with; see `kernel/cipher/data_key.rs`.
const CIPHER: &str = "AES-256-GCM";

/// How a tenant's keys are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyStanding {
    /// The cipher everything is sealed with.
    pub cipher: &'static str,
    /// Versions of the tenant's own key.
    pub versions: u64,
    /// What is older than the keyring opens under a key that follows from the master key.
    pub is_legacy: bool,
    /// Who wraps the newest version.
    pub provider: String,
    /// When the newest version was made, where the keyring says so.
    pub newest_made_unix_ms: Option<u64>,
}

impl KeyService {
    /// How the keys of a tenant are kept; nothing where it has none. Blocking.
    ///
    /// # Errors
    /// [`KeyError`] where its keyring cannot be read.
    pub fn standing(&self, tenant: TenantKey) -> Result<Option<KeyStanding>, KeyError> {
        let Some(bytes) = self.inner.keyrings.read(tenant)? else { return Ok(None) };
        let keyring = Keyring::parse(&bytes, tenant).map_err(damaged(tenant))?;
        Ok(Some(KeyStanding {
            cipher: CIPHER,
            versions: u64::try_from(keyring.versions.len()).unwrap_or(u64::MAX),
            is_legacy: keyring.legacy,
            provider: keyring.versions.last().map(|version| version.provider.clone()).unwrap_or_default(),
            newest_made_unix_ms: keyring.versions.last().and_then(|version| version.made_unix_ms),
        }))
    }
}
