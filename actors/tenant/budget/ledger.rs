//! The ledger: what the journal says was spent, by day and month (UTC). A pure fold over entries.
use crate::entry::Entry;
use bailiwick_kernel::money::NanoUsd;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const DAY_MS: u64 = 86_400_000;
/// Days kept for views; months are kept for ever (twelve small rows a year).
const DAYS_KEPT: usize = 62;

/// What one tenant spent, folded from its journal. The window is part of the key: a late record lands in its own
/// window and cannot touch another.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Spent by UTC day (days since the epoch).
    pub by_day: BTreeMap<u64, NanoUsd>,
    /// Spent by UTC month (year × 12 + month − 1).
    pub by_month: BTreeMap<u64, NanoUsd>,
    /// Counted as spent after crashes, until reconciled.
    pub unreconciled: NanoUsd,
    /// Charged above the hold.
    pub overrun: NanoUsd,
    /// The escrow block outstanding.
    pub escrow: NanoUsd,
}

/// The UTC day of a time.
#[must_use]
pub fn day_of(unix_ms: u64) -> u64 {
    unix_ms / DAY_MS
}

/// The UTC month of a time.
#[must_use]
pub fn month_of(unix_ms: u64) -> u64 {
    let timestamp = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let date = timestamp.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned(jiff::tz::TimeZone::UTC).date();
    u64::try_from(i64::from(date.year()) * 12 + i64::from(date.month()) - 1).unwrap_or(0)
}

impl Ledger {
    /// Books an amount into the windows of its time.
    pub fn book(&mut self, amount: NanoUsd, at_unix_ms: u64) {
        if amount == NanoUsd::ZERO {
            return;
        }
        for (window, key) in [(&mut self.by_day, day_of(at_unix_ms)), (&mut self.by_month, month_of(at_unix_ms))] {
            let booked = window.entry(key).or_default();
            *booked = booked.saturating_add(amount);
        }
        while self.by_day.len() > DAYS_KEPT {
            self.by_day.pop_first();
        }
    }

    /// Folds one entry in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::AnswerRecorded(answer) => {
                self.book(answer.usage.cost, answer.cleared_unix_ms);
                self.overrun = self.overrun.saturating_add(answer.overrun);
            }
            Entry::EscrowTaken { block, .. } => self.escrow = *block,
            Entry::EscrowReturned { .. } => self.escrow = NanoUsd::ZERO,
            Entry::Unreconciled { amount, at_unix_ms } => {
                self.book(*amount, *at_unix_ms);
                self.unreconciled = self.unreconciled.saturating_add(*amount);
                self.escrow = NanoUsd::ZERO;
            }
            Entry::DocumentAccepted(_)
            | Entry::AnswerContinued { .. }
            | Entry::AnswerCited(_)
            | Entry::DocumentRemoved { .. }
            | Entry::Refused { .. }
            | Entry::FeedbackGiven(_)
            | Entry::ReplyKept(_)
            | Entry::ReplyContinued { .. }
            | Entry::PolicyAdopted { .. } => {}
        }
    }

    /// Spent in the day of the given time.
    #[must_use]
    pub fn spent_day(&self, now_unix_ms: u64) -> NanoUsd {
        self.by_day.get(&day_of(now_unix_ms)).copied().unwrap_or_default()
    }

    /// Spent in the month of the given time.
    #[must_use]
    pub fn spent_month(&self, now_unix_ms: u64) -> NanoUsd {
        self.by_month.get(&month_of(now_unix_ms)).copied().unwrap_or_default()
    }
}
