//! Vector stores as the operator declares them, and the seam to whatever keeps the points of one collection.
use super::rules::{Filter, Hit};
use bailiwick_policy::sovereignty::{Cleared, InTransit, Region};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a store is asked for, on its way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// A vector under its number: all that is told of a passage.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// Which passage.
    pub id: u64,
    /// Its vector, of length 1.
    pub vector: Vec<f32>,
}

/// One collection of points in a store outside the node.
pub trait Collection: Send + Sync + fmt::Debug {
    /// Makes it, empty, for vectors of so many numbers that are compared by their cosine.
    fn make(&self, dimensions: usize) -> Pending<'_, ()>;
    /// Deletes it with everything in it; one that is not there is deleted.
    fn delete(&self) -> Pending<'_, ()>;
    /// How many points it has; nothing where it is not there.
    fn count(&self) -> Pending<'_, Option<u64>>;
    /// Puts points there, in the stead of those with their numbers; they are there when this resolves.
    fn put<'a>(&'a self, points: &'a [Point]) -> Pending<'a, ()>;
    /// Takes points out; they are gone when this resolves.
    fn take_out<'a>(&'a self, ids: &'a [u64]) -> Pending<'a, ()>;
    /// The nearest points to a vector that pass each of the filters, at most so many a filter.
    fn nearest<'a>(&'a self, vector: &'a [f32], filters: &'a [Filter], most: usize) -> Pending<'a, Vec<Hit>>;
}

/// What became of searches and of points, over all tenants.
#[derive(Debug, Default)]
pub struct Tally {
    /// Searches that were answered.
    pub found: AtomicU64,
    /// Searches that were not, or not in time, or were not made because a moment ago none was answered.
    pub failed: AtomicU64,
    /// Searches whose answer was not to be taken.
    pub refused: AtomicU64,
    /// Points put there.
    pub stored: AtomicU64,
    /// Points taken out.
    pub removed: AtomicU64,
}

impl Tally {
    /// Every count with its name.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        let Self { found, failed, refused, stored, removed } = self;
        [("found", found), ("failed", failed), ("refused", refused), ("stored", stored), ("removed", removed)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

/// One entry of `[[vector_stores]]`: a namespace, and where it is.
#[derive(Debug)]
pub struct VectorStore {
    /// The namespace's name.
    pub namespace: String,
    /// Where it is.
    pub region: Region,
    /// The one tenant that may name it.
    pub tenant: String,
    /// The longest a question waits for it.
    pub timeout: Duration,
    /// Its collection, over TLS 1.2 or newer …
    pub under_tls12: Arc<dyn Collection>,
    /// … and over TLS 1.3.
    pub under_tls13: Arc<dyn Collection>,
}

impl VectorStore {
    /// Its collection, for what was cleared for where it is; `None` for anything else.
    #[must_use]
    pub fn reach(&self, cleared: &Cleared) -> Option<&dyn Collection> {
        let collection = match cleared.in_transit() {
            InTransit::Tls12 => &self.under_tls12,
            InTransit::Tls13 => &self.under_tls13,
        };
        (*cleared.region() == self.region).then_some(collection.as_ref())
    }
}

/// All vector stores of the node.
#[derive(Clone, Debug, Default)]
pub struct VectorStores {
    stores: Arc<Vec<Arc<VectorStore>>>,
    tally: Arc<Tally>,
}

impl VectorStores {
    /// These.
    #[must_use]
    pub fn new(stores: Vec<VectorStore>) -> Self {
        Self { stores: Arc::new(stores.into_iter().map(Arc::new).collect()), tally: Arc::default() }
    }

    /// Those one tenant may name.
    #[must_use]
    pub fn of(&self, tenant: &str) -> TenantVectorStores {
        let stores = self.stores.iter().filter(|store| store.tenant == tenant).cloned().collect();
        TenantVectorStores { stores, tally: Arc::clone(&self.tally) }
    }

    /// What became of searches and of points.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// The vector stores one tenant may name. There is no way from here to another's.
#[derive(Clone, Debug, Default)]
pub struct TenantVectorStores {
    pub(super) stores: Vec<Arc<VectorStore>>,
    pub(super) tally: Arc<Tally>,
}

impl TenantVectorStores {
    /// True where none is declared for the tenant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// Deletes every collection of the tenant, over TLS 1.2 or newer: it is being destroyed, and what it says of that ends with it.
    ///
    /// # Errors
    /// The first that may still be there, and why.
    pub async fn delete_all(&self, within: Duration) -> Result<usize, String> {
        for store in &self.stores {
            let deleted = tokio::time::timeout(within, store.under_tls12.delete()).await;
            let deleted = deleted.unwrap_or_else(|_elapsed| Err("it did not answer in time".to_owned()));
            deleted.map_err(|problem| format!("the collection {}: {problem}", store.namespace))?;
        }
        Ok(self.stores.len())
    }
}
