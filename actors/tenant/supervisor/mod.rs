//! Purpose: owns one tenant: its rooms, its state, its snapshots; admits turns and clears answers.
//! Owns: the tenant's belongings, the incarnation of its rooms, the restart budget.
//! Sends to: retrieval (`Turn<Admitted>`), budget (passed-through calls), the asker (cleared turns).
//! Never: another tenant, HTTP, the registry.
//! Invariants: POL1 (only a cleared turn answers), ISO1 (one tenant's belongings), JRN2 (durable before answered).
mod actor;
mod admission;
mod approving;
#[cfg(test)]
mod approving_tests;
mod audit;
mod auditing;
#[cfg(test)]
mod auditing_tests;
#[cfg(test)]
mod border_tests;
mod certifying;
mod clearing;
#[cfg(test)]
mod dense_tests;
mod departure;
mod derived_keys;
#[cfg(test)]
mod derived_tests;
pub mod doors;
mod evaluating;
#[cfg(test)]
mod evaluating_tests;
pub mod exit;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod flag_tests;
pub mod fold;
#[cfg(test)]
mod foreign_tests;
mod grounds;
mod importing;
#[cfg(test)]
mod importing_tests;
mod judging;
mod latency;
#[cfg(test)]
mod limit_tests;
mod lineage;
pub mod lineage_forms;
pub mod messages;
#[cfg(test)]
mod meter;
pub(crate) mod opening;
#[cfg(test)]
mod panic_tests;
mod parts;
mod permitting;
pub mod places;
#[cfg(test)]
mod places_tests;
mod proving;
mod recalling;
#[cfg(test)]
mod redaction_tests;
mod rehearsing;
pub mod repeats;
mod rooms;
pub mod rules;
mod service;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod shell_tests;
pub mod sideways;
mod staging;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_worlds_tests;
mod verdicts;
mod verifying;
#[cfg(test)]
mod visibility_tests;
mod withholding;
mod witnessing;

pub use actor::start;
pub use parts::SupervisorParts;
