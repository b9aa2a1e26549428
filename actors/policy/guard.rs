//! The trust and poisoning guard of specification 2.3, compiled: which chunks may ever be retrieved.
use regex::RegexSet;

/// Compiled [`crate::schema::SecurityRules`].
#[derive(Clone, Debug)]
pub struct Guard {
    /// SHA-256 over the canonical rules, in hexadecimal: an index carries the fingerprint it was judged under.
    pub fingerprint: String,
    /// Patterns no retrieved chunk may contain.
    pub forbidden: RegexSet,
    /// Lowest trust score (0 to 1) of a retrieved chunk.
    pub min_trust_score: f64,
    /// Documents need a valid detached signature.
    pub signature_required: bool,
}
