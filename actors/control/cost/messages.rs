//! What the cost room takes and gives.
use actix::Message;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::money::NanoUsd;
use serde::{Deserialize, Serialize};

/// From observability: a turn was charged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct Charged {
    /// To whom.
    pub tenant: TenantKey,
    /// When.
    pub at_unix_ms: u64,
    /// What.
    pub amount: NanoUsd,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
}

/// The fleet's totals, newest day first.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadCosts {
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<CostView>>,
}

/// What one tenant cost on one day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CostView {
    /// The tenant's key in short form, as in metrics.
    pub tenant: String,
    /// Day in UTC, `2026-01-31`.
    pub day: String,
    /// Turns charged.
    pub turns: u64,
    /// Money charged.
    pub cost_usd: NanoUsd,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
}
