//! Purpose: has the golden questions of tenants asked as often as their policy says.
//! Owns: nothing that lasts; when questions were asked last stands in each tenant's own journal.
//! Sends to: the registry (which tenants want it), their supervisors (`ReadEvaluationDue`, `Evaluate`).
//! Never: decides what is due, asks a question itself, reads a folder on the reactor.
//! Invariants: a due time is asked once at most, because the supervisor writes it down before the first question.
pub mod actor;
pub mod messages;

use crate::gitops::folder::Folders;
use actix::{Addr, Context, Recipient};
use bailiwick_kernel::limits::MAILBOX_MAX;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start(folders: Folders, registry: Recipient<messages::ReadSchedules>) -> Addr<actor::Schedule> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::Schedule::new(folders, registry))
}
