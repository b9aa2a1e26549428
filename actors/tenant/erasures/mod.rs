//! Requests for erasure: what is asked for and by whom, which documents it is about, how it stands. A request names nobody:
//! document and subject stand in it as keyed digests, so that what is left of a request is no trace of whom it was about.
//!
//! A request is no order: documents go by the algebra of `policy/retention`, each for itself, by the room that keeps them. What
//! keeps one is named, and the request stays open until nothing does.
pub mod messages;
pub mod records;
pub mod rules;
#[cfg(test)]
mod tests;
