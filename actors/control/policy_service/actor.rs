//! The shell of the policy service: examines off the reactor, pushes, waits for the acknowledgement, reports.
use super::history::History;
use super::messages::{Candidate, Commit, Examine, ForgetReleases, Passed, ReadRelease};
use super::rules;
use crate::policy_watchdog::messages::{Expect, Heard};
use crate::registry::entry::RehearsalFigures;
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_tenant::supervisor::messages::{AdoptPolicy, Rehearse};
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a tenant may take to rehearse a policy.
const REHEARSE_MS: u64 = 20_000;
/// Candidates of one batch examined at the same time.
const EXAMINED_AT_ONCE: usize = 4;

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

/// Examines one candidate: may it follow, what would it have made of what was asked before, and are its texts kept.
async fn examine(history: History, candidate: Candidate, now_unix_ms: u64) -> Outcome<Passed> {
    let (known, weighed) = (history.clone(), candidate.clone());
    let (entries, former) = blocking(move || {
        let entries = rules::entries(&weighed, now_unix_ms)?;
        Ok((entries, former(&known, &weighed)?))
    })
    .await?;
    let rehearsal = rehearse(&candidate).await?;
    blocking(move || {
        let is_free = candidate.is_frozen && may_be_released(&history, &candidate, former.as_deref())?;
        let passed = rules::pass(&candidate, entries, former, rehearsal, now_unix_ms);
        if candidate.is_frozen && !passed.is_free && !is_free {
            let instead = last_committed(&history, &candidate, now_unix_ms)?;
            return Ok(Passed { instead, ..passed });
        }
        let Candidate { policy, texts, releases, .. } = &candidate;
        if rules::is_new(&candidate) {
            history.keep(policy.tenant.id, &policy.release, texts)?;
            if let Some(outgoing) = releases.outgoing() {
                history.forget(policy.tenant.id, &outgoing.release)?;
            }
        }
        Ok(Passed { is_free: passed.is_free || is_free, ..passed })
    })
    .await
}

/// Whether a new release may come into force in spite of a freeze: it takes something back, as far as people notice. Blocking.
fn may_be_released(history: &History, candidate: &Candidate, former: Option<&PolicySnapshot>) -> Outcome<bool> {
    let Some(settled) = former else { return Ok(true) };
    if rules::is_harmless(candidate, settled) {
        return Ok(true);
    }
    let tenant = &candidate.policy.tenant;
    for release in rules::came_through(candidate) {
        // one that compiles no longer, or is kept no longer, is none to go back to
        let earlier = history.snapshot(tenant.id, &tenant.name, release);
        if earlier.is_ok_and(|earlier| candidate.policy.is_released_like(&earlier)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The last release that was committed, as it stood, where a new one may not come into force and nothing is: a tenant does not
/// stop serving because its folder holds what has to wait. Blocking.
fn last_committed(history: &History, candidate: &Candidate, now_unix_ms: u64) -> Outcome<Option<Arc<PolicySnapshot>>> {
    let (None, Some(newest)) = (&candidate.in_force, candidate.releases.newest()) else { return Ok(None) };
    let tenant = &candidate.policy.tenant;
    let policy = history.snapshot(tenant.id, &tenant.name, newest)?;
    let texts = Arc::new(history.texts(tenant.id, newest)?);
    let last = Candidate { policy, texts, ..candidate.clone() };
    // the journal has it: nothing is written for it, and what follows from its files is nothing new
    let entries = rules::entries(&last, now_unix_ms)?;
    let former = former(history, &last)?;
    Ok(Some(rules::pass(&last, entries, former, None, now_unix_ms).policy))
}

/// The release that came through, where it has to be known. Blocking.
fn former(history: &History, candidate: &Candidate) -> Outcome<Option<Arc<PolicySnapshot>>> {
    let Some(release) = rules::former(candidate) else { return Ok(None) };
    let tenant = &candidate.policy.tenant;
    match candidate.in_force.as_ref().map(PolicySnapshot::settled) {
        Some(settled) if settled.release == release => Ok(Some(settled)),
        _ => history.snapshot(tenant.id, &tenant.name, release).map(Some),
    }
}

/// Has the tenant rehearse a candidate, where that could show something.
async fn rehearse(candidate: &Candidate) -> Outcome<Option<RehearsalFigures>> {
    let Some((before, to)) = rules::rehearsed_against(candidate).zip(candidate.rehearse.as_ref()) else {
        return Ok(None);
    };
    let golden = candidate.golden.clone().map_err(|problem| Rejection::new(Code::PolicyDenied, problem))?;
    let (reply, awaited) = ReplySlot::pair();
    let policy = Arc::clone(&candidate.policy);
    offer(to, Rehearse { policy, golden: golden.to_vec(), reply })
        .map_err(|(_rehearse, undelivered)| Rejection::from(undelivered))?;
    let rehearsed = timeout(Duration::from_millis(REHEARSE_MS), awaited.outcome()).await;
    let rehearsal = rehearsed.unwrap_or_else(|_late| Err(too_slow()))?;
    rules::weigh(&rehearsal, &before).map(Some)
}

fn too_slow() -> Rejection {
    Rejection::new(
        Code::Overloaded,
        format!(
            "rehearsing the policy: it took longer than {REHEARSE_MS} ms; commit it again when the tenant is quieter"
        ),
    )
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
    bailiwick_kernel::residue::spawn_blocking(work).await.unwrap_or_else(|_panicked| Err(Rejection::lost()))
}

impl Handler<Examine> for PolicyService {
    type Result = ();

    fn handle(&mut self, Examine { candidates, reply }: Examine, _: &mut Self::Context) {
        let (history, now_unix_ms) = (self.history.clone(), self.clock.now_unix_ms());
        actix::spawn(async move {
            // side by side: one tenant's long rehearsal is not added to another's
            let examined = candidates.into_iter().map(|candidate| examine(history.clone(), candidate, now_unix_ms));
            reply.answer(Ok(stream::iter(examined).buffered(EXAMINED_AT_ONCE).collect().await));
        });
    }
}

impl Handler<ReadRelease> for PolicyService {
    type Result = ();

    fn handle(&mut self, ReadRelease { tenant, release, reply }: ReadRelease, _: &mut Self::Context) {
        let history = self.history.clone();
        actix::spawn(async move { reply.answer(blocking(move || history.texts(tenant, &release)).await) });
    }
}

impl Handler<ForgetReleases> for PolicyService {
    type Result = ();

    fn handle(&mut self, ForgetReleases { tenant, releases, reply }: ForgetReleases, _: &mut Self::Context) {
        let history = self.history.clone();
        let forgetting = move || releases.iter().try_for_each(|release| history.forget(tenant, release));
        actix::spawn(async move { reply.answer(blocking(forgetting).await) });
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
