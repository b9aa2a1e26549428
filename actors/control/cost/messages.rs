//! What the cost room takes and gives.
use actix::{Message, Recipient};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_tenant::spend::forecast::Forecast;
use bailiwick_tenant::spend::rows::Spent;
use bailiwick_tenant::spend::view::{Dimension, SpendQuery, SpendRow};
use bailiwick_tenant::supervisor::messages::ReadSpend;
use serde::{Deserialize, Serialize};

/// From the registry: gather what the fleet spent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadCosts {
    /// Every tenant there is.
    pub tenants: Vec<CostSource>,
    /// Which rows.
    pub query: SpendQuery,
    /// Where the answer goes.
    pub reply: ReplySlot<FleetCosts>,
}

/// One tenant to ask.
#[derive(Clone, Debug)]
pub struct CostSource {
    /// Its name.
    pub name: String,
    /// Where to ask, or in which state it is that nobody answers.
    pub spend: Result<Recipient<ReadSpend>, String>,
}

/// What was spent, by whom and what for, and where the month is heading.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CostReport {
    /// First UTC day, `2026-01-31`.
    pub from: String,
    /// Last UTC day, included.
    pub to: String,
    /// What the rows are told apart by.
    pub group_by: Vec<Dimension>,
    /// The rows.
    pub rows: Vec<SpendRow>,
    /// Their sum.
    pub total: Spent,
    /// Money by UTC day, days without any left out.
    pub by_day: Vec<DayCost>,
    /// Where days before this one (UTC) may have been forgotten: only so many are kept.
    pub kept_from: Option<String>,
    /// Where the calendar month (UTC) is heading.
    pub forecast: Forecast,
}

/// Money of one day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DayCost {
    /// UTC day, `2026-01-31`.
    pub day: String,
    /// Money.
    pub cost_usd: NanoUsd,
}

/// The fleet's costs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FleetCosts {
    /// Of all tenants that answered.
    #[serde(flatten)]
    pub report: CostReport,
    /// Where each tenant's month is heading, by name.
    pub tenants: Vec<TenantOutlook>,
    /// Tenants whose costs are not in this report.
    pub missing: Vec<Missing>,
}

/// Where one tenant's month is heading.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TenantOutlook {
    /// Its name.
    pub tenant: String,
    /// The forecast.
    #[serde(flatten)]
    pub forecast: Forecast,
}

/// A tenant whose costs are unknown here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Missing {
    /// Its name.
    pub tenant: String,
    /// Why.
    pub reason: String,
}
