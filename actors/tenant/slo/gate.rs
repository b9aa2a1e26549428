//! Whether failures are more than chance: evidence that may be looked at after every event. Pure.
//!
//! A burn rate alone pages for one failure of ten requests. The gate is an e-process against "at most a share `p0` of the
//! requests fails": the likelihood ratio of a greater share `p1` to `p0`, begun anew in every slot of a period and mixed.
//!
//! `S ← S·L(x)` at every event and `S ← S + w` at every new slot, the weights of one period summing to 1. Where at most `p0`
//! fail, each `L` has a mean of at most 1 given the past, so `S` plus the weights still to come is a supermartingale that
//! begins at 1; by Ville's inequality `S` reaches `1/α` within the period with probability at most `α`, however often it is
//! looked at. Weight that is not given, a ceiling for `S` and forgetting it only make it smaller. What it assumes is that
//! requests fail independently: failures that come in bursts are more than chance, and are meant to be found.
use serde::{Deserialize, Serialize};

/// The period in which the probability of a false alarm is bounded: that of the error budget.
pub const PERIOD_MS: u64 = 30 * 24 * 3_600_000;
/// A new start is mixed in so often.
pub const START_MS: u64 = 10_000;
/// The probability of any alarm within a period of a service that is exactly at its objective …
pub const FALSE_ALARM: f64 = 0.01;
/// … and the part of it each of this many alarms has.
pub const ALARMS: u32 = 3;
/// Evidence beyond this many times what is asked for is not kept: a service that has recovered is believed soon.
const CEILING: f64 = 1_000.0;
/// An objective that allows nothing is read as one failure in a million requests.
pub const ALLOWED_PPM_MIN: u64 = 1;
const MILLION: f64 = 1_000_000.0;
const STARTS: f64 = (PERIOD_MS / START_MS) as f64;

/// Evidence that an alarm opens for.
#[must_use]
pub fn evidence_needed() -> f64 {
    f64::from(ALARMS) / FALSE_ALARM
}

/// The evidence of one alarm.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Gate {
    if_bad: f64,
    if_good: f64,
    evidence: f64,
    start: Option<u64>,
}

impl Gate {
    /// Evidence for a share of `worse_ppm` against one of `allowed_ppm`, in parts of a million.
    #[must_use]
    pub fn new(worse_ppm: u64, allowed_ppm: u64) -> Self {
        let share = |ppm: u64| (ppm.min(999_999) as f64) / MILLION;
        let allowed = share(allowed_ppm.max(ALLOWED_PPM_MIN));
        let worse = share(worse_ppm.max(allowed_ppm.max(ALLOWED_PPM_MIN))).max(allowed);
        Self { if_bad: worse / allowed, if_good: (1.0 - worse) / (1.0 - allowed), evidence: 0.0, start: None }
    }

    /// Mixes in the starts of the time that went by. What was before the period under way is forgotten.
    pub fn pass(&mut self, now_unix_ms: u64) {
        let start = now_unix_ms / START_MS;
        let period = |start: u64| start.saturating_mul(START_MS) / PERIOD_MS;
        let fresh = match self.start {
            Some(before) if before >= start => return,
            Some(before) if period(before) == period(start) => start.saturating_sub(before),
            // of a period that began unseen no more starts are given than are left of it: those before this process are used up
            None => 1,
            Some(_) => {
                self.evidence = 0.0;
                start.saturating_sub(period(start).saturating_mul(PERIOD_MS / START_MS)).saturating_add(1)
            }
        };
        self.start = Some(start);
        self.evidence += fresh as f64 / STARTS;
    }

    /// Weighs events; those of one call all ended alike.
    pub fn weigh(&mut self, good: u64, bad: u64) {
        let power = |base: f64, times: u64| match times {
            0 => 1.0,
            1 => base,
            _ => base.powf(times as f64),
        };
        let weighed = self.evidence * power(self.if_good, good) * power(self.if_bad, bad);
        self.evidence = weighed.min(CEILING * evidence_needed());
    }

    /// Whether chance alone would hardly come to this.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.evidence >= evidence_needed()
    }

    /// Forgets what was seen.
    pub fn forget(&mut self) {
        self.evidence = 0.0;
    }
}
