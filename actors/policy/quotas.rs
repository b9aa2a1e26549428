//! `quotas` of `tenant.yaml` (specification 2.2): what a tenant may use, as a whole and by domain, use case, user and
//! key.
use crate::levels::Level;
use bailiwick_kernel::money::NanoUsd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Entries of `quotas.limits`.
pub const LIMITS_MAX: usize = 64;
/// The name of a limit that holds for every member of its level, each with a counter of its own.
pub const EVERY_MEMBER: &str = "*";

/// `quotas` of `tenant.yaml`.
///
/// A rate allows its whole number at once and is then refilled continuously (GCRA, ITU-T I.371): of 60 requests a
/// minute, 60 may come together, and one more a second later.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    /// Requests per hour.
    pub max_requests_per_hour: u32,
    /// Requests per minute; as many as the hour allows where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests_per_minute: Option<u32>,
    /// Tokens of prompts and answers per minute; no limit where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens_per_minute: Option<u64>,
    /// Requests in flight.
    pub max_concurrent_requests: u32,
    /// US dollars per month.
    pub max_cost_per_month: NanoUsd,
    /// Gigabytes (10⁹ bytes) of documents.
    pub max_storage_gb: f64,
    /// Limits below the tenant. Every one that names a request's domain, use case, user or key holds beside the
    /// others: a request passes all of them or is counted by none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub limits: Vec<LevelLimit>,
}

/// One entry of `quotas.limits`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelLimit {
    /// What `name` names.
    pub level: Level,
    /// A domain, use case, user id or public key id; `*` for every one, each with a counter of its own.
    pub name: String,
    /// Requests per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests_per_hour: Option<u32>,
    /// Requests per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests_per_minute: Option<u32>,
    /// Tokens of prompts and answers per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens_per_minute: Option<u64>,
    /// Requests in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_requests: Option<u32>,
    /// Gigabytes (10⁹ bytes) of documents, by the document's domain or use case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_storage_gb: Option<f64>,
}

/// True where a limit of this name holds for this member of its level.
#[must_use]
pub fn names(name: &str, member: &str) -> bool {
    name == EVERY_MEMBER || name == member
}

/// Whole bytes of a number of gigabytes; no number and a negative one are none, which refuses.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates at the ends and makes NaN 0, which refuses"
)]
pub fn bytes_of_gb(gigabytes: f64) -> u64 {
    (gigabytes * 1e9).round() as u64
}

#[cfg(test)]
#[path = "quotas_tests.rs"]
mod tests;
