//! The connection, against a server that takes its time, ends it, or knows nobody.
use super::*;
use futures_util::future::join_all;
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A server that answers as many commands as it is let.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    answers: Arc<Semaphore>,
}

impl Server {
    async fn start(answers: usize, reply: fn(&str) -> &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, connections: Arc::default(), answers: Arc::new(Semaphore::new(answers)) };
        let (connections, answers) = (Arc::clone(&server.connections), Arc::clone(&server.answers));
        actix::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                actix::spawn(serve(socket, Arc::clone(&answers), reply));
            }
        });
        server
    }

    fn store(&self) -> Arc<dyn SharedStore> {
        open(RedisAccess { port: self.port, ..access() }, InTransit::Tls13).unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn access() -> RedisAccess {
    RedisAccess {
        host: "127.0.0.1".into(),
        port: 0,
        is_encrypted: false,
        // said to the server before anything else
        database: 1,
        username: None,
        password: None,
    }
}

/// Answers commands in the order they come; hangs up where the reply is nothing.
async fn serve(socket: TcpStream, answers: Arc<Semaphore>, reply: fn(&str) -> &'static str) {
    let (reading, mut writing) = socket.into_split();
    let mut reading = BufReader::new(reading);
    while let Some(command) = command(&mut reading).await {
        answers.acquire().await.unwrap().forget();
        let reply = reply(&command);
        if reply.is_empty() || writing.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The first word of the next command; nothing where the client is gone.
async fn command(reading: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let mut line = String::new();
    reading.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = Vec::new();
    for _ in 0..line.trim().strip_prefix('*')?.parse::<usize>().ok()? {
        let mut length = String::new();
        reading.read_line(&mut length).await.ok()?;
        let mut word = vec![0; length.trim().strip_prefix('$')?.parse::<usize>().ok()? + 2];
        reading.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
    }
    words.into_iter().next()
}

fn sound(command: &str) -> &'static str {
    match command {
        "GETRANGE" => "$5\r\nheron\r\n",
        "PING" => "+PONG\r\n",
        _ => "+OK\r\n",
    }
}

const MANY: usize = 1_000;

#[actix::test]
async fn nobody_who_looks_waits_for_the_connection_and_it_is_made_once() {
    let server = Server::start(0, sound).await;
    let store = server.store();
    assert!(!store.is_ready() && !store.is_ready(), "it takes its time");
    assert!(store.get(b"name", 9).await.unwrap_err().contains("is being reached"));
    let puts = join_all((0..3).map(|_| store.put(b"name", b"heron", 1_000)));
    let (stored, ()) = tokio::join!(puts, async {
        tokio::task::yield_now().await;
        server.answers.add_permits(MANY);
    });
    assert_eq!(stored, [Ok(()), Ok(()), Ok(())]);
    assert!(store.is_ready());
    assert_eq!(store.get(b"name", 9).await, Ok(Some(b"heron".to_vec())));
    assert_eq!((store.ping().await, server.connections()), (Ok(()), 1));
}

#[actix::test]
async fn a_connection_that_ends_is_made_anew_and_one_attempt_answers_everybody() {
    fn ends(command: &str) -> &'static str {
        if command == "SET" { "" } else { sound(command) }
    }
    let server = Server::start(MANY, ends).await;
    let store = server.store();
    store.ping().await.unwrap();
    store.put(b"name", b"heron", 1_000).await.unwrap_err();
    assert!(!store.is_ready(), "what failed is thrown away");
    store.ping().await.unwrap();
    assert_eq!(server.connections(), 2);

    let gone = Server::start(MANY, |_| "").await;
    let store = gone.store();
    let told = join_all((0..5).map(|_| store.ping())).await;
    assert!(
        told.iter().all(|told| told.as_ref().is_err_and(|problem| problem.contains("reaching 127.0.0.1"))),
        "{told:?}"
    );
    assert_eq!(gone.connections(), 1);
    assert!(!store.is_ready());
}

#[actix::test]
async fn an_attempt_ends_where_nobody_answers() {
    let server = Server::start(0, sound).await;
    let store = server.store();
    tokio::time::pause();
    let problem = store.ping().await.unwrap_err();
    assert!(problem.contains("took longer than 5 s"), "{problem}");
}

#[actix::test]
async fn whom_the_server_does_not_know_is_told() {
    fn knows_nobody(command: &str) -> &'static str {
        if command == "AUTH" { "-WRONGPASS invalid username-password pair\r\n" } else { sound(command) }
    }
    let server = Server::start(MANY, knows_nobody).await;
    let access = RedisAccess { port: server.port, password: Some("wrong".to_owned().into()), ..access() };
    let problem = open(access, InTransit::Tls13).unwrap().ping().await.unwrap_err();
    assert!(problem.contains("reaching 127.0.0.1"), "{problem}");
    assert!(!problem.contains("\"wrong\""), "{problem}");
}
