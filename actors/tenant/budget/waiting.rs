//! The line before the till: calls that fit their ceilings, but not beside what others hold just now, wait until money
//! comes back. First come, first served among those that wait for the same counters; who waits for one counter does not
//! keep those waiting who have nothing to do with it. Pure; what waits is opaque.
use super::counters::CounterKey;
use bailiwick_kernel::limits::HOLD_WAITS_MAX;
use std::collections::{BTreeSet, VecDeque};

/// One that waits.
#[derive(Debug)]
pub struct Waiting<T> {
    /// What waits.
    pub call: T,
    /// The counters it found too full.
    pub tight: Vec<CounterKey>,
    /// When it is told that it waited in vain.
    pub until_unix_ms: u64,
}

/// The line.
#[derive(Debug)]
pub struct Line<T> {
    waiting: VecDeque<Waiting<T>>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

impl<T> Line<T> {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True where nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// True where somebody waits already for one of these counters: whoever comes now stands behind.
    #[must_use]
    pub fn stands_before<'a>(&self, keys: impl IntoIterator<Item = &'a CounterKey>) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let tight = self.tight();
        keys.into_iter().any(|key| tight.contains(key))
    }

    fn tight(&self) -> BTreeSet<&CounterKey> {
        self.waiting.iter().flat_map(|waiting| &waiting.tight).collect()
    }

    /// Joins the end of the line; comes back where it is full.
    ///
    /// # Errors
    /// What came.
    pub fn join(&mut self, waiting: Waiting<T>) -> Result<(), Waiting<T>> {
        if self.waiting.len() >= HOLD_WAITS_MAX {
            return Err(waiting);
        }
        self.waiting.push_back(waiting);
        Ok(())
    }

    /// Takes out the whole line in its order, to be tried again.
    pub fn take(&mut self) -> impl Iterator<Item = Waiting<T>> + use<T> {
        std::mem::take(&mut self.waiting).into_iter()
    }

    /// Takes out who has waited long enough.
    pub fn take_late(&mut self, now_unix_ms: u64) -> Vec<Waiting<T>> {
        let (late, still) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.until_unix_ms <= now_unix_ms);
        self.waiting = still;
        Vec::from(late)
    }
}
