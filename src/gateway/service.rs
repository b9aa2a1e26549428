//! Service levels as the outside sees and steers them: the fleet's, and a word against a release freeze.
use super::errors::Failure;
use super::reply::ok;
use super::{body, knock};
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::JSON_BYTES_MAX;
use bailiwick_tenant::slo::rules::{OVERRIDE_MS_MAX, OverrideWish, REASON_CHARS_MAX};
use schemars::JsonSchema;
use serde::Deserialize;

/// What two people say to release in spite of a freeze: both the same.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OverrideBody {
    /// For how many minutes from the second word on, 1 to 1440.
    pub minutes: u64,
    /// Why, in 1 to 500 characters.
    pub reason: String,
}

impl OverrideBody {
    fn wish(self) -> Result<OverrideWish, Failure> {
        let for_ms = body::minutes_in_ms(self.minutes, OVERRIDE_MS_MAX / body::MINUTE_MS)?;
        let reason = self.reason.trim().to_owned();
        if reason.is_empty() {
            return Err(Failure::invalid("reading reason: it is empty; say why").with_param("reason"));
        }
        body::bounded("reason", &reason, REASON_CHARS_MAX)?;
        Ok(OverrideWish { for_ms, reason })
    }
}

/// `GET /admin/v1/slo`.
pub(super) async fn fleet(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.fleet(knock::claim_fleet(&request)).await?;
    Ok(ok(&handle.services().await?))
}

/// `POST /admin/v1/tenants/{id}/slo/override`.
pub(super) async fn override_freeze(
    request: HttpRequest,
    tenant: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.govern(knock::claim_on(&request, &tenant)).await?;
    let said: OverrideBody = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    Ok(ok(&handle.override_freeze(said.wish()?).await?))
}
