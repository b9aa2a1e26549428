//! The shell of the policy service: examines off the reactor, pushes, waits for the acknowledgement, reports.
use super::history::History;
use super::messages::{Candidate, Commit, Examine, ForgetReleases, Passed, ReadRelease};
use super::rules;
use crate::policy_watchdog::messages::{Expect, Heard};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_tenant::supervisor::messages::AdoptPolicy;
use std::time::Duration;
use tokio::time::timeout;

/// The room.
pub struct PolicyService {
    expect: Recipient<Expect>,
    heard: Recipient<Heard>,
    history: History,
    clock: SharedClock,
    pushes: u64,
}

impl PolicyService {
    /// A service with nothing under way.
    #[must_use]
    pub fn new(expect: Recipient<Expect>, heard: Recipient<Heard>, history: History, clock: SharedClock) -> Self {
        Self { expect, heard, history, clock, pushes: 0 }
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

/// Examines one candidate and keeps the texts of its release. Blocking.
fn examine(history: &History, candidate: &Candidate, now_unix_ms: u64) -> Outcome<Passed> {
    let Candidate { policy, texts, releases, in_force, .. } = candidate;
    let entries = rules::entries(candidate, now_unix_ms)?;
    let tenant = &policy.tenant;
    let former = match rules::former(candidate) {
        None => None,
        Some(release) => match in_force.as_ref().map(PolicySnapshot::settled) {
            Some(settled) if settled.release == release => Some(settled),
            _ => Some(history.snapshot(tenant.id, &tenant.name, release)?),
        },
    };
    let passed = rules::pass(candidate, entries, former, now_unix_ms);
    if passed.is_new {
        history.keep(tenant.id, &policy.release, texts)?;
        if let Some(outgoing) = releases.outgoing() {
            history.forget(tenant.id, &outgoing.release)?;
        }
    }
    Ok(passed)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static, reply: ReplySlot<T>) {
    reply.answer(tokio::task::spawn_blocking(work).await.unwrap_or_else(|_panicked| Err(Rejection::lost())));
}

impl Handler<Examine> for PolicyService {
    type Result = ();

    fn handle(&mut self, Examine { candidates, reply }: Examine, _: &mut Self::Context) {
        let (history, now_unix_ms) = (self.history.clone(), self.clock.now_unix_ms());
        let verdicts =
            move || Ok(candidates.iter().map(|candidate| examine(&history, candidate, now_unix_ms)).collect());
        actix::spawn(blocking(verdicts, reply));
    }
}

impl Handler<ReadRelease> for PolicyService {
    type Result = ();

    fn handle(&mut self, ReadRelease { tenant, release, reply }: ReadRelease, _: &mut Self::Context) {
        let history = self.history.clone();
        actix::spawn(blocking(move || history.texts(tenant, &release), reply));
    }
}

impl Handler<ForgetReleases> for PolicyService {
    type Result = ();

    fn handle(&mut self, ForgetReleases { tenant, releases, reply }: ForgetReleases, _: &mut Self::Context) {
        let history = self.history.clone();
        let forgetting = move || releases.iter().try_for_each(|release| history.forget(tenant, release));
        actix::spawn(blocking(forgetting, reply));
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
        match commit.to.take() {
            None => commit.reply.answer(Ok(commit.policy.version.clone())),
            Some(to) => self.push(commit, &to, ctx),
        }
    }
}
