//! Whether what a tenant is told has changed: the last seven days against the four weeks before, by tests whose level is
//! stated. Seven days and four weeks hold every weekday equally often, so that a quiet Sunday is no drift.
//!
//! Specification 2.6 asks for one number and one word a tenant. The number is above zero only where chance does not explain the
//! difference, so that thin data never look like drift; the word is `unknown` where the data can bear no other.
pub mod rules;
pub mod sample;
pub mod trend;

#[cfg(test)]
mod tests;
