//! Every field of a supervisor's messages that bears an id, with ids of the tenant next door and near misses of them:
//! the rows of level `Tenant` in `tests/support/foreign.rs`. Each attempt must answer as for an id nobody has, tell
//! nothing of the neighbour, and leave it as it was.
mod fields;
#[path = "../../../../tests/support/foreign.rs"]
mod foreign;
mod scene;
mod writing;

use foreign::{Level, attempts, demand_none, of_level};
use scene::{NEIGHBOUR, OWN, Scene, State};

/// What was tried, row by row, and what was hit.
async fn tried(scene: &Scene, rows: impl Fn(&str, usize) -> usize) -> (Vec<(&'static str, usize)>, Vec<String>) {
    let (mut tried, mut hits) = (Vec::new(), Vec::new());
    for field in of_level(Level::Tenant) {
        let times = rows(field.name, field.attempts);
        if times > 0 {
            hits.extend(fields::attempt(scene, field.name, times).await);
            tried.push((field.name, times));
        }
    }
    (tried, hits)
}

#[actix_rt::test]
async fn no_id_of_a_neighbour_opens_anything_in_any_field() {
    let scene = Scene::new(OWN).await;
    let before = State::of(&scene.theirs).await;
    let (tried, hits) = tried(&scene, |_name, attempts| attempts).await;
    demand_none(Level::Tenant, &tried, &hits);
    assert_eq!(tried.iter().map(|(_, times)| times).sum::<usize>(), attempts(Some(Level::Tenant)));
    before.is_unchanged(&State::of(&scene.theirs).await);
}

/// Rows that change nothing, so that what one finds is there for the next.
const READ: [&str; 8] = [
    "ShowDocument.id",
    "ListDocuments.after",
    "ReadLineage.query_id",
    "ExportLineage.from",
    "Search.query",
    "Search.domain",
    "Search.usecase",
    "Wishes.idempotency_key",
];

#[actix_rt::test]
async fn a_shared_shelf_is_found_by_every_field_that_reads() {
    // put together wrongly: both tenants are given the belongings of one
    let scene = Scene::new(NEIGHBOUR).await;
    for row in READ {
        let (_, hits) = tried(&scene, |name, _| if name == row { 400 } else { 0 }).await;
        assert!(!hits.is_empty(), "{row} found nothing of a tenant on the same shelf");
        println!("{row}: {} hits of 400, such as {}", hits.len(), hits[0].chars().take(160).collect::<String>());
    }
}
