//! The answers remembered: the one file that names moka. Least recently used goes first; nothing outlives its time by the
//! tenant's own clock.
use super::lookup::Meaning;
use super::meaning::{Ground, Recollection, Vector, is_near};
use super::rules::{Key, Partition, bytes_of};
use crate::turn::Draft;
use bailiwick_policy::schema::{ExactCacheRules, SemanticCacheRules};
use bailiwick_policy::sovereignty::Cleared;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a remembered question beside its embedding and its answer. At least as much is counted for each, so that a full
/// store has at most one question for every one of them to be compared with: 65,536 in 64 MiB.
const QUESTION_BYTES: usize = 1 << 10;

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
    /// An empty store within the tenant's bounds, where answers may be remembered.
    pub(super) fn new(rules: &ExactCacheRules, _here: &Cleared) -> Self {
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

/// One question with its answer.
#[derive(Clone, Debug)]
struct Question {
    vector: Arc<Vector>,
    recollection: Arc<Recollection>,
    until_unix_ms: u64,
    bytes: u32,
}

/// The answers of one tenant by what their questions mean.
#[derive(Debug)]
pub(super) struct SemanticStore {
    questions: Cache<(Partition, Key), Question>,
    ttl_ms: u64,
    question_bytes_max: u64,
    min_similarity: f64,
}

impl SemanticStore {
    /// An empty store within the tenant's bounds, where answers may be remembered.
    pub(super) fn new(rules: &SemanticCacheRules, _here: &Cleared) -> Self {
        let questions = Cache::builder()
            .max_capacity(rules.max_bytes)
            .weigher(|_place, question: &Question| question.bytes)
            .time_to_live(Duration::from_secs(u64::from(rules.ttl_s)))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            questions,
            ttl_ms: u64::from(rules.ttl_s).saturating_mul(1_000),
            question_bytes_max: rules.max_bytes,
            min_similarity: rules.min_similarity,
        }
    }

    /// Bytes of everything that is compared.
    pub(super) fn bytes(&self) -> u64 {
        self.questions.weighted_size()
    }

    /// The answer to the nearest question of a partition, among those that are near enough and whose answer rests on the
    /// ground; of two that are as near, the younger one. Every question of the store is looked at.
    pub(super) fn nearest(
        &self,
        partition: &Partition,
        vector: &Vector,
        ground: &Ground,
        now_unix_ms: u64,
    ) -> Option<Draft> {
        let mut near: Vec<_> = self
            .questions
            .iter()
            .filter(|(place, question)| place.0 == *partition && now_unix_ms < question.until_unix_ms)
            .filter_map(|(place, question)| Some((vector.similarity(&question.vector)?, place, question)))
            .filter(|(similarity, ..)| is_near(*similarity, self.min_similarity))
            .collect();
        near.sort_by(|(one, _, this), (other, _, that)| {
            other.total_cmp(one).then(that.until_unix_ms.cmp(&this.until_unix_ms))
        });
        let (place, draft) =
            near.into_iter().find_map(|(_, place, question)| Some((place, question.recollection.on(ground)?)))?;
        let _used = self.questions.get(&*place); // the least recently used goes first
        Some(draft)
    }

    /// Remembers an answer, where it fits at all, in place of an earlier one to the same question on the same passages.
    pub(super) fn remember(&self, meaning: Meaning, recollection: Recollection, now_unix_ms: u64) {
        let Meaning { place, vector } = meaning;
        let bytes = bytes_of(recollection.draft())
            .saturating_add(vector.bytes())
            .saturating_add(recollection.cites_bytes())
            .saturating_add(QUESTION_BYTES);
        let Some(bytes) = u32::try_from(bytes).ok().filter(|bytes| u64::from(*bytes) <= self.question_bytes_max) else {
            return;
        };
        let until_unix_ms = now_unix_ms.saturating_add(self.ttl_ms);
        let recollection = Arc::new(recollection);
        self.questions.insert(place, Question { vector, recollection, until_unix_ms, bytes });
        self.questions.run_pending_tasks();
    }
}
