//! The shell: nobody leaves with a slot, however they go.
use super::pool::{FairPool, Lane, Place, SLICE, Slot};
use super::rules::Limits;
use super::tests::{Random, limits, limits_beside_crowds, weight};
use crate::ids::TenantKey;
use crate::outcome::Code;
use futures_util::FutureExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Duration;

const PATIENT: Duration = Duration::from_secs(3_600);

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant(number: u64) -> TenantKey {
    TenantKey::mint(uuid::Uuid::from_u128(u128::from(number)))
}

fn pool(slots: usize, queue_max: usize) -> FairPool {
    FairPool::new("work", Limits { queue_max, ..limits(slots, 1_000_000) })
}

fn lane(pool: &FairPool, number: u64) -> Lane {
    pool.lane(tenant(number), weight(1))
}

/// A slot without waiting, or nothing.
fn at_once(lane: &Lane) -> Option<Slot> {
    lane.enter(PATIENT).now_or_never().map(Result::unwrap)
}

/// Every slot can be had at once, and no more.
fn assert_whole(pool: &FairPool, slots: usize) {
    assert_eq!(pool.in_service(), 0);
    let lane = lane(pool, 99);
    let all: Vec<Slot> = (0..slots).map(|_| at_once(&lane).expect("a slot is free")).collect();
    assert!(at_once(&lane).is_none(), "there are {slots} slots");
    drop(all);
    assert_eq!(pool.in_service(), 0);
}

type Entering = Pin<Box<dyn Future<Output = crate::outcome::Outcome<Slot>>>>;

fn entering(lane: &Lane) -> Entering {
    let lane = lane.clone();
    Box::pin(async move { lane.enter(PATIENT).await })
}

fn panics_with(slot: Slot) {
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _kept = slot;
        std::panic::resume_unwind(Box::new("provoked by a test"));
    }));
    assert!(panicked.is_err());
}

#[tokio::test]
async fn no_slot_is_lost_to_who_leaves_gives_up_or_panics() {
    const SLOTS: usize = 3;
    let pool = pool(SLOTS, 8);
    let lanes: Vec<Lane> = (0..5).map(|number| lane(&pool, number)).collect();
    let mut random = Random::seeded(3);
    let (mut waiting, mut held): (Vec<Entering>, Vec<Slot>) = (Vec::new(), Vec::new());
    let (mut granted, mut left, mut panicked, mut refused) = (0, 0, 0, 0);
    for _ in 0..100_000 {
        // a task that polls so often in one turn would be made to wait by the runtime
        tokio::task::yield_now().await;
        match random.below(6) {
            0 | 1 if waiting.len() < 12 => waiting.push(entering(&lanes[random.below(5) as usize])),
            2 if !waiting.is_empty() => {
                // polled or not, granted meanwhile or not
                drop(waiting.swap_remove(random.below(waiting.len() as u64) as usize));
                left += 1;
            }
            3 if !held.is_empty() => drop(held.swap_remove(random.below(held.len() as u64) as usize)),
            4 if !held.is_empty() => {
                panics_with(held.swap_remove(random.below(held.len() as u64) as usize));
                panicked += 1;
            }
            _ if !waiting.is_empty() => {
                let which = random.below(waiting.len() as u64) as usize;
                if let Some(outcome) = waiting[which].as_mut().now_or_never() {
                    drop(waiting.swap_remove(which));
                    match outcome {
                        Ok(slot) => {
                            held.push(slot);
                            granted += 1;
                        }
                        Err(_) => refused += 1,
                    }
                }
            }
            _ => {}
        }
        assert!(held.len() <= SLOTS && pool.in_service() <= SLOTS);
    }
    assert!(
        granted > 5_000 && left > 5_000 && panicked > 1_000,
        "{granted} granted, {left} left, {panicked} panicked, {refused} refused"
    );
    drop((waiting, held));
    assert_whole(&pool, SLOTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_slot_is_lost_between_threads() {
    const SLOTS: usize = 2;
    let pool = pool(SLOTS, 64);
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let lane = lane(&pool, number % 3);
            tokio::spawn(async move {
                let mut random = Random::seeded(number);
                for _ in 0..2_000 {
                    let working = tokio::spawn({
                        let lane = lane.clone();
                        async move {
                            let slot = lane.enter(PATIENT).await;
                            tokio::task::yield_now().await;
                            drop(slot);
                        }
                    });
                    if random.below(2) == 0 {
                        working.abort();
                    }
                    let _done_or_aborted = working.await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_whole(&pool, SLOTS);
}

#[tokio::test]
async fn a_slot_granted_to_who_has_gone_goes_to_the_next() {
    let pool = pool(1, 8);
    let (first, second) = (lane(&pool, 1), lane(&pool, 2));
    let held = at_once(&first).unwrap();
    let (mut gone, mut next) = (entering(&first), entering(&second));
    assert!(gone.as_mut().now_or_never().is_none());
    assert!(next.as_mut().now_or_never().is_none());
    drop(held);
    // granted to one of the two: whichever it was, it goes, and the other must get it
    drop(gone);
    assert!(next.now_or_never().is_some_and(|slot| slot.is_ok()));
    assert_whole(&pool, 1);
}

#[tokio::test]
async fn who_asks_for_one_thing_at_a_time_waits_for_no_crowd() {
    for (limits, is_served) in [(limits_beside_crowds(1, 1_000_000), true), (limits(1, 1_000_000), false)] {
        let pool = FairPool::new("work", limits);
        let (crowd, other) = (lane(&pool, 1), lane(&pool, 2));
        let first = at_once(&crowd).unwrap();
        let mut waiting: Vec<Entering> = (0..2).map(|_| entering(&crowd)).collect();
        assert!(waiting.iter_mut().all(|entering| entering.as_mut().now_or_never().is_none()));
        drop(first);
        let of_the_crowd = waiting.remove(0).now_or_never().unwrap().unwrap();
        let beside = at_once(&other);
        assert_eq!(beside.is_some(), is_served);
        assert!(beside.is_none_or(|slot| !slot.should_give_way()), "it is no crowd itself");
        drop((of_the_crowd, waiting));
        assert_whole(&pool, 1);
    }
}

#[tokio::test]
async fn who_is_left_alone_beside_a_crowd_is_served_at_once() {
    let pool = FairPool::new("work", limits_beside_crowds(1, 1_000_000));
    let (crowd, other) = (lane(&pool, 1), lane(&pool, 2));
    let first = at_once(&other).unwrap();
    let mut waiting: Vec<Entering> = (0..3).map(|_| entering(&crowd)).collect();
    assert!(waiting.iter_mut().all(|entering| entering.as_mut().now_or_never().is_none()));
    let (mut gone, mut left) = (entering(&other), entering(&other));
    assert!(gone.as_mut().now_or_never().is_none() && left.as_mut().now_or_never().is_none());
    drop(first);
    let of_the_crowd = waiting.remove(0).now_or_never().unwrap().unwrap();
    assert!(left.as_mut().now_or_never().is_none(), "it is no only one yet");
    drop(gone);
    assert!(left.now_or_never().is_some_and(|slot| slot.is_ok()));
    drop((of_the_crowd, waiting));
    assert_whole(&pool, 1);
}

#[tokio::test]
async fn a_full_queue_and_a_hopeless_wait_are_refused_with_a_time_to_come_back() {
    let pool = pool(1, 2);
    let (aggressor, victim) = (lane(&pool, 1), lane(&pool, 2));
    let held = at_once(&aggressor).unwrap();
    let mut waiting: Vec<Entering> = (0..2).map(|_| entering(&aggressor)).collect();
    assert!(waiting.iter_mut().all(|entering| entering.as_mut().now_or_never().is_none()));
    let full = aggressor.enter(PATIENT).await.unwrap_err();
    assert_eq!((full.code, full.retry_after_ms), (Code::Overloaded, Some(100)));
    assert!(full.detail.contains("queue is full"), "{}", full.detail);
    let hopeless = victim.enter(Duration::from_micros(1)).await.unwrap_err();
    assert_eq!((hopeless.code, hopeless.retry_after_ms), (Code::Overloaded, Some(100)));
    assert!(hopeless.detail.contains("in time"), "{}", hopeless.detail);
    // a wait of two slices is expected, but the slot does not come back
    let vain = victim.enter(Duration::from_millis(150)).await.unwrap_err();
    assert_eq!((vain.code, vain.retry_after_ms), (Code::Overloaded, Some(150)));
    drop((held, waiting));
    assert_whole(&pool, 1);
}

/// Works for at least one slice.
fn work() {
    let began = std::time::Instant::now();
    while began.elapsed() < SLICE {
        std::hint::spin_loop();
    }
}

#[tokio::test]
async fn work_in_pieces_lets_others_in_between_its_slices() {
    let pool = pool(1, 8);
    let (long, short) = (lane(&pool, 1), lane(&pool, 2));
    let slot = at_once(&long).unwrap();
    let slot = slot.renew().expect("its slice has only begun");
    work();
    let slot = slot.renew().expect("nobody else waits");
    let mut other = entering(&short);
    assert!(other.as_mut().now_or_never().is_none());
    work();
    let place: Place = slot.renew().expect_err("the other has had less");
    let other = other.now_or_never().unwrap().unwrap();
    let mut rest = Box::pin(place.slot());
    assert!(rest.as_mut().now_or_never().is_none(), "there is one slot");
    drop(other);
    drop(rest.now_or_never().unwrap().unwrap());
    assert_whole(&pool, 1);
}
