//! The law: every file of a tenant, what it means, and the pure decisions that follow from it.
//!
//! No actor, no I/O, no clock, no random: text in, typed snapshot or a helpful error out.
pub mod access;
pub mod budget;
mod caches;
mod checks;
pub mod compile;
mod contradictions;
mod findings;
pub mod guard;
pub mod hosts;
pub mod levels;
pub mod parse;
pub mod patterns;
pub mod places;
pub mod quotas;
pub mod rollout;
pub mod schema;
pub mod schemas;
pub mod signature;
pub mod sovereignty;
