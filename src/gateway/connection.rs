//! Ends a connection that waits for its client too long. The framework times the first head of a connection and the
//! silence between two requests. Nobody else times a later head that trickles in, the rest of a body whose request is
//! answered already, or an answer that is not taken.
use super::edge::Settings;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use bytes::Bytes;
use socket2::{SockRef, Socket};
use std::any::Any;
use std::cell::Cell;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Whom a connection waits for, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waiting {
    /// The house, which has deadlines of its own; an open stream or session may take as long as it likes.
    House,
    /// A client that has to send a request, or what is left of one that was answered.
    Request(Instant),
    /// A client that has to take the last piece of an answer.
    Reader(Instant),
}

/// How long a client is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Patience {
    request: Duration,
    reader: Duration,
}

impl Patience {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            request: Duration::from_millis(settings.keep_alive_ms.saturating_add(settings.head_timeout_ms)),
            reader: Duration::from_millis(settings.answer_timeout_ms),
        }
    }

    /// How long the connection may be left alone before the next look at it; nothing where its client's time is up.
    pub(super) fn left(self, waiting: Waiting, now: Instant) -> Option<Duration> {
        // whatever it begins to wait for meanwhile, the next look is not too late by more than this
        let shortest = self.request.min(self.reader);
        let (allowed, since) = match waiting {
            Waiting::House => return Some(shortest),
            Waiting::Request(since) => (self.request, since),
            Waiting::Reader(since) => (self.reader, since),
        };
        let left = allowed.saturating_sub(now.saturating_duration_since(since));
        (!left.is_zero()).then_some(left.min(shortest))
    }
}

/// One connection: a second handle of its socket, and the task that watches it.
pub(super) struct Connection {
    socket: Socket,
    waiting: Cell<Waiting>,
    watch: JoinHandle<()>,
}

impl Connection {
    fn new(socket: Socket, patience: Patience) -> Rc<Self> {
        Rc::new_cyclic(|connection| Self {
            socket,
            waiting: Cell::new(Waiting::Request(Instant::now())),
            watch: actix_web::rt::spawn(watch(Weak::clone(connection), patience)),
        })
    }

    /// A request begins. It is over when what this gives is dropped.
    pub(super) fn begin(connection: &Rc<Self>) -> Exchange {
        connection.waiting.set(Waiting::House);
        Exchange(Rc::clone(connection))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Looks at a connection until it is gone or has to go. Holds it only while it looks: the socket closes when its last
/// handle does.
async fn watch(connection: Weak<Connection>, patience: Patience) {
    while let Some(watched) = connection.upgrade() {
        let Some(left) = patience.left(watched.waiting.get(), Instant::now()) else {
            end(&SockRef::from(&watched.socket));
            return;
        };
        drop(watched);
        tokio::time::sleep(left).await;
    }
}

/// Both directions end: whatever the framework waits for on this socket comes to nothing, and it closes the connection.
fn end(socket: &SockRef<'_>) {
    // an error says that the client has ended it already
    let _gone = socket.shutdown(Shutdown::Both);
}

/// Watches every new connection of a server.
pub(super) fn watch_all(settings: &Settings) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static {
    let patience = Patience::of(settings);
    move |stream, extensions| {
        let under_tls = || Some(stream.downcast_ref::<TlsStream<TcpStream>>()?.get_ref().0);
        let Some(stream) = stream.downcast_ref::<TcpStream>().or_else(under_tls) else { return };
        let socket = SockRef::from(stream);
        match socket.try_clone() {
            Ok(second) => {
                extensions.insert(Connection::new(second, patience));
            }
            // out of file descriptors: a connection nobody could end later ends now
            Err(_exhausted) => end(&socket),
        }
    }
}

/// A request from the end of its head to the end of its answer.
pub(super) struct Exchange(Rc<Connection>);

impl Exchange {
    /// The body of the answer, which ends the exchange with itself.
    pub(super) fn with(self, body: BoxBody) -> BoxBody {
        BoxBody::new(AnswerBody { body, exchange: self })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.waiting.set(Waiting::Request(Instant::now()));
    }
}

/// A body that tells its connection whom it waits for: a piece is asked for when there is room for it, so between one
/// that was given and the next the client is reading.
struct AnswerBody {
    body: BoxBody,
    exchange: Exchange,
}

impl MessageBody for AnswerBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_next(context);
        let waiting = if polled.is_ready() { Waiting::Reader(Instant::now()) } else { Waiting::House };
        self.exchange.0.waiting.set(waiting);
        polled
    }
}
