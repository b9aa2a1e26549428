//! Purpose: examines policies that want to come into force, and brings them there.
//! Owns: the pushes under way, the texts of releases that were committed.
//! Sends to: the tenant's supervisor (adopt), the watchdog (expect, heard).
//! Never: reads a folder; lets an older version replace a newer one; lets a release serve whose texts are not kept.
//! Invariants: acknowledged means that nothing admitted afterwards uses an older policy; who stays silent is reported.
pub mod actor;
pub mod history;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;

use crate::policy_watchdog::messages::{Expect, Heard};
use actix::{Addr, Context, Recipient};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;
use history::History;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start(
    expect: Recipient<Expect>,
    heard: Recipient<Heard>,
    history: History,
    clock: SharedClock,
) -> Addr<actor::PolicyService> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::PolicyService::new(expect, heard, history, clock))
}
