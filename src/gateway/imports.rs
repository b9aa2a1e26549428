//! Lineage that another system wrote: brought in line by line, taken back, or kept for good.
use super::errors::Failure;
use super::reply::ok;
use super::{body, knock};
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::JSON_BYTES_MAX;
use bailiwick_tenant::imports::messages::{ImportStep, Portion};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Lines of a file of lineage.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ImportBody {
    /// SHA-256 of the file, in lower-case hexadecimal: the same line of the same file is imported once.
    pub file_sha256: String,
    /// What the file is called.
    pub file: String,
    /// The number of the last line before these; 0 where they are the first.
    pub after: u64,
    /// The lines, one after the other, as they stand in the file.
    pub lines: Vec<String>,
}

/// An import.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ImportedBody {
    /// SHA-256 of its file, in lower-case hexadecimal.
    pub file_sha256: String,
}

/// `POST /admin/v1/tenants/{id}/lineage/import`.
pub(super) async fn take(
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let of =
        |ImportBody { file_sha256, file, after, lines }| ImportStep::Take(Portion { file_sha256, file, after, lines });
    step(&request, &tenant, payload, of).await
}

/// `POST /admin/v1/tenants/{id}/lineage/import/withdraw`.
pub(super) async fn withdraw(
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    step(&request, &tenant, payload, |ImportedBody { file_sha256 }| ImportStep::Withdraw { file_sha256 }).await
}

/// `POST /admin/v1/tenants/{id}/lineage/import/keep`.
pub(super) async fn keep(
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    step(&request, &tenant, payload, |ImportedBody { file_sha256 }| ImportStep::Keep { file_sha256 }).await
}

async fn step<Body: DeserializeOwned + Send + 'static>(
    request: &HttpRequest,
    tenant: &str,
    payload: web::Payload,
    of: impl FnOnce(Body) -> ImportStep,
) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(request)?;
    let handle = edge.door.govern(knock::claim_on(request, tenant)).await?;
    let asked: Body = body::json(request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    Ok(ok(&handle.import_lineage(of(asked)).await?))
}
