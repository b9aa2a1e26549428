//! Purpose: shows over all tenants where answers have changed, where quality is heading, and which policies conflict.
//! Owns: nothing that lasts; every map is gathered anew from the tenants' own folds.
//! Sends to: the supervisors the registry names (`ReadQuality`), and the asker.
//! Never: keeps figures that could disagree with a journal; shows a tenant another one's figures.
//! Invariants: every tenant stands in the map; of one that does not answer nothing is said but what the registry knows.
pub mod actor;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;

use actix::{Addr, Context};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start(clock: SharedClock) -> Addr<actor::Drift> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::Drift::new(clock))
}
