//! The shell of the watchdog: one timer a push.
use super::messages::{Expect, Heard};
use super::rules::{Outstanding, Suspects, deviation};
use crate::registry::messages::{ReadEnforcing, Verdict};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_tenant::supervisor::messages::ReadPolicy;
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
}

impl Watchdog {
    /// A watchdog that expects nothing yet.
    #[must_use]
    pub fn new(clock: SharedClock, registry: Recipient<Verdict>, enforcing: Recipient<ReadEnforcing>) -> Self {
        Self { clock, registry, enforcing, outstanding: Outstanding::default(), suspects: Suspects::default() }
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

/// What deviates now, by tenant and incarnation.
async fn look(enforcing: Recipient<ReadEnforcing>, now_unix_s: i64) -> BTreeMap<(TenantKey, Generation), String> {
    let (reply, awaited) = ReplySlot::pair();
    if enforcing.send(ReadEnforcing { reply }).await.is_err() {
        return BTreeMap::new();
    }
    let expected = awaited.outcome().await.unwrap_or_default();
    let asked = expected.into_iter().map(|expected| async move {
        let (reply, awaited) = ReplySlot::pair();
        let sent = offer(&expected.policy, ReadPolicy { reply });
        let told = timeout(Duration::from_millis(ACKNOWLEDGE_MS), awaited.outcome()).await;
        let who = (expected.tenant, expected.generation);
        let enforced = match (sent, told) {
            (Ok(()), Ok(Ok(enforced))) => enforced,
            (Ok(()), Err(_late)) => return Some((who, SILENT.to_owned())),
            // full, going, or gone: it ends or answers by itself
            _ => return None,
        };
        let reason = deviation(&expected.expected, expected.committed.as_deref(), &enforced, now_unix_s)?;
        Some((who, reason))
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
