//! The ciphers that are in use, so that a new version reaches them and a withdrawal too; and who changes a keyring now.
use super::rules::Newest;
use bailiwick_kernel::cipher::keys::KeyVersion;
use bailiwick_kernel::cipher::{Cipher, WeakCipher};
use bailiwick_kernel::ids::TenantKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Every tenant whose keys were opened.
#[derive(Debug, Default)]
pub(super) struct Live {
    tenants: Mutex<HashMap<TenantKey, Arc<Turn>>>,
}

/// One tenant's keyring: whoever changes it, or opens it, has the turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    taken: Mutex<()>,
    in_use: Mutex<InUse>,
}

#[derive(Debug, Default)]
struct InUse {
    ciphers: Vec<WeakCipher>,
    newest: Option<Newest>,
}

impl Live {
    /// The tenant's turn. Made where there is none.
    pub(super) fn of(&self, tenant: TenantKey) -> Arc<Turn> {
        Arc::clone(held(&self.tenants).entry(tenant).or_default())
    }

    /// Forgets a tenant whose keys are gone.
    pub(super) fn forget(&self, tenant: TenantKey) {
        held(&self.tenants).remove(&tenant);
    }
}

impl Turn {
    /// Waits until nobody else changes the keyring. A tenant waits for itself alone.
    pub(super) fn take(&self) -> MutexGuard<'_, ()> {
        held(&self.taken)
    }

    /// A cipher is in use from here on, over keys of which this is the newest.
    pub(super) fn note(&self, cipher: &Cipher, newest: Newest) {
        let mut in_use = held(&self.in_use);
        in_use.ciphers.retain(|weak| weak.upgrade().is_some());
        in_use.ciphers.push(cipher.downgrade());
        in_use.newest = Some(newest);
    }

    /// The newest key, where somebody has opened it since the start.
    pub(super) fn newest(&self) -> Option<Newest> {
        held(&self.in_use).newest.clone()
    }

    /// Gives every cipher in use a new version. One whose keys were withdrawn, or which has none to draw a salt with, goes on
    /// as it is: it seals under the version before, which stays in the keyring.
    pub(super) fn add_version(&self, version: &KeyVersion, newest: Newest) {
        let mut in_use = held(&self.in_use);
        for cipher in in_use.ciphers.iter().filter_map(WeakCipher::upgrade) {
            let version =
                KeyVersion { number: version.number, region: version.region.clone(), key: version.key.clone() };
            if let Err(error) = cipher.add_version(version) {
                tracing::warn!(tenant = %cipher.tenant(), %error, "a cipher in use goes on under the version before");
            }
        }
        in_use.newest = Some(newest);
    }

    /// Takes the keys away from every cipher in use.
    pub(super) fn withdraw(&self) {
        let mut in_use = held(&self.in_use);
        in_use.ciphers.drain(..).filter_map(|weak| weak.upgrade()).for_each(|cipher| cipher.withdraw());
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
