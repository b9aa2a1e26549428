//! The lobby: knocks the registry has granted, kept before its door so that the same knock, shown again, needs no
//! second walk to the registry. What was granted stands on the directory and on the open lodgings: both are held as
//! [`Grounds`], and reaching for either to change it empties the lobby first. A token is remembered under the version of the
//! key sets that proved it: once a set has been read again, no knock finds it.
use super::credentials::{Digest, ShownKey};
use super::directory::Directory;
use super::lodging::Lodging;
use super::messages::Wanted;
use super::minting::{Within, grant, right_of};
use super::rules::Admission;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::LOBBY_MAX;
use bailiwick_policy::access::Right;
use bailiwick_tenant::supervisor::doors::Doors;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError, RwLock};

/// What a knock that may be granted again without the registry has shown.
#[derive(PartialEq, Eq, Hash, Debug)]
struct Knocked {
    key_id: String,
    named: Option<String>,
    right: Right,
}

/// What the registry granted.
#[derive(Debug)]
struct Granted {
    digest: Digest,
    admission: Admission,
    within: Within,
    doors: Arc<Doors>,
}

/// What was granted, for as long as nothing has changed and no lease has ended.
#[derive(Clone, Debug)]
pub(super) struct Lobby {
    granted: Arc<RwLock<HashMap<Knocked, Granted>>>,
    clock: SharedClock,
}

impl Lobby {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { granted: Arc::default(), clock }
    }

    /// Grants a knock the registry has granted before. Gives it back where the registry must judge it.
    pub(super) fn grant(&self, shown: Option<&ShownKey>, named: Option<&str>, wanted: Wanted) -> Result<(), Wanted> {
        let Some(shown) = shown else { return Err(wanted) };
        let knocked =
            Knocked { key_id: shown.key_id.clone(), named: named.map(str::to_owned), right: right_of(&wanted) };
        let granted = self.granted.read().unwrap_or_else(PoisonError::into_inner);
        match granted.get(&knocked) {
            Some(kept) if kept.stands(shown, self.clock.now_unix_ms()) => {
                grant(wanted, kept.admission.clone(), &kept.within, &kept.doors);
                Ok(())
            }
            _ => Err(wanted),
        }
    }

    /// Keeps what the registry has granted on a proven key or token. Bounded: a full lobby starts again empty.
    pub(super) fn keep(
        &self,
        shown: ShownKey,
        named: Option<String>,
        right: Right,
        admission: Admission,
        within: Within,
        doors: &Arc<Doors>,
    ) {
        let (key_id, digest) = shown.into_parts();
        let mut granted = self.granted.write().unwrap_or_else(PoisonError::into_inner);
        if granted.len() >= LOBBY_MAX {
            granted.clear();
        }
        let knocked = Knocked { key_id, named, right };
        granted.insert(knocked, Granted { digest, admission, within, doors: Arc::clone(doors) });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.granted.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets everything: the next knocks are judged anew.
    pub(super) fn clear(&self) {
        self.granted.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Granted {
    fn stands(&self, shown: &ShownKey, now_unix_ms: u64) -> bool {
        shown.proves(&self.digest) && now_unix_ms < self.admission.lease_until_unix_ms && self.doors.admit.connected()
    }
}

/// Something judgements stand on. Whoever reaches for it to change it empties the lobby, before the change: what is
/// kept afterwards was judged after it, because the registry is the only one to keep.
pub(super) struct Grounds<T> {
    value: T,
    lobby: Lobby,
}

/// Who exists.
pub(super) type KnownTenants = Grounds<Directory>;
/// Whose rooms are open.
pub(super) type Lodgings = Grounds<HashMap<TenantKey, Lodging>>;

impl<T> Grounds<T> {
    pub(super) fn new(value: T, lobby: Lobby) -> Self {
        Self { value, lobby }
    }
}

impl<T> Deref for Grounds<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Grounds<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.lobby.clear();
        &mut self.value
    }
}
