//! Percentiles of latency over a rolling time: sketches that merge, with a relative error of 1 %. Pure.
use sketches_ddsketch::{Config, DDSketch};
use std::collections::VecDeque;

/// How far a percentile may be off, as a share of itself.
pub const RELATIVE_ERROR: f64 = 0.01;
/// Bins from one millisecond on: the last one is beyond nine days, so that none is ever folded into another.
const BINS_MAX: u32 = 1_024;
const SHORTEST_MS: f64 = 0.5;
/// The longest latency that is told apart.
const LONGEST_MS: u64 = 7 * 24 * 3_600_000;
const PER_MILLE: u64 = 1_000;

/// Latencies in whole milliseconds. Merged in whatever order, sketches of the same latencies are the same.
#[derive(Clone)]
pub struct Sketch(DDSketch);

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sketch({} latencies)", self.0.count())
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self(DDSketch::new(Config::new(RELATIVE_ERROR, BINS_MAX, SHORTEST_MS)))
    }
}

impl Sketch {
    /// Takes a latency in.
    pub fn note(&mut self, latency_ms: u64) {
        // milliseconds this few are exact in a float, and so is their sum
        self.0.add(latency_ms.min(LONGEST_MS) as f64);
    }

    /// Takes all latencies of another one in.
    pub fn merge(&mut self, other: &Self) {
        // every sketch here has the same bins, and that is all that could be wrong
        let _same_bins = self.0.merge(&other.0);
    }

    /// How many latencies.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.0.count()).unwrap_or(u64::MAX)
    }

    /// The nearest-rank percentile in milliseconds, by thousandths; `None` where there is nothing.
    #[must_use]
    pub fn percentile_ms(&self, per_mille: u64) -> Option<f64> {
        let count = self.count();
        let rank = count.saturating_mul(per_mille).div_ceil(PER_MILLE).checked_sub(1)?;
        let last = count.saturating_sub(1);
        // the middle of the rank: the crate takes the whole part of `share · (count − 1)`
        let share = if rank >= last { 1.0 } else { (rank as f64 + 0.5) / last as f64 };
        self.0.quantile(share).ok().flatten()
    }

    /// A form in which equal sketches are equal bytes.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        self.0.to_java_bytes()
    }
}

/// Sketches of the last so many slots. What is kept is bounded by their number.
#[derive(Clone, Debug)]
pub struct Latencies {
    slot_ms: u64,
    slots: u64,
    kept: VecDeque<(u64, Sketch)>,
}

impl Latencies {
    /// An empty window of so many slots of so many milliseconds.
    #[must_use]
    pub fn new(slot_ms: u64, slots: u64) -> Self {
        Self { slot_ms: slot_ms.max(1), slots: slots.max(1), kept: VecDeque::new() }
    }

    /// Takes a latency in.
    pub fn note(&mut self, latency_ms: u64, now_unix_ms: u64) {
        self.pass(now_unix_ms);
        let number = now_unix_ms / self.slot_ms;
        if self.kept.back().is_none_or(|(newest, _)| *newest < number) {
            self.kept.push_back((number, Sketch::default()));
        }
        if let Some((_, sketch)) = self.kept.back_mut() {
            sketch.note(latency_ms);
        }
    }

    /// Forgets what lies before the window.
    pub fn pass(&mut self, now_unix_ms: u64) {
        let number = now_unix_ms / self.slot_ms;
        while self.kept.front().is_some_and(|(oldest, _)| oldest.saturating_add(self.slots) <= number) {
            self.kept.pop_front();
        }
    }

    /// All of the window.
    #[must_use]
    pub fn merged(&self) -> Sketch {
        let mut all = Sketch::default();
        self.kept.iter().for_each(|(_, sketch)| all.merge(sketch));
        all
    }
}
