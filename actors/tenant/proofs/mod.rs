//! What a tenant shows of its journal to somebody who does not trust its keeper: receipts of single answers, exports of the
//! whole, and the one way to check both. Checking needs no server, no key of the tenant and nothing of this node.
pub mod certificates;
pub mod extension;
pub mod forms;
pub mod growth;
pub mod lineage;
pub mod messages;
pub mod records;
#[cfg(test)]
mod tests;
pub mod verifier;
pub mod witness;
