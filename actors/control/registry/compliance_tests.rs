//! The week's report comes by itself, once a week, over restarts; it goes with its tenant.
use super::bench::Bench;
use bailiwick_kernel::outcome::Code;
use std::time::Duration;

const WEEK_MS: u64 = 7 * 86_400_000;
/// Longer than between two looks of the compliance room, and than it waits for rooms that stay silent.
const A_LOOK: Duration = Duration::from_secs(300);

/// Lets one look pass. Time stands while blocking work is done, and jumps while nothing else is to do.
async fn look() {
    tokio::time::sleep(A_LOOK).await;
}

async fn weeks(bench: &Bench, name: &str) -> Vec<String> {
    let handle = bench.door.audit(bench.as_operator(Some(name))).await.unwrap();
    handle.weeks().await.unwrap().into_iter().map(|week| week.week).collect()
}

/// Looks until there are so many weeks: an append waits for a thread that time does not wait for.
async fn until(bench: &Bench, name: &str, number: usize) -> Vec<String> {
    for _ in 0..10_000 {
        let found = weeks(bench, name).await;
        if found.len() >= number {
            return found;
        }
        look().await;
        bailiwick_kernel::residue::spawn_blocking(|| ()).await.unwrap();
    }
    panic!("{name} has no {number} weekly reports");
}

#[actix::test]
async fn a_report_a_week_and_none_twice() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (_, auditor) = bench.key("acme", bailiwick_policy::access::Role::Auditor).await;
    let handle = bench.door.audit(auditor.clone()).await.unwrap();
    tokio::time::pause();
    let first = until(&bench, "acme", 1).await;
    assert_eq!(first.len(), 1);
    look().await;
    assert_eq!(weeks(&bench, "acme").await, first, "once");
    let kept = handle.compliance(Some(first[0].clone())).await.unwrap();
    assert_eq!((&kept.tenant[..], &kept.week), ("acme", &first[0]));
    assert!(kept.score.passed > 0 && kept.score.unknown > 0, "a probe tells nothing of its journal: {:?}", kept.score);
    assert_eq!(handle.compliance(Some("1999-W01".into())).await.unwrap_err().code, Code::NotFound);

    let fleet = bench.fleet().await.last_weeks().await.unwrap();
    assert_eq!((&fleet[0].tenant[..], &fleet[0].last.as_ref().unwrap().week), ("acme", &first[0]));

    bench.clock.advance(WEEK_MS);
    let second = until(&bench, "acme", 2).await;
    assert!(second.len() == 2 && second[0] == first[0] && second[1] > second[0], "{second:?}");

    // the folders are not read again here, so that no room is open: what was reported is known all the same
    let again = bench.restart().await;
    let fleet = again.fleet().await.last_weeks().await.unwrap();
    assert_eq!(fleet[0].last.as_ref().map(|week| &week.week), second.last());
}
