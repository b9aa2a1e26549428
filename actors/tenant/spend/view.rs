//! Rows of spend as they are asked for: grouped by what is named, within the days that are named.
use super::calendar::{date_of_day, month_of_day};
use super::forecast::{Forecast, Past, forecast};
use super::rows::{RowKind, Spend, Spent};
use crate::budget::ledger::{Ledger, day_of};
use bailiwick_kernel::limits::COST_DAYS_MAX;
use bailiwick_kernel::money::NanoUsd;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Stands where a question named none.
pub const UNNAMED: &str = "(none)";
/// Stands where a day had no room left for rows of their own.
pub const OTHER: &str = "(other)";
/// Stands where a crash may have spent, and no record says what for.
pub const UNRECONCILED: &str = "(unreconciled)";
/// The name of what providers' statements showed beyond the recorded answers.
pub const RECONCILED: &str = "(reconciled)";

/// What rows are told apart by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Tenant; the fleet's only.
    Tenant,
    /// UTC day.
    Day,
    /// Domain the question named.
    Domain,
    /// Use case the question named.
    Usecase,
    /// User the key belongs to.
    User,
    /// Key that asked.
    Key,
    /// Provider.
    Provider,
    /// Model.
    Model,
}

impl Dimension {
    /// Every one, in the order of columns.
    pub const ALL: [Self; 8] =
        [Self::Tenant, Self::Day, Self::Domain, Self::Usecase, Self::User, Self::Key, Self::Provider, Self::Model];

    /// Its name, as in queries and columns.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Day => "day",
            Self::Domain => "domain",
            Self::Usecase => "usecase",
            Self::User => "user",
            Self::Key => "key",
            Self::Provider => "provider",
            Self::Model => "model",
        }
    }

    /// The dimension of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == name)
    }
}

/// Which rows are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpendQuery {
    /// UTC days since the epoch.
    pub days: RangeInclusive<u64>,
    /// What they are told apart by.
    pub group_by: Vec<Dimension>,
}

/// A row as it is shown. What rows are not told apart by is absent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SpendRow {
    /// The tenant's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// UTC day, `2026-01-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// Domain the question named; `(none)`, `(other)` and `(unreconciled)` as in every name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Use case the question named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usecase: Option<String>,
    /// User the key belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Key that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Calls, tokens and money.
    #[serde(flatten)]
    pub spent: Spent,
}

impl SpendRow {
    /// What the row says of a dimension.
    #[must_use]
    pub fn name(&self, dimension: Dimension) -> Option<&str> {
        match dimension {
            Dimension::Tenant => self.tenant.as_deref(),
            Dimension::Day => self.day.as_deref(),
            Dimension::Domain => self.domain.as_deref(),
            Dimension::Usecase => self.usecase.as_deref(),
            Dimension::User => self.user.as_deref(),
            Dimension::Key => self.key.as_deref(),
            Dimension::Provider => self.provider.as_deref(),
            Dimension::Model => self.model.as_deref(),
        }
    }
}

/// What one tenant says of its spend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpendView {
    /// The rows that were wanted, in order.
    pub rows: Vec<SpendRow>,
    /// Money by UTC day, every day that is kept.
    pub by_day: BTreeMap<u64, NanoUsd>,
    /// The first day that is kept, where days before it may have been forgotten.
    pub kept_from: Option<u64>,
    /// Spent in the calendar month (UTC).
    pub spent_month: NanoUsd,
    /// Its ceiling.
    pub limit_month: NanoUsd,
    /// Where the month is heading.
    pub forecast: Forecast,
}

/// Answers a query from what was folded.
#[must_use]
pub fn view(spend: &Spend, ledger: &Ledger, limit_month: NanoUsd, query: &SpendQuery, now_unix_ms: u64) -> SpendView {
    let by_day: BTreeMap<_, _> = spend.days().iter().map(|(day, rows)| (*day, rows.total().cost_usd)).collect();
    let spent_month = ledger.spent_month(now_unix_ms);
    let past = Past { by_day: &by_day, first_day: by_day.keys().next().copied(), spent: spent_month };
    let forecast = forecast(&past, month_of_day(day_of(now_unix_ms)), limit_month, now_unix_ms);
    let is_full = by_day.len() >= COST_DAYS_MAX;
    let kept_from = by_day.keys().next().copied().filter(|_| is_full);
    SpendView { rows: grouped(spend, query), by_day, kept_from, spent_month, limit_month, forecast }
}

/// The rows of a query, summed up and in order.
#[must_use]
pub fn grouped(spend: &Spend, query: &SpendQuery) -> Vec<SpendRow> {
    let mut sums: BTreeMap<Vec<&str>, Spent> = BTreeMap::new();
    let dates: BTreeMap<u64, String> =
        spend.days().range(query.days.clone()).map(|(day, _)| (*day, date_of_day(*day))).collect();
    for (day, date) in &dates {
        let Some(rows) = spend.days().get(day) else { continue };
        for (account, spent) in rows.rows() {
            let names = query.group_by.iter().map(|dimension| name_of(account, date, *dimension)).collect();
            sums.entry(names).or_default().add(*spent);
        }
    }
    sums.into_iter().map(|(names, spent)| row(&query.group_by, &names, spent)).collect()
}

fn name_of<'a>(account: &'a RowKind, date: &'a str, dimension: Dimension) -> &'a str {
    let payer = match (dimension, account) {
        (Dimension::Day, _) => return date,
        (_, RowKind::Other) => return OTHER,
        (_, RowKind::Unreconciled) => return UNRECONCILED,
        (_, RowKind::Reconciled) => return RECONCILED,
        (_, RowKind::Of(payer)) => payer,
    };
    let name = match dimension {
        Dimension::Domain => payer.domain.as_deref(),
        Dimension::Usecase => payer.usecase.as_deref(),
        Dimension::User => payer.user_id.as_deref(),
        Dimension::Key => Some(payer.key_id.as_str()),
        Dimension::Provider => Some(payer.provider.as_str()),
        Dimension::Model => Some(payer.model.as_str()),
        Dimension::Tenant | Dimension::Day => None,
    };
    name.filter(|name| !name.is_empty()).unwrap_or(UNNAMED)
}

fn row(group_by: &[Dimension], names: &[&str], spent: Spent) -> SpendRow {
    let mut row = SpendRow { spent, ..SpendRow::default() };
    for (dimension, name) in group_by.iter().zip(names) {
        let name = Some((*name).to_owned());
        match dimension {
            Dimension::Tenant => {} // the fleet's view knows it
            Dimension::Day => row.day = name,
            Dimension::Domain => row.domain = name,
            Dimension::Usecase => row.usecase = name,
            Dimension::User => row.user = name,
            Dimension::Key => row.key = name,
            Dimension::Provider => row.provider = name,
            Dimension::Model => row.model = name,
        }
    }
    row
}
