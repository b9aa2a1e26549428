//! Where one tenant's money went and where it is heading: rows by day and account, and the forecast that follows from
//! them. Plain decisions over the journal's entries; the ledger beside them says how much, these say for whom.
pub mod calendar;
pub mod forecast;
pub mod rows;
#[cfg(test)]
mod tests;
pub mod view;
