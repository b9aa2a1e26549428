//! Good and bad events of a rolling time, in whole numbers. Pure. What is kept is bounded by the number of slots, and nothing
//! is kept of a time in which nothing happened.
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Events that count for a service level.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Tally {
    /// Turns that ended well.
    pub good: u64,
    /// Turns the house or a provider failed.
    pub bad: u64,
}

impl Tally {
    /// One event.
    #[must_use]
    pub fn one(is_good: bool) -> Self {
        Self { good: u64::from(is_good), bad: u64::from(!is_good) }
    }

    /// Both kinds together.
    #[must_use]
    pub fn total(self) -> u64 {
        self.good.saturating_add(self.bad)
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.good = self.good.saturating_add(other.good);
        self.bad = self.bad.saturating_add(other.bad);
    }

    fn take_off(&mut self, other: Self) {
        self.good = self.good.saturating_sub(other.good);
        self.bad = self.bad.saturating_sub(other.bad);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Slot {
    number: u64,
    tally: Tally,
}

/// The events of the last `slots` slots, the one under way included: between `slots − 1` and `slots` of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Window {
    slot_ms: u64,
    slots: u64,
    kept: VecDeque<Slot>,
    sum: Tally,
}

impl Window {
    /// An empty window of so many slots of so many milliseconds.
    #[must_use]
    pub fn new(slot_ms: u64, slots: u64) -> Self {
        Self { slot_ms: slot_ms.max(1), slots: slots.max(1), kept: VecDeque::new(), sum: Tally::default() }
    }

    /// Counts events of a moment. A clock that went back counts for the newest slot there is: nothing is counted twice, and
    /// nothing comes back.
    pub fn note(&mut self, tally: Tally, at_unix_ms: u64) {
        self.pass(at_unix_ms);
        let number = at_unix_ms / self.slot_ms;
        match self.kept.back_mut() {
            Some(newest) if newest.number >= number => newest.tally.add(tally),
            _ => self.kept.push_back(Slot { number, tally }),
        }
        self.sum.add(tally);
    }

    /// Forgets what lies before the window.
    pub fn pass(&mut self, now_unix_ms: u64) {
        let number = now_unix_ms / self.slot_ms;
        while let Some(oldest) = self.kept.front().filter(|slot| slot.number.saturating_add(self.slots) <= number) {
            self.sum.take_off(oldest.tally);
            self.kept.pop_front();
        }
    }

    /// The events within.
    #[must_use]
    pub fn sum(&self) -> Tally {
        self.sum
    }

    /// Where the oldest slot begins of which something is kept.
    #[must_use]
    pub fn begins_unix_ms(&self) -> Option<u64> {
        self.kept.front().map(|slot| slot.number.saturating_mul(self.slot_ms))
    }

    /// The slots of which something is kept, oldest first: where each begins, and its events.
    pub fn slots(&self) -> impl Iterator<Item = (u64, Tally)> {
        self.kept.iter().map(|slot| (slot.number.saturating_mul(self.slot_ms), slot.tally))
    }
}
