//! The data plane: one tenant's supervisor and its rooms. This crate cannot name the registry, another tenant or
//! HTTP: cargo's arrows forbid it.
pub mod approvals;
pub mod budget;
pub mod cache;
pub mod catalog;
pub mod digest;
pub mod egress;
pub mod entry;
pub mod erasures;
pub mod evaluation;
pub mod imports;
pub mod journey;
pub mod limits;
mod line;
pub mod proofs;
pub mod quality;
pub mod query_ids;
pub mod question;
pub mod retrieval;
pub mod rollout;
pub mod routing;
pub mod ruling;
pub mod service_level;
pub mod slo;
pub mod spend;
pub mod supervisor;
pub mod tiers;
pub mod turn;
