//! Work in slices on a node with one free slot: in order, whole, and never in the way of who has had less.
use super::pools::{Lanes, PATIENCE, Pools, in_slices, in_slot, off_the_arbiter};
use bailiwick_kernel::background::{Background, Yielding};
use bailiwick_kernel::fair::pool::SLICE;
use bailiwick_kernel::fair::{Lane, Slot};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::schema::Plan;
use futures_util::FutureExt;
use futures_util::future::join_all;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant(number: u128) -> TenantKey {
    TenantKey::mint(uuid::Uuid::from_u128(number))
}

fn uploads(pools: &Pools, number: u128, plan: Plan) -> Lane {
    pools.lanes(tenant(number)).parsers.of(plan).clone()
}

#[tokio::test]
async fn a_long_upload_lets_another_tenant_in_after_its_slice_and_is_whole_all_the_same() {
    let pools = Pools::default();
    let (long, short) = (uploads(&pools, 1, Plan::Pro), uploads(&pools, 2, Plan::Pro));
    let slots = std::thread::available_parallelism().unwrap().get();
    let other = uploads(&pools, 3, Plan::Pro);
    let _all_but_one = join_all((1..slots).map(|_| other.enter(PATIENCE))).await;

    let done = Arc::new(AtomicUsize::new(0));
    let (begin, begun) = mpsc::channel::<()>();
    let counter = Arc::clone(&done);
    let upload = tokio::spawn(async move {
        in_slices(&Background::new(Yielding::Most), &long, PATIENCE, (0..20).collect(), move |item: usize| {
            if item == 0 {
                begun.recv().unwrap();
            }
            let began = Instant::now();
            while began.elapsed() < SLICE {
                std::hint::spin_loop();
            }
            counter.fetch_add(1, Ordering::SeqCst);
            item
        })
        .await
    });
    // the first piece is under way and waits for the other tenant to have come
    while pools.fair().map(|pool| pool.in_service()).sum::<usize>() < slots {
        tokio::task::yield_now().await;
    }
    let mut entering = Box::pin(short.enter(PATIENCE));
    assert!(entering.as_mut().now_or_never().is_none(), "every slot is in use");
    begin.send(()).unwrap();
    let slot = entering.await.unwrap();
    assert_eq!(done.load(Ordering::SeqCst), 1, "after one slice");
    drop(slot);
    assert_eq!(upload.await.unwrap().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn tiers_do_not_wait_for_each_other() {
    let pools = Pools::default();
    let crowd = uploads(&pools, 1, Plan::Free);
    let slots = std::thread::available_parallelism().unwrap().get();
    let _all = join_all((0..slots).map(|_| crowd.enter(PATIENCE))).await;
    assert!(crowd.enter(PATIENCE).now_or_never().is_none(), "the tier is full");
    assert!(uploads(&pools, 2, Plan::Enterprise).enter(PATIENCE).now_or_never().is_some_and(|slot| slot.is_ok()));
}

#[tokio::test]
async fn a_search_waits_for_no_crowd_of_searches_and_a_file_for_memory() {
    let pools = Pools::default();
    let entering_at_once = 3 * std::thread::available_parallelism().unwrap().get().max(2);
    let of = |number| pools.lanes(tenant(number));
    let kinds: [fn(&Lanes) -> Lane; 3] = [
        |lanes| lanes.searches.of(Plan::Pro).clone(),
        |lanes| lanes.parsers.of(Plan::Pro).clone(),
        |lanes| lanes.readers.of(Plan::Pro).clone(),
    ];
    let served = kinds.map(|kind| {
        let (crowd, other) = (kind(&of(1)), kind(&of(2)));
        let enter = |_| {
            let lane = crowd.clone();
            Box::pin(async move { lane.enter(PATIENCE).await.unwrap() })
        };
        let mut entering: Vec<_> = (0..entering_at_once).map(enter).collect();
        let first: Vec<Slot> = entering.iter_mut().filter_map(FutureExt::now_or_never).collect();
        let mut waiting = entering.split_off(first.len());
        // a crowd is who has others waiting when it is served
        drop(first);
        let held: Vec<Slot> = waiting.iter_mut().filter_map(FutureExt::now_or_never).collect();
        assert!(!held.is_empty());
        other.enter(PATIENCE).now_or_never().is_some_and(|slot| slot.is_ok())
    });
    assert_eq!(served, [true, false, false]);
}

#[tokio::test]
async fn work_that_panics_gives_its_slot_back() {
    let pools = Pools::default();
    let lane = uploads(&pools, 1, Plan::Free);
    let panics = || std::panic::resume_unwind(Box::new("provoked by a test"));
    let lost = off_the_arbiter::<()>(&lane, PATIENCE, panics).await.unwrap_err();
    assert_eq!(lost.code, Code::Lost);
    let lost = in_slices(&Background::new(Yielding::Most), &lane, PATIENCE, vec![1, 2], move |_item: i32| panics())
        .await
        .map(|_: Vec<()>| ())
        .unwrap_err();
    assert_eq!(lost.code, Code::Lost);
    assert_eq!(pools.fair().map(|pool| pool.in_service()).sum::<usize>(), 0);
}

/// How many processors the calling thread may use.
#[cfg(target_os = "linux")]
fn usable() -> usize {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:")).unwrap();
    mask.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit.count_ones() as usize).sum()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn while_a_search_is_answered_threads_that_give_way_leave_one_of_several_processors() {
    let pools = Pools::default();
    let slot = pools.lanes(tenant(1)).searches.of(Plan::Pro).enter(PATIENCE).await.unwrap();
    in_slot(&Background::new(Yielding::Most), slot, || ()).await.unwrap();
    let left = Background::new(Yielding::Some).run(usable).await.unwrap();
    assert_eq!(left, usable().saturating_sub(1).max(1));
}

/// How far the calling thread gives way.
#[cfg(target_os = "linux")]
fn nice() -> i32 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    stat.rsplit(") ").next().unwrap().split(' ').nth(16).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_changes_an_index_goes_before_those_who_write_for_uploads_and_after_those_who_answer() {
    let lanes = Pools::default().lanes(tenant(1));
    let (indexing, writing) = (lanes.indexing.run(nice).await.unwrap(), lanes.writing.run(nice).await.unwrap());
    assert!(nice() < indexing && indexing < writing, "{} {indexing} {writing}", nice());
}
