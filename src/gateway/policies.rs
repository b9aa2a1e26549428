//! `/admin/v1/conflicts` and `/admin/v1/policies`: conflicts of rules, and which policies came into force.
use super::errors::Failure;
use super::knock;
use super::reply::ok;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::directory::CommitView;
use bailiwick_control::registry::messages::PolicyStanding;
use bailiwick_policy::conflicts::Conflicts;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// The conflict map over all tenants.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ConflictMap {
    /// Every tenant, by name.
    pub tenants: Vec<TenantConflicts>,
}

/// What one tenant's rules come to.
#[derive(Serialize, JsonSchema, Debug)]
pub struct TenantConflicts {
    /// The tenant's name.
    pub tenant: String,
    /// The version in force; empty where none is.
    pub policy_version: String,
    /// Conflicts of the rules in force, each with a request that shows it.
    #[schemars(with = "Value")]
    pub conflicts: Conflicts,
    /// Why the newest files of the folder are not in force, where they are not: drift.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Policies that came into force.
#[derive(Serialize, JsonSchema, Debug)]
pub struct CommitLog {
    /// The last ones, newest last.
    pub commits: Vec<CommitView>,
}

impl From<PolicyStanding> for TenantConflicts {
    fn from(standing: PolicyStanding) -> Self {
        let PolicyStanding { tenant, policy_version, conflicts, refused } = standing;
        Self { tenant, policy_version, conflicts, refused }
    }
}

/// `GET /admin/v1/conflicts`.
pub(super) async fn map(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.fleet(knock::claim_fleet(&request)).await?;
    let tenants = handle.policies().await?.into_iter().map(TenantConflicts::from).collect();
    Ok(ok(&ConflictMap { tenants }))
}

/// `GET /admin/v1/policies/{id}/conflicts`.
pub(super) async fn of_tenant(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    let policy = handle.policy().await?;
    Ok(ok(&json!({ "policy_version": policy.version, "conflicts": *policy.conflicts })))
}

/// `GET /admin/v1/policies/{id}/log`.
pub(super) async fn log(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.govern(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&CommitLog { commits: handle.commits().await? }))
}

/// `POST /admin/v1/policies/{id}/commit`.
pub(super) async fn commit(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.govern(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&handle.commit_folder().await?))
}

/// `GET /admin/v1/policies/{id}/diff`.
pub(super) async fn diff(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.govern(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&handle.compare_folder().await?))
}
