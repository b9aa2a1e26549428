//! The shell of the cache room: asks one rule, looks, hands the turn on.
use super::lookup::{Answers, Lookup, Purpose};
use super::meaning::{Ground, Recollection};
use super::messages::{AdoptCache, CacheParts, CacheState, Remember};
use super::rules::{self, Course, Key};
use super::shared::{SharedCache, SharedParts, SharedService};
use super::store::{SemanticStore, Store};
use crate::egress::Egress;
use crate::question::Matter;
use crate::turn::{Answered, Draft, Grounded, Turn};
use actix::prelude::*;
use bailiwick_kernel::cipher::Cipher;
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
    shared: Option<SharedCache>,
    outside: Option<Arc<SharedService>>,
    cipher: Cipher,
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
        let CacheParts { policy, egress, cipher, shared: outside, clock, next, exit, obituary } = parts;
        let (exact, semantic) = stores(&policy, &egress);
        let mut room =
            Self { policy, egress, exact, semantic, shared: None, outside, cipher, clock, next, exit, obituary };
        room.shared = room.shared_under(&room.policy);
        room
    }

    /// The tenant's part of the cache outside, where a policy names one and remembers anything.
    fn shared_under(&self, policy: &PolicySnapshot) -> Option<SharedCache> {
        let (rules, prefix) = (rules::exact(policy)?, policy.tenant.cache_prefix()?);
        let parts = SharedParts {
            service: Arc::clone(self.outside.as_ref()?),
            egress: Arc::clone(&self.egress),
            cipher: self.cipher.clone(),
            clock: Arc::clone(&self.clock),
        };
        Some(SharedCache::new(parts, prefix, rules))
    }

    fn reach_ahead(&self) {
        if let Some(shared) = &self.shared {
            shared.reach_ahead();
        }
    }

    fn hand_on(&self, turn: Turn<Grounded>) {
        hand_on(&self.next, turn);
    }

    fn look(&self, mut turn: Turn<Grounded>) {
        let key = key_of(&turn);
        let known = self.exact.as_ref().and_then(|store| store.recall(&key, self.clock.now_unix_ms()));
        if let Some(draft) = known {
            return give_again(&self.exit, turn, &draft);
        }
        self.entrust(&mut turn, key, Purpose::Recall);
        let shared = self.shared.as_ref().and_then(|shared| Some((shared.clone(), shared.place()?)));
        let Some((shared, place)) = shared else { return go_on(&self.next, turn) };
        let (next, exit) = (self.next.clone(), self.exit.clone());
        actix::spawn(async move {
            let _until_done = place;
            match shared.recall(&key).await {
                Some(draft) => give_again(&exit, turn, &draft),
                None => go_on(&next, turn),
            }
        });
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

fn hand_on(next: &Recipient<Turn<Grounded>>, turn: Turn<Grounded>) {
    if let Err((turn, undelivered)) = offer(next, turn.unanswered()) {
        turn.refuse(undelivered.into());
    }
}

/// Hands a turn on whose words are not known; whether its meaning is shows where its question is embedded.
fn go_on(next: &Recipient<Turn<Grounded>>, turn: Turn<Grounded>) {
    if turn.case.lookup.is_none() {
        turn.note_cache(CacheState::Miss);
    }
    hand_on(next, turn);
}

fn give_again(exit: &Recipient<Turn<Answered>>, mut turn: Turn<Grounded>, draft: &Draft) {
    turn.note_cache(CacheState::Hit);
    // what is known is not remembered once more
    (turn.case.remember_as, turn.case.lookup) = (None, None);
    if let Err((turn, undelivered)) = offer(exit, turn.recall(rules::given_again(draft))) {
        turn.refuse(undelivered.into());
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
        self.reach_ahead();
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
        let Some((store, key)) = self.exact.as_ref().zip(as_asked) else { return };
        if let Some(shared) = &self.shared
            && let Some(place) = shared.place()
        {
            let (shared, draft) = (shared.clone(), draft.clone());
            actix::spawn(async move {
                let _until_done = place;
                shared.remember(&key, &draft).await;
            });
        }
        store.remember(key, draft, now_unix_ms);
    }
}

impl Handler<AdoptCache> for CacheRoom {
    type Result = ();

    fn handle(&mut self, AdoptCache(policy): AdoptCache, _: &mut Self::Context) {
        (self.exact, self.semantic) = stores(&policy, &self.egress);
        self.shared = self.shared_under(&policy);
        self.policy = policy;
        self.reach_ahead();
    }
}
