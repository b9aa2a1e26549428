//! How a tenant's questions end and how far what it cites is trusted, by day: folded from its journal beside the ledger, and
//! compared by `policy/drift` when somebody asks.
pub mod messages;
pub mod rules;
#[cfg(test)]
mod tests;
