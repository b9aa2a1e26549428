//! Purpose: gives the signed heads of tenants' journals to those who keep them: a folder, a webhook, another tenant.
//! Owns: which head went where last, durable; how long a place that failed is left alone.
//! Sends to: the registry (which tenants are open), their supervisors (heads out and in), the places of the configuration.
//! Never: gives out a head that does not go on from the one before; sends where the tenant's lists do not allow.
//! Invariants: PRF2 (at one place each head of a journal goes on from the one before; anything else is an alarm).
pub mod actor;
mod book;
mod carrier;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;

use crate::registry::messages::ReadPublishing;
use actix::{Addr, Context, Recipient};
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::shelf::Vault;
use bailiwick_policy::sovereignty::Region;
use messages::Target;

/// What the room is started with.
pub struct Parts {
    /// Where heads go.
    pub targets: Vec<Target>,
    /// Where this node is: what stays on it goes there.
    pub node: Region,
    /// The store …
    pub vault: Vault,
    /// … and the control plane's cipher, for what was published.
    pub cipher: Cipher,
    /// Time.
    pub clock: SharedClock,
    /// Says which tenants are open.
    pub registry: Recipient<ReadPublishing>,
}

/// Starts the room on the current arbiter.
///
/// # Errors
/// Why heads cannot be sent, or what was published cannot be read.
pub fn start(parts: Parts) -> Result<Addr<actor::Publisher>, String> {
    let publisher = actor::Publisher::new(parts)?;
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    Ok(context.run(publisher))
}
