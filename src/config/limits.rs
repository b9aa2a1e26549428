//! `[limits]`: what the doors allow one client. Read at the start.
use super::Config;
use crate::gateway::Settings;
use bailiwick_kernel::limits::CONNECTIONS_MAX;
use schemars::JsonSchema;
use serde::Deserialize;

const WORKERS_MAX: usize = 256;
/// Threads that tenants live on, for each of the gateway's: a tenant that asks rarely should find none of them taken by one that
/// asks all the time …
const ARBITERS_PER_WORKER: usize = 4;
/// … and the most there are.
const ARBITERS_MAX: usize = 256;
const DEADLINE_MS: std::ops::RangeInclusive<u64> = 100..=600_000;
/// The server's clock for connections ticks twice a second: a shorter time would be over before it began.
const CONNECTION_MS_MIN: u64 = 1_000;

/// Limits of the doors. Absent ones have the defaults of a small node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Milliseconds a question may take (100 to 600000; 30000 where absent).
    #[serde(default)]
    pub ask_deadline_ms: Option<u64>,
    /// Threads of the gateway; one per processor where absent. Tenants live on four times as many, 256 at most.
    #[serde(default)]
    pub workers: Option<usize>,
    /// Milliseconds requests in flight have to end at shutdown (10000 where absent).
    #[serde(default)]
    pub grace_ms: Option<u64>,
    /// Connections open at the same time (16384 where absent).
    #[serde(default)]
    pub connections: Option<usize>,
    /// Milliseconds a client has to send the head of a request (at least 1000; 5000 where absent).
    #[serde(default)]
    pub head_timeout_ms: Option<u64>,
    /// Milliseconds a client has to send a JSON body (15000 where absent).
    #[serde(default)]
    pub body_timeout_ms: Option<u64>,
    /// Milliseconds a client has to send an upload (120000 where absent).
    #[serde(default)]
    pub upload_timeout_ms: Option<u64>,
    /// Milliseconds a connection is kept open between requests (at least 1000; 75000 where absent).
    #[serde(default)]
    pub keep_alive_ms: Option<u64>,
    /// Milliseconds a client has to take one piece of an answer (120000 where absent).
    #[serde(default)]
    pub answer_timeout_ms: Option<u64>,
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.ask_deadline_ms.is_some_and(|deadline| !DEADLINE_MS.contains(&deadline)) {
            return Err(format!("ask_deadline_ms: write {} to {}", DEADLINE_MS.start(), DEADLINE_MS.end()));
        }
        if self.workers.is_some_and(|workers| !(1..=WORKERS_MAX).contains(&workers)) {
            return Err(format!("workers: write 1 to {WORKERS_MAX}, or leave it out"));
        }
        if self.connections.is_some_and(|connections| !(1..=CONNECTIONS_MAX).contains(&connections)) {
            return Err(format!("connections: write 1 to {CONNECTIONS_MAX}"));
        }
        for (name, time) in [("head_timeout_ms", self.head_timeout_ms), ("keep_alive_ms", self.keep_alive_ms)] {
            if time.is_some_and(|time| time < CONNECTION_MS_MIN) {
                return Err(format!("{name}: write at least {CONNECTION_MS_MIN}"));
            }
        }
        let connection = [self.head_timeout_ms, self.keep_alive_ms];
        let transfer = [self.body_timeout_ms, self.upload_timeout_ms, self.answer_timeout_ms];
        let times = [self.grace_ms].into_iter().chain(connection).chain(transfer);
        if times.flatten().any(|time| !(1..=*DEADLINE_MS.end()).contains(&time)) {
            return Err(format!("a time is outside 1 to {} milliseconds; write one within", DEADLINE_MS.end()));
        }
        Ok(())
    }
}

impl Config {
    /// Limits of the doors as the gateway takes them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let (limits, default) = (&self.limits, Settings::default());
        Settings {
            ask_deadline_ms: limits.ask_deadline_ms.unwrap_or(default.ask_deadline_ms),
            head_timeout_ms: limits.head_timeout_ms.unwrap_or(default.head_timeout_ms),
            body_timeout_ms: limits.body_timeout_ms.unwrap_or(default.body_timeout_ms),
            upload_timeout_ms: limits.upload_timeout_ms.unwrap_or(default.upload_timeout_ms),
            keep_alive_ms: limits.keep_alive_ms.unwrap_or(default.keep_alive_ms),
            answer_timeout_ms: limits.answer_timeout_ms.unwrap_or(default.answer_timeout_ms),
            grace_ms: limits.grace_ms.unwrap_or(default.grace_ms),
            connections_max: limits.connections.unwrap_or(default.connections_max),
            ..default
        }
    }

    /// Threads that tenants live on.
    #[must_use]
    pub fn arbiters(&self) -> usize {
        self.workers().saturating_mul(ARBITERS_PER_WORKER).min(ARBITERS_MAX)
    }

    /// Threads of the gateway.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.limits
            .workers
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
            .clamp(1, WORKERS_MAX)
    }
}
