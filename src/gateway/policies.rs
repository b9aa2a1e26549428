//! `/admin/v1/conflicts` and `/admin/v1/policies`: conflicts of rules, and which policies came into force.
use super::errors::Failure;
use super::knock;
use super::reply::ok;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::directory::CommitView;
use bailiwick_control::registry::messages::PolicyStanding;
use bailiwick_control::registry::releases::Release;
use bailiwick_policy::conflicts::Conflicts;
use bailiwick_policy::release::texts_of;
use bailiwick_policy::rollout::Event;
use bailiwick_tenant::rollout::rules::RolloutView;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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

/// A release on its way to everybody.
#[derive(Serialize, JsonSchema, Debug)]
pub struct RolloutAnswer {
    /// How far it is; null where everybody has the newest release.
    pub rollout: Option<RolloutView>,
}

/// Releases whose files are kept.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ReleaseList {
    /// Oldest first.
    pub releases: Vec<Release>,
}

/// The files of a release that was committed.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ReleaseFiles {
    /// Its version.
    pub version: String,
    /// Its files with their signatures, by name relative to the tenant's folder.
    pub files: BTreeMap<String, String>,
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

/// `GET /admin/v1/policies/{id}/rollout`.
pub(super) async fn rollout(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&RolloutAnswer { rollout: handle.rollout().await? }))
}

/// `POST /admin/v1/policies/{id}/promote`.
pub(super) async fn promote(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    steer(&request, &tenant, Event::Promote).await
}

/// `POST /admin/v1/policies/{id}/rollback`.
pub(super) async fn rollback(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    steer(&request, &tenant, Event::Withdraw).await
}

async fn steer(request: &HttpRequest, tenant: &str, event: Event) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(request)?.door.govern(knock::claim_on(request, tenant)).await?;
    Ok(ok(&RolloutAnswer { rollout: Some(handle.steer_rollout(event).await?) }))
}

/// `GET /admin/v1/policies/{id}/releases/{version}`.
pub(super) async fn release(request: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Failure> {
    let (tenant, version) = path.into_inner();
    let handle = knock::edge(&request)?.door.govern(knock::claim_on(&request, &tenant)).await?;
    let files = texts_of(&handle.release(version.clone()).await?);
    Ok(ok(&ReleaseFiles { version, files }))
}

/// `GET /admin/v1/policies/{id}/releases`.
pub(super) async fn releases(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.govern(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&ReleaseList { releases: handle.releases().await? }))
}

/// `GET /admin/v1/policies/{id}/rehearsal`.
pub(super) async fn rehearsal(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.govern(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&handle.rehearse_folder().await?))
}
