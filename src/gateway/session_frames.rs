//! Frames of `/v1/session`: read from the client, written to it. Pure.
use super::ask::AskBody;
use super::body;
use super::errors::Failure;
use super::traced::CallersTrace;
use bailiwick_kernel::limits::NAME_CHARS_MAX;
use bailiwick_tenant::question::{Answer, CacheControl, Citation, Question};
use bailiwick_tenant::supervisor::messages::Wishes;
use serde::Serialize;
use serde_json::{Map, Value};

/// A frame of the client.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum ClientFrame {
    /// A question under an id of the client's choice.
    Ask {
        /// Names the answer's frames.
        id: String,
        /// The question.
        question: Question,
        /// As the headers of the same names on `/v1/ask`.
        wishes: Box<Wishes>,
        /// The caller's trace of this question, where it differs from the session's.
        trace: Option<Box<CallersTrace>>,
    },
    /// Ends the question of this id.
    Cancel {
        /// Which.
        id: String,
    },
}

/// A frame that cannot be understood, with the id it carried, where it carried one.
pub(super) type Misread = (Option<String>, Box<Failure>);

/// Reads a frame.
pub(super) fn read(text: &str) -> Result<ClientFrame, Misread> {
    let mut frame: Map<String, Value> = body::parse(text.as_bytes()).map_err(|failure| (None, Box::new(failure)))?;
    let id = match frame.remove("id") {
        Some(Value::String(id)) if !id.is_empty() && id.len() <= NAME_CHARS_MAX => id,
        _ => {
            return Err((
                None,
                Box::new(Failure::invalid(format!("reading id: send a text of 1 to {NAME_CHARS_MAX} bytes"))),
            ));
        }
    };
    match frame.remove("type").as_ref().and_then(Value::as_str) {
        Some("ask") => asked(id.clone(), frame).map_err(|failure| (Some(id), Box::new(failure))),
        Some("cancel") if frame.is_empty() => Ok(ClientFrame::Cancel { id }),
        Some("cancel") => {
            Err((Some(id), Box::new(Failure::invalid("reading the frame: cancel takes an id and nothing else"))))
        }
        _ => Err((Some(id), Box::new(Failure::invalid("reading type: send `ask` or `cancel`")))),
    }
}

fn asked(id: String, mut frame: Map<String, Value>) -> Result<ClientFrame, Failure> {
    let idempotency_key = match frame.remove("idempotency_key") {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) if super::knock::is_idempotency_key(&key) => Some(key),
        Some(_) => {
            let detail = format!("reading idempotency_key: send 1 to {NAME_CHARS_MAX} visible ASCII characters");
            return Err(Failure::invalid(detail));
        }
    };
    let cache_control = match frame.remove("cache_control") {
        None | Some(Value::Null) => CacheControl::Default,
        Some(Value::String(directives)) => CacheControl::parse(&directives),
        Some(_) => return Err(Failure::invalid("reading cache_control: send a text such as `no-cache`")),
    };
    let trace = match frame.remove("traceparent") {
        None | Some(Value::Null) => None,
        Some(Value::String(parent)) => {
            let state = frame.remove("tracestate").and_then(|state| state.as_str().map(str::to_owned));
            Some(Box::new(CallersTrace { parent: Some(parent), state }))
        }
        Some(_) => return Err(Failure::invalid("reading traceparent: send a text, as the header of that name has it")),
    };
    let mut asked: AskBody = body::from_value(Value::Object(frame))?;
    let wishes = asked.wishes(Wishes { idempotency_key, cache_control, ..Wishes::default() })?;
    Ok(ClientFrame::Ask { id, question: asked.question()?, wishes: Box::new(wishes), trace })
}

/// A frame of ours.
#[derive(Serialize, Debug)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerFrame<'a> {
    /// The question was handed to the tenant.
    Accepted {
        /// Which question.
        id: &'a str,
        /// Under which trace it is answered, where it is traced; as the header of that name.
        #[serde(skip_serializing_if = "Option::is_none")]
        traceresponse: Option<String>,
    },
    /// What may be cited.
    Citations {
        /// Which question.
        id: &'a str,
        /// The citations.
        citations: &'a [Citation],
    },
    /// Words.
    Delta {
        /// Which question.
        id: &'a str,
        /// The words.
        text: &'a str,
    },
    /// The answer, as `/v1/ask` gives it. Nothing follows for this id.
    Done {
        /// Which question.
        id: &'a str,
        /// The answer.
        #[serde(flatten)]
        answer: &'a Answer,
        /// True where it was given before, to the first question under the same `idempotency_key`.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        idempotent_replay: bool,
    },
    /// The question was cancelled. Nothing follows for this id.
    #[serde(rename = "done")]
    Cancelled {
        /// Which question.
        id: &'a str,
        /// True.
        cancelled: bool,
    },
    /// No answer. Nothing follows for this id.
    Error {
        /// Which question, where the frame named one.
        id: Option<&'a str>,
        /// The HTTP status `/v1/ask` would have had.
        status: u16,
        /// The stable code.
        code: &'static str,
        /// What is wrong.
        detail: &'a str,
        /// Names the session.
        request_id: &'a str,
        /// Milliseconds until a retry can succeed, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

impl ServerFrame<'_> {
    /// The frame as text.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An error frame: the same verdict as the JSON route's problem.
pub(super) fn error_text(id: Option<&str>, failure: &Failure, request_id: &str) -> String {
    let problem = failure.problem(request_id);
    let retry_after_ms = failure.retry_after_ms();
    ServerFrame::Error {
        id,
        status: problem.status,
        code: problem.code,
        detail: problem.detail,
        request_id,
        retry_after_ms,
    }
    .text()
}
