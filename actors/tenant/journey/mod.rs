//! How long a turn stood before each room, and, where its request is traced, what its spans will say. A turn notes moments and
//! no spans: those are made of the moments when it is over, elsewhere. Untraced turns note a number for each room they pass.
#[cfg(test)]
mod tests;
pub mod walk;

use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Code;
use bailiwick_kernel::trace::{SpanId, TraceId};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use walk::{Call, Calling, Ending, Requested, Walk};

/// Where a turn's time goes, in the order of its walk. The first two come before there is a turn: from the head of the request
/// to the tenant's mailbox, and from there until it sets out.
pub const STAGES: [&str; 7] = ["gateway", "admission", "retrieval", "cache", "budget", "routing", "exit"];
/// The stage that waits for providers.
const ROUTING: usize = 5;
/// The first stage of a turn that has set out.
const FIRST: usize = 2;

/// Calls of one turn that are told of, at most: candidates, their retries and an embedding.
const CALLS_MAX: usize = 32;

/// Where a turn's time went.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Times {
    /// Microseconds of each of [`STAGES`].
    pub us: [u32; STAGES.len()],
    /// Microseconds of them spent waiting for providers.
    pub upstream_us: u64,
}

impl Times {
    /// The house's own time of each stage: what is left of it without the providers'.
    pub fn own(self) -> impl Iterator<Item = (&'static str, Duration)> {
        STAGES.into_iter().zip(self.us).enumerate().map(move |(at, (stage, us))| {
            let upstream_us = if at == ROUTING { self.upstream_us } else { 0 };
            (stage, Duration::from_micros(u64::from(us).saturating_sub(upstream_us)))
        })
    }

    /// The house's own time of the whole walk.
    #[must_use]
    pub fn overhead(self) -> Duration {
        self.own().map(|(_stage, own)| own).sum()
    }
}

/// One turn's moments.
#[derive(Debug)]
pub(crate) struct Journey {
    times: Times,
    at: usize,
    since: Instant,
    /// Millionths of the fullest window of the tenant's budget that were spent when money was held.
    pub(crate) budget_used_ppm: Option<u64>,
    traced: Option<Box<Traced>>,
}

/// What is noted where the request is traced.
#[derive(Debug)]
struct Traced {
    request: Arc<Requested>,
    tenant: TenantKey,
    span: SpanId,
    kind: &'static str,
    policy_version: String,
    began: Instant,
    /// Stages in the order they were left.
    left: Vec<(usize, Instant, Instant)>,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    calls: Vec<Call>,
    passages: Option<usize>,
    cache: Option<&'static str>,
    held: Option<NanoUsd>,
    settled: Option<NanoUsd>,
}

fn micros(spent: Duration) -> u32 {
    u32::try_from(spent.as_micros()).unwrap_or(u32::MAX)
}

impl Journey {
    /// Sets out. `opened` is when the tenant was asked, `at_the_gateway` how long the house had it before.
    pub(crate) fn begin(opened: Instant, at_the_gateway: Duration) -> Self {
        let since = Instant::now();
        let mut times = Times::default();
        let [gateway, admission, ..] = &mut times.us;
        (*gateway, *admission) = (micros(at_the_gateway), micros(since.saturating_duration_since(opened)));
        Self { times, at: FIRST, since, budget_used_ppm: None, traced: None }
    }

    /// Notes for spans as well.
    pub(crate) fn trace(&mut self, request: Arc<Requested>, opened: Instant, who: Who) {
        let Who { tenant, kind, policy_version } = who;
        let admission = FIRST.saturating_sub(1);
        self.traced = Some(Box::new(Traced {
            request,
            tenant,
            span: SpanId::fresh(),
            kind,
            policy_version,
            began: opened,
            left: vec![(admission, opened, self.since)],
            noted: Mutex::default(),
        }));
    }

    /// Stands before the next room; `room` counts from retrieval.
    pub(crate) fn moved_to(&mut self, room: usize) {
        self.leave();
        self.at = room.saturating_add(FIRST);
    }

    fn leave(&mut self) {
        let now = Instant::now();
        if let Some(us) = self.times.us.get_mut(self.at) {
            *us = us.saturating_add(micros(now.saturating_duration_since(self.since)));
        }
        if let Some(traced) = &mut self.traced {
            traced.left.push((self.at, self.since, now));
        }
        self.since = now;
    }

    /// Where the time went so far; `upstream_us` of it at providers.
    pub(crate) fn times(&self, upstream_us: u64) -> Times {
        let mut times = Times { upstream_us, ..self.times };
        if let Some(us) = times.us.get_mut(self.at) {
            *us = us.saturating_add(micros(self.since.elapsed()));
        }
        times
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        if let Some(traced) = &self.traced {
            // nothing that can panic runs under the lock
            note(&mut traced.noted.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// So many passages were found.
    pub(crate) fn note_passages(&self, found: usize) {
        self.note(|noted| noted.passages = Some(found));
    }

    /// The answer cache knew this.
    pub(crate) fn note_cache(&self, state: &'static str) {
        self.note(|noted| noted.cache = Some(state));
    }

    /// So much is held.
    pub(crate) fn note_held(&self, held: NanoUsd) {
        self.note(|noted| noted.held = Some(held));
    }

    /// So much was charged.
    pub(crate) fn note_settled(&self, settled: NanoUsd) {
        self.note(|noted| noted.settled = Some(settled));
    }

    /// The trace it belongs to, where it is traced.
    pub(crate) fn trace_id(&self) -> Option<TraceId> {
        self.traced.as_ref().map(|traced| traced.request.context.trace)
    }

    /// A call of a provider begins; nothing where the turn is not traced.
    pub(crate) fn calling(&self) -> Option<Arc<Calling>> {
        self.traced.as_ref().map(|traced| Calling::begin(&traced.request.context))
    }

    /// A call of a provider is over.
    pub(crate) fn called(&self, call: Call) {
        self.note(|noted| {
            if noted.calls.len() < CALLS_MAX {
                noted.calls.push(call);
            }
        });
    }

    /// Is over, and says how.
    pub(crate) fn end(&mut self, ending: Ending) {
        if self.traced.is_none() {
            return;
        }
        self.leave();
        let Some(traced) = self.traced.take() else { return };
        let Traced { request, tenant, span, kind, policy_version, began, left, noted } = *traced;
        let Noted { calls, passages, cache, held, settled } =
            noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        // what is passed through is looked for in no document
        let is_passed_through = matches!(kind, "chat" | "embed" | "rank");
        let stages = left
            .into_iter()
            .filter(|(at, ..)| !(is_passed_through && *at == FIRST))
            .filter_map(|(at, from, until)| Some((*STAGES.get(at)?, from, until)))
            .collect();
        let until = self.since;
        request.walked(Walk {
            tenant,
            span,
            kind,
            policy_version,
            began,
            until,
            stages,
            calls,
            passages,
            cache,
            held,
            settled,
            ending,
        });
    }
}

/// Whose turn a trace is of.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Who {
    /// The tenant.
    pub(crate) tenant: TenantKey,
    /// `ask`, `search`, `chat` or `embed`.
    pub(crate) kind: &'static str,
    /// The policy it was admitted under.
    pub(crate) policy_version: String,
}

impl Drop for Journey {
    /// A turn that is dropped on its way is lost.
    fn drop(&mut self) {
        self.end(Ending::Refused(Code::Lost));
    }
}
