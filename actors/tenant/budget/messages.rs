//! What the budget room takes beside turns and returned holds.
use super::accounts::{Spender, Sum};
use crate::entry::{Reconciled, SpendingApproved};
use crate::supervisor::messages::BudgetFigures;
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;

/// Other ceilings are in force.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AdoptBudget(pub Arc<PolicySnapshot>);

/// A charge became durable whose hold was made by an earlier incarnation of this room.
#[derive(Clone, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct BookLate {
    /// Which call.
    pub query_id: String,
    /// Whose accounts it belongs to.
    pub spender: Spender,
    /// What was used.
    pub used: Sum,
    /// How much of it was above the hold.
    pub overrun: NanoUsd,
    /// What calls may have cost beside, of which nobody knows whether they were billed.
    pub unsure: NanoUsd,
    /// When the call was admitted.
    pub admitted_unix_ms: u64,
}

/// Compares what crashes left open with the providers' statements; durable when answered.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Reconcile {
    /// What the providers charged beyond the recorded answers.
    pub charged: NanoUsd,
    /// By whose key.
    pub by: String,
    /// Where the answer goes: what was recorded.
    pub reply: ReplySlot<Reconciled>,
}

/// Lets calls through that the circuit breaker stopped; durable when answered.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ApproveSpending {
    /// Until when.
    pub until_unix_ms: u64,
    /// By whose key.
    pub by: String,
    /// Where the answer goes: what was recorded.
    pub reply: ReplySlot<SpendingApproved>,
}

/// Asks for the figures.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadBudget {
    /// Where the answer goes.
    pub reply: ReplySlot<BudgetFigures>,
}

/// Gives the escrow back; answered when that is durable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CloseBudget {
    /// Where the answer goes.
    pub reply: ReplySlot<()>,
}
