//! Places: taken at every level or at none, never leaked, whoever drops them and however.
use super::places::{Permit, Places};
use crate::limits::scope::Scope;
use crate::question::{Matter, Question};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Principal;
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::{LevelLimit, Quotas};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

fn limit(level: Level, name: &str, most: u32) -> LevelLimit {
    LevelLimit {
        level,
        name: name.into(),
        max_requests_per_hour: None,
        max_requests_per_minute: None,
        max_tokens_per_minute: None,
        max_concurrent_requests: Some(most),
        max_storage_gb: None,
    }
}

fn quotas(most: u32, limits: Vec<LevelLimit>) -> Quotas {
    Quotas { max_concurrent_requests: most, limits, ..Quotas::default() }
}

fn asker(domain: &str, key: &str) -> (Matter, Principal) {
    let question = Question { domain: Some(domain.into()), ..Question::default() };
    (Matter::Ask(question), Principal { key_id: key.into(), user_id: None, role: None, attributes: Default::default() })
}

fn take(places: &Places, domain: &str, key: &str) -> Result<Permit, String> {
    let (matter, principal) = asker(domain, key);
    places.take(&Scope::of(&matter, &principal)).map_err(|rejection| {
        assert_eq!(rejection.code, Code::RateLimited);
        assert!(rejection.retry_after_ms.is_some());
        rejection.detail
    })
}

#[test]
fn a_place_is_taken_at_every_level_or_at_none() {
    let places = Places::new(&quotas(4, vec![limit(Level::Domain, "hr", 2), limit(Level::Key, "*", 2)]));
    let first = take(&places, "hr", "a").unwrap();
    let second = take(&places, "hr", "a").unwrap();
    let full = take(&places, "legal", "a").unwrap_err();
    assert!(full.starts_with("2 requests of key \"a\" are in flight already"), "{full}");
    let full = take(&places, "hr", "b").unwrap_err();
    assert!(full.starts_with("2 requests of domain \"hr\" are in flight already"), "{full}");
    let others = [take(&places, "legal", "b").unwrap(), take(&places, "legal", "b").unwrap()];
    assert!(take(&places, "it", "c").unwrap_err().starts_with("4 requests of this tenant"));
    drop(first);
    assert_eq!(places.in_flight(), 3);
    let again = take(&places, "hr", "a").unwrap();
    drop((second, others, again));
    assert_eq!(format!("{places:?}").matches("Counts(0 in flight, 0 members)").count(), 1, "{places:?}");
}

#[test]
fn other_quotas_count_who_is_in_flight() {
    let mut places = Places::new(&quotas(4, vec![limit(Level::Key, "*", 4)]));
    let held = [take(&places, "hr", "a").unwrap(), take(&places, "hr", "a").unwrap()];
    places.adopt(&quotas(2, vec![]));
    assert!(take(&places, "hr", "a").is_err(), "two are in flight already");
    places.adopt(&quotas(4, vec![limit(Level::Key, "a", 2)]));
    assert!(take(&places, "hr", "a").is_err() && take(&places, "hr", "b").is_ok());
    drop(held);
    assert_eq!(places.in_flight(), 0);
}

#[test]
fn a_hundred_thousand_turns_that_panic_end_or_are_dropped_leak_no_place() {
    let limits = vec![limit(Level::Domain, "*", 40), limit(Level::User, "*", 60), limit(Level::Key, "a", 30)];
    let places = Arc::new(Places::new(&quotas(64, limits)));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let places = Arc::clone(&places);
            std::thread::spawn(move || {
                let (mut kept, mut admitted) = (std::collections::VecDeque::new(), 0_u32);
                for turn in 0..25_000_u32 {
                    let domain = ["hr", "legal", "it"][(turn % 3) as usize];
                    let Ok(permit) = take(&places, domain, ["a", "b"][(turn % 2) as usize]) else {
                        kept.pop_front();
                        continue;
                    };
                    admitted += 1;
                    match (turn + thread) % 4 {
                        0 => drop(permit),
                        1 => kept.push_back(permit),
                        // without the hook: a hundred thousand reports of panics are nobody's reading
                        2 => {
                            let panicked = catch_unwind(AssertUnwindSafe(|| {
                                let _in_flight = permit;
                                resume_unwind(Box::new("the turn panics"));
                            }));
                            assert!(panicked.is_err());
                        }
                        _ => {
                            let cancelled = async move {
                                let _in_flight = permit;
                                std::future::pending::<()>().await;
                            };
                            let mut cancelled = Box::pin(cancelled);
                            let waker = std::task::Waker::noop();
                            let polled = cancelled.as_mut().poll(&mut std::task::Context::from_waker(waker));
                            assert!(polled.is_pending());
                        }
                    }
                    if kept.len() > 20 {
                        kept.pop_front();
                    }
                }
                admitted
            })
        })
        .collect();
    let admitted: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(admitted > 50_000, "only {admitted} of 100000 turns came in");
    assert_eq!(places.in_flight(), 0);
    assert!(format!("{places:?}").contains("Counts(0 in flight, 0 members)"), "{places:?}");
}

#[actix_rt::test]
async fn drained_resolves_with_the_last_permit_and_not_before() {
    let places = Places::new(&quotas(2, vec![]));
    places.drained().await;
    let (one, other) = (take(&places, "hr", "a").unwrap(), take(&places, "hr", "a").unwrap());
    let mut drained = Box::pin(places.drained());
    drop(one);
    assert!(futures_util::poll!(&mut drained).is_pending());
    drop(other);
    drained.await;
}
