//! The line before the till: calls that fit their ceilings, but not beside what others hold just now, wait until money
//! comes back. First come, first served among those that wait for the same counters; who waits for one counter does not
//! keep those waiting who have nothing to do with it. Pure; what waits is opaque.
use super::counters::CounterKey;
use bailiwick_kernel::limits::HOLD_WAITS_MAX;
use std::collections::{BTreeMap, VecDeque};

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
    /// The counters somebody waits for, with how many do.
    tight: BTreeMap<CounterKey, usize>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), tight: BTreeMap::new() }
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

    /// The counters among these that somebody waits for already: whoever comes now stands behind, and waits for no others.
    #[must_use]
    pub fn stands_before<'a>(&self, keys: impl IntoIterator<Item = &'a CounterKey>) -> Vec<CounterKey> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        keys.into_iter().filter(|key| self.tight.contains_key(*key)).cloned().collect()
    }

    /// Joins the end of the line; comes back where it is full.
    ///
    /// # Errors
    /// What came.
    pub fn join(&mut self, waiting: Waiting<T>) -> Result<(), Waiting<T>> {
        if self.waiting.len() >= HOLD_WAITS_MAX {
            return Err(waiting);
        }
        for key in &waiting.tight {
            *self.tight.entry(key.clone()).or_default() += 1;
        }
        self.waiting.push_back(waiting);
        Ok(())
    }

    /// Takes out the whole line in its order, to be tried again.
    pub fn take(&mut self) -> impl Iterator<Item = Waiting<T>> + use<T> {
        self.tight.clear();
        std::mem::take(&mut self.waiting).into_iter()
    }

    /// Takes out who has waited long enough.
    pub fn take_late(&mut self, now_unix_ms: u64) -> Vec<Waiting<T>> {
        let (late, still): (VecDeque<_>, _) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.until_unix_ms <= now_unix_ms);
        self.waiting = still;
        for key in late.iter().flat_map(|waiting| &waiting.tight) {
            if let Some(count) = self.tight.get_mut(key) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.tight.remove(key);
                }
            }
        }
        Vec::from(late)
    }
}
