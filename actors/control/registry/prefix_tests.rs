//! Two tenants that would remember their answers under the same names are not both loaded.
use super::bench::Bench;
use super::fixtures::{record, sound};
use crate::gitops::messages::{FolderSeen, FoldersSeen, Found};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::schema::RetrievalStorage;
use uuid::Uuid;

async fn hand_over(bench: &Bench, tenants: &[(&str, u128, &str)]) {
    let seen = |(name, id, prefix): &(&str, u128, &str)| {
        let storage = Some(RetrievalStorage { cache_prefix: Some((*prefix).to_owned()), ..Default::default() });
        let file = bailiwick_policy::schema::TenantFile { storage, ..record(name, Uuid::from_u128(*id)) };
        FolderSeen { found: Found::Compiled(sound(&file)), ..bench.folders.observe((*name).to_owned()) }
    };
    let (reply, awaited) = ReplySlot::pair();
    bench.registry.send(FoldersSeen { folders: tenants.iter().map(seen).collect(), reply }).await.unwrap();
    assert!(awaited.outcome().await.unwrap().is_empty());
}

#[actix::test]
async fn a_prefix_is_one_tenants_whether_its_folder_comes_beside_or_after_the_other() {
    let bench = Bench::start().await;
    hand_over(&bench, &[("one", 51, "redis:a:"), ("two", 52, "redis:a:"), ("three", 53, "redis:b:")]).await;
    hand_over(&bench, &[("four", 54, "redis:b:"), ("one", 51, "redis:a:")]).await;
    let views = bench.fleet().await.list(Default::default()).await.unwrap();
    let states: Vec<_> = views.iter().map(|view| (view.record.name.as_str(), view.state.as_str())).collect();
    assert_eq!(states, [("four", "refused"), ("one", "serving"), ("three", "serving"), ("two", "refused")]);
    let reason = views[0].reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("tenant.yaml:") && reason.contains("prefix"), "{reason}");
    let place: Vec<_> = reason.split(':').skip(1).take(2).map(|number| number.parse::<u64>()).collect();
    assert!(
        place.iter().all(|number| number.as_ref().is_ok_and(|number| *number > 0)),
        "with line and column: {reason}"
    );
}
