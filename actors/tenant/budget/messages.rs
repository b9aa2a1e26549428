//! What the budget room takes beside turns and returned holds.
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct BookLate(pub NanoUsd);

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
