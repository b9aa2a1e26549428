//! Walks through the doors of the data plane: documents in, questions answered whole, in events and over a session,
//! what is left of them, and the end of a house that still speaks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use bailiwick::gateway::ROUTES;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

mod support;
use support::upstream::{Mood, Upstream, WORDS, house_on};
use support::{House, house, until};

const TENANT: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";
const LEAVE: &str = "Every employee has thirty days of paid leave in a year.";

async fn post(house: &House, path: &str, key: &str, body: Value) -> (u16, Value) {
    house.call(Method::POST, path, key, Some(body)).await
}

/// Every file of a tenant's corpus in one form.
async fn upload_corpus(house: &House, tenant: &str, key: &str) -> Vec<Value> {
    let mut form = Form::new().text("domain", "corpus");
    for entry in std::fs::read_dir(house.tenants.join(tenant).join("corpus")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        form = form.part("files", Part::bytes(std::fs::read(&path).unwrap()).file_name(name));
    }
    let request = house.http.post(format!("{}/v1/documents", house.url)).bearer_auth(key).multipart(form);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201, "{tenant}");
    answer.json::<Value>().await.unwrap()["documents"].as_array().unwrap().clone()
}

/// The cited words stand where the citation says.
async fn citations_resolve(house: &House, key: &str, answer: &Value) {
    assert!(!answer["citations"].as_array().unwrap().is_empty(), "{answer}");
    for citation in answer["citations"].as_array().unwrap() {
        let path = format!("/v1/documents/{}", citation["document_id"].as_str().unwrap());
        let (status, document) = house.call(Method::GET, &path, key, None).await;
        assert_eq!(status, 200, "{citation}");
        let (start, end) = (citation["start"].as_u64().unwrap(), citation["end"].as_u64().unwrap());
        let text = document["text"].as_str().unwrap();
        let there: String = text.chars().skip(start as usize).take((end - start) as usize).collect();
        assert_eq!(there, citation["snippet"].as_str().unwrap(), "{citation}");
        assert!(answer["answer"].as_str().unwrap().contains(citation["marker"].as_str().unwrap()), "{answer}");
    }
}

#[tokio::test]
async fn five_formats_go_in_and_answer() {
    let (_folder, house) = house();
    for tenant in ["default", "acme-corp", "beta-inc"] {
        let key = house.key(tenant, "owner").await;
        let taken = upload_corpus(&house, tenant, &key).await;
        let kept_out: Vec<_> = taken.iter().filter(|document| document["state"] == "quarantined").collect();
        assert_eq!(kept_out.len(), 1, "{taken:?}");
        let path = format!("/v1/documents/{}", kept_out[0]["id"].as_str().unwrap());
        let (_, poisoned) = house.call(Method::GET, &path, &key, None).await;
        assert!(poisoned["source"].as_str().unwrap().starts_with("upload.local/poisoned-"), "{poisoned}");
        for document in taken.iter().filter(|document| document["state"] != "quarantined") {
            assert_eq!(document["state"], "accepted", "{document}");
            house.indexed(&key, document["id"].as_str().unwrap()).await;
        }
        let again = upload_corpus(&house, tenant, &key).await;
        assert!(again.iter().all(|document| document["state"] == "unchanged"), "{again:?}");
        let figures = house.usage(&key).await;
        assert_eq!(figures["corpus"]["documents"], taken.len());

        let golden = std::fs::read_to_string(house.tenants.join(tenant).join("eval/golden.jsonl")).unwrap();
        for line in golden.lines().take(4) {
            let case: Value = serde_json::from_str(line).unwrap();
            let (status, answer) = post(&house, "/v1/ask", &key, json!({"question": case["question"]})).await;
            assert_eq!((status, &answer["abstained"]), (200, &json!(false)), "{case}: {answer}");
            let source = format!("upload.local/{}", case["relevant"][0].as_str().unwrap());
            let cited = answer["citations"].as_array().unwrap();
            assert!(cited.iter().any(|citation| citation["source"] == source.as_str()), "{case}: {answer}");
            citations_resolve(&house, &key, &answer).await;
        }
    }
}

/// Events of a stream: name and data.
fn events(text: &str) -> Vec<(String, Value)> {
    let event = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        (field("event: "), serde_json::from_str(&field("data: ")).unwrap())
    };
    text.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':')).map(event).collect()
}

#[tokio::test]
async fn an_answer_in_events_is_the_answer_as_a_whole() {
    let (_folder, house) = house();
    let key = house.key(TENANT, "operator").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let (_, whole) = post(&house, "/v1/ask", &key, json!({"question": QUESTION})).await;
    for question in [QUESTION, "What is the airspeed velocity of an unladen swallow?"] {
        let body = Some(json!({"question": question, "stream": true}));
        let answer = house.raw(Method::POST, "/v1/ask", &key, &[], body).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let events = events(&answer.text().await.unwrap());
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        let deltas = names.iter().filter(|name| **name == "delta").count();
        assert!(deltas >= 1 && names.len() == deltas + 2, "{names:?}");
        assert_eq!((names[0], names[names.len() - 1]), ("citations", "done"));
        let told: String = events.iter().filter_map(|(_, data)| data["text"].as_str()).collect();
        let done = &events[events.len() - 1].1;
        assert_eq!(told, done["answer"].as_str().unwrap());
        if question == QUESTION {
            assert_eq!((&done["answer"], &done["citations"]), (&whole["answer"], &whole["citations"]));
            assert!(!events[0].1["citations"].as_array().unwrap().is_empty());
            citations_resolve(&house, &key, done).await;
        } else {
            assert_eq!((&done["abstained"], &done["citations"]), (&json!(true), &json!([])), "{done}");
        }
    }
    // a refusal before the first event is a plain problem
    let (status, problem) = post(&house, "/v1/ask", &key, json!({"question": "", "stream": true})).await;
    assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_request")));
    let viewer = house.key(TENANT, "viewer").await;
    let (status, _) = post(&house, "/v1/ask", &viewer, json!({"question": QUESTION, "stream": true})).await;
    assert_eq!(status, 403);
}

type Session = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn open_session(house: &House, key: &str) -> Result<Session, Error> {
    let mut request = format!("{}/v1/session", house.url.replacen("http", "ws", 1)).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.map(|(session, _)| session)
}

async fn say(session: &mut Session, frame: Value) {
    session.send(Message::text(frame.to_string())).await.unwrap();
}

/// The next frame of JSON.
async fn hear(session: &mut Session) -> Value {
    loop {
        let heard = tokio::time::timeout(std::time::Duration::from_secs(30), session.next()).await;
        match heard.expect("the session is silent").expect("the session has ended").unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(reason) => panic!("closed: {reason:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn several_questions_over_one_session() {
    let (_folder, house) = house();
    let key = house.key(TENANT, "operator").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let (_, whole) = post(&house, "/v1/ask", &key, json!({"question": QUESTION})).await;
    let mut session = open_session(&house, &key).await.unwrap();
    let ids = ["a", "b", "c", "d"];
    for id in ids {
        say(&mut session, json!({"type": "ask", "id": id, "question": QUESTION})).await;
    }
    let (mut told, mut done): (BTreeMap<String, Vec<Value>>, usize) = (BTreeMap::new(), 0);
    while done < ids.len() {
        let frame = hear(&mut session).await;
        done += usize::from(frame["type"] == "done");
        told.entry(frame["id"].as_str().unwrap().to_owned()).or_default().push(frame);
    }
    for id in ids {
        let frames = &told[id];
        let kinds: Vec<&str> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
        assert_eq!(kinds[..2], ["accepted", "citations"], "{kinds:?}");
        assert!(kinds[2..kinds.len() - 1].iter().all(|kind| *kind == "delta"), "{kinds:?}");
        let words: String = frames.iter().filter_map(|frame| frame["text"].as_str()).collect();
        let last = &frames[frames.len() - 1];
        assert_eq!((words.as_str(), last["type"].as_str()), (last["answer"].as_str().unwrap(), Some("done")));
        assert_eq!((&last["answer"], &last["citations"]), (&whole["answer"], &whole["citations"]));
    }
    // each bad frame has the verdict of the JSON route, and the session goes on
    for body in [
        json!({"question": ""}),
        json!({"question": "x".repeat(10_001)}),
        json!({"question": "a\u{0}"}),
        json!({"questoin": "a"}),
        json!({"question": 5}),
        json!({"question": "a", "top_k": 0}),
    ] {
        let (status, problem) = post(&house, "/v1/ask", &key, body.clone()).await;
        let mut frame = body.clone();
        frame["type"] = json!("ask");
        frame["id"] = json!("bad");
        say(&mut session, frame).await;
        let error = hear(&mut session).await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("bad")), "{body}: {error}");
        assert_eq!((&error["status"], &error["code"]), (&json!(status), &problem["code"]), "{body}: {error}");
    }
    for text in [
        "",
        "{",
        "[]",
        "{\"type\":\"ask\"}",
        "{\"id\":\"x\",\"type\":\"shout\"}",
        "{\"id\":\"x\",\"type\":\"cancel\",\"y\":1}",
    ] {
        session.send(Message::text(text)).await.unwrap();
        let error = hear(&mut session).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("invalid_request")), "{text}: {error}");
    }
    session.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(hear(&mut session).await["code"], "invalid_request");
    say(&mut session, json!({"type": "cancel", "id": "never-asked"})).await;
    say(&mut session, json!({"type": "ask", "id": "last", "question": QUESTION})).await;
    assert_eq!(hear(&mut session).await, json!({"type": "accepted", "id": "last"}));
    // a frame beyond the limit ends it
    session.send(Message::text("x".repeat((256 << 10) + 1))).await.unwrap();
    until("the session is closed", async || match session.next().await {
        Some(Ok(Message::Close(_)) | Err(_)) | None => Some(()),
        Some(Ok(_)) => None,
    })
    .await;
    // the door says no before the handshake
    for (key, status) in [(house.key(TENANT, "viewer").await, 403), ("bwk_x_y".to_owned(), 401)] {
        match open_session(&house, &key).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), status),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_cancelled_question_is_over_and_holds_nothing() {
    let upstream = Upstream::start().await;
    let (_folder, house) = house_on(upstream.port, 20_000);
    let key = house.key(TENANT, "operator").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    upstream.be(Mood::Hangs);
    let mut session = open_session(&house, &key).await.unwrap();
    say(&mut session, json!({"type": "ask", "id": "slow", "question": QUESTION})).await;
    assert_eq!(hear(&mut session).await, json!({"type": "accepted", "id": "slow"}));
    until("the hold is taken", async || (house.usage(&key).await["budget"]["held"] != "0").then_some(())).await;
    say(&mut session, json!({"type": "ask", "id": "slow", "question": QUESTION})).await;
    let error = hear(&mut session).await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("conflict")), "{error}");
    say(&mut session, json!({"type": "cancel", "id": "slow"})).await;
    assert_eq!(hear(&mut session).await, json!({"type": "done", "id": "slow", "cancelled": true}));
    until("nothing is held", async || (house.usage(&key).await["budget"]["held"] == "0").then_some(())).await;
    upstream.be(Mood::Good);
    say(&mut session, json!({"type": "ask", "id": "slow", "question": QUESTION})).await;
    let done = until("the id is free again", async || {
        let frame = hear(&mut session).await;
        (frame["type"] == "done").then_some(frame)
    })
    .await;
    assert!(done["answer"].as_str().unwrap().ends_with(WORDS), "{done}");
}

#[tokio::test]
async fn filters_deletion_feedback_and_lineage() {
    let (_folder, house) = house();
    let key = house.key(TENANT, "operator").await;
    let document =
        |id: &str, domain: &str| json!({"id": id, "title": id, "text": LEAVE, "domain": domain, "usecase": "qa"});
    let body = json!({"documents": [document("one", "people"), document("two", "law")]});
    let (status, taken) = post(&house, "/v1/documents", &key, body.clone()).await;
    assert_eq!((status, &taken["documents"][1]["state"]), (201, &json!("accepted")), "{taken}");
    house.indexed(&key, "one").await;
    house.indexed(&key, "two").await;
    let found = async |filter: Value| {
        let mut body = json!({"query": "paid leave"});
        body.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        let (status, answer) = post(&house, "/v1/search", &key, body).await;
        assert_eq!(status, 200, "{answer}");
        let hits = answer["hits"].as_array().unwrap();
        let mut ids: Vec<String> = hits.iter().map(|hit| hit["document_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(found(json!({})).await, ["one", "two"]);
    assert_eq!(found(json!({"top_k": 1})).await.len(), 1);
    assert_eq!(found(json!({"domain": "law"})).await, ["two"]);
    assert_eq!(found(json!({"domain": "people", "usecase": "qa"})).await, ["one"]);
    assert_eq!(found(json!({"domain": "none"})).await, [""; 0]);
    let (_, answer) = post(&house, "/v1/ask", &key, json!({"question": QUESTION, "domain": "law"})).await;
    let cited = answer["citations"].as_array().unwrap();
    assert!(!cited.is_empty() && cited.iter().all(|citation| citation["document_id"] == "two"), "{answer}");

    let query_id = answer["query_id"].as_str().unwrap();
    let given = json!({"query_id": query_id, "rating": "down", "comment": "too short", "correct_answer": "Thirty."});
    let (status, recorded) = post(&house, "/v1/feedback", &key, given).await;
    assert_eq!(
        (status, &recorded["query_id"], &recorded["up"]),
        (201, &answer["query_id"], &json!(false)),
        "{recorded}"
    );
    let (status, lineage) = house.call(Method::GET, &format!("/v1/lineage?query_id={query_id}"), &key, None).await;
    assert_eq!((status, &lineage["record"]["question"]), (200, &json!(QUESTION)), "{lineage}");
    assert_eq!(
        (&lineage["record"]["answer"], &lineage["feedback"][0]["comment"]),
        (&answer["answer"], &json!("too short"))
    );
    assert!(
        answer["receipt"].as_str().unwrap().contains(lineage["hash"].as_str().unwrap().get(..16).unwrap()),
        "{answer} {lineage}"
    );
    let export = house.raw(Method::GET, "/v1/lineage/export", &key, &[], None).await;
    assert_eq!(export.headers()["content-type"], "application/jsonl");
    let text = export.text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fields = [
        "tenant_id",
        "domain",
        "usecase",
        "source_id",
        "query_id",
        "chunk_id",
        "trust_score",
        "agent_id",
        "policy_version",
        "timestamp",
    ];
    assert!(!lines.is_empty());
    for line in &lines {
        assert!(fields.iter().all(|field| !line[field].is_null()), "{line}");
        assert_eq!(
            (&line["tenant_id"], &line["policy_version"]),
            (&json!(TENANT), &answer["policy_version"]),
            "{line}"
        );
    }
    assert_eq!(lines, *lineage["lines"].as_array().unwrap(), "one answer so far");

    assert_eq!(house.call(Method::DELETE, "/v1/documents/two", &key, None).await.0, 204);
    assert_eq!(found(json!({})).await, ["one"]);
    assert_eq!(house.call(Method::GET, "/v1/documents/two", &key, None).await.0, 404);
    assert_eq!(house.call(Method::DELETE, "/v1/documents/two", &key, None).await.0, 404);
    let (_, answer) = post(&house, "/v1/ask", &key, json!({"question": QUESTION, "domain": "law"})).await;
    assert_eq!((&answer["abstained"], &answer["citations"]), (&json!(true), &json!([])), "{answer}");
    let (_, again) = post(&house, "/v1/documents", &key, body).await;
    assert_eq!(
        (&again["documents"][0]["state"], &again["documents"][1]["state"]),
        (&json!("unchanged"), &json!("accepted"))
    );
}

#[tokio::test]
async fn a_house_that_is_asked_to_end_finishes_its_sentence() {
    let upstream = Upstream::start().await;
    let (_folder, mut house) = house_on(upstream.port, 20_000);
    let key = house.key(TENANT, "operator").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    upstream.be(Mood::Pauses);
    let body =
        Some(json!({"model": "fake-model", "stream": true, "messages": [{"role": "user", "content": QUESTION}]}));
    let mut answer = house.raw(Method::POST, "/v1/chat/completions", &key, &[], body).await;
    assert_eq!(answer.status(), 200);
    let mut text = answer.chunk().await.unwrap().unwrap().to_vec();
    let ending = house.0.take().unwrap();
    let (url, http) = (ending.url.clone(), ending.http.clone());
    let ended = bailiwick_kernel::residue::spawn_blocking(move || ending.terminate());
    until("no new request is taken", async || match http.get(format!("{url}/readyz")).send().await {
        Ok(answer) if answer.status() == 200 => None,
        Ok(_) | Err(_) => Some(()),
    })
    .await;
    upstream.go_on();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("thirty days") && text.ends_with("data: [DONE]\n\n"), "{text}");
    let (code, log) = ended.await.unwrap();
    assert_eq!(code, Some(0), "{}", log.join("\n"));
}

#[tokio::test]
async fn what_the_house_says_of_itself() {
    let (_folder, house) = house();
    for tenant in ["default", "acme-corp", "beta-inc"] {
        let key = house.key(tenant, "owner").await;
        house.teach(&key, "leave", "Leave", LEAVE).await;
        assert_eq!(post(&house, "/v1/ask", &key, json!({"question": QUESTION})).await.0, 200);
        let (_, slo) = house.call(Method::GET, "/v1/slo", &key, None).await;
        assert_eq!((&slo["latency"]["count"], &slo["availability"]), (&json!(1), &json!(1.0)), "{slo}");
        let (_, policy) = house.call(Method::GET, "/v1/policy", &key, None).await;
        assert!(policy["policy_version"].is_string() && policy["governance"].is_object(), "{policy}");
        let (_, usage) = house.call(Method::GET, "/v1/usage", &key, None).await;
        assert_eq!((&usage["counts"]["answered"], &usage["corpus"]["searchable"]), (&json!(1), &json!(1)), "{usage}");
    }
    let (_, document) = house.call(Method::GET, "/openapi.json", "", None).await;
    for route in ROUTES {
        assert!(
            document["paths"][route.path][route.method.to_lowercase()].is_object(),
            "{} {}",
            route.method,
            route.path
        );
    }
    for key in ["", &house.key("default", "owner").await] {
        let told = house.raw(Method::GET, "/metrics", key, &[], None).await.text().await.unwrap();
        let figures: Vec<_> = told.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(figures, ["bailiwick_up 1"], "all others are those of every tenant");
    }
    let metrics = until("the answers are counted", async || {
        let metrics = house.raw(Method::GET, "/metrics", &house.operator_key(), &[], None).await.text().await.unwrap();
        (metrics.lines().count() > 5).then_some(metrics)
    })
    .await;
    for line in metrics.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(
            value.parse::<f64>().is_ok() && series.starts_with(|first: char| first.is_ascii_alphabetic()),
            "{line}"
        );
    }
    for pool in ["search", "parse", "provider extractive"] {
        let series = format!("bailiwick_fairness_gap_ratio{{pool=\"{pool}\"}} ");
        let gap = metrics.lines().find_map(|line| line.strip_prefix(&series)).expect(pool);
        assert!((0.0..=1.0).contains(&gap.parse::<f64>().unwrap()), "{pool}: {gap}");
    }
    for name in ["acme-corp", "beta-inc", "default"] {
        assert!(!metrics.contains(name), "{name}:\n{metrics}");
    }
    let operator = house.operator_key();
    let (_, tree) = house.call(Method::GET, "/admin/v1/actors", &operator, None).await;
    assert!(tree["actors"].as_array().unwrap().len() > 10, "{tree}");
    assert!(!tree.to_string().contains("acme-corp"), "{tree}");
}
