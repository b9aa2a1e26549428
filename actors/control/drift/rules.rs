//! What tenants say, as the map. Pure.
use super::messages::{DriftMap, DriftSource, PolicyConflict, TenantDrift};
use bailiwick_kernel::clock::rfc3339;
use bailiwick_policy::drift::trend::Quality;
use bailiwick_tenant::quality::messages::QualityView;
use std::collections::BTreeMap;

/// Conflicts of one tenant that are told; the conflict map has them all.
const CONFLICTS_MAX: usize = 20;
/// The kind of a policy that cannot come into force.
const NOT_IN_FORCE: &str = "not_in_force";

/// The map of tenants and what those that answered have said, by name.
#[must_use]
pub fn map(tenants: &[DriftSource], said: &BTreeMap<String, QualityView>, now_unix_ms: u64) -> DriftMap {
    let one = |source: &DriftSource| {
        let said = said.get(&source.name);
        let drift = TenantDrift {
            drift_score: said.map(|view| view.drift_score),
            avg_trust: said.and_then(|view| view.avg_trust),
            policy_changes_7d: source.policy_changes_7d,
            quality_trend: said.map_or(Quality::Unknown, |view| view.quality_trend),
        };
        (source.name.clone(), drift)
    };
    let mut conflicts: Vec<_> = tenants.iter().flat_map(conflicts_of).collect();
    conflicts.sort();
    DriftMap { generated_at: rfc3339(now_unix_ms), tenants: tenants.iter().map(one).collect(), conflicts }
}

fn conflicts_of(source: &DriftSource) -> Vec<PolicyConflict> {
    let version = source.policy.as_ref().map(|policy| policy.settled().version.clone()).unwrap_or_default();
    let conflict = |kind: String, rule: &str, problem: &str| PolicyConflict {
        tenant: source.name.clone(),
        policy_version: version.clone(),
        kind,
        rule: rule.to_owned(),
        problem: problem.to_owned(),
    };
    let found = source.policy.iter().flat_map(|policy| policy.conflicts.found.iter().take(CONFLICTS_MAX));
    let found = found.map(|found| {
        let kind = serde_json::to_value(found.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
        conflict(kind.unwrap_or_default(), &found.rule, &found.problem)
    });
    let refused = source.refused.iter().map(|problem| conflict(NOT_IN_FORCE.to_owned(), "", problem));
    found.chain(refused).collect()
}
