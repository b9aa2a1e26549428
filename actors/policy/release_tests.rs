use super::*;
use crate::compile::{FILES, SLO, SOVEREIGNTY, TENANT, USERS, compile};
use crate::guardrails::Guardrails;
use crate::rollout::Rules;
use std::path::Path;

fn folder() -> FileTexts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants/acme-corp");
    FILES.iter().map(|file| ((*file).to_owned(), std::fs::read_to_string(root.join(file)).unwrap())).collect()
}

/// The folder with texts of one file replaced; each must be there.
fn with(file: &str, changes: &[(&str, &str)]) -> PolicySnapshot {
    let mut texts = folder();
    let text = texts.get_mut(file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{file} has no {from:?}");
        *text = text.replacen(from, to, 1);
    }
    compile("acme-corp", &texts, &Guardrails::none()).unwrap()
}

fn before() -> PolicySnapshot {
    with(TENANT, &[])
}

#[test]
fn a_release_is_named_by_its_own_files_alone() {
    let texts = folder();
    for file in FILES {
        let mut changed = texts.clone();
        changed.get_mut(file).unwrap().push_str("\n# another word\n");
        assert_eq!(digest_of(&changed) != digest_of(&texts), RELEASED.contains(&file), "{file}");
    }
    let released = texts_of(&texts);
    assert!(released.contains_key(ROUTER) && !released.contains_key(USERS) && !released.contains_key(TENANT));
}

#[test]
fn what_people_would_notice_goes_in_stages() {
    let before = before();
    for (file, from, to) in [
        (GOVERNANCE, "require_citations: true", "require_citations: false"),
        (GOVERNANCE, "at_least: 262145", "at_least: 262146"),
        (ROUTER, "model: sentences", "model: paragraphs"),
        (FEATURES, "rollout_percent: 25", "rollout_percent: 26"),
        (RETRIEVAL, "top_k: 8", "top_k: 7"),
    ] {
        let next = with(file, &[(from, to)]);
        assert!(!next.is_released_like(&before), "{file}: {from}");
        assert_ne!(next.release, before.release, "{file}: {from}");
    }
}

#[test]
fn what_nobody_would_notice_comes_at_once() {
    let before = before();
    for (file, from, to) in [
        (GOVERNANCE, "policy_semver: 1.2.3", "policy_semver: 1.2.4"),
        (GOVERNANCE, "stage_minutes: 60", "stage_minutes: 5"),
        (SLO, "p95_latency_ms", "p95_latency_ms"),
        (SOVEREIGNTY, "    - ru-*\n", "    - ru-*\n    - xx-*\n"),
    ] {
        assert!(with(file, &[(from, to)]).is_released_like(&before), "{file}: {from}");
    }
}

#[test]
fn a_kill_switch_reaches_both_sides_at_once() {
    let before = before();
    let name = before.features.features.iter().find(|(_, feature)| !feature.kill_switch).unwrap().0.clone();
    let killed = with(FEATURES, &[(&format!("{name}:\n"), &format!("{name}:\n    kill_switch: true\n"))]);
    assert!(killed.features.features[&name].kill_switch);
    assert!(killed.beside(&before).features.features[&name].kill_switch);
    assert!(killed.is_released_like(&before));
    assert!(!before.is_released_like(&killed), "letting it on again is a release");
}

#[test]
fn the_release_before_serves_under_what_holds_for_everybody() {
    let mut texts = folder();
    for (file, from, to) in [
        (GOVERNANCE, "policy_semver: 1.2.3", "policy_semver: 2.0.0"),
        (GOVERNANCE, "require_citations: true", "require_citations: false"),
        (SOVEREIGNTY, "    - ru-*\n", "    - ru-*\n    - xx-*\n"),
    ] {
        let text = texts.get_mut(file).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        *text = text.replacen(from, to, 1);
    }
    let (before, next) = (before(), compile("acme-corp", &texts, &Guardrails::none()).unwrap());
    let staged = Arc::new(next.in_stages(&before));
    let control = staged.settled();
    assert_eq!((control.version.as_str(), staged.version.as_str()), ("1.2.3", "2.0.0"));
    assert!(control.governance.require_citations && !staged.governance.require_citations);
    assert!(control.sovereignty.forbidden_regions.contains(&"xx-*".to_owned()), "regions are everybody's at once");
    assert!(
        control.digest != before.digest && control.digest != next.digest,
        "answers kept for one are not the other's"
    );
    assert!(!staged.is_same_as(&next) && staged.for_everybody().is_same_as(&next));
    assert_eq!(Arc::new(next.clone()).settled().version, "2.0.0");
}

#[test]
fn stages_are_as_long_as_the_tenant_says() {
    let next =
        with(GOVERNANCE, &[("stage_minutes: 60", "stage_minutes: 5"), ("stage_requests: 100", "stage_requests: 7")]);
    let rules = Rules::from(next.governance.rollout.as_ref().unwrap());
    assert_eq!((rules.stage_ms, rules.canary_requests), (300_000, 7));
    assert_eq!(
        (rules.false_rollback_ppm, rules.margin),
        (Rules::default().false_rollback_ppm, Rules::default().margin)
    );
}

#[test]
fn a_rollout_in_which_nothing_is_a_failure_is_refused() {
    let mut texts = folder();
    let text = texts.get_mut(GOVERNANCE).unwrap();
    *text = text.replacen("failures: [fault, refusal]", "failures: []", 1);
    let errors = compile("acme-corp", &texts, &Guardrails::none()).unwrap_err();
    assert!(errors[0].to_string().contains("every version as good"), "{errors:?}");
}
