//! Purpose: shows how the fleet's service levels stand, and tells those whom the operator has named when one is being lost.
//! Owns: what was told last, and what is on its way; no figures: those are the tenants' own.
//! Sends to: the supervisors the registry names (`ReadService`), webhooks, Slack, mail servers.
//! Never: decides about a freeze (each tenant does, by its own journal); sends anything but figures and a tenant's name;
//! waits for the outside on the reactor.
//! Invariants: SOV1 (an alert leaves with leave of the tenant's lists only); a queue that is full drops, and counts.
pub mod actor;
pub mod delivery;
pub mod messages;
pub mod rules;
pub mod targets;
#[cfg(test)]
mod tests;

use actix::{Addr, Context};
use bailiwick_kernel::limits::MAILBOX_MAX;
use targets::Target;

/// Starts the room on the current arbiter.
///
/// # Errors
/// Why alerts cannot be sent.
pub fn start(targets: Vec<Target>) -> Result<Addr<actor::Slo>, String> {
    let room = actor::Slo::new(targets, delivery::Clients::open()?);
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    Ok(context.run(room))
}
