//! The shell of the supervisor: admits, forwards, rebuilds, adopts, closes.
use super::admission::{Admission, SWEEP};
use super::auditing::{self, SharedAudit};
use super::doors::Doors;
use super::importing::Importing;
use super::latency::Latencies;
use super::lineage::Derived;
use super::messages::{Admit, AdoptPolicy, Close, Event};
use super::opening::{Opened, on_derived, open};
use super::parts::SupervisorParts;
use super::repeats::rules::Repeats;
use super::repeats::shell::Waiter;
use super::rooms::{KINDS, Rooms};
use super::rules::{FactsKept, Phase, Restarts, Verdict};
use super::service::counted;
use super::sideways::Sideways;
use super::verdicts::{self, Verdicts, judge_answers};
use super::verifying::SharedReached;
use crate::approvals::SharedApprovals;
use crate::budget::messages::{AdoptBudget, ApproveSpending, CloseBudget, Reconcile};
use crate::cache::messages::AdoptCache;
use crate::conversations::Conversations;
use crate::egress::{Egress, clear_to_keep};
use crate::entry::Entry;
use crate::erasures::messages::CountOverdue;
use crate::evaluation::SharedProgress;
use crate::retrieval::messages::{AdmitUpload, AdoptRules, IngestDocuments, Rejudge, SteerWeight};
use crate::rollout::SharedRollout;
use crate::service_level::SharedWatch;
use crate::slo::SharedService;
use crate::turn::Whereabouts;
use actix::prelude::*;
use arc_swap::ArcSwapOption;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::mail::{ReplySlot, offer, post_certain};
use bailiwick_kernel::obituary::{Cause, Died};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Refusals waiting for their record; more are counted only.
const RECORDS_WAITING_MAX: usize = 256;
/// Refusals recorded by one append, at most.
const RECORDS_PER_APPEND: usize = 64;

const MILLISECOND_NS: u64 = 1_000_000;
/// Policies waiting to be adopted by one tenant.
const ADOPTIONS_WAITING_MAX: usize = 16;

/// The supervisor of one tenant.
pub struct Supervisor {
    pub(super) parts: SupervisorParts,
    pub(super) policy: Arc<PolicySnapshot>,
    /// Where bytes may go now; the same for all incarnations.
    pub(super) egress: Arc<Egress>,
    pub(super) phase: Phase,
    pub(super) opened: Option<Opened>,
    /// Derived state, the same for all incarnations: jobs of an earlier one may still be at it.
    derived: Option<Arc<tokio::sync::Mutex<Derived>>>,
    pub(super) rooms: Option<Rooms>,
    pub(super) incarnation: u64,
    /// Rooms of the incarnation that has ended whose obituaries are still to come.
    mourned: usize,
    pub(super) admission: Admission,
    /// Members that are counted by name will be looked through.
    sweeping: bool,
    /// Calls in flight under an `Idempotency-Key`.
    pub(super) repeats: Repeats<Waiter>,
    /// Policies to be adopted, in the order they came.
    adopting: VecDeque<AdoptPolicy>,
    pub(super) whereabouts: Arc<Whereabouts>,
    pub(super) sideways: Sideways,
    /// The journal refusals are recorded in: that of the present incarnation.
    recording: Arc<ArcSwapOption<Journal>>,
    pub(super) restarts: Restarts,
    pub(super) latencies: Arc<Mutex<Latencies>>,
    pub(super) watch: Arc<SharedWatch>,
    pub(super) service: Arc<SharedService>,
    /// The service level will be looked at again.
    pub(super) looking: bool,
    pub(super) rollout: Arc<SharedRollout>,
    pub(super) approvals: SharedApprovals,
    /// How far the golden questions are that are being asked.
    pub(super) evaluating: SharedProgress,
    /// Where answers of the sample go to be judged.
    pub(super) verdicts: Verdicts,
    /// Which answers have their facts written down.
    pub(super) facts_kept: FactsKept,
    /// How far answers have been judged once more …
    pub(super) audit: SharedAudit,
    /// … and behind which record the last one stands.
    pub(super) answered_to: Arc<AtomicU64>,
    /// Portions of lineage that are being imported, one after the other.
    pub(super) importing: Arc<Importing>,
    /// Held by the one who takes in the head of another journal.
    pub(super) witnessing: Arc<tokio::sync::Mutex<()>>,
    /// How far the journal has been read once more.
    pub(super) reached: SharedReached,
    pub(super) last_fault: Option<String>,
    /// What was asked before, by conversation; gone with this incarnation.
    pub(super) conversations: Arc<Mutex<Conversations>>,
}

/// Starts a tenant on the current arbiter and gives its doors. Its first knock may come at once: it waits behind
/// the opening of the journal.
#[must_use]
pub fn start(parts: SupervisorParts) -> Doors {
    Doors::of(&launch(parts))
}

pub(super) fn launch(parts: SupervisorParts) -> Addr<Supervisor> {
    let (recorder, records) = mpsc::channel(RECORDS_WAITING_MAX);
    let recording = Arc::new(ArcSwapOption::empty());
    actix::spawn(record_refusals(records, Arc::clone(&recording)));
    let watch = Arc::new(SharedWatch::new(&parts.policy.slo));
    let service = Arc::new(SharedService::new(&parts.policy.slo));
    let (verdicts, waiting) = verdicts::queue();
    let (judged_in, clock) = (Arc::clone(&recording), Arc::clone(&parts.clock));
    let sideways = Sideways::new(
        parts.belongings.cipher.tenant(),
        recorder,
        parts.happened.clone(),
        Arc::clone(&parts.clock),
        Arc::clone(&watch),
        Arc::clone(&service),
    );
    let supervisor = Supervisor {
        policy: Arc::clone(&parts.policy),
        egress: Egress::new(&parts.kept, &parts.policy.sovereignty),
        phase: Phase::Opening,
        opened: None,
        derived: None,
        rooms: None,
        incarnation: 0,
        mourned: 0,
        admission: Admission::new(&parts.policy),
        sweeping: false,
        repeats: Repeats::default(),
        adopting: VecDeque::new(),
        whereabouts: Arc::default(),
        sideways,
        recording: Arc::clone(&recording),
        restarts: Restarts::default(),
        latencies: Arc::default(),
        rollout: Arc::new(SharedRollout::new(Arc::clone(&parts.clock), Arc::clone(&watch), Arc::clone(&service))),
        approvals: SharedApprovals::default(),
        evaluating: SharedProgress::default(),
        verdicts,
        facts_kept: FactsKept::default(),
        audit: SharedAudit::default(),
        answered_to: Arc::default(),
        importing: Arc::default(),
        reached: SharedReached::default(),
        watch,
        witnessing: Arc::default(),
        service,
        looking: false,
        last_fault: None,
        conversations: Arc::default(),
        parts,
    }
    .start();
    actix::spawn(judge_answers(waiting, supervisor.downgrade(), judged_in, clock));
    supervisor
}

/// Writes refusals to the journal in batches, never in a turn's way. Ends with the last turn and the supervisor.
async fn record_refusals(mut records: mpsc::Receiver<Entry>, recording: Arc<ArcSwapOption<Journal>>) {
    let mut batch = Vec::new();
    while records.recv_many(&mut batch, RECORDS_PER_APPEND).await > 0 {
        if let Some(journal) = recording.load_full()
            && let Err(error) = journal.append(&batch).await
        {
            tracing::warn!(tenant = %journal.tenant(), %error, refusals = batch.len(), "refusals could not be recorded");
        }
        batch.clear();
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        self.service.kept_by(ctx.address().recipient());
        self.open_rooms(ctx);
    }
}

impl Supervisor {
    /// Opens the journal off the arbiter, then builds the conveyor. The mailbox waits meanwhile: what was knocked
    /// for is served, not refused.
    fn open_rooms(&mut self, ctx: &mut Context<Self>) {
        let opening = open(
            self.parts.belongings.clone(),
            self.derived.clone(),
            Arc::clone(&self.policy),
            Arc::clone(&self.rollout),
            Arc::clone(&self.parts.clock),
        );
        ctx.wait(opening.into_actor(self).map(|opened, supervisor, ctx| supervisor.build_rooms(opened, ctx)));
    }

    fn build_rooms(&mut self, opened: Result<Opened, String>, ctx: &mut Context<Self>) {
        match opened {
            Ok(opened) => {
                self.incarnation = self.incarnation.saturating_add(1);
                self.follow_rollout(opened.fold.rollout.clone(), opened.fold.rollout_quality.clone());
                self.approvals.follow(opened.fold.approvals.clone());
                auditing::begin(&self.audit, Some(opened.fold.next), self.parts.clock.now_unix_ms());
                let (home, settled) = (ctx.address(), self.policy.settled());
                self.rooms = Some(Rooms::build(&self.parts, &opened, &settled, &self.egress, self.incarnation, &home));
                self.recording.store(Some(Arc::new(opened.belongings.journal.clone())));
                self.derived = Some(Arc::clone(&opened.derived));
                let service = opened.fold.service.clone();
                self.opened = Some(opened);
                self.phase = Phase::Serving;
                self.follow_service(&service, ctx);
            }
            Err(reason) => self.quarantine(reason),
        }
    }

    fn quarantine(&mut self, reason: String) {
        tracing::error!(tenant = %self.parts.belongings.cipher.tenant(), %reason, "the tenant is quarantined");
        self.last_fault = Some(reason.clone());
        self.phase = Phase::Quarantined(reason);
        self.sideways.tell(Event::Quarantined);
    }

    /// A room of the present incarnation is gone, or must go. All rooms are stopped; the last obituary rebuilds.
    fn room_died(&mut self, room: &'static str, cause: &str, still_alive: usize, ctx: &mut Context<Self>) {
        let tenant = self.parts.belongings.cipher.tenant();
        let Some(rooms) = self.rooms.take() else { return };
        tracing::warn!(%tenant, room, cause, "a room died; the rooms are rebuilt as a unit");
        self.last_fault = Some(format!("{room}: {cause}"));
        self.mourned = still_alive;
        rooms.stop(tenant);
        self.phase = Phase::Rebuilding;
        self.opened = None;
        match self.restarts.died(self.parts.clock.now_unix_ms()) {
            Verdict::Rebuild => self.sideways.tell(Event::Rebuilt { room, restarts: self.restarts.total() }),
            Verdict::Quarantine => self.quarantine(format!("the room {room} died too often ({cause})")),
        }
        self.rebuild_when_mourned(ctx);
    }

    fn rebuild_when_mourned(&mut self, ctx: &mut Context<Self>) {
        if self.mourned == 0 && self.phase == Phase::Rebuilding {
            self.open_rooms(ctx);
        }
    }

    pub(super) fn forward<M>(
        &self,
        message: M,
        to: impl FnOnce(&Rooms) -> Recipient<M>,
        refuse: impl FnOnce(M, Rejection),
    ) where
        M: Message<Result = ()> + Send + 'static,
    {
        if let Err(rejection) = self.phase.admits() {
            return refuse(message, rejection);
        }
        let Some(rooms) = &self.rooms else { return refuse(message, Rejection::lost()) };
        if let Err((message, undelivered)) = offer(&to(rooms), message) {
            refuse(message, undelivered.into());
        }
    }

    /// The time limits are counted in.
    pub(super) fn now_ns(&self) -> u64 {
        self.parts.clock.now_unix_ms().saturating_mul(MILLISECOND_NS)
    }

    /// While members are counted by name, those whose allowance is whole again are forgotten now and then: an idle
    /// tenant comes to rest without any.
    fn sweep_later(&mut self, ctx: &mut Context<Self>) {
        if self.sweeping || !self.admission.counts_members() {
            return;
        }
        self.sweeping = true;
        ctx.run_later(SWEEP, |supervisor, ctx| {
            supervisor.sweeping = false;
            if supervisor.admission.sweep(supervisor.now_ns()) {
                supervisor.sweep_later(ctx);
            }
        });
    }

    /// Carries out the first waiting adoption. One at a time: an earlier one that takes longer, because the index is
    /// judged anew for it, must not come into force over a later one.
    fn adopt_first(&mut self, ctx: &mut Context<Self>) {
        let Some(policy) = self.adopting.front().map(|adopt| Arc::clone(&adopt.policy)) else { return };
        if policy.guard.fingerprint == self.policy.guard.fingerprint {
            return self.finish_adoption(Ok(()), ctx);
        }
        // the index must be judged by the new guard before anything is admitted under it
        let (reply, judged) = ReplySlot::pair();
        if let Some(rooms) = &self.rooms
            && let Err((rejudge, undelivered)) = offer(&rooms.retrieval.clone().recipient(), Rejudge { policy, reply })
        {
            rejudge.reply.answer(Err(undelivered.into()));
        }
        ctx.spawn(
            judged.outcome().into_actor(self).map(|judged, supervisor, ctx| supervisor.finish_adoption(judged, ctx)),
        );
    }

    fn finish_adoption(&mut self, judged: Outcome<()>, ctx: &mut Context<Self>) {
        let Some(AdoptPolicy { policy, reply }) = self.adopting.pop_front() else { return };
        match judged {
            Ok(()) => self.adopt(policy, reply),
            Err(rejection) => reply.answer(Err(rejection)),
        }
        self.adopt_first(ctx);
    }

    /// Swaps the snapshot: from here on nothing is admitted under an older one. Acknowledged when nothing is under way to
    /// where it forbids. One that does not allow this node is not adopted: who pushed it closes the tenant.
    fn adopt(&mut self, policy: Arc<PolicySnapshot>, reply: ReplySlot<String>) {
        let (Some(rooms), Some(opened)) = (&self.rooms, &self.opened) else {
            return reply.answer(Err(Rejection::lost()));
        };
        if let Err(rejection) = clear_to_keep(&policy.sovereignty, self.egress.node()) {
            return reply.answer(Err(rejection));
        }
        self.egress.adopt(&policy.sovereignty);
        let settled = policy.settled();
        post_certain(&rooms.cache, AdoptCache(Arc::clone(&settled)));
        post_certain(&rooms.budget, AdoptBudget(Arc::clone(&settled)));
        rooms.bucket.policy.send_replace(Arc::clone(&settled));
        post_certain(&rooms.retrieval, AdoptRules(settled));
        let now_ns = self.now_ns();
        self.admission.adopt(&policy, now_ns);
        self.watch.adopt(&policy.slo);
        self.sideways.tell_noted(self.service.adopt(&policy.slo, self.parts.clock.now_unix_ms()));
        self.tell_objective(&policy.slo);
        let (version, digest) = (policy.version.clone(), policy.digest.clone());
        let at_unix_ms = self.parts.clock.now_unix_ms();
        let adopted = Entry::PolicyAdopted { version: version.clone(), digest, at_unix_ms };
        auditing::begin(&self.audit, None, at_unix_ms);
        let begins = self.rollout.begins(&policy, None);
        let begun =
            begins.clone().map(|standing| Entry::RolloutStands { standing: Box::new(standing), at_unix_ms, by: None });
        let append = opened.belongings.journal.append(&[adopted].into_iter().chain(begun).collect::<Vec<_>>());
        self.policy = policy;
        self.follow_rollout(begins, None);
        let egress = Arc::clone(&self.egress);
        actix::spawn(async move {
            egress.settled().await;
            reply.answer(
                append.await.map(|_| version).map_err(|error| Rejection::new(Code::Internal, error.to_string())),
            );
        });
    }
}

/// The journal failed under the exit: the rooms of this incarnation must go.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct RebuildRooms {
    pub(super) incarnation: u64,
}

impl Handler<RebuildRooms> for Supervisor {
    type Result = ();

    fn handle(&mut self, rebuild: RebuildRooms, ctx: &mut Self::Context) {
        if rebuild.incarnation == self.incarnation {
            self.room_died("exit", "the journal failed", KINDS.len(), ctx);
        }
    }
}

impl Handler<Died> for Supervisor {
    type Result = ();

    fn handle(&mut self, died: Died, ctx: &mut Self::Context) {
        if died.incarnation != self.incarnation {
            return;
        }
        if self.rooms.is_some() && self.phase == Phase::Serving {
            let cause = if died.cause == Cause::Panicked { "it panicked" } else { "it stopped" };
            return self.room_died(died.room, cause, KINDS.len().saturating_sub(1), ctx);
        }
        self.mourned = self.mourned.saturating_sub(1);
        self.rebuild_when_mourned(ctx);
    }
}

impl Handler<Admit> for Supervisor {
    type Result = ();

    fn handle(&mut self, admit: Admit, ctx: &mut Self::Context) {
        self.start_turn(admit, ctx);
        self.sweep_later(ctx);
    }
}

macro_rules! forwarded {
    ($room:ident: $($message:ty),*) => {$(
        impl Handler<$message> for Supervisor {
            type Result = ();
            fn handle(&mut self, message: $message, _: &mut Self::Context) {
                self.forward(message, |rooms| rooms.$room.clone().recipient(), |message, rejection| message.reply.answer(Err(rejection)));
            }
        }
    )*};
}
// what a request to add documents may add is ruled on document by document
forwarded!(retrieval: AdmitUpload, CountOverdue, IngestDocuments, SteerWeight);
forwarded!(budget: Reconcile, ApproveSpending);

impl Handler<AdoptPolicy> for Supervisor {
    type Result = ();

    fn handle(&mut self, adopt: AdoptPolicy, ctx: &mut Self::Context) {
        if self.adopting.len() >= ADOPTIONS_WAITING_MAX {
            let detail =
                "adopting a policy: earlier versions of this tenant are still being adopted; try again shortly";
            return adopt.reply.answer(Err(Rejection::retry_after(Code::Overloaded, detail, 250)));
        }
        self.adopting.push_back(adopt);
        if self.adopting.len() == 1 {
            self.adopt_first(ctx);
        }
    }
}

impl Handler<Close> for Supervisor {
    type Result = ();

    /// Admits nothing more, lets turns in flight end, gives the escrow back, saves what is derived, stops.
    fn handle(&mut self, close: Close, ctx: &mut Self::Context) {
        self.phase = Phase::Closing;
        let drained = self.admission.drained();
        // the exit keeps what it records in: turns in flight are answered
        let (rooms, derived) = (self.rooms.take(), self.opened.as_ref().map(|opened| Arc::clone(&opened.derived)));
        let journal = self.opened.as_ref().map(|opened| opened.belongings.journal.clone());
        let service = Arc::clone(&self.service);
        let tenant = self.parts.belongings.cipher.tenant();
        let closing = async move {
            drained.await;
            if let Some(rooms) = &rooms {
                let (slot, returned) = ReplySlot::pair();
                if offer(&rooms.budget.clone().recipient(), CloseBudget { reply: slot }).is_ok() {
                    let _lost_escrow_is_reconciled_at_the_next_opening = returned.outcome().await;
                }
                rooms.stop(tenant);
            }
            if let Some(journal) = journal {
                let _lost_counts_are_those_of_a_minute = counted(&journal, service.take_all()).await;
            }
            if let Some(derived) = derived
                && let Err(reason) = on_derived(derived, |derived| derived.catch_up().map(|_| ())).await
            {
                tracing::warn!(%tenant, %reason, "derived state could not be saved; it is replayed at the next opening");
            }
        };
        ctx.spawn(closing.into_actor(self).map(move |(), _, ctx| {
            close.reply.answer(Ok(()));
            ctx.stop();
        }));
    }
}
