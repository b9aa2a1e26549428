//! `/admin/v1/backups`: the whole node, for its operator.
use super::errors::Failure;
use super::reply::{json, ok};
use super::{body, knock};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::handles::FleetHandle;
use bailiwick_kernel::limits::{JSON_BYTES_MAX, SOURCE_CHARS_MAX};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Where the backups are.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct BackupBody {
    /// A folder of the node's own machine, by its whole path.
    pub folder: String,
}

async fn fleet(request: &HttpRequest) -> Result<FleetHandle, Failure> {
    Ok(knock::edge(request)?.door.fleet(knock::claim_fleet(request)).await?)
}

async fn folder(request: &HttpRequest, payload: web::Payload) -> Result<PathBuf, Failure> {
    let timeout = knock::edge(request)?.settings.body_timeout();
    let BackupBody { folder } = body::json(request, payload, JSON_BYTES_MAX, timeout).await?;
    body::bounded("folder", &folder, SOURCE_CHARS_MAX)?;
    let path = PathBuf::from(folder);
    if !path.is_absolute() {
        return Err(
            Failure::invalid("reading folder: name it by its whole path on the node's machine").with_param("folder")
        );
    }
    Ok(path)
}

/// `POST /admin/v1/backups`.
pub(super) async fn make(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let handle = fleet(&request).await?;
    let to = folder(&request, payload).await?;
    Ok(json(StatusCode::CREATED, &handle.back_up(to).await?))
}

/// `POST /admin/v1/backups/prune`.
pub(super) async fn prune(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let handle = fleet(&request).await?;
    let from = folder(&request, payload).await?;
    Ok(ok(&handle.prune_backups(from).await?))
}

/// `GET /admin/v1/certificates/{id}`.
pub(super) async fn certificate(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    Ok(ok(&fleet(&request).await?.certificate(id.into_inner()).await?))
}
