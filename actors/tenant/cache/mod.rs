//! Purpose: gives an answer that was given before to the same matter on the same passages, for nothing.
//! Owns: the answers of one tenant's incarnation, in memory, bounded in bytes and time.
//! Sends to: the budget (`Turn<Grounded>`), the supervisor's exit (`Turn<Answered>`) where it knows the answer.
//! Never: another tenant's answers; the journal; an answer to the asker: what it knows goes through the exit.
//! Invariants: POL1 (a hit is cleared like any answer), ISO1 (gone with its incarnation and its policy).
pub mod actor;
pub mod messages;
pub mod rules;
#[cfg(test)]
mod shell_tests;
mod store;
#[cfg(test)]
mod tests;

use actix::{Actor, Addr};
pub use actor::CacheRoom;
use messages::CacheParts;

impl CacheRoom {
    /// Starts the room on the current arbiter.
    pub fn start(parts: CacheParts) -> Addr<Self> {
        Actor::start(Self::new(parts))
    }
}
