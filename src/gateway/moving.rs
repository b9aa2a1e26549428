//! `/admin/v1/tenants/{id}/files` and `/admin/v1/imports`: what a tenant's folder says, shown on one node and taken in on
//! another.
use super::errors::Failure;
use super::reply::{json, ok};
use super::{body, knock};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::TENANT_BODY_BYTES_MAX;
use bailiwick_policy::parse::FileTexts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The files of a tenant's folder.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TenantFiles {
    /// Texts with their signatures, by name relative to the folder.
    pub files: FileTexts,
}

/// `GET /admin/v1/tenants/{id}/files`.
pub(super) async fn show(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.fleet(knock::claim_fleet(&request)).await?;
    Ok(ok(&TenantFiles { files: handle.files(tenant.into_inner()).await? }))
}

/// `POST /admin/v1/imports`.
pub(super) async fn take_in(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.fleet(knock::claim_fleet(&request)).await?;
    let given: TenantFiles =
        body::json(&request, payload, TENANT_BODY_BYTES_MAX, edge.settings.upload_timeout()).await?;
    Ok(json(StatusCode::CREATED, &handle.take_in(given.files).await?))
}
