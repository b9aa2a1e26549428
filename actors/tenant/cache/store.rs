//! The answers remembered: the one file that names moka. Least recently used goes first; nothing outlives its time by the
//! tenant's own clock.
use super::rules::{Key, bytes_of};
use crate::turn::Draft;
use bailiwick_policy::schema::ExactCacheRules;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// One answer.
#[derive(Clone, Debug)]
struct Entry {
    draft: Arc<Draft>,
    until_unix_ms: u64,
    bytes: u32,
}

/// The answers of one tenant.
#[derive(Debug)]
pub(super) struct Store {
    entries: Cache<Key, Entry>,
    ttl_ms: u64,
    entry_bytes_max: u64,
}

impl Store {
    /// An empty store within the tenant's bounds.
    pub(super) fn new(rules: &ExactCacheRules) -> Self {
        let entries = Cache::builder()
            .max_capacity(rules.max_bytes)
            .weigher(|_key, entry: &Entry| entry.bytes)
            .time_to_live(Duration::from_secs(u64::from(rules.ttl_s)))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { entries, ttl_ms: u64::from(rules.ttl_s).saturating_mul(1_000), entry_bytes_max: rules.max_bytes }
    }

    /// The answer of a key, while its time lasts.
    pub(super) fn recall(&self, key: &Key, now_unix_ms: u64) -> Option<Arc<Draft>> {
        let entry = self.entries.get(key)?;
        if now_unix_ms >= entry.until_unix_ms {
            self.entries.invalidate(key);
            return None;
        }
        Some(entry.draft)
    }

    /// Remembers an answer, where it fits at all.
    pub(super) fn remember(&self, key: Key, draft: Draft, now_unix_ms: u64) {
        let Some(bytes) =
            u32::try_from(bytes_of(&draft)).ok().filter(|bytes| u64::from(*bytes) <= self.entry_bytes_max)
        else {
            return;
        };
        let until_unix_ms = now_unix_ms.saturating_add(self.ttl_ms);
        self.entries.insert(key, Entry { draft: Arc::new(draft), until_unix_ms, bytes });
        self.entries.run_pending_tasks();
    }
}
