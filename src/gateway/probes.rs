//! `/healthz`, `/readyz`: asked often, by machines, without a key. They speak of the process and of no tenant.
use super::edge::Edge;
use super::reply::{json, ok};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

/// What a probe is told.
#[derive(Serialize, JsonSchema, Debug)]
pub struct Health {
    /// `ok`, `ready` or `draining`.
    pub status: &'static str,
}

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> HttpResponse {
    ok(&Health { status: "ok" })
}

/// `GET /readyz`: new work may be sent here.
pub(super) async fn ready(request: HttpRequest) -> HttpResponse {
    let serving = request.app_data::<web::Data<Edge>>().is_some_and(|edge| !edge.is_draining());
    if serving {
        ok(&Health { status: "ready" })
    } else {
        json(StatusCode::SERVICE_UNAVAILABLE, &Health { status: "draining" })
    }
}
