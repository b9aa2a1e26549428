//! The tenant's cipher: AES-256-GCM under a data key of its own for every opening, with the tenant's key as associated
//! data, so that a stray record of another tenant cannot even be decrypted (design §4.6).
//!
//! Layout: layout byte, 4-byte number of the tenant key's version, 16-byte salt, 16-byte commitment, 12-byte random nonce,
//! ciphertext, 16-byte tag. Version, tenant and region are in the derivation of the data key, purpose and name in the
//! associated data: what is moved or relabelled opens as nothing.
//!
//! Whoever makes a cipher draws a salt, and with it a data key nobody has sealed under before. So its messages are
//! counted in memory, from nothing, and the count is right after a restart, a crash, or a backup that is started twice.
//!
//! What seals and what opens is exchanged as a whole while others seal and open ([`present`](self::present)): for a data
//! key near its bound, for a new version of the tenant's key, and for nothing at all when the keys are withdrawn.
use crate::ids::TenantKey;
use crate::limits::{DATA_KEYS_KEPT_MAX, MESSAGES_PER_DATA_KEY_MAX};
use arc_swap::ArcSwapOption;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::rand::SystemRandom;
use data_key::{COMMITMENT_BYTES, DataKey, KEY_BYTES, SALT_BYTES, TAG_BYTES};
use keys::{KeyVersion, TenantKeys};
use names::Names;
pub(crate) use names::SHELF_NAME_BYTES;
use present::{Count, DrawSalt, Present, Sealing, draw_salt};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

pub mod data_key;
pub mod keys;
pub mod legacy;
mod names;
mod present;
#[cfg(test)]
mod tests;

/// First byte of everything sealed. What is older than the layout begins with a random nonce instead: it is told apart by
/// the commitment, which no random bytes have.
const LAYOUT: u8 = 2;
/// What stands before the nonce: the same for all that one data key has sealed.
const HEAD_BYTES: usize = 1 + 4 + SALT_BYTES + COMMITMENT_BYTES;
/// Bytes sealing adds: the head and the nonce in front, the tag behind.
pub const OVERHEAD_BYTES: usize = HEAD_BYTES + NONCE_LEN + TAG_BYTES;

type Head = [u8; HEAD_BYTES];

/// What a ciphertext is for; part of its associated data, so that a blob cannot stand in for a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A journal record.
    Record,
    /// A document body.
    Blob,
    /// A value of a shelf.
    Shelf,
    /// A file of a search index.
    Index,
    /// A piece of a backup.
    Backup,
    /// An answer remembered outside the node.
    Cache,
}

impl Purpose {
    /// The byte it is known by in what is sealed.
    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Blob => 2,
            Self::Shelf => 3,
            Self::Index => 4,
            Self::Backup => 5,
            Self::Cache => 6,
        }
    }
}

/// Why sealing or opening failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CipherError {
    /// The bytes were altered, belong to another tenant, purpose or name, or the key is wrong.
    #[error("opening sealed bytes: authentication failed; they were altered or belong elsewhere")]
    Refused,
    /// The random source failed.
    #[error("sealing bytes: the random source failed")]
    Random,
    /// The data key has sealed as many messages as one may, and no further one could be derived.
    #[error(
        "sealing bytes: the data key has sealed the {0} messages one key may, and no other could be derived; suspend and resume the tenant, or restart the node"
    )]
    Spent(u64),
    /// The keys were taken away from everybody who had them.
    #[error(
        "using the tenant's keys: they were withdrawn; whoever holds the key they are wrapped by has to give it back"
    )]
    Withdrawn,
    /// A version that does not follow the newest one.
    #[error("adding a version of the tenant's key: version {0} does not follow the newest one")]
    NotNewer(u32),
    /// No key to seal with.
    #[error("making a cipher: the tenant has no key")]
    Keyless,
}

/// The associated data of what is sealed for a tenant. Parts of fixed length stand first.
fn associated(tenant: TenantKey, purpose: Purpose, name: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(17 + name.len());
    data.extend_from_slice(tenant.as_bytes());
    data.push(purpose.tag());
    data.extend_from_slice(name);
    data
}

/// Seals and opens the bytes of exactly one tenant. Cheap to clone; clones share one data key and its count, and the keys
/// are wiped with the last of them.
#[derive(Clone)]
pub struct Cipher {
    inner: Arc<Inner>,
}

/// A cipher that keeps no key alive.
#[derive(Clone)]
pub struct WeakCipher(Weak<Inner>);

struct Inner {
    tenant: TenantKey,
    /// Nothing once the keys are withdrawn.
    now: ArcSwapOption<Present>,
    /// Data keys that seal nothing any more, by the head of what they have sealed; only such as a commitment proved.
    opened: RwLock<HashMap<Head, Arc<DataKey>>>,
    random: SystemRandom,
    draw_salt: DrawSalt,
    messages_max: u64,
    /// Held by whoever exchanges what is present.
    exchanging: Mutex<()>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({})", self.tenant())
    }
}

impl fmt::Debug for WeakCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakCipher")
    }
}

impl WeakCipher {
    /// The cipher, where somebody still has it.
    #[must_use]
    pub fn upgrade(&self) -> Option<Cipher> {
        self.0.upgrade().map(|inner| Cipher { inner })
    }
}

impl Cipher {
    /// A cipher over a tenant's keys, sealing under a fresh data key of the newest version.
    ///
    /// # Errors
    /// [`CipherError::Keyless`], [`CipherError::Random`].
    pub fn new(keys: TenantKeys) -> Result<Self, CipherError> {
        Self::sealing_at_most(keys, MESSAGES_PER_DATA_KEY_MAX)
    }

    /// As [`Cipher::new`], with another bound on what one data key seals: at most [`MESSAGES_PER_DATA_KEY_MAX`] counts. A
    /// little before it the next data key takes over.
    ///
    /// # Errors
    /// As [`Cipher::new`].
    pub fn sealing_at_most(keys: TenantKeys, messages: u64) -> Result<Self, CipherError> {
        Self::drawing(keys, messages, draw_salt)
    }

    fn drawing(keys: TenantKeys, messages: u64, draw_salt: DrawSalt) -> Result<Self, CipherError> {
        let TenantKeys { tenant, legacy, versions } = keys;
        let versions: Vec<_> = versions.into_iter().map(Arc::new).collect();
        let messages_max = messages.min(MESSAGES_PER_DATA_KEY_MAX);
        let newest = versions.last().ok_or(CipherError::Keyless)?;
        let sealing = Sealing::begin(tenant, newest, &draw_salt()?, messages_max)?;
        let names = Names::of(tenant, versions.first().ok_or(CipherError::Keyless)?)?;
        let present = Present { legacy: legacy.map(Arc::new), versions, sealing, names };
        let inner = Inner {
            tenant,
            now: ArcSwapOption::from_pointee(present),
            opened: RwLock::default(),
            random: SystemRandom::new(),
            draw_salt,
            messages_max,
            exchanging: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A cipher whose only key version is derived from a secret (HKDF-SHA-256, RFC 5869), for what has no keyring.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where the provider rejects the key.
    pub fn derive(secret: &[u8; KEY_BYTES], tenant: TenantKey) -> Result<Self, CipherError> {
        let version = KeyVersion { number: 1, region: String::new(), key: legacy::derive(secret, tenant)? };
        Self::new(TenantKeys { tenant, legacy: None, versions: vec![version] })
    }

    /// Whose bytes this cipher seals.
    #[must_use]
    pub fn tenant(&self) -> TenantKey {
        self.inner.tenant
    }

    /// The version of the tenant's key that seals now; versions count from 1, and 0 says that the keys were withdrawn.
    #[must_use]
    pub fn newest_version(&self) -> u32 {
        self.inner.now.load().as_ref().map_or(0, |now| now.sealing.version)
    }

    /// The same cipher, without keeping its keys.
    #[must_use]
    pub fn downgrade(&self) -> WeakCipher {
        WeakCipher(Arc::downgrade(&self.inner))
    }

    /// Seals under a newer version of the tenant's key from here on, for every clone. What older versions have sealed opens
    /// as before.
    ///
    /// # Errors
    /// [`CipherError::NotNewer`], [`CipherError::Withdrawn`], [`CipherError::Random`]; the version before goes on then.
    pub fn add_version(&self, version: KeyVersion) -> Result<(), CipherError> {
        let _exchanging = self.inner.exchange();
        let now = self.inner.now.load_full().ok_or(CipherError::Withdrawn)?;
        if version.number <= now.sealing.version {
            return Err(CipherError::NotNewer(version.number));
        }
        let (mut versions, version) = (now.versions.clone(), Arc::new(version));
        versions.push(Arc::clone(&version));
        self.inner.succeed(&now, versions, &version)
    }

    /// Takes the keys away from every clone: what was sealed opens no more, and nothing is sealed. They are wiped from memory
    /// as soon as nobody is in the middle of using them.
    pub fn withdraw(&self) {
        let _exchanging = self.inner.exchange();
        self.inner.now.store(None);
        self.inner.opened.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Seals `plain` for a purpose and a name (a key, a path); the same name is needed to open it.
    ///
    /// # Errors
    /// [`CipherError::Random`] where no nonce can be drawn, [`CipherError::Spent`] where the data key may seal no more,
    /// [`CipherError::Withdrawn`].
    pub fn seal(&self, purpose: Purpose, name: &[u8], plain: &[u8]) -> Result<Vec<u8>, CipherError> {
        let mut sealed = Vec::new();
        self.seal_into(purpose, name, plain, &mut sealed)?;
        Ok(sealed)
    }

    /// Seals like [`Cipher::seal`] and appends the result to `sealed`, without a buffer of its own. Adds
    /// [`OVERHEAD_BYTES`] to the length of `plain`.
    ///
    /// # Errors
    /// As [`Cipher::seal`]; then `sealed` is to be thrown away.
    pub fn seal_into(
        &self,
        purpose: Purpose,
        name: &[u8],
        plain: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), CipherError> {
        let inner = self.inner.as_ref();
        loop {
            let now = inner.now.load();
            let now = now.as_ref().ok_or(CipherError::Withdrawn)?;
            match now.sealing.count() {
                Count::Within => {}
                Count::Near => inner.renew_beside(now),
                Count::Over => {
                    inner.renew(now)?;
                    continue;
                }
            }
            sealed.reserve(plain.len() + OVERHEAD_BYTES);
            sealed.extend_from_slice(&now.sealing.head);
            return now.sealing.key.seal_onto(&inner.random, &associated(inner.tenant, purpose, name), plain, sealed);
        }
    }

    /// Opens like [`Cipher::open`] into a buffer that is exactly [`OVERHEAD_BYTES`] shorter than `sealed`, but nothing that
    /// is older than the layout. Where it refuses, what stands in the buffer means nothing.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where anything was altered or belongs elsewhere, or the buffer has another length;
    /// [`CipherError::Withdrawn`].
    pub fn open_into(&self, purpose: Purpose, name: &[u8], sealed: &[u8], plain: &mut [u8]) -> Result<(), CipherError> {
        let now = self.inner.now.load();
        let now = now.as_ref().ok_or(CipherError::Withdrawn)?;
        let (head, body) = sealed.split_first_chunk::<HEAD_BYTES>().ok_or(CipherError::Refused)?;
        let key = self.inner.committed(now, head).ok_or(CipherError::Refused)?;
        key.open_into(&associated(self.tenant(), purpose, name), body, plain)
    }

    /// Opens what [`Cipher::seal`] made for the same tenant, purpose and name, and where the tenant is older than its
    /// keyring, what was sealed before.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where anything was altered or belongs elsewhere, [`CipherError::Withdrawn`].
    pub fn open(&self, purpose: Purpose, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CipherError> {
        let now = self.inner.now.load();
        let now = now.as_ref().ok_or(CipherError::Withdrawn)?;
        let headed = sealed.split_first_chunk::<HEAD_BYTES>();
        let committed = headed.and_then(|(head, body)| self.inner.committed(now, head).map(|key| (key, body)));
        // what commits to a key of this tenant is never tried as anything else
        match (committed, &now.legacy) {
            (Some((key, body)), _) => {
                let length = body.len().checked_sub(NONCE_LEN + TAG_BYTES).ok_or(CipherError::Refused)?;
                let mut plain = vec![0; length];
                key.open_into(&associated(self.tenant(), purpose, name), body, &mut plain)?;
                Ok(plain)
            }
            (None, Some(legacy)) => legacy.open(purpose, name, sealed),
            (None, None) => Err(CipherError::Refused),
        }
    }
}

/// The version of the tenant's key that sealed bytes of the present layout were sealed under; nothing for other bytes. It is
/// what they say: that it is true shows when they open.
#[must_use]
pub fn key_version_of(sealed: &[u8]) -> Option<u32> {
    let (layout, rest) = sealed.split_first()?;
    let (number, _) = rest.split_first_chunk::<4>()?;
    (*layout == LAYOUT).then(|| u32::from_be_bytes(*number))
}

fn head_of(version: u32, salt: &[u8; SALT_BYTES], commitment: &[u8; COMMITMENT_BYTES]) -> Head {
    let mut head = [0; HEAD_BYTES];
    let bytes = [LAYOUT].into_iter().chain(version.to_be_bytes()).chain(*salt).chain(*commitment);
    for (place, byte) in head.iter_mut().zip(bytes) {
        *place = byte;
    }
    head
}

impl Inner {
    fn exchange(&self) -> MutexGuard<'_, ()> {
        self.exchanging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the next data key take over while this one still has room; whoever comes second leaves it to the first.
    fn renew_beside(&self, near: &Present) {
        if let Ok(_exchanging) = self.exchanging.try_lock()
            && let Err(error) = self.replace(near)
        {
            tracing::error!(tenant = %self.tenant, %error, "the next data key could not be derived; tried again with the next message");
        }
    }

    /// Waits for the next data key: this one has no room any more.
    fn renew(&self, over: &Present) -> Result<(), CipherError> {
        let _exchanging = self.exchange();
        self.replace(over).map_err(|error| match error {
            CipherError::Withdrawn => error,
            _ => CipherError::Spent(self.messages_max),
        })
    }

    /// Derives the next data key of the newest version, unless somebody has done so before.
    fn replace(&self, spent: &Present) -> Result<(), CipherError> {
        let now = self.now.load_full().ok_or(CipherError::Withdrawn)?;
        if now.sealing.head != spent.sealing.head {
            return Ok(());
        }
        let newest = now.versions.last().ok_or(CipherError::Keyless)?;
        self.succeed(&now, now.versions.clone(), newest)?;
        tracing::info!(tenant = %self.tenant, version = newest.number, "a data key is near its bound: the next one seals");
        Ok(())
    }

    /// Puts a fresh data key of a version in the place of the one that seals now.
    fn succeed(&self, now: &Present, versions: Vec<Arc<KeyVersion>>, newest: &KeyVersion) -> Result<(), CipherError> {
        let sealing = Sealing::begin(self.tenant, newest, &(self.draw_salt)()?, self.messages_max)?;
        self.keep(&now.sealing.head, Arc::clone(&now.sealing.key));
        let (legacy, names) = (now.legacy.clone(), now.names.clone());
        self.now.store(Some(Arc::new(Present { legacy, versions, sealing, names })));
        Ok(())
    }

    /// The data key a head names, where it commits to it.
    fn committed(&self, now: &Present, head: &Head) -> Option<Arc<DataKey>> {
        if *head == now.sealing.head {
            return Some(Arc::clone(&now.sealing.key));
        }
        if let Some(known) = self.opened.read().unwrap_or_else(PoisonError::into_inner).get(head) {
            return Some(Arc::clone(known));
        }
        let (layout, rest) = head.split_first()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let (salt, commitment) = rest.split_first_chunk::<SALT_BYTES>()?;
        if *layout != LAYOUT {
            return None;
        }
        let number = u32::from_be_bytes(*number);
        let version = now.versions.iter().find(|version| version.number == number)?;
        let key = version.data_key(self.tenant, salt).ok()?;
        key.is_committed_to_by(commitment).then(|| self.keep(head, Arc::new(key)))
    }

    fn keep(&self, head: &Head, key: Arc<DataKey>) -> Arc<DataKey> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if opened.len() >= DATA_KEYS_KEPT_MAX {
            opened.clear();
        }
        Arc::clone(opened.entry(*head).or_insert(key))
    }
}
