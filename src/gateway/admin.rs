//! `/admin/v1/tenants` and `/admin/v1/actors`: the fleet, for the platform operator.
use super::errors::Failure;
use super::reply::{json, ok};
use super::{body, knock};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::handles::FleetHandle;
use bailiwick_control::registry::messages::{NewTenant, TenantChanges, TenantFilters, TenantView};
use bailiwick_kernel::limits::{JSON_BYTES_MAX, TITLE_CHARS_MAX};
use bailiwick_kernel::outcome::Code;
use bailiwick_tenant::supervisor::messages::RoomView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tenants.
#[derive(Serialize, JsonSchema, Debug)]
pub struct TenantList {
    /// The tenants that pass the filters.
    pub tenants: Vec<TenantView>,
}

/// The live tree.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ActorList {
    /// Rooms of the control plane and of every tenant.
    pub actors: Vec<RoomView>,
}

/// Why a tenant is suspended.
#[derive(Deserialize, JsonSchema, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct SuspendBody {
    /// In words; kept with the tenant.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Query of a deletion.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    #[serde(default)]
    shred: bool,
}

async fn fleet(request: &HttpRequest) -> Result<FleetHandle, Failure> {
    Ok(knock::edge(request)?.door.fleet(knock::claim_fleet(request)).await?)
}

/// `GET /admin/v1/tenants`.
pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = fleet(&request).await?;
    let filters: TenantFilters = body::query(&request)?;
    Ok(ok(&TenantList { tenants: handle.list(filters).await? }))
}

/// `POST /admin/v1/tenants`.
pub(super) async fn create(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let handle = fleet(&request).await?;
    let timeout = knock::edge(&request)?.settings.body_timeout();
    let new: NewTenant = body::json(&request, payload, JSON_BYTES_MAX, timeout).await?;
    Ok(json(StatusCode::CREATED, &handle.create(new).await?))
}

/// `GET /admin/v1/tenants/{id}`.
pub(super) async fn show(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    Ok(ok(&fleet(&request).await?.get(tenant.into_inner()).await?))
}

/// `PATCH` and `PUT /admin/v1/tenants/{id}`.
pub(super) async fn update(
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let handle = fleet(&request).await?;
    let timeout = knock::edge(&request)?.settings.body_timeout();
    let changes: TenantChanges = body::json(&request, payload, JSON_BYTES_MAX, timeout).await?;
    Ok(ok(&handle.update(tenant.into_inner(), changes).await?))
}

/// `DELETE /admin/v1/tenants/{id}?shred=`.
pub(super) async fn delete(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = fleet(&request).await?;
    let DeleteQuery { shred } = body::query(&request)?;
    Ok(ok(&handle.delete(tenant.into_inner(), shred).await?))
}

/// `POST /admin/v1/tenants/{id}/suspend`.
pub(super) async fn suspend(
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let handle = fleet(&request).await?;
    let timeout = knock::edge(&request)?.settings.body_timeout();
    let SuspendBody { reason } = body::json_or_default(&request, payload, JSON_BYTES_MAX, timeout).await?;
    body::bounded_option("reason", reason.as_deref(), TITLE_CHARS_MAX)?;
    let reason = reason.unwrap_or_else(|| String::from("suspended by the operator"));
    Ok(ok(&handle.suspend(tenant.into_inner(), reason).await?))
}

/// `POST /admin/v1/tenants/{id}/resume`.
pub(super) async fn resume(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    Ok(ok(&fleet(&request).await?.resume(tenant.into_inner()).await?))
}

/// `POST /admin/v1/tenants/{id}/archive`.
pub(super) async fn archive(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    Ok(ok(&fleet(&request).await?.archive(tenant.into_inner()).await?))
}

/// `GET /admin/v1/actors`.
pub(super) async fn actors(request: HttpRequest) -> Result<HttpResponse, Failure> {
    Ok(ok(&ActorList { actors: fleet(&request).await?.actors().await? }))
}

/// What whoever is not the operator is told: the same at any time, whoever else is served.
const METRICS_OF_ANYBODY: &str = "# HELP bailiwick_up The node answers; its figures are shown for the operator's key.\n\
                                  # TYPE bailiwick_up gauge\nbailiwick_up 1\n";

/// `GET /metrics` in Prometheus' text format. The figures are the operator's: they are those of every tenant, and whoever
/// could read them would see what the neighbours ask, spend and are refused.
pub(super) async fn metrics(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let is_operator = fleet(&request).await.is_ok();
    let edge = knock::edge(&request)?;
    let render = std::sync::Arc::clone(&edge.metrics);
    // a thousand tenants' figures take a while to write down
    let figures = if is_operator { written(move || render()).await? } else { METRICS_OF_ANYBODY.to_owned() };
    Ok(exposed(figures))
}

/// `GET /admin/v1/tenants/{id}/metrics` in Prometheus' text format: the tenant's own figures and nothing else.
pub(super) async fn tenant_metrics(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.audit(knock::claim_on(&request, &tenant)).await?;
    let exposition = std::sync::Arc::clone(&edge.exposition);
    Ok(exposed(written(move || handle.metrics(&exposition)).await?))
}

async fn written(write: impl FnOnce() -> String + Send + 'static) -> Result<String, Failure> {
    bailiwick_kernel::residue::spawn_blocking(write)
        .await
        .map_err(|_ended| Failure::new(Code::Internal, "writing the figures down was cut short"))
}

fn exposed(figures: String) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(figures)
}
