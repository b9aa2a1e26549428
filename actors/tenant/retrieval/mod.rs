//! Purpose: keeps one tenant's documents and finds the passages an answer may rest on.
//! Owns: document bodies (blobs), the document shelf, the storage account, the search index of one tenant.
//! Sends to: budget (`Turn<Grounded>`), the supervisor's exit (searches).
//! Never: network but through `vector_store`, another tenant's shelf, a passage the guard in force did not admit.
//! Invariants: RET1 (nothing is taken out that something keeps), IDX1 (an index serves only under the guard it was judged by), JRN2 (201 means durable).
mod absent;
mod actor;
mod analyser;
mod asked;
pub mod chunk;
mod compaction;
mod corpus;
mod crowds;
mod deciding;
pub mod dense;
mod engine;
mod erasing;
mod finding;
pub mod fusion;
mod golden;
mod index;
mod indexer;
mod ingest;
mod language;
pub mod messages;
pub mod parse;
mod pools;
mod portions;
mod prepare;
mod reapplying;
mod recalled;
mod requests;
mod reranking;
mod reserve;
mod rows;
mod rules;
pub mod sealed_directory;
mod selection;
mod taken;
mod truth;
mod upload;
mod view;
mod weights;
mod words;

#[cfg(test)]
mod embedder;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod pool_tests;
#[cfg(test)]
mod rebuild_tests;
#[cfg(test)]
mod retention_tests;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod storage_tests;
#[cfg(test)]
mod test_house;
#[cfg(test)]
mod tests;

pub use index::{Chunk, FirstOfDocument, SearchIndex, Stamp, View};
pub use language::Language;
pub use rules::Wanted;

pub use actor::{RetrievalParts, RetrievalRoom};
pub use pools::{Lanes, Pools};
pub use reapplying::reapply;
pub use upload::UploadPermit;
