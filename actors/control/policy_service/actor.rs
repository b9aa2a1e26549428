//! The shell of the policy service: pushes, waits for the acknowledgement, reports.
use super::messages::Commit;
use super::rules::may_follow;
use crate::policy_watchdog::messages::{Expect, Heard};
use actix::prelude::*;
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_tenant::supervisor::messages::AdoptPolicy;
use std::time::Duration;
use tokio::time::timeout;

/// The room.
pub struct PolicyService {
    expect: Recipient<Expect>,
    heard: Recipient<Heard>,
    pushes: u64,
}

impl PolicyService {
    /// A service with nothing under way.
    #[must_use]
    pub fn new(expect: Recipient<Expect>, heard: Recipient<Heard>) -> Self {
        Self { expect, heard, pushes: 0 }
    }

    /// Tells the watchdog, then pushes. Without the watchdog nothing is pushed: nobody would see a silent tenant.
    fn push(&mut self, commit: Commit, to: &Recipient<AdoptPolicy>, ctx: &mut Context<Self>) {
        self.pushes = self.pushes.saturating_add(1);
        let push = self.pushes;
        let (tenant, generation, version) = (commit.tenant, commit.generation, commit.policy.version.clone());
        if let Err((_expect, undelivered)) = offer(&self.expect, Expect { push, tenant, generation, version }) {
            commit.reply.answer(Err(undelivered.into()));
            return;
        }
        let (slot, awaited) = ReplySlot::pair();
        let delivered = offer(to, AdoptPolicy { policy: commit.policy, reply: slot });
        let (heard, reply) = (self.heard.clone(), commit.reply);
        let outcome = async move {
            if let Err((_adopt, undelivered)) = delivered {
                return Some(Err(Rejection::from(undelivered)));
            }
            timeout(Duration::from_millis(ACKNOWLEDGE_MS), awaited.outcome()).await.ok()
        };
        let report = async move {
            match outcome.await {
                Some(outcome) => {
                    let _closed = heard.send(Heard { push }).await;
                    reply.answer(outcome);
                }
                // the watchdog has its own timer and closes the tenant
                None => reply.answer(silent()),
            }
        };
        ctx.spawn(report.into_actor(self));
    }
}

fn silent() -> Outcome<String> {
    Err(Rejection::new(
        Code::Internal,
        format!(
            "committing a policy: the tenant did not acknowledge it within {ACKNOWLEDGE_MS} ms and is being closed; resume it once the cause is found"
        ),
    ))
}

impl Actor for PolicyService {
    type Context = Context<Self>;
}

impl Handler<Commit> for PolicyService {
    type Result = ();

    fn handle(&mut self, mut commit: Commit, ctx: &mut Self::Context) {
        if let Err(rejection) = may_follow(&commit.in_force, &commit.policy) {
            commit.reply.answer(Err(rejection));
            return;
        }
        match commit.to.take() {
            None => commit.reply.answer(Ok(commit.policy.version.clone())),
            Some(to) => self.push(commit, &to, ctx),
        }
    }
}
