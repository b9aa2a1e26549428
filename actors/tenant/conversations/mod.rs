//! Purpose: lets a question mean what it means in its conversation, without a model; says what a model is told of it.
//! Owns: the latest questions of each asker's conversations and what was answered, in memory, bounded by count, bytes and time.
//! Sends to: nobody.
//! Never: documents, storage; what another asker, tenant or conversation said.
//! Invariants: a conversation is known by who asks (key, user, the end user a key speaks for) and its name together; what is
//! retrieved with is a whole question; an answer is kept with the documents it was given from.
mod history;
mod memory;
pub mod rules;

pub use history::{Bounds, told};
pub use memory::{Conversations, Heard, RememberedAt, Speaker, meant_behind};

#[cfg(test)]
mod tests;
