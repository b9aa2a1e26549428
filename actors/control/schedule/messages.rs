//! What the room asks the registry for.
use actix::{Message, Recipient};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_tenant::evaluation::messages::{Evaluate, ReadEvaluationDue};

/// To the registry: which open tenants want to be evaluated by themselves.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadSchedules {
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<Scheduled>>,
}

/// A tenant whose policy says how often.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// Its key.
    pub key: TenantKey,
    /// The name of its folder.
    pub name: String,
    /// Says whether it is due.
    pub due: Recipient<ReadEvaluationDue>,
    /// Has the questions asked.
    pub evaluate: Recipient<Evaluate>,
}
