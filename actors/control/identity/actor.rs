//! The shell of the identity room: reads key sets when they are due or asked for, and publishes them.
use super::fetch::{Fetched, fetch};
use super::issuer::Issuer;
use super::keys::KeySet;
use super::messages::Refresh;
use super::rules::{Held, Standing, Trusted, good_until_unix_ms, may_ask};
use actix::prelude::*;
use arc_swap::ArcSwap;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::{KEY_SET_RETRY_MS, KEY_SET_WAITING_MAX};
use bailiwick_kernel::mail::ReplySlot;
use std::sync::Arc;
use std::time::Duration;

/// The room.
pub struct Identity {
    issuers: Vec<Kept>,
    published: Arc<ArcSwap<Standing>>,
    clock: SharedClock,
    client: Option<reqwest::Client>,
}

/// One issuer, its key set and who waits for it.
struct Kept {
    issuer: Arc<Issuer>,
    held: Option<Arc<Held>>,
    /// When a token of an unknown key last had it read.
    asked_unix_ms: Option<u64>,
    reading: bool,
    due: Option<SpawnHandle>,
    waiting: Vec<ReplySlot<()>>,
}

impl Identity {
    /// A room that has read nothing yet.
    pub(super) fn new(
        issuers: Vec<Issuer>,
        published: Arc<ArcSwap<Standing>>,
        clock: SharedClock,
        client: Option<reqwest::Client>,
    ) -> Self {
        let kept = |issuer| Kept {
            issuer: Arc::new(issuer),
            held: None,
            asked_unix_ms: None,
            reading: false,
            due: None,
            waiting: Vec::new(),
        };
        Self { issuers: issuers.into_iter().map(kept).collect(), published, clock, client }
    }

    fn read(&mut self, place: usize, ctx: &mut Context<Self>) {
        let Some(kept) = self.issuers.get_mut(place).filter(|kept| !kept.reading) else { return };
        kept.reading = true;
        if let Some(due) = kept.due.take() {
            ctx.cancel_future(due);
        }
        let reading = fetch(self.client.clone(), kept.issuer.keys.clone());
        let read = async {
            let Fetched { bytes, fresh_ms } = reading.await?;
            Ok((KeySet::read(&bytes)?, fresh_ms))
        };
        ctx.spawn(read.into_actor(self).map(move |outcome, act, ctx| act.has_read(place, outcome, ctx)));
    }

    fn has_read(&mut self, place: usize, outcome: Result<(KeySet, u64), String>, ctx: &mut Context<Self>) {
        let now_unix_ms = self.clock.now_unix_ms();
        let Some(kept) = self.issuers.get_mut(place) else { return };
        kept.reading = false;
        let again_ms = match outcome {
            Ok((keys, fresh_ms)) => {
                tracing::info!(tenant = "none", issuer = kept.issuer.issuer, keys = keys.len(), "key set read");
                let good_until_unix_ms = good_until_unix_ms(now_unix_ms, fresh_ms);
                kept.held = Some(Arc::new(Held { keys, good_until_unix_ms }));
                fresh_ms
            }
            Err(problem) => {
                let kept_still = kept.held.as_ref().is_some_and(|held| now_unix_ms < held.good_until_unix_ms);
                tracing::error!(
                    tenant = "none",
                    issuer = kept.issuer.issuer,
                    problem,
                    kept = kept_still,
                    "the key set cannot be read; without one every token of this issuer is refused"
                );
                KEY_SET_RETRY_MS
            }
        };
        kept.due = Some(ctx.run_later(Duration::from_millis(again_ms), move |act, ctx| {
            if let Some(kept) = act.issuers.get_mut(place) {
                kept.due = None;
            }
            act.read(place, ctx);
        }));
        let waiting = std::mem::take(&mut kept.waiting);
        self.publish();
        for slot in waiting {
            slot.answer(Ok(()));
        }
    }

    fn publish(&self) {
        let version = self.published.load().version.saturating_add(1);
        let trusted = |kept: &Kept| Trusted { issuer: Arc::clone(&kept.issuer), held: kept.held.clone() };
        self.published.store(Arc::new(Standing { version, issuers: self.issuers.iter().map(trusted).collect() }));
    }
}

impl Actor for Identity {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for place in 0..self.issuers.len() {
            self.read(place, ctx);
        }
    }
}

impl Handler<Refresh> for Identity {
    type Result = ();

    fn handle(&mut self, Refresh { issuer: place, seen_version, reply }: Refresh, ctx: &mut Self::Context) {
        let now_unix_ms = self.clock.now_unix_ms();
        if self.published.load().version > seen_version {
            return reply.answer(Ok(()));
        }
        let Some(kept) = self.issuers.get_mut(place) else { return reply.answer(Ok(())) };
        if kept.waiting.len() >= KEY_SET_WAITING_MAX {
            return reply.answer(Ok(()));
        }
        if !kept.reading {
            if !may_ask(kept.asked_unix_ms, now_unix_ms) {
                return reply.answer(Ok(()));
            }
            kept.asked_unix_ms = Some(now_unix_ms);
        }
        kept.waiting.push(reply);
        self.read(place, ctx);
    }
}
