//! Lineage that another system wrote before this one served the tenant.
//!
//! It is kept as it was told, marked as told: such a line proves nothing but that somebody brought it, from which line of which
//! file. It is no answer of this journal, carries no charge and is counted nowhere. A line is named by the SHA-256 of its file and
//! its number, and stands once; a whole file can be taken back until it is kept for good.
pub mod messages;
pub mod records;
pub mod rules;
#[cfg(test)]
mod tests;
