//! Finds passages by their meaning, beside the index of words: vectors in the tenant's own shelf, searched in memory or in a
//! collection outside that is a copy of it, made in the background by the tenant's own router and money. What may be found is said by
//! the index alone, under the guard in force.
mod arm;
mod asking;
mod indexing;
mod judging;
mod learning;
mod matrix;
mod mirror;
pub(super) mod mirrored;
mod outline;
mod pace;
pub(super) mod searching;
pub mod vectors;
mod views;

#[cfg(test)]
mod learning_tests;
#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod room_tests;

pub use arm::{Arm, Dense};
pub use asking::Door;
pub use indexing::{Indexing, KEY, indexer, run};
pub use matrix::{Matrix, Near};
pub(super) use mirror::{Mirroring, mirror};
pub use outline::Sides;
pub use searching::{Arms, Found, InForce, Meaning, Nearby, Way};
pub use views::{DenseView, OutsideView};
