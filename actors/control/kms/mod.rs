//! Purpose: keeps every tenant's keys, wrapped by the node's root key, and makes ciphers of them; destroys them for ever.
//! Owns: the master key, in memory and in its file, where it has one; the keyrings.
//! Sends to: nobody; the registry and the housing call it.
//! Never: prints, logs or returns key material; makes a new key over data that were sealed under another.
//! Invariants: without a whole, readable key nothing starts; a key is durable before anything is sealed under it (KEY1).
mod errors;
mod key_file;
mod keyring;
mod keyring_file;
#[cfg(test)]
mod keyring_tests;
mod passphrase;
pub mod providers;
mod root;
mod standing;
#[cfg(test)]
pub(crate) mod tests;

pub use errors::KeyError;
pub use key_file::KeyFileError;
pub use root::{GivenKey, RootSource};
pub use standing::KeyStanding;

use aws_lc_rs::hkdf;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bailiwick_kernel::cipher::data_key::{KEY_BYTES, SecretKey};
use bailiwick_kernel::cipher::keys::{KeyVersion, TenantKeys};
use bailiwick_kernel::cipher::legacy::LegacyKey;
use bailiwick_kernel::cipher::{Cipher, CipherError, Purpose};
use bailiwick_kernel::fabric::FabricError;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::shelf::Traces;
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use bailiwick_policy::sovereignty::Region;
use keyring::{Keyring, Version};
use keyring_file::KeyringFolder;
pub(crate) use keyring_file::shown;
use providers::{KeyProvider, local_file::LocalFile};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The node's master key. Wiped with its last holder.
pub type RootKey = Arc<SecretKey>;

/// Opens and destroys the keys of tenants. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyService {
    inner: Arc<Inner>,
}

struct Inner {
    master: RootKey,
    provider: Box<dyn KeyProvider>,
    keyrings: KeyringFolder,
    region: String,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "keys wrapped by {:?} in {}", self.provider, self.region)
    }
}

impl KeyService {
    /// Reads the master key of a data folder, or makes it where the folder holds no data yet, and opens the folder of
    /// keyrings (`DATA/keys`). Keys are made for the region the node is in. Blocking.
    ///
    /// # Errors
    /// [`KeyError`], each with what to do.
    pub fn open(data: &Path, root: &RootSource, region: &Region) -> Result<Self, KeyError> {
        let master = Arc::new(key_file::root_key(data, root)?);
        let keyrings = KeyringFolder::open(data).map_err(|error| KeyError::File {
            doing: "opening the folder of keys",
            file: keyring_file::FOLDER.to_owned(),
            error,
        })?;
        let provider = Box::new(LocalFile::new(Arc::clone(&master)));
        Ok(Self { inner: Arc::new(Inner { master, provider, keyrings, region: region.as_str().to_owned() }) })
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
            .extract(self.inner.master.as_slice())
            .expand(info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(seed.as_mut_slice()))
            .map_err(|_unspecified| CipherError::Refused)?;
        Ok(seed)
    }

    /// The cipher of one tenant, under a data key of its own. A tenant without a keyring is given one, where `traces` shows
    /// that nothing was sealed under another; one that is older than keyrings keeps the key it had for what it has. Blocking.
    ///
    /// # Errors
    /// [`KeyError`]; no key was made then, or none that anything is sealed under.
    pub fn cipher_for(
        &self,
        tenant: TenantKey,
        traces: impl FnOnce() -> Result<Traces, FabricError>,
    ) -> Result<Cipher, KeyError> {
        let Inner { master, keyrings, region, .. } = self.inner.as_ref();
        let (mut keyring, is_there) = match keyrings.read(tenant)? {
            Some(bytes) => (Keyring::parse(&bytes, tenant).map_err(damaged(tenant))?, true),
            None => (self.first_keyring(tenant, traces()?)?, false),
        };
        let mut versions = self.unwrap_all(&keyring, tenant)?;
        if versions.last().is_none_or(|newest| newest.region != *region) {
            versions.push(self.add_version(&mut keyring, tenant)?);
            let bytes = keyring.bytes().map_err(damaged(tenant))?;
            if is_there {
                tracing::info!(%tenant, region, "the node is in another region: the tenant has a new version of its key");
                keyrings.replace(tenant, &bytes)?;
            } else {
                keyrings.create(tenant, &bytes)?;
            }
        }
        let legacy = keyring.legacy.then(|| LegacyKey::derive(master, tenant)).transpose()?;
        Ok(Cipher::new(TenantKeys { tenant, legacy, versions })?)
    }

    /// Destroys the keys of a tenant: from here on nothing opens what was sealed under them. Where the tenant is older than
    /// its keyring, what was sealed before can still be opened by whoever has the master key. Blocking.
    ///
    /// # Errors
    /// [`KeyError::File`] where something may be left.
    pub fn destroy(&self, tenant: TenantKey) -> Result<(), KeyError> {
        self.inner.keyrings.destroy(tenant)
    }

    /// The keyring of a tenant that has none, without a key in it.
    fn first_keyring(&self, tenant: TenantKey, traces: Traces) -> Result<Keyring, KeyError> {
        let legacy = match traces {
            Traces::None => false,
            // nothing that was acknowledged is sealed yet; what is derived is built anew where no key opens it
            Traces::WithoutRecords => true,
            Traces::Newest(record) => {
                let derived = LegacyKey::derive(&self.inner.master, tenant)?;
                derived
                    .open(Purpose::Record, b"", &record)
                    .map_err(|_refused| KeyError::Lost { file: shown(tenant) })?;
                true
            }
        };
        if legacy {
            tracing::warn!(
                %tenant,
                "the tenant is older than its keyring: what it has so far stays under a key that follows from the master key"
            );
        }
        Ok(Keyring::empty(tenant, legacy))
    }

    fn unwrap_all(&self, keyring: &Keyring, tenant: TenantKey) -> Result<Vec<KeyVersion>, KeyError> {
        keyring.versions.iter().map(|version| self.unwrap_version(keyring, version, tenant)).collect()
    }

    fn unwrap_version(&self, keyring: &Keyring, version: &Version, tenant: TenantKey) -> Result<KeyVersion, KeyError> {
        let Version { number, provider, region, .. } = version;
        let held = self.inner.provider.as_ref();
        if provider != held.name() {
            let problem = format!("has version {number} wrapped by {provider:?}, and this node has {:?}", held.name());
            return Err(damaged(tenant)(problem));
        }
        let context = keyring.context_of(*number, region).map_err(damaged(tenant))?;
        let wrapped = version.wrapped_bytes().map_err(damaged(tenant))?;
        let key = held.unwrap_key(&wrapped, &context).map_err(|error| KeyError::Wrapped {
            file: shown(tenant),
            version: *number,
            error,
        })?;
        Ok(KeyVersion { number: *number, region: region.clone(), key })
    }

    /// Draws a key for the node's region and puts it into the keyring, once it is certain to come out again.
    fn add_version(&self, keyring: &mut Keyring, tenant: TenantKey) -> Result<KeyVersion, KeyError> {
        let Inner { provider, region, .. } = self.inner.as_ref();
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        SystemRandom::new().fill(key.as_mut_slice()).map_err(|_unspecified| KeyError::Random)?;
        let number = keyring.next_number().map_err(damaged(tenant))?;
        let context = keyring.context_of(number, region).map_err(damaged(tenant))?;
        let refused = |error| KeyError::Wrapped { file: shown(tenant), version: number, error };
        let wrapped = hex::encode(provider.wrap_key(&key, &context).map_err(refused)?);
        let version = Version { number, provider: provider.name().to_owned(), region: region.clone(), wrapped };
        keyring.versions.push(version.clone());
        self.unwrap_version(keyring, &version, tenant)
    }
}

fn damaged(tenant: TenantKey) -> impl Fn(String) -> KeyError {
    move |problem| KeyError::Damaged { file: shown(tenant), problem }
}
