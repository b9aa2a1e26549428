//! The shell of the cache room: asks one rule, looks, hands the turn on.
use super::lookup::{Answers, Lookup, Purpose};
use super::meaning::{Ground, Recollection};
use super::messages::{AdoptCache, CacheParts, CacheState, Remember};
use super::rules::{self, Course, Key};
use super::store::{SemanticStore, Store};
use crate::egress::Egress;
use crate::question::Matter;
use crate::turn::{Answered, Grounded, Turn};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::mail::offer;
use bailiwick_kernel::obituary::Obituary;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::sovereignty::Flow;
use std::sync::Arc;

/// The cache room of one tenant.
#[derive(Debug)]
pub struct CacheRoom {
    policy: Arc<PolicySnapshot>,
    egress: Arc<Egress>,
    exact: Option<Store>,
    semantic: Option<Arc<SemanticStore>>,
    clock: SharedClock,
    next: Recipient<Turn<Grounded>>,
    exit: Recipient<Turn<Answered>>,
    #[expect(dead_code, reason = "posts the death notice by its Drop")]
    obituary: Obituary,
}

impl CacheRoom {
    /// A room that remembers nothing yet.
    #[must_use]
    pub fn new(parts: CacheParts) -> Self {
        let CacheParts { policy, egress, clock, next, exit, obituary } = parts;
        let (exact, semantic) = stores(&policy, &egress);
        Self { policy, egress, exact, semantic, clock, next, exit, obituary }
    }

    fn hand_on(&self, turn: Turn<Grounded>) {
        if let Err((turn, undelivered)) = offer(&self.next, turn.unanswered()) {
            turn.refuse(undelivered.into());
        }
    }

    fn look(&self, mut turn: Turn<Grounded>) {
        let key = key_of(&turn);
        let known = self.exact.as_ref().and_then(|store| store.recall(&key, self.clock.now_unix_ms()));
        if let Some(draft) = known {
            turn.note_cache(CacheState::Hit);
            if let Err((turn, undelivered)) = offer(&self.exit, turn.recall(rules::given_again(&draft))) {
                turn.refuse(undelivered.into());
            }
            return;
        }
        self.entrust(&mut turn, key, Purpose::Recall);
        if turn.case.lookup.is_none() {
            turn.note_cache(CacheState::Miss);
        }
        self.hand_on(turn);
    }

    /// Has the turn carry as what its answer is remembered, and what its question is to be compared with. Without passages
    /// there is no answer that could rest on them, so that nothing is paid for an embedding.
    fn entrust(&self, turn: &mut Turn<Grounded>, key: Key, purpose: Purpose) {
        turn.case.remember_as = self.exact.is_some().then_some(key);
        let (Some(store), Matter::Ask(question), false) =
            (&self.semantic, &turn.case.matter, turn.stage.passages.is_empty())
        else {
            return;
        };
        let partition = rules::partition(question, &turn.case.policy, &turn.case.ruled);
        turn.case.lookup = Some(Lookup::new(purpose, Answers::new(Arc::clone(store), partition), key));
    }
}

/// What is remembered is kept in this node's memory: nothing is, where it may not be here.
fn stores(policy: &PolicySnapshot, egress: &Egress) -> (Option<Store>, Option<Arc<SemanticStore>>) {
    let Ok(cleared) = egress.clear_here(Flow::Cache) else { return (None, None) };
    let semantic = rules::semantic(policy).map(|rules| Arc::new(SemanticStore::new(rules, &cleared)));
    (rules::exact(policy).map(|rules| Store::new(rules, &cleared)), semantic)
}

fn key_of(turn: &Turn<Grounded>) -> Key {
    let case = &turn.case;
    rules::key(&case.matter, &turn.stage.passages, &case.policy, &case.ruled)
}

impl Actor for CacheRoom {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
    }
}

impl Handler<Turn<Grounded>> for CacheRoom {
    type Result = ();

    fn handle(&mut self, mut turn: Turn<Grounded>, _: &mut Self::Context) {
        let case = &turn.case;
        match rules::course(self.policy.router.cache.as_ref(), &case.matter, case.cache_control) {
            Course::Pass => self.hand_on(turn),
            Course::Bypass => {
                turn.note_cache(CacheState::Bypass);
                self.hand_on(turn);
            }
            Course::Refresh => {
                turn.note_cache(CacheState::Bypass);
                let key = key_of(&turn);
                self.entrust(&mut turn, key, Purpose::Refresh);
                self.hand_on(turn);
            }
            Course::Look => self.look(turn),
        }
    }
}

impl Handler<Remember> for CacheRoom {
    type Result = ();

    fn handle(&mut self, remember: Remember, _: &mut Self::Context) {
        let Remember { as_asked, as_meant, passages, draft } = remember;
        let now_unix_ms = self.clock.now_unix_ms();
        if let Some((store, meaning)) = self.semantic.as_ref().zip(as_meant)
            && let Some(recollection) = Recollection::of(&draft, &Ground::of(&passages))
        {
            store.remember(meaning, recollection, now_unix_ms);
        }
        if let Some((store, key)) = self.exact.as_ref().zip(as_asked) {
            store.remember(key, draft, now_unix_ms);
        }
    }
}

impl Handler<AdoptCache> for CacheRoom {
    type Result = ();

    fn handle(&mut self, AdoptCache(policy): AdoptCache, _: &mut Self::Context) {
        (self.exact, self.semantic) = stores(&policy, &self.egress);
        self.policy = policy;
    }
}
