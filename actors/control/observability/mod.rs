//! Purpose: counts what happens and shows the live tree.
//! Owns: restarts per tenant and their last fault since the start of this node.
//! Sends to: the metrics recorder, the registry (quarantines, rollouts, service levels).
//! Never: sees content or names; slows a tenant down: events that do not fit are dropped.
//! Invariants: every label has a bounded set of values; a supervisor that stays silent is shown as silent.
pub mod actor;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;

use crate::registry::messages::{Quarantined, RolloutOver};
use crate::slo::messages::ServiceChanged;
use actix::{Addr, Context, Recipient};
use bailiwick_kernel::limits::MAILBOX_MAX;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start(
    registry: Recipient<Quarantined>,
    rollouts: Recipient<RolloutOver>,
    services: Recipient<ServiceChanged>,
) -> Addr<actor::Observability> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::Observability::new(registry, rollouts, services))
}
