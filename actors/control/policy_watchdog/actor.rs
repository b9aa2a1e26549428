//! The shell of the watchdog: one timer a push.
use super::messages::{Expect, Heard, Patrol, ReadPatrol};
use super::rules::{Outstanding, Suspects, deviation};
use crate::registry::messages::{ReadEnforcing, Verdict};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_tenant::supervisor::messages::{AuditAnswers, ReadPolicy};
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// Between two looks at what is enforced.
const PATROL: Duration = Duration::from_secs(10);
/// Who says nothing at two looks is closed like who enforces something else.
const SILENT: &str = "it does not say what it enforces";
/// Tenants asked at the same time.
const ASKED_AT_ONCE: usize = 16;

/// The room.
pub struct Watchdog {
    clock: SharedClock,
    registry: Recipient<Verdict>,
    enforcing: Recipient<ReadEnforcing>,
    outstanding: Outstanding,
    suspects: Suspects,
    /// When the last look ended.
    looked_unix_ms: Option<u64>,
}

impl Watchdog {
    /// A watchdog that expects nothing yet.
    #[must_use]
    pub fn new(clock: SharedClock, registry: Recipient<Verdict>, enforcing: Recipient<ReadEnforcing>) -> Self {
        Self {
            clock,
            registry,
            enforcing,
            outstanding: Outstanding::default(),
            suspects: Suspects::default(),
            looked_unix_ms: None,
        }
    }

    fn tell(&self, verdict: Verdict, ctx: &mut Context<Self>) {
        // waits for room in the registry's mailbox: a verdict is never dropped
        ctx.spawn(self.registry.send(verdict).into_actor(self).map(|_sent, _act, _ctx| ()));
    }

    /// Asks every open tenant what it enforces.
    fn patrol(&mut self, ctx: &mut Context<Self>) {
        let now_unix_s = i64::try_from(self.clock.now_unix_ms() / 1_000).unwrap_or(i64::MAX);
        let looking = look(self.enforcing.clone(), now_unix_s);
        ctx.spawn(looking.into_actor(self).map(|deviating, act, ctx| {
            act.looked_unix_ms = Some(act.clock.now_unix_ms());
            for verdict in act.suspects.look(deviating) {
                act.tell(verdict, ctx);
            }
            ctx.run_later(PATROL, Self::patrol);
        }));
    }

    fn look(&mut self, now_unix_ms: u64, ctx: &mut Context<Self>) {
        for verdict in self.outstanding.overdue(now_unix_ms) {
            self.tell(verdict, ctx);
        }
    }
}

/// What a tenant says to a question.
enum Told<T> {
    Said(T),
    Nothing,
    /// Full, going, or gone: it ends or answers by itself.
    Gone,
}

async fn asked<M, T>(to: &Recipient<M>, question: impl FnOnce(ReplySlot<T>) -> M) -> Told<T>
where
    M: Message<Result = ()> + Send + 'static,
{
    let (reply, awaited) = ReplySlot::pair();
    let sent = offer(to, question(reply));
    match (sent, timeout(Duration::from_millis(ACKNOWLEDGE_MS), awaited.outcome()).await) {
        (Ok(()), Ok(Ok(said))) => Told::Said(said),
        (Ok(()), Err(_late)) => Told::Nothing,
        _ => Told::Gone,
    }
}

/// What deviates now, by tenant and incarnation.
async fn look(enforcing: Recipient<ReadEnforcing>, now_unix_s: i64) -> BTreeMap<(TenantKey, Generation), String> {
    let (reply, awaited) = ReplySlot::pair();
    if enforcing.send(ReadEnforcing { reply }).await.is_err() {
        return BTreeMap::new();
    }
    let expected = awaited.outcome().await.unwrap_or_default();
    let asked = expected.into_iter().map(|expected| async move {
        let who = (expected.tenant, expected.generation);
        let told = |reply| ReadPolicy { reply };
        let reason = match asked(&expected.policy, told).await {
            Told::Said(enforced) => {
                match deviation(&expected.expected, expected.committed.as_deref(), &enforced, now_unix_s) {
                    Some(reason) => Some(reason),
                    None => match asked(&expected.answers, |reply| AuditAnswers { reply }).await {
                        Told::Said(found) => found,
                        Told::Nothing => Some(SILENT.to_owned()),
                        Told::Gone => None,
                    },
                }
            }
            Told::Nothing => Some(SILENT.to_owned()),
            Told::Gone => None,
        };
        reason.map(|reason| (who, reason))
    });
    let found: Vec<_> = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).collect().await;
    found.into_iter().flatten().collect()
}

impl Actor for Watchdog {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_later(PATROL, Self::patrol);
    }
}

impl Handler<Expect> for Watchdog {
    type Result = ();

    fn handle(&mut self, expect: Expect, ctx: &mut Self::Context) {
        let due_unix_ms = self.outstanding.expect(expect, self.clock.now_unix_ms());
        // the timer has measured the wait; a wall clock that was set back must not excuse the tenant
        ctx.run_later(Duration::from_millis(ACKNOWLEDGE_MS), move |act, ctx| {
            let now_unix_ms = act.clock.now_unix_ms().max(due_unix_ms);
            act.look(now_unix_ms, ctx);
        });
    }
}

impl Handler<Heard> for Watchdog {
    type Result = ();

    fn handle(&mut self, heard: Heard, _ctx: &mut Self::Context) {
        self.outstanding.heard(heard.push);
    }
}

impl Handler<ReadPatrol> for Watchdog {
    type Result = ();

    fn handle(&mut self, ReadPatrol { reply }: ReadPatrol, _ctx: &mut Self::Context) {
        reply.answer(Ok(Patrol { at_unix_ms: self.looked_unix_ms, deviating: self.suspects.by_tenant() }));
    }
}
