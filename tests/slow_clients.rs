//! Clients that keep a connection waiting: it ends, at whatever point of it they are slow, and nobody else's does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use bailiwick_kernel::limits::JSON_BYTES_MAX;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

mod support;
use support::scene::{JSON, Scene};
use support::until;
use support::upstream::{Mood, Upstream, house_within};
use support::wire::{Raw, connect, head, trickle, trickle_on};

const LIMITS: &str = "[limits]\nhead_timeout_ms = 1000\nkeep_alive_ms = 1000\nanswer_timeout_ms = 1000\n";
const QUESTION: &str = "How many days of paid leave does an employee have?";
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: house.example\r\n\r\n";

/// Has one request answered on a connection that stays open.
async fn served_once(scene: &Scene) -> TcpStream {
    let mut socket = connect(&scene.house).await;
    socket.write_all(HEALTH).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
    }
    assert_eq!(Raw::parse(&seen).unwrap().status, 200);
    socket
}

#[tokio::test]
async fn a_later_head_that_never_ends() {
    let scene = Scene::configured(LIMITS).await;
    for (start, byte) in [(&HEALTH[..1], Some(b'E')), (&HEALTH[..HEALTH.len() - 2], Some(b'a')), (&HEALTH[..30], None)]
    {
        let mut socket = served_once(&scene).await;
        socket.write_all(start).await.unwrap();
        let said = trickle_on(&mut socket, byte).await;
        assert!(Raw::parse(&said).is_none_or(|raw| raw.status >= 400), "{}", String::from_utf8_lossy(&said));
    }
    scene.is_unharmed("a later head that never ends").await;
}

#[tokio::test]
async fn a_body_that_never_ends_after_its_answer() {
    let scene = Scene::configured(LIMITS).await;
    let start = head("POST", "/v1/ask", &scene.key, &[JSON, "transfer-encoding: chunked"])
        + &format!("fffffff\r\n{}", " ".repeat(JSON_BYTES_MAX + 1));
    for byte in [Some(b' '), None] {
        for start in [start.clone(), start.replacen("connection: close\r\n", "", 1)] {
            let answer = trickle(&scene.house, &start, byte).await.expect("an answer");
            assert_eq!(answer.problem(), (413, "too_large".to_owned()));
        }
    }
    scene.is_unharmed("a body that never ends").await;
}

#[tokio::test]
async fn answers_that_nobody_takes() {
    let scene = Scene::configured(LIMITS).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let address = scene.house.url.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = socket.connect(address).await.unwrap();
    let requests = b"GET /openapi.json HTTP/1.1\r\nhost: house.example\r\n\r\n".repeat(1_000);
    let mut sent = 0;
    // requests the server has not read turn its end into a reset, which reaches a client that never reads
    until("the server gives up on a client that takes nothing", async || {
        loop {
            match socket.try_write(&requests[sent % requests.len()..]) {
                Ok(written) => sent += written,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
                Err(_reset) => return Some(()),
            }
        }
    })
    .await;
    scene.is_unharmed("answers that nobody takes").await;
}

#[tokio::test]
async fn a_stream_and_a_session_outlive_slow_clients() {
    let upstream = Upstream::start().await;
    let scene = Scene::of(house_within(upstream.port, 20_000, LIMITS)).await;
    let mut request =
        format!("{}/v1/session", scene.house.url.replacen("http", "ws", 1)).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {}", scene.key).parse().unwrap());
    let (mut session, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    upstream.be(Mood::Pauses);
    let body = json!({"question": QUESTION, "stream": true});
    let mut stream = scene.house.raw(Method::POST, "/v1/ask", &scene.key, &[], Some(body)).await;
    assert_eq!(stream.status(), 200);
    let mut text = stream.chunk().await.unwrap().unwrap().to_vec();

    // younger than both and slower than allowed: when this one is ended, both have been silent for longer
    let mut slow = served_once(&scene).await;
    slow.write_all(b"G").await.unwrap();
    trickle_on(&mut slow, None).await;

    upstream.go_on();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("event: done") && text.contains("thirty days"), "{text}");
    upstream.be(Mood::Good);
    let ask = json!({"type": "ask", "id": "after", "question": QUESTION});
    session.send(Message::text(ask.to_string())).await.unwrap();
    let mut heard = String::new();
    while !heard.contains("\"done\"") {
        match session.next().await.expect("the session has ended").unwrap() {
            Message::Text(frame) => heard.push_str(&frame),
            other => assert!(!other.is_close(), "{other:?}"),
        }
    }
    assert!(heard.contains("thirty days"), "{heard}");
}
