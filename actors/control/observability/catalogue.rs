//! Every metric of the house: its name, what it counts, and the values its label has. Names follow Prometheus: a unit at the
//! end, `_total` for what only grows. What is not in this table is not counted, and no dashboard asks for it.
use super::traces::{DROPPED, EXPORTED};
use bailiwick_tenant::journey::STAGES;
use bailiwick_tenant::slo::alarms::PAIRS;

/// The house's own time of an answer, by stage.
pub const OVERHEAD: &str = "bailiwick_overhead_seconds";
/// The house's own time of an answer as a whole.
pub const OVERHEAD_WHOLE: &str = "bailiwick_answer_overhead_seconds";
/// Latency of answers.
pub const ANSWER: &str = "bailiwick_answer_seconds";

/// Upper ends of buckets for latencies of answers, in seconds.
pub const ANSWER_BUCKETS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper ends of buckets for the house's own time, in seconds.
pub const OVERHEAD_BUCKETS: [f64; 10] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0];

/// How a metric is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

/// Whose a metric is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// One tenant's: it has the label `tenant`.
    Tenant,
    /// The node's.
    Node,
}

/// One metric.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Metric {
    /// Name.
    pub name: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// Whose.
    pub scope: Scope,
    /// What it counts.
    pub help: &'static str,
    /// Its label beside the tenant, where it has one.
    pub label: Option<&'static str>,
    /// Values of the label from which a series begins at nothing: a counter that begins with its first event hides that event.
    pub values: &'static [&'static str],
    /// A second label, with its value in the series that begin at nothing.
    pub beside: Option<(&'static str, &'static str)>,
}

const fn metric(name: &'static str, kind: Kind, scope: Scope, help: &'static str) -> Metric {
    Metric { name, kind, scope, help, label: None, values: &[], beside: None }
}

impl Metric {
    const fn by(mut self, label: &'static str, values: &'static [&'static str]) -> Self {
        self.label = Some(label);
        self.values = values;
        self
    }

    const fn beside(mut self, label: &'static str, value: &'static str) -> Self {
        self.beside = Some((label, value));
        self
    }
}

const KINDS: &[&str] = &["ask", "search", "chat", "embed", "rank"];
/// The codes a turn of a tenant may be refused with.
const CODES: &[&str] = &[
    "budget_exceeded",
    "rate_limited",
    "overloaded",
    "policy_denied",
    "sovereignty_violation",
    "quota_exceeded",
    "invalid_request",
    "upstream_failed",
    "lost",
    "conflict",
    "internal",
];
/// Why a bearer token is refused.
const TOKENS: &[&str] = &[
    "malformed",
    "too_long",
    "unknown_issuer",
    "algorithm",
    "no_keys",
    "unknown_key",
    "signature",
    "expired",
    "not_yet_valid",
    "audience",
    "tenant",
    "role",
    "user",
];
const ALARMS: &[&str] = &[PAIRS[0].name, PAIRS[1].name, PAIRS[2].name];

use Kind::{Counter, Gauge, Histogram};
use Scope::{Node, Tenant};

/// All of them.
pub const METRICS: &[Metric] = &[
    metric("bailiwick_answers_total", Counter, Tenant, "Turns that were cleared, by kind.").by("kind", KINDS),
    metric(ANSWER, Histogram, Tenant, "Time from the arrival of a request to its cleared answer.").by("kind", KINDS),
    metric(
        OVERHEAD_WHOLE,
        Histogram,
        Tenant,
        "Time of an answer spent in this program itself, without the time of providers.",
    ),
    metric(OVERHEAD, Histogram, Tenant, "The same by stage of the walk.").by("stage", &STAGES),
    metric("bailiwick_charged_nano_usd_total", Counter, Tenant, "Charged for answers, in billionths of a US dollar."),
    metric("bailiwick_tokens_total", Counter, Tenant, "Tokens of prompts and answers.")
        .by("direction", &["prompt", "completion"]),
    metric("bailiwick_abstentions_total", Counter, Tenant, "Answers that say nothing supports one.").by("kind", KINDS),
    metric("bailiwick_fallbacks_total", Counter, Tenant, "Answers the fallback gave.").by("kind", KINDS),
    metric("bailiwick_repeats_total", Counter, Tenant, "Calls told again under their Idempotency-Key.")
        .by("kind", &["ask", "chat", "embed", "rank"]),
    metric("bailiwick_refusals_total", Counter, Tenant, "Turns refused or failed, by code.").by("code", CODES),
    metric("bailiwick_slo_events_total", Counter, Tenant, "Turns that count for the service level."),
    metric("bailiwick_slo_bad_events_total", Counter, Tenant, "Turns that count against it."),
    metric("bailiwick_slo_allowed_ratio", Gauge, Tenant, "Share of bad turns the objective allows."),
    metric("bailiwick_alarm_raised", Gauge, Tenant, "1 while the tenant's own alarm of this pair of windows stands.")
        .by("alarm", ALARMS),
    metric("bailiwick_alarms_raised_total", Counter, Tenant, "Alarms raised.").by("alarm", ALARMS),
    metric("bailiwick_alarms_ended_total", Counter, Tenant, "Alarms ended.").by("alarm", ALARMS),
    metric("bailiwick_releases_frozen", Gauge, Tenant, "1 while the tenant's releases are frozen."),
    metric("bailiwick_release_freezes_total", Counter, Tenant, "Release freezes begun."),
    metric("bailiwick_budget_used_ratio", Gauge, Tenant, "Share of the fullest window of the tenant's budget spent."),
    metric("bailiwick_service_level_changes_total", Counter, Tenant, "Changes of the level flags follow.")
        .by("to", &["breached", "kept"]),
    metric(
        "bailiwick_restarts_total",
        Counter,
        Tenant,
        "Times the tenant's rooms were rebuilt, by the room that died.",
    )
    .by("room", &["retrieval", "cache", "budget", "routing"]),
    metric("bailiwick_quarantines_total", Counter, Tenant, "Times the tenant was quarantined."),
    metric("bailiwick_rollouts_ended_total", Counter, Tenant, "Rollouts that ended.")
        .by("how", &["complete", "sent_back"]),
    metric("bailiwick_up", Gauge, Node, "The node answers."),
    metric("bailiwick_fairness_gap_ratio", Gauge, Node, "Widest gap of weighted service beside its bound; at most 1.")
        .by("pool", &[]),
    metric(
        "bailiwick_shared_cache_total",
        Counter,
        Node,
        "Looks into the shared cache and answers put there, by outcome.",
    )
    .by("outcome", &["hit", "miss", "failed", "refused", "stored"]),
    metric(
        "bailiwick_vector_store_total",
        Counter,
        Node,
        "Searches in vector stores, points put there and taken out, by outcome.",
    )
    .by("outcome", &["found", "failed", "refused", "stored", "removed"]),
    metric("bailiwick_tokens_refused_total", Counter, Node, "Bearer tokens refused, by reason.").by("reason", TOKENS),
    metric("bailiwick_knocks_refused_total", Counter, Node, "Requests refused at the registry's door, by code.")
        .by("code", &["unauthenticated", "forbidden", "not_found"]),
    metric("bailiwick_heads_published_total", Counter, Node, "Signed heads published."),
    metric("bailiwick_heads_unpublished_total", Counter, Node, "Signed heads that could not be published.")
        .by("result", &["failed", "alarm"]),
    metric("bailiwick_tenant_keys_made_total", Counter, Node, "Keys of tenants made anew."),
    metric("bailiwick_alerts_total", Counter, Node, "Alerts sent or not, by target and outcome.")
        .by("target", &["none"])
        .beside("outcome", "dropped"),
    metric(EXPORTED, Counter, Node, "Spans a collector has taken."),
    metric(DROPPED, Counter, Node, "Spans that were not sent, by reason.")
        .by("reason", &["queue_full", "withheld", "not_delivered", "shutdown"]),
    metric("bailiwick_metrics_tenants", Gauge, Node, "Tenants that have a label of their own."),
];

/// The metrics of one scope.
pub fn of(scope: Scope) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(move |metric| metric.scope == scope)
}
