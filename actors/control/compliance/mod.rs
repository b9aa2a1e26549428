//! Purpose: says which safeguards of a tenant hold, from facts the other rooms tell, with where each comes from and how fresh it
//! is; scores them by week, and shows the evidence as a report that is tied to the tenant's journal.
//! Owns: the weekly reports, sealed beside the control journal.
//! Sends to: the registry (who there is, which week is reported), the watchdog, the supervisors the registry names, and the asker.
//! Never: judges whether anybody complies; counts what is unknown or outdated as passed; shows one tenant's report to another.
//! Invariants: a fact that comes never lowers a score; a week is written down only after its report is kept; the same report is
//! the same bytes as PDF.
pub mod actor;
pub mod archive;
pub mod controls;
pub mod facts;
pub mod frameworks;
pub mod gather;
pub mod messages;
pub mod pdf;
pub mod people_and_data;
pub mod report;
pub mod rules;
#[cfg(test)]
mod tests;
pub mod verification;
pub mod week;

use actix::{Addr, Context};
use bailiwick_kernel::limits::MAILBOX_MAX;

/// Weekly reports of one tenant that are kept: two years.
pub const WEEKS_KEPT_MAX: usize = 104;
/// Reports that are made at the same time.
pub(crate) const REPORTS_AT_ONCE: usize = 4;

/// Tenants whose week is reported between two looks; the next ones follow at the next.
pub(crate) const DUE_AT_ONCE: usize = 64;

/// Starts the room on the current arbiter.
#[must_use]
pub fn start(tools: actor::Tools) -> Addr<actor::Compliance> {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX_MAX);
    context.run(actor::Compliance::new(tools))
}
