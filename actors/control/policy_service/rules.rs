//! Which policy may come into force after which, and whether it does so for everybody at once.
use super::messages::{Candidate, Passed};
use crate::registry::entry::Entry;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::commit::Standing;
use bailiwick_policy::compile::PolicySnapshot;
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

/// Brings a candidate into force beside the release that came through, as far as that one still serves somebody.
///
/// A release goes in stages where the release before asks for it and people would notice a difference. One that was sent
/// back reaches nobody, and one on its way goes on, whatever else of the tenant's files has changed.
#[must_use]
pub fn pass(
    candidate: &Candidate,
    mut entries: Vec<Entry>,
    former: Option<Arc<PolicySnapshot>>,
    now_unix_ms: u64,
) -> Passed {
    let Candidate { policy, releases, .. } = candidate;
    let is_new = releases.newest() != Some(policy.release.as_str());
    let is_staged = former
        .as_ref()
        .is_some_and(|former| !is_new || (former.governance.rollout.is_some() && !policy.is_released_like(former)));
    if is_new {
        entries.push(Entry::ReleaseCommitted {
            id: policy.tenant.id,
            release: policy.release.clone(),
            version: policy.version.clone(),
            is_staged,
            at_unix_ms: now_unix_ms,
        });
    }
    let policy = match former.filter(|_| is_staged) {
        Some(former) => Arc::new(policy.in_stages(&former)),
        None => Arc::clone(policy),
    };
    Passed { policy, entries, is_new }
}
