//! Purpose: holds the keys of the issuers this node trusts, so that a bearer token is proven before the registry's door.
//! Owns: every issuer's key set, and when it is read again.
//! Sends to: nobody; it answers the door.
//! Never: lets a secret sign for an issuer; takes keys over a line that can be changed; tells a caller why.
//! Invariants: a token passes only with a signature of a key its own issuer has published, for a tenant that issuer speaks
//! for; a key set that cannot be read again ends by itself.
pub mod actor;
pub mod checkpoint;
pub mod fetch;
pub mod issuer;
pub mod keys;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tokens;

use actix::Context;
use arc_swap::ArcSwap;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;
use checkpoint::Checkpoint;
use issuer::{Issuer, KeySource};
use rules::{Standing, Trusted};
use std::sync::Arc;

/// Starts the room on the current arbiter.
///
/// # Errors
/// Why key sets cannot be read over the network, where an issuer publishes its own there.
pub fn start(issuers: Vec<Issuer>, clock: SharedClock) -> Result<Checkpoint, String> {
    let networked = issuers.iter().any(|issuer| matches!(issuer.keys, KeySource::Url(_)));
    let client = networked.then(fetch::client).transpose()?;
    let unread = |issuer: &Issuer| Trusted { issuer: Arc::new(issuer.clone()), held: None };
    let standing = Standing { version: 0, issuers: issuers.iter().map(unread).collect() };
    let published = Arc::new(ArcSwap::from_pointee(standing));
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    let room = context.run(actor::Identity::new(issuers, Arc::clone(&published), Arc::clone(&clock), client));
    Ok(Checkpoint { standing: published, room: room.recipient(), clock, said: Arc::default() })
}
