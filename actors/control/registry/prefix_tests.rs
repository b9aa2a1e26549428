//! Two tenants that would remember their answers under the same names, or have their vectors in the same place, are not both loaded.
use super::bench::Bench;
use super::fixtures::{record, sound};
use crate::gitops::messages::{FolderSeen, FoldersSeen, Found};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::schema::RetrievalStorage;
use uuid::Uuid;

async fn hand_over(bench: &Bench, of: fn(String) -> RetrievalStorage, tenants: &[(&str, u128, &str)]) {
    let seen = |(name, id, place): &(&str, u128, &str)| {
        let storage = Some(of((*place).to_owned()));
        let file = bailiwick_policy::schema::TenantFile { storage, ..record(name, Uuid::from_u128(*id)) };
        FolderSeen { found: Found::Compiled(sound(&file)), ..bench.folders.observe((*name).to_owned()) }
    };
    let (reply, awaited) = ReplySlot::pair();
    bench.registry.send(FoldersSeen { folders: tenants.iter().map(seen).collect(), reply }).await.unwrap();
    assert!(awaited.outcome().await.unwrap().is_empty());
}

fn prefix(cache_prefix: String) -> RetrievalStorage {
    RetrievalStorage { cache_prefix: Some(cache_prefix), ..Default::default() }
}

fn namespace(index_namespace: String) -> RetrievalStorage {
    RetrievalStorage { index_namespace: Some(index_namespace), ..Default::default() }
}

#[actix::test]
async fn a_prefix_is_one_tenants_whether_its_folder_comes_beside_or_after_the_other() {
    is_one_tenants(prefix, "redis:a:", "redis:b:", "prefix").await;
}

#[actix::test]
async fn a_namespace_is_one_tenants_whether_its_folder_comes_beside_or_after_the_other() {
    is_one_tenants(namespace, "qdrant::a", "qdrant::b", "namespace").await;
}

async fn is_one_tenants(of: fn(String) -> RetrievalStorage, first: &str, second: &str, word: &str) {
    let bench = Bench::start().await;
    hand_over(&bench, of, &[("one", 51, first), ("two", 52, first), ("three", 53, second)]).await;
    hand_over(&bench, of, &[("four", 54, second), ("one", 51, first)]).await;
    let views = bench.fleet().await.list(Default::default()).await.unwrap();
    let states: Vec<_> = views.iter().map(|view| (view.record.name.as_str(), view.state.as_str())).collect();
    assert_eq!(states, [("four", "refused"), ("one", "serving"), ("three", "serving"), ("two", "refused")]);
    let reason = views[0].reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("tenant.yaml:") && reason.contains(word), "{reason}");
    let place: Vec<_> = reason.split(':').skip(1).take(2).map(|number| number.parse::<u64>()).collect();
    assert!(
        place.iter().all(|number| number.as_ref().is_ok_and(|number| *number > 0)),
        "with line and column: {reason}"
    );
}
