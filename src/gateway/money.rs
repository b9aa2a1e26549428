//! Decisions of people about a tenant's money: what providers' statements say after a crash, and approvals of spending
//! beyond the budget's circuit breaker.
use super::errors::Failure;
use super::reply::ok;
use super::{body, knock};
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::limits::JSON_BYTES_MAX;
use bailiwick_kernel::money::NanoUsd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest approval: a month.
const APPROVAL_MINUTES_MAX: u64 = 31 * 24 * 60;

/// What the providers' statements say.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ReconcileBody {
    /// What was charged beyond the recorded answers, for the calls a crash left open.
    pub charged_usd: NanoUsd,
}

/// What became of the money a crash left open.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ReconciledView {
    /// What had counted as spent.
    pub unreconciled_usd: NanoUsd,
    /// What was spent.
    pub charged_usd: NanoUsd,
    /// What is free again.
    pub released_usd: NanoUsd,
    /// What was charged above everything that was open; shows as overrun.
    pub beyond_usd: NanoUsd,
    /// RFC 3339.
    pub at: String,
}

/// How long spending is approved.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// From now on.
    pub minutes: u64,
}

/// An approval in force.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ApprovedView {
    /// By whose key.
    pub by: String,
    /// RFC 3339.
    pub until: String,
}

/// `POST /admin/v1/tenants/{id}/budget/reconcile`.
pub(super) async fn reconcile(
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.fleet(knock::claim_fleet(&request)).await?;
    let asked: ReconcileBody = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let reconciled = handle.reconcile(tenant.into_inner(), asked.charged_usd).await?;
    let sum = |amounts: &mut dyn Iterator<Item = NanoUsd>| amounts.fold(NanoUsd::ZERO, NanoUsd::saturating_add);
    Ok(ok(&ReconciledView {
        unreconciled_usd: sum(&mut reconciled.lumps.iter().map(|lump| lump.amount)),
        charged_usd: reconciled.charged,
        released_usd: sum(&mut reconciled.releases().map(|(_, released)| released)),
        beyond_usd: reconciled.beyond(),
        at: rfc3339(reconciled.at_unix_ms),
    }))
}

/// `POST /admin/v1/tenants/{id}/budget/approve`.
pub(super) async fn approve(
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.govern(knock::claim_on(&request, &tenant)).await?;
    let asked: ApproveBody = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let for_ms = body::minutes_in_ms(asked.minutes, APPROVAL_MINUTES_MAX)?;
    let approved = handle.approve_spending(for_ms).await?;
    Ok(ok(&ApprovedView { by: approved.by, until: rfc3339(approved.until_unix_ms) }))
}
