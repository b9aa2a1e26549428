//! Purpose: knows who exists, who may knock, and hands out handles.
//! Owns: the directory, credentials' digests, generations, the supervisors' addresses, the control journal.
//! Sends to: supervisors (close), the policy service, observability, cost, compliance, drift.
//! Never: document content; an address to anybody but as a handle of one right.
//! Invariants: unknown and refused tenants answer alike; an old generation's handle fails closed; what the lobby
//! remembers is forgotten before anything it stands on changes; JRN2 for changes.
pub mod actor;
mod approvals;
mod arrivals;
#[cfg(test)]
mod audit_tests;
pub mod audits;
mod backups;
#[cfg(test)]
pub(crate) mod bench;
#[cfg(test)]
mod border_tests;
mod changes;
pub mod compliance;
#[cfg(test)]
mod compliance_tests;
pub mod credentials;
pub mod directory;
pub mod door;
pub mod encryption;
#[cfg(test)]
mod encryption_tests;
pub mod entry;
mod erasures;
mod evaluations;
mod feedback;
#[cfg(test)]
pub(crate) mod fixtures;
mod flags;
mod fleet;
#[cfg(test)]
mod foreign_fields_tests;
#[cfg(test)]
mod foreign_tests;
pub mod freshness;
pub mod handles;
pub mod housing;
mod imports;
pub mod journal;
pub mod keyring;
pub mod lifecycle;
mod lobby;
#[cfg(test)]
mod lobby_tests;
mod lodging;
pub mod messages;
mod minting;
mod money;
mod pipeline;
#[cfg(test)]
mod prefix_tests;
mod proofs;
mod publishing;
pub mod releases;
mod rollout;
#[cfg(test)]
mod rollout_tests;
pub mod rules;
mod service;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod shell_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod token_tests;
pub mod upload;
pub mod views;

use crate::identity::checkpoint::Checkpoint;
use actix::{Addr, AsyncContext, Context};
use bailiwick_kernel::limits::MAILBOX_MAX;
use std::sync::Arc;

/// The registry's address before the registry itself: rooms it sends to are joined with it first.
pub struct Vestibule(Context<actor::Registry>);

/// An address at which nobody answers until [`Vestibule::start`].
#[must_use]
pub fn vestibule() -> Vestibule {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    Vestibule(context)
}

impl Vestibule {
    /// The registry's address. Not handed to anybody but control rooms.
    pub(crate) fn address(&self) -> Addr<actor::Registry> {
        self.0.address()
    }

    /// Starts the room on the current arbiter; the door is what the edge gets.
    #[must_use]
    pub fn start(self, parts: actor::Belongings, checkpoint: Checkpoint) -> door::Door {
        let lobby = lobby::Lobby::new(Arc::clone(&parts.clock));
        let address = self.0.run(actor::Registry::new(parts, lobby.clone()));
        door::Door { registry: address.recipient(), lobby, checkpoint }
    }
}
