//! Purpose: has one of the held candidates answer, primary or fallback, unless a question of the same meaning was answered.
//! Owns: the provider clients this tenant may use, their concurrency, its view of their health.
//! Sends to: the supervisor's exit (`Turn<Answered>`).
//! Never: storage; a provider or model the hold does not name.
//! Invariants: every call was held for; what was used is reported also when the asker hangs up.
pub mod actor;
mod allowance;
mod assembly;
pub mod clients;
pub mod demands;
mod flight;
mod landing;
mod lookup;
pub mod markers;
pub mod messages;
pub mod output;
mod pace;
pub mod prompt;
pub mod providers;
mod relay;
pub mod rules;
pub mod spans;
mod standing;
pub mod tokens;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod flight_tests;
#[cfg(test)]
mod length_tests;
#[cfg(test)]
mod lookup_tests;
#[cfg(test)]
mod recall_tests;
#[cfg(test)]
mod tests;

use actix::{Actor, Addr};
pub use actor::RoutingRoom;
use messages::RoutingParts;

impl RoutingRoom {
    /// Starts the room on the current arbiter.
    pub fn start(parts: RoutingParts) -> Addr<Self> {
        Actor::start(Self::new(parts))
    }
}
