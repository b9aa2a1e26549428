//! Records that leave a turn sideways, one-way: refusals to the journal, events to the control plane. Bounded: where
//! a queue is full the record is dropped and counted, because a flood of refusals may not slow an answer.
use crate::entry::Entry;
use crate::question::Matter;
use crate::service_level::SharedWatch;
use crate::service_level::rules::Ended;
use crate::slo::{Noted, SharedService};
use crate::supervisor::messages::{Event, Happened};
use crate::turn::Case;
use actix::Recipient;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::{QueryId, TenantKey};
use bailiwick_kernel::mail::{offer, post_certain_to};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::flags::ServiceLevel;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// The way out for records and events of one tenant.
#[derive(Clone)]
pub struct Sideways {
    tenant: TenantKey,
    records: mpsc::Sender<Entry>,
    happened: Recipient<Happened>,
    clock: SharedClock,
    tally: Arc<Tally>,
    watch: Arc<SharedWatch>,
    service: Arc<SharedService>,
    /// Somebody waits for these turns: only they say how well the tenant is served.
    is_waited_for: bool,
}

/// Refusals and failures since the rooms were built, and records dropped because the recorder was busy.
#[derive(Debug, Default)]
pub struct Tally {
    /// Refused by policy, budget, quota, rate.
    pub refused: AtomicU64,
    /// Failed: lost, upstream, overload, our own.
    pub failed: AtomicU64,
    /// Refusals that are counted but not in the journal.
    pub unrecorded: AtomicU64,
}

impl std::fmt::Debug for Sideways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sideways({})", self.tenant)
    }
}

impl Sideways {
    /// A way out for one tenant.
    #[must_use]
    pub fn new(
        tenant: TenantKey,
        records: mpsc::Sender<Entry>,
        happened: Recipient<Happened>,
        clock: SharedClock,
        watch: Arc<SharedWatch>,
        service: Arc<SharedService>,
    ) -> Self {
        let tally = Arc::new(Tally::default());
        Self { tenant, records, happened, clock, tally, watch, service, is_waited_for: true }
    }

    /// The way out of a call of the tenant's own rooms, beside an answer or behind it: what becomes of it is no word on how
    /// anybody was served, so that a judge that is down burns no error budget. Where an answer waits for it, the answer tells.
    #[must_use]
    pub fn unattended(&self) -> Self {
        Self { is_waited_for: false, ..self.clone() }
    }

    /// Refusals and failures so far.
    #[must_use]
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Tells the control plane; dropped where it is busy, for its figures are derived.
    pub fn tell(&self, event: Event) {
        let _busy = offer(&self.happened, Happened { tenant: self.tenant, event });
    }

    /// Tells the control plane what it must not miss, and what happens once a release.
    pub(crate) fn tell_certainly(&self, event: Event) {
        post_certain_to(&self.happened, Happened { tenant: self.tenant, event });
    }

    /// Whose way out it is.
    pub(crate) fn tenant(&self) -> TenantKey {
        self.tenant
    }

    /// Tells what has become of alarms and of the release freeze.
    pub(crate) fn tell_noted(&self, noted: Noted) {
        let Noted { alarms, releases, is_owed } = noted;
        for alarmed in alarms {
            let (alarm, is_raised) = (alarmed.pair().name, alarmed.change.is_raised);
            tracing::warn!(tenant = %self.tenant, alarm, is_raised, "the error budget burns too fast, or no longer");
            self.tell_certainly(Event::Alarmed(alarmed));
        }
        if let Some(frozen) = releases {
            tracing::warn!(tenant = %self.tenant, frozen = frozen.is_some(), "releases are frozen, or free again");
            self.tell_certainly(Event::ReleasesStand(frozen));
        }
        if is_owed {
            self.service.ask_to_keep();
        }
    }

    /// Notes how a turn ended, for the service level; tells where that has changed the level.
    pub(crate) fn ended(&self, ended: Ended) {
        if !self.is_waited_for {
            return;
        }
        let now_unix_ms = self.clock.now_unix_ms();
        self.tell_noted(self.service.note(ended, now_unix_ms));
        let Some(level) = self.watch.note(ended, now_unix_ms) else { return };
        tracing::warn!(tenant = %self.tenant, ?level, "the service level has changed; experimental flags follow it");
        self.tell(Event::LevelChanged { breached: level == ServiceLevel::Breached });
    }

    /// A turn was turned away at the door: before it was admitted, so that nothing of it is recorded.
    pub(crate) fn turned_away(&self, code: Code) {
        let is_failure = is_failure(code);
        self.tell(Event::Refused { code, is_failure });
        if is_failure {
            self.ended(Ended::Failed);
        }
    }

    /// A turn was refused: counted always, in the journal where policy, budget or quota said no.
    pub(crate) fn refused(&self, case: &Case, rejection: &Rejection) {
        self.refused_request(&case.query_id, &case.principal, rejection);
    }

    /// The same for a request that is no turn.
    pub(crate) fn refused_request(&self, query_id: &QueryId, principal: &Principal, rejection: &Rejection) {
        let is_refusal = is_governance(rejection.code);
        let counter = if is_refusal { &self.tally.refused } else { &self.tally.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.turned_away(rejection.code);
        let recorded = is_refusal
            && self
                .records
                .try_send(Entry::Refused {
                    query_id: query_id.to_string(),
                    code: rejection.code.as_str().to_owned(),
                    detail: rejection.detail.clone(),
                    at_unix_ms: self.clock.now_unix_ms(),
                    by: principal.key_id.clone(),
                })
                .is_ok();
        if is_refusal && !recorded {
            self.tally.unrecorded.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A refusal is a normal answer of governance; everything else is operational (design §8).
fn is_governance(code: Code) -> bool {
    matches!(
        code,
        Code::BudgetExceeded
            | Code::PolicyDenied
            | Code::SovereigntyViolation
            | Code::RetentionViolation
            | Code::QuotaExceeded
            | Code::RateLimited
    )
}

/// What counts against the service level: the house or a provider failed, whatever the asker did.
fn is_failure(code: Code) -> bool {
    matches!(code, Code::Lost | Code::Overloaded | Code::UpstreamFailed | Code::Internal)
}

/// What a matter is called in records and events.
#[must_use]
pub fn kind_of(matter: &Matter) -> &'static str {
    match matter {
        Matter::Ask(_) => "ask",
        Matter::Search(_) => "search",
        Matter::Chat(_) => "chat",
        Matter::Embed(_) => "embed",
        Matter::Rank(_) => "rank",
    }
}

#[cfg(test)]
mod unheard {
    use super::{Happened, SharedService, SharedWatch, Sideways};
    use actix::prelude::*;
    use bailiwick_kernel::clock::ManualClock;
    use bailiwick_kernel::ids::TenantKey;
    use bailiwick_kernel::money::NanoUsd;
    use bailiwick_policy::schema::Objectives;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    struct Nobody;

    impl Actor for Nobody {
        type Context = Context<Self>;
    }

    impl Handler<Happened> for Nobody {
        type Result = ();
        fn handle(&mut self, _: Happened, _: &mut Self::Context) {}
    }

    impl Sideways {
        /// A way out nobody listens at, for rooms tried alone.
        #[expect(clippy::disallowed_methods, reason = "test")]
        pub(crate) fn unheard() -> Self {
            let (records, _) = mpsc::channel(1);
            let objectives = Objectives {
                availability: 0.0,
                p95_latency_ms: u64::MAX,
                error_rate_max: 1.0,
                cost_per_1k_qa_usd: NanoUsd(u64::MAX),
            };
            let (watch, service) = (SharedWatch::new(&objectives), SharedService::new(&objectives));
            let happened = Nobody.start().recipient();
            let tenant = TenantKey::mint(uuid::Uuid::nil());
            Self::new(tenant, records, happened, ManualClock::at(0), Arc::new(watch), Arc::new(service))
        }
    }
}
