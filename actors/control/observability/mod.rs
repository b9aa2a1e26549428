//! Purpose: counts what happens, sends traces and shows the live tree.
//! Owns: the figures of each tenant, kept apart; restarts per tenant and their last fault since the start of this node.
//! Sends to: a collector of traces where one is named, the registry (quarantines, rollouts, service levels).
//! Never: sees content or names; slows a tenant down: events that do not fit are dropped.
//! Invariants: every label has a bounded set of values, tenants included; what one tenant is shown is its own; a supervisor that
//! stays silent is shown as silent.
pub mod actor;
pub mod alerts;
pub mod catalogue;
pub mod dashboard;
pub mod exposition;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;
pub mod traces;

use crate::registry::messages::{Quarantined, RolloutOver};
use crate::slo::messages::ServiceChanged;
use actix::{Addr, Context, Recipient};
use bailiwick_kernel::limits::MAILBOX_MAX;
use exposition::Exposition;
use std::sync::Arc;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start(
    registry: Recipient<Quarantined>,
    rollouts: Recipient<RolloutOver>,
    services: Recipient<ServiceChanged>,
    exposition: Arc<Exposition>,
) -> Addr<actor::Observability> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::Observability::new(registry, rollouts, services, exposition))
}
