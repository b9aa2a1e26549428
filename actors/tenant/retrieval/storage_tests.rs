//! The storage quota on a real vault: uploads that run at the same time, fail, repeat themselves, are given up.
use super::messages::*;
use super::prepare::Occasion;
use super::reserve::Arriving;
use super::test_house::{House, Tenant, named, policy, principal};
use super::tests::text;
use crate::egress::fixtures::here;
use crate::ruling::asker;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::LevelLimit;
use std::sync::Arc;

const DOCUMENT_BYTES: usize = 1_000;
const ROOM_FOR: usize = 10;

fn words(number: usize) -> String {
    let start = format!("Document {number} says something. ");
    format!("{start}{}", "x".repeat(DOCUMENT_BYTES - start.len()))
}

fn limited(bytes: usize, limits: Vec<LevelLimit>) -> Arc<PolicySnapshot> {
    let mut policy = policy();
    policy.tenant.quotas.max_storage_gb = bytes as f64 / 1e9;
    policy.tenant.quotas.limits = limits;
    policy.into()
}

fn storage(level: Level, name: &str, bytes: usize) -> LevelLimit {
    LevelLimit {
        level,
        name: name.into(),
        max_requests_per_hour: None,
        max_requests_per_minute: None,
        max_tokens_per_minute: None,
        max_concurrent_requests: None,
        max_storage_gb: Some(bytes as f64 / 1e9),
    }
}

/// Sends documents until the room is not too busy to look at them.
async fn upload(tenant: &Tenant, documents: Vec<NewDocument>) -> Vec<Ingested> {
    loop {
        match tenant.ingest(documents.clone()).await {
            Err(busy) if busy.code == Code::Overloaded => tokio::task::yield_now().await,
            outcome => return outcome.unwrap(),
        }
    }
}

async fn reserved_bytes(tenant: &Tenant) -> u64 {
    tenant.desk.corpus.truth().await.unwrap().with_storage(|storage| storage.reserved_bytes())
}

fn codes(taken: &[Ingested]) -> Vec<Option<Code>> {
    taken.iter().map(|one| one.code).collect()
}

#[actix::test]
async fn sixty_four_uploads_at_once_overshoot_by_no_byte() {
    let house = House::new();
    let most = ROOM_FOR * DOCUMENT_BYTES + DOCUMENT_BYTES / 2;
    let tenant = house.tenant(limited(most, vec![]));
    let uploads = (0..64).map(|number| upload(&tenant, vec![named(&format!("d{number}"), &words(number))]));
    let taken: Vec<Ingested> = futures_util::future::join_all(uploads).await.into_iter().flatten().collect();
    let kept = taken.iter().filter(|one| one.code.is_none()).count();
    assert!(taken.iter().all(|one| one.code.is_none() || one.code == Some(Code::QuotaExceeded)), "{taken:?}");
    assert_eq!(kept, ROOM_FOR, "no byte too much, and nothing refused that had room");
    let figures = tenant.figures().await;
    assert_eq!((figures.documents, figures.bytes), (10, 10_000));
    assert_eq!(reserved_bytes(&tenant).await, 0);
}

#[actix::test]
async fn room_is_counted_before_a_document_is_parsed() {
    let house = House::new();
    let tenant = house.tenant(limited(100, vec![]));
    // neither could be parsed: the first is no text, the second has no room to be looked at
    let file = |name: &str, bytes: usize| NewDocument {
        content: Content::File { name: name.into(), bytes: vec![0xff; bytes].into() },
        ..text("")
    };
    let taken = upload(&tenant, vec![file("small.txt", 100), file("large.txt", 101)]).await;
    assert_eq!(codes(&taken), [Some(Code::InvalidRequest), Some(Code::QuotaExceeded)]);
    assert_eq!(reserved_bytes(&tenant).await, 0, "what could not be parsed is given back");
    assert_eq!(codes(&upload(&tenant, vec![named("d1", &"x".repeat(100))]).await), [None]);
}

#[actix::test]
async fn a_document_that_is_here_already_needs_no_room() {
    let house = House::new();
    let tenant = house.tenant(limited(DOCUMENT_BYTES, vec![]));
    upload(&tenant, vec![named("d1", &words(1))]).await;
    let again = upload(&tenant, vec![named("d1", &words(1)), named("d1", &words(1))]).await;
    assert_eq!(again.iter().map(|one| one.state).collect::<Vec<_>>(), [DocumentState::Unchanged; 2]);
    assert_eq!(codes(&upload(&tenant, vec![named("d1", &words(2))]).await), [None], "a version of the same size");
    assert_eq!(codes(&upload(&tenant, vec![named("d2", "x")]).await), [Some(Code::QuotaExceeded)]);
    tenant.remove("d1").await.unwrap();
    assert_eq!(codes(&upload(&tenant, vec![named("d2", &words(3))]).await), [None]);
    assert_eq!(reserved_bytes(&tenant).await, 0);
}

#[actix::test]
async fn a_request_that_is_given_up_gives_its_reservation_back() {
    let house = House::new();
    let tenant = house.tenant(limited(DOCUMENT_BYTES, vec![]));
    let truth = tenant.desk.corpus.truth().await.unwrap();
    let policy = Arc::clone(&tenant.policy);
    let asker = asker(&policy, &principal(), 1);
    let mut arriving =
        Arriving::new(truth, &Occasion { policy, now_unix_ms: 1, by: String::new(), asker, here: here() });
    arriving.next(named("d1", &words(1)));
    let (_arrivals, reserved) = arriving.end().unwrap();
    assert_eq!(reserved_bytes(&tenant).await, 1_000);
    assert_eq!(codes(&upload(&tenant, vec![named("d2", "x")]).await), [Some(Code::QuotaExceeded)]);
    drop(reserved);
    assert_eq!(codes(&upload(&tenant, vec![named("d2", &words(2))]).await), [None]);

    // an upload whose caller is gone, and one whose bytes cannot be stored
    let full = upload(&tenant, vec![named("d3", &words(3))]).await;
    assert_eq!(codes(&full), [Some(Code::QuotaExceeded)]);
    assert_eq!(reserved_bytes(&tenant).await, 0);
}

#[actix::test]
async fn domains_and_use_cases_have_room_of_their_own_also_for_what_was_there_before() {
    let mut house = House::new();
    let of = |id: &str, domain: &str, bytes: usize| NewDocument {
        domain: Some(domain.into()),
        ..named(id, &"x".repeat(bytes))
    };
    let tenant = house.tenant(limited(10_000, vec![]));
    upload(&tenant, vec![of("d1", "hr", 600), of("d2", "legal", 600)]).await;
    tenant.kill().await;

    house.restart();
    let limits = vec![storage(Level::Domain, "hr", 1_000), storage(Level::Usecase, "*", 1_700)];
    let tenant = house.tenant(limited(10_000, limits));
    let taken = upload(&tenant, vec![of("d3", "hr", 401), of("d4", "hr", 400), of("d5", "legal", 101)]).await;
    assert_eq!(codes(&taken), [Some(Code::QuotaExceeded), None, Some(Code::QuotaExceeded)]);
    assert!(taken[0].error.as_ref().unwrap().contains("domain \"hr\""), "{taken:?}");
    assert!(taken[2].error.as_ref().unwrap().contains("use case \"general\""), "{taken:?}");
    tenant.remove("d1").await.unwrap();
    assert_eq!(codes(&upload(&tenant, vec![of("d3", "hr", 600)]).await), [None]);
    assert_eq!(codes(&upload(&tenant, vec![of("d3", "legal", 600)]).await), [None], "it moves, and leaves room behind");
    assert_eq!(codes(&upload(&tenant, vec![of("d6", "hr", 101)]).await), [Some(Code::QuotaExceeded)], "the use case's");
    assert_eq!(reserved_bytes(&tenant).await, 0);
}
