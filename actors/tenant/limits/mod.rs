//! What one tenant may use in a time and how much it may keep, decided without runtime, clock or I/O: rates of requests
//! and tokens, bytes of documents; for the tenant and for each of its domains, use cases, users and keys.
//!
//! Limits of several levels are all-or-nothing: all counters are looked at before any is changed.
mod book;
mod gcra;
pub mod rates;
pub mod scope;
pub mod sheet;
pub mod storage;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod rates_tests;
#[cfg(test)]
mod storage_tests;
