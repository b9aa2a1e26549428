//! Reports: compliance of one tenant as JSON and PDF, its weeks, and where answers have changed.
use super::errors::Failure;
use super::reply::ok;
use super::{body, knock};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::compliance::messages::LastWeek;
use bailiwick_control::compliance::pdf::pdf;
use bailiwick_control::compliance::report::{Report, WeekScore};
use bailiwick_control::compliance::week::is_week;
use bailiwick_kernel::outcome::{Code, Rejection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Weekly compliance reports of one tenant.
#[derive(Serialize, JsonSchema, Debug)]
pub struct WeekList {
    /// Oldest first.
    pub weeks: Vec<WeekScore>,
}

/// The last weekly compliance report of every tenant.
#[derive(Serialize, JsonSchema, Debug)]
pub struct FleetWeeks {
    /// By name.
    pub tenants: Vec<LastWeek>,
}

/// Query of a compliance report.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComplianceQuery {
    /// ISO week such as `2026-W48`, as it was kept; as it is now where absent.
    #[serde(default)]
    week: Option<String>,
    /// `json` or `pdf`.
    #[serde(default)]
    format: Format,
}

/// The form of a report.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Pdf,
}

/// `GET /admin/v1/tenants/{id}/reports/compliance`.
pub(super) async fn compliance(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    let ComplianceQuery { week, format } = body::query(&request)?;
    if week.as_deref().is_some_and(|week| !is_week(week)) {
        return Err(Failure::invalid("reading week: write an ISO week such as 2026-W48".to_owned()).with_param("week"));
    }
    let report = handle.compliance(week).await?;
    match format {
        Format::Json => Ok(ok(&report)),
        Format::Pdf => drawn(report).await,
    }
}

/// A report as a file to keep. Drawn beside what answers.
async fn drawn(report: Report) -> Result<HttpResponse, Failure> {
    let name = format!("compliance-{}-{}.pdf", report.tenant, report.week);
    let drawing =
        bailiwick_kernel::residue::spawn_blocking(move || pdf(&report)).await.map_err(|_panicked| Rejection::lost())?;
    let bytes = drawing.map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
    Ok(HttpResponse::Ok()
        .content_type("application/pdf")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(bytes))
}

/// `GET /admin/v1/tenants/{id}/reports`.
pub(super) async fn weeks(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&WeekList { weeks: handle.weeks().await? }))
}

/// `GET /admin/v1/tenants/{id}/drift`.
pub(super) async fn quality(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&handle.quality().await?))
}

/// `GET /admin/v1/reports`.
pub(super) async fn fleet(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.fleet(knock::claim_fleet(&request)).await?;
    Ok(ok(&FleetWeeks { tenants: handle.last_weeks().await? }))
}

/// `GET /admin/v1/drift` and `/admin/v1/reports/tenant-drift-map.json`.
pub(super) async fn drift(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.fleet(knock::claim_fleet(&request)).await?;
    Ok(ok(&handle.drift().await?))
}
