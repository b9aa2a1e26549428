//! Requests that a rule lets through only with somebody's approval: shown to a tenant's people, decided by them.
use super::errors::Failure;
use super::reply::ok;
use super::{body, knock};
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::messages::TenantFilters;
use bailiwick_kernel::limits::JSON_BYTES_MAX;
use bailiwick_kernel::outcome::Code;
use bailiwick_tenant::approvals::messages::ApprovalView;
use bailiwick_tenant::approvals::rules::Decision;
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tenants that are asked at the same time.
const TENANTS_AT_ONCE: usize = 8;
/// How long an approved request may be carried out where nobody says: an hour.
const MINUTES: u64 = 60;
/// The longest: a day.
const MINUTES_MAX: u64 = 24 * 60;

/// Requests that need somebody's approval.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ApprovalList {
    /// Those that wait, may be carried out or were refused, oldest first.
    pub approvals: Vec<ApprovalView>,
}

/// Requests that need somebody's approval, of all tenants.
#[derive(Serialize, JsonSchema, Debug)]
pub struct FleetApprovals {
    /// Those that wait, may be carried out or were refused, by tenant, oldest first.
    pub approvals: Vec<TenantApproval>,
    /// Tenants that could not be asked.
    pub unread: Vec<UnreadTenant>,
}

/// A request of a tenant.
#[derive(Serialize, JsonSchema, Debug)]
pub struct TenantApproval {
    /// Its name.
    pub tenant: String,
    /// The request.
    #[serde(flatten)]
    pub approval: ApprovalView,
}

/// A tenant that could not be asked.
#[derive(Serialize, JsonSchema, Debug)]
pub struct UnreadTenant {
    /// Its name.
    pub tenant: String,
    /// Why, as a code.
    pub code: Code,
}

/// Somebody's word on a request.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DecideBody {
    /// True where it may be carried out, once, by whoever asked.
    pub approve: bool,
    /// Within how many minutes, 1 to 1440; 60 where absent.
    pub minutes: Option<u64>,
}

/// `GET /admin/v1/approvals/{id}`.
pub(super) async fn list(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&ApprovalList { approvals: handle.approvals().await? }))
}

/// `GET /admin/v1/approvals`.
pub(super) async fn of_fleet(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let door = &knock::edge(&request)?.door;
    let tenants = door.fleet(knock::claim_fleet(&request)).await?.list(TenantFilters::default()).await?;
    let asked = stream::iter(tenants).map(|tenant| {
        let claim = knock::claim_on(&request, &tenant.record.name);
        async move {
            let approvals = async { door.audit(claim).await?.approvals().await };
            (tenant.record.name, approvals.await)
        }
    });
    let mut answers = asked.buffered(TENANTS_AT_ONCE);
    let mut told = FleetApprovals { approvals: Vec::new(), unread: Vec::new() };
    while let Some((tenant, answer)) = answers.next().await {
        match answer {
            Ok(approvals) => told
                .approvals
                .extend(approvals.into_iter().map(|approval| TenantApproval { tenant: tenant.clone(), approval })),
            Err(rejection) => told.unread.push(UnreadTenant { tenant, code: rejection.code }),
        }
    }
    Ok(ok(&told))
}

/// `POST /admin/v1/approvals/{id}/{approval}`.
pub(super) async fn decide(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let (tenant, approval) = path.into_inner();
    let edge = knock::edge(&request)?;
    let handle = edge.door.govern(knock::claim_on(&request, &tenant)).await?;
    let word: DecideBody = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let for_ms = body::minutes_in_ms(word.minutes.unwrap_or(MINUTES), MINUTES_MAX)?;
    let decision = if word.approve { Decision::Approve { for_ms } } else { Decision::Refuse };
    Ok(ok(&handle.decide_approval(approval, decision).await?))
}
