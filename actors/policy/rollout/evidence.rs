//! What a rollout has seen, and how strongly it speaks: two e-processes over blocks of requests.
use super::Arm;
use serde::{Deserialize, Serialize};

/// Requests of a block. Longer ones cost fewer comparisons and tell later: of what two arms can tell, twenty keep 95 %.
const BLOCK: u64 = 20;
/// By how much worse a worse version may be, as odds ratios of failing: one bet each, with equal money. Between them
/// the growth of a bet is nearly that of the best one (a discrete mixture, Robbins 1970).
const ODDS: [f64; 5] = [1.6, 2.7, 5.0, 12.0, 40.0];
/// Logarithms are kept as whole billionths, rounded down: exact in every encoding, never NaN, never optimistic.
const PER_NAT: f64 = 1e9;
/// The failure rate nobody has seen yet: half a failure in twenty-five requests, and soon outweighed.
const PRIOR: (f64, f64) = (0.5, 25.0);

/// Requests of one arm, and how many of them failed. Both stop at 2^64 − 1.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Tally {
    /// Requests with a known outcome.
    pub requests: u64,
    /// Those that failed; what a failure is, the caller says, in the same way for both arms.
    pub failures: u64,
}

/// Harm that must be excluded before a stage opens: a canary that fails in at least `points + factor × control` of its
/// requests. A line, because the excluded set must be convex for the test to hold; it allows a rare failure to become
/// less rare, and a frequent one not much more frequent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margin {
    /// Failures in a million requests, above those of the control; read as within 1 to 900 000.
    pub points_ppm: u32,
    /// Share of the control's failures, in percent; read as within 100 to 1000.
    pub factor_percent: u32,
}

impl Default for Margin {
    /// Two requests in a hundred and half as many again: a control of 1 % excludes a canary of 3.5 %.
    fn default() -> Self {
        Self { points_ppm: 20_000, factor_percent: 150 }
    }
}

/// Counts of both arms, and their e-values. Requests are taken in blocks of twenty as they come; whoever is in which arm,
/// a block is only read when it is full.
///
/// **Worse** is bet on twice, and both must say so: each bet is fair under an assumption the other does without. Of `k`
/// failures in a block of `n` requests, `m` of them canary, `j` are the canary's; ω is an odds ratio above 1.
///
/// * *By requests* pays `ω^j / E[ω^J]`, `J` hypergeometric(n, m, k): given `k`, and whoever is in which arm, every `k` of
///   the requests are equally likely to be the failed ones where requests fail independently and equally often, at any
///   rate. Where the canary fails less often, `J` is stochastically smaller (Fisher's noncentral law): the bet loses.
/// * *By share* pays `ω^j / (1 + s(ω − 1))^k`, `s` the stage's share of conversations: where no two failures are of one
///   conversation and the version changes nothing, each is the canary's with probability `s`, independently, since the
///   arm is drawn by a hash that knows nothing of failures; in whatever bursts they come, however long conversations are.
///
/// Each payoff has a mean of at most 1 given the blocks before, so the products over blocks are test supermartingales,
/// and so is their mixture over ω; by Ville's inequality it ever reaches 1/α with probability at most α.
///
/// **Harmless** is the block e-variable of Turner and Grünwald (arXiv:2106.02693, 2203.09785) against the half-plane
/// `H = {canary ≥ points + factor × control}`: likelihood at θ over likelihood at θ°, where θ is both arms failing as
/// often as seen before the block and θ° the nearest point of `H` by divergence. Per request `E[S] = 1 + d·x ≤ exp(d·x)`
/// with `d = θ − θ°`, `x = (q − θ°)/(θ°(1 − θ°))` and `q` the true rate; over the block `Σ d·x ≤ 0` for every `q` in `H`,
/// which is what "nearest" means for a convex set. So `E[S] ≤ 1`, and Ville bounds a wrong "harmless" at any time.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Evidence {
    total: Arms,
    stage: Arms,
    block: Arms,
    worse_by_requests: Bets,
    worse_by_share: Bets,
    harmless: i64,
}

/// One logarithm for each of [`ODDS`].
type Bets = [i64; ODDS.len()];

impl Evidence {
    /// Takes one outcome of a stage that serves `percent` of the conversations, and reads the block when it is full. True
    /// where the e-values are new.
    pub(super) fn record(&mut self, arm: Arm, failed: bool, percent: u32, margin: Margin) -> bool {
        for arms in [&mut self.total, &mut self.stage, &mut self.block] {
            arms.count(arm, failed);
        }
        if self.block.requests() < BLOCK {
            return false;
        }
        let block = std::mem::take(&mut self.block);
        // only a state that was not written by this code
        if block.requests() > BLOCK {
            return false;
        }
        let share = f64::from(percent.min(100)) / 100.0;
        if block.failures() > 0 {
            place_bets(&mut self.worse_by_requests, |odds| by_requests(&block, odds));
            place_bets(&mut self.worse_by_share, |odds| by_share(&block, odds, share));
        }
        if block.control.requests > 0 && block.canary.requests > 0 {
            // the block itself is not among what was seen before it: a bet is placed before the outcome
            let rate = expected_rate(&self.total, &block);
            self.harmless = self.harmless.saturating_add(billionths(harmless(&block, rate, margin)));
        }
        true
    }

    /// Begins a stage. The requests of the unfinished block are dropped: they were drawn with other shares than those that
    /// would follow.
    pub(super) fn begin_stage(&mut self) {
        self.stage = Arms::default();
        self.block = Arms::default();
        self.harmless = 0;
    }

    /// Natural logarithm of the e-value against "the canary fails no more often than the control", of the whole
    /// rollout: the lesser of the two.
    #[must_use]
    pub fn ln_worse(&self) -> f64 {
        ln_mixture(&self.worse_by_requests).min(ln_mixture(&self.worse_by_share))
    }

    /// Natural logarithm of the e-value against "the canary does harm beyond the margin", of this stage.
    #[must_use]
    pub fn ln_harmless(&self) -> f64 {
        self.harmless as f64 / PER_NAT
    }

    /// True where every request seen has been weighed: a moment to keep what is known.
    #[must_use]
    pub fn is_weighed(&self) -> bool {
        self.block.requests() == 0
    }

    /// All of an arm.
    #[must_use]
    pub fn total(&self, arm: Arm) -> Tally {
        self.total.of(arm)
    }

    /// An arm's part in this stage.
    #[must_use]
    pub fn in_stage(&self, arm: Arm) -> Tally {
        self.stage.of(arm)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(super) struct Arms {
    pub(super) control: Tally,
    pub(super) canary: Tally,
}

impl Arms {
    fn count(&mut self, arm: Arm, failed: bool) {
        let tally = match arm {
            Arm::Control => &mut self.control,
            Arm::Canary => &mut self.canary,
        };
        // a full tally keeps its rate instead of drifting towards failures only
        if tally.requests < u64::MAX {
            tally.requests += 1;
            tally.failures = tally.failures.saturating_add(u64::from(failed));
        }
    }

    fn of(&self, arm: Arm) -> Tally {
        match arm {
            Arm::Control => self.control,
            Arm::Canary => self.canary,
        }
    }

    fn requests(&self) -> u64 {
        self.control.requests.saturating_add(self.canary.requests)
    }

    fn failures(&self) -> u64 {
        self.control.failures.saturating_add(self.canary.failures)
    }
}

fn billionths(nats: f64) -> i64 {
    (nats * PER_NAT).floor() as i64
}

fn place_bets(bets: &mut Bets, payoff: impl Fn(f64) -> f64) {
    for (sum, odds) in bets.iter_mut().zip(ODDS) {
        *sum = sum.saturating_add(billionths(payoff(odds)));
    }
}

fn ln_mixture(bets: &Bets) -> f64 {
    let highest = bets.iter().copied().max().unwrap_or(0) as f64 / PER_NAT;
    let sum: f64 = bets.iter().map(|bet| (*bet as f64 / PER_NAT - highest).exp()).sum();
    highest + (sum / ODDS.len() as f64).ln()
}

pub(super) fn by_share(block: &Arms, odds: f64, share: f64) -> f64 {
    block.canary.failures as f64 * odds.ln() - block.failures() as f64 * (1.0 + share * (odds - 1.0)).ln()
}

pub(super) fn by_requests(block: &Arms, odds: f64) -> f64 {
    let (control, canary, failures) = (block.control.requests, block.canary.requests, block.failures());
    let mut fair = choose(control, failures);
    let mut weighted = fair;
    let mut power = 1.0;
    for hits in 1..=failures.min(canary) {
        let ways = choose(canary, hits) * choose(control, failures - hits);
        power *= odds;
        fair += ways;
        weighted += ways * power;
    }
    block.canary.failures as f64 * odds.ln() + (fair / weighted).ln()
}

pub(super) fn choose(all: u64, some: u64) -> f64 {
    if some > all {
        return 0.0;
    }
    (0..some.min(all - some)).fold(1.0, |ways, taken| ways * (all - taken) as f64 / (taken + 1) as f64)
}

fn expected_rate(total: &Arms, block: &Arms) -> f64 {
    let failures = total.failures().saturating_sub(block.failures()) as f64;
    let requests = total.requests().saturating_sub(block.requests()) as f64;
    (failures + PRIOR.0) / (requests.max(failures) + PRIOR.1)
}

/// The block e-variable against harm, as a logarithm.
pub(super) fn harmless(block: &Arms, rate: f64, margin: Margin) -> f64 {
    let points = f64::from(margin.points_ppm.clamp(1, 900_000)) / 1e6;
    let factor = f64::from(margin.factor_percent.clamp(100, 1000)) / 100.0;
    let (control, canary) = (block.control.requests as f64, block.canary.requests as f64);
    let slope = |at: f64| (at - rate) / (at * (1.0 - at));
    // the nearest point is on the edge of the half-plane, below `rate`: there the divergence still falls at the left end
    // and rises at the right one
    let (mut low, mut high) = (0.0, rate.min((1.0 - points) / factor));
    for _ in 0..48 {
        let middle = (low + high) / 2.0;
        if control * slope(middle) + canary * factor * slope(points + factor * middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let nearest = (low + high) / 2.0;
    let sum = log_ratio(block.control, rate, nearest) + log_ratio(block.canary, rate, points + factor * nearest);
    // an outage makes both arms alike without saying anything for the canary; less than an e-variable is one, too
    if block.failures().saturating_mul(2) > block.requests() { sum.min(0.0) } else { sum }
}

fn log_ratio(tally: Tally, rate: f64, other: f64) -> f64 {
    let successes = tally.requests.saturating_sub(tally.failures) as f64;
    tally.failures as f64 * (rate / other).ln() + successes * ((1.0 - rate) / (1.0 - other)).ln()
}
