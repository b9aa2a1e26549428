//! How a request can end without its answer: refused (a normal answer with a reason), failed (operational), lost.
//!
//! A third kind, the broken invariant, is no value: it ends the incarnation of the room (design §8).
use serde::{Deserialize, Serialize};

/// Stable codes of contract §2. The edge maps each to one status; nothing else invents codes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No usable credential.
    Unauthenticated,
    /// The credential is known, the right is missing.
    Forbidden,
    /// Nothing of that name for this caller.
    NotFound,
    /// The budget has no room for the worst case of this call.
    BudgetExceeded,
    /// Too many requests or tokens in the window.
    RateLimited,
    /// A queue is full; nothing was started.
    Overloaded,
    /// The tenant's policy says no.
    PolicyDenied,
    /// A region outside the tenant's sovereignty.
    SovereigntyViolation,
    /// Too young to delete, or past its retention.
    RetentionViolation,
    /// A storage or count quota is used up.
    QuotaExceeded,
    /// The request cannot be understood.
    InvalidRequest,
    /// The request is larger than a stated limit.
    TooLarge,
    /// The model provider failed, on primary and fallback.
    UpstreamFailed,
    /// The tenant is suspended.
    TenantSuspended,
    /// The work was dropped before its end; safe to retry.
    Lost,
    /// The state does not allow this now.
    Conflict,
    /// Nothing new is released while the tenant's error budget is used up, or its service level is breached.
    ReleasesFrozen,
    /// Something of ours failed.
    Internal,
    /// The tenant's own key, which wraps its data, is withheld by its owner or not to be reached.
    TenantSealed,
}

impl Code {
    /// The code as it stands in an error body.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::BudgetExceeded => "budget_exceeded",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::PolicyDenied => "policy_denied",
            Self::SovereigntyViolation => "sovereignty_violation",
            Self::RetentionViolation => "retention_violation",
            Self::QuotaExceeded => "quota_exceeded",
            Self::InvalidRequest => "invalid_request",
            Self::TooLarge => "too_large",
            Self::UpstreamFailed => "upstream_failed",
            Self::TenantSuspended => "tenant_suspended",
            Self::Lost => "lost",
            Self::Conflict => "conflict",
            Self::ReleasesFrozen => "releases_frozen",
            Self::Internal => "internal",
            Self::TenantSealed => "tenant_sealed",
        }
    }
}

/// A refusal or failure as the caller sees it: a stable code, a sentence that helps, and when to come back.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{detail}")]
pub struct Rejection {
    /// The stable code.
    pub code: Code,
    /// Lower case: what was being done, what is wrong, what to do. Speaks of this tenant only.
    pub detail: String,
    /// Milliseconds until a retry can succeed, where that is known.
    pub retry_after_ms: Option<u64>,
}

impl Rejection {
    /// A rejection that a retry alone will not change.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after_ms: None }
    }

    /// A rejection that lifts after the given time.
    #[must_use]
    pub fn retry_after(code: Code, detail: impl Into<String>, after_ms: u64) -> Self {
        Self { code, detail: detail.into(), retry_after_ms: Some(after_ms) }
    }

    /// The answer of work that was dropped before its end.
    #[must_use]
    pub fn lost() -> Self {
        Self::retry_after(
            Code::Lost,
            "the request was dropped before it was answered; nothing was charged for an answer you did not get; try again",
            100,
        )
    }

    /// The one answer for a credential that is missing, malformed, unknown, wrong, revoked or expired, whether key or token,
    /// and for a user who is locked out.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(
            Code::Unauthenticated,
            "no usable key or token was shown: send `Authorization: Bearer` with a key (`bwk_…`) or with a token of an issuer \
             this node trusts, neither revoked nor expired",
        )
    }
}

/// What a request ends with.
pub type Outcome<T> = Result<T, Rejection>;
