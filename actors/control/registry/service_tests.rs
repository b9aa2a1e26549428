//! A release freeze at the registry: what it keeps from coming into force, what it does not, and over a restart.
use super::bench::Bench;
use super::rollout_tests::TENANT;
use crate::slo::messages::{ServiceChange, ServiceChanged};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Role;
use bailiwick_policy::compile::{FEATURES, GOVERNANCE, RETRIEVAL};
use bailiwick_tenant::slo::rules::Frozen;

const SINCE: u64 = 1_760_000_000_000;
const CITES: &str = "require_citations: true";

fn version(of: &str) -> String {
    format!("policy_semver: {of}")
}

impl Bench {
    /// The tenant tells how its releases stand, and what follows has followed.
    async fn releases_stand(&self, frozen: Option<Frozen>) {
        let tenant = super::fixtures::key_of(self, TENANT).await;
        let change = ServiceChange::ReleasesStand(frozen);
        self.registry.send(ServiceChanged { tenant, change }).await.unwrap();
        self.look().await;
    }

    async fn opened(&self) {
        let (_, claim) = self.key(TENANT, Role::Auditor).await;
        self.door.audit(claim).await.unwrap();
    }

    /// What a commit on demand says.
    async fn committed(&self) -> Result<String, Code> {
        let (_, claim) = self.key(TENANT, Role::Owner).await;
        let committed = self.door.govern(claim).await.unwrap().commit_folder().await;
        committed.map(|view| view.policy_version).map_err(|rejection| rejection.code)
    }
}

const FROZEN: Frozen = Frozen { since_unix_ms: SINCE, overridden_until_unix_ms: None };

/// A tenant at version 2.0.0, which cites no more, after 1.0.0, which did; nothing in stages.
async fn second_release() -> Bench {
    let bench = Bench::start().await;
    bench.create(TENANT).await;
    bench.opened().await;
    bench.edit(GOVERNANCE, &version("1.0.0"), &format!("{} # two", version("2.0.0"))).await;
    assert_eq!(bench.stands().await.0, "2.0.0");
    bench.edit(GOVERNANCE, CITES, "require_citations: false").await;
    bench.edit(GOVERNANCE, &version("2.0.0"), &version("2.1.0")).await;
    assert_eq!(bench.stands().await.0, "2.1.0");
    bench
}

#[actix::test]
async fn nothing_new_comes_into_force_while_frozen_also_after_a_restart_and_it_does_when_thawed() {
    let bench = second_release().await;
    bench.releases_stand(Some(FROZEN)).await;
    bench.edit(GOVERNANCE, "require_citations: false", "require_citations: false\n  max_answer_chars: 4000").await;
    bench.edit(GOVERNANCE, &version("2.1.0"), &version("3.0.0")).await;
    let (serving, _, reason) = bench.stands().await;
    assert_eq!(serving, "2.1.0");
    assert!(reason.as_deref().unwrap_or_default().contains("frozen"), "{reason:?}");
    assert_eq!(bench.committed().await, Err(Code::ReleasesFrozen));
    let again = bench.restart().await;
    again.look().await;
    again.opened().await;
    assert_eq!(again.stands().await.0, "2.1.0", "nobody but the control journal has said so");
    assert_eq!(again.committed().await, Err(Code::ReleasesFrozen));
    again.releases_stand(None).await;
    again.look().await;
    assert_eq!(again.stands().await.0, "3.0.0", "what waited comes into force by itself");
}

#[actix::test]
async fn a_rollback_a_stop_and_what_is_no_release_pass() {
    let bench = second_release().await;
    bench.releases_stand(Some(FROZEN)).await;
    // the guard is no part of a release
    bench.edit(RETRIEVAL, "min_trust_score: ", "min_trust_score: 0").await;
    bench.edit(RETRIEVAL, &version("1.0.0"), &version("1.0.1")).await;
    let (_, _, reason) = bench.stands().await;
    assert_eq!(reason, None, "{reason:?}");
    // back to what was there before, under a newer version
    bench.edit(GOVERNANCE, "require_citations: false", CITES).await;
    bench.edit(GOVERNANCE, &version("2.1.0"), &version("2.2.0")).await;
    let (serving, _, reason) = bench.stands().await;
    assert_eq!((serving.as_str(), reason), ("2.2.0", None));
    let _ = FEATURES;
}

#[actix::test]
async fn two_peoples_word_lets_it_through_and_ends() {
    let bench = second_release().await;
    bench.releases_stand(Some(FROZEN)).await;
    bench.edit(GOVERNANCE, "require_citations: false", "require_citations: false\n  max_answer_chars: 4000").await;
    bench.edit(GOVERNANCE, &version("2.1.0"), &version("3.0.0")).await;
    assert_eq!(bench.committed().await, Err(Code::ReleasesFrozen));
    let until = super::fixtures::NOW + 60_000;
    bench.releases_stand(Some(Frozen { overridden_until_unix_ms: Some(until), ..FROZEN })).await;
    bench.look().await;
    assert_eq!(bench.stands().await.0, "3.0.0");
    bench.clock.advance(60_000);
    bench.edit(GOVERNANCE, "max_answer_chars: 4000", "max_answer_chars: 3000").await;
    bench.edit(GOVERNANCE, &version("3.0.0"), &version("4.0.0")).await;
    assert_eq!((bench.stands().await.0.as_str(), bench.committed().await), ("3.0.0", Err(Code::ReleasesFrozen)));
}
