//! The law: every file of a tenant, what it means, and the pure decisions that follow from it.
//!
//! No actor, no I/O, no clock, no random: text in, typed snapshot or a helpful error out.
pub mod access;
pub mod compile;
pub mod guard;
pub mod parse;
pub mod schema;
