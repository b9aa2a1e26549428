//! What is counted of a tenant's questions, by UTC day: how each ended, and how far what was cited is trusted. Integers, a
//! fixed size a day, and only as many days as are compared.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days that are judged, the present one included.
pub const RECENT_DAYS: u64 = 7;
/// Days before them that they are held against.
pub const REFERENCE_DAYS: u64 = 28;
/// Cells of a day: refused, abstained, without a citation, and trust of what is cited in twentieths.
pub const CELLS: usize = 3 + TRUST_CELLS;

const TRUST_CELLS: usize = 20;
/// Trust and quality are added up in ten-thousandths.
const WHOLE: f64 = 10_000.0;

/// How a question ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Ended {
    /// The tenant's policy refused it.
    Refused,
    /// The documents bear no answer.
    Abstained,
    /// Answered, citing nothing.
    Uncited,
    /// Answered, citing passages of this trust on average, 0 to 1.
    Cited(f64),
}

impl Ended {
    /// In which cell it counts: the worst first.
    fn cell(self) -> usize {
        match self {
            Self::Refused => 0,
            Self::Abstained => 1,
            Self::Uncited => 2,
            // the last cell holds a trust of one as well
            Self::Cited(trust) => 3 + (scaled(trust) * TRUST_CELLS / scaled(1.0)).min(TRUST_CELLS - 1),
        }
    }

    /// What the answer was worth: the trust of what it cites, nothing where it cites nothing. A refusal says nothing of it.
    fn quality(self) -> Option<f64> {
        match self {
            Self::Refused => None,
            Self::Abstained | Self::Uncited => Some(0.0),
            Self::Cited(trust) => Some(trust),
        }
    }
}

/// Ten-thousandths of a share.
fn scaled(share: f64) -> usize {
    let whole = if share.is_finite() { (share.clamp(0.0, 1.0) * WHOLE).round() } else { 0.0 };
    // at most ten thousand, and never below zero
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 ..= 10,000")]
    let whole = whole as usize;
    whole
}

/// Number, sum and sum of squares of shares, in ten-thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Moments {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The sum of their squares.
    pub squares: u64,
}

impl Moments {
    /// Takes one share in.
    pub fn note(&mut self, share: f64) {
        let scaled = u64::try_from(scaled(share)).unwrap_or(0);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(scaled);
        self.squares = self.squares.saturating_add(scaled.saturating_mul(scaled));
    }

    /// Their mean, 0 to 1; nothing where there is none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| as_f64(self.sum) / as_f64(self.count) / WHOLE)
    }

    /// Sum and sum of squares as shares.
    #[must_use]
    pub fn sums(&self) -> (f64, f64) {
        (as_f64(self.sum) / WHOLE, as_f64(self.squares) / (WHOLE * WHOLE))
    }
}

/// A count as a float: exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of one tenant's five weeks")]
#[must_use]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// How often each cell was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Cells(pub [u32; CELLS]);

impl Cells {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }
}

/// One day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Day {
    /// How its questions ended.
    pub cells: Cells,
    /// What its answers and abstentions were worth.
    pub quality: Moments,
    /// Trust of every passage that was cited.
    pub trust: Moments,
}

impl Day {
    /// Counts a question.
    pub fn note(&mut self, ended: Ended) {
        if let Some(cell) = self.cells.0.get_mut(ended.cell()) {
            *cell = cell.saturating_add(1);
        }
        if let Some(quality) = ended.quality() {
            self.quality.note(quality);
        }
    }
}

/// The days that are kept.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Days(BTreeMap<u64, Day>);

impl Days {
    /// A day (since the epoch, UTC), to count something of it; nothing where it is forgotten already.
    pub fn at(&mut self, day: u64) -> Option<&mut Day> {
        let kept = usize::try_from(RECENT_DAYS + REFERENCE_DAYS).unwrap_or(usize::MAX);
        self.0.entry(day).or_default();
        while self.0.len() > kept {
            self.0.pop_first();
        }
        self.0.get_mut(&day)
    }

    /// The days that are judged and those before them, today being this day. Days without a question are not among them.
    #[must_use]
    pub fn split(&self, today: u64) -> (Vec<Day>, Vec<Day>) {
        let recent = today.saturating_sub(RECENT_DAYS - 1);
        let reference = recent.saturating_sub(REFERENCE_DAYS);
        let of = |from: u64, to: u64| self.0.range(from..to.max(from)).map(|(_, day)| *day).collect();
        (of(recent, today.saturating_add(1)), of(reference, recent))
    }
}
