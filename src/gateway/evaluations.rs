//! A tenant's golden questions: asked, and how they went.
use super::errors::Failure;
use super::knock;
use super::reply::ok;
use actix_web::{HttpRequest, HttpResponse, web};

/// `GET /admin/v1/tenants/{id}/evals`.
pub(super) async fn list(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&handle.evaluations().await?))
}

/// `POST /admin/v1/tenants/{id}/evals`.
pub(super) async fn run(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.govern(knock::claim_on(&request, &tenant)).await?;
    Ok(HttpResponse::Accepted().json(handle.evaluate().await?))
}
