//! What every request finds: the door, the clock and the stated limits of this node.
use bailiwick_control::observability::exposition::Exposition;
use bailiwick_control::observability::traces::Tracer;
use bailiwick_control::registry::door::Door;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::{CONNECTIONS_MAX, UPLOADS_IN_FLIGHT_MAX};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Renders the metrics of the process in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Times and sizes of the doors; all have a default that suits a small node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Milliseconds a tenant has to answer a question.
    pub ask_deadline_ms: u64,
    /// Milliseconds the edge waits beyond the deadline for the tenant to say that it passed.
    pub patience_ms: u64,
    /// Milliseconds a client has to send the head of a request.
    pub head_timeout_ms: u64,
    /// Milliseconds a client has to send a JSON body.
    pub body_timeout_ms: u64,
    /// Milliseconds a client has to send an upload.
    pub upload_timeout_ms: u64,
    /// Milliseconds a connection is kept open between requests.
    pub keep_alive_ms: u64,
    /// Milliseconds a client has to take one piece of an answer.
    pub answer_timeout_ms: u64,
    /// Milliseconds a closing connection has to end.
    pub disconnect_timeout_ms: u64,
    /// Milliseconds requests in flight have to end at shutdown.
    pub grace_ms: u64,
    /// Connections open at the same time, over all workers.
    pub connections_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ask_deadline_ms: 30_000,
            patience_ms: 2_000,
            head_timeout_ms: 5_000,
            body_timeout_ms: 15_000,
            upload_timeout_ms: 120_000,
            keep_alive_ms: 75_000,
            answer_timeout_ms: 120_000,
            disconnect_timeout_ms: 2_000,
            grace_ms: 10_000,
            connections_max: CONNECTIONS_MAX,
        }
    }
}

impl Settings {
    /// How long a silent tenant is waited for before the request counts as lost.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.ask_deadline_ms.saturating_add(self.patience_ms))
    }

    /// How long a JSON body may take to arrive.
    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// How long an upload may take to arrive.
    #[must_use]
    pub fn upload_timeout(&self) -> Duration {
        Duration::from_millis(self.upload_timeout_ms)
    }
}

/// Application data of every worker.
#[derive(Clone)]
pub struct Edge {
    /// Where every request knocks.
    pub door: Door,
    /// The clock.
    pub clock: SharedClock,
    /// Limits of the doors.
    pub settings: Arc<Settings>,
    /// True once shutdown has begun: not ready, no new asks on open sessions.
    pub draining: Arc<AtomicBool>,
    /// Renders `/metrics`.
    pub metrics: RenderMetrics,
    /// The figures of each tenant.
    pub exposition: Arc<Exposition>,
    /// Where requests and turns that are over are told; nowhere where nothing is sent.
    pub tracer: Option<Arc<Tracer>>,
    pub(super) uploads: Arc<Semaphore>,
}

impl Edge {
    /// The edge before the given door.
    #[must_use]
    pub fn new(
        door: Door,
        clock: SharedClock,
        settings: Settings,
        draining: Arc<AtomicBool>,
        metrics: RenderMetrics,
        exposition: Arc<Exposition>,
    ) -> Self {
        let uploads = Arc::new(Semaphore::new(UPLOADS_IN_FLIGHT_MAX));
        Self { door, clock, settings: Arc::new(settings), draining, metrics, exposition, tracer: None, uploads }
    }

    /// Traces are sent from here.
    #[must_use]
    pub fn tracing(self, tracer: Option<Arc<Tracer>>) -> Self {
        Self { tracer, ..self }
    }

    /// True once shutdown has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
