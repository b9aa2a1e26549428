//! A request that is traced: where it begins, what its caller is told of it, and that its span ends with its answer.
use super::edge::Edge;
use super::routes::ROUTES;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::web;
use bailiwick_control::observability::traces::{Served, Tracer};
use bailiwick_tenant::journey::walk::Requested;
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Tells a caller under which trace the answer was made (W3C Trace Context Level 2, editors' draft).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The caller's words about its own trace, as they came; judged by who reads them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct CallersTrace {
    /// `traceparent`.
    pub(super) parent: Option<String>,
    /// `tracestate`, several lines of it as one.
    pub(super) state: Option<String>,
}

impl CallersTrace {
    /// From the headers. Two `traceparent` are none: nobody knows which one is meant.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut parents = headers.get_all(TRACEPARENT);
        let parent = parents.next().filter(|_| parents.next().is_none());
        let states: Vec<&str> = headers.get_all(TRACESTATE).filter_map(|value| value.to_str().ok()).collect();
        Self {
            parent: parent.and_then(|value| value.to_str().ok()).map(str::to_owned),
            state: (!states.is_empty()).then(|| states.join(",")),
        }
    }

    /// Begins a request under it. Nothing where this node sends no traces.
    pub(super) fn begin(&self, tracer: Option<&Arc<Tracer>>) -> Option<Arc<Requested>> {
        tracer?.begin(self.parent.as_deref(), self.state.as_deref())
    }
}

/// Begins the trace of a request; nothing, at the price of a look, where this node sends none.
pub(super) fn begin(request: &ServiceRequest) -> Option<Arc<Requested>> {
    let edge = request.app_data::<web::Data<Edge>>()?;
    CallersTrace::of(request.headers()).begin(Some(edge.tracer.as_ref()?))
}

/// Tells the caller of the trace, and ends the request's span with its answer.
pub(super) fn end(
    requested: Arc<Requested>,
    began: Instant,
    mut response: ServiceResponse<BoxBody>,
) -> ServiceResponse<BoxBody> {
    if let Ok(value) = HeaderValue::from_str(&requested.context.traceparent()) {
        response.headers_mut().insert(TRACERESPONSE, value);
    }
    let request = response.request();
    let (pattern, method) = (request.match_pattern(), request.method().as_str());
    let route = ROUTES.iter().find(|route| route.method == method && pattern.as_deref() == Some(route.path));
    let tracer = request.app_data::<web::Data<Edge>>().and_then(|edge| edge.tracer.clone());
    let (Some(route), Some(tracer)) = (route, tracer) else { return response };
    let status = Some(response.status().as_u16());
    let (method, route) = (route.method, route.path);
    let ended = EndOfSpan { tracer, requested, served: Served { method, route, status, began, until: began } };
    response.map_body(|_head, body| BoxBody::new(TracedBody { body, _ended: ended }))
}

/// Tells of a request when it is dropped.
pub(super) struct EndOfSpan {
    /// Whom.
    pub(super) tracer: Arc<Tracer>,
    /// Which request.
    pub(super) requested: Arc<Requested>,
    /// How it was answered; its end is noted here.
    pub(super) served: Served,
}

impl Drop for EndOfSpan {
    fn drop(&mut self) {
        let served = Served { until: Instant::now(), ..self.served.clone() };
        self.tracer.served(&self.requested, served);
    }
}

/// A body whose end is that of its request's span.
struct TracedBody {
    body: BoxBody,
    _ended: EndOfSpan,
}

impl MessageBody for TracedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
