//! Purpose: has tenants' keys made anew when they are old, and closes a tenant whose own key is withheld until it is back.
//! Owns: when each customer's key was last to be had, which key services are being asked.
//! Sends to: the registry (keys that are due, keys that are withheld and given back).
//! Never: makes, unwraps or keeps a key; asks one key service in another one's time.
//! Invariants: every customer's key is looked at again [`KEY_LOOK_MS`](bailiwick_kernel::limits::KEY_LOOK_MS) after its last look
//! began, or when that look ends; a key nobody says anything about is withheld at last.
pub mod actor;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;

use crate::kms::KeyService;
use actix::{Addr, Context};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;
use messages::Registry;

/// Starts the room on the current arbiter.
pub fn start(keys: KeyService, clock: SharedClock, registry: Registry) -> Addr<actor::KeyWatch> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::KeyWatch::new(keys, clock, registry))
}
