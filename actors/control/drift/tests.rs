use super::messages::{DriftSource, TenantDrift};
use super::rules::map;
use crate::registry::fixtures::NOW;
use bailiwick_policy::drift::trend::Quality;
use bailiwick_tenant::quality::messages::QualityView;
use serde_json::json;
use std::collections::BTreeMap;

fn tenant(name: &str, refused: Option<&str>) -> DriftSource {
    let refused = refused.map(str::to_owned);
    DriftSource { name: name.to_owned(), policy: None, refused, policy_changes_7d: 2, quality: None }
}

fn view(drift_score: f64) -> QualityView {
    QualityView {
        drift_score,
        distance: 0.2,
        p_value: Some(0.001),
        level: 0.005,
        questions_recent: 100,
        questions_reference: 400,
        dispersion: 1.0,
        avg_trust: Some(0.78),
        quality_trend: Quality::Stable,
        quality_change_low: Some(-0.01),
        quality_change_high: Some(0.01),
    }
}

#[test]
fn the_map_has_the_specifications_shape() {
    let tenants = [tenant("beta-inc", None), tenant("acme-corp", None)];
    let said = BTreeMap::from([("acme-corp".to_owned(), view(0.05)), ("beta-inc".to_owned(), view(0.12))]);
    let one = |drift_score: f64| json!({"drift_score": drift_score, "avg_trust": 0.78, "policy_changes_7d": 2, "quality_trend": "stable"});
    let expected = json!({
        "generated_at": bailiwick_kernel::clock::rfc3339(NOW),
        "tenants": {"acme-corp": one(0.05), "beta-inc": one(0.12)},
        "conflicts": [],
    });
    assert_eq!(serde_json::to_value(map(&tenants, &said, NOW)).unwrap(), expected);
}

#[test]
fn of_a_tenant_that_says_nothing_nothing_is_said() {
    let drawn = map(&[tenant("quiet", None)], &BTreeMap::new(), NOW);
    let unknown =
        TenantDrift { drift_score: None, avg_trust: None, policy_changes_7d: 2, quality_trend: Quality::Unknown };
    assert_eq!(drawn.tenants["quiet"], unknown);
}

#[test]
fn a_policy_that_cannot_come_into_force_is_a_conflict() {
    let tenants = [tenant("b", Some("router.yaml:3: unknown key")), tenant("a", Some("its folder is gone"))];
    let drawn = map(&tenants, &BTreeMap::new(), NOW);
    let told: Vec<_> =
        drawn.conflicts.iter().map(|one| (one.tenant.as_str(), one.kind.as_str(), one.problem.as_str())).collect();
    let expected = [("a", "not_in_force", "its folder is gone"), ("b", "not_in_force", "router.yaml:3: unknown key")];
    assert_eq!(told, expected);
}
