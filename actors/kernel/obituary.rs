//! Death notices. `actix::Supervisor` does not restart after a panic; a guard's `Drop` still runs while the actor
//! unwinds and can post. So every room holds an [`Obituary`], and the tenant's supervisor rebuilds.
use actix::prelude::*;

/// How a room ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The room was stopped in order.
    Stopped,
    /// The room panicked.
    Panicked,
}

/// The notice that a room has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct Died {
    /// Which room, by its door plate's name.
    pub room: &'static str,
    /// The incarnation it belonged to; notices of older ones are ignored.
    pub incarnation: u64,
    /// Why it ended.
    pub cause: Cause,
}

/// Held by a room as its last field; posts [`Died`] when the room goes.
#[derive(Debug)]
pub struct Obituary {
    room: &'static str,
    incarnation: u64,
    to: Recipient<Died>,
}

impl Obituary {
    /// A guard that will tell `to` when the room of this incarnation ends.
    #[must_use]
    pub fn new(room: &'static str, incarnation: u64, to: Recipient<Died>) -> Self {
        Self { room, incarnation, to }
    }
}

impl Drop for Obituary {
    fn drop(&mut self) {
        let cause = if std::thread::panicking() { Cause::Panicked } else { Cause::Stopped };
        crate::mail::post_certain_to(&self.to, Died { room: self.room, incarnation: self.incarnation, cause });
    }
}
