//! The comparison.
use super::leaks::{self, Leak};
use super::neighbours::Life;
use super::trace::walk;
use super::watcher::{FOREIGN_HASH, Seen, Watcher};
use super::world::{A, Fault, World};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Days of A that are compared; an odd one is that of a tenant that remembers answers.
const DAYS: u64 = 4;
/// Drawn neighbourhoods each day is walked through, beside none, a quiet and a loud one.
const DRAWN: u64 = 3;
/// Compared outputs below which the run has proved nothing.
const PAIRS_MIN: usize = 10_000;
/// Leaks below which the run has proved little.
const LEAKS_MIN: usize = 50;
/// The day leaks are looked for on: one of a tenant that remembers answers and begins with refusals, documents and
/// figures, so that most are found early.
const DAY_OF_LEAKS: u64 = 115;

/// What stands behind the last output.
const THE_END: &str = "the end";

/// Walks A through a world of its own and says what it sees, as it sees it.
fn open(life: &Life, day: u64, fault: Option<Fault>) -> mpsc::Receiver<Seen> {
    super::super::fixtures::hush_provoked_panics();
    let (to, seen) = mpsc::channel(1);
    let life = life.clone();
    actix::spawn(async move {
        let world = World::build(&life, day % 2 == 1, fault);
        let edge = if let Some(Fault::Edge(edge)) = fault { Some(edge) } else { None };
        let tenant = super::super::fixtures::cipher(A).tenant();
        let watcher = Watcher { to, edge, street: Arc::clone(&world.street), fabric: world.vault.fabric(), tenant };
        if walk(&world, &watcher, day).await.is_ok() {
            let over = Seen { name: THE_END.to_owned(), bytes: String::new() };
            let _nobody_compares_any_more = watcher.to.send(over).await;
        }
    });
    seen
}

/// The next output; a walk that breaks off has proved nothing.
async fn next(seen: &mut mpsc::Receiver<Seen>) -> Seen {
    let next = super::super::fixtures::in_time("A takes its next step", seen.recv()).await;
    next.expect("a walk broke off before its end: its panic stands above")
}

/// Everything A sees in one world.
async fn whole(life: &Life, day: u64) -> Vec<Seen> {
    let (mut seen, mut outputs) = (open(life, day, None), Vec::new());
    while outputs.last().is_none_or(|output: &Seen| output.name != THE_END) {
        outputs.push(next(&mut seen).await);
    }
    outputs
}

/// What came of a comparison.
struct Comparison {
    /// Outputs that were the same bytes.
    same: usize,
    /// The first one that differed, in the quiet world and in the loud one.
    differs: Option<(Seen, Seen)>,
}

/// Walks A through a quiet world and a loud one side by side, one output after another, until they differ; and through a
/// second quiet one, which may not differ from the first: else it was chance that told the other two apart.
async fn compare(fault: Fault) -> Comparison {
    let [quiet, loud] = [Life::quiet(), Life::loud()];
    let mut walks = [&quiet, &quiet, &loud].map(|life| open(life, DAY_OF_LEAKS, Some(fault)));
    let mut same = 0;
    loop {
        let [one, twin, other] = &mut walks;
        let (one, twin, other) = futures_util::join!(next(one), next(twin), next(other));
        assert_eq!(one, twin, "two quiet worlds differ");
        if one != other {
            return Comparison { same, differs: Some((one, other)) };
        }
        if one.name == THE_END {
            return Comparison { same, differs: None };
        }
        same += 1;
    }
}

#[actix_rt::test]
async fn a_tenant_sees_the_same_bytes_whoever_its_neighbours_are() {
    let mut pairs = 0;
    for day in 0..DAYS {
        let alone = whole(&Life::absent(), day).await;
        assert!(alone.iter().all(|seen| !seen.bytes.contains(FOREIGN_HASH)), "a receipt names no record of its tenant");
        let drawn = (0..DRAWN).map(|number| Life::drawn(day * DRAWN + number));
        for life in [Life::quiet(), Life::loud()].into_iter().chain(drawn) {
            let beside = whole(&life, day).await;
            for (one, other) in alone.iter().zip(&beside) {
                assert_eq!(one, other, "day {day} beside {life:?}");
                pairs += 1;
            }
            assert_eq!(alone.len(), beside.len(), "day {day} beside {life:?}");
        }
    }
    println!("{pairs} pairs of outputs are the same bytes, of {DAYS} days in {} worlds", DAYS * (DRAWN + 3));
    assert!(pairs >= PAIRS_MIN, "only {pairs} pairs were compared");
}

/// Every line of a table must be caught, and says by which output it was.
async fn all_are_caught(leaks: &[Leak]) {
    let mut missed = Vec::new();
    for Leak { name, what, fault } in leaks {
        match compare(*fault).await {
            Comparison { same, differs: Some((one, _)) } => {
                println!("caught {name:<33} after {same:>3} outputs by {:<44} {what}", one.name);
            }
            Comparison { differs: None, .. } => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[actix_rt::test]
async fn leaks_of_stores_are_caught() {
    all_are_caught(leaks::STORES).await;
}

#[actix_rt::test]
async fn leaks_of_the_provider_are_caught() {
    all_are_caught(leaks::PROVIDER).await;
}

#[actix_rt::test]
async fn leaks_of_what_tenants_are_built_from_are_caught() {
    all_are_caught(leaks::PARTS).await;
}

#[actix_rt::test]
async fn leaks_between_rooms_are_caught() {
    all_are_caught(leaks::ROOMS).await;
}

#[actix_rt::test]
async fn leaks_at_the_edge_are_caught() {
    all_are_caught(leaks::EDGE).await;
}

#[test]
fn enough_different_leaks_are_seeded() {
    let tables = [leaks::STORES, leaks::PROVIDER, leaks::PARTS, leaks::ROOMS, leaks::EDGE];
    let names: BTreeSet<&str> = tables.into_iter().flatten().map(|leak| leak.name).collect();
    let count = tables.iter().map(|table| table.len()).sum::<usize>();
    println!("{count} leaks are seeded");
    assert!(names.len() == count && count >= LEAKS_MIN, "{count} leaks by {} names", names.len());
}

#[actix_rt::test]
async fn what_a_cannot_see_is_passed() {
    for Leak { name, what, fault } in leaks::invisible() {
        let Comparison { same, differs } = compare(*fault).await;
        assert!(differs.is_none(), "{name}: {what}, and yet {differs:?}");
        println!("passed {name:<33} with {same} outputs the same: {what}");
    }
}
