//! `/admin/v1/tenants/{id}/keys`: API keys of one tenant. A secret is in the answer that issues it and nowhere else.
use super::errors::{Failure, json_bytes};
use super::reply::ok;
use super::{body, knock};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::handles::GovernHandle;
use bailiwick_control::registry::messages::{IssuedKey, KeyView, NewKey};
use bailiwick_kernel::limits::{JSON_BYTES_MAX, NAME_CHARS_MAX};
use schemars::JsonSchema;
use serde::Serialize;

/// Keys of one tenant.
#[derive(Serialize, JsonSchema, Debug)]
pub struct KeyList {
    /// The keys, without secrets.
    pub keys: Vec<KeyView>,
}

async fn govern(request: &HttpRequest, tenant: &str) -> Result<GovernHandle, Failure> {
    Ok(knock::edge(request)?.door.govern(knock::claim_on(request, tenant)).await?)
}

fn issued(key: &IssuedKey) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("application/json")
        .body(json_bytes(key))
}

/// `GET .../keys`.
pub(super) async fn list(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    Ok(ok(&KeyList { keys: govern(&request, &tenant).await?.keys().await? }))
}

/// `POST .../keys`.
pub(super) async fn issue(
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let handle = govern(&request, &tenant).await?;
    let timeout = knock::edge(&request)?.settings.body_timeout();
    let new: NewKey = body::json(&request, payload, JSON_BYTES_MAX, timeout).await?;
    body::bounded_option("user_id", new.user_id.as_deref(), NAME_CHARS_MAX)?;
    Ok(issued(&handle.issue_key(new).await?))
}

/// `DELETE .../keys/{key_id}`.
pub(super) async fn revoke(request: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Failure> {
    let (tenant, key_id) = path.into_inner();
    Ok(ok(&govern(&request, &tenant).await?.revoke_key(key_id).await?))
}

/// `POST .../keys/{key_id}/rotate`.
pub(super) async fn rotate(request: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Failure> {
    let (tenant, key_id) = path.into_inner();
    Ok(issued(&govern(&request, &tenant).await?.rotate_key(key_id).await?))
}
