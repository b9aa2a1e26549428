//! The providers against upstreams that answer, refuse, lie and break off: one table for all kinds that use the network.
use super::*;
use crate::catalog::LOCAL_EMBEDDINGS;
use crate::question::Frame;
use crate::routing::fixtures::*;
use crate::routing::prompt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Kinds of [`ALL`] that ask an upstream.
const NETWORK_KINDS: [&str; 2] = ["anthropic", "openai"];

pub(super) fn open(kind: &str, base_url: &str) -> Arc<dyn Provider> {
    let (_, constructor) = ALL.iter().find(|(known, _)| *known == kind).unwrap();
    constructor(&entry("upstream", kind, base_url), InTransit::Tls13).unwrap()
}

pub(super) fn grounded_call(sink: FrameSink) -> GroundedCall {
    GroundedCall {
        question: "Does salt dissolve?".into(),
        earlier: Arc::default(),
        passages: passages(),
        model: "model".into(),
        temperature: 0.0,
        max_tokens: 50,
        demands: Demands::default(),
        sink,
        calling: None,
    }
}

pub(super) fn passed_call(body: Value, sink: FrameSink) -> PassedCall {
    PassedCall { body, sink, calling: None }
}

pub(super) fn chat_body() -> Value {
    json!({"model": "model", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]})
}

/// A streaming sink and what came through it.
pub(super) fn channel() -> (FrameSink, mpsc::Receiver<Frame>) {
    let (sender, frames) = mpsc::channel(64);
    (FrameSink::into_channel(sender), frames)
}

fn whole_answer(kind: &str, text: &str) -> Value {
    match kind {
        "anthropic" => {
            json!({"id": "m1", "model": "m", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": {"input_tokens": 11, "output_tokens": 7}})
        }
        _ => openai_answer(text),
    }
}

#[test]
fn the_table_names_each_kind_once_and_opens_it() {
    for (index, (kind, constructor)) in ALL.iter().enumerate() {
        assert!(ALL.iter().skip(index + 1).all(|(other, _)| other != kind), "{kind} twice");
        let opened = constructor(&entry("upstream", kind, "http://127.0.0.1:9/v1"), InTransit::Tls13);
        assert_eq!(
            opened.is_ok(),
            *kind != LOCAL_EMBEDDINGS,
            "{kind}: opens, but for the one that needs a model of this node"
        );
    }
    for kind in NETWORK_KINDS {
        assert!(ALL.iter().any(|(known, _)| *known == kind));
    }
}

#[test]
fn what_cannot_be_opened_is_said_without_the_key() {
    for kind in NETWORK_KINDS {
        let (_, constructor) = ALL.iter().find(|(known, _)| *known == kind).unwrap();
        let unusable = ProviderEntry {
            api_key: Some(secrecy::SecretString::from("line\nbreak-secret".to_owned())),
            ..entry("upstream", kind, "http://127.0.0.1:9")
        };
        for entry in [entry("upstream", kind, "no url"), unusable] {
            let error = constructor(&entry, InTransit::Tls13).err().unwrap().to_string();
            assert!(error.contains("upstream") && !error.contains("break-secret"), "{error}");
        }
    }
}

#[actix::test]
async fn every_network_kind_answers_from_passages() {
    for kind in NETWORK_KINDS {
        let upstream =
            Upstream::playing(vec![Wire::Close(http_json("200 OK", &whole_answer(kind, "It does [1].")))]).await;
        let said = open(kind, &upstream.url).answer(grounded_call(FrameSink::whole())).await.unwrap();
        assert_eq!(said.content, DraftContent::Grounded { text: "It does [1].".into(), spans: Vec::new() });
        assert_eq!((said.prompt_tokens, said.completion_tokens, said.cut_short), (Some(11), Some(7), false), "{kind}");
        let request = &upstream.requests()[0];
        assert!(
            request.contains("Salt dissolves in water.") && request.contains("sk-very-secret-key"),
            "{kind}: {request}"
        );
    }
}

#[actix::test]
async fn every_network_kind_abstains_by_the_agreed_word() {
    for kind in NETWORK_KINDS {
        let upstream =
            Upstream::playing(vec![Wire::Close(http_json("200 OK", &whole_answer(kind, prompt::ABSTENTION)))]).await;
        let said = open(kind, &upstream.url).answer(grounded_call(FrameSink::whole())).await.unwrap();
        assert!(matches!(said.content, DraftContent::Abstained { .. }), "{kind}");
    }
}

#[actix::test]
async fn every_network_kind_passes_a_chat_in_openai_shape() {
    for kind in NETWORK_KINDS {
        let upstream = Upstream::playing(vec![Wire::Close(http_json("200 OK", &whole_answer(kind, "hi")))]).await;
        let said = open(kind, &upstream.url).chat(passed_call(chat_body(), FrameSink::whole())).await.unwrap();
        let DraftContent::Completion(body) = said.content else { panic!("{kind}") };
        assert_eq!(body.pointer("/choices/0/message/content"), Some(&json!("hi")));
        assert_eq!(body.pointer("/usage/completion_tokens"), Some(&json!(7)));
        assert_eq!(body.get("object"), Some(&json!("chat.completion")));
    }
}

/// What a status is worth.
#[derive(PartialEq, Debug)]
enum Worth {
    Passing,
    Busy(u64),
    Lasting,
    /// Perhaps billed; whether it may work when tried again.
    Unsure(bool),
}

fn worth(error: &ProviderError) -> Worth {
    match error {
        ProviderError::Passing(_) => Worth::Passing,
        ProviderError::Busy { retry_after_ms, .. } => Worth::Busy(*retry_after_ms),
        ProviderError::Lasting(_) => Worth::Lasting,
        ProviderError::Unsure { passing, .. } => Worth::Unsure(*passing),
        ProviderError::Cut { .. } => panic!("nothing was relayed"),
    }
}

#[actix::test]
async fn statuses_and_bodies_are_told_apart() {
    let echo = json!({"error": {"message": format!("bad sk-very-secret-key {}", "x".repeat(5_000)), "type": "invalid", "code": 400}});
    let json_type = "content-type: application/json\r\n";
    let table: Vec<(String, Worth)> = vec![
        (http_json("400 Bad Request", &echo), Worth::Lasting),
        (http_json("401 Unauthorized", &echo), Worth::Lasting),
        (http_json("404 Not Found", &echo), Worth::Lasting),
        (http("302 Found", "location: http://127.0.0.1:9/\r\n", ""), Worth::Lasting),
        (http_json("408 Request Timeout", &echo), Worth::Passing),
        (http_json("409 Conflict", &echo), Worth::Passing),
        (http_json("429 Too Many Requests", &echo), Worth::Passing),
        (http("429 Too Many Requests", "retry-after: 2\r\n", "slow down"), Worth::Busy(2_000)),
        (http("429 Too Many Requests", "retry-after-ms: 30\r\nretry-after: 2\r\n", ""), Worth::Busy(30)),
        (http("503 Unavailable", "retry-after: 1e300\r\n", ""), Worth::Busy(u64::MAX)),
        (http("503 Unavailable", "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n", ""), Worth::Passing),
        (http("500 Internal Server Error", "", "<html>stack of sk-very-secret-key</html>"), Worth::Passing),
        (http("200 OK", json_type, "not json: sk-very-secret-key"), Worth::Unsure(false)),
        (http("200 OK", "content-type: text/html\r\n", "<html>"), Worth::Unsure(false)),
        (http("200 OK", json_type, ""), Worth::Unsure(false)),
        (http("200 OK", json_type, "[]"), Worth::Unsure(false)),
        (http("200 OK", json_type, "null"), Worth::Unsure(false)),
        (http_json("200 OK", &json!({"choices": []})), Worth::Unsure(false)),
        (
            http_json(
                "200 OK",
                &json!({"error": {"message": "bad sk-very-secret-key", "type": "invalid_request_error"}}),
            ),
            Worth::Lasting,
        ),
        (http_json("200 OK", &json!({"error": {"message": "later", "type": "overloaded_error"}})), Worth::Passing),
        (http_json("200 OK", &json!({"error": {"message": "later", "code": 503}})), Worth::Passing),
        (format!("HTTP/1.1 200 OK\r\n{json_type}content-length: 99999999\r\n\r\n"), Worth::Unsure(false)),
        (format!("HTTP/1.1 200 OK\r\n{json_type}content-length: 500\r\n\r\n{{\"choices\""), Worth::Unsure(true)),
        ("SSH-2.0-OpenSSH\r\n".into(), Worth::Unsure(true)),
        (String::new(), Worth::Unsure(true)),
    ];
    for kind in NETWORK_KINDS {
        for (answer, expected) in &table {
            let upstream = Upstream::playing(vec![Wire::Close(answer.clone()), Wire::Close(answer.clone())]).await;
            let provider = open(kind, &upstream.url);
            for door in ["answer", "chat"] {
                let error = match door {
                    "answer" => provider.answer(grounded_call(FrameSink::whole())).await,
                    _ => provider.chat(passed_call(chat_body(), FrameSink::whole())).await,
                }
                .unwrap_err();
                assert_eq!(worth(&error), *expected, "{kind} {door}: {error} to {answer:.200}");
                let text = error.to_string();
                assert!(
                    !text.contains("secret") && text.len() < 500 && text.starts_with("provider upstream "),
                    "{kind}: {text}"
                );
            }
            assert_eq!(upstream.requests().len(), 2, "{kind} sent hidden retries on {answer:.200}");
        }
    }
}

#[actix::test]
async fn an_endless_answer_is_given_up() {
    for kind in NETWORK_KINDS {
        let endless = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\"{}",
            "x".repeat(17 << 20)
        );
        let upstream = Upstream::playing(vec![Wire::Close(endless)]).await;
        let error = open(kind, &upstream.url).chat(passed_call(chat_body(), FrameSink::whole())).await.unwrap_err();
        assert_eq!(worth(&error), Worth::Unsure(false), "{kind}: {error}");
        assert!(error.to_string().contains("16 MiB"), "{error}");
    }
}

#[actix::test]
async fn nobody_there_and_nobody_answering_may_pass() {
    for kind in NETWORK_KINDS {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let error = open(kind, &format!("http://{address}"))
            .chat(passed_call(chat_body(), FrameSink::whole()))
            .await
            .unwrap_err();
        assert_eq!(worth(&error), Worth::Passing, "{error}");
        let silent = Upstream::playing(vec![Wire::Hold(String::new())]).await;
        let (_, constructor) = ALL.iter().find(|(known, _)| *known == kind).unwrap();
        let hurried = ProviderEntry { timeout_ms: 40, ..entry("upstream", kind, &silent.url) };
        let impatient = constructor(&hurried, InTransit::Tls13).unwrap();
        let error = impatient.chat(passed_call(chat_body(), FrameSink::whole())).await.unwrap_err();
        assert_eq!(
            error,
            ProviderError::Unsure { detail: "provider upstream did not answer within 40 ms".into(), passing: true }
        );
    }
}

#[actix::test]
async fn openai_passes_unknown_fields_both_ways() {
    let upstream = Upstream::playing(vec![Wire::Close(http_json("200 OK", &openai_answer("hi")))]).await;
    let body = json!({"model": "model", "messages": [], "stream": true, "stream_options": {}, "x_mine": [1, {"deep": null}], "temperature": 0.7});
    let said = open("openai", &format!("{}/some/base/", upstream.url))
        .chat(passed_call(body, FrameSink::whole()))
        .await
        .unwrap();
    let DraftContent::Completion(answer) = said.content else { panic!() };
    assert_eq!(answer, openai_answer("hi"));
    let request = &upstream.requests()[0];
    assert!(request.starts_with("POST /some/base/chat/completions HTTP/1.1\r\n"), "{request}");
    let (_, sent) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(sent).unwrap(),
        json!({"model": "model", "messages": [], "x_mine": [1, {"deep": null}], "temperature": 0.7})
    );
}

#[actix::test]
async fn azure_takes_its_key_in_its_own_header_and_its_version_in_the_query() {
    let upstream = Upstream::playing(vec![Wire::Close(http_json("200 OK", &openai_answer("hi")))]).await;
    let _said = open("openai", &format!("{}/openai/deployments/d?api-version=2024-06-01", upstream.url))
        .chat(passed_call(chat_body(), FrameSink::whole()))
        .await
        .unwrap();
    let request = upstream.requests()[0].to_lowercase();
    assert!(request.starts_with("post /openai/deployments/d/chat/completions?api-version=2024-06-01 "), "{request}");
    assert!(request.contains("api-key: sk-very-secret-key") && !request.contains("authorization"), "{request}");
}

#[actix::test]
async fn reasoning_models_get_their_own_limit() {
    for (model, field, other) in
        [("gpt-5-mini", "max_completion_tokens", "max_tokens"), ("llama-3", "max_tokens", "max_completion_tokens")]
    {
        let upstream = Upstream::playing(vec![Wire::Close(http_json("200 OK", &openai_answer("It does [1].")))]).await;
        let call = GroundedCall { model: model.into(), ..grounded_call(FrameSink::whole()) };
        let _said = open("openai", &upstream.url).answer(call).await.unwrap();
        let request = &upstream.requests()[0];
        assert!(
            request.contains(&format!("\"{field}\":50")) && !request.contains(&format!("\"{other}\"")),
            "{request}"
        );
    }
}

#[actix::test]
async fn embeddings_pass_through_openai_and_anthropic_offers_none() {
    let answer = json!({"object": "list", "data": [{"index": 0, "embedding": [0.25, -1.0]}], "model": "e", "usage": {"prompt_tokens": 3, "total_tokens": 3}});
    let upstream = Upstream::playing(vec![Wire::Close(http_json("200 OK", &answer))]).await;
    let body = json!({"model": "e", "input": ["salt"]});
    let said = open("openai", &upstream.url).embed(passed_call(body.clone(), FrameSink::whole())).await.unwrap();
    assert_eq!(
        (said.content, said.prompt_tokens, said.completion_tokens),
        (DraftContent::Completion(answer), Some(3), Some(0))
    );
    assert!(upstream.requests()[0].starts_with("POST /embeddings "));
    let error = open("anthropic", &upstream.url).embed(passed_call(body, FrameSink::whole())).await.unwrap_err();
    assert_eq!(worth(&error), Worth::Lasting);
    assert_eq!(upstream.requests().len(), 1);
}

#[actix::test]
async fn anthropic_is_asked_in_its_own_shape() {
    let upstream = Upstream::playing(vec![Wire::Close(http_json("200 OK", &whole_answer("anthropic", "hi")))]).await;
    let _said = open("anthropic", &format!("{}/v1/", upstream.url))
        .chat(passed_call(chat_body(), FrameSink::whole()))
        .await
        .unwrap();
    let request = upstream.requests()[0].to_lowercase();
    assert!(request.starts_with("post /v1/messages http/1.1"), "{request}");
    assert!(
        request.contains("x-api-key: sk-very-secret-key") && request.contains("anthropic-version: 2023-06-01"),
        "{request}"
    );
}
