//! Service levels of whole tenants: a budget that is used up freezes releases, over panics and restarts; two people override
//! it; latency counts from the arrival on.
use super::fixtures::*;
use super::messages::{Event, SteerRollout, Wishes};
use crate::entry::Entry;
use crate::slo::budget::Status;
use crate::slo::messages::{OverrideFreeze, ReadService, ServiceView};
use crate::slo::rules::OverrideWish;
use crate::turn::ReplyLine;
use bailiwick_kernel::clock::Clock;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::rollout::Event as RolloutEvent;
use std::sync::Arc;

const HOUR_MS: u64 = 3_600_000;

async fn service(tenant: &Tenant) -> ServiceView {
    tenant.told(|reply| ReadService { reply }).await.unwrap()
}

/// Fails now and then for so many hours. The objective is 99 %: 7.2 hours of 30 days.
async fn fail(tenant: &Tenant, hours: u64) {
    for _ in 0..hours {
        assert_eq!(tenant.ask(&format!("{NOT_ANSWERED} codeword")).await.unwrap_err().code, Code::UpstreamFailed);
        tenant.clock.advance(HOUR_MS);
    }
    assert_eq!(tenant.ask(&format!("{NOT_ANSWERED} codeword")).await.unwrap_err().code, Code::UpstreamFailed);
}

async fn taught(stage: &Stage, change: impl FnOnce(&mut FileTexts)) -> Tenant {
    stage.start(1, &policy("default", change)).with_documents(vec![document("d", "The codeword is heron.")]).await
}

fn person(user: &str) -> Principal {
    let (key_id, user_id) = (format!("key of {user}"), Some(user.to_owned()));
    Principal { key_id, user_id, role: Some(Role::Owner), attributes: Default::default() }
}

fn newer(texts: &mut FileTexts) {
    metered(texts);
    edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", "policy_semver: 2.0.0");
    edit(texts, "policies/governance.yaml", "require_citations: true", "require_citations: false");
}

#[actix_rt::test]
async fn a_used_up_budget_freezes_releases_until_two_people_say_otherwise() {
    let stage = Stage::new();
    let tenant = taught(&stage, metered).await;
    let view = service(&tenant).await;
    assert_eq!(
        (view.error_budget.good, view.error_budget.status),
        (1, Some(Status::Healthy)),
        "what it was taught is found"
    );
    let before = policy("default", metered);
    tenant.adopt(&Arc::new(policy("default", newer).in_stages(&before))).await.unwrap();
    fail(&tenant, 6).await;
    assert!(!service(&tenant).await.releases.frozen);
    fail(&tenant, 2).await;
    let view = service(&tenant).await;
    assert_eq!((view.error_budget.status, view.releases.frozen), (Some(Status::Exhausted), true), "{view:?}");
    stage.has_heard("it is told", 1, |event| matches!(event, Event::ReleasesStand(Some(_)))).await;
    stage
        .has_heard("the burn as well", 1, |event| matches!(event, Event::Alarmed(alarmed) if alarmed.change.is_raised))
        .await;
    let steer = async |event| {
        let steered = tenant.told(|reply| SteerRollout { event, by: "k".into(), reply }).await;
        steered.map(|_| ()).map_err(|rejection| rejection.code)
    };
    assert_eq!(steer(RolloutEvent::Promote).await, Err(Code::ReleasesFrozen));
    eventually("it is written down", async || {
        tenant.entries().iter().any(|entry| matches!(entry, Entry::ReleasesFrozen(_)))
    })
    .await;
    // rooms that are rebuilt know it, and so does the next process
    assert!(tenant.provoke("routing").await);
    eventually("the rooms are rebuilt", async || tenant.figures().await.is_ok()).await;
    assert!(service(&tenant).await.releases.frozen);
    let say = async |user: &str| {
        let wish = OverrideWish { for_ms: HOUR_MS, reason: "the fix".into() };
        let said = tenant.told(|reply| OverrideFreeze { wish, by: person(user), reply }).await;
        said.map(|releases| releases.frozen).map_err(|rejection| rejection.code)
    };
    assert_eq!((say("dana").await, say("dana").await, say("eve").await), (Ok(true), Err(Code::Forbidden), Ok(false)));
    assert!(!service(&tenant).await.releases.frozen);
    tenant.clock.advance(HOUR_MS);
    assert!(service(&tenant).await.releases.frozen, "an override ends by itself");
    // nothing keeps a release from going back
    assert_eq!(steer(RolloutEvent::Withdraw).await, Ok(()));
    let counted = tenant.entries().iter().filter(|entry| matches!(entry, Entry::TurnsCounted(_))).count();
    assert!(counted <= 12, "{counted} records of counts, one a minute with events");
    tenant.close().await;
    let again = stage.start(1, &policy("default", newer));
    // past the override, which stands in the journal as well
    again.clock.advance(24 * HOUR_MS);
    let view = service(&again).await;
    assert_eq!((view.error_budget.bad, view.releases.frozen), (10, true), "{view:?}");
}

#[actix_rt::test]
async fn latency_counts_from_the_arrival_on() {
    let stage = Stage::new();
    let tenant = taught(&stage, metered).await;
    stage.meter.release(40);
    for waited_ms in [0, 5_000] {
        for _ in 0..20 {
            let arrived_unix_ms = Some(tenant.clock.now_unix_ms() - waited_ms);
            let wishes = Wishes { arrived_unix_ms, ..Wishes::default() };
            tenant.knock_with(principal(), wishes, chat("words"), ReplyLine::whole()).reply().await.unwrap();
        }
    }
    let view = service(&tenant).await;
    let hour = view.windows.iter().find(|window| window.window == "1h").unwrap();
    assert_eq!(hour.count, 40);
    assert!(hour.p50_ms < 10.0 && (4_950.0..=5_050.0).contains(&hour.p95_ms), "{hour:?}");
    assert_eq!((view.error_budget.good, view.error_budget.bad, view.alarms.len()), (41, 0, 0));
    assert_eq!(view.error_budget.status, Some(Status::Healthy));
}
