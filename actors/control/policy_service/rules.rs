//! Which policy may come into force after which, and whether it does so for everybody at once.
use super::messages::{Candidate, Passed};
use crate::registry::entry::{Entry, RehearsalFigures};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::commit::Standing;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::rehearsal::{Rehearsal, is_needed};
use std::sync::Arc;

/// The entries by which a candidate comes into force; none where it is in force already.
///
/// # Errors
/// `policy_denied` with every reason on a line of its own, with file and place: unsigned, signed by too few, not newer.
pub fn entries(candidate: &Candidate, now_unix_ms: u64) -> Outcome<Vec<Entry>> {
    let Candidate { policy, committed, .. } = candidate;
    let now_unix_s = i64::try_from(now_unix_ms / 1_000).unwrap_or(i64::MAX);
    match policy.standing(committed.as_deref(), now_unix_s) {
        Ok(Standing::Unchanged) => Ok(Vec::new()),
        Ok(Standing::Follows { committed, signed_by }) => Ok(vec![Entry::PolicyCommitted {
            id: policy.tenant.id,
            version: policy.version.clone(),
            committed,
            signed_by,
            at_unix_ms: now_unix_ms,
        }]),
        Err(errors) => {
            let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
            Err(Rejection::new(Code::PolicyDenied, lines.join("\n")))
        }
    }
}

/// The name of the release that has to be known to bring a candidate into force: the one that came through, where the
/// candidate's is another one.
#[must_use]
pub fn former(candidate: &Candidate) -> Option<&str> {
    candidate.releases.settled().filter(|settled| *settled != candidate.policy.release)
}

/// True where the release of a candidate was not the last that was committed.
#[must_use]
pub fn is_new(candidate: &Candidate) -> bool {
    candidate.releases.newest() != Some(candidate.policy.release.as_str())
}

/// What a candidate is rehearsed against: the policy that serves, where the candidate is new and a rehearsal could show
/// something.
#[must_use]
pub fn rehearsed_against(candidate: &Candidate) -> Option<Arc<PolicySnapshot>> {
    let before = candidate.in_force.as_ref().map(PolicySnapshot::settled)?;
    (is_new(candidate) && is_needed(&before, &candidate.policy)).then_some(before)
}

/// Whether a rehearsed candidate may come into force, by what the policy that serves asks of a rehearsal.
///
/// # Errors
/// `policy_denied`, every objection on a line of its own.
pub fn weigh(rehearsal: &Rehearsal, before: &PolicySnapshot) -> Outcome<RehearsalFigures> {
    let objections = rehearsal.objections(&before.governance.sandbox.unwrap_or_default(), &before.evaluation);
    if objections.is_empty() {
        return Ok(rehearsal.into());
    }
    let lines: Vec<_> = objections.iter().map(|objection| format!("rehearsing the policy: {objection}")).collect();
    Err(Rejection::new(Code::PolicyDenied, lines.join("\n")))
}

/// Brings a candidate into force beside the release that came through, as far as that one still serves somebody.
///
/// A release goes in stages where the release before asks for it and people would notice a difference. One that was sent
/// back reaches nobody, and one on its way goes on, whatever else of the tenant's files has changed.
#[must_use]
pub fn pass(
    candidate: &Candidate,
    mut entries: Vec<Entry>,
    former: Option<Arc<PolicySnapshot>>,
    rehearsal: Option<RehearsalFigures>,
    now_unix_ms: u64,
) -> Passed {
    let Candidate { policy, .. } = candidate;
    let is_new = is_new(candidate);
    let is_staged = former
        .as_ref()
        .is_some_and(|former| !is_new || (former.governance.rollout.is_some() && !policy.is_released_like(former)));
    if is_new {
        entries.push(Entry::ReleaseCommitted {
            id: policy.tenant.id,
            release: policy.release.clone(),
            version: policy.version.clone(),
            is_staged,
            rehearsal,
            at_unix_ms: now_unix_ms,
        });
    }
    let policy = match former.filter(|_| is_staged) {
        Some(former) => Arc::new(policy.in_stages(&former)),
        None => Arc::clone(policy),
    };
    // whether another one may in spite of a freeze is for those to say who know the releases before
    Passed { policy, entries, is_free: !is_new, instead: None }
}

/// Whether a new release may come into force although releases are frozen, beside one that came through: people would notice
/// nothing of it, or nothing but refusals. Kill switches, users, quotas, ceilings, regions, the guard and legal holds are no
/// part of a release.
#[must_use]
pub fn is_harmless(candidate: &Candidate, settled: &PolicySnapshot) -> bool {
    candidate.policy.is_released_like(settled) || candidate.policy.only_refuses_more_than(settled)
}

/// The releases a candidate may go back to: those that came through once, newest first.
pub fn came_through(candidate: &Candidate) -> impl Iterator<Item = &str> {
    candidate.releases.came_through()
}
