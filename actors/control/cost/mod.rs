//! Purpose: shows what the fleet spends and where that is heading, by tenant, day, domain, use case, user, key and model.
//! Owns: nothing that lasts; every report is gathered anew from the tenants' own folds.
//! Sends to: the supervisors the registry names (`ReadSpend`), and the asker.
//! Never: decides about money (each tenant's budget room does); keeps figures that could disagree with a journal.
//! Invariants: a tenant that did not answer is named as missing, never counted as nothing; a report has a bounded size.
pub mod actor;
pub mod focus;
pub mod messages;
pub mod rules;
pub mod table;
#[cfg(test)]
mod tests;

use actix::{Addr, Context};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start(clock: SharedClock) -> Addr<actor::Cost> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::Cost::new(clock))
}
