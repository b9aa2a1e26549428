//! `/admin/v1/tenants/{id}/encryption`: the keys a tenant's data are sealed under. No key is ever in an answer.
use super::errors::Failure;
use super::knock;
use super::reply::ok;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::handles::GovernHandle;

async fn govern(request: &HttpRequest, tenant: &str) -> Result<GovernHandle, Failure> {
    Ok(knock::edge(request)?.door.govern(knock::claim_on(request, tenant)).await?)
}

/// `GET .../encryption`.
pub(super) async fn show(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    Ok(ok(&govern(&request, &tenant).await?.encryption().await?))
}

/// `POST .../encryption/rotate`.
pub(super) async fn rotate(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    Ok(ok(&govern(&request, &tenant).await?.rotate_encryption().await?))
}
