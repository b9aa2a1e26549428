//! The shell of the cache room: asks one rule, looks, hands the turn on.
use super::messages::{AdoptCache, CacheParts, CacheState, Remember};
use super::rules::{self, Course};
use super::store::Store;
use crate::turn::{Answered, Grounded, Turn};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::mail::offer;
use bailiwick_kernel::obituary::Obituary;
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;

/// The cache room of one tenant.
#[derive(Debug)]
pub struct CacheRoom {
    policy: Arc<PolicySnapshot>,
    store: Option<Store>,
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
        let CacheParts { policy, clock, next, exit, obituary } = parts;
        let store = rules::exact(&policy).map(Store::new);
        Self { policy, store, clock, next, exit, obituary }
    }

    fn hand_on(&self, turn: Turn<Grounded>) {
        if let Err((turn, undelivered)) = offer(&self.next, turn.unanswered()) {
            turn.refuse(undelivered.into());
        }
    }

    fn look(&self, mut turn: Turn<Grounded>) {
        let case = &turn.case;
        let key = rules::key(&case.matter, &turn.stage.passages, &case.policy, &case.principal);
        let known = self.store.as_ref().and_then(|store| store.recall(&key, self.clock.now_unix_ms()));
        match known {
            None => {
                turn.note_cache(CacheState::Miss);
                turn.case.remember_as = Some(key);
                self.hand_on(turn);
            }
            Some(draft) => {
                turn.note_cache(CacheState::Hit);
                if let Err((turn, undelivered)) = offer(&self.exit, turn.recall(rules::given_again(&draft))) {
                    turn.refuse(undelivered.into());
                }
            }
        }
    }
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
        match rules::course(rules::exact(&self.policy), &case.matter, case.cache_control) {
            Course::Pass => self.hand_on(turn),
            Course::Bypass => {
                turn.note_cache(CacheState::Bypass);
                self.hand_on(turn);
            }
            Course::Refresh => {
                turn.note_cache(CacheState::Bypass);
                let key = rules::key(&case.matter, &turn.stage.passages, &case.policy, &case.principal);
                turn.case.remember_as = Some(key);
                self.hand_on(turn);
            }
            Course::Look => self.look(turn),
        }
    }
}

impl Handler<Remember> for CacheRoom {
    type Result = ();

    fn handle(&mut self, Remember { key, draft }: Remember, _: &mut Self::Context) {
        if let Some(store) = &self.store {
            store.remember(key, draft, self.clock.now_unix_ms());
        }
    }
}

impl Handler<AdoptCache> for CacheRoom {
    type Result = ();

    fn handle(&mut self, AdoptCache(policy): AdoptCache, _: &mut Self::Context) {
        self.store = rules::exact(&policy).map(Store::new);
        self.policy = policy;
    }
}
