use super::engine::Engine;
use super::indexer::{WORK_MAX, Work};
use super::pools::WRITERS_MAX;
use super::test_house::{House, ids, named, policy};
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
    let every_writer = corpus.pools.writers.acquire_many(u32::try_from(WRITERS_MAX).unwrap());
    let every_writer = timeout(Duration::from_secs(30), every_writer).await.expect("a waiting rebuild holds a writer");
    drop((every_writer.unwrap(), owner));

    mending.await.unwrap().unwrap();
    tenant.ingest(vec![named("a", "The harbour opens at dawn.")]).await.unwrap();
    tenant.settle().await;
    assert_eq!(ids(&tenant.search("harbour").await), ["a"]);
}
