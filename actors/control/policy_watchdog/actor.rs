//! The shell of the watchdog: one timer a push.
use super::messages::{Expect, Heard};
use super::rules::Outstanding;
use crate::registry::messages::Verdict;
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use std::time::Duration;

/// The room.
pub struct Watchdog {
    clock: SharedClock,
    registry: Recipient<Verdict>,
    outstanding: Outstanding,
}

impl Watchdog {
    /// A watchdog that expects nothing yet.
    #[must_use]
    pub fn new(clock: SharedClock, registry: Recipient<Verdict>) -> Self {
        Self { clock, registry, outstanding: Outstanding::default() }
    }

    fn look(&mut self, now_unix_ms: u64, ctx: &mut Context<Self>) {
        for verdict in self.outstanding.overdue(now_unix_ms) {
            // waits for room in the registry's mailbox: a verdict is never dropped
            ctx.spawn(self.registry.send(verdict).into_actor(self).map(|_sent, _act, _ctx| ()));
        }
    }
}

impl Actor for Watchdog {
    type Context = Context<Self>;
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
