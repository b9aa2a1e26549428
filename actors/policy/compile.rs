//! Parsed files to the one snapshot a tenant's rooms run under.
use crate::guard::Guard;
use crate::schema::*;
use regex::RegexSet;
use std::sync::Arc;

/// Everything a tenant's rooms need to decide, immutable, swapped whole.
#[derive(Clone, Debug)]
pub struct PolicySnapshot {
    /// The version answers are stamped with: the `policy_semver` of `governance.yaml`.
    pub version: String,
    /// SHA-256 over all files of the tenant that decide anything, in hexadecimal.
    pub digest: String,
    /// The registry record.
    pub tenant: TenantFile,
    /// The compiled trust and poisoning guard.
    pub guard: Arc<Guard>,
    /// Passages taken into an answer by default.
    pub top_k: usize,
    /// Patterns no answer may contain.
    pub output_forbidden: RegexSet,
    /// Governance rules as written.
    pub governance: GovernanceRules,
    /// Evaluation rules as written.
    pub evaluation: EvaluationRules,
    /// Primary, fallback, service level, budget.
    pub router: RouterFile,
    /// Feature flags.
    pub features: FeaturesFile,
    /// Where data and calls may be.
    pub sovereignty: Sovereignty,
    /// Objectives.
    pub slo: Objectives,
    /// Users.
    pub users: Vec<User>,
}
