//! From a tenant's reply to an HTTP answer: waiting within patience, headers, bodies.
use super::edge::Edge;
use super::errors::{Failure, json_bytes, long_json_bytes};
use super::frame::Facts;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use actix_web::{HttpResponse, HttpResponseBuilder};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_tenant::cache::messages::CacheState;
use bailiwick_tenant::question::{ModelUsed, Reply, Usage};
use bailiwick_tenant::turn::Awaiting;
use serde::Serialize;

const COST: HeaderName = HeaderName::from_static("x-bailiwick-cost-usd");
const POLICY_VERSION: HeaderName = HeaderName::from_static("x-bailiwick-policy-version");
const MODEL: HeaderName = HeaderName::from_static("x-bailiwick-model");
/// Says that the answer was given before, to the first call under the same `Idempotency-Key`, and cost nothing now.
const REPLAY: HeaderName = HeaderName::from_static("x-bailiwick-idempotent-replay");
/// What the answer cache knew: `hit`, `semantic-hit`, `miss` or `bypass`; absent where the tenant has none.
const CACHE: HeaderName = HeaderName::from_static("x-bailiwick-cache");
const OVERHEAD: HeaderName = HeaderName::from_static("x-bailiwick-overhead-ms");

/// A reply and the time providers took of it.
pub(super) struct Replied {
    /// The reply.
    pub(super) reply: Reply,
    /// Microseconds spent waiting for providers, where a room noted them.
    pub(super) upstream_us: Option<u64>,
    /// It was given before, to the first call under the same `Idempotency-Key`.
    pub(super) is_repeat: bool,
    /// What the answer cache knew, where it was asked.
    pub(super) cache: Option<CacheState>,
}

impl Replied {
    /// What stands in the headers of this reply, where its answer says so much.
    pub(super) fn stamp<'a>(&self, usage: &Usage, policy_version: &'a str, model: &'a ModelUsed) -> Stamp<'a> {
        let cost = if self.is_repeat { NanoUsd::ZERO } else { usage.cost };
        Stamp {
            cost,
            policy_version,
            model,
            upstream_us: self.upstream_us,
            is_repeat: self.is_repeat,
            cache: self.cache,
        }
    }
}

/// Waits for a whole reply. A tenant that says nothing past its deadline has lost the request.
pub(super) async fn whole(edge: &Edge, mut awaiting: Awaiting) -> Result<Replied, Failure> {
    let outcome = tokio::time::timeout(edge.settings.patience(), awaiting.reply_mut()).await;
    let reply = outcome.unwrap_or_else(|_elapsed| Err(Rejection::lost()))?;
    Ok(Replied { reply, upstream_us: awaiting.upstream_us(), is_repeat: awaiting.is_repeat(), cache: awaiting.cache() })
}

/// A reply of another kind than was asked for is a failure of ours.
pub(super) fn of_another_kind() -> Failure {
    Failure::new(Code::Internal, "the tenant gave a reply of another kind")
}

/// What stands in the headers of an answer.
pub(super) struct Stamp<'a> {
    /// What was charged for this request: nothing for a repeat.
    pub(super) cost: NanoUsd,
    /// Policy it was cleared under.
    pub(super) policy_version: &'a str,
    /// Which model answered.
    pub(super) model: &'a ModelUsed,
    /// Microseconds spent waiting for providers.
    pub(super) upstream_us: Option<u64>,
    /// It was given before.
    pub(super) is_repeat: bool,
    /// What the answer cache knew, where it was asked.
    pub(super) cache: Option<CacheState>,
}

/// A 200 with the answer's headers.
pub(super) fn stamped(facts: &Facts, stamp: &Stamp<'_>) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((COST, stamp.cost.to_string()));
    response.insert_header((POLICY_VERSION, stamp.policy_version));
    if !stamp.model.name.is_empty() {
        response.insert_header((MODEL, format!("{}/{}", stamp.model.provider, stamp.model.name)));
    }
    origin(&mut response, stamp.is_repeat, stamp.cache);
    if let Some(upstream_us) = stamp.upstream_us {
        let elapsed_us = u64::try_from(facts.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        response.insert_header((OVERHEAD, milliseconds(elapsed_us.saturating_sub(upstream_us))));
    }
    response
}

/// Says in headers where an answer came from, where it was not simply made.
pub(super) fn origin(response: &mut HttpResponseBuilder, is_repeat: bool, cache: Option<CacheState>) {
    if is_repeat {
        response.insert_header((REPLAY, "true"));
    }
    if let Some(state) = cache {
        response.insert_header((CACHE, state.as_str()));
    }
}

/// Microseconds as milliseconds with three digits.
pub(super) fn milliseconds(us: u64) -> String {
    format!("{}.{:03}", us / 1_000, us % 1_000)
}

/// A JSON answer.
pub(super) fn json<T: Serialize>(status: StatusCode, body: &T) -> HttpResponse {
    HttpResponse::build(status).content_type("application/json").body(json_bytes(body))
}

/// A JSON answer of status 200 and about so many bytes.
pub(super) fn long_ok<T: Serialize>(body: &T, about_bytes: usize) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(long_json_bytes(body, about_bytes))
}

/// A JSON answer of status 200.
pub(super) fn ok<T: Serialize>(body: &T) -> HttpResponse {
    json(StatusCode::OK, body)
}
