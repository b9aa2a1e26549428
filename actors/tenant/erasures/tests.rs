//! What may be asked for, and which requests are about a document.
use super::records::ErasureAsked;
use super::rules::{Asked, OpenRequests, Standing, removed_for, request_of, view, wish};
use bailiwick_kernel::erasures::{Mark, Of};
use bailiwick_kernel::outcome::Code;

fn asked(of: Of, name: &str, at_unix_ms: u64) -> ErasureAsked {
    ErasureAsked {
        id: format!("er-{name}"),
        of,
        mark: mark(of, name),
        basis: "a letter".into(),
        within_days: 30,
        key_id: "key".into(),
        user_id: None,
        at_unix_ms,
    }
}

fn mark(of: Of, name: &str) -> Mark {
    let mut mark = [0; 32];
    let text = format!("{} {name}", of.as_str());
    mark.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    Mark(mark)
}

#[test]
fn one_subject_or_one_document_of_a_known_type_is_asked_for() {
    let subject = || Asked { subject: Some("jane".into()), ..Asked::default() };
    let wished = wish(subject()).unwrap();
    assert_eq!((wished.of, wished.name.as_str(), wished.within_days), (Of::Subject, "jane", 30));
    assert_eq!(wish(Asked { document: Some("d".into()), ..Asked::default() }).unwrap().of, Of::Document);
    let refused = [
        Asked::default(),
        Asked { document: Some("d".into()), ..subject() },
        Asked { subject: Some(" ".into()), ..Asked::default() },
        Asked { subject: Some("a\nb".into()), ..Asked::default() },
        Asked { basis: Some("x".repeat(501)), ..subject() },
        Asked { within_days: Some(91), ..subject() },
        Asked { data_type: Some("prompts".into()), ..subject() },
        Asked { data_type: Some("logs".into()), ..subject() },
        Asked { data_type: Some("Data".into()), ..subject() },
    ];
    for asked in refused {
        assert_eq!(wish(asked.clone()).unwrap_err().code, Code::InvalidRequest, "{asked:?}");
    }
    let unknown = wish(Asked { data_type: Some("prompts".into()), ..subject() }).unwrap_err().detail;
    assert!(unknown.contains("no retention is set for data of type \"prompts\": it stays"), "{unknown}");
}

#[test]
fn a_request_is_about_what_was_stored_by_then_under_its_mark() {
    let open = OpenRequests::of([asked(Of::Subject, "jane", 100), asked(Of::Document, "d*", 50)].into_iter());
    let names = |id: &str, subjects: &[&str], stored| {
        let subjects: Vec<String> = subjects.iter().map(ToString::to_string).collect();
        let about = open.about(id, &subjects, stored, mark);
        about.into_iter().map(|request| request.ground.name).collect::<Vec<_>>()
    };
    assert_eq!(names("x", &["jim", "jane"], 100), ["er-jane"]);
    assert!(names("x", &["jane"], 101).is_empty(), "what comes later is not meant");
    assert_eq!(names("d*", &[], 50), ["er-d*"]);
    assert!(names("d1", &[], 50).is_empty(), "a document is named whole");
    assert!(names("jane", &[], 1).is_empty(), "an id is no subject");
    assert_eq!(request_of(&removed_for("er-1")), Some("er-1"));
    assert_eq!(request_of("retention"), None);
    let open = view(Standing { asked: asked(Of::Subject, "jane", 0), asked_at: 3, ended: None }, Vec::new(), 0);
    assert_eq!((open.state.as_str(), open.due_at.as_str()), ("open", "1970-01-31T00:00:00.000Z"));
    assert!(!serde_json::to_string(&open).unwrap().contains("\"jane\""));
}
