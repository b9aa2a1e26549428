use super::{answer, citation};
use crate::gateway::openai_shape::{GroundedChunks, Head, PassedChunks};
use crate::gateway::stream::{AskEvents, Events, event};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_tenant::question::{Completion, Frame, ModelUsed, Reply, Usage};
use serde_json::{Value, json};

/// Reads events back as a client does: name and data.
fn read(bytes: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.ends_with("\n\n"), "{text:?}");
    text.split_terminator("\n\n")
        .map(|event| {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            let data = field("data: ").unwrap();
            let value = if data == "[DONE]" { json!("[DONE]") } else { serde_json::from_str(&data).unwrap() };
            (field("event: ").unwrap_or_default(), value)
        })
        .collect()
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

fn ask_events() -> AskEvents {
    AskEvents { request_id: "r1".into(), spoke: false }
}

#[test]
fn an_event_is_one_data_line_whatever_the_words() {
    let events = read(&event("delta", &json!({ "text": "a\n\nb\r\ndata: x" })));
    assert_eq!(events, [("delta".into(), json!({ "text": "a\n\nb\r\ndata: x" }))]);
}

#[test]
fn a_streamed_answer_is_citations_deltas_done() {
    let mut events = ask_events();
    let mut bytes = events.frame(Frame::Citations(vec![citation("[1]")])).unwrap().to_vec();
    bytes.extend_from_slice(&events.frame(Frame::Delta("Thirty ".into())).unwrap());
    bytes.extend_from_slice(&events.frame(Frame::Delta("days [1].".into())).unwrap());
    assert!(events.frame(Frame::Chunk(json!({}))).is_none());
    bytes
        .extend_from_slice(&events.end(Ok(Reply::Answer(Box::new(answer("Thirty days [1].", vec![citation("[1]")]))))));
    let told = read(&bytes);
    assert_eq!(names(&told), ["citations", "delta", "delta", "done"]);
    assert_eq!(told[0].1["citations"][0]["marker"], "[1]");
    assert_eq!(
        told[3].1,
        serde_json::to_value(answer("Thirty days [1].", vec![citation("[1]")])).unwrap(),
        "done is the JSON route's answer"
    );
}

#[test]
fn an_answer_that_came_whole_is_told_in_the_same_events() {
    let told = read(&ask_events().end(Ok(Reply::Answer(Box::new(answer("Nothing says so.", vec![]))))));
    assert_eq!(names(&told), ["citations", "delta", "done"]);
    assert_eq!(told[1].1["text"], "Nothing says so.");
}

#[test]
fn a_failure_after_the_first_word_is_an_error_event_with_the_routes_verdict() {
    let mut events = ask_events();
    let _words = events.frame(Frame::Delta("Thir".into()));
    let told = read(&events.end(Err(Rejection::new(Code::UpstreamFailed, "the provider went away"))));
    assert_eq!(names(&told), ["error"]);
    assert_eq!(
        (&told[0].1["code"], &told[0].1["status"], &told[0].1["request_id"]),
        (&json!("upstream_failed"), &json!(502), &json!("r1"))
    );
}

fn head(include_usage: bool) -> Head {
    Head { created_s: 12, include_usage }
}

#[test]
fn a_grounded_stream_reads_as_chunks() {
    for include_usage in [false, true] {
        let mut chunks = GroundedChunks::new(head(include_usage));
        assert!(chunks.frame(Frame::Citations(vec![])).is_none());
        let mut bytes = chunks.frame(Frame::Delta("Thirty ".into())).unwrap().to_vec();
        bytes.extend_from_slice(&chunks.frame(Frame::Delta("days [1].".into())).unwrap());
        bytes.extend_from_slice(
            &chunks.end(Ok(Reply::Answer(Box::new(answer("Thirty days [1].", vec![citation("[1]")]))))),
        );
        let told: Vec<Value> = read(&bytes).into_iter().map(|(_, data)| data).collect();
        assert_eq!(told[0]["choices"][0]["delta"]["role"], "assistant");
        let words: String = told.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(words, "Thirty days [1].");
        let last = &told[3];
        assert_eq!(last["choices"][0]["finish_reason"], "stop");
        assert_eq!(last["choices"][0]["delta"]["annotations"].as_array().unwrap().len(), 1);
        assert_eq!(last["bailiwick"]["query_id"], "q1");
        assert_eq!(told.last().unwrap(), "[DONE]");
        let usage: Vec<&Value> = told.iter().filter(|chunk| chunk["usage"].is_object()).collect();
        assert_eq!(usage.len(), usize::from(include_usage));
        assert!(usage.iter().all(|chunk| chunk["choices"] == json!([]) && chunk["usage"]["total_tokens"] == 12));
        let first_id = &told[0]["id"];
        assert!(
            told.iter().filter(|chunk| chunk.is_object()).all(|chunk| &chunk["id"] == first_id),
            "one id for all chunks"
        );
    }
}

fn completion(body: Value) -> Reply {
    Reply::Completion(Box::new(Completion {
        query_id: "q1".into(),
        body,
        model: ModelUsed { provider: "p".into(), name: "m".into(), region: "r".into(), fallback: false },
        usage: Usage { prompt_tokens: 2, completion_tokens: 3, ..Usage::default() },
        policy_version: "1.0.0".into(),
        receipt: "bwr1.1.a".into(),
    }))
}

fn passed(include_usage: bool, frames: Vec<Value>, last: Value) -> Vec<Value> {
    let mut chunks = PassedChunks::new(head(include_usage));
    let mut bytes: Vec<u8> =
        frames.into_iter().filter_map(|frame| chunks.frame(Frame::Chunk(frame))).flatten().collect();
    bytes.extend_from_slice(&chunks.end(Ok(completion(last))));
    read(&bytes).into_iter().map(|(_, data)| data).collect()
}

#[test]
fn passed_chunks_are_told_as_they_came() {
    let word = json!({ "id": "c", "choices": [{ "index": 0, "delta": { "content": "hi" } }], "vendor": { "x": 1 } });
    let usage = json!({ "id": "c", "choices": [], "usage": { "total_tokens": 9 } });
    assert_eq!(passed(false, vec![word.clone(), usage.clone()], usage.clone()), [word.clone(), json!("[DONE]")]);
    assert_eq!(
        passed(true, vec![word.clone(), usage.clone()], usage.clone()),
        [word.clone(), usage.clone(), json!("[DONE]")]
    );
    let told = passed(true, vec![word.clone()], usage);
    assert_eq!(told.len(), 3);
    assert_eq!(
        (&told[1]["usage"]["total_tokens"], &told[1]["choices"]),
        (&json!(9), &json!([])),
        "usage kept for the end is told once"
    );
    let reckoned = passed(true, vec![word], json!({}));
    assert_eq!(reckoned[1]["usage"], json!({ "prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5 }));
}

#[test]
fn a_whole_completion_on_a_stream_is_told_as_one_chunk() {
    let whole = json!({ "id": "c", "object": "chat.completion", "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" } }], "usage": { "total_tokens": 1 } });
    let told = passed(false, vec![], whole);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["choices"][0]["delta"]["content"], "hi");
    assert_eq!(told[0]["object"], "chat.completion.chunk");
}

#[test]
fn a_cut_passed_stream_ends_in_openais_error() {
    let mut chunks = PassedChunks::new(head(false));
    let told = read(&chunks.end(Err(Rejection::lost())));
    assert_eq!(told.len(), 1, "no [DONE] after a failure");
    assert_eq!(told[0].1["error"]["code"], "lost");
}
