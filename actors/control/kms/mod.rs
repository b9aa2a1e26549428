//! Purpose: keeps every tenant's keys, wrapped by the node's root key, and makes ciphers of them; destroys them for ever.
//! Owns: the master key, in memory and in its file, where it has one; the keyrings.
//! Sends to: nobody; the registry and the housing call it.
//! Never: prints, logs or returns key material; makes a new key over data that were sealed under another.
//! Invariants: without a whole, readable key nothing starts; a key is durable before anything is sealed under it (KEY1).
pub mod custody;
#[cfg(test)]
mod custody_tests;
pub mod customer_key;
mod errors;
#[cfg(test)]
pub(crate) mod holder_fixture;
mod key_file;
pub mod keyring;
mod keyring_file;
#[cfg(test)]
mod keyring_tests;
mod live;
mod opening;
mod passphrase;
pub mod providers;
pub mod rewrap;
#[cfg(test)]
mod rewrap_tests;
mod root;
mod root_keys;
#[cfg(test)]
mod rotation_tests;
pub mod rules;
mod standing;
#[cfg(test)]
pub(crate) mod tests;

pub use errors::KeyError;
pub use key_file::KeyFileError;
pub use opening::Wish;
pub use root::{GivenKey, RootSource};
pub use root_keys::NODE_SECRET;
pub use standing::KeyStanding;

use crate::registry::directory::control_key;
use aws_lc_rs::hkdf;
use bailiwick_kernel::cipher::data_key::SecretKey;
use bailiwick_kernel::cipher::{Cipher, CipherError};
use bailiwick_kernel::clock::{SharedClock, SystemClock};
use bailiwick_kernel::erasures::LedgerKeys;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use bailiwick_policy::sovereignty::Region;
use customer_key::CustomerKey;
use keyring::Keyring;
use keyring_file::KeyringFolder;
pub(crate) use keyring_file::shown;
use live::Live;
use opening::damaged;
use providers::{KeyHolder, local_file::LocalFile};
use root_keys::RootKeys;
use rules::Newest;
use std::fs::File;
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
    /// The node's secret: the first root key it had.
    master: RootKey,
    root: LocalFile,
    /// Key services outside this node.
    outside: Vec<Box<dyn KeyHolder>>,
    keyrings: KeyringFolder,
    live: Live,
    region: String,
    clock: SharedClock,
    /// Nobody wraps the keys anew meanwhile.
    _in_use: File,
}

/// What a key service is made of.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The data folder.
    pub data: &'a Path,
    /// Where the root key comes from.
    pub root: &'a RootSource,
    /// The region keys are made for: the node's.
    pub region: &'a Region,
    /// Key services outside this node, where customers have keys.
    pub outside: Vec<Box<dyn KeyHolder>>,
    /// Says when a key is made.
    pub clock: SharedClock,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "keys wrapped by {:?} and {:?} in {}", self.root, self.outside, self.region)
    }
}

impl KeyService {
    /// As [`KeyService::start`], without key services outside, and by the machine's clock.
    ///
    /// # Errors
    /// As [`KeyService::start`].
    pub fn open(data: &Path, root: &RootSource, region: &Region) -> Result<Self, KeyError> {
        Self::start(Setting { data, root, region, outside: Vec::new(), clock: Arc::new(SystemClock) })
    }

    /// Reads the master key of a data folder, or makes it where the folder holds no data yet, and opens the folder of
    /// keyrings (`DATA/keys`). Keys are made for the region the node is in. Blocking.
    ///
    /// # Errors
    /// [`KeyError`], each with what to do.
    pub fn start(setting: Setting<'_>) -> Result<Self, KeyError> {
        let Setting { data, root, region, outside, clock } = setting;
        let RootKeys { wrapping: root, secret: master, is_changing } = RootKeys::read(data, root)?;
        if is_changing {
            tracing::warn!(
                "some tenants' keys may be wrapped by the root key before; `bailiwick kms rewrap` wraps them anew"
            );
        }
        let keyrings = KeyringFolder::open(data).map_err(|error| KeyError::File {
            doing: "opening the folder of keys",
            file: keyring_file::FOLDER.to_owned(),
            error,
        })?;
        let in_use = root_keys::share(data)?;
        let (live, region) = (Live::default(), region.as_str().to_owned());
        Ok(Self { inner: Arc::new(Inner { master, root, outside, keyrings, live, region, clock, _in_use: in_use }) })
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

    /// Seals what a backup says of itself, and the tenants' keys beside it: follows from the master key.
    ///
    /// # Errors
    /// [`CipherError`].
    pub fn backup_cipher(&self) -> Result<Cipher, CipherError> {
        let secret = self.seed(b"bailiwick backup v1", &[b"seal"])?;
        Cipher::derive(&secret, control_key())
    }

    /// The keys of the erasure ledger: HKDF-SHA-256 of the master key. They outlive the tenants' own keys.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where the crypto provider refuses.
    pub fn ledger_keys(&self) -> Result<LedgerKeys, CipherError> {
        const SALT: &[u8] = b"bailiwick erasure ledger v1";
        Ok(LedgerKeys::new(&self.seed(SALT, &[b"marks"])?, &self.seed(SALT, &[b"chain"])?))
    }

    /// The keyring of a tenant as its file has it, wrapped; nothing where it has none. Blocking.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn keyring_bytes(&self, tenant: TenantKey) -> Result<Option<Vec<u8>>, KeyError> {
        self.inner.keyrings.read(tenant)
    }

    /// Puts a keyring back that stood on the node a backup was made of; never over one that is there. Blocking.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn adopt_keyring(&self, tenant: TenantKey, bytes: &[u8]) -> Result<(), KeyError> {
        Keyring::parse(bytes, tenant).map_err(damaged(tenant))?;
        self.inner.keyrings.create(tenant, bytes)
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

    /// Destroys the keys of a tenant: from here on nothing opens what was sealed under them. Where the tenant is older than
    /// its keyring, what was sealed before can still be opened by whoever has the master key. Blocking.
    ///
    /// # Errors
    /// [`KeyError::File`] where something may be left.
    pub fn destroy(&self, tenant: TenantKey) -> Result<(), KeyError> {
        let live = &self.inner.live;
        let turn = live.of(tenant);
        let _turn = turn.take();
        self.inner.keyrings.destroy(tenant)?;
        turn.withdraw();
        live.forget(tenant);
        Ok(())
    }

    /// The newest key of a tenant whose keys were opened since the start. Reads no file.
    #[must_use]
    pub fn newest(&self, tenant: TenantKey) -> Option<Newest> {
        self.inner.live.of(tenant).newest()
    }

    /// Takes a tenant's keys away from whoever uses them, and wipes them from memory. Its keyring stays.
    pub fn withdraw(&self, tenant: TenantKey) {
        self.inner.live.of(tenant).withdraw();
    }

    fn holder_of(&self, key: &CustomerKey) -> Option<&dyn KeyHolder> {
        let holders = self.inner.outside.iter().map(AsRef::as_ref);
        holders.into_iter().find(|holder| holder.kind() == key.kind && holder.region() == key.region)
    }
}
