//! The requests a collection is asked with, and what of an answer is refused, on a socket.
use super::declared::{Collection, Point};
use super::rules::{Filter, Hit};
use super::{QdrantAccess, open_qdrant};
use bailiwick_kernel::limits::VECTOR_ANSWER_BYTES_MAX;
use bailiwick_policy::sovereignty::InTransit;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What came in: the first line, the header with the key, the body.
type Heard = Arc<Mutex<Vec<(String, Option<String>, Value)>>>;

/// A server that gives the same answer to everybody.
async fn answering(answer: String) -> (Arc<dyn Collection>, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}/below/", listener.local_addr().unwrap()).parse().unwrap();
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    actix::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let request = read(&mut socket).await;
            told.lock().unwrap().push(request);
            socket.write_all(answer.as_bytes()).await.unwrap_or_default();
        }
    });
    let api_key = Some(SecretString::from("hidden".to_owned()));
    let access = QdrantAccess { server, collection: "tenant-acme".to_owned(), api_key };
    (open_qdrant(&access, InTransit::Tls13).unwrap(), heard)
}

async fn read(socket: &mut TcpStream) -> (String, Option<String>, Value) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                let lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
            };
            let length = header("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                let body = if length == 0 { Value::Null } else { serde_json::from_str(body).unwrap() };
                return (head.lines().next().unwrap().to_owned(), header("api-key"), body);
            }
        }
        let mut piece = [0; 4_096];
        let read = socket.read(&mut piece).await.unwrap();
        assert!(read > 0, "the request ends too early: {text}");
        bytes.extend_from_slice(&piece[..read]);
    }
}

fn with(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn fine(result: &Value) -> String {
    with("200 OK", &json!({"result": result, "status": "ok", "time": 0.001}).to_string())
}

async fn heard_one(heard: &Heard) -> (String, Value) {
    let mut heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let (line, key, body) = heard.pop().unwrap();
    assert_eq!(key.as_deref(), Some("hidden"));
    (line, body)
}

#[actix::test]
async fn a_collection_is_made_counted_and_deleted() {
    let (collection, heard) = answering(fine(&json!(true))).await;
    collection.make(384).await.unwrap();
    let (line, body) = heard_one(&heard).await;
    assert_eq!(line, "PUT /below/collections/tenant-acme HTTP/1.1");
    assert_eq!(body, json!({"vectors": {"size": 384, "distance": "Cosine"}}));
    collection.delete().await.unwrap();
    assert_eq!(heard_one(&heard).await, ("DELETE /below/collections/tenant-acme HTTP/1.1".to_owned(), Value::Null));
    let (collection, heard) = answering(fine(&json!({"count": 7}))).await;
    assert_eq!(collection.count().await, Ok(Some(7)));
    let (line, body) = heard_one(&heard).await;
    assert_eq!(
        (line.as_str(), body),
        ("POST /below/collections/tenant-acme/points/count HTTP/1.1", json!({"exact": true}))
    );
}

#[actix::test]
async fn points_are_brought_and_taken_out_with_their_numbers_alone() {
    let (collection, heard) = answering(fine(&json!({"operation_id": 1, "status": "completed"}))).await;
    let id = u64::MAX - 1;
    collection.put(&[Point { id, vector: vec![0.1, -1.0] }]).await.unwrap();
    let (line, body) = heard_one(&heard).await;
    assert_eq!(line, "PUT /below/collections/tenant-acme/points?wait=true HTTP/1.1");
    assert_eq!(body.to_string(), r#"{"points":[{"id":18446744073709551614,"vector":[0.1,-1.0]}]}"#);
    collection.take_out(&[3, id]).await.unwrap();
    let (line, body) = heard_one(&heard).await;
    assert_eq!(line, "POST /below/collections/tenant-acme/points/delete?wait=true HTTP/1.1");
    assert_eq!(body, json!({"points": [3, id]}));
}

#[actix::test]
async fn who_may_be_found_stands_inside_the_question() {
    let found = json!([
        {"points": [{"id": 3, "version": 1, "score": 0.9}, {"id": 7, "version": 1, "score": -0.25}]},
        {"points": [{"id": "5c56c793-69f3-4fbf-87e6-c4bf54c28c26", "version": 1, "score": 0.5}]},
        {"points": []},
    ]);
    let (collection, heard) = answering(fine(&found)).await;
    let filters = [Filter::These(vec![3, 7]), Filter::AllBut(vec![9]), Filter::AllBut(vec![])];
    let hits = collection.nearest(&[0.5, 0.25], &filters, 100).await.unwrap();
    let hit = |id, score| Hit { id, score };
    assert_eq!(hits, [hit(Some(3), 0.9), hit(Some(7), -0.25), hit(None, 0.5)]);
    let (line, body) = heard_one(&heard).await;
    assert_eq!(line, "POST /below/collections/tenant-acme/points/query/batch HTTP/1.1");
    let search = |filter: Value| {
        let mut search = json!({"query": [0.5, 0.25], "limit": 100, "with_payload": false, "with_vector": false});
        if !filter.is_null() {
            search["filter"] = filter;
        }
        search
    };
    let searches = [
        search(json!({"must": [{"has_id": [3, 7]}]})),
        search(json!({"must_not": [{"has_id": [9]}]})),
        search(Value::Null),
    ];
    assert_eq!(body, json!({"searches": searches}));
}

#[actix::test]
async fn a_change_that_is_not_said_to_be_done_counts_as_undone() {
    for (answer, expected) in [
        (fine(&json!({"operation_id": 1, "status": "acknowledged"})), "did not say that it is done"),
        (fine(&json!({"operation_id": 1})), "not to be read"),
        (with("404 Not Found", r#"{"status": {"error": "secret words"}}"#), "the collection is not there"),
        (with("500 Internal Server Error", "secret words"), "status 500"),
        (with("403 Forbidden", "secret words"), "status 403"),
        (with("307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/", ""), "status 307"),
        (with("200 OK", "no JSON"), "not to be read"),
        (String::new(), "error sending request"),
    ] {
        let (collection, _) = answering(answer).await;
        for changed in [collection.take_out(&[1]).await, collection.put(&[]).await] {
            let problem = changed.unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("secret"), "{problem}");
        }
    }
}

#[actix::test]
async fn what_is_not_there_is_counted_as_nothing_and_deleted_already() {
    let (collection, _) = answering(with("404 Not Found", "{}")).await;
    assert_eq!(collection.count().await, Ok(None));
    assert_eq!(collection.delete().await, Ok(()));
    assert!(collection.nearest(&[1.0], &[Filter::AllBut(vec![])], 1).await.unwrap_err().contains("not there"));
    let (collection, _) = answering(fine(&json!(false))).await;
    assert_eq!(collection.delete().await, Ok(()), "there was none");
    assert!(collection.make(3).await.is_err());
}

#[actix::test]
async fn an_answer_is_read_within_a_bound_and_no_score_is_made_up() {
    let long = json!([{"points": [], "rest": "x".repeat(VECTOR_ANSWER_BYTES_MAX)}]);
    let ask =
        |collection: Arc<dyn Collection>| async move { collection.nearest(&[1.0], &[Filter::AllBut(vec![])], 1).await };
    let (collection, _) = answering(fine(&long)).await;
    assert!(ask(collection).await.unwrap_err().contains("longer than"));
    for score in ["NaN", "1e999", "null", "\"0.5\""] {
        let body = format!(r#"{{"result": [{{"points": [{{"id": 1, "score": {score}}}]}}]}}"#);
        let (collection, _) = answering(with("200 OK", &body)).await;
        assert!(ask(collection).await.is_err(), "{score}");
    }
}
