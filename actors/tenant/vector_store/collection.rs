//! One tenant's way to its collection: under a transfer of its borders, within the time, and not at all for a moment after it was
//! silent. What a store answers is held against what it was asked for.
use super::declared::{Collection, Tally, TenantVectorStores, VectorStore};
use super::rules::{Filter, taken};
use crate::egress::Egress;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_policy::sovereignty::Region;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// After a failure a tenant's questions ask nobody for this long: while a store is down, one question in this time waits for it.
const SILENT_MS: u64 = 1_000;
/// How long one request of the background may take.
const REQUEST: Duration = Duration::from_secs(10);
/// What is said of a store that was not heard of within that.
const SLOW: &str = "it did not answer in time";

/// A collection as one tenant reaches it.
pub struct TenantCollection {
    store: Arc<VectorStore>,
    tally: Arc<Tally>,
    egress: Arc<Egress>,
    clock: SharedClock,
    tenant: TenantKey,
    /// Until then no question asks it: the tenant's own, so that nobody learns what became of a neighbour's.
    silent_until_unix_ms: AtomicU64,
}

impl fmt::Debug for TenantCollection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantCollection({})", self.store.namespace)
    }
}

impl TenantCollection {
    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.store.namespace
    }

    /// Where it is.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.store.region
    }

    /// Whether the tenant's lists let vectors be there now.
    ///
    /// # Errors
    /// Why not.
    pub fn may_be_used(&self) -> Result<(), String> {
        self.egress.index(self.store.region.as_str()).map(drop).map_err(|rejection| rejection.detail)
    }

    /// The points that are nearest to a vector among those that may be found, which are in order; at most so many a filter.
    ///
    /// # Errors
    /// Why nothing is known, in words for the answer's lineage.
    pub async fn nearest(
        &self,
        vector: &[f32],
        filters: &[Filter],
        admitted: &[u64],
        most: usize,
    ) -> Result<Vec<u64>, String> {
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |reason: String| {
            self.tally.failed.fetch_add(1, Ordering::Relaxed);
            reason
        };
        if self.clock.now_unix_ms() < self.silent_until_unix_ms.load(Ordering::Relaxed) {
            return Err(failed("the vector store did not answer a moment ago".to_owned()));
        }
        let mut transfer = self.egress.index(self.store.region.as_str()).map_err(|refused| failed(refused.detail))?;
        let collection = self.store.reach(transfer.cleared()).ok_or_else(|| failed(elsewhere()))?;
        let asked = tokio::select! {
            biased;
            withdrawn = transfer.withdrawn() => return Err(failed(withdrawn.detail)),
            asked = tokio::time::timeout(self.store.timeout, collection.nearest(vector, filters, most)) => asked,
        };
        let hits = asked.unwrap_or_else(|_elapsed| Err(SLOW.to_owned()));
        let problem = match hits {
            Ok(hits) => match taken(&hits, admitted, most.saturating_mul(filters.len())) {
                Ok(ids) => {
                    self.tally.found.fetch_add(1, Ordering::Relaxed);
                    return Ok(ids);
                }
                Err(unfit) => {
                    self.tally.refused.fetch_add(1, Ordering::Relaxed);
                    unfit.to_string()
                }
            },
            Err(problem) => failed(problem),
        };
        let until_unix_ms = self.clock.now_unix_ms().saturating_add(SILENT_MS);
        self.silent_until_unix_ms.store(until_unix_ms, Ordering::Relaxed);
        tracing::warn!(tenant = %self.tenant, problem, "the vector store; questions are searched by their words meanwhile");
        Err(format!("the vector store: {problem}"))
    }

    /// Has vectors brought or looked after, where the tenant's lists allow it now.
    ///
    /// # Errors
    /// Why it was not done, or may not have been.
    pub async fn kept<T>(&self, work: impl AsyncFnOnce(&dyn Collection) -> Result<T, String>) -> Result<T, String> {
        let mut transfer = self.egress.index(self.store.region.as_str()).map_err(|refused| refused.detail)?;
        let collection = self.store.reach(transfer.cleared()).ok_or_else(elsewhere)?;
        tokio::select! {
            biased;
            withdrawn = transfer.withdrawn() => Err(withdrawn.detail),
            worked = tokio::time::timeout(REQUEST, work(collection)) => {
                worked.unwrap_or_else(|_elapsed| Err(SLOW.to_owned()))
            }
        }
    }

    /// Has something deleted there, whatever the tenant's lists say of the region by now.
    ///
    /// # Errors
    /// Why it may still be there.
    pub async fn taken_back<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Collection) -> Result<T, String>,
    ) -> Result<T, String> {
        let cleared = self.egress.take_back(&self.store.region).map_err(|refused| refused.detail)?;
        let collection = self.store.reach(&cleared).ok_or_else(elsewhere)?;
        tokio::time::timeout(REQUEST, work(collection)).await.unwrap_or_else(|_elapsed| Err(SLOW.to_owned()))
    }

    /// Counts points that were put there.
    pub fn count_stored(&self, points: usize) {
        self.tally.stored.fetch_add(u64::try_from(points).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts points that were taken out.
    pub fn count_removed(&self, points: usize) {
        self.tally.removed.fetch_add(u64::try_from(points).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

fn elsewhere() -> String {
    "the transfer was cleared for another region".to_owned()
}

/// The collections one tenant may name.
#[derive(Clone, Debug, Default)]
pub struct TenantCollections(Vec<Arc<TenantCollection>>);

impl TenantCollections {
    /// Those of a tenant, within its borders.
    #[must_use]
    pub fn new(stores: TenantVectorStores, egress: &Arc<Egress>, clock: &SharedClock, tenant: TenantKey) -> Self {
        let TenantVectorStores { stores, tally } = stores;
        let reached = |store: Arc<VectorStore>| {
            Arc::new(TenantCollection {
                store,
                tally: Arc::clone(&tally),
                egress: Arc::clone(egress),
                clock: Arc::clone(clock),
                tenant,
                silent_until_unix_ms: AtomicU64::new(0),
            })
        };
        Self(stores.into_iter().map(reached).collect())
    }

    /// The collection of this namespace; `None` where none is declared for the tenant.
    #[must_use]
    pub fn get(&self, namespace: &str) -> Option<&Arc<TenantCollection>> {
        self.0.iter().find(|collection| collection.namespace() == namespace)
    }
}
