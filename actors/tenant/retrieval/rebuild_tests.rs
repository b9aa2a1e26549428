use super::chunk::chunk;
use super::corpus::Corpus;
use super::engine::{Batch, Engine, Former, Ready};
use super::indexer::{WORK_MAX, Work};
use super::pools::WRITERS_MAX;
use super::rules::Wanted;
use super::test_house::{House, ids, named, policy};
use super::truth::Kept;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::visibility::Visible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

#[actix::test]
async fn who_waits_for_the_folder_keeps_no_writer_from_its_owner() {
    let house = House::new();
    let mut tenant = house.tenant(Arc::new(policy()));
    let corpus = Arc::clone(&tenant.desk.corpus);
    let mut owner = Engine::new(Arc::clone(&corpus), corpus.truth().await.unwrap());
    owner.open().unwrap();

    let desk = tenant.desk.clone();
    let mending = actix::spawn(async move { desk.ask_index(Work::Mend).await });
    tokio::task::yield_now().await;
    while tenant.desk.queue.capacity() < WORK_MAX {
        tokio::task::yield_now().await;
    }
    let every_writer = corpus.lanes.writers.acquire_many(u32::try_from(WRITERS_MAX).unwrap());
    let every_writer = timeout(Duration::from_secs(30), every_writer).await.expect("a waiting rebuild holds a writer");
    drop((every_writer.unwrap(), owner));

    mending.await.unwrap().unwrap();
    tenant.ingest(vec![named("a", "The harbour opens at dawn.")]).await.unwrap();
    tenant.settle().await;
    assert_eq!(ids(&tenant.search("harbour").await), ["a"]);
}

#[actix::test]
async fn a_room_that_is_gone_does_not_wait_for_the_index_of_its_successor() {
    let house = House::new();
    let gone = house.tenant(Arc::new(policy()));
    let mut successor = house.incarnation(gone.belongings.reacquire().unwrap(), Arc::new(policy()));
    successor.ingest(vec![named("a", "The harbour opens at dawn.")]).await.unwrap();
    successor.settle().await;

    // one waits for the folder, the others behind it
    let waiting = [Work::Wake, Work::Settle, Work::Mend].map(|work| {
        let desk = gone.desk.clone();
        actix::spawn(async move { desk.ask_index(work).await })
    });
    tokio::task::yield_now().await;
    assert!(gone.desk.queue.capacity() < WORK_MAX, "nobody asks the index");
    // nobody knocks any more: the room ends
    drop(gone.room);
    for waiting in waiting {
        let told =
            timeout(Duration::from_secs(30), waiting).await.expect("its turns wait as long as its successor is served");
        assert_eq!(told.unwrap().unwrap_err().code, Code::Lost);
    }
    assert_eq!(ids(&successor.search("harbour").await), ["a"], "the index stays where it is");
}

#[actix::test]
async fn a_document_that_a_catch_up_found_on_its_way_stands_in_the_index_once() {
    let mut house = House::new();
    let tenant = house.tenant(Arc::new(policy()));
    let arrivals = [named("a", "The harbour opens at dawn."), named("b", "The harbour closes at dusk.")];
    for arrival in arrivals {
        tenant.ingest(vec![arrival]).await.unwrap();
    }
    tenant.kill().await;
    house.restart();

    let policy = Arc::new(policy());
    let corpus = Arc::new(Corpus::new(house.belongings(), Arc::clone(&policy), house.lanes(), Default::default()));
    let truth = corpus.truth().await.unwrap();
    let mut engine = Engine::new(Arc::clone(&corpus), Arc::clone(&truth));
    engine.start_over().unwrap();
    // the second document arrived after the catch-up had looked how far to go
    engine.catch_up_to(1).unwrap();
    let held = truth.get("b").unwrap().unwrap();
    let pieces = chunk(&truth.text(&held.accepted).unwrap(), &[]);
    let ready = Ready { held, pieces, admitted: vec![true], former: Former::Absent };
    engine.take(&Batch { after: 1, next: 2, ready: vec![ready], removed: vec![] }).unwrap();
    engine.commit().unwrap();

    let wanted =
        Wanted { text: "harbour".into(), top_k: 10, domain: None, usecase: None, visible: Visible::everything() };
    let found = corpus.served(&policy.guard.fingerprint).unwrap().search(&wanted).unwrap();
    assert_eq!(ids(&found), ["a", "b"]);
}

/// Whoever can write to the disk puts back what stood there: sealed for this shelf and this place, it opens, and names a record
/// that does not.
#[actix::test]
async fn a_row_put_back_from_before_names_no_document() {
    let house = House::new();
    let tenant = house.tenant(Arc::new(policy()));
    tenant.ingest(vec![named("a", "The harbour opens at dawn.")]).await.unwrap();
    tenant.ingest(vec![named("b", "The quay is swept at noon.")]).await.unwrap();
    let truth = tenant.desk.corpus.truth().await.unwrap();
    let row = |id: &str| {
        let key = super::truth::key(id);
        (key.clone(), truth.shelf.get::<Kept>(&key).unwrap().unwrap())
    };
    let [before, other] = ["a", "b"].map(row);
    tenant.ingest(vec![named("a", "The harbour is closed.")]).await.unwrap();
    let held = truth.get("a").unwrap().unwrap();
    assert_eq!(truth.text(&held.accepted).unwrap(), "The harbour is closed.");

    let (place, after) = row("a");
    truth.shelf.put(&place, &before.1).unwrap();
    assert_eq!(truth.get("a").unwrap(), None, "an earlier version under its own name");
    assert_eq!(truth.list(None, 9).unwrap().len(), 1);
    truth.shelf.put(&place, &other.1).unwrap();
    assert_eq!(truth.get("a").unwrap(), None, "the row of another document");
    truth.shelf.put(&place, &after).unwrap();
    assert_eq!(truth.get("a").unwrap(), Some(held));
}
