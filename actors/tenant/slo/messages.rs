//! What a tenant is asked and told about its service level, and what it tells of it.
use super::alarms::{Change, Pair, Severity};
use super::budget::BudgetView;
use super::rules::{OverrideWish, ReleasesView};
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::access::Principal;
use schemars::JsonSchema;
use serde::Serialize;

/// To the supervisor: something of the service level must stand in the journal.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct KeepService;

/// Right `Observe`, and the SLO room's: how the service level stands.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadService {
    /// Where the answer goes.
    pub reply: ReplySlot<ServiceView>,
}

/// Right `Govern`: releases are to be let through in spite of a freeze.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OverrideFreeze {
    /// What is wanted.
    pub wish: OverrideWish,
    /// By whom.
    pub by: Principal,
    /// Where the answer goes, once it is durable.
    pub reply: ReplySlot<ReleasesView>,
}

/// How a service level stands.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct ServiceView {
    /// What 30 days may fail, and have.
    pub error_budget: BudgetView,
    /// Alarms that stand.
    pub alarms: Vec<AlarmView>,
    /// Whether anything new is released.
    pub releases: ReleasesView,
    /// Latency of answers by rolling window, from their arrival on; only windows with answers.
    pub windows: Vec<LatencyWindow>,
}

/// An alarm that stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct AlarmView {
    /// `burn_14x`, `burn_6x` or `burn_1x`.
    pub name: &'static str,
    /// Who is told.
    pub severity: Severity,
    /// RFC 3339.
    pub since: String,
}

/// Latency of answers within a window.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct LatencyWindow {
    /// `1h` or `24h`.
    pub window: &'static str,
    /// Answers.
    pub count: u64,
    /// Median, within 1 %.
    pub p50_ms: f64,
    /// 95th percentile, within 1 %.
    pub p95_ms: f64,
    /// 99th percentile, within 1 %.
    pub p99_ms: f64,
}

/// What the control plane is told about an alarm. Figures only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alarmed {
    /// What became of it.
    pub change: Change,
    /// Share of failures the objective allows, in parts of a million.
    pub allowed_ppm: u64,
    /// When.
    pub at_unix_ms: u64,
}

impl Alarmed {
    /// Its windows.
    #[must_use]
    pub fn pair(&self) -> &'static Pair {
        self.change.pair
    }
}
