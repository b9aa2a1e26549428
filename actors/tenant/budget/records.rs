//! What stands in the journal of money held, lost and found again.
use super::accounts::Spender;
use bailiwick_kernel::money::NanoUsd;
use serde::{Deserialize, Serialize};

/// Money held for one call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldTaken {
    /// Which call.
    pub query_id: String,
    /// How much.
    pub amount: NanoUsd,
    /// Whose.
    pub spender: Spender,
    /// When the call was admitted: the time whose windows hold for it.
    pub admitted_unix_ms: u64,
}

/// The end of a hold that had a record of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldClosed {
    /// Which call.
    pub query_id: String,
    /// Nothing where no provider was paid; all of it where a crash left that unknown. Counts as spent.
    pub unreconciled: NanoUsd,
    /// Whose.
    pub spender: Spender,
    /// When the call was admitted.
    pub admitted_unix_ms: u64,
    /// When it was closed.
    pub at_unix_ms: u64,
}

/// An amount counted as spent because nobody knew.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lump {
    /// How much.
    pub amount: NanoUsd,
    /// Whose; nobody's below the tenant where a block was lost as a whole.
    pub spender: Spender,
    /// The time whose windows it was booked to.
    pub at_unix_ms: u64,
}

/// Lumps in one record, with the longest names.
const LUMPS_PER_RECORD: usize = 8;

/// The outcome of a comparison with the providers' statements.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reconciled {
    /// What was open, oldest first.
    pub lumps: Vec<Lump>,
    /// What the providers really charged beyond the recorded answers.
    pub charged: NanoUsd,
    /// By whose key.
    pub by: String,
    /// When.
    pub at_unix_ms: u64,
}

impl Reconciled {
    /// What is released of each lump: the charge is borne by the oldest.
    pub fn releases(&self) -> impl Iterator<Item = (&Lump, NanoUsd)> {
        let mut left = self.charged;
        self.lumps.iter().map(move |lump| {
            let kept = left.min(lump.amount);
            left = left.saturating_sub(kept);
            (lump, lump.amount.saturating_sub(kept))
        })
    }

    /// The same in portions that fit a record; the last one bears what was charged beyond.
    #[must_use]
    pub fn portions(&self) -> Vec<Self> {
        let mut left = self.charged;
        let portions = self.lumps.chunks(LUMPS_PER_RECORD);
        let last = portions.len().saturating_sub(1);
        let portion = |(index, lumps): (usize, &[Lump])| {
            let open = lumps.iter().fold(NanoUsd::ZERO, |sum, lump| sum.saturating_add(lump.amount));
            let charged = if index == last { left } else { left.min(open) };
            left = left.saturating_sub(charged);
            Self { lumps: lumps.to_vec(), charged, by: self.by.clone(), at_unix_ms: self.at_unix_ms }
        };
        portions.enumerate().map(portion).collect()
    }

    /// What was charged above everything that was open.
    #[must_use]
    pub fn beyond(&self) -> NanoUsd {
        self.lumps.iter().fold(self.charged, |left, lump| left.saturating_sub(lump.amount))
    }
}

/// An approval of spending beyond the circuit breaker's threshold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SpendingApproved {
    /// By whose key.
    pub by: String,
    /// Until when it holds.
    pub until_unix_ms: u64,
    /// When.
    pub at_unix_ms: u64,
}
