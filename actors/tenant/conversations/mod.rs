//! Purpose: lets a question mean what it means in its conversation, without a model.
//! Owns: the latest questions of each asker's conversations, in memory, bounded by count, bytes and time.
//! Sends to: nobody.
//! Never: answers, documents, storage; what another asker, tenant or conversation said.
//! Invariants: a conversation is known by who asks and its name together; what is retrieved with is a whole question.
mod memory;
pub mod rules;

pub use memory::{Conversations, meant_behind};

#[cfg(test)]
mod tests;
