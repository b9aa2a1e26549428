//! Which policy may follow which.
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use std::cmp::Ordering;

/// Passes a policy whose version is the one in force or newer. The same version with other contents passes, because
/// files beside `governance.yaml` change without it; an older version does not: an old folder that is copied back
/// must not undo what was decided since. Going back is a decision of its own, with a version of its own.
///
/// # Errors
/// `conflict`, naming both versions.
pub fn may_follow(in_force: &PolicySnapshot, next: &PolicySnapshot) -> Outcome<()> {
    if in_force.digest == next.digest || compare(&next.version, &in_force.version) != Ordering::Less {
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

/// Compares two versions by their three numbers (semantic versioning, precedence of the core); what follows the core
/// is compared as text, with a bare core above a pre-release.
fn compare(one: &str, other: &str) -> Ordering {
    let (one_core, one_rest) = parts(one);
    let (other_core, other_rest) = parts(other);
    one_core.cmp(&other_core).then_with(|| match (one_rest.is_empty(), other_rest.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => one_rest.cmp(other_rest),
    })
}

fn parts(version: &str) -> (Vec<u64>, &str) {
    let bare = version.split_once('+').map_or(version, |(bare, _build)| bare);
    let (core, rest) = bare.split_once('-').unwrap_or((bare, ""));
    (core.split('.').map(|number| number.parse().unwrap_or(0)).collect(), rest)
}
