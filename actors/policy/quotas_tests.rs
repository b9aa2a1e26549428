use super::*;
use crate::compile::{FILES, TENANT, compile};
use crate::guardrails::Guardrails;
use crate::parse::FileTexts;
use std::path::Path;

/// The acme folder with these lines at the end of its quotas.
fn with(lines: &str) -> FileTexts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants/acme-corp");
    let text = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let mut texts: FileTexts = FILES.iter().map(|file| ((*file).to_owned(), text(file))).collect();
    let tenant = texts.get_mut(TENANT).unwrap();
    assert!(tenant.contains("  max_storage_gb: 500\n"));
    *tenant = tenant.replace("  max_storage_gb: 500\n", &format!("  max_storage_gb: 500\n{lines}"));
    texts
}

fn errors(lines: &str) -> Vec<String> {
    compile("acme-corp", &with(lines), &Guardrails::none())
        .err()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn warnings(lines: &str) -> Vec<String> {
    compile("acme-corp", &with(lines), &Guardrails::none()).unwrap().warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn limits_of_every_level_are_read_and_nothing_is_assumed() {
    let lines = "  max_requests_per_minute: 400
  max_tokens_per_minute: 90000
  limits:
    - {level: domain, name: hr, max_requests_per_hour: 10, max_storage_gb: 0.5}
    - level: usecase
      name: \"*\"
      max_tokens_per_minute: 5000
    - {level: user, name: ben, max_concurrent_requests: 2}
    - {level: key, name: \"*\", max_requests_per_minute: 30}
";
    let quotas = compile("acme-corp", &with(lines), &Guardrails::none()).unwrap().tenant.quotas;
    assert_eq!((quotas.max_requests_per_minute, quotas.max_tokens_per_minute), (Some(400), Some(90_000)));
    let levels: Vec<Level> = quotas.limits.iter().map(|limit| limit.level).collect();
    assert_eq!(levels, Level::ALL);
    let [hr, every_usecase, ..] = quotas.limits.as_slice() else { panic!("{quotas:?}") };
    assert_eq!((hr.max_requests_per_hour, hr.max_requests_per_minute, hr.max_storage_gb), (Some(10), None, Some(0.5)));
    let holds = |limit: &LevelLimit, member: &str| names(&limit.name, member);
    assert!(holds(hr, "hr") && !holds(hr, "HR") && !holds(hr, "*") && holds(every_usecase, "anything"));
    let none = compile("acme-corp", &with(""), &Guardrails::none()).unwrap().tenant.quotas;
    assert_eq!((none.max_requests_per_minute, none.max_tokens_per_minute, none.limits), (None, None, vec![]));
    let written = serde_json::to_value(&quotas).unwrap();
    assert_eq!(serde_json::from_value::<Quotas>(written).unwrap(), quotas, "what is shown reads back");
}

#[test]
fn each_slip_in_a_limit_is_one_error_with_its_place() {
    for (entry, expected) in [
        ("{level: domain, name: hr}", "quotas.limits[0].level: this limits nothing"),
        ("{level: domain, name: \"\", max_concurrent_requests: 1}", "quotas.limits[0].name: the text is empty"),
        (
            "{level: user, name: ben, max_storage_gb: 1}",
            "quotas.limits[0].max_storage_gb: a document belongs to a domain and a use case, not to a user",
        ),
        ("{level: domain, name: hr, max_storage_gb: -1}", "quotas.limits[0].max_storage_gb: -1 is no size"),
        (
            "{level: domain, name: hr, max_requests_per_minute: 0}",
            "quotas.limits[0].max_requests_per_minute: 0 would refuse",
        ),
        ("{level: tenant, name: hr, max_storage_gb: 1}", "unknown value \"tenant\""),
        ("{level: key, name: k, max_request_per_hour: 1}", "did you mean \"max_requests_per_hour\"?"),
        (
            "{level: key, name: k, max_requests_per_hour: 1}\n    - {level: key, name: k, max_concurrent_requests: 1}",
            "quotas.limits[1].name: the key \"k\" stands here twice",
        ),
    ] {
        let errors = errors(&format!("  limits:\n    - {entry}\n"));
        assert!(errors.len() == 1 && errors[0].contains(expected), "{expected}: {errors:#?}");
        assert!(errors[0].starts_with("tenant.yaml:") && !errors[0].starts_with("tenant.yaml:0"), "{errors:#?}");
    }
    let many = "    - {level: domain, name: hr, max_requests_per_hour: 1}\n".repeat(LIMITS_MAX + 1);
    let errors = errors(&format!("  limits:\n{many}"));
    assert!(errors.len() == 1 && errors[0].contains("quotas.limits: 65 limits are too many"), "{errors:#?}");
    assert_eq!(self::errors("  max_tokens_per_minute: 0\n").len(), 1);
}

#[test]
fn figures_that_are_never_reached_are_said() {
    let per_hour = compile("acme-corp", &with(""), &Guardrails::none()).unwrap().tenant.quotas.max_requests_per_hour;
    let above = per_hour + 1;
    for (lines, expected) in [
        (format!("  max_requests_per_minute: {above}\n"), "quotas.max_requests_per_minute: "),
        (
            "  limits:\n    - {level: key, name: k, max_requests_per_hour: 5, max_requests_per_minute: 6}\n".to_owned(),
            "quotas.limits[0].max_requests_per_minute: 6 a minute are above the 5 of an hour",
        ),
        (
            format!("  limits:\n    - {{level: user, name: ben, max_requests_per_hour: {above}}}\n"),
            "quotas.limits[0].max_requests_per_hour: ",
        ),
        (
            "  limits:\n    - {level: domain, name: hr, max_storage_gb: 501}\n".to_owned(),
            "501 of the domain \"hr\" is above the tenant's own 500",
        ),
        (
            "  limits:\n    - {level: user, name: ben, max_concurrent_requests: 9}\n    - {level: user, name: \"*\", max_concurrent_requests: 8}\n".to_owned(),
            "9 of the user \"ben\" is above the one of every member 8",
        ),
    ] {
        let warnings = warnings(&lines);
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{expected}: {warnings:#?}");
    }
    let fine = "  limits:\n    - {level: user, name: ben, max_requests_per_hour: 5, max_requests_per_minute: 5}\n";
    assert_eq!(warnings(fine), Vec::<String>::new());
}

#[test]
fn gigabytes_become_whole_bytes() {
    for (gigabytes, bytes) in [(0.0, 0), (1.0, 1_000_000_000), (0.000_000_001, 1), (f64::NAN, 0), (-3.0, 0)] {
        assert_eq!(bytes_of_gb(gigabytes), bytes);
    }
}
