//! Limits of a whole tenant: exact waits, places that come back, adoption that forgets nothing.
use super::fixtures::*;
use crate::limits::sheet::Figure;
use crate::question::{Matter, Question, Reply, Search};
use crate::retrieval::messages::Ingested;
use bailiwick_kernel::outcome::{Code, Outcome};
use bailiwick_policy::parse::FileTexts;

/// Adds lines to the quotas of `tenants/default`.
fn quotas(lines: &'static str) -> impl Fn(&mut FileTexts) {
    move |texts| edit(texts, "tenant.yaml", "  max_storage_gb: 10\n", &format!("  max_storage_gb: 10\n{lines}"))
}

fn search() -> Matter {
    Matter::Search(Search { query: "codeword".into(), ..Search::default() })
}

async fn served(tenant: &Tenant) -> Outcome<Option<Figure>> {
    let awaiting = tenant.knock(search());
    let sheet = awaiting.rates();
    awaiting.reply().await?;
    Ok(sheet.read().requests)
}

#[actix_rt::test]
async fn a_wait_is_exact_and_adoption_of_the_same_limits_gives_nobody_a_request_more() {
    let stage = Stage::new();
    let three = quotas("  max_requests_per_minute: 3\n");
    let tenant = stage.start(1, &policy("default", &three));
    for remaining in [2, 1, 0] {
        let reset_ns = (3 - remaining) * 20_000_000_000;
        assert_eq!(served(&tenant).await, Ok(Some(Figure { limit: 3, remaining, reset_ns })));
    }
    let refused = served(&tenant).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_ms), (Code::RateLimited, Some(20_000)));

    let newer = |texts: &mut FileTexts| {
        three(texts);
        edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", "policy_semver: 1.0.1");
    };
    tenant.adopt(&policy("default", newer)).await.unwrap();
    assert_eq!(served(&tenant).await.unwrap_err(), refused, "what is used stays used");
    tenant.clock.advance(19_999);
    assert_eq!(served(&tenant).await.unwrap_err().retry_after_ms, Some(1));
    tenant.clock.advance(1);
    assert!(served(&tenant).await.is_ok());
    assert!(served(&tenant).await.is_err());

    tenant.adopt(&policy("default", quotas("  max_requests_per_minute: 4\n"))).await.unwrap();
    assert_eq!(served(&tenant).await.unwrap().unwrap().remaining, 0, "one more is allowed, and one more only");
    assert!(served(&tenant).await.is_err());
}

#[actix_rt::test]
async fn the_tightest_limit_is_told_and_levels_refuse_for_themselves() {
    let stage = Stage::new();
    let limits = "  limits:\n    - {level: domain, name: hr, max_requests_per_hour: 1}\n";
    let tenant = stage.start(1, &policy("default", quotas(limits)));
    let ask = async |domain: Option<&str>| {
        let domain = domain.map(str::to_owned);
        let awaiting = tenant.knock(Matter::Ask(Question { text: "why?".into(), domain, ..Question::default() }));
        let sheet = awaiting.rates();
        let refusal = awaiting.reply().await.err().map(|rejection| (rejection.code, rejection.retry_after_ms));
        (refusal, sheet.read().requests.map(|figure| (figure.limit, figure.remaining)))
    };
    assert_eq!(ask(None).await, (None, Some((100_000, 99_999))));
    assert_eq!(ask(Some("hr")).await, (None, Some((1, 0))));
    let hour = Some((Code::RateLimited, Some(3_600_000)));
    assert_eq!(ask(Some("hr")).await, (hour, Some((1, 0))));
    assert_eq!(ask(Some("legal")).await, (None, Some((100_000, 99_997))), "the refusal was counted nowhere");
}

/// Two requests of each key at a time, of a model that waits for its release.
fn two_at_a_time(texts: &mut FileTexts) {
    metered(texts);
    quotas("  limits:\n    - {level: key, name: \"*\", max_concurrent_requests: 2}\n")(texts);
}

#[actix_rt::test]
async fn places_come_back_with_the_answers() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", two_at_a_time));
    for round in 1..=2 {
        let in_flight = [tenant.knock(chat("one")), tenant.knock(chat("two"))];
        in_time("both are called", stage.meter.called(round * 2)).await;
        let third = tenant.knock(chat("three"));
        let sheet = third.rates();
        let refused = third.reply().await.unwrap_err();
        assert_eq!((refused.code, refused.retry_after_ms), (Code::RateLimited, Some(100)));
        let remaining = sheet.read().requests.map(|figure| figure.remaining);
        assert_eq!(remaining, Some(100_000 - 2 * round), "without a place it counts as no request");
        assert!(refused.detail.starts_with("2 requests of key \"key\" are in flight"), "{refused}");
        stage.meter.release(2);
        for awaiting in in_flight {
            assert!(matches!(awaiting.reply().await, Ok(Reply::Completion(_))));
        }
    }
}

#[actix_rt::test]
async fn places_come_back_from_a_room_that_dies() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", two_at_a_time));
    tenant.figures().await.unwrap();
    for restarts in 1..=3 {
        // both stand in the budget's mailbox before it runs: the holds wait for their escrow when the room panics
        let lost = [tenant.knock(chat("one")), tenant.knock(chat("two"))];
        assert!(tenant.provoke("budget").await);
        for awaiting in lost {
            let lost = in_time("the turn is lost", awaiting.reply()).await;
            assert_eq!(lost.unwrap_err().code, Code::Lost);
        }
        eventually("the rooms are rebuilt", async || {
            let view = tenant.view().await;
            view.restarts == restarts && view.state == "serving"
        })
        .await;
        let (one, two) = (tenant.knock(search()), tenant.knock(search()));
        assert!(one.reply().await.is_ok() && two.reply().await.is_ok(), "both places are free again");
    }
}

#[actix_rt::test]
async fn another_storage_quota_is_in_force_when_its_adoption_is_acknowledged() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", |_| {}));
    let take = async |id: &str| {
        let taken: Vec<Ingested> = tenant.ingest(vec![document(id, "ten bytes.")]).await.unwrap();
        taken[0].code
    };
    assert_eq!(take("one").await, None);
    let of = |gigabytes: &'static str| {
        policy("default", move |texts: &mut FileTexts| {
            edit(texts, "tenant.yaml", "max_storage_gb: 10", &format!("max_storage_gb: {gigabytes}"));
        })
    };
    tenant.adopt(&of("0.000000015")).await.unwrap();
    assert_eq!(take("two").await, Some(Code::QuotaExceeded));
    tenant.adopt(&of("0.00000002")).await.unwrap();
    assert_eq!(take("two").await, None);
}
