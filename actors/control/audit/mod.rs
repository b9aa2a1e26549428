//! Purpose: shows who did what in the control plane (spec 4, audit trail), from its journal, and lets an outsider verify it.
//! Owns: nothing; the registry has the journal.
//! Never: a secret, or the digest of one, among what is told of an entry.
//! Invariants: what is told of an entry is what it says; an export verifies as long as nothing of the journal was changed.
pub mod rules;
pub mod trail;
pub mod verification;
