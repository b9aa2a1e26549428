//! Purpose: brings compiled policies into force, one tenant at a time.
//! Owns: the pushes under way.
//! Sends to: the tenant's supervisor (adopt), the watchdog (expect, heard).
//! Never: compiles, parses or stores a policy; lets an older version replace a newer one.
//! Invariants: acknowledged means that nothing admitted afterwards uses an older policy; who stays silent is reported.
pub mod actor;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;

use crate::policy_watchdog::messages::{Expect, Heard};
use actix::{Addr, Context, Recipient};
use bailiwick_kernel::limits::MAILBOX_MAX;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start(expect: Recipient<Expect>, heard: Recipient<Heard>) -> Addr<actor::PolicyService> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::PolicyService::new(expect, heard))
}
