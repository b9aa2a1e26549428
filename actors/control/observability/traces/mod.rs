//! Traces: takes requests and turns that are over, and sends their spans to a collector (OTLP over HTTP). Whoever is over hands
//! in and goes on: what finds the queue full is dropped and counted. A thread of its own makes spans and sends them, each under
//! the borders of its tenant as they are at that moment.
mod exporter;
mod spans;
#[cfg(test)]
mod tests;

use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::trace::{Share, SpanId, TraceContext, TraceId};
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::journey::walk::{Requested, Told, Walk, Walks};
use exporter::Exporter;
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use url::Url;

/// Spans dropped, by reason: `queue_full`, `withheld`, `not_delivered`, `shutdown`.
pub const DROPPED: &str = "bailiwick_trace_spans_dropped_total";
/// Spans a collector has taken.
pub const EXPORTED: &str = "bailiwick_trace_spans_exported_total";

/// Where traces go, and how.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The collector's address, with its path.
    pub endpoint: Url,
    /// Headers it asks for.
    pub headers: Vec<(String, SecretString)>,
    /// Where it is.
    pub region: Region,
    /// Where this node is.
    pub node: Region,
    /// The name this service has in traces.
    pub service: String,
    /// Which share of the traces that begin here is kept.
    pub share: Share,
    /// How long the collector has to take a batch, and what is left at the end.
    pub timeout: Duration,
    /// Requests and turns that may wait.
    pub queue: usize,
    /// How long a batch is waited for.
    pub every: Duration,
}

/// How a request was answered.
#[derive(Clone, PartialEq, Debug)]
pub struct Served {
    /// HTTP method.
    pub method: &'static str,
    /// The route, as the table has it.
    pub route: &'static str,
    /// HTTP status; nothing for a question over a WebSocket.
    pub status: Option<u16>,
    /// When its head had arrived.
    pub began: Instant,
    /// When its answer had been given.
    pub until: Instant,
}

/// Something that is over.
#[derive(Debug)]
enum Content {
    Request { parent: Option<SpanId>, tenant: TenantKey, served: Served },
    Turn(Box<Walk>),
}

#[derive(Debug)]
struct Item {
    told: Told,
    content: Content,
}

impl Item {
    fn tenant(&self) -> TenantKey {
        match &self.content {
            Content::Request { tenant, .. } => *tenant,
            Content::Turn(walk) => walk.tenant,
        }
    }

    /// How many spans it makes.
    fn spans(&self) -> u64 {
        let spans = match &self.content {
            Content::Request { .. } => 1,
            Content::Turn(walk) => walk.stages.len().saturating_add(walk.calls.len()).saturating_add(1),
        };
        u64::try_from(spans).unwrap_or(u64::MAX)
    }
}

/// Where what is over is handed in.
#[derive(Debug)]
pub struct Tracer {
    share: Share,
    queue: mpsc::Sender<Item>,
}

/// The way to the end of traces.
pub struct Ending {
    close: oneshot::Sender<()>,
    gone: oneshot::Receiver<()>,
    patience: Duration,
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ending")
    }
}

impl Ending {
    /// Sends what waits, as far as the collector takes it in its time, and ends.
    pub async fn flush(self) {
        let _gone_already = self.close.send(());
        let _late = tokio::time::timeout(self.patience, self.gone).await;
    }
}

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("sending traces to {endpoint}: {problem}; check [otel] of config.toml")]
pub struct TraceError {
    endpoint: String,
    problem: String,
}

/// Starts the thread that sends.
///
/// # Errors
/// [`TraceError`] where there can be no client, or no thread.
pub fn start(setting: Setting, clock: &SharedClock) -> Result<(Arc<Tracer>, Ending), TraceError> {
    // the path may hold a secret, and errors are logged
    let endpoint = setting.endpoint.host_str().unwrap_or_default().to_owned();
    let failed = |problem: String| TraceError { endpoint: endpoint.clone(), problem };
    let (queue, items) = mpsc::channel(setting.queue.max(1));
    let ((close, closing), (over, gone)) = (oneshot::channel(), oneshot::channel());
    // what waits at the end has one more time of the collector's, and what is under way then its own
    let patience = setting.timeout.saturating_mul(2).saturating_add(Duration::from_secs(1));
    let share = setting.share;
    let exporter = Exporter::new(setting, clock).map_err(&failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    std::thread::Builder::new()
        .name("traces".to_owned())
        .spawn(move || {
            runtime.block_on(exporter.run(items, closing));
            let _nobody_waits = over.send(());
        })
        .map_err(|error| failed(error.to_string()))?;
    Ok((Arc::new(Tracer { share, queue }), Ending { close, gone, patience }))
}

fn dropped(spans: u64, reason: &'static str) {
    metrics::counter!(DROPPED, "reason" => reason).increment(spans);
}

impl Tracer {
    /// A request begins: under its caller's trace where that can be read, under a new one otherwise. Nothing where nobody keeps
    /// the trace and no caller has to be handed on.
    #[must_use]
    pub fn begin(self: &Arc<Self>, traceparent: Option<&str>, tracestate: Option<&str>) -> Option<Arc<Requested>> {
        let caller = traceparent.and_then(|traceparent| TraceContext::read(traceparent, tracestate));
        let span = SpanId::fresh();
        let (context, parent) = match caller {
            Some(caller) => (caller.under(span), Some(caller.span)),
            None => {
                let trace = TraceId::fresh();
                let context = TraceContext { trace, span, is_sampled: true, state: None };
                (Some(context).filter(|_| trace.is_within(self.share))?, None)
            }
        };
        Some(Arc::new(Requested::new(context, parent, Arc::clone(self) as Arc<dyn Walks>)))
    }

    /// A request is over. Told where a tenant was asked, and the trace is kept.
    pub fn served(&self, request: &Requested, served: Served) {
        let Some((tenant, told)) = request.told().filter(|_| request.context.is_sampled) else { return };
        self.hand_in(Item { told, content: Content::Request { parent: request.parent, tenant, served } });
    }

    fn hand_in(&self, item: Item) {
        if let Err(refused) = self.queue.try_send(item) {
            dropped(refused.into_inner().spans(), "queue_full");
        }
    }
}

impl Walks for Tracer {
    fn walked(&self, told: Told, walk: Walk) {
        self.hand_in(Item { told, content: Content::Turn(Box::new(walk)) });
    }
}
