use super::rules::Kind;
use super::*;
use crate::compile::{EVALUATION, GOVERNANCE, RETRIEVAL};
use crate::flags::{Context, ServiceLevel, evaluate};
use crate::schema::{FeaturesFile, GovernancePolicy, RetrievalPolicy, RouterFile};
use serde_json::json;

const NOW: &str = "2026-11-26T06:00:00Z";

fn target() -> FileTexts {
    crate::compile::FILES
        .into_iter()
        .map(|file| {
            let path = format!("{}/../../tenants/default/{file}", env!("CARGO_MANIFEST_DIR"));
            (file.to_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn of(files: &[(&str, &str)]) -> Translation {
    let old = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    translate(&Asked { tenant: "default", old: &old, target: &target(), providers: &["ours".to_owned()], now: NOW })
}

fn notes(translation: &Translation) -> Vec<String> {
    translation.notes.iter().map(|note| format!("{:?} {}", note.fate, note.at)).collect()
}

fn says(translation: &Translation, wanted: &str) {
    assert!(notes(translation).iter().any(|note| note.contains(wanted)), "{wanted}: {:#?}", notes(translation));
}

fn read<T: serde::de::DeserializeOwned>(translation: &Translation, file: &str) -> T {
    assert_eq!(translation.refused, []);
    parse(file, &translation.files[file]).unwrap()
}

#[test]
fn old_keys_stand_where_todays_do_wherever_they_stood() {
    let flat = "version: 1.3\nallowlist: [intra.example]\nmin_trust_score: 0.4\nk: 5\n";
    let grouped = "policy_semver: 1.3.0\nsettings:\n  top_k: 5\n  security:\n    allowed_domains: [intra.example]\n    trust_threshold: 0.4\n";
    let halves = "semver: v1.3.0\nsecurity: {allowlist: [intra.example], min_trust_score: 0.4}\ntop_k: 5\n";
    for old in [flat, grouped, halves] {
        let translation = of(&[(RETRIEVAL, old)]);
        let file: RetrievalPolicy = read(&translation, RETRIEVAL);
        assert_eq!(file.policy_semver, "1.3.0");
        assert_eq!((file.tenant_id.as_str(), file.domain_id.as_str()), ("default", "*"));
        assert_eq!((file.settings.top_k, file.settings.security.min_trust_score), (5, 0.4));
        assert_eq!(file.settings.security.allowlist, ["intra.example", "upload.local"]);
        assert_eq!(file.settings.security.forbidden_patterns.len(), 2, "what is not said stays");
        assert_eq!(file.metadata.updated_at, NOW);
        says(&translation, "upload.local is added");
    }
}

#[test]
fn what_has_no_meaning_is_named_with_its_line_and_the_nearest_key() {
    let old = "version: 2.0.0\nmin_trust_scor: 0.4\nembedding:\n  model: e5\norigin_signature: abc\ntenant_id: someone\ntop_k: many\n";
    let translation = of(&[(RETRIEVAL, old), ("policies/safety.yaml", "a: 1\n"), ("users.yam", "a: 1\n")]);
    says(
        &translation,
        "Lost policies/retrieval.yaml:2:17: min_trust_scor: unknown key \"min_trust_scor\", left behind: did you mean \"min_trust_score\"?",
    );
    says(&translation, "policies/retrieval.yaml:4:3: embedding: unknown key");
    says(&translation, "origin_signature: a signature inside");
    says(&translation, "tenant_id: \"someone\" is left behind");
    says(&translation, "top_k: left behind");
    says(&translation, "policies/safety.yaml: no tenant has such a file");
    says(&translation, "users.yam: no tenant has such a file: did you mean \"users.yaml\"?");
    assert_eq!(translation.files, FileTexts::new(), "nothing that is carried changes anything");
}

#[test]
fn a_file_that_changes_nothing_needs_no_version() {
    let old = "version: 9.0.0\nsample_rate: 0.05\nmetadata:\n  author: me@example.org\n";
    assert_eq!(of(&[(EVALUATION, old)]).files, FileTexts::new());
}

#[test]
fn a_version_never_comes_back() {
    let of_version = |version: &str| {
        let translation = of(&[(EVALUATION, &format!("{version}sample_rate: 0.5\n"))]);
        read::<crate::schema::EvaluationPolicy>(&translation, EVALUATION).policy_semver
    };
    assert_eq!(of_version("version: 0.9.9\n"), "1.1.0");
    assert_eq!(of_version("version: 1.0.0\n"), "1.1.0");
    assert_eq!(of_version("version: latest\n"), "1.1.0");
    assert_eq!(of_version(""), "1.1.0");
    assert_eq!(of_version("version: 3\n"), "3.0.0");
}

#[test]
fn rules_are_added_and_what_today_cannot_say_is_named() {
    let old = "version: 2.0.0\nforbidden_output_patterns: ['secret']\nrules:\n  - id: no-embeddings\n    effect: forbid\n    actions: [embed]\n    when: {request.bytes: {at_least: 9000}}\n    overrides: [members-work]\n  - id: odd\n    effect: throttle\n    actions: [ask]\n  - when: after lunch\n";
    let translation = of(&[(GOVERNANCE, old)]);
    let file: GovernancePolicy = read(&translation, GOVERNANCE);
    let ids: Vec<_> = file.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["members-work", "models-of-the-router", "no-embeddings"]);
    assert_eq!(file.settings.output_forbidden_patterns, ["secret"]);
    says(&translation, "policies/governance.yaml:9:5: rules[1]: left behind, today's rules cannot say it");
    says(&translation, "rules[2]: left behind");
}

#[test]
fn what_never_served_is_not_carried() {
    let translation = of(&[(GOVERNANCE, "version: 2.0.0\napproval_status: pending\nrequire_citations: false\n")]);
    assert_eq!(translation.files, FileTexts::new());
    says(&translation, "it is not approved and never served");
}

#[test]
fn files_that_would_not_serve_are_refused_as_a_whole() {
    let translation = of(&[(RETRIEVAL, "version: 2.0.0\nforbidden_patterns: ['(unclosed']\n")]);
    assert!(
        translation.refused.iter().any(|error| error.to_string().contains("forbidden_patterns[0]")),
        "{translation:?}"
    );
    let broken = of(&[(RETRIEVAL, "version: [\n"), (EVALUATION, "just words\n")]);
    assert_eq!(broken.refused.len(), 2, "{broken:?}");
}

#[test]
fn a_corpus_that_was_retrieved_is_retrieved() {
    let old = "version: 2.0.0\nallowlist: [upload.local]\nmin_trust_score: 0.9\ntrust_scores: {}\n";
    let translation = of(&[(RETRIEVAL, old)]);
    let file: RetrievalPolicy = read(&translation, RETRIEVAL);
    assert_eq!(file.settings.security.trust_scores["upload.local"], 0.9);
    says(&translation, "upload.local is trusted 0.9");
}

#[test]
fn a_router_is_carried_section_by_section_and_never_to_a_provider_nobody_has() {
    let old = "routing:\n  primary: {provider: ours, model: m}\nbudget:\n  daily_limit_usd: 20\n  colour: red\nsla: {p95_latency_ms: fast}\nretries: 3\n";
    let translation = of(&[(ROUTER, old)]);
    let file: RouterFile = read(&translation, ROUTER);
    assert_eq!((file.routing.primary.provider.as_str(), file.routing.fallback), ("ours", None));
    assert_eq!(file.budget.daily_limit_usd.to_string(), "20");
    assert_eq!(file.budget.monthly_limit_usd.to_string(), "31000", "what is not said stays");
    for wanted in ["budget.colour: unknown key", "sla: left behind", "retries: unknown key"] {
        says(&translation, wanted);
    }
    let unknown = of(&[(ROUTER, "routing:\n  primary: {provider: theirs, model: m}\n")]);
    assert_eq!(unknown.files, FileTexts::new());
    says(&unknown, "--provider theirs");
}

#[test]
fn the_matrix_says_the_same_as_flags() {
    let matrix = json!({"beta_search": true, "streaming": false, "tone": "plain", "limit": 12.5, "style": {"size": 3},
        "staged": {"enabled": true, "rollout_percent": 100, "colour": "red"}, "nothing": null, "list": [1], "bad name": true});
    let wrapped = json!({"version": 3, "features": matrix});
    for (file, old, lost) in [
        ("features.json", matrix.to_string(), 4),
        ("features.yaml", serde_saphyr::to_string(&matrix).unwrap(), 4),
        ("features.yml", wrapped.to_string(), 5),
    ] {
        let translation = of(&[(file, &old)]);
        let flags: FeaturesFile = read(&translation, FEATURES);
        let said = |name: &str| {
            let context = Context::default();
            let said = evaluate(&flags, ServiceLevel::Kept, name, &context);
            said.unwrap_or_else(|error| panic!("{file} {name}: {error:?}: {:#?}", notes(&translation))).value.clone()
        };
        for name in ["beta_search", "streaming", "tone", "limit", "style"] {
            assert_eq!(said(name), matrix[name], "{file}: {name}");
        }
        assert_eq!(said("staged"), true);
        assert!(flags.features.contains_key("hybrid_retrieval"), "the tenant's own flags stay");
        assert_eq!(translation.notes.len(), lost, "{:#?}", notes(&translation));
        says(&translation, "unknown key \"colour\"");
    }
}

#[test]
fn every_kind_is_known_by_its_file() {
    assert_eq!(Kind::of("policies/retrieval.yml"), Some(Kind::Retrieval));
    assert_eq!(Kind::of(GOVERNANCE), Some(Kind::Governance));
    assert_eq!(Kind::of("policies/retrieval"), Some(Kind::Retrieval));
    assert_eq!(Kind::of("retrieval.yaml"), None);
}
