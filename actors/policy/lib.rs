//! The law: every file of a tenant, what it means, and the pure decisions that follow from it.
//!
//! No actor, no I/O, no clock, no random: text in, typed snapshot or a helpful error out.
pub mod access;
pub mod budget;
mod caches;
mod checks;
pub mod commit;
pub mod compile;
pub mod conflicts;
mod contradictions;
pub mod dense;
pub mod diff;
pub mod digest;
pub mod drift;
pub mod evaluate;
pub mod features;
mod findings;
pub mod flags;
pub mod golden;
pub mod guard;
pub mod guardrails;
pub mod hosts;
pub mod language;
pub mod levels;
pub mod migration;
#[cfg(test)]
mod naive;
pub mod obligations;
pub mod openslo;
pub mod parse;
pub mod patterns;
pub mod percent;
pub mod places;
pub mod quotas;
#[cfg(test)]
mod random_rules;
pub mod ranking;
pub mod redaction;
mod regimes;
pub mod regions;
pub mod rehearsal;
pub mod release;
pub mod rerank;
pub mod retention;
mod roles;
pub mod rollout;
pub mod schema;
pub mod schemas;
pub mod security;
pub mod signature;
mod slices;
pub mod sovereignty;
pub mod stores;
pub mod visibility;
