//! Purpose: closes a tenant that does not acknowledge a policy in time, enforces another one than was committed, or has
//! given an answer its policy does not allow.
//! Owns: the acknowledgements that are outstanding, and who deviated at the last look.
//! Sends to: the registry (verdicts; what is to be enforced), tenants' supervisors (what they enforce).
//! Never: judges the policy itself; lets an unacknowledged tenant go on under an older one.
//! Invariants: every push ends in an acknowledgement, an end of the incarnation, or a verdict.
pub mod actor;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;

use crate::registry::messages::{ReadEnforcing, Verdict};
use actix::{Addr, Context, Recipient};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start(
    clock: SharedClock,
    registry: Recipient<Verdict>,
    enforcing: Recipient<ReadEnforcing>,
) -> Addr<actor::Watchdog> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::Watchdog::new(clock, registry, enforcing))
}
