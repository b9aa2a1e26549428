//! Latency of answers since the rooms were built: the last thousand, exact percentiles.
use crate::supervisor::messages::LatencyFigures;
use std::collections::VecDeque;

const KEPT: usize = 1_024;

/// The last latencies in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    recent_ms: VecDeque<u64>,
    count: u64,
}

impl Latencies {
    pub(super) fn record(&mut self, latency_ms: u64) {
        self.count = self.count.saturating_add(1);
        if self.recent_ms.len() == KEPT {
            self.recent_ms.pop_front();
        }
        self.recent_ms.push_back(latency_ms);
    }

    pub(super) fn figures(&self) -> LatencyFigures {
        let mut sorted: Vec<u64> = self.recent_ms.iter().copied().collect();
        sorted.sort_unstable();
        let at = |per_mille: usize| {
            let rank = (sorted.len().saturating_mul(per_mille)).div_ceil(1_000).saturating_sub(1);
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a request are far below 2^52")]
            sorted.get(rank).map_or(0.0, |ms| *ms as f64)
        };
        LatencyFigures { count: self.count, p50_ms: at(500), p95_ms: at(950), p99_ms: at(990) }
    }
}
