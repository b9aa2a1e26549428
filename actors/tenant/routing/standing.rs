//! Which model goes first (specification 2.4, `selectModel`): the primary, unless it misses the service level of
//! `router.yaml` and the fallback does not. Pure.
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::schema::Sla;
use std::collections::{BTreeMap, VecDeque};

/// Calls of one model that are remembered.
const CALLS_KEPT: usize = 64;
/// Calls below which nothing is said about a model.
pub const CALLS_JUDGED_MIN: usize = 20;
/// How long a model that missed its level stands back; then it is judged anew.
pub const STANDS_BACK_MS: u64 = 60_000;
const ANSWERS: u64 = 1_000;

/// How one call went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Called {
    /// From the call to its end.
    pub latency_ms: u64,
    /// It failed, or broke off.
    pub failed: bool,
    /// What it cost.
    pub cost: NanoUsd,
}

/// A model as routes name it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ModelKey {
    /// Provider.
    pub provider: String,
    /// Model.
    pub model: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Record {
    calls: VecDeque<Called>,
    stands_back_until_unix_ms: u64,
}

/// How this tenant's models did lately, by the tenant's own calls.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standings(BTreeMap<ModelKey, Record>);

impl Standings {
    /// Notes a call.
    pub fn note(&mut self, model: ModelKey, called: Called) {
        let record = self.0.entry(model).or_default();
        record.calls.push_back(called);
        if record.calls.len() > CALLS_KEPT {
            record.calls.pop_front();
        }
    }

    /// The models in the order they should be called in: those that stand back behind the others. Where all would stand
    /// back, the order is the router's.
    pub fn order(&mut self, models: &[ModelKey], sla: &Sla, now_unix_ms: u64) -> Vec<usize> {
        let stands_back: Vec<bool> = models.iter().map(|model| self.stands_back(model, sla, now_unix_ms)).collect();
        let mut order: Vec<usize> = (0..models.len()).collect();
        if !stands_back.iter().all(|back| *back) {
            order.sort_by_key(|index| stands_back.get(*index).copied().unwrap_or(false));
        }
        order
    }

    fn stands_back(&mut self, model: &ModelKey, sla: &Sla, now_unix_ms: u64) -> bool {
        let Some(record) = self.0.get_mut(model) else { return false };
        if now_unix_ms < record.stands_back_until_unix_ms {
            return true;
        }
        let misses = misses(&record.calls, sla);
        if misses {
            record.stands_back_until_unix_ms = now_unix_ms.saturating_add(STANDS_BACK_MS);
            // what is known is used up: after its time the model starts anew
            record.calls.clear();
        }
        misses
    }
}

/// Whether the calls miss the level: the 95th percentile of latency, the share of failures, or the cost of a thousand.
fn misses(calls: &VecDeque<Called>, sla: &Sla) -> bool {
    if calls.len() < CALLS_JUDGED_MIN {
        return false;
    }
    let mut latencies: Vec<u64> = calls.iter().map(|called| called.latency_ms).collect();
    latencies.sort_unstable();
    // nearest rank, as percentiles of few values are read
    let rank = (latencies.len() * 95).div_ceil(100).saturating_sub(1);
    let is_slow = latencies.get(rank).is_some_and(|p95_ms| *p95_ms > sla.p95_latency_ms);
    let failed = calls.iter().filter(|called| called.failed).count();
    #[expect(clippy::cast_precision_loss, reason = "counts of at most 64 calls")]
    let is_failing = failed as f64 > sla.error_rate_max * calls.len() as f64;
    let cost = calls.iter().fold(NanoUsd::ZERO, |sum, called| sum.saturating_add(called.cost));
    let count = u64::try_from(calls.len()).unwrap_or(u64::MAX);
    let is_dear = cost.saturating_times(ANSWERS) > sla.cost_per_1k_qa_usd.saturating_times(count);
    is_slow || is_failing || is_dear
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLA: Sla = Sla { p95_latency_ms: 100, error_rate_max: 0.1, cost_per_1k_qa_usd: NanoUsd(5_000) };
    const GOOD: Called = Called { latency_ms: 100, failed: false, cost: NanoUsd(5) };

    fn model(name: &str) -> ModelKey {
        ModelKey { provider: "p".into(), model: name.into() }
    }

    fn models() -> [ModelKey; 2] {
        [model("primary"), model("fallback")]
    }

    fn after(calls: &[(usize, Called)]) -> Standings {
        let mut standings = Standings::default();
        for (times, called) in calls {
            (0..*times).for_each(|_| standings.note(model("primary"), *called));
        }
        standings
    }

    #[test]
    fn a_model_that_keeps_its_level_goes_first() {
        assert_eq!(after(&[(64, GOOD)]).order(&models(), &SLA, 0), [0, 1]);
        assert_eq!(Standings::default().order(&models(), &SLA, 0), [0, 1], "nothing is known");
    }

    #[test]
    fn each_part_of_the_level_counts() {
        let slow = Called { latency_ms: 101, ..GOOD };
        let failed = Called { failed: true, ..GOOD };
        let dear = Called { cost: NanoUsd(6), ..GOOD };
        for (few, called) in [(3, slow), (6, failed)] {
            assert_eq!(after(&[(60, GOOD), (few, called)]).order(&models(), &SLA, 0), [0, 1], "{few} of 60 {called:?}");
        }
        for (many, called) in [(4, slow), (7, failed), (64, dear)] {
            assert_eq!(
                after(&[(60, GOOD), (many, called)]).order(&models(), &SLA, 0),
                [1, 0],
                "{many} of 64 {called:?}"
            );
        }
        let judged = CALLS_JUDGED_MIN - 1;
        assert_eq!(after(&[(judged, slow)]).order(&models(), &SLA, 0), [0, 1], "too few to be judged by");
    }

    #[test]
    fn who_stood_back_is_judged_anew_and_does_not_flap() {
        let slow = Called { latency_ms: 500, ..GOOD };
        let mut standings = after(&[(20, slow)]);
        assert_eq!(standings.order(&models(), &SLA, 0), [1, 0]);
        (0..64).for_each(|_| standings.note(model("primary"), GOOD));
        assert_eq!(standings.order(&models(), &SLA, STANDS_BACK_MS - 1), [1, 0], "good calls do not end it early");
        assert_eq!(standings.order(&models(), &SLA, STANDS_BACK_MS), [0, 1]);
    }

    #[test]
    fn where_all_miss_the_router_decides() {
        let slow = Called { latency_ms: 500, ..GOOD };
        let mut standings = after(&[(20, slow)]);
        (0..20).for_each(|_| standings.note(model("fallback"), slow));
        assert_eq!(standings.order(&models(), &SLA, 0), [0, 1]);
    }
}
