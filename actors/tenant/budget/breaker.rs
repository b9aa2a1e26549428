//! The budget's circuit breaker (specification 2.4): acts from a share of the budget on, and stops acting only well below
//! it. It looks at what was spent, not at what is held, so that it goes over at most once per crossing. Pure.
use super::counters::Bound;
use super::hold::Candidate;
use crate::catalog::{EXTRACTIVE, Price};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::schema::{BreakerAction, BudgetBreaker, Route};
use serde::{Deserialize, Serialize};

const MILLION: u128 = 1_000_000;
const PERCENT_PPM: u64 = 10_000;

/// Whether it acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls pass as routed.
    #[default]
    Closed,
    /// The action of `router.yaml` is taken.
    Open,
}

/// The breaker of one tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Breaker {
    state: BreakerState,
    switches: u64,
}

/// The share of its budget a tenant has spent, in parts of a million: that of the fullest window.
#[must_use]
pub fn used_ppm(tenants: &[Bound]) -> u64 {
    let share = |bound: &Bound| {
        let limit = bound.limit?;
        let spent = u128::from(bound.counter.posted.money.0).saturating_mul(MILLION);
        // a limit of nothing is used up
        Some(spent.checked_div(u128::from(limit.0)).unwrap_or(MILLION))
    };
    let fullest = tenants.iter().filter_map(share).max().unwrap_or(0);
    u64::try_from(fullest).unwrap_or(u64::MAX)
}

impl Breaker {
    /// Looks at the share used and says whether the breaker acts now.
    pub fn judge(&mut self, rule: &BudgetBreaker, used_ppm: u64) -> BreakerState {
        let (opens, closes) = rule.opens_and_closes_ppm();
        let state = match self.state {
            BreakerState::Closed if used_ppm >= opens => BreakerState::Open,
            BreakerState::Open if used_ppm < closes => BreakerState::Closed,
            same => same,
        };
        if state != self.state {
            self.switches = self.switches.saturating_add(1);
        }
        self.state = state;
        state
    }

    /// How often it went over since the rooms were built.
    #[must_use]
    pub fn switches(&self) -> u64 {
        self.switches
    }
}

/// What a call may still use while the breaker acts. `is_grounded`: a question from documents, which the embedded provider
/// can answer.
///
/// # Errors
/// `budget_exceeded` where the action leaves nothing to be called.
pub fn restrict(
    action: BreakerAction,
    candidates: Vec<Candidate>,
    fallback: Option<Candidate>,
    is_grounded: bool,
    used_ppm: u64,
) -> Result<Vec<Candidate>, Rejection> {
    match action {
        BreakerAction::DowngradeToFallback => {
            let answers = candidates.first().map_or(1, |candidate| candidate.answers);
            let kept: Vec<_> = candidates.into_iter().filter(|candidate| candidate.fallback).collect();
            if !kept.is_empty() {
                return Ok(kept);
            }
            // a call that names another model is downgraded all the same; words cannot be embedded by a sentence picker
            let fallback = fallback.filter(|fallback| is_grounded || fallback.route.provider != EXTRACTIVE);
            fallback
                .map(|fallback| vec![Candidate { answers, ..fallback }])
                .ok_or_else(|| stopped(used_ppm, "and no fallback of router.yaml can take the call"))
        }
        BreakerAction::ExtractiveOnly if is_grounded => Ok(vec![embedded()]),
        BreakerAction::ExtractiveOnly => {
            Err(stopped(used_ppm, "and only questions from documents are answered, by the embedded provider"))
        }
        BreakerAction::Block => Err(stopped(used_ppm, "and calls are blocked")),
        BreakerAction::RequireApproval => {
            Err(stopped(used_ppm, "and calls wait for an approval: an owner or admin gives it"))
        }
    }
}

fn embedded() -> Candidate {
    let route = Route { provider: EXTRACTIVE.into(), model: "sentences".into(), temperature: 0.0, max_tokens: 512 };
    Candidate { route, price: Price::default(), fallback: true, answers: 1, is_cut: false }
}

fn stopped(used_ppm: u64, consequence: &str) -> Rejection {
    let percent = used_ppm / PERCENT_PPM;
    let detail = format!(
        "holding money for this call: {percent} % of the budget are spent, the circuit breaker of router.yaml acts, {consequence}; wait for the next window or raise the budget"
    );
    Rejection::new(Code::BudgetExceeded, detail)
}
