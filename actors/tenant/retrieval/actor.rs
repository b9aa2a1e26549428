//! The room's shell: takes a message, reads the clock, starts the task that carries it out.
use super::corpus::Corpus;
use super::dense::{self, Door, Found, Indexing, Mirroring, Way};
use super::erasing::Erasing;
use super::finding::{chosen, find};
use super::indexer::{self, Orders, Work};
use super::ingest::{Afterwards, Desk, no_such_document};
use super::messages::{
    AdmitUpload, AdoptRules, CorpusFigures, DocumentState, DocumentView, IngestDocuments, ListDocuments, MeasureCorpus,
    Passivate, Rejudge, RemoveDocument, ShowDocument,
};
use super::parse::Sandbox;
use super::pools::Lanes;
use super::prepare::Occasion;
use super::reranking::{Routed, second_look};
use super::rules::{LIST_MAX, may_be_found, wanted};
use super::selection;
use super::upload::Uploads;
use super::view::view;
use crate::egress::Egress;
use crate::feedback::SharedDistrust;
use crate::question::Matter;
use crate::ruling;
use crate::supervisor::messages::AdmitAside;
use crate::turn::{Admitted, Grounded, Turn};
use crate::vector_store::{TenantCollections, TenantVectorStores};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::erasures::TenantErasures;
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::mail::{self, Undelivered};
use bailiwick_kernel::obituary::Obituary;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_kernel::shelf::Belongings;
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::sovereignty::Flow;
use bailiwick_policy::visibility::Visible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// What the room is given.
pub struct RetrievalParts {
    /// What the tenant owns.
    pub belongings: Belongings,
    /// The policy in force.
    pub policy: Arc<PolicySnapshot>,
    /// Where bytes may be kept.
    pub egress: Arc<Egress>,
    /// Time.
    pub clock: SharedClock,
    /// Reads files, hostile formats in child processes.
    pub sandbox: Sandbox,
    /// The tenant's ways to the slots of the node.
    pub lanes: Lanes,
    /// What was asked to be erased, and what was.
    pub erasures: TenantErasures,
    /// Requests for erasure are open.
    pub owes_erasure: bool,
    /// Documents that have lost trust.
    pub distrust: Arc<SharedDistrust>,
    /// The stores its vectors may be searched in.
    pub vector_stores: TenantVectorStores,
    /// Where questions go with their passages: budget.
    pub next: Recipient<Turn<Grounded>>,
    /// Where searches go with their hits: the supervisor's exit.
    pub search_exit: Recipient<Turn<Grounded>>,
    /// Where texts are embedded: the supervisor.
    pub embedding: Recipient<AdmitAside>,
    /// Tells the supervisor when this room ends.
    pub obituary: Obituary,
}

/// The retrieval room of one tenant.
pub struct RetrievalRoom {
    pub(super) desk: Desk,
    egress: Arc<Egress>,
    pub(super) clock: SharedClock,
    next: Recipient<Turn<Grounded>>,
    search_exit: Recipient<Turn<Grounded>>,
    /// Tasks under way: what the mailbox bounds as messages, this bounds as tasks.
    tasks: Arc<Semaphore>,
    uploads: Uploads,
    orders: Option<Orders>,
    pub(super) embedding: Door,
    pub(super) erasing: Erasing,
    /// Requests for erasure are open, as far as is known.
    pub(super) owes_erasure: bool,
    distrust: Arc<SharedDistrust>,
    /// Tells the index by its own `Drop` that the room is gone.
    _presence: watch::Sender<()>,
    _obituary: Obituary,
}

/// A task found that this incarnation may not go on.
#[derive(Message)]
#[rtype(result = "()")]
struct End;

impl RetrievalRoom {
    /// Starts the room on the current arbiter. It opens nothing before the first knock, unless documents end by themselves.
    #[must_use]
    pub fn start(parts: RetrievalParts) -> Addr<Self> {
        Actor::start(Self::furnish(parts))
    }

    pub(super) fn furnish(parts: RetrievalParts) -> Self {
        let (queue, work) = mpsc::channel(indexer::WORK_MAX);
        let (presence, room) = watch::channel(());
        let tenant = parts.belongings.journal.tenant();
        let collections = TenantCollections::new(parts.vector_stores, &parts.egress, &parts.clock, tenant);
        let corpus = Arc::new(Corpus::new(parts.belongings, parts.policy, parts.lanes, collections));
        Self {
            desk: Desk { corpus, sandbox: parts.sandbox, queue, erasures: parts.erasures },
            egress: parts.egress,
            clock: parts.clock,
            next: parts.next,
            search_exit: parts.search_exit,
            tasks: Arc::new(Semaphore::new(MAILBOX_MAX)),
            uploads: Uploads::new(),
            orders: Some(Orders { queue: work, room }),
            embedding: Door::new(parts.embedding),
            erasing: Erasing::default(),
            owes_erasure: parts.owes_erasure,
            distrust: parts.distrust,
            _presence: presence,
            _obituary: parts.obituary,
        }
    }

    pub(super) fn note_knock(&self) {
        self.desk.corpus.note_knock(self.clock.now_unix_ms());
    }

    /// Notes a knock and, where a permit is left, lets it in.
    pub(super) fn let_in(&self) -> Outcome<OwnedSemaphorePermit> {
        self.note_knock();
        self.let_in_unnoted()
    }

    /// Lets in, where a permit is left, who does not want the index: it may go on sleeping.
    pub(super) fn let_in_unnoted(&self) -> Outcome<OwnedSemaphorePermit> {
        Arc::clone(&self.tasks).try_acquire_owned().map_err(|_none_left| Undelivered::Full.into())
    }

    /// Runs a task that changes documents; ends the room where the task says so.
    pub(super) fn change(ctx: &Context<Self>, task: impl Future<Output = Afterwards> + 'static) {
        let room = ctx.address();
        actix::spawn(async move {
            if task.await == Afterwards::End {
                mail::post_certain(&room, End);
            }
        });
    }
}

impl Actor for RetrievalRoom {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        if let Some(orders) = self.orders.take() {
            let (corpus, clock) = (Arc::clone(&self.desk.corpus), Arc::clone(&self.clock));
            let (door, room) = (self.embedding.clone(), orders.room.clone());
            let told = ctx.address().downgrade();
            actix::spawn(dense::mirror(Mirroring { corpus: Arc::clone(&corpus), told, room: room.clone() }));
            actix::spawn(dense::run(Indexing { corpus: Arc::clone(&corpus), door, clock: Arc::clone(&clock), room }));
            let policy = corpus.policy.load();
            if policy.dense.is_some() || policy.tenant.index_namespace().is_some() {
                corpus.dense.nudge();
            }
            drop(policy);
            actix::spawn(indexer::run(corpus, clock, orders));
        }
        self.look_for_due(ctx);
    }
}

impl Handler<End> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, _end: End, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl RetrievalRoom {
    /// Which documents somebody may be shown.
    pub(super) fn visible(&self, principal: &Principal) -> Outcome<Visible> {
        let policy = self.desk.corpus.policy.load();
        let facts = ruling::asker(&policy, principal, self.clock.now_unix_ms());
        ruling::visible(&policy, &facts)
    }
}

impl Handler<Turn<Admitted>> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, turn: Turn<Admitted>, _ctx: &mut Context<Self>) {
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return turn.refuse(rejection),
        };
        let next = if matches!(turn.case.matter, Matter::Search(_)) { &self.search_exit } else { &self.next };
        let visible = match turn.case.ruled.visible(&turn.case.policy) {
            Ok(visible) => visible,
            Err(rejection) => return turn.refuse(rejection),
        };
        let distrust = self.distrust.view();
        let visible = distrust.keep_out(visible, turn.case.policy.guard.min_trust_score);
        let Some(mut wanted) = wanted(&turn.case.matter, &turn.case.policy, visible) else {
            return forward(next, turn.ground(Arc::from([])));
        };
        let top_k = wanted.top_k;
        let looked_at = turn.case.policy.rerank.as_ref().map_or(top_k, |rerank| rerank.top_n().max(top_k));
        wanted.top_k = selection::wanted(looked_at, turn.case.policy.guard.selection.as_ref());
        let (desk, next, door) = (self.desk.clone(), next.clone(), self.embedding.clone());
        let patience = turn.case.deadline_unix_ms.saturating_sub(self.clock.now_unix_ms());
        let patience = Duration::from_millis(patience);
        actix::spawn(async move {
            let _until_done = permit;
            let mut turn = turn;
            if let Matter::Ask(asked) = &mut turn.case.matter {
                let guard = turn.case.policy.guard.fingerprint.clone();
                asked.earlier =
                    desk.corpus.tellable(std::mem::take(&mut asked.earlier), wanted.visible.clone(), guard).await;
            }
            let (policy, asker) = (&turn.case.policy, &turn.case.principal);
            let way = desk.corpus.way(&door, policy, &wanted.text, asker, patience).await;
            let is_hybrid_wanted = !matches!(way, Way::Words);
            let question = wanted.text.clone();
            match find(&desk, policy, patience, wanted, way).await {
                Ok(Found { mut passages, hybrid }) => {
                    distrust.lower(&mut passages);
                    let mut passages = match chosen(&desk, policy, patience, (&question, passages), looked_at).await {
                        Ok(passages) => passages,
                        Err(rejection) => return turn.refuse(rejection),
                    };
                    if let Some(rerank) = &policy.rerank {
                        let routed = Routed { door: &door, model: &rerank.model, asker, patience };
                        let trust_exponent = policy.guard.selection.map_or(0.0, |rules| rules.trust_exponent);
                        match second_look(&routed, rerank, &question, passages, trust_exponent).await {
                            Ok((ranked, looked)) => (passages, turn.case.ranked_again) = (ranked, Some(looked)),
                            Err(rejection) => return turn.refuse(rejection),
                        }
                    }
                    passages.truncate(top_k);
                    turn.case.found_by_meaning = is_hybrid_wanted.then_some(hybrid);
                    forward(&next, turn.ground(passages.into()));
                }
                Err(rejection) => turn.refuse(rejection),
            }
        });
    }
}

fn forward(next: &Recipient<Turn<Grounded>>, turn: Turn<Grounded>) {
    if let Err((turn, undelivered)) = mail::offer(next, turn) {
        turn.refuse(undelivered.into());
    }
}

impl Handler<AdmitUpload> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, AdmitUpload { reply }: AdmitUpload, _ctx: &mut Context<Self>) {
        self.note_knock();
        reply.answer(self.uploads.admit(&self.desk.corpus));
    }
}

impl Handler<IngestDocuments> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: IngestDocuments, ctx: &mut Context<Self>) {
        self.note_knock();
        let IngestDocuments { permit, documents, principal, reply } = request;
        let here = match self.egress.clear_here(Flow::Store) {
            Ok(here) => here,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, uploads, distrust) = (self.desk.clone(), self.uploads.clone(), Arc::clone(&self.distrust));
        let (policy, now_unix_ms) = (desk.corpus.policy.load_full(), self.clock.now_unix_ms());
        let asker = ruling::asker(&policy, &principal, now_unix_ms);
        let occasion = Occasion { policy, now_unix_ms, by: principal.key_id, asker, here };
        Self::change(ctx, async move {
            let (outcome, afterwards) = desk.ingest(documents, occasion).await;
            let taken = outcome.iter().flatten();
            let replaced = taken.filter(|one| !matches!(one.state, DocumentState::Unchanged | DocumentState::Failed));
            distrust.forget(replaced.map(|one| one.id.as_str()));
            // before the answer: whoever sends the next one after it finds a place
            drop(permit);
            reply.answer(outcome);
            if uploads.are_over() {
                desk.rest();
            }
            afterwards
        });
    }
}

impl Handler<RemoveDocument> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: RemoveDocument, ctx: &mut Context<Self>) {
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return request.reply.answer(Err(rejection)),
        };
        let RemoveDocument { id, principal, reply } = request;
        let (desk, now_unix_ms) = (self.desk.clone(), self.clock.now_unix_ms());
        Self::change(ctx, async move {
            let _until_done = permit;
            desk.remove(id, principal.key_id, now_unix_ms, reply).await
        });
    }
}

impl Handler<ListDocuments> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: ListDocuments, _ctx: &mut Context<Self>) {
        let ListDocuments { after, limit, principal, reply } = request;
        let let_in = self.let_in().and_then(|permit| Ok((permit, self.visible(&principal)?)));
        let (permit, visible) = match let_in {
            Ok(let_in) => let_in,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let corpus = Arc::clone(&self.desk.corpus);
        actix::spawn(async move {
            let _until_done = permit;
            let listed = corpus.read(move |truth| truth.list_visible(after, limit.min(LIST_MAX), &visible)).await;
            let views = listed.map(|held| held.into_iter().map(|held| shown(&corpus, held)).collect());
            reply.answer(views);
        });
    }
}

fn shown(corpus: &Corpus, held: super::rules::Held) -> DocumentView {
    let has_indexed = corpus.has_indexed(&held);
    view(held, has_indexed)
}

impl Handler<ShowDocument> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: ShowDocument, _ctx: &mut Context<Self>) {
        let ShowDocument { id, principal, reply } = request;
        let let_in = self.let_in().and_then(|permit| Ok((permit, self.visible(&principal)?)));
        let (permit, visible) = match let_in {
            Ok(let_in) => let_in,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let corpus = Arc::clone(&self.desk.corpus);
        actix::spawn(async move {
            let _until_done = permit;
            let found = corpus.read(move |truth| {
                let found = truth.get(&id)?.filter(|held| may_be_found(&visible, &held.accepted));
                let Some(held) = found else { return Ok(None) };
                let text = truth.text(&held.accepted)?;
                Ok(Some((held, text)))
            });
            let found = found.await.and_then(|found| found.ok_or_else(no_such_document));
            reply.answer(found.map(|(held, text)| (shown(&corpus, held), text)));
        });
    }
}

impl Handler<Rejudge> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: Rejudge, _ctx: &mut Context<Self>) {
        let Rejudge { policy, reply } = request;
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let desk = self.desk.clone();
        actix::spawn(async move {
            let _until_done = permit;
            // Nothing is kept under one guard while the index goes over to another.
            let _gate = Arc::clone(&desk.corpus.gate).lock_owned().await;
            desk.corpus.policy.store(policy);
            reply.answer(desk.ask_index(Work::Wake).await);
            desk.corpus.dense.nudge();
        });
    }
}

impl Handler<AdoptRules> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, AdoptRules(policy): AdoptRules, ctx: &mut Context<Self>) {
        let guard_in_force = self.desk.corpus.policy.load().guard.fingerprint.clone();
        // another guard comes into force by judging the corpus anew, and by nothing else
        if guard_in_force == policy.guard.fingerprint {
            self.desk.corpus.policy.store(policy);
            self.desk.corpus.dense.nudge();
            self.look_for_due(ctx);
        }
    }
}

impl Handler<Passivate> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, _message: Passivate, _ctx: &mut Context<Self>) {
        let desk = self.desk.clone();
        actix::spawn(async move {
            // Whether it closed or was closed already, the next knock opens it.
            let _closed = desk.ask_index(Work::Sleep).await;
        });
    }
}

impl Handler<MeasureCorpus> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, request: MeasureCorpus, _ctx: &mut Context<Self>) {
        let corpus = Arc::clone(&self.desk.corpus);
        let Ok(permit) = Arc::clone(&self.tasks).try_acquire_owned() else {
            return request.reply.answer(Err(Undelivered::Full.into()));
        };
        actix::spawn(async move {
            let _until_done = permit;
            let figures = corpus.truth().await.map(|truth| {
                let (mark, served) = (truth.mark(), corpus.current());
                CorpusFigures {
                    documents: mark.documents,
                    bytes: mark.bytes,
                    searchable: served.as_ref().map_or_else(|| corpus.last_searchable(), |served| served.documents()),
                    segments: served.as_ref().map_or(0, |served| served.segments()),
                    passive: served.is_none(),
                    dense: corpus.dense_view(),
                    bucket: None,
                }
            });
            request.reply.answer(figures);
        });
    }
}
