//! `GET /v1/session`: questions over one WebSocket, several in flight, each under the same verdicts as `/v1/ask`.
//!
//! The conversation is a task that holds a handle. It reads frames, starts one task per question and ends them all by
//! ending itself. A slow client fills its own socket, which stops its own turns and nobody else's.
use super::edge::Edge;
use super::errors::Failure;
use super::frame::Facts;
use super::knock;
use super::session_frames::{ClientFrame, ServerFrame, error_text, read};
use super::traced::{CallersTrace, EndOfSpan};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Closed, ProtocolError, Session};
use bailiwick_control::observability::traces::Served;
use bailiwick_control::registry::handles::AskHandle;
use bailiwick_control::registry::messages::Claim;
use bailiwick_kernel::limits::{SESSION_ASKS_MAX, SESSION_FRAME_BYTES_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_tenant::question::{Frame, Matter, Question, Reply};
use bailiwick_tenant::supervisor::messages::Wishes;
use bailiwick_tenant::turn::{Awaiting, ReplyLine};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{AbortHandle, JoinSet};

/// How often a conversation looks after itself.
const TICK: Duration = Duration::from_secs(1);
/// A client that was silent this long is pinged.
const PING_AFTER: Duration = Duration::from_secs(15);
/// A client that was silent this long, pings unanswered, is gone.
const GONE_AFTER: Duration = Duration::from_secs(45);

/// `GET /v1/session`. The knock comes before the handshake, so that a refusal is a plain HTTP answer.
pub(super) async fn open(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let claim = knock::claim_session(&request);
    let handle = edge.door.ask(claim.clone()).await?;
    let named = knock::conversation(&request)?;
    let (response, session, stream) =
        actix_ws::handle_with_protocols(&request, payload, &[knock::PROTOCOL]).map_err(|_refused| {
            Failure::invalid("opening the session: this is no WebSocket handshake; connect with a WebSocket client")
        })?;
    let stream = stream
        .max_frame_size(SESSION_FRAME_BYTES_MAX)
        .aggregate_continuations()
        .max_continuation_size(SESSION_FRAME_BYTES_MAX);
    let caller = Rc::new(Caller {
        edge,
        claim,
        handle: RefCell::new(Some(Rc::new(handle))),
        request_id: Facts::of(&request).request_id,
        trace: CallersTrace::of(request.headers()),
    });
    let conversation = Conversation {
        name: named.unwrap_or_else(|| caller.request_id.to_string()),
        caller,
        session,
        asks: JoinSet::new(),
        running: HashMap::new(),
        heard: Instant::now(),
        pinged: false,
    };
    actix_web::rt::spawn(conversation.run(stream));
    Ok(response)
}

/// Who is speaking, and the handle lent for a while.
struct Caller {
    edge: web::Data<Edge>,
    claim: Claim,
    handle: RefCell<Option<Rc<AskHandle>>>,
    request_id: Rc<str>,
    /// The trace the session was opened under.
    trace: CallersTrace,
}

impl Caller {
    /// Begins the trace of one question: under the question's own, else under the session's.
    fn trace(&self, own: Option<Box<CallersTrace>>) -> Option<EndOfSpan> {
        let tracer = self.edge.tracer.as_ref()?;
        let requested = own.as_deref().unwrap_or(&self.trace).begin(Some(tracer))?;
        let began = Instant::now();
        let served = Served { method: "GET", route: "/v1/session", status: None, began, until: began };
        Some(EndOfSpan { tracer: Arc::clone(tracer), requested, served })
    }

    /// The handle, knocked for anew where its lease is over or it was given back.
    async fn handle(&self) -> Outcome<Rc<AskHandle>> {
        let now_unix_ms = self.edge.clock.now_unix_ms();
        let held = self.handle.borrow().clone().filter(|handle| !handle.lease_is_over(now_unix_ms));
        if let Some(handle) = held {
            return Ok(handle);
        }
        self.handle.replace(None);
        let fresh = Rc::new(self.edge.door.ask(self.claim.clone()).await?);
        self.handle.replace(Some(Rc::clone(&fresh)));
        Ok(fresh)
    }

    /// A lost turn may mean that the rooms behind the handle are gone: what the door says then is the verdict, as it
    /// would be on the JSON route.
    async fn verdict(&self, rejection: Rejection) -> Rejection {
        if rejection.code != Code::Lost {
            return rejection;
        }
        self.handle.replace(None);
        self.handle().await.err().unwrap_or(rejection)
    }

    fn error(&self, id: Option<&str>, failure: &Failure) -> String {
        error_text(id, failure, &self.request_id)
    }
}

struct Conversation {
    /// What its questions belong to, where they do not say so themselves.
    name: String,
    caller: Rc<Caller>,
    session: Session,
    asks: JoinSet<Result<(), Closed>>,
    running: HashMap<String, AbortHandle>,
    heard: Instant,
    pinged: bool,
}

/// How a conversation goes on.
enum Course {
    Talk,
    Close(Option<CloseReason>),
}

/// Says one frame. A client that takes longer than it may be silent is gone.
async fn say(session: &mut Session, text: String) -> Result<(), Closed> {
    tokio::time::timeout(GONE_AFTER, session.text(text)).await.unwrap_or(Err(Closed))
}

impl Conversation {
    async fn run(mut self, mut stream: AggregatedMessageStream) {
        let mut tick = tokio::time::interval(TICK);
        let reason = loop {
            let course = tokio::select! {
                message = stream.recv() => self.hear(message).await,
                Some(ended) = self.asks.join_next(), if !self.asks.is_empty() => {
                    self.running.retain(|_, ask| !ask.is_finished());
                    // a frame that could not be said is missing for good: better no session than one with a hole
                    if matches!(ended, Ok(Err(Closed))) { Course::Close(None) } else { Course::Talk }
                }
                _ = tick.tick() => self.look_after().await,
            };
            if let Course::Close(reason) = course {
                break reason;
            }
        };
        // every turn still running hangs up here: settled for what it used, answered to nobody
        self.asks.shutdown().await;
        let _gone = tokio::time::timeout(TICK, self.session.close(reason)).await;
    }

    async fn look_after(&mut self) -> Course {
        if self.caller.edge.is_draining() && self.asks.is_empty() {
            return Course::Close(Some((CloseCode::Away, "shutting down").into()));
        }
        let silent = self.heard.elapsed();
        if silent >= GONE_AFTER {
            return Course::Close(None);
        }
        if silent >= PING_AFTER && !self.pinged {
            self.pinged = true;
            if !matches!(tokio::time::timeout(GONE_AFTER, self.session.ping(b"")).await, Ok(Ok(()))) {
                return Course::Close(None);
            }
        }
        Course::Talk
    }

    async fn hear(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>) -> Course {
        self.heard = Instant::now();
        self.pinged = false;
        let said = match message {
            None => return Course::Close(None),
            Some(Err(ProtocolError::Overflow)) => {
                return Course::Close(Some(
                    (CloseCode::Size, format!("a frame has at most {SESSION_FRAME_BYTES_MAX} bytes")).into(),
                ));
            }
            Some(Err(_broken)) => return Course::Close(Some(CloseCode::Protocol.into())),
            Some(Ok(AggregatedMessage::Close(_))) => return Course::Close(Some(CloseCode::Normal.into())),
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Ping(bytes))) => self.session.pong(&bytes).await,
            Some(Ok(AggregatedMessage::Binary(_))) => {
                let failure = Failure::invalid("reading the frame: send text frames of JSON");
                say(&mut self.session, self.caller.error(None, &failure)).await
            }
            Some(Ok(AggregatedMessage::Text(text))) => self.take(&text).await,
        };
        if said.is_ok() { Course::Talk } else { Course::Close(None) }
    }

    async fn take(&mut self, text: &str) -> Result<(), Closed> {
        match read(text) {
            Ok(ClientFrame::Ask { id, question, wishes, trace }) => {
                match self.ask(&id, question, *wishes, trace).await {
                    Ok(()) => Ok(()),
                    Err(failure) => say(&mut self.session, self.caller.error(Some(&id), &failure)).await,
                }
            }
            Ok(ClientFrame::Cancel { id }) => self.cancel(&id).await,
            Err((id, failure)) => say(&mut self.session, self.caller.error(id.as_deref(), &failure)).await,
        }
    }

    async fn ask(
        &mut self,
        id: &str,
        question: Question,
        mut wishes: Wishes,
        trace: Option<Box<CallersTrace>>,
    ) -> Result<(), Failure> {
        self.running.retain(|_, ask| !ask.is_finished());
        if self.caller.edge.is_draining() {
            return Err(Rejection::retry_after(
                Code::Overloaded,
                "this node is shutting down; open a session anew",
                1_000,
            )
            .into());
        }
        if self.running.contains_key(id) {
            return Err(Failure::new(
                Code::Conflict,
                "a question of this id is still being answered; choose another id",
            ));
        }
        if self.running.len() >= SESSION_ASKS_MAX {
            let detail =
                format!("{SESSION_ASKS_MAX} questions of this session are being answered; wait for one to end");
            return Err(Rejection::retry_after(Code::Overloaded, detail, 1_000).into());
        }
        wishes.arrived_unix_ms = Some(self.caller.edge.clock.now_unix_ms());
        let handle = self.caller.handle().await?;
        wishes.conversation.get_or_insert_with(|| self.name.clone());
        let traced = self.caller.trace(trace);
        wishes.trace = traced.as_ref().map(|traced| Arc::clone(&traced.requested));
        let (line, awaiting) = ReplyLine::streaming();
        handle.ask(Matter::Ask(question), wishes, Some(self.caller.edge.settings.ask_deadline_ms), line);
        let relay = Relay {
            caller: Rc::clone(&self.caller),
            session: self.session.clone(),
            id: id.to_owned(),
            spoke: false,
            traced,
        };
        let task = self.asks.spawn_local(relay.run(awaiting));
        self.running.insert(id.to_owned(), task);
        Ok(())
    }

    /// Cancelling what has ended already, or never began, is no error: the frames may have crossed.
    async fn cancel(&mut self, id: &str) -> Result<(), Closed> {
        let Some(ask) = self.running.remove(id).filter(|ask| !ask.is_finished()) else { return Ok(()) };
        ask.abort();
        say(&mut self.session, ServerFrame::Cancelled { id, cancelled: true }.text()).await
    }
}

/// Relays one turn's frames to the client.
struct Relay {
    caller: Rc<Caller>,
    session: Session,
    id: String,
    spoke: bool,
    /// Ends the question's span with the relay.
    traced: Option<EndOfSpan>,
}

impl Relay {
    async fn run(mut self, mut awaiting: Awaiting) -> Result<(), Closed> {
        let traceresponse = self.traced.as_ref().map(|traced| traced.requested.context.traceparent());
        let accepted = ServerFrame::Accepted { id: &self.id, traceresponse }.text();
        say(&mut self.session, accepted).await?;
        let patience = self.caller.edge.settings.patience();
        loop {
            match tokio::time::timeout(patience, awaiting.frames.recv()).await {
                Ok(Some(frame)) => self.tell(frame).await?,
                Ok(None) => break,
                Err(_elapsed) => return self.end(Err(Rejection::lost()), false).await,
            }
        }
        let outcome = tokio::time::timeout(patience, awaiting.reply_mut())
            .await
            .unwrap_or_else(|_elapsed| Err(Rejection::lost()));
        self.end(outcome, awaiting.is_repeat()).await
    }

    async fn tell(&mut self, frame: Frame) -> Result<(), Closed> {
        let text = match &frame {
            Frame::Citations(citations) => ServerFrame::Citations { id: &self.id, citations }.text(),
            Frame::Delta(text) => {
                self.spoke = true;
                ServerFrame::Delta { id: &self.id, text }.text()
            }
            Frame::Chunk(_) => return Ok(()),
        };
        say(&mut self.session, text).await
    }

    async fn end(&mut self, outcome: Outcome<Reply>, idempotent_replay: bool) -> Result<(), Closed> {
        let failure: Failure = match outcome {
            Ok(Reply::Answer(answer)) => {
                if !self.spoke {
                    self.tell(Frame::Citations(answer.citations.clone())).await?;
                    self.tell(Frame::Delta(answer.answer.clone())).await?;
                }
                let done = ServerFrame::Done { id: &self.id, answer: &answer, idempotent_replay }.text();
                return say(&mut self.session, done).await;
            }
            Ok(_) => super::reply::of_another_kind(),
            Err(rejection) => self.caller.verdict(rejection).await.into(),
        };
        let error = self.caller.error(Some(&self.id), &failure);
        say(&mut self.session, error).await
    }
}
