//! What a tenant says of the documents it trusts: the block `security` of `policies/retrieval.yaml`, as it is written.
//! [`crate::guard`] compiles it.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Trust and poisoning guard (specification 2.3 `TenantSecurityPolicy`).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityRules {
    /// Host names documents may come from; `*.example.org` allows every host below. Uploads without a source
    /// count as `upload.local`.
    pub allowlist: Vec<String>,
    /// Linear-time regular expressions; a chunk that matches one is never retrieved.
    #[serde(default)]
    pub forbidden_patterns: Vec<String>,
    /// Refuse documents without a valid detached signature.
    #[serde(default)]
    pub signature_required: bool,
    /// Chunks below this trust score (0 to 1) are never retrieved.
    pub min_trust_score: f64,
    /// Trust score by source host (0 to 1), written as in the allowlist; the longest matching host wins.
    #[serde(default)]
    pub trust_scores: BTreeMap<String, f64>,
    /// Trust score of an allowed host that is not listed.
    #[serde(default = "default_trust")]
    pub default_trust_score: f64,
    /// How answers choose among the passages found; absent: the best ones, whatever their trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<SelectionRules>,
}

/// How answers choose among the passages found: against passages that were planted to be found.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectionRules {
    /// A passage's score counts times its trust score to this power (0 to 16); 0: trust does not order what is found.
    #[serde(default)]
    pub trust_exponent: f64,
    /// A passage that repeats the question word for word counts only from sources trusted at least this far (0 to 1).
    #[serde(default)]
    pub question_repeated_min_trust: Option<f64>,
    /// Passages of one line of the allowlist that say nearly the same, more than three of them, count only where they are
    /// trusted at least this far (0 to 1): that is how passages look that were planted for one question. Forms and
    /// contracts of one pattern look so, too, and whoever writes under that line can put a passage out by copying it: trust
    /// sources as far where nobody else writes.
    #[serde(default)]
    pub alike_min_trust: Option<f64>,
}

fn default_trust() -> f64 {
    0.5
}
