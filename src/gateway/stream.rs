//! Server-sent events: frames of a turn in, events out, one at a time, as fast as the client reads and no faster.
use super::edge::Edge;
use super::errors::{Failure, json_bytes};
use super::reply::origin;
use actix_web::HttpResponse;
use actix_web::http::header;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_tenant::question::{Answer, Frame, Reply};
use bailiwick_tenant::turn::Awaiting;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

/// A silent stream says so this often, which finds clients that are gone and keeps proxies from closing it.
const HEARTBEAT: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b": still working\n\n";

/// Turns the frames of one turn into events of one dialect.
pub(super) trait Events: 'static {
    /// The events of one frame; nothing where the dialect has none for it.
    fn frame(&mut self, frame: Frame) -> Option<Bytes>;
    /// The events that end the stream.
    fn end(&mut self, outcome: Outcome<Reply>) -> Bytes;
}

/// One server-sent event. JSON has no raw line break, so one `data:` line holds it.
pub(super) fn event<T: Serialize>(name: &str, data: &T) -> Bytes {
    let mut text = Vec::with_capacity(128);
    if !name.is_empty() {
        text.extend_from_slice(b"event: ");
        text.extend_from_slice(name.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(b"data: ");
    text.extend_from_slice(&json_bytes(data));
    text.extend_from_slice(b"\n\n");
    Bytes::from(text)
}

/// What a stream begins with: while nothing is sent, a refusal still is a plain error with its status.
enum Next {
    Frame(Frame),
    End(Outcome<Reply>),
}

async fn next(awaiting: &mut Awaiting) -> Next {
    match awaiting.frames.recv().await {
        Some(frame) => Next::Frame(frame),
        None => Next::End(awaiting.reply_mut().await),
    }
}

struct Open<E> {
    awaiting: Awaiting,
    events: E,
    pending: Option<Next>,
    patience: Duration,
    silent: Duration,
    ended: bool,
}

impl<E: Events> Open<E> {
    async fn step(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        while !self.ended {
            let next = match self.pending.take() {
                Some(next) => Some(next),
                None => tokio::time::timeout(HEARTBEAT, next(&mut self.awaiting)).await.ok(),
            };
            let bytes = match next {
                Some(Next::Frame(frame)) => {
                    self.silent = Duration::ZERO;
                    self.events.frame(frame)
                }
                Some(Next::End(outcome)) => {
                    self.ended = true;
                    Some(self.events.end(outcome))
                }
                None => Some(self.silence()),
            };
            if let Some(bytes) = bytes {
                return Some((Ok(bytes), self));
            }
        }
        None
    }

    fn silence(&mut self) -> Bytes {
        self.silent += HEARTBEAT;
        if self.silent < self.patience {
            return Bytes::from_static(COMMENT);
        }
        self.ended = true;
        self.events.end(Err(Rejection::lost()))
    }
}

/// Answers with a stream of events, or with a plain error where the turn ends before its first frame.
pub(super) async fn respond<E: Events>(
    edge: &Edge,
    mut awaiting: Awaiting,
    events: E,
) -> Result<HttpResponse, Failure> {
    let patience = edge.settings.patience();
    let first = tokio::time::timeout(patience, next(&mut awaiting))
        .await
        .unwrap_or_else(|_elapsed| Next::End(Err(Rejection::lost())));
    if let Next::End(Err(rejection)) = first {
        return Err(rejection.into());
    }
    let mut response = HttpResponse::Ok();
    origin(&mut response, awaiting.is_repeat(), awaiting.cache());
    let open = Open { awaiting, events, pending: Some(first), patience, silent: Duration::ZERO, ended: false };
    Ok(response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(stream::unfold(open, Open::step)))
}

/// The events of `/v1/ask`: `citations`, `delta`, `done`, `error`.
pub(super) struct AskEvents {
    /// Names the request in an error event.
    pub(super) request_id: Rc<str>,
    /// True once words went out.
    pub(super) spoke: bool,
}

/// Data of a `delta` event.
#[derive(Serialize)]
pub(super) struct Delta<'a> {
    /// The words.
    pub(super) text: &'a str,
}

/// Data of a `citations` event.
#[derive(Serialize)]
struct Citations<'a> {
    citations: &'a [bailiwick_tenant::question::Citation],
}

impl AskEvents {
    /// An answer that came whole (a repeated request, an abstention) is told in the same events as a streamed one.
    fn finish(&self, answer: &Answer) -> Bytes {
        let mut out = Vec::new();
        if !self.spoke {
            out.extend_from_slice(&event("citations", &Citations { citations: &answer.citations }));
            out.extend_from_slice(&event("delta", &Delta { text: &answer.answer }));
        }
        out.extend_from_slice(&event("done", answer));
        Bytes::from(out)
    }

    fn error(&self, failure: &Failure) -> Bytes {
        event("error", &failure.problem(&self.request_id))
    }
}

impl Events for AskEvents {
    fn frame(&mut self, frame: Frame) -> Option<Bytes> {
        match frame {
            Frame::Citations(citations) => Some(event("citations", &Citations { citations: &citations })),
            Frame::Delta(text) => {
                self.spoke = true;
                Some(event("delta", &Delta { text: &text }))
            }
            Frame::Chunk(_) => None,
        }
    }

    fn end(&mut self, outcome: Outcome<Reply>) -> Bytes {
        match outcome {
            Ok(Reply::Answer(answer)) => self.finish(&answer),
            Ok(_) => self.error(&super::reply::of_another_kind()),
            Err(rejection) => self.error(&rejection.into()),
        }
    }
}
