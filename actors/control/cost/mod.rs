//! Purpose: adds up what the fleet spends, by tenant and day.
//! Owns: the fleet's totals since the start of this node.
//! Sends to: nobody but the asker.
//! Never: decides about money (each tenant's budget room does); the journal of the tenant is the truth.
//! Invariants: totals only grow within a day; days beyond the bound are forgotten, oldest first.
pub mod actor;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;

use actix::{Addr, Context};
use bailiwick_kernel::limits::MAILBOX_MAX;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start() -> Addr<actor::Cost> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::Cost::default())
}
