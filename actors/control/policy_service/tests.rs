use super::rules::may_follow;
use crate::registry::fixtures::{ACME, policy_of, record};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::compile::PolicySnapshot;

fn version(version: &str, digest: &str) -> PolicySnapshot {
    let mut policy = (*policy_of(&record("acme", ACME))).clone();
    policy.version = version.into();
    policy.digest = digest.into();
    policy
}

#[test]
fn an_older_version_never_follows() {
    let table = [
        ("1.0.0", "1.0.0", true),
        ("1.0.0", "1.0.1", true),
        ("1.9.0", "1.10.0", true),
        ("1.10.0", "1.9.0", false),
        ("2.0.0", "1.99.99", false),
        ("1.0.0", "1.0.0-rc.1", false),
        ("1.0.0-rc.1", "1.0.0", true),
        ("1.0.0-rc.1", "1.0.0-rc.2", true),
        ("1.0.0-rc.9", "1.0.0-rc.10", true),
        ("1.0.0-rc.10", "1.0.0-rc.9", false),
        ("1.0.0", "1.0.0+build.7", true),
    ];
    for (in_force, next, may) in table {
        let outcome = may_follow(&version(in_force, "a"), &version(next, "b"));
        assert_eq!(outcome.is_ok(), may, "{in_force} then {next}");
        if let Err(rejection) = outcome {
            assert_eq!(rejection.code, Code::Conflict);
            assert!(rejection.detail.contains(in_force) && rejection.detail.contains(next));
        }
    }
    assert!(may_follow(&version("2.0.0", "a"), &version("1.0.0", "a")).is_ok(), "the same files");
}
