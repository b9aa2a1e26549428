//! Answers remembered outside the node, for other nodes and later incarnations of the same tenant: sealed by the tenant's own
//! cipher, under names only it can make. Whoever keeps them sees how many there are and how long they are. What cannot be had in
//! time is not known; nobody is refused for it.
use super::rules::{Key, Opened, bytes_of, read, written};
use crate::egress::{Egress, Transfer};
use crate::turn::Draft;
use bailiwick_kernel::cipher::{Cipher, Purpose};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::{MAILBOX_MAX, SHARED_ANSWER_BYTES_MAX};
use bailiwick_policy::schema::ExactCacheRules;
use bailiwick_policy::sovereignty::{InTransit, Region};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// After a failure a tenant asks nobody for this long: while a cache is down, one question in this time waits for it, and no more.
const SILENT_MS: u64 = 1_000;

/// What a cache outside is asked for, on its way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + 'a>>;

/// A cache outside the node.
pub trait SharedStore: Send + Sync + fmt::Debug {
    /// Whether it can be asked at once. Where it cannot, it is being reached from now on, and nobody waits for that.
    fn is_ready(&self) -> bool;
    /// The value of a key, or as much of it as is asked for; nothing where it has none.
    fn get<'a>(&'a self, key: &'a [u8], bytes_max: usize) -> Pending<'a, Option<Vec<u8>>>;
    /// Keeps a value for so many milliseconds, once it is reached.
    fn put<'a>(&'a self, key: &'a [u8], value: &'a [u8], ttl_ms: u64) -> Pending<'a, ()>;
    /// It answers who asks, once it is reached.
    fn ping(&self) -> Pending<'_, ()>;
}

/// What became of looks and of answers, over all tenants.
#[derive(Debug, Default)]
pub struct Tally {
    /// Found.
    pub hits: AtomicU64,
    /// Not there.
    pub misses: AtomicU64,
    /// Not asked, or not answered in time.
    pub failed: AtomicU64,
    /// Found, and nothing this tenant's key opens.
    pub refused: AtomicU64,
    /// Put there.
    pub stored: AtomicU64,
}

impl Tally {
    /// Every count with its name.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        let Self { hits, misses, failed, refused, stored } = self;
        [("hit", hits), ("miss", misses), ("failed", failed), ("refused", refused), ("stored", stored)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

/// The cache the operator declares for all tenants of the node.
#[derive(Debug)]
pub struct SharedService {
    /// Where it is.
    pub region: Region,
    /// The longest anybody waits for it.
    pub timeout: Duration,
    /// It, over TLS 1.2 or newer …
    pub under_tls12: Arc<dyn SharedStore>,
    /// … and over TLS 1.3.
    pub under_tls13: Arc<dyn SharedStore>,
    /// What became of looks.
    pub tally: Tally,
}

impl SharedService {
    /// A cache nobody has asked yet.
    #[must_use]
    pub fn new(
        region: Region,
        timeout: Duration,
        under_tls12: Arc<dyn SharedStore>,
        under_tls13: Arc<dyn SharedStore>,
    ) -> Self {
        Self { region, timeout, under_tls12, under_tls13, tally: Tally::default() }
    }

    fn reach(&self, transfer: &Transfer) -> Option<Arc<dyn SharedStore>> {
        let store = match transfer.cleared().in_transit() {
            InTransit::Tls12 => &self.under_tls12,
            InTransit::Tls13 => &self.under_tls13,
        };
        (*transfer.cleared().region() == self.region).then(|| Arc::clone(store))
    }
}

/// One tenant's part of it.
#[derive(Clone)]
pub(super) struct SharedCache {
    service: Arc<SharedService>,
    egress: Arc<Egress>,
    cipher: Cipher,
    clock: SharedClock,
    prefix: Arc<str>,
    ttl_ms: u64,
    bytes_max: usize,
    /// Looks and answers under way at once.
    places: Arc<Semaphore>,
    /// Until then it is not asked: the tenant's own, so that nobody learns what became of a neighbour's looks.
    silent_until_unix_ms: Arc<AtomicU64>,
}

impl fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedCache({})", self.prefix)
    }
}

/// What a tenant's part is made of.
pub(super) struct SharedParts {
    pub(super) service: Arc<SharedService>,
    pub(super) egress: Arc<Egress>,
    pub(super) cipher: Cipher,
    pub(super) clock: SharedClock,
}

impl SharedCache {
    /// The tenant's part under its prefix, within the bounds of its exact cache.
    pub(super) fn new(parts: SharedParts, prefix: &str, rules: &ExactCacheRules) -> Self {
        let SharedParts { service, egress, cipher, clock } = parts;
        let bytes_max = usize::try_from(rules.max_bytes).unwrap_or(usize::MAX).min(SHARED_ANSWER_BYTES_MAX);
        let ttl_ms = u64::from(rules.ttl_s).saturating_mul(1_000);
        let (places, silent_until_unix_ms) = (Arc::new(Semaphore::new(MAILBOX_MAX)), Arc::default());
        let prefix = prefix.into();
        Self { service, egress, cipher, clock, prefix, ttl_ms, bytes_max, places, silent_until_unix_ms }
    }

    /// Has it reached where the tenant's lists allow it now, before anybody asks.
    pub(super) fn reach_ahead(&self) {
        let Ok(transfer) = self.egress.share(self.service.region.as_str()) else { return };
        let _whether_or_not = self.service.reach(&transfer).is_some_and(|store| store.is_ready());
    }

    /// A place for a look or an answer; nothing where as many as may be are under way.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    fn count(&self, count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// What an answer is called out there.
    fn name(&self, key: &Key) -> Option<Vec<u8>> {
        let name = self.cipher.name_of(Purpose::Cache, key.bytes()).ok()?;
        Some([self.prefix.as_bytes(), hex::encode(name).as_bytes()].concat())
    }

    /// Does something out there, where the tenant's lists allow it now, within the time and unless it was silent a moment ago.
    async fn reached<T>(&self, work: impl AsyncFnOnce(&dyn SharedStore) -> Result<T, String>) -> Option<T> {
        let service = &self.service;
        if self.clock.now_unix_ms() < self.silent_until_unix_ms.load(Ordering::Relaxed) {
            return None;
        }
        let mut transfer = self.egress.share(service.region.as_str()).ok()?;
        let store = service.reach(&transfer)?;
        let worked = tokio::select! {
            biased;
            _withdrawn = transfer.withdrawn() => return None,
            worked = tokio::time::timeout(service.timeout, work(store.as_ref())) => worked,
        };
        let problem = match worked {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(problem)) => problem,
            Err(_elapsed) => "it did not answer in time".to_owned(),
        };
        let now_unix_ms = self.clock.now_unix_ms();
        self.silent_until_unix_ms.store(now_unix_ms.saturating_add(SILENT_MS), Ordering::Relaxed);
        tracing::warn!(tenant = %self.cipher.tenant(), problem, "the shared cache; answers are made anew meanwhile");
        None
    }

    /// The answer of a key, where somebody with this tenant's key has put one there that is not too old.
    pub(super) async fn recall(&self, key: &Key) -> Option<Draft> {
        let tally = &self.service.tally;
        let name = self.name(key)?;
        // one byte more than anything of the house's own has: what is longer is none
        let most = self.bytes_max.saturating_add(1);
        let looked = self.reached(
            async |store| {
                if store.is_ready() { store.get(&name, most).await.map(Some) } else { Ok(None) }
            },
        );
        let Some(found) = looked.await.flatten() else {
            self.count(&tally.failed);
            return None;
        };
        let Some(sealed) = found else {
            self.count(&tally.misses);
            return None;
        };
        let plain = (sealed.len() <= self.bytes_max).then(|| self.cipher.open(Purpose::Cache, &name, &sealed).ok());
        match plain.flatten().and_then(|plain| read(&plain, self.clock.now_unix_ms())) {
            Some(Opened::Known(draft)) => {
                self.count(&tally.hits);
                Some(*draft)
            }
            Some(Opened::TooOld) => {
                self.count(&tally.misses);
                None
            }
            None => {
                self.count(&tally.refused);
                None
            }
        }
    }

    /// Puts an answer there, where it fits.
    pub(super) async fn remember(&self, key: &Key, draft: &Draft) {
        if bytes_of(draft) > self.bytes_max {
            return;
        }
        let until_unix_ms = self.clock.now_unix_ms().saturating_add(self.ttl_ms);
        let (Some(name), Some(plain)) = (self.name(key), written(draft, until_unix_ms)) else { return };
        let Ok(sealed) = self.cipher.seal(Purpose::Cache, &name, &plain) else { return };
        if sealed.len() > self.bytes_max {
            return;
        }
        let stored = self.reached(async |store| store.put(&name, &sealed, self.ttl_ms).await).await;
        self.count(if stored.is_some() { &self.service.tally.stored } else { &self.service.tally.failed });
    }
}
