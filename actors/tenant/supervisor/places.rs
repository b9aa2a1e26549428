//! Places of turns in flight: a tenant's, and those of its domains, use cases, users and keys.
use crate::limits::scope::Scope;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::{LevelLimit, Quotas, names};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A turn in flight ends within this time more often than not.
const SHORTLY_MS: u64 = 100;

/// The most turns each may have in flight.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Ceilings {
    tenant: u32,
    limits: Vec<(Level, Box<str>, u32)>,
    /// Levels that are limited, each once.
    levels: Vec<Level>,
}

/// Turns in flight.
#[derive(Default)]
struct Taken {
    all: u32,
    /// In flight beside them: what is waited for and takes no place.
    beside: u32,
    /// Members with turns in flight, at levels that were limited when those turns came in.
    members: BTreeMap<Level, HashMap<Box<str>, u32>>,
}

#[derive(Default)]
struct Counts {
    taken: Mutex<Taken>,
    emptied: Notify,
}

/// The places of one tenant.
#[derive(Debug)]
pub struct Places {
    counts: Arc<Counts>,
    ceilings: Ceilings,
}

/// A turn's place at every level; given back by its own `Drop`, wherever the turn ends.
#[derive(Debug)]
pub struct Permit {
    counts: Arc<Counts>,
    takes: Takes,
    members: Vec<(Level, Box<str>)>,
}

/// What a turn in flight takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    /// One of the tenant's places.
    Place,
    /// None.
    Nothing,
}

impl Ceilings {
    fn of(quotas: &Quotas) -> Self {
        let limit =
            |limit: &LevelLimit| Some((limit.level, Box::from(limit.name.as_str()), limit.max_concurrent_requests?));
        let limits: Vec<(Level, Box<str>, u32)> = quotas.limits.iter().filter_map(limit).collect();
        let is_limited = |level: &Level| limits.iter().any(|(limited, ..)| limited == level);
        let levels = Level::ALL.into_iter().filter(is_limited).collect();
        Self { tenant: quotas.max_concurrent_requests, limits, levels }
    }
}

impl Taken {
    fn is_empty(&self) -> bool {
        self.all == 0 && self.beside == 0
    }

    fn at(&self, level: Level, member: &str) -> u32 {
        self.members.get(&level).and_then(|members| members.get(member)).copied().unwrap_or(0)
    }

    fn leave(&mut self, level: Level, member: &str) {
        let Some(members) = self.members.get_mut(&level) else { return };
        let left = members.get(member).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            members.remove(member);
        } else if let Some(count) = members.get_mut(member) {
            *count = left;
        }
        if members.is_empty() {
            self.members.remove(&level);
        }
    }
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        // nothing that can panic runs under the lock
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken = self.lock();
        let members: usize = taken.members.values().map(HashMap::len).sum();
        write!(f, "Counts({} in flight, {members} members)", taken.all)
    }
}

impl Places {
    /// The places of a tenant, all free.
    #[must_use]
    pub fn new(quotas: &Quotas) -> Self {
        Self { counts: Arc::default(), ceilings: Ceilings::of(quotas) }
    }

    /// Takes other quotas over; turns in flight keep their places and count against them.
    pub fn adopt(&mut self, quotas: &Quotas) {
        self.ceilings = Ceilings::of(quotas);
    }

    /// Takes a place at every level, or at none.
    ///
    /// # Errors
    /// `rate_limited`, with the level that has none free.
    pub fn take(&self, scope: &Scope<'_>) -> Result<Permit, Rejection> {
        let mut taken = self.counts.lock();
        if taken.all >= self.ceilings.tenant {
            let most = self.ceilings.tenant;
            let detail = format!(
                "{most} requests of this tenant are in flight already, its quota max_concurrent_requests; try again shortly"
            );
            return Err(Rejection::retry_after(Code::RateLimited, detail, SHORTLY_MS));
        }
        for (level, name, most) in &self.ceilings.limits {
            let member = scope.member(*level);
            if names(name, member) && taken.at(*level, member) >= *most {
                let detail = format!(
                    "{most} requests of {level} {member:?} are in flight already, its limit max_concurrent_requests; try again shortly"
                );
                return Err(Rejection::retry_after(Code::RateLimited, detail, SHORTLY_MS));
            }
        }
        let at = |level: &Level| (*level, Box::from(scope.member(*level)));
        let members: Vec<(Level, Box<str>)> = self.ceilings.levels.iter().map(at).collect();
        taken.all = taken.all.saturating_add(1);
        for (level, member) in &members {
            let count = taken.members.entry(*level).or_default().entry(member.clone()).or_default();
            *count = count.saturating_add(1);
        }
        drop(taken);
        Ok(Permit { counts: Arc::clone(&self.counts), takes: Takes::Place, members })
    }

    /// A permit that takes no place, and is waited for like one that does.
    #[must_use]
    pub fn beside(&self) -> Permit {
        let mut taken = self.counts.lock();
        taken.beside = taken.beside.saturating_add(1);
        drop(taken);
        Permit { counts: Arc::clone(&self.counts), takes: Takes::Nothing, members: Vec::new() }
    }

    /// Turns in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.counts.lock().all
    }

    /// Resolves when no turn is in flight any more.
    pub fn drained(&self) -> impl Future<Output = ()> + 'static + use<> {
        let counts = Arc::clone(&self.counts);
        async move {
            loop {
                // made before the count is read, so that the last permit cannot leave unheard
                let emptied = counts.emptied.notified();
                if counts.lock().is_empty() {
                    return;
                }
                emptied.await;
            }
        }
    }
}

impl Permit {
    /// True for a call of the tenant's own rooms, which takes no place of anybody.
    #[must_use]
    pub fn takes_no_place(&self) -> bool {
        self.takes == Takes::Nothing
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.counts.lock();
        match self.takes {
            Takes::Place => taken.all = taken.all.saturating_sub(1),
            Takes::Nothing => taken.beside = taken.beside.saturating_sub(1),
        }
        for (level, member) in &self.members {
            taken.leave(*level, member);
        }
        let is_empty = taken.is_empty();
        drop(taken);
        if is_empty {
            self.counts.emptied.notify_waiters();
        }
    }
}
