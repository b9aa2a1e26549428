//! Searches the vectors of a tenant's passages in a store outside the node. What lies there is an index that can be thrown away:
//! numbers and vectors, no words, no titles, no names. `rules.rs` says what is asked and what of an answer is taken; `qdrant.rs` is
//! the one file that names the store. Nothing it says is trusted: it may at most find too little.
mod collection;
mod declared;
#[cfg(test)]
pub(crate) mod fixtures;
mod qdrant;
pub mod rules;
#[cfg(test)]
mod wire_tests;

pub use collection::{TenantCollection, TenantCollections};
pub use declared::{Collection, Pending, Point, Tally, TenantVectorStores, VectorStore, VectorStores};
pub use qdrant::{QdrantAccess, open as open_qdrant};
