use crate::compile::{FILES, SOVEREIGNTY, TENANT, compile};
use crate::guardrails::Guardrails;
use crate::parse::FileTexts;
use std::path::Path;

/// `data-sovereignty.yaml` as the specification writes it (2.5), word for word.
const SPECIFIED: &str = "tenant_id: acme-corp
data_sovereignty:
  region: us-east-1
  allowed_regions:
    - us-east-1
    - us-west-2
  forbidden_regions:
    - cn-*
    - ru-*

  retention:
    logs_days: 90
    data_days: 365
    backups_days: 2555  # 7 years

  encryption:
    at_rest: AES-256
    in_transit: TLS-1.3
    kms_key_id: arn:aws:kms:us-east-1:123456789012:key/abc-def
    key_rotation_days: 90

  compliance:
    - HIPAA
    - SOC2
    - ISO27001
";

fn with(sovereignty: &str, record: impl Fn(&str) -> String) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants/acme-corp");
    let text = |file: &&str| Some(((*file).to_owned(), std::fs::read_to_string(folder.join(file)).ok()?));
    let mut texts: FileTexts = FILES.iter().filter_map(text).collect();
    texts.insert(SOVEREIGNTY.to_owned(), sovereignty.to_owned());
    let record = record(&texts[TENANT]);
    texts.insert(TENANT.to_owned(), record);
    let errors = compile("acme-corp", &texts, &Guardrails::none()).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn the_file_of_the_specification_is_taken_word_for_word() {
    assert_eq!(with(SPECIFIED, str::to_owned), [""; 0]);
}

#[test]
fn what_is_asked_for_must_be_known_and_kept() {
    let cases = [
        ("AES-256", "none", "encryption.at_rest: cannot encrypt with \"none\""),
        ("TLS-1.3", "TLS-1.0", "encryption.in_transit: cannot encrypt with \"TLS-1.0\""),
        ("TLS-1.3", "none", "encryption.in_transit: cannot encrypt with \"none\""),
        (
            "arn:aws:kms:us-east-1:",
            "arn:aws:kms:cn-north-1:",
            "encryption.kms_key_id: the key is kept where the data may not be",
        ),
        (
            "arn:aws:kms:us-east-1:123456789012:key/abc-def",
            "vault:cn-north-1:transit/acme",
            "encryption.kms_key_id: the key is kept where the data may not be",
        ),
        ("arn:aws:kms:us-east-1:", "arn:aws:kms::", "encryption.kms_key_id: the key is kept where the data may not be"),
        ("arn:aws:kms:us-east-1:123456789012:key/abc-def", "''", "encryption.kms_key_id: the text is empty"),
        ("key_rotation_days: 90", "key_rotation_days: 0", "encryption.key_rotation_days: 0 would refuse"),
        ("ISO27001", "ISO27002", "compliance[2]: \"ISO27002\" is no known regime: did you mean \"ISO27001\"?"),
        ("ISO27001", "SOC2", "compliance[2]: SOC2 stands here twice"),
        ("ISO27001", "PCI-DSS", "retention.logs_days: 90 days of logs are too few for PCI-DSS"),
        ("logs_days: 90", "logs_days: 0", "retention.logs_days: 0 days of logs are too few for HIPAA"),
        ("    - us-west-2\n", "    - '*'\n", "allowed_regions[1]: \"*\" is no region pattern"),
    ];
    for (from, to, problem) in cases {
        assert!(SPECIFIED.contains(from));
        let errors = with(&SPECIFIED.replace(from, to), str::to_owned);
        assert!(
            errors.len() == 1
                && errors[0].starts_with("data-sovereignty.yaml:")
                && errors[0].contains(&format!("data_sovereignty.{problem}")),
            "{from} → {to}: {errors:#?}"
        );
    }
    let kept = SPECIFIED.replace("logs_days: 90", "logs_days: 365").replace("ISO27001", "PCI-DSS");
    assert_eq!(with(&kept, str::to_owned), [""; 0]);
    let elsewhere = SPECIFIED.replace("arn:aws:kms:us-east-1:123456789012:key/abc-def", "vault/acme");
    assert_eq!(with(&elsewhere, str::to_owned), [""; 0], "a key whose name says nothing of its place");
}

#[test]
fn the_record_and_the_sovereignty_are_under_the_same_regimes() {
    let unnamed = with(&SPECIFIED.replace("    - SOC2\n", ""), str::to_owned);
    assert!(unnamed.len() == 1 && unnamed[0].contains("tenant.yaml:"), "{unnamed:#?}");
    assert!(unnamed[0].contains("metadata.compliance[1]: SOC2 is not named in data-sovereignty.yaml"), "{unnamed:#?}");
    let unknown = with(SPECIFIED, |record| record.replace("- SOC2", "- soc2"));
    assert!(
        unknown.iter().any(|error| error.contains("\"soc2\" is no known regime: did you mean \"SOC2\"?")),
        "{unknown:#?}"
    );
}
