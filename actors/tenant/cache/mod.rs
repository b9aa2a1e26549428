//! Purpose: gives an answer that was given before: to the same matter, for nothing; to the same meaning, for an embedding.
//! Owns: the answers of one tenant's incarnation, in memory, bounded in bytes and time; sealed ones outside, where the tenant says so.
//! Sends to: the budget (`Turn<Grounded>`, with the right to read on once the question is embedded), the exit (`Turn<Answered>`).
//! Never: another tenant's answers; the journal; an answer to the asker: what it knows goes through the exit.
//! Invariants: POL1 (a hit is cleared like any answer), ISO1 (gone with its incarnation and its policy).
pub mod actor;
pub mod lookup;
pub mod meaning;
#[cfg(test)]
mod meaning_tests;
pub mod messages;
mod redis;
pub mod rules;
#[cfg(test)]
mod semantic_tests;
mod shared;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod shell_tests;
mod store;
#[cfg(test)]
mod tests;

use actix::{Actor, Addr};
pub use actor::CacheRoom;
use messages::CacheParts;
pub use redis::{RedisAccess, open as open_redis};
pub use shared::{Pending, SharedService, SharedStore, Tally};

impl CacheRoom {
    /// Starts the room on the current arbiter.
    pub fn start(parts: CacheParts) -> Addr<Self> {
        Actor::start(Self::new(parts))
    }
}
