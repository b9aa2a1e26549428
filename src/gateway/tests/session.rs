use super::{answer, citation};
use crate::gateway::errors::Failure;
use crate::gateway::session_frames::{ClientFrame, ServerFrame, error_text, read};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_tenant::question::CacheControl;
use bailiwick_tenant::supervisor::messages::Wishes;
use serde_json::{Value, json};

#[test]
fn frames_of_the_client_are_read() {
    let asked = read(
        r#"{"type":"ask","id":"1","question":" what? ","top_k":2,"idempotency_key":"k","cache_control":"no-cache"}"#,
    )
    .unwrap();
    let ClientFrame::Ask { id, question, wishes, trace: None } = asked else { panic!("asks") };
    assert_eq!(
        (id.as_str(), question.text.as_str(), question.top_k, *wishes),
        (
            "1",
            "what?",
            Some(2),
            Wishes { idempotency_key: Some("k".into()), cache_control: CacheControl::NoCache, ..Wishes::default() }
        )
    );
    assert_eq!(read(r#"{"type":"cancel","id":"1"}"#).unwrap(), ClientFrame::Cancel { id: "1".into() });
}

#[test]
fn a_bad_frame_is_refused_under_its_own_id() {
    let long = format!(r#"{{"type":"ask","id":"1","question":"{}"}}"#, "x".repeat(10_001));
    let table: &[(&str, Option<&str>, Code)] = &[
        ("", None, Code::InvalidRequest),
        ("hello", None, Code::InvalidRequest),
        ("[]", None, Code::InvalidRequest),
        (r#"{"type":"ask","question":"x"}"#, None, Code::InvalidRequest),
        (r#"{"type":"ask","id":7,"question":"x"}"#, None, Code::InvalidRequest),
        (r#"{"id":"1"}"#, Some("1"), Code::InvalidRequest),
        (r#"{"type":"tell","id":"1"}"#, Some("1"), Code::InvalidRequest),
        (r#"{"type":"ask","id":"1"}"#, Some("1"), Code::InvalidRequest),
        (r#"{"type":"ask","id":"1","question":""}"#, Some("1"), Code::InvalidRequest),
        (r#"{"type":"ask","id":"1","question":"x","tenant":"t"}"#, Some("1"), Code::InvalidRequest),
        (r#"{"type":"ask","id":"1","question":"x","idempotency_key":"a b"}"#, Some("1"), Code::InvalidRequest),
        (r#"{"type":"cancel","id":"1","question":"x"}"#, Some("1"), Code::InvalidRequest),
        (&long, Some("1"), Code::TooLarge),
    ];
    for (text, id, code) in table {
        let (found, failure) = read(text).expect_err(text);
        assert_eq!((found.as_deref(), failure.code()), (*id, *code), "{text}");
    }
}

fn value(frame: &ServerFrame<'_>) -> Value {
    serde_json::from_str(&frame.text()).unwrap()
}

#[test]
fn frames_of_ours_have_the_contracts_names() {
    assert_eq!(
        value(&ServerFrame::Accepted { id: "1", traceresponse: None }),
        json!({ "type": "accepted", "id": "1" })
    );
    assert_eq!(value(&ServerFrame::Delta { id: "1", text: "hi" }), json!({ "type": "delta", "id": "1", "text": "hi" }));
    assert_eq!(
        value(&ServerFrame::Cancelled { id: "1", cancelled: true }),
        json!({ "type": "done", "id": "1", "cancelled": true })
    );
    let cited = [citation("[1]")];
    assert_eq!(value(&ServerFrame::Citations { id: "1", citations: &cited })["citations"][0]["chunk_id"], "d1#0");
    let answer = answer("Thirty days.", vec![]);
    let done = value(&ServerFrame::Done { id: "1", answer: &answer, idempotent_replay: false });
    let mut expected = serde_json::to_value(&answer).unwrap();
    expected["type"] = json!("done");
    expected["id"] = json!("1");
    assert_eq!(done, expected, "done carries what the JSON route answers");
    let again = value(&ServerFrame::Done { id: "1", answer: &answer, idempotent_replay: true });
    expected["idempotent_replay"] = json!(true);
    assert_eq!(again, expected);
}

#[test]
fn an_error_frame_carries_the_routes_verdict() {
    let failure = Failure::from(Rejection::retry_after(Code::RateLimited, "too many; wait", 1_500));
    let frame: Value = serde_json::from_str(&error_text(Some("1"), &failure, "r1")).unwrap();
    assert_eq!(
        frame,
        json!({ "type": "error", "id": "1", "status": 429, "code": "rate_limited", "detail": "too many; wait", "request_id": "r1", "retry_after_ms": 1_500 })
    );
    let nameless: Value = serde_json::from_str(&error_text(None, &Failure::invalid("x"), "r1")).unwrap();
    assert_eq!(nameless["id"], Value::Null);
}
