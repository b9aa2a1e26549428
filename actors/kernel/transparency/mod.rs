//! Proofs about a journal for somebody who does not trust its keeper: a Merkle tree over the chain hashes of its records
//! (RFC 9162, section 2.1), tree heads signed by the tenant (C2SP tlog-checkpoint), and what a verifier asks of both. Pure.
//!
//! A leaf is the chain hash of one record, which commits to the record's tenant, place, epoch and sealed bytes. Nothing here
//! sees plaintext: whoever shows a record shows its own key beside it, see [`crate::disclosure`].
pub mod certificate;
pub mod checkpoint;
#[cfg(test)]
mod tests;
pub mod tree;

pub use tlog_tiles::Hash;
