//! A tenant's golden questions: asked, and how they went.
use super::errors::Failure;
use super::knock;
use super::reply::ok;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_tenant::retrieval::messages::WeightOrder;

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

/// `DELETE /admin/v1/tenants/{id}/weight`.
pub(super) async fn take_weight_back(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    steer_weight(&request, &tenant, WeightOrder::TakeBack).await
}

/// `POST /admin/v1/tenants/{id}/weight`.
pub(super) async fn allow_weight(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    steer_weight(&request, &tenant, WeightOrder::Allow).await
}

async fn steer_weight(request: &HttpRequest, tenant: &str, order: WeightOrder) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(request)?.door.govern(knock::claim_on(request, tenant)).await?;
    Ok(ok(&handle.steer_weight(order).await?))
}
