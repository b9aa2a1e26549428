//! Calls under an `Idempotency-Key` (contract §2): the same key and body give the same answer and are charged once, also
//! while the first call is still under way and after a crash; another body is refused.
//!
//! * `name`: under which name a call is known.
//! * `rules`: absent → in flight, with those who wait → kept in the journal.
//! * `keeping`: what the journal keeps of a call, and what a repeat is told from it.
//! * `keyed`: the duty of a turn in flight to tell those who wait how it ended.
//! * `index`: where kept replies stand in the journal; a derived shelf.
//! * `shell`: the supervisor's part.
pub(super) mod index;
pub mod judging;
pub mod keeping;
pub mod keyed;
pub mod name;
pub mod rules;
pub(super) mod shell;
#[cfg(test)]
mod shell_tests;
#[cfg(test)]
mod storm_tests;
#[cfg(test)]
mod tests;
