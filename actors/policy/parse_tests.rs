use super::*;
use crate::schema::{GovernancePolicy, RouterFile, UsersFile};
use proptest::prelude::*;

const ROUTER: &str = "\
tenant_id: acme-corp
routing:
  primary:
    provider: extractive
    model: sentences
    temperature: 0.0
    max_tokens: 512
sla:
  p95_latency_ms: 3100
  error_rate_max: 0.01
  cost_per_1k_qa_usd: 0.10
budget:
  monthly_limit_usd: 10000
  daily_limit_usd: 500
";

fn router_error(from: &str, to: &str) -> String {
    assert!(ROUTER.contains(from), "{from:?}");
    parse::<RouterFile>("router.yaml", &ROUTER.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn a_good_file_reads() {
    let router: RouterFile = parse("router.yaml", ROUTER).unwrap();
    assert_eq!(router.sla.cost_per_1k_qa_usd.0, 100_000_000);
    assert_eq!(router.routing.fallback, None);
}

#[test]
fn unknown_keys_name_line_column_and_the_nearest_known_key() {
    for (from, to, error) in [
        ("max_tokens", "max_token", r#"router.yaml:7:5: unknown key "max_token": did you mean "max_tokens"?"#),
        ("max_tokens", "Max_Tokens", r#"router.yaml:7:5: unknown key "Max_Tokens": did you mean "max_tokens"?"#),
        ("temperature", "temprature", r#"router.yaml:6:5: unknown key "temprature": did you mean "temperature"?"#),
        ("sla:", "slo:", r#"router.yaml:8:1: unknown key "slo": did you mean "sla"?"#),
        (
            "daily_limit_usd",
            "zebra",
            r#"router.yaml:14:3: unknown key "zebra": known here: monthly_limit_usd, daily_limit_usd, hourly_limit_usd, time_zone, holds, ceilings, circuit_breaker"#,
        ),
    ] {
        assert_eq!(router_error(from, to), error);
    }
}

#[test]
fn other_slips_name_their_line() {
    for (from, to, place, words) in [
        (
            "max_tokens: 512",
            "max_tokens: 512\n    max_tokens: 513",
            "router.yaml:8:5: ",
            "key \"max_tokens\" stands here twice",
        ),
        ("512", "many", "router.yaml:7:17: ", "wrong value"),
        ("512", "-1", "router.yaml:7:17: ", "wrong value"),
        ("  daily_limit_usd: 500\n", "", "router.yaml:13:3: ", "missing key \"daily_limit_usd\""),
        ("0.10", "a lot", "router.yaml:11:23: ", "amount"),
        ("0.10", "-3", "router.yaml:11:23: ", "amount"),
        ("routing:\n", "routing: [\n", "router.yaml:", ""),
    ] {
        let error = router_error(from, to);
        assert!(error.starts_with(place) && error.contains(words) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn unknown_values_name_the_nearest_known_one() {
    let error = parse::<UsersFile>("users.yaml", "tenant_id: a\nusers:\n  - user_id: x\n    role: oner\n").unwrap_err();
    assert_eq!(error.to_string(), r#"users.yaml:4:11: unknown value "oner": did you mean "owner"?"#);
}

#[test]
fn only_true_and_false_are_booleans_and_no_is_a_text() {
    let governance = |value: &str| {
        format!(
            "tenant_id: no\ndomain_id: on\nusecase_id: 'yes'\npolicy_semver: 1.0.0\nrules: []\nsettings:\n  require_citations: {value}\n\
             metadata: {{created_at: a, updated_at: b, author: c, approval_status: approved}}\n"
        )
    };
    let read: GovernancePolicy = parse("g", &governance("false")).unwrap();
    assert_eq!(
        (read.tenant_id.as_str(), read.domain_id.as_str(), read.settings.require_citations),
        ("no", "on", false)
    );
    let error = parse::<GovernancePolicy>("g.yaml", &governance("no")).unwrap_err();
    assert_eq!((error.line, error.column), (7, 22));
    assert!(error.problem.contains("true or false"), "{error}");
}

#[test]
fn empty_double_tagged_and_huge_files_are_refused() {
    let two = format!("{ROUTER}---\n{ROUTER}");
    let huge = format!("{ROUTER}# {}", "x".repeat(POLICY_FILE_BYTES_MAX));
    let tagged = ROUTER.replacen("extractive", "!secret extractive", 1);
    for text in ["", "   \n# nothing\n", "null", "[]", two.as_str(), huge.as_str(), tagged.as_str(), "{", "\u{0}"] {
        let error = parse::<RouterFile>("router.yaml", text).unwrap_err();
        assert!(!error.problem.is_empty() && error.to_string().starts_with("router.yaml:"), "{error}");
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", ")));
    }
    assert!(parse::<serde_json::Value>("router.yaml", &bomb).is_err());
    assert!(parse::<RouterFile>("router.yaml", &bomb).is_err());
}

#[test]
fn a_far_word_gets_no_wrong_advice() {
    assert_eq!(nearest("max_token", &["model", "max_tokens"]), Some("max_tokens"));
    assert_eq!(nearest("temperature", &["model", "max_tokens"]), None);
    assert_eq!(nearest("", &["a", "model"]), Some("a"), "one letter is one slip");
    assert_eq!(advice("x", &[]), "remove it");
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse::<RouterFile>("router.yaml", &text);
        let _ = parse::<serde_json::Value>("router.yaml", &text);
        let _ = crate::places::Places::of(&text);
    }

    #[test]
    fn no_broken_file_panics(at in 0..ROUTER.len(), noise in "[-:{}\\[\\]&*!|>'\"%@`#\t\n a0.~<]{0,6}", length in 0..20_usize) {
        let end = (at + length).min(ROUTER.len());
        let text = format!("{}{noise}{}", &ROUTER[..at], &ROUTER[end..]);
        let _ = crate::places::Places::of(&text);
        if let Err(error) = parse::<RouterFile>("router.yaml", &text) {
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }
}
