//! Costs: the fleet's and one tenant's, as JSON, as a table, and in the columns of FOCUS.
use super::errors::Failure;
use super::knock;
use super::{body, reply};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::cost::messages::CostReport;
use bailiwick_control::cost::rules::gaps;
use bailiwick_control::cost::{focus, table};
use bailiwick_kernel::outcome::Code;
use bailiwick_tenant::spend::calendar::{DAY_MS, day_of_date, month_of_day};
use bailiwick_tenant::spend::view::{Dimension, SpendQuery};
use bailiwick_tenant::supervisor::messages::Figures;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The tenant's own figures, with its costs.
#[derive(Serialize, JsonSchema, Debug)]
pub struct UsageView {
    /// Money, counters, latency, documents.
    #[serde(flatten)]
    pub figures: Figures,
    /// What was spent and where the month is heading.
    pub costs: CostReport,
}

/// What a caller says about the costs it wants.
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct CostQuery {
    /// First UTC day; the first of the last one's month where absent.
    #[serde(default)]
    from: Option<String>,
    /// Last UTC day, included; today where absent.
    #[serde(default)]
    to: Option<String>,
    /// Names of dimensions, with commas between.
    #[serde(default)]
    group_by: Option<String>,
    /// `json` or `csv`.
    #[serde(default)]
    format: Format,
}

/// The form costs are given in.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Csv,
}

impl CostQuery {
    /// The days that are meant: from the first of the month up to today where nothing is said.
    fn days(&self, now_unix_ms: u64) -> Result<RangeInclusive<u64>, Failure> {
        let today = now_unix_ms / DAY_MS;
        let named = |name: &'static str, date: &Option<String>| match date {
            None => Ok(None),
            Some(date) => day_of_date(date).map(Some).ok_or_else(|| {
                Failure::invalid(format!("reading {name}: write a day (UTC) such as 2026-01-31")).with_param(name)
            }),
        };
        let to = named("to", &self.to)?.unwrap_or(today);
        let from = named("from", &self.from)?.unwrap_or(month_of_day(to).start);
        if from > to {
            return Err(
                Failure::invalid("reading from: it is after to; exchange the two".to_owned()).with_param("from")
            );
        }
        Ok(from..=to)
    }

    /// What rows are told apart by: among these dimensions, and by this one where nothing is said.
    fn dimensions(&self, among: &[Dimension], default: Dimension) -> Result<Vec<Dimension>, Failure> {
        let Some(names) = &self.group_by else { return Ok(vec![default]) };
        let mut dimensions = Vec::new();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let found = Dimension::named(name).filter(|dimension| among.contains(dimension)).ok_or_else(|| {
                let known: Vec<_> = among.iter().map(|dimension| dimension.as_str()).collect();
                Failure::invalid(format!("reading group_by: {name:?} is none of {}", known.join(", ")))
                    .with_param("group_by")
            })?;
            if !dimensions.contains(&found) {
                dimensions.push(found);
            }
        }
        Ok(dimensions)
    }

    fn of_fleet(&self, now_unix_ms: u64) -> Result<SpendQuery, Failure> {
        let group_by = self.dimensions(&Dimension::ALL, Dimension::Tenant)?;
        Ok(SpendQuery { days: self.days(now_unix_ms)?, group_by })
    }

    fn of_tenant(&self, now_unix_ms: u64) -> Result<SpendQuery, Failure> {
        let [_tenant, own @ ..] = Dimension::ALL;
        Ok(SpendQuery { days: self.days(now_unix_ms)?, group_by: self.dimensions(&own, Dimension::Model)? })
    }
}

/// A table to keep as a file.
fn file(name: &str, rows: Result<Vec<u8>, impl std::fmt::Display>) -> Result<HttpResponse, Failure> {
    let rows = rows.map_err(|error| Failure::new(Code::Internal, format!("writing costs as a table: {error}")))?;
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")))
        .body(rows))
}

/// `GET /admin/v1/costs`.
pub(super) async fn fleet(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.fleet(knock::claim_fleet(&request)).await?;
    let wanted: CostQuery = body::query(&request)?;
    let costs = handle.costs(wanted.of_fleet(edge.clock.now_unix_ms())?).await?;
    match wanted.format {
        Format::Json => Ok(reply::ok(&costs)),
        Format::Csv => file("costs", table::csv(&costs.report)),
    }
}

/// `GET /admin/v1/costs/export`: refused where something is missing, because a file cannot say that it is not whole.
pub(super) async fn export(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.fleet(knock::claim_fleet(&request)).await?;
    let ExportQuery { from, to, partial } = body::query(&request)?;
    let days = CostQuery { from, to, ..CostQuery::default() }.days(edge.clock.now_unix_ms())?;
    let costs = handle.costs(SpendQuery { days, group_by: focus::GROUP_BY.to_vec() }).await?;
    let gaps = gaps(&costs);
    if !partial && !gaps.is_empty() {
        return Err(Failure::new(
            Code::Conflict,
            format!(
                "exporting costs: they are not whole ({}); ask with partial=true for what there is",
                gaps.join("; ")
            ),
        ));
    }
    file("focus", focus::csv(&costs.report.rows))
}

/// Query of the export.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    partial: bool,
}

/// `GET /admin/v1/tenants/{id}/costs`.
pub(super) async fn tenant(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.observe(knock::claim_on(&request, &tenant)).await?;
    let wanted: CostQuery = body::query(&request)?;
    let costs = handle.costs(wanted.of_tenant(edge.clock.now_unix_ms())?).await?;
    match wanted.format {
        Format::Json => Ok(reply::ok(&costs)),
        Format::Csv => file("costs", table::csv(&costs)),
    }
}

/// `GET /v1/usage`.
pub(super) async fn usage(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.observe(knock::claim(&request)).await?;
    let wanted: CostQuery = body::query(&request)?;
    let costs = handle.costs(wanted.of_tenant(edge.clock.now_unix_ms())?).await?;
    match wanted.format {
        Format::Json => Ok(reply::ok(&UsageView { figures: handle.figures().await?, costs })),
        Format::Csv => file("usage", table::csv(&costs)),
    }
}
