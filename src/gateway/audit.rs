//! `/admin/v1/audit`: who did what in the control plane, for the node's operator, and the journal that proves it.
use super::errors::Failure;
use super::reply::ok;
use super::{body, journal_export, knock, page};
use actix_web::{HttpRequest, HttpResponse};
use bailiwick_control::registry::audits::AuditTenant;
use bailiwick_control::registry::handles::FleetHandle;
use bailiwick_kernel::limits::{NAME_CHARS_MAX, PAGE_ITEMS_MAX};
use bailiwick_kernel::outcome::Rejection;
use bailiwick_tenant::proofs::forms::{AUDIT, ShownRecord};
use serde::Deserialize;

/// Query of `/admin/v1/audit`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    #[serde(default)]
    from: u64,
    limit: Option<usize>,
    tenant: Option<String>,
}

/// `GET /admin/v1/audit?from=&limit=&tenant=`.
pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.fleet(knock::claim_fleet(&request)).await?;
    let AuditQuery { from, limit, tenant } = body::query(&request)?;
    body::bounded_option("tenant", tenant.as_deref(), NAME_CHARS_MAX)?;
    let limit = page::within(limit, PAGE_ITEMS_MAX)?;
    Ok(ok(&handle.audit(AuditTenant { from, limit, tenant }).await?))
}

/// `GET /admin/v1/audit/export`: the journal itself, for `bailiwick verify`.
pub(super) async fn export(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.fleet(knock::claim_fleet(&request)).await?;
    let head = handle.audit_head().await?;
    let size = head.size;
    journal_export::whole(&head.header(AUDIT), size, "audit.jsonl", handle).await
}

impl journal_export::Source for FleetHandle {
    async fn portion(&self, from: u64, max: usize) -> Result<Vec<ShownRecord>, Rejection> {
        self.audit_records(from, max).await
    }
}
