//! `budget` of `router.yaml` (specification 2.4): ceilings, their windows, the circuit breaker, and what is wrong with
//! them.
use crate::findings::{Findings, Source};
use crate::levels::Level;
use crate::quotas::EVERY_MEMBER;
use crate::schema::RouterFile;
use bailiwick_kernel::limits::{CEILINGS_MAX, NAME_CHARS_MAX};
use bailiwick_kernel::money::NanoUsd;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parts of a million: shares of a budget are compared in integers.
const MILLION: f64 = 1_000_000.0;

/// `budget` of `router.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetRules {
    /// Ceiling of a calendar month.
    pub monthly_limit_usd: NanoUsd,
    /// Ceiling of a calendar day.
    pub daily_limit_usd: NanoUsd,
    /// Ceiling of an hour; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_limit_usd: Option<NanoUsd>,
    /// IANA time zone whose calendar the windows follow, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// How holds become durable.
    #[serde(default)]
    pub holds: HoldRecords,
    /// Ceilings below the tenant; a call passes all of them or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ceilings: Vec<CeilingRule>,
    /// What happens before the ceiling.
    #[serde(default)]
    pub circuit_breaker: Option<BudgetBreaker>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// How holds become durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldRecords {
    /// Blocks taken ahead cover many holds: no wait for the disk. A crash counts the open block as spent until it is
    /// reconciled.
    #[default]
    Escrow,
    /// Every hold has a record of its own before a provider is called. A crash counts the open holds as spent.
    Strict,
}

/// A calendar window.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// An hour of the clock on the wall.
    Hour,
    /// From midnight to midnight; 23 or 25 hours where the clock is changed.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl Window {
    /// The window as it stands in a file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// One ceiling below the tenant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CeilingRule {
    /// What is counted.
    pub level: Level,
    /// Whose: an id, or `*` for a counter of its own for everyone at this level.
    #[serde(default = "everyone")]
    pub name: String,
    /// Over which window.
    pub window: Window,
    /// Most money in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<NanoUsd>,
    /// Most tokens in the window, of prompts and answers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_tokens: Option<u64>,
}

fn everyone() -> String {
    EVERY_MEMBER.to_owned()
}

/// `budget.circuit_breaker` of `router.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetBreaker {
    /// Share of the budget at which the breaker acts (0 to 1).
    pub threshold: f64,
    /// What it does.
    pub action: BreakerAction,
    /// How far the share must fall below the threshold before it acts no more (0 to 1).
    #[serde(default = "default_hysteresis")]
    pub hysteresis: f64,
}

fn default_hysteresis() -> f64 {
    0.05
}

/// What the budget's circuit breaker does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerAction {
    /// Use the fallback model only.
    DowngradeToFallback,
    /// Refuse.
    Block,
    /// Ask a human.
    RequireApproval,
    /// Answer with the embedded extractive provider only.
    ExtractiveOnly,
}

impl BudgetBreaker {
    /// Shares at which it opens and closes, in parts of a million.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are shares from 0 to 1")]
    pub fn opens_and_closes_ppm(&self) -> (u64, u64) {
        let ppm = |share: f64| (share.clamp(0.0, 1.0) * MILLION).round() as u64;
        let opens = ppm(self.threshold);
        (opens, opens.saturating_sub(ppm(self.hysteresis)))
    }
}

/// The calendar a budget follows; `None` where there is no such zone.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

pub(crate) fn check(source: &Source<RouterFile>, findings: &mut Findings) {
    let budget = &source.value.budget;
    if let Some(breaker) = &budget.circuit_breaker {
        findings.share(source, "budget.circuit_breaker.threshold", breaker.threshold);
        findings.share(source, "budget.circuit_breaker.hysteresis", breaker.hysteresis);
    }
    if zone(&budget.time_zone).is_none() {
        let problem = format!("{:?} is no IANA time zone: write one such as Europe/Berlin or UTC", budget.time_zone);
        findings.refuse(source, "budget.time_zone", problem);
    }
    if budget.ceilings.len() > CEILINGS_MAX {
        let problem = format!("{} ceilings are too many: write at most {CEILINGS_MAX}", budget.ceilings.len());
        findings.refuse(source, "budget.ceilings", problem);
    }
    for (index, ceiling) in budget.ceilings.iter().enumerate() {
        let path = format!("budget.ceilings[{index}]");
        findings.written(source, &format!("{path}.name"), &ceiling.name);
        if ceiling.name.chars().count() > NAME_CHARS_MAX {
            let problem = format!("the name is too long: write at most {NAME_CHARS_MAX} characters");
            findings.refuse(source, &format!("{path}.name"), problem);
        }
        if ceiling.limit_usd.is_none() && ceiling.limit_tokens.is_none() {
            findings.refuse(source, &path, "nothing is limited: write limit_usd, limit_tokens or both");
        }
    }
}

/// Contradictions between ceilings: said as warnings.
pub(crate) fn contradictions(source: &Source<RouterFile>, findings: &mut Findings) {
    let budget = &source.value.budget;
    if let Some(hour) = budget.hourly_limit_usd.filter(|hour| *hour > budget.daily_limit_usd) {
        let problem =
            format!("{hour} USD is above the {} of a day and never reached: lower it", budget.daily_limit_usd);
        findings.warn(source, "budget.hourly_limit_usd", problem);
    }
    let of_tenant = |window| match window {
        Window::Hour => budget.hourly_limit_usd,
        Window::Day => Some(budget.daily_limit_usd),
        Window::Month => Some(budget.monthly_limit_usd),
    };
    for (index, ceiling) in budget.ceilings.iter().enumerate() {
        let Some((limit, tenants)) = ceiling.limit_usd.zip(of_tenant(ceiling.window)) else { continue };
        if limit > tenants {
            let problem = format!(
                "{limit} USD a {} is above the tenant's {tenants} and never reached: lower it",
                ceiling.window.as_str()
            );
            findings.warn(source, &format!("budget.ceilings[{index}].limit_usd"), problem);
        }
    }
}
