//! The providers' streams: cut anywhere, broken off, lying, abandoned.
use super::tests::*;
use super::*;
use crate::question::Frame;
use crate::routing::fixtures::*;
use crate::routing::prompt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

fn anthropic_events(words: &[&str]) -> Vec<String> {
    let event = |value: Value| format!("event: {}\ndata: {value}", value["type"].as_str().unwrap());
    let mut events = vec![
        event(
            json!({"type": "message_start", "message": {"id": "m1", "model": "m", "usage": {"input_tokens": 11, "output_tokens": 1}}}),
        ),
        event(json!({"type": "ping"})),
    ];
    events.extend(words.iter().map(|words| {
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}}))
    }));
    events.push(event(
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
    ));
    events.push(event(json!({"type": "message_stop"})));
    events
}

fn events_of(kind: &str, words: &[&str]) -> Vec<String> {
    if kind == "anthropic" { anthropic_events(words) } else { openai_events(words) }
}

/// How many of the events make up words only.
fn before_the_end(kind: &str) -> usize {
    if kind == "anthropic" { 4 } else { 2 }
}

async fn frames(mut received: mpsc::Receiver<Frame>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = received.recv().await {
        frames.push(frame);
    }
    frames
}

fn words(frames: &[Frame]) -> String {
    let word = |frame: &Frame| match frame {
        Frame::Delta(words) => words.clone(),
        Frame::Chunk(chunk) => {
            chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        Frame::Citations(_) => panic!("a provider shows no citations"),
    };
    frames.iter().map(word).collect()
}

#[actix::test]
async fn a_stream_split_at_every_byte_gives_the_same_words() {
    for kind in ["openai", "anthropic"] {
        for drip in [true, false] {
            let bytes = http_events(&events_of(kind, &["Sälz ", "dissolves [1]."]));
            let bytes = if drip {
                Wire::Drip(bytes.replace('\n', "\r\n").replace("\r\r\n", "\r\n"))
            } else {
                Wire::Close(bytes)
            };
            let upstream = Upstream::playing(vec![bytes]).await;
            let (sink, received) = channel();
            let said = open(kind, &upstream.url).answer(grounded_call(sink)).await.unwrap();
            assert_eq!(words(&frames(received).await), "Sälz dissolves [1].", "{kind}");
            assert_eq!(said.content, DraftContent::Grounded { text: "Sälz dissolves [1].".into(), spans: Vec::new() });
            assert_eq!(
                (said.prompt_tokens, said.completion_tokens, said.relayed_chars),
                (Some(11), Some(7), 19),
                "{kind}"
            );
        }
    }
}

#[actix::test]
async fn a_streamed_abstention_is_never_shown() {
    for kind in ["openai", "anthropic"] {
        let upstream =
            Upstream::playing(vec![Wire::Close(http_events(&events_of(kind, &["NOT_IN", "_PASS", "AGES", "."])))])
                .await;
        let (sink, received) = channel();
        let said = open(kind, &upstream.url).answer(grounded_call(sink)).await.unwrap();
        assert_eq!(said.content, DraftContent::Abstained { reason: prompt::ABSTENTION_REASON.into() });
        assert!(frames(received).await.is_empty());
    }
}

#[actix::test]
async fn an_answer_that_begins_like_an_abstention_is_shown_whole() {
    let upstream = Upstream::playing(vec![
        Wire::Close(http_events(&openai_events(&["NOT", " so", "."]))),
        Wire::Close(http_events(&openai_events(&["NOT"]))),
    ])
    .await;
    for expected in ["NOT so.", "NOT"] {
        let (sink, received) = channel();
        let _said = open("openai", &upstream.url).answer(grounded_call(sink)).await.unwrap();
        assert_eq!(words(&frames(received).await), expected);
    }
}

#[actix::test]
async fn chunks_pass_through_and_their_usage_is_read() {
    let upstream = Upstream::playing(vec![Wire::Drip(http_events(&openai_events(&["hel", "lo"])))]).await;
    let (sink, received) = channel();
    let body = json!({"model": "model", "messages": [], "stream_options": {"x_mine": 1}, "x_other": true});
    let said = open("openai", &upstream.url).chat(passed_call(body, sink)).await.unwrap();
    let received = frames(received).await;
    assert_eq!(
        (received.len(), words(&received).as_str()),
        (3, "hello"),
        "the chunk of usage is the reply's, not the asker's"
    );
    assert_eq!((said.prompt_tokens, said.completion_tokens, said.relayed_chars), (Some(11), Some(7), 5));
    let DraftContent::Completion(last) = said.content else { panic!() };
    assert_eq!((last.pointer("/usage/prompt_tokens"), last.get("id")), (Some(&json!(11)), Some(&json!("c1"))));
    let (_, sent) =
        upstream.requests()[0].split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned())).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&sent).unwrap(),
        json!({"model": "model", "messages": [], "stream_options": {"x_mine": 1, "include_usage": true}, "x_other": true, "stream": true})
    );
}

#[actix::test]
async fn anthropic_chunks_come_in_openai_shape() {
    let upstream = Upstream::playing(vec![Wire::Close(http_events(&anthropic_events(&["hel", "lo"])))]).await;
    let (sink, received) = channel();
    let said = open("anthropic", &upstream.url).chat(passed_call(chat_body(), sink)).await.unwrap();
    let received = frames(received).await;
    let Frame::Chunk(first) = &received[0] else { panic!() };
    assert_eq!(
        (&first["object"], &first["choices"][0]["delta"]["role"]),
        (&json!("chat.completion.chunk"), &json!("assistant"))
    );
    let Frame::Chunk(last) = &received[3] else { panic!() };
    assert_eq!(last["choices"][0]["finish_reason"], json!("stop"));
    assert_eq!(words(&received), "hello");
    let DraftContent::Completion(end) = said.content else { panic!() };
    assert_eq!(end["usage"], json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}));
}

#[actix::test]
async fn a_stream_that_breaks_off_says_what_was_relayed() {
    let unfinished_chunked = |events: &[String]| {
        let body: String = events.iter().map(|event| format!("{event}\n\n")).collect();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n",
            body.len()
        )
    };
    for kind in ["openai", "anthropic"] {
        let events = &events_of(kind, &["Salt ", "dissolves."])[..before_the_end(kind)];
        let with = |last: &str| http_events(&[events, &[last.to_owned()]].concat());
        for (bytes, what) in [
            (unfinished_chunked(events), "a connection that breaks"),
            (http_events(events), "an end without a finish"),
            (with("data: {\"error\": {\"message\": \"boom\", \"type\": \"server_error\"}}"), "an error object"),
            (with("data: {not json"), "an event that is not JSON"),
        ] {
            for door in ["answer", "chat"] {
                let upstream = Upstream::playing(vec![Wire::Close(bytes.clone())]).await;
                let (sink, received) = channel();
                let outcome = match door {
                    "answer" => open(kind, &upstream.url).answer(grounded_call(sink)).await,
                    _ => open(kind, &upstream.url).chat(passed_call(chat_body(), sink)).await,
                };
                let error = outcome.unwrap_err();
                assert!(
                    matches!(error, ProviderError::Cut { relayed_chars: 15, .. }),
                    "{kind} {door}, {what}: {error:?}"
                );
                assert_eq!(words(&frames(received).await), "Salt dissolves.");
            }
        }
    }
}

#[actix::test]
async fn a_stream_without_a_word_may_be_tried_elsewhere() {
    for kind in ["openai", "anthropic"] {
        for (answer, lasting) in [
            (http_events(&[]), false),
            (http("500 Oops", "", ""), false),
            (http_json("200 OK", &json!({"choices": []})), true),
            (http_json("200 OK", &json!({"error": {"message": "no", "type": "invalid_request_error"}})), true),
        ] {
            let upstream = Upstream::playing(vec![Wire::Close(answer)]).await;
            let (sink, _received) = channel();
            let error = open(kind, &upstream.url).chat(passed_call(chat_body(), sink)).await.unwrap_err();
            let is_lasting = matches!(error, ProviderError::Lasting(_) | ProviderError::Unsure { passing: false, .. });
            assert_eq!(is_lasting, lasting, "{kind}: {error:?}");
            assert!(!matches!(error, ProviderError::Cut { .. }));
        }
    }
}

#[actix::test]
async fn an_asker_who_hangs_up_ends_the_call() {
    for kind in ["openai", "anthropic"] {
        let events = &events_of(kind, &["Salt ", "dissolves."])[..before_the_end(kind)];
        let upstream = Upstream::playing(vec![Wire::Hold(http_events(events))]).await;
        let (sink, received) = channel();
        drop(received);
        let said = open(kind, &upstream.url).answer(grounded_call(sink)).await.unwrap();
        assert!(said.cut_short && said.relayed_chars > 0, "{kind}: {said:?}");
    }
}
