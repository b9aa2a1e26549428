//! Purpose: holds the worst case before any provider is called and settles what was really used.
//! Owns: the balance of one tenant: ledger, accounts, counters, holds, the line of calls that wait for money.
//! Sends to: routing (`Turn<Funded>`).
//! Never: a price it was not given; a call without a hold, on primary or fallback.
//! Invariants: BUD1 (spent + held <= limit, in integer nano-USD, at every level and in every window).
pub mod accounts;
mod actor;
pub mod breaker;
pub mod candidates;
pub mod counters;
mod figures;
#[cfg(test)]
mod fixtures;
pub mod hold;
pub mod ledger;
pub mod messages;
#[cfg(test)]
mod model_tests;
pub mod records;
mod refusal;
pub mod rules;
mod sums;
#[cfg(test)]
mod tests;
mod till;
#[cfg(test)]
mod till_tests;
pub mod waiting;
pub mod windows;

pub use actor::{BudgetParts, BudgetRoom};
pub(crate) use till::is_full;
