//! The tenant's cipher: AES-256-GCM under a data key of its own for every opening, with the tenant's key as associated
//! data, so that a stray record of another tenant cannot even be decrypted (design §4.6).
//!
//! Layout: layout byte, 4-byte number of the tenant key's version, 16-byte salt, 16-byte commitment, 12-byte random nonce,
//! ciphertext, 16-byte tag. Version, tenant and region are in the derivation of the data key, purpose and name in the
//! associated data: what is moved or relabelled opens as nothing.
//!
//! Whoever makes a cipher draws a salt, and with it a data key nobody has sealed under before. So its messages are
//! counted in memory, from nothing, and the count is right after a restart, a crash, or a backup that is started twice.
use crate::ids::TenantKey;
use crate::limits::{DATA_KEYS_KEPT_MAX, MESSAGES_PER_DATA_KEY_MAX};
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use data_key::{COMMITMENT_BYTES, DataKey, KEY_BYTES, SALT_BYTES, TAG_BYTES};
use keys::{KeyVersion, TenantKeys};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub mod data_key;
pub mod keys;
pub mod legacy;
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
}

impl Purpose {
    fn tag(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Blob => 2,
            Self::Shelf => 3,
            Self::Index => 4,
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
    /// The data key has sealed as many messages as one may: one more could repeat a nonce.
    #[error(
        "sealing bytes: this opening's data key has sealed the {0} messages one key may; suspend and resume the tenant, or restart the node: every opening has a new one"
    )]
    Spent(u64),
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

struct Inner {
    keys: TenantKeys,
    sealing: Sealing,
    /// Data keys of earlier openings, by the head of what they have sealed; only such as a commitment proved.
    opened: RwLock<HashMap<Head, Arc<DataKey>>>,
    random: SystemRandom,
}

/// The data key of this opening.
struct Sealing {
    head: Head,
    key: Arc<DataKey>,
    messages: AtomicU64,
    messages_max: u64,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({})", self.tenant())
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

    /// As [`Cipher::new`], with another bound on what is sealed: at most [`MESSAGES_PER_DATA_KEY_MAX`] counts.
    ///
    /// # Errors
    /// As [`Cipher::new`].
    pub fn sealing_at_most(keys: TenantKeys, messages: u64) -> Result<Self, CipherError> {
        let newest = keys.versions.last().ok_or(CipherError::Keyless)?;
        let random = SystemRandom::new();
        let mut salt = [0_u8; SALT_BYTES];
        random.fill(&mut salt).map_err(|_unspecified| CipherError::Random)?;
        let key = newest.data_key(keys.tenant, &salt)?;
        let head = head_of(newest.number, &salt, key.commitment());
        let messages_max = messages.min(MESSAGES_PER_DATA_KEY_MAX);
        let sealing = Sealing { head, key: Arc::new(key), messages: AtomicU64::new(0), messages_max };
        Ok(Self { inner: Arc::new(Inner { keys, sealing, opened: RwLock::default(), random }) })
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
        self.inner.keys.tenant
    }

    /// Seals `plain` for a purpose and a name (a key, a path); the same name is needed to open it.
    ///
    /// # Errors
    /// [`CipherError::Random`] where no nonce can be drawn, [`CipherError::Spent`] where the data key may seal no more.
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
        let Inner { keys, sealing, random, .. } = self.inner.as_ref();
        // counted before it is sealed, and never given back: a count that is too high is safe
        if sealing.messages.fetch_add(1, Ordering::Relaxed) >= sealing.messages_max {
            return Err(CipherError::Spent(sealing.messages_max));
        }
        sealed.reserve(plain.len() + OVERHEAD_BYTES);
        sealed.extend_from_slice(&sealing.head);
        sealing.key.seal_onto(random, &associated(keys.tenant, purpose, name), plain, sealed)
    }

    /// Opens like [`Cipher::open`] into a buffer that is exactly [`OVERHEAD_BYTES`] shorter than `sealed`, but nothing that
    /// is older than the layout. Where it refuses, what stands in the buffer means nothing.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where anything was altered or belongs elsewhere, or the buffer has another length.
    pub fn open_into(&self, purpose: Purpose, name: &[u8], sealed: &[u8], plain: &mut [u8]) -> Result<(), CipherError> {
        let (head, body) = sealed.split_first_chunk::<HEAD_BYTES>().ok_or(CipherError::Refused)?;
        let key = self.inner.committed(head).ok_or(CipherError::Refused)?;
        key.open_into(&associated(self.tenant(), purpose, name), body, plain)
    }

    /// Opens what [`Cipher::seal`] made for the same tenant, purpose and name, and where the tenant is older than its
    /// keyring, what was sealed before.
    ///
    /// # Errors
    /// [`CipherError::Refused`] where anything was altered or belongs elsewhere.
    pub fn open(&self, purpose: Purpose, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CipherError> {
        let headed = sealed.split_first_chunk::<HEAD_BYTES>();
        let committed = headed.and_then(|(head, body)| self.inner.committed(head).map(|key| (key, body)));
        // what commits to a key of this tenant is never tried as anything else
        match (committed, &self.inner.keys.legacy) {
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
    /// The data key a head names, where it commits to it.
    fn committed(&self, head: &Head) -> Option<Arc<DataKey>> {
        if *head == self.sealing.head {
            return Some(Arc::clone(&self.sealing.key));
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
        let version = self.keys.versions.iter().find(|version| version.number == number)?;
        let key = version.data_key(self.keys.tenant, salt).ok()?;
        key.is_committed_to_by(commitment).then(|| self.keep(head, key))
    }

    fn keep(&self, head: &Head, key: DataKey) -> Arc<DataKey> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if opened.len() >= DATA_KEYS_KEPT_MAX {
            opened.clear();
        }
        Arc::clone(opened.entry(*head).or_insert_with(|| Arc::new(key)))
    }
}
