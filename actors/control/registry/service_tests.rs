//! A release freeze at the registry: what it keeps from coming into force, what it does not, and over a restart.
use super::bench::Bench;
use super::messages::ReadEnforcing;
use super::rollout_tests::TENANT;
use crate::slo::messages::{ServiceChange, ServiceChanged};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Role;
use bailiwick_policy::compile::{GOVERNANCE, RETRIEVAL};
use bailiwick_tenant::slo::rules::Frozen;

const SINCE: u64 = 1_760_000_000_000;
const CITES: &str = "require_citations: true";

fn version(of: &str) -> String {
    format!("policy_semver: {of}")
}

impl Bench {
    /// The tenant tells how its releases stand, and what follows has followed.
    async fn releases_stand(&self, frozen: Option<Frozen>) {
        let (reply, awaited) = ReplySlot::pair();
        self.registry.send(ReadEnforcing { reply }).await.unwrap();
        let tenant = awaited.outcome().await.unwrap().pop().unwrap().tenant;
        let change = ServiceChange::ReleasesStand(frozen);
        self.registry.send(ServiceChanged { tenant, change }).await.unwrap();
    }

    /// Looks until the tenant serves this version; what comes into force by itself is waited for by nobody else.
    async fn serves(&self, version: &str) {
        for _ in 0..10_000 {
            if self.fleet().await.get(TENANT.into()).await.unwrap().policy_version == version {
                return;
            }
        }
        panic!("{:?}", self.stands().await)
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
    bench.edit(GOVERNANCE, "allowed_models: []", "allowed_models: [some/model]").await;
    bench.edit(GOVERNANCE, &version("2.1.0"), &version("3.0.0")).await;
    let (serving, _, reason) = bench.stands().await;
    assert_eq!(serving, "2.1.0");
    assert!(reason.as_deref().unwrap_or_default().contains("frozen"), "{reason:?}");
    assert_eq!(bench.committed().await, Err(Code::ReleasesFrozen));
    let again = bench.restart().await;
    again.look().await;
    again.opened().await;
    let (serving, _, reason) = again.stands().await;
    assert_eq!(serving, "2.1.0", "served from the texts that are kept, as nobody but the control journal has said");
    assert!(reason.as_deref().unwrap_or_default().contains("frozen"), "{reason:?}");
    assert_eq!(again.committed().await, Err(Code::ReleasesFrozen));
    again.releases_stand(None).await;
    // what waited comes into force by itself
    again.serves("3.0.0").await;
}

#[actix::test]
async fn a_rollback_a_stop_and_what_is_no_release_pass() {
    let bench = second_release().await;
    bench.releases_stand(Some(FROZEN)).await;
    // the guard is no part of a release
    bench.edit(RETRIEVAL, "min_trust_score: 0.3", "min_trust_score: 0.4").await;
    bench.edit(RETRIEVAL, &version("1.0.0"), &version("1.0.1")).await;
    let (_, _, reason) = bench.stands().await;
    assert_eq!(reason, None, "{reason:?}");
    // back to what was there before, under a newer version
    bench.edit(GOVERNANCE, "require_citations: false", CITES).await;
    bench.edit(GOVERNANCE, &version("2.1.0"), &version("2.2.0")).await;
    let (serving, _, reason) = bench.stands().await;
    assert_eq!((serving.as_str(), reason), ("2.2.0", None));
    // less is permitted, and nothing else has changed
    bench.edit(GOVERNANCE, "complete, embed, ingest", "complete, ingest").await;
    bench.edit(GOVERNANCE, &version("2.2.0"), &version("2.3.0")).await;
    let (serving, _, reason) = bench.stands().await;
    assert_eq!((serving.as_str(), reason), ("2.3.0", None));
    // and more is not
    bench.edit(GOVERNANCE, "complete, ingest", "complete, embed, ingest").await;
    bench.edit(GOVERNANCE, CITES, "require_citations: false\n  # twice").await;
    bench.edit(GOVERNANCE, &version("2.3.0"), &version("2.4.0")).await;
    assert_eq!(bench.stands().await.0, "2.4.0", "that is 2.1.0 again");
    bench.edit(GOVERNANCE, "allowed_models: []", "allowed_models: [some/model]").await;
    bench.edit(GOVERNANCE, &version("2.4.0"), &version("2.5.0")).await;
    assert_eq!(bench.stands().await.0, "2.4.0");
}

#[actix::test]
async fn two_peoples_word_lets_it_through_and_ends() {
    let bench = second_release().await;
    bench.releases_stand(Some(FROZEN)).await;
    bench.edit(GOVERNANCE, "allowed_models: []", "allowed_models: [some/model]").await;
    bench.edit(GOVERNANCE, &version("2.1.0"), &version("3.0.0")).await;
    assert_eq!(bench.committed().await, Err(Code::ReleasesFrozen));
    let until = super::fixtures::NOW + 60_000;
    bench.releases_stand(Some(Frozen { overridden_until_unix_ms: Some(until), ..FROZEN })).await;
    bench.serves("3.0.0").await;
    bench.clock.advance(60_000);
    bench.edit(GOVERNANCE, "allowed_models: [some/model]", "allowed_models: [another/model]").await;
    bench.edit(GOVERNANCE, &version("3.0.0"), &version("4.0.0")).await;
    assert_eq!((bench.stands().await.0.as_str(), bench.committed().await), ("3.0.0", Err(Code::ReleasesFrozen)));
}
