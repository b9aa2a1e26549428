//! Purpose: turns the folders under `tenants/` into compiled policies, at the start and whenever a file changes.
//! Owns: the tenants folder: reading, writing and watching it.
//! Sends to: the registry (folders that were read, with what they compile to).
//! Never: decides whether a policy comes into force; reads outside a tenant's own folder.
//! Invariants: a file that does not compile changes nothing that serves; every text read is bounded.
pub mod actor;
pub mod folder;
pub mod messages;
pub mod rules;
pub mod signer;
pub mod templates;
#[cfg(test)]
mod tests;
pub mod watch;

use actix::{Context, Recipient};
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::mail::Awaited;
use folder::Folders;
use messages::{FirstReading, FoldersSeen};
use std::collections::BTreeSet;

/// Starts the room on the current arbiter. `known` are the tenants of the directory: those without a folder are
/// reported gone. The awaited value comes when every folder has been read once and handed over.
#[must_use]
pub fn start(folders: Folders, known: BTreeSet<String>, registry: Recipient<FoldersSeen>) -> Awaited<FirstReading> {
    let (slot, awaited) = bailiwick_kernel::mail::ReplySlot::pair();
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    let _address = context.run(actor::GitOps::new(folders, known, registry, slot));
    awaited
}
