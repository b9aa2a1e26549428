//! Sums tenants' rows up to a report. Pure.
use super::messages::{CostReport, DayCost, FleetCosts, Missing, TenantOutlook};
use bailiwick_kernel::limits::COST_ROWS_MAX;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_tenant::spend::calendar::{DAY_MS, date_of_day, month_of_day};
use bailiwick_tenant::spend::forecast::{Forecast, Past, forecast};
use bailiwick_tenant::spend::rows::Spent;
use bailiwick_tenant::spend::view::{Dimension, SpendQuery, SpendRow, SpendView};
use std::collections::{BTreeMap, BTreeSet};

/// Why a tenant that said nothing is missing.
const SILENT: &str = "it did not answer in time";

/// What has been gathered so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gathering {
    query: SpendQuery,
    rows: BTreeMap<Vec<String>, SpendRow>,
    by_day: BTreeMap<u64, NanoUsd>,
    kept_from: Option<u64>,
    spent_month: NanoUsd,
    limit_month: NanoUsd,
    outlooks: Vec<TenantOutlook>,
    awaited: BTreeSet<String>,
    missing: Vec<Missing>,
}

impl Gathering {
    /// A gathering of the named tenants.
    #[must_use]
    pub fn new(query: SpendQuery, awaited: BTreeSet<String>) -> Self {
        Self {
            query,
            rows: BTreeMap::new(),
            by_day: BTreeMap::new(),
            kept_from: None,
            spent_month: NanoUsd::ZERO,
            limit_month: NanoUsd::ZERO,
            outlooks: Vec::new(),
            awaited,
            missing: Vec::new(),
        }
    }

    /// Takes one tenant's answer in.
    ///
    /// # Errors
    /// `too_large` where the report would have more rows than one may have.
    pub fn take(&mut self, tenant: &str, view: SpendView) -> Outcome<()> {
        self.awaited.remove(tenant);
        let by_tenant = self.query.group_by.contains(&Dimension::Tenant);
        for mut row in view.rows {
            row.tenant = by_tenant.then(|| tenant.to_owned());
            let names = self.query.group_by.iter().map(|by| row.name(*by).unwrap_or_default().to_owned()).collect();
            let spent = row.spent;
            let sum = self.rows.entry(names).or_insert(SpendRow { spent: Spent::default(), ..row });
            sum.spent.add(spent);
        }
        if self.rows.len() > COST_ROWS_MAX {
            return Err(Rejection::new(
                Code::TooLarge,
                format!(
                    "reporting costs: there are more than {COST_ROWS_MAX} rows; name fewer days with from and to, or less in group_by"
                ),
            ));
        }
        for (day, cost) in view.by_day {
            let sum = self.by_day.entry(day).or_default();
            *sum = sum.saturating_add(cost);
        }
        self.kept_from = self.kept_from.max(view.kept_from);
        self.spent_month = self.spent_month.saturating_add(view.spent_month);
        self.limit_month = self.limit_month.saturating_add(view.limit_month);
        self.outlooks.push(TenantOutlook { tenant: tenant.to_owned(), forecast: view.forecast });
        Ok(())
    }

    /// A tenant whose costs stay unknown.
    pub fn miss(&mut self, tenant: &str, reason: String) {
        self.awaited.remove(tenant);
        self.missing.push(Missing { tenant: tenant.to_owned(), reason });
    }

    /// The report on what came. Who has not answered by now is missing.
    #[must_use]
    pub fn end(mut self, now_unix_ms: u64) -> FleetCosts {
        for silent in std::mem::take(&mut self.awaited) {
            self.miss(&silent, SILENT.to_owned());
        }
        self.outlooks.sort_by(|one, other| one.tenant.cmp(&other.tenant));
        self.missing.sort_by(|one, other| one.tenant.cmp(&other.tenant));
        let past =
            Past { by_day: &self.by_day, first_day: self.by_day.keys().next().copied(), spent: self.spent_month };
        let forecast = forecast(&past, month_of_day(now_unix_ms / DAY_MS), self.limit_month, now_unix_ms);
        let rows = self.rows.into_values().collect();
        let report = report(self.query, rows, &self.by_day, self.kept_from, forecast);
        FleetCosts { report, tenants: self.outlooks, missing: self.missing }
    }
}

/// The report on one tenant.
#[must_use]
pub fn of_tenant(query: SpendQuery, view: SpendView) -> CostReport {
    report(query, view.rows, &view.by_day, view.kept_from, view.forecast)
}

/// What a report of the fleet lacks, one clause each; nothing where it is whole.
#[must_use]
pub fn gaps(costs: &FleetCosts) -> Vec<String> {
    let missing = costs.missing.iter().map(|missing| format!("{}: {}", missing.tenant, missing.reason));
    // dates of this form stand in the order of time
    let kept_from = costs.report.kept_from.as_ref().filter(|kept_from| costs.report.from < **kept_from);
    missing.chain(kept_from.map(|kept_from| format!("days before {kept_from} may have been forgotten"))).collect()
}

fn report(
    query: SpendQuery,
    rows: Vec<SpendRow>,
    by_day: &BTreeMap<u64, NanoUsd>,
    kept_from: Option<u64>,
    forecast: Forecast,
) -> CostReport {
    let mut total = Spent::default();
    rows.iter().for_each(|row| total.add(row.spent));
    let within = by_day.range(query.days.clone());
    CostReport {
        from: date_of_day(*query.days.start()),
        to: date_of_day(*query.days.end()),
        group_by: query.group_by,
        rows,
        total,
        by_day: within.map(|(day, cost)| DayCost { day: date_of_day(*day), cost_usd: *cost }).collect(),
        kept_from: kept_from.map(date_of_day),
        forecast,
    }
}
