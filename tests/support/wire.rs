//! Bytes on a socket, for what no client library would send.
use super::{House, until};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Debug)]
pub struct Raw {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Raw {
    /// Reads what a socket gave until its end; nothing where the server closed without a word.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head, body: bytes[end + 4..].to_vec() })
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status, code and whether it is a problem.
    pub fn problem(&self) -> (u16, String) {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// The head of a request that ends its connection; more headers by the caller.
pub fn head(method: &str, path: &str, key: &str, more: &[&str]) -> String {
    let mut lines = vec![format!("{method} {path} HTTP/1.1"), "host: house.example".into(), "connection: close".into()];
    lines.push(format!("authorization: Bearer {key}"));
    lines.extend(more.iter().map(|line| (*line).to_owned()));
    lines.join("\r\n") + "\r\n\r\n"
}

pub async fn connect(house: &House) -> TcpStream {
    let socket = TcpStream::connect(house.url.strip_prefix("http://").unwrap()).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Reads to the end, which must come.
pub async fn drain(socket: &mut TcpStream) -> Vec<u8> {
    let mut seen = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), socket.read_to_end(&mut seen)).await;
    // a reset is an end as well
    let _ended = read.expect("the server keeps a connection open that it should have ended");
    seen
}

/// Sends bytes and reads the answer. The server may stop reading before the end.
pub async fn talk(house: &House, bytes: &[u8]) -> Option<Raw> {
    let mut socket = connect(house).await;
    let _stopped = socket.write_all(bytes).await;
    Raw::parse(&drain(&mut socket).await)
}

/// Sends a start at once and then one byte at a time, as long as the server listens; reads what it says to that.
pub async fn trickle(house: &House, start: &str, byte: Option<u8>) -> Option<Raw> {
    let mut socket = connect(house).await;
    socket.write_all(start.as_bytes()).await.unwrap();
    Raw::parse(&trickle_on(&mut socket, byte).await)
}

/// Sends one byte at a time, or nothing, until the server ends the connection; gives what it said to that.
pub async fn trickle_on(socket: &mut TcpStream, byte: Option<u8>) -> Vec<u8> {
    let mut seen = Vec::new();
    until("the server gives up on a slow client", async || {
        let mut chunk = [0; 4_096];
        match socket.try_read(&mut chunk) {
            Ok(0) => return Some(()),
            Ok(read) => seen.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_reset) => return Some(()),
        }
        if let Some(byte) = byte {
            let _stopped = socket.write_all(&[byte]).await;
        }
        None
    })
    .await;
    seen
}
