//! The one middleware: names the request, opens its span, and renders what has no answer.
use super::connection::Connection;
use super::edge::Edge;
use super::errors::{Dialect, Failure};
use super::{rates, traced};
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest};
use bailiwick_tenant::journey::walk::Requested;
use bailiwick_tenant::supervisor::messages::Wishes;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 128;

/// What the frame knows of a request.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Names the request in answers, problems and spans.
    pub(super) request_id: Rc<str>,
    /// When its head had arrived.
    pub(super) started: Instant,
    /// How long its client took to send the body.
    body: Rc<Cell<Duration>>,
    /// Its place in a trace, where it is traced.
    pub(super) trace: Option<Arc<Requested>>,
}

impl Facts {
    /// The facts of a request; fresh ones where no frame is mounted.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(|| Self::new(request.headers(), None))
    }

    fn new(headers: &HeaderMap, trace: Option<Arc<Requested>>) -> Self {
        Self { request_id: request_id(headers), started: Instant::now(), body: Rc::default(), trace }
    }

    /// The body took so long to come.
    pub(super) fn waited_for_body(&self, since: Instant) {
        self.body.set(self.body.get().saturating_add(since.elapsed()));
    }

    /// Says when the request came to the house: all it waited for since, but for its own client, counts as its latency.
    pub(super) fn stamp_arrival(&self, wishes: Wishes, edge: &Edge) -> Wishes {
        let waited = self.started.elapsed().saturating_sub(self.body.get());
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        Wishes {
            arrived_unix_ms: Some(edge.clock.now_unix_ms().saturating_sub(waited_ms)),
            at_the_gateway: waited,
            trace: self.trace.clone(),
            ..wishes
        }
    }
}

/// Wraps every route: `x-request-id` in and out, a span that carries the caller's trace, one shape for errors.
///
/// # Errors
/// Whatever an inner middleware failed with.
pub async fn frame(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    keep_nothing_but_the_head(&mut request);
    let exchange = request.conn_data::<Rc<Connection>>().map(Connection::begin);
    let facts = Facts::new(request.headers(), traced::begin(&request));
    let dialect = Dialect::of_path(request.path());
    let (method, path, request_id) = (request.method(), request.path(), &*facts.request_id);
    let span = match facts.trace.as_ref().map(|trace| trace.context.trace) {
        // whoever traces wants to find the lines of a trace as well
        Some(trace_id) => tracing::error_span!("request", %method, path, request_id, %trace_id),
        None => tracing::debug_span!("request", %method, path, request_id),
    };
    let request_id = Rc::clone(&facts.request_id);
    let (trace, started) = (facts.trace.clone(), facts.started);
    request.extensions_mut().insert(facts);
    let mut response = next.call(request).instrument(span).await?;
    if let Some(error) = response.response().error() {
        let rendered = match error.as_error::<Failure>() {
            Some(failure) => failure.render(dialect, &request_id),
            None => Failure::of_framework(response.status()).render(dialect, &request_id),
        };
        response = response.into_response(rendered);
    }
    let request = response.request().clone();
    rates::tell(&request, response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if let Some(trace) = trace {
        response = traced::end(trace, started, response);
    }
    Ok(match exchange {
        Some(exchange) => response.map_body(|_head, body| exchange.with(body)),
        None => response,
    })
}

/// The framework keeps the heads of answered requests to use them again, and the values of a head are slices of all that its
/// connection read, bodies included: a copy of them holds nothing else in memory.
fn keep_nothing_but_the_head(request: &mut ServiceRequest) {
    request.headers_mut().retain(|_name, value| {
        let copied = HeaderValue::from_bytes(value.as_bytes());
        copied.map(|copy| *value = copy).is_ok()
    });
}

/// The caller's own id where it is sane, else a fresh one.
fn request_id(headers: &HeaderMap) -> Rc<str> {
    let own = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_sane_id(id));
    own.map_or_else(|| Rc::from(uuid::Uuid::now_v7().hyphenated().encode_lower(&mut [0; 36]) as &str), Rc::from)
}

pub(super) fn is_sane_id(id: &str) -> bool {
    (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}
