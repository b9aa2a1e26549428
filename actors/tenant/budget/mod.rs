//! Purpose: holds the worst case before any provider is called and settles what was really used.
//! Owns: the balance of one tenant: settled, held, escrow.
//! Sends to: routing (`Turn<Funded>`).
//! Never: a price it was not given; a call without a hold, on primary or fallback.
//! Invariants: BUD1 (spent + held <= limit, in integer nano-USD).
mod actor;
pub mod hold;
pub mod ledger;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;

pub use actor::{BudgetParts, BudgetRoom};
