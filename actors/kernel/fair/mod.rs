//! Fair sharing of a few slots between many tenants: the neighbour that asks for everything gets its share.
//!
//! Purpose: hand the slots of one kind of work to whoever waits and has had the least of them, by weight.
//! Owns: one queue and one service counter for each lane (a tenant in one pool) that is waiting, served or in debt.
//! Sends to: nobody; a slot goes to the task that waits for it.
//! Never: knows a tenant's name, plan or work; holds work back where a slot is free; lets a queue grow unbounded.
//! Invariants: FAIR1.
pub mod pool;
pub mod rules;

#[cfg(test)]
mod crowd_tests;
#[cfg(test)]
mod neighbour_tests;
#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod pool_tests;
#[cfg(test)]
mod tests;

pub use pool::{FairPool, Lane, Neighbours, Place, Slot};
pub use rules::{Gap, Limits};
