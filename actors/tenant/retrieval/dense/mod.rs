//! Finds passages by their meaning, beside the index of words: vectors in the tenant's own shelf and memory, made in the
//! background by the tenant's own router and money. What may be found is said by the index alone, under the guard in force.
mod arm;
mod asking;
mod indexing;
mod judging;
mod learning;
mod matrix;
mod pace;
pub(super) mod searching;
pub mod vectors;

#[cfg(test)]
mod learning_tests;
#[cfg(test)]
mod room_tests;

pub use arm::{Arm, Dense, DenseView};
pub use asking::Door;
pub use indexing::{Indexing, KEY, indexer, run};
pub use matrix::{Matrix, Near};
pub use searching::{Arms, Found, InForce, Meaning, Way};
