//! Experimental flags of whole tenants: off when the tenant's own service level is breached for long enough, on again
//! when it has been kept for longer, and nobody else's.
use super::fixtures::*;
use super::messages::{AdmitAside, Event, FlagsInForce, ReadFlags, Wishes};
use crate::service_level::rules::{BREACHED_WINDOWS, JUDGED_MIN, KEPT_WINDOWS, WINDOW_MS};
use crate::turn::ReplyLine;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Principal;
use bailiwick_policy::flags::{Context, OffBy, evaluate};
use bailiwick_policy::parse::FileTexts;

const OBJECTIVE_MS: u64 = 3_100;

/// A metered tenant with one experimental flag and one that is none.
fn experimenting(texts: &mut FileTexts) {
    metered(texts);
    edit(texts, "features.yaml", "enabled: false\n    experimental: true", "enabled: true\n    experimental: true");
}

/// What has switched a flag off.
async fn off_by(tenant: &Tenant, flag: &str) -> Option<OffBy> {
    let FlagsInForce { policy, level, .. } = tenant.told(|reply| ReadFlags { reply }).await.unwrap();
    let said = evaluate(&policy.features, level.state, flag, &Context::default()).unwrap();
    assert_eq!(said.value, &serde_json::json!(said.off_by.is_none()));
    said.off_by
}

/// A window of as few answers as can be judged, all as slow as that.
async fn window(stage: &Stage, tenant: &Tenant, latency_ms: u64) {
    let before = stage.meter.calls();
    let asked: Vec<_> = (0..JUDGED_MIN).map(|_| tenant.knock(chat("words"))).collect();
    in_time("all are called", stage.meter.called(before + JUDGED_MIN)).await;
    tenant.clock.advance(latency_ms);
    stage.meter.release(asked.len());
    for awaiting in asked {
        awaiting.reply().await.unwrap();
    }
    tenant.clock.advance(WINDOW_MS);
}

#[actix_rt::test]
async fn experimental_flags_follow_the_service_level_of_their_own_tenant() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", experimenting));
    let neighbour = stage.start(2, &policy("default", experimenting));
    for number in 0..BREACHED_WINDOWS {
        assert_eq!(off_by(&tenant, "hybrid_retrieval").await, None, "after {number} slow windows");
        window(&stage, &tenant, OBJECTIVE_MS + 1).await;
    }
    // a window is judged by the first turn after it, which begins the first one of those that keep the level
    window(&stage, &tenant, OBJECTIVE_MS).await;
    assert_eq!(off_by(&tenant, "hybrid_retrieval").await, Some(OffBy::ServiceLevel));
    assert_eq!(off_by(&tenant, "streaming").await, None, "what is no experiment stays on");
    assert_eq!(off_by(&neighbour, "hybrid_retrieval").await, None, "the neighbour's level is its own");
    stage.has_heard("the change is told", 1, |event| *event == Event::LevelChanged { breached: true }).await;

    // a policy that changes nothing of the objectives, and rooms that are rebuilt, forget nothing
    let newer = |texts: &mut FileTexts| {
        experimenting(texts);
        edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", "policy_semver: 1.0.1");
    };
    tenant.adopt(&policy("default", newer)).await.unwrap();
    assert!(tenant.provoke("routing").await);
    eventually("the rooms are rebuilt", async || tenant.figures().await.is_ok()).await;
    assert_eq!(off_by(&tenant, "hybrid_retrieval").await, Some(OffBy::ServiceLevel));

    for number in 1..KEPT_WINDOWS {
        window(&stage, &tenant, OBJECTIVE_MS).await;
        assert_eq!(off_by(&tenant, "hybrid_retrieval").await, Some(OffBy::ServiceLevel), "after {number} good windows");
    }
    window(&stage, &tenant, OBJECTIVE_MS).await;
    assert_eq!(off_by(&tenant, "hybrid_retrieval").await, None);
    stage.has_heard("the change is told", 1, |event| *event == Event::LevelChanged { breached: false }).await;
}

/// Windows of questions that end in such a refusal.
async fn refused(tenant: &Tenant, text: &str, code: Code) {
    for _ in 0..=BREACHED_WINDOWS {
        for _ in 0..JUDGED_MIN {
            assert_eq!(tenant.ask(text).await.unwrap_err().code, code);
        }
        tenant.clock.advance(WINDOW_MS);
    }
}

#[actix_rt::test]
async fn failures_count_and_refusals_and_mistakes_do_not() {
    let stage = Stage::new();
    let taught = async |number, policy| {
        stage.start(number, &policy).with_documents(vec![document("d", "The codeword is heron.")]).await
    };
    let failing = taught(1, policy("default", experimenting)).await;
    refused(&failing, &format!("{NOT_ANSWERED} codeword"), Code::UpstreamFailed).await;
    assert_eq!(off_by(&failing, "hybrid_retrieval").await, Some(OffBy::ServiceLevel));

    let mistaken = taught(2, policy("default", experimenting)).await;
    refused(&mistaken, " ", Code::InvalidRequest).await;
    assert_eq!(off_by(&mistaken, "hybrid_retrieval").await, None, "an asker's mistakes are not the service's");

    let limited = |texts: &mut FileTexts| {
        experimenting(texts);
        edit(
            texts,
            "tenant.yaml",
            "max_storage_gb: 10",
            "max_storage_gb: 10\n  limits: [{level: key, name: other, max_requests_per_hour: 1}]",
        );
    };
    let limited = stage.start(3, &policy("default", limited));
    stage.meter.release(JUDGED_MIN as usize);
    let other = || Principal { key_id: "other".into(), user_id: None, role: None, attributes: Default::default() };
    for _ in 0..=BREACHED_WINDOWS {
        for _ in 0..JUDGED_MIN {
            let _answer_or_refusal =
                limited.knock_as(other(), None, question("why?"), ReplyLine::whole()).reply().await;
        }
        limited.clock.advance(WINDOW_MS);
    }
    assert!(stage.heard(|event| matches!(event, Event::Refused { code: Code::RateLimited, .. })) > 60);
    assert_eq!(off_by(&limited, "hybrid_retrieval").await, None, "a limit that is kept is no failure");
}

#[actix_rt::test]
async fn calls_of_the_tenants_own_rooms_say_nothing_of_how_anybody_is_served() {
    let stage = Stage::new();
    let documents = vec![document("d", "The codeword is heron.")];
    let tenant = stage.start(1, &policy("default", experimenting)).with_documents(documents).await;
    for _ in 0..=BREACHED_WINDOWS {
        for _ in 0..JUDGED_MIN {
            let (line, awaiting) = ReplyLine::whole();
            let matter = question(&format!("{NOT_ANSWERED} codeword"));
            let (principal, wishes) = (principal(), Wishes::default());
            let aside = AdmitAside { matter, principal, wishes, deadline_ms: 1_000, line };
            tenant.address.send(aside).await.unwrap();
            assert_eq!(awaiting.reply().await.unwrap_err().code, Code::UpstreamFailed);
        }
        tenant.clock.advance(WINDOW_MS);
    }
    assert_eq!(off_by(&tenant, "hybrid_retrieval").await, None, "a judge that is down burns no error budget");
}
