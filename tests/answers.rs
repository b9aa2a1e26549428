//! What answers are like on every door alike, whole, in events and over a session: what rules demand of them, and that a
//! follow-up is understood. The provider is once the embedded one and once a model server that says what it likes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
mod support;

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use support::upstream::{Upstream, WORDS, house_prepared};
use support::{Ended, House, copy_tenants, is_proved_whole, sign_policies, until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const TENANT: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";
const LEAVE: &str = "Every employee has thirty days of paid leave in a year. Ask anna@example.org about it.";

/// Adds one obligation to the tenant's rules, and signs them.
fn demand(tenants: &Path, obligation: &str) {
    let file = tenants.join(TENANT).join("policies/governance.yaml");
    let rule = format!(
        "  - id: demanded\n    effect: require\n    actions: [ask]\n    obligation: {obligation}\n\nmetadata:\n"
    );
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\nmetadata:\n", &rule, 1)).unwrap();
    sign_policies(tenants, TENANT);
}

/// A house whose tenant is answered by the embedded provider.
fn embedded(obligation: &str) -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    demand(&copy_tenants(folder.path()), obligation);
    let house = House::start_on(folder.path(), None);
    (folder, Ended(Some(house)))
}

/// What one door told: the answer it ends with, and everything it said on the way.
struct Told {
    answer: Value,
    said: String,
}

async fn whole(house: &House, key: &str) -> Told {
    let (status, answer) = house.call(Method::POST, "/v1/ask", key, Some(json!({"question": QUESTION}))).await;
    assert_eq!(status, 200, "{answer}");
    Told { said: answer.to_string(), answer }
}

async fn in_events(house: &House, key: &str) -> Told {
    let body = json!({"question": QUESTION, "stream": true});
    let said = house.raw(Method::POST, "/v1/ask", key, &[], Some(body)).await.text().await.unwrap();
    let done = said.split("event: done\ndata: ").nth(1).unwrap_or_else(|| panic!("{said}"));
    let answer = serde_json::from_str(done.lines().next().unwrap()).unwrap();
    Told { answer, said }
}

type Session = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn open_session(house: &House, key: &str) -> Session {
    let mut request = format!("{}/v1/session", house.url.replacen("http", "ws", 1)).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

async fn over_a_session(house: &House, key: &str) -> Told {
    asked_over(&mut open_session(house, key).await, QUESTION).await
}

async fn asked_over(session: &mut Session, question: &str) -> Told {
    let ask = json!({"type": "ask", "id": "a", "question": question});
    session.send(Message::text(ask.to_string())).await.unwrap();
    let mut said = String::new();
    loop {
        let heard = tokio::time::timeout(std::time::Duration::from_secs(30), session.next()).await;
        let Message::Text(text) = heard.unwrap().unwrap().unwrap() else { continue };
        said.push_str(&text);
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["type"] == "done" {
            return Told { answer: frame, said };
        }
        assert_ne!(frame["type"], "error", "{frame}");
    }
}

async fn every_door(house: &House, key: &str) -> [Told; 3] {
    [whole(house, key).await, in_events(house, key).await, over_a_session(house, key).await]
}

fn documents(answer: &Value) -> Vec<&str> {
    let mut cited: Vec<&str> = answer["citations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|citation| citation["document_id"].as_str().unwrap())
        .collect();
    cited.sort_unstable();
    cited.dedup();
    cited
}

#[tokio::test]
async fn an_answer_rests_on_as_many_sources_as_are_demanded_or_is_none() {
    let (_folder, house) = embedded("{ min_sources: 2 }");
    let key = house.key(TENANT, "operator").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    house.teach(&key, "copy", "A copy", LEAVE).await;
    for told in every_door(&house, &key).await {
        assert_eq!(told.answer["abstained"], true, "a copy confirms nothing: {}", told.answer);
        assert!(told.answer["reason"].to_string().contains("2 sources"), "{}", told.answer);
        assert!(!told.said.contains("thirty days"), "{}", told.said);
    }
    let handbook = "The handbook grants thirty days of paid leave to each employee, whatever the contract says.";
    house.teach(&key, "handbook", "Handbook", handbook).await;
    for told in every_door(&house, &key).await {
        assert_eq!(told.answer["abstained"], false, "{}", told.answer);
        assert_eq!(documents(&told.answer).len(), 2, "{}", told.answer);
        assert!(documents(&told.answer).contains(&"handbook"), "{}", told.answer);
    }
}

#[tokio::test]
async fn no_word_of_a_model_is_told_before_its_sources_suffice() {
    let upstream = Upstream::start().await;
    let (_folder, house) = house_prepared(upstream.port, 60_000, "", |tenants| demand(tenants, "{ min_sources: 2 }"));
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    for told in every_door(&house, &key).await {
        assert_eq!(told.answer["abstained"], true, "{}", told.answer);
        assert!(!told.said.contains("thirty days"), "the model cites one source: {}", told.said);
    }
}

#[tokio::test]
async fn an_answer_ends_within_its_length() {
    let upstream = Upstream::start().await;
    let (_folder, house) =
        house_prepared(upstream.port, 60_000, "", |tenants| demand(tenants, "{ max_answer_characters: 200 }"));
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let [whole, in_events, over_a_session] = every_door(&house, &key).await;
    assert_eq!(whole.answer["answer"], WORDS, "{}", whole.answer);
    for told in [in_events, over_a_session] {
        // the model says 385 characters when it streams
        let answer = told.answer["answer"].as_str().unwrap();
        assert!(answer.chars().count() <= 200 && answer.ends_with("It is not a favour [1]."), "{answer}");
        assert!(!told.said.contains("paid leave [1]"), "nothing beyond it is told on the way: {}", told.said);
    }
    let short = format!("{{ max_answer_characters: {} }}", WORDS.len() - 1);
    let (_folder, house) = house_prepared(upstream.port, 60_000, "", |tenants| demand(tenants, &short));
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let told = every_door(&house, &key).await;
    assert!(told[0].answer["reason"].to_string().contains("length"), "half a sentence is none: {}", told[0].answer);
    for told in told {
        assert_eq!(told.answer["abstained"], true, "{}", told.answer);
        assert!(!told.said.contains("a right") && !told.said.contains("paid leave [1]"), "{}", told.said);
    }
}

#[tokio::test]
async fn personal_data_leaves_by_no_door() {
    let (_folder, house) = embedded("{ redact: [email] }");
    let key = house.key(TENANT, "operator").await;
    let text = "Anna, anna@example.org, decides how many days of paid leave an employee has.";
    house.teach(&key, "leave", "Leave", text).await;
    for told in every_door(&house, &key).await {
        assert_eq!(told.answer["abstained"], false, "{}", told.answer);
        assert!(!told.said.contains("anna@example.org") && told.said.contains("<email>"), "{}", told.said);
    }
}

const SUMMER: &str = "When is the library of Arle open in summer?";
const WINTER: &str = "And in winter?";
const MEANT: &str = "When is the library of Arle open in winter?";

/// What the lineage of an answer says was asked.
async fn recorded(house: &House, key: &str, answer: &Value) -> String {
    let path = format!("/v1/lineage?query_id={}", answer["query_id"].as_str().unwrap());
    let (status, lineage) = house.call(Method::GET, &path, key, None).await;
    assert_eq!(status, 200, "{lineage}");
    lineage.to_string()
}

async fn asked_in(house: &House, key: &str, conversation: &str, question: &str) -> Value {
    let named = [("x-bailiwick-conversation", conversation)];
    let response = house.raw(Method::POST, "/v1/ask", key, &named, Some(json!({"question": question}))).await;
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

/// A library whose hours depend on the season, and its reader.
async fn library(max_history_turns: &str) -> (tempfile::TempDir, Ended, String) {
    let folder = tempfile::tempdir().unwrap();
    let tenants = copy_tenants(folder.path());
    let file = tenants.join(TENANT).join("policies/governance.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("settings:\n", &format!("settings:\n  {max_history_turns}\n"), 1)).unwrap();
    sign_policies(&tenants, TENANT);
    let house = House::start_on(folder.path(), None);
    let key = house.key(TENANT, "owner").await;
    let hours = "The library of Arle is open from nine to eight in summer. In winter the library of Arle is open from ten to four.";
    house.teach(&key, "hours", "Opening hours", hours).await;
    (folder, Ended(Some(house)), key)
}

#[tokio::test]
async fn a_follow_up_is_understood_in_its_own_conversation_alone() {
    let (_folder, house, key) = library("max_history_turns: 3").await;
    let mut session = open_session(&house, &key).await;
    assert!(asked_over(&mut session, SUMMER).await.said.contains("nine to eight"));
    let winter = asked_over(&mut session, WINTER).await.answer;
    assert!(winter["answer"].as_str().unwrap().starts_with("In winter"), "{winter}");
    assert!(recorded(&house, &key, &winter).await.contains(MEANT), "the record says what was retrieved with");

    asked_in(&house, &key, "mine", SUMMER).await;
    let meant = asked_in(&house, &key, "mine", WINTER).await;
    assert!(recorded(&house, &key, &meant).await.contains(MEANT), "{meant}");
    let messages = [("user", SUMMER), ("assistant", "From nine to eight [1]."), ("user", WINTER)];
    let messages: Vec<Value> = messages.iter().map(|(role, text)| json!({"role": role, "content": text})).collect();
    let body = json!({"model": "bailiwick", "messages": messages});
    let (status, completion) = house.call(Method::POST, "/v1/chat/completions", &key, Some(body)).await;
    assert_eq!(status, 200, "{completion}");
    assert!(completion["choices"][0]["message"]["content"].as_str().unwrap().starts_with("In winter"), "{completion}");

    let somebody = house.key(TENANT, "owner").await;
    for (key, conversation) in [(&key, "another"), (&somebody, "mine")] {
        let alone = asked_in(&house, key, conversation, WINTER).await;
        let lineage = recorded(&house, key, &alone).await;
        assert!(lineage.contains(WINTER) && !lineage.contains(MEANT), "{lineage}");
    }
}

#[tokio::test]
async fn where_the_policy_keeps_no_history_every_question_stands_alone() {
    let (_folder, house, key) = library("max_history_turns: 0").await;
    let mut session = open_session(&house, &key).await;
    asked_over(&mut session, SUMMER).await;
    let alone = asked_over(&mut session, WINTER).await.answer;
    assert!(!recorded(&house, &key, &alone).await.contains(MEANT), "{alone}");
}

/// The turns a model was told last: role and words of each message behind the rules.
fn turns_told(upstream: &Upstream) -> Vec<(String, String)> {
    let asked = upstream.asked();
    let messages = asked.last().unwrap()["messages"].as_array().unwrap().clone();
    let text = |message: &Value, field: &str| message[field].as_str().unwrap().to_owned();
    messages.iter().skip(1).map(|message| (text(message, "role"), text(message, "content"))).collect()
}

fn roles(turns: &[(String, String)]) -> Vec<&str> {
    turns.iter().map(|(role, _)| role.as_str()).collect()
}

const MONTHS: &str = "And in the first year?";

#[tokio::test]
async fn a_model_is_told_what_it_was_asked_and_answered_before_in_this_conversation_alone() {
    let upstream = Upstream::start().await;
    let (_folder, house) = house_prepared(upstream.port, 60_000, "", |_| ());
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let first = asked_in(&house, &key, "mine", QUESTION).await;
    assert_eq!(roles(&turns_told(&upstream)), ["user"], "nothing was said before");
    let alone = upstream.asked().last().unwrap()["messages"].to_string().len();
    let second = asked_in(&house, &key, "mine", MONTHS).await;
    let turns = turns_told(&upstream);
    assert_eq!(roles(&turns), ["user", "assistant", "user"]);
    assert_eq!(turns[0].1, QUESTION);
    assert_eq!(turns[1].1.trim(), "Every employee has thirty days of paid leave .", "its words, without its markers");
    assert!(turns[2].1.contains("Ask anna@example.org") && !turns[1].1.contains("passage"), "{turns:?}");
    let told = upstream.asked().last().unwrap()["messages"].to_string().len();
    assert!(told < alone + 1_000, "passages are not repeated: {alone} and {told} bytes");
    let lineage: Value = serde_json::from_str(&recorded(&house, &key, &second).await).unwrap();
    let expected = json!({"query_id": second["query_id"], "earlier": [first["query_id"]], "brought_along": 0});
    assert_eq!(lineage["conversation"], expected, "{lineage}");
    let lineage: Value = serde_json::from_str(&recorded(&house, &key, &first).await).unwrap();
    assert_eq!(lineage.get("conversation"), None, "it was told nothing before");
    is_proved_whole(&house, &key, &second).await;

    let somebody = house.key(TENANT, "owner").await;
    for (key, conversation) in [(&key, "another"), (&somebody, "mine")] {
        asked_in(&house, key, conversation, MONTHS).await;
        assert_eq!(roles(&turns_told(&upstream)), ["user"], "{conversation}");
    }
    let ask = |body: Value| house.call(Method::POST, "/v1/ask", &key, Some(body));
    let (status, _) = ask(json!({"question": MONTHS, "conversation_id": "mine"})).await;
    assert_eq!((status, turns_told(&upstream).len()), (200, 5), "a body names a conversation as a header does");
    let (status, _) = ask(json!({"question": MONTHS, "conversation_id": "mine", "user": "zoe"})).await;
    assert_eq!((status, turns_told(&upstream).len()), (200, 1), "another end user of the same key");
    for bad in ["", "a b", "ä"] {
        let (status, problem) = ask(json!({"question": MONTHS, "conversation_id": bad})).await;
        assert!(status == 400 && problem["detail"].to_string().contains("conversation_id"), "{problem}");
    }
    let named = [("x-bailiwick-conversation", "mine")];
    let body = json!({"question": MONTHS, "conversation_id": "another"});
    assert_eq!(house.raw(Method::POST, "/v1/ask", &key, &named, Some(body)).await.status(), 400);

    let mut session = open_session(&house, &key).await;
    asked_over(&mut session, QUESTION).await;
    asked_over(&mut session, MONTHS).await;
    assert_eq!(roles(&turns_told(&upstream)), ["user", "assistant", "user"], "a session is a conversation");

    house.teach(&key, "leave", "Leave", "Paid leave of an employee is twenty days in the first year.").await;
    asked_in(&house, &key, "mine", MONTHS).await;
    let turns = turns_told(&upstream);
    assert_eq!(roles(&turns), ["user"], "what was said of words that stand there no more is not said again: {turns:?}");
}

/// Changes one policy file of a tenant that is served, as its signers would.
fn change(house: &House, file: &str, changes: &[(&str, &str)]) {
    let path = house.tenants.join(TENANT).join(file);
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in changes.iter().chain(&[("policy_semver: 1.0.0", "policy_semver: 1.1.0")]) {
        assert!(text.contains(from), "{file} has no {from:?}");
        text = text.replacen(from, to, 1);
    }
    std::fs::write(&path, text).unwrap();
    sign_policies(&house.tenants, TENANT);
}

/// Two people who have been answered from one document, and another document to be answered from next.
async fn answered_before() -> (Upstream, tempfile::TempDir, Ended, [String; 2]) {
    let upstream = Upstream::start().await;
    let (folder, house) = house_prepared(upstream.port, 60_000, "", |_| ());
    let keys = [house.key(TENANT, "owner").await, house.key(TENANT, "operator").await];
    house.teach(&keys[0], "leave", "Leave", LEAVE).await;
    for key in &keys {
        asked_in(&house, key, "mine", QUESTION).await;
    }
    house.teach(&keys[0], "months", "Months", "Paid leave of an employee is twenty days in the first year.").await;
    (upstream, folder, house, keys)
}

#[tokio::test]
async fn what_was_said_from_a_document_is_not_said_again_to_whom_it_is_hidden_from() {
    let (upstream, _folder, house, [owner, operator]) = answered_before().await;
    asked_in(&house, &operator, "mine", MONTHS).await;
    assert_eq!(roles(&turns_told(&upstream)), ["user", "assistant", "user"], "nothing is hidden yet");
    let hidden = "rules:\n  - id: leave-is-not-theirs\n    effect: forbid\n    actions: [retrieve]\n    when:\n      - document.id: \
                  leave\n      - user.role: operator\n    overrides: [members-work]\n";
    change(&house, "policies/governance.yaml", &[("rules:\n", hidden)]);
    until("the document is hidden from operators", async || {
        let (status, _) = house.call(Method::GET, "/v1/documents/leave", &operator, None).await;
        (status == 404).then_some(())
    })
    .await;
    asked_in(&house, &operator, "mine", MONTHS).await;
    let turns = turns_told(&upstream);
    assert_eq!(roles(&turns), ["user"], "neither that answer nor the one that rests on it: {turns:?}");
    assert!(turns[0].1.contains("twenty days"), "what they may find is told: {turns:?}");
    asked_in(&house, &owner, "mine", MONTHS).await;
    assert_eq!(roles(&turns_told(&upstream)), ["user", "assistant", "user"], "it is hidden from operators alone");
}

#[tokio::test]
async fn what_was_said_from_a_document_the_guard_admits_no_longer_is_not_said_again() {
    let (upstream, _folder, house, [owner, _]) = answered_before().await;
    let strict = "forbidden_patterns:\n      - '(?i)anna@example'\n";
    change(&house, "policies/retrieval.yaml", &[("forbidden_patterns:\n", strict)]);
    until("the document is kept out", async || {
        let (_, document) = house.call(Method::GET, "/v1/documents/leave", &owner, None).await;
        (document["state"] == "quarantined").then_some(())
    })
    .await;
    asked_in(&house, &owner, "mine", MONTHS).await;
    let turns = turns_told(&upstream);
    assert_eq!(roles(&turns), ["user"], "its words are kept out, in whatever answer they stand: {turns:?}");
    assert!(turns[0].1.contains("twenty days"), "{turns:?}");
}

#[tokio::test]
async fn messages_that_come_with_a_question_are_told_as_earlier_turns() {
    let upstream = Upstream::start().await;
    let (_folder, house) = house_prepared(upstream.port, 60_000, "", |tenants| {
        let file = tenants.join(TENANT).join("policies/governance.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let settings = "settings:\n  max_history_turns: 2\n  max_history_characters: 120\n";
        std::fs::write(&file, text.replacen("settings:\n", settings, 1)).unwrap();
        sign_policies(tenants, TENANT);
    });
    let key = house.key(TENANT, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let ask = async |earlier: &[(&str, &str)]| {
        let messages = earlier.iter().chain(&[("user", QUESTION)]);
        let messages: Vec<Value> = messages.map(|(role, text)| json!({"role": role, "content": text})).collect();
        let body = json!({"model": "bailiwick", "messages": messages});
        let (status, completion) = house.call(Method::POST, "/v1/chat/completions", &key, Some(body)).await;
        assert_eq!(status, 200, "{completion}");
        turns_told(&upstream)
    };
    let turns = ask(&[("system", "be brief"), ("user", "Hello?"), ("assistant", "Hello [4].")]).await;
    assert_eq!(roles(&turns), ["user", "assistant", "user"]);
    assert_eq!((turns[0].1.as_str(), turns[1].1.trim()), ("Hello?", "Hello ."));
    let many = [
        ("user", "One?"),
        ("assistant", "1"),
        ("user", "Two?"),
        ("assistant", "2"),
        ("user", "Three?"),
        ("assistant", "3"),
    ];
    let turns = ask(&many).await;
    assert_eq!(turns.iter().map(|(_, text)| text.as_str()).take(4).collect::<Vec<_>>(), ["Two?", "2", "Three?", "3"]);
    let long = "x".repeat(116);
    assert_eq!(ask(&[("user", "One?"), ("assistant", &long)]).await.len(), 3, "exactly within the bound");
    assert_eq!(ask(&[("user", "One!?"), ("assistant", &long)]).await.len(), 1, "one character beyond it");
}
