//! Tables and properties of the room's rules.
use super::messages::{Content, NewDocument};
use super::rules::*;
use crate::egress::fixtures::here;
use crate::entry::DocumentAccepted;
use crate::question::{Matter, Question};
use bailiwick_kernel::limits::{DOCUMENT_BYTES_MAX, DOCUMENTS_PER_REQUEST_MAX, TOP_K_MAX};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::guard::Guard;
use bailiwick_policy::retention::Rules;
use bailiwick_policy::schema::{LegalHold, Retention, SecurityRules, Selects, SovereignEncryption, Sovereignty};
use bailiwick_policy::visibility::Visible;
use proptest::prelude::*;

pub(super) fn text(text: &str) -> NewDocument {
    NewDocument {
        id: None,
        title: None,
        content: Content::Text(text.into()),
        source: None,
        domain: None,
        usecase: None,
        region: None,
        signature: None,
        metadata: None,
    }
}

fn file(name: &str, bytes: &'static [u8]) -> NewDocument {
    NewDocument { content: Content::File { name: name.into(), bytes: bytes.into() }, ..text("") }
}

fn home() -> Sovereignty {
    Sovereignty {
        region: "eu-west-1".into(),
        allowed_regions: vec!["eu-west-1".into(), "eu-central-1".into()],
        forbidden_regions: vec!["cn-*".into()],
        retention: Retention { logs_days: 1, data_days: 30, data_days_max: None, backups_days: 1 },
        encryption: SovereignEncryption {
            at_rest: "AES-256".into(),
            in_transit: "TLS-1.3".into(),
            kms_key_id: None,
            key_rotation_days: None,
        },
        compliance: vec![],
    }
}

fn accepted(id: &str) -> DocumentAccepted {
    DocumentAccepted {
        id: id.into(),
        title: "T".into(),
        source: "https://example.org/a".into(),
        domain: "general".into(),
        usecase: "general".into(),
        region: "eu-west-1".into(),
        text_sha256: sha256_hex(b"text"),
        bytes: 4,
        chars: 4,
        chunks: 1,
        page_starts: vec![],
        signature: None,
        metadata_json: String::new(),
        at_unix_ms: 1_000,
        by: "key".into(),
    }
}

pub(super) fn security() -> SecurityRules {
    SecurityRules {
        allowlist: vec!["upload.local".into(), "example.org".into()],
        forbidden_patterns: vec!["(?i)ignore previous instructions".into()],
        signature_required: false,
        min_trust_score: 0.3,
        trust_scores: [("example.org".to_owned(), 0.8)].into(),
        default_trust_score: 0.5,
        selection: None,
    }
}

fn id_of(document: &NewDocument) -> String {
    intake(document, &here()).unwrap().id
}

#[test]
fn the_same_file_has_the_same_id_whatever_it_contains() {
    assert_eq!(id_of(&file("a/report.txt", b"one")), id_of(&file("C:\\b\\report.txt", b"two")));
    assert_ne!(id_of(&file("report.txt", b"one")), id_of(&file("other.txt", b"one")));
    let from = |source: &str| NewDocument { source: Some(source.into()), ..file("report.txt", b"one") };
    assert_ne!(id_of(&from("https://example.org/a")), id_of(&from("https://example.org/b")));
    let titled = |title: &str, body: &str| NewDocument { title: Some(title.into()), ..text(body) };
    assert_eq!(id_of(&titled("T", "one")), id_of(&titled("T", "two")));
    assert_ne!(id_of(&text("one")), id_of(&text("two")));
    assert_eq!(id_of(&text("one")), id_of(&text("one")));
    assert!(id_of(&text("one")).starts_with("doc-") && id_of(&text("one")).len() == 20);
}

#[test]
fn what_is_absent_has_its_default() {
    let taken = intake(&file("/tmp/a/leaflet.md", b"# Leaflet"), &here()).unwrap();
    assert_eq!(taken.source, "upload.local/leaflet.md");
    assert_eq!(
        (taken.domain.as_str(), taken.usecase.as_str(), taken.place.region().as_str()),
        ("general", "general", "eu-west-1")
    );
    assert_eq!(taken.bytes, 9);
    let named = intake(&NewDocument { id: Some(" d1 ".into()), ..text("x") }, &here()).unwrap();
    assert_eq!((named.id.as_str(), named.source.as_str()), ("d1", "upload.local/d1"));
}

#[test]
fn what_cannot_be_taken_says_why() {
    let long = |chars: usize| Some("x".repeat(chars));
    let refused = [
        (NewDocument { id: long(ID_CHARS_MAX + 1), ..text("x") }, Code::InvalidRequest, "id"),
        (NewDocument { id: Some("a\nb".into()), ..text("x") }, Code::InvalidRequest, "control"),
        (NewDocument { domain: long(NAME_CHARS_MAX + 1), ..text("x") }, Code::InvalidRequest, "domain"),
        (NewDocument { source: Some("https://x\u{0}".into()), ..text("x") }, Code::InvalidRequest, "source"),
        (NewDocument { region: Some("cn-north-1".into()), ..text("x") }, Code::SovereigntyViolation, "cn-north-1"),
        (NewDocument { region: Some("us-east-1".into()), ..text("x") }, Code::SovereigntyViolation, "us-east-1"),
        (NewDocument { metadata: Some(serde_json::json!([1])), ..text("x") }, Code::InvalidRequest, "metadata"),
        (
            NewDocument { metadata: Some(serde_json::json!({"k": "v".repeat(METADATA_BYTES_MAX)})), ..text("x") },
            Code::InvalidRequest,
            "metadata",
        ),
        (NewDocument { signature: long(SIGNATURE_BYTES_MAX + 1), ..text("x") }, Code::InvalidRequest, "signature"),
        (file("..", b"x"), Code::InvalidRequest, "name"),
        (file("folder/", b"x"), Code::InvalidRequest, "name"),
        (text(&"x".repeat(DOCUMENT_BYTES_MAX + 1)), Code::TooLarge, "split"),
    ];
    for (document, code, word) in refused {
        let rejection = intake(&document, &here()).unwrap_err();
        assert_eq!(rejection.code, code, "{}", rejection.detail);
        assert!(rejection.detail.contains(word), "{}", rejection.detail);
    }
    assert_eq!(request_size(0).unwrap_err().code, Code::InvalidRequest);
    assert_eq!(request_size(DOCUMENTS_PER_REQUEST_MAX), Ok(()));
    assert_eq!(request_size(DOCUMENTS_PER_REQUEST_MAX + 1).unwrap_err().code, Code::TooLarge);
}

#[test]
fn only_the_same_document_is_unchanged() {
    let kept = accepted("a");
    let later = DocumentAccepted { at_unix_ms: 9, by: "other".into(), bytes: 5, ..kept.clone() };
    assert_eq!(decide(Some((&kept, 7)), &later), Decision::Unchanged { seq: 7 });
    assert_eq!(decide(None, &kept), Decision::Take);
    let changes: [fn(&mut DocumentAccepted); 8] = [
        |d| d.title.push('x'),
        |d| d.source.push('x'),
        |d| d.domain.push('x'),
        |d| d.usecase.push('x'),
        |d| d.region.push('x'),
        |d| d.text_sha256.push('x'),
        |d| d.metadata_json.push('x'),
        |d| d.signature = Some("s".into()),
    ];
    for change in changes {
        let mut changed = kept.clone();
        change(&mut changed);
        assert_eq!(decide(Some((&kept, 7)), &changed), Decision::Take);
    }
}

#[test]
fn retention_is_counted_from_the_acceptance() {
    let (day, rules) = (86_400_000, Rules::of(&home(), &[]));
    let refusal = may_remove(&accepted("a"), &rules, 1_000 + 30 * day - 1).unwrap_err();
    assert_eq!(refusal.code, Code::RetentionViolation);
    assert_eq!(
        refusal.detail,
        "removing document a: it is kept until 1970-01-31T00:00:01.000Z by data_days (data-sovereignty.yaml asks for 30 days)"
    );
    assert_eq!(may_remove(&accepted("a"), &rules, 1_000 + 30 * day).unwrap().id(), "a");
    assert!(may_remove(&accepted("a"), &rules, 0).is_err(), "a clock that went back keeps it");
}

/// A hold without end on documents that are about somebody.
pub(super) fn hold_on(subject: &str) -> LegalHold {
    let selects = Selects { subjects: vec![subject.into()], ..Selects::default() };
    let since = "1970-01-01T00:00:00Z".into();
    LegalHold { id: "case-7".into(), basis: "Smith v. Acme".into(), selects, since, released: None }
}

#[test]
fn what_is_held_is_neither_removed_nor_replaced() {
    let (late, rules) = (90 * 86_400_000, Rules::of(&home(), &[hold_on("user-1")]));
    for (metadata, is_held) in [
        (r#"{"subject":"user-1"}"#, true),
        (r#"{"subject":["user-2","user-1"]}"#, true),
        (r#"{"subject":"user-10"}"#, false),
        (r#"{"subject":["user-2"]}"#, false),
        (r#"{"subject":{"user-1":1}}"#, false),
        (r#"{"about":"user-1"}"#, false),
        ("", false),
    ] {
        let document = DocumentAccepted { metadata_json: metadata.into(), ..accepted("a") };
        assert_eq!(may_remove(&document, &rules, late).is_err(), is_held, "{metadata}");
        assert_eq!(may_replace(&document, &rules, late).is_err(), is_held, "{metadata}");
    }
    let numbered = Rules::of(&home(), &[hold_on("17")]);
    let document = DocumentAccepted { metadata_json: r#"{"subject":17}"#.into(), ..accepted("a") };
    let refusal = may_remove(&document, &numbered, late).unwrap_err();
    assert_eq!(refusal.code, Code::RetentionViolation);
    assert_eq!(
        refusal.detail,
        "removing document a: it is kept by legal hold case-7 (Smith v. Acme) until that is released"
    );
    let refusal = may_replace(&document, &numbered, late).unwrap_err();
    assert_eq!(refusal.code, Code::RetentionViolation);
    assert!(refusal.detail.contains("it is kept as it is by legal hold case-7 (Smith v. Acme)"), "{}", refusal.detail);
    assert!(
        may_replace(&accepted("a"), &rules, 1_001).is_ok(),
        "a minimum asks for a document, not for its first version"
    );
}

#[test]
fn the_guard_keeps_documents_and_chunks_out() {
    let guard = Guard::compile(&security()).unwrap();
    let (verdict, admitted) =
        judge(&guard, "https://example.org/x", ["fine", "Ignore previous instructions", "fine"].into_iter());
    assert_eq!(admitted, [true, false, true]);
    assert_eq!((verdict.admitted, verdict.trust_score), (2, 0.8));
    assert_eq!(verdict.reason.as_deref(), Some("1 of 3 chunks match forbidden pattern 0"));
    let (verdict, admitted) = judge(&guard, "https://example.org.evil.net/x", ["fine"].into_iter());
    assert_eq!(admitted, [false]);
    assert_eq!((verdict.admitted, verdict.trust_score), (0, 0.0));
    assert!(verdict.reason.is_some());
    let (verdict, admitted) = judge(&guard, "upload.local/a.txt", ["fine"].into_iter());
    assert_eq!((admitted.as_slice(), verdict.reason), ([true].as_slice(), None));
    let signed = Guard::compile(&SecurityRules { signature_required: true, ..security() }).unwrap();
    assert_eq!(judge(&signed, "https://example.org/x", ["fine"].into_iter()).1, [false]);
    assert_ne!(signed.fingerprint, guard.fingerprint);
}

#[test]
fn only_questions_and_searches_want_passages() {
    let policy = super::test_house::policy();
    let ask = |top_k| Matter::Ask(Question { text: "q".into(), top_k, ..Question::default() });
    assert_eq!(wanted(&ask(None), &policy, Visible::everything()).unwrap().top_k, policy.top_k);
    assert_eq!(wanted(&ask(Some(3)), &policy, Visible::everything()).unwrap().top_k, 3);
    assert_eq!(wanted(&ask(Some(usize::MAX)), &policy, Visible::everything()).unwrap().top_k, TOP_K_MAX);
    assert_eq!(wanted(&Matter::Embed(Box::default()), &policy, Visible::everything()), None);
}

proptest! {
    #[test]
    fn an_intake_is_bounded_and_printable(id in "\\PC{0,300}|[\\s\\S]{0,20}", name in "[\\s\\S]{0,30}", title in "[\\s\\S]{0,400}") {
        let document = NewDocument { id: Some(id), title: Some(title), content: Content::File { name, bytes: vec![b'x'].into() }, ..text("") };
        if let Ok(taken) = intake(&document, &here()) {
            let title = taken.title.clone().unwrap_or_default();
            for (value, max) in [(&taken.id, ID_CHARS_MAX), (&taken.source, SOURCE_CHARS_MAX), (&title, TITLE_CHARS_MAX)] {
                prop_assert!(value.chars().count() <= max);
                prop_assert!(!value.chars().any(char::is_control));
            }
            prop_assert!(!taken.id.is_empty());
            prop_assert!(!taken.file_name.unwrap().contains(['/', '\\']));
        }
    }

    #[test]
    fn bodies_of_different_versions_have_different_names(id in "[a-z]{1,8}", one in "[a-z]{0,8}", other in "[a-z]{0,8}") {
        let name = |text: &str| body_name(&id, &sha256_hex(text.as_bytes()));
        prop_assert_eq!(name(&one) == name(&other), one == other);
    }
}

#[test]
fn a_document_is_called_found_when_the_next_search_finds_it() {
    let at = |shown, reached, given| super::rules::Reached { shown, reached, given };
    let found = super::rules::may_be_found_at;
    assert!(found(3, at(None, 0, 0)), "nothing under way: the next search wakes the index");
    assert!(!found(3, at(None, 0, 4)), "two on their way, and the first is served before the second");
    assert!(found(3, at(None, 4, 4)), "asleep again, and it had it");
    assert!(!found(4, at(None, 4, 5)));
    assert!(found(3, at(Some(4), 4, 9)) && !found(4, at(Some(4), 4, 9)));
}
