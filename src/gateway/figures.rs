//! The tenant's own figures and the policy in force, as the data plane and the control plane show them.
use super::errors::Failure;
use super::knock;
use super::reply::ok;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::messages::Claim;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::{Objectives, Quotas};
use bailiwick_tenant::retrieval::messages::CorpusFigures;
use bailiwick_tenant::slo::messages::ServiceView;
use bailiwick_tenant::supervisor::messages::{BudgetFigures, Counts, Figures, LatencyFigures};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Objectives and what was measured.
#[derive(Serialize, JsonSchema, Debug)]
pub struct SloView {
    /// The objectives in force.
    pub objectives: Objectives,
    /// Latency of answers since the rooms were built.
    pub latency: LatencyFigures,
    /// Share of turns that did not fail (0 to 1); absent before the first.
    pub availability: Option<f64>,
    /// Share of turns that failed (0 to 1); absent before the first.
    pub error_rate: Option<f64>,
    /// Error budget, alarms, releases, latency by rolling window.
    #[serde(flatten)]
    pub service: ServiceView,
}

/// Quotas and how much of them is used.
#[derive(Serialize, JsonSchema, Debug)]
pub struct QuotaView {
    /// The quotas in force.
    pub quotas: Quotas,
    /// Documents kept.
    pub corpus: CorpusFigures,
    /// Money spent this month.
    pub budget: BudgetFigures,
}

/// Objectives beside measurements. A refusal is the house doing its work; only failures count against it.
pub(super) fn slo_view(
    objectives: Objectives,
    counts: &Counts,
    latency: LatencyFigures,
    service: ServiceView,
) -> SloView {
    let turns = counts.answered.saturating_add(counts.abstained).saturating_add(counts.failed);
    let error_rate = (turns > 0).then(|| counts.failed as f64 / turns as f64);
    SloView { objectives, latency, availability: error_rate.map(|rate| 1.0 - rate), error_rate, service }
}

/// The policy in force, every part of it that decides something.
pub(super) fn policy_view(policy: &PolicySnapshot) -> Value {
    json!({
        "policy_version": policy.version,
        "digest": policy.digest,
        "retrieval": {
            "top_k": policy.top_k,
            "dense": policy.dense,
            "guard": {
                "fingerprint": policy.guard.fingerprint,
                "min_trust_score": policy.guard.min_trust_score,
                "signature_required": policy.guard.signature_required,
                "forbidden_patterns": policy.guard.forbidden.patterns(),
            },
        },
        "governance": policy.governance,
        "rules": policy.engine.rules().iter().map(|enacted| &enacted.rule).collect::<Vec<_>>(),
        "evaluation": policy.evaluation,
        "router": policy.router,
        "data_sovereignty": policy.sovereignty,
        "slo": policy.slo,
        "features": policy.features.features,
        "quotas": policy.tenant.quotas,
    })
}

/// Which part of the policy a control-plane route shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Whole,
    Router,
    Sovereignty,
    Users,
}

fn part_of(policy: &PolicySnapshot, part: Part) -> Value {
    match part {
        Part::Whole => policy_view(policy),
        Part::Router => json!({ "router": policy.router, "policy_version": policy.version }),
        Part::Sovereignty => json!({ "data_sovereignty": policy.sovereignty, "policy_version": policy.version }),
        Part::Users => json!({ "users": policy.users, "policy_version": policy.version }),
    }
}

async fn audited(request: &HttpRequest, claim: Claim, part: Part) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(request)?;
    let policy = edge.door.audit(claim).await?.policy().await?;
    Ok(ok(&part_of(&policy, part)))
}

async fn observed(request: &HttpRequest, claim: Claim) -> Result<(Figures, std::sync::Arc<PolicySnapshot>), Failure> {
    let edge = knock::edge(request)?;
    let handle = edge.door.observe(claim).await?;
    Ok((handle.figures().await?, handle.policy().await?))
}

async fn slo_of(request: &HttpRequest, claim: Claim) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(request)?;
    let handle = edge.door.observe(claim).await?;
    let (figures, policy, service) = (handle.figures().await?, handle.policy().await?, handle.service().await?);
    Ok(ok(&slo_view(policy.slo.clone(), &figures.counts, figures.latency, service)))
}

/// `GET /v1/slo`.
pub(super) async fn slo(request: HttpRequest) -> Result<HttpResponse, Failure> {
    slo_of(&request, knock::claim(&request)).await
}

/// `GET /v1/policy`.
pub(super) async fn policy(request: HttpRequest) -> Result<HttpResponse, Failure> {
    audited(&request, knock::claim(&request), Part::Whole).await
}

/// `GET /admin/v1/tenants/{id}/policies`.
pub(super) async fn tenant_policies(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    audited(&request, knock::claim_on(&request, &tenant), Part::Whole).await
}

/// `GET /admin/v1/tenants/{id}/router`.
pub(super) async fn tenant_router(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    audited(&request, knock::claim_on(&request, &tenant), Part::Router).await
}

/// `GET /admin/v1/tenants/{id}/sovereignty`.
pub(super) async fn tenant_sovereignty(
    request: HttpRequest,
    tenant: web::Path<String>,
) -> Result<HttpResponse, Failure> {
    audited(&request, knock::claim_on(&request, &tenant), Part::Sovereignty).await
}

/// `GET /admin/v1/tenants/{id}/users`.
pub(super) async fn tenant_users(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    audited(&request, knock::claim_on(&request, &tenant), Part::Users).await
}

/// `GET /admin/v1/tenants/{id}/budget`.
pub(super) async fn tenant_budget(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let (figures, policy) = observed(&request, knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&json!({ "figures": figures.budget, "rules": policy.router.budget })))
}

/// `GET /admin/v1/tenants/{id}/quota`.
pub(super) async fn tenant_quota(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let (figures, policy) = observed(&request, knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&QuotaView { quotas: policy.tenant.quotas.clone(), corpus: figures.corpus, budget: figures.budget }))
}

/// `GET /admin/v1/tenants/{id}/slo`.
pub(super) async fn tenant_slo(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    slo_of(&request, knock::claim_on(&request, &tenant)).await
}
