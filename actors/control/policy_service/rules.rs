//! Which policy may follow which.
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::commit::is_newer;
use bailiwick_policy::compile::PolicySnapshot;

/// Passes a policy whose version is the one in force or newer. The same version with other contents passes, because
/// files beside `governance.yaml` change without it; an older version does not: an old folder that is copied back
/// must not undo what was decided since. Going back is a decision of its own, with a version of its own.
///
/// # Errors
/// `conflict`, naming both versions.
pub fn may_follow(in_force: &PolicySnapshot, next: &PolicySnapshot) -> Outcome<()> {
    let is_older = is_newer(&in_force.version, &next.version);
    if in_force.digest == next.digest || !is_older {
        return Ok(());
    }
    Err(Rejection::new(
        Code::Conflict,
        format!(
            "policies/governance.yaml: policy_semver {} is older than {}, which is in force; raise it above that",
            next.version, in_force.version
        ),
    ))
}
