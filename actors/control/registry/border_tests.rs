//! Tenants whose data may not be where this node is: not created, not registered, not opened, and closed when their files
//! take the permission back.
use super::bench::{Bench, new_tenant};
use super::fixtures::{ACME, record, sound};
use crate::gitops::messages::{FolderSeen, FoldersSeen, Found};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Role;
use bailiwick_policy::compile::SOVEREIGNTY;

async fn see(bench: &Bench, name: &str, found: Found) {
    let (reply, awaited) = ReplySlot::pair();
    let folders = vec![FolderSeen { found, ..bench.folders.observe(name.to_owned()) }];
    bench.registry.send(FoldersSeen { folders, reply }).await.unwrap();
    assert!(awaited.outcome().await.unwrap().is_empty());
}

/// Writes the lists of a tenant's folder anew and has it read.
async fn write(bench: &Bench, name: &str, from: &str, to: &str) {
    let file = bench.folders.root().join(name).join(SOVEREIGNTY);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&file, text.replace(from, to)).unwrap();
    see(bench, name, bench.folders.load(name)).await;
}

fn opened(bench: &Bench) -> usize {
    bench.probes.opened.lock().unwrap().len()
}

#[actix::test]
async fn a_tenant_for_elsewhere_is_not_created_and_leaves_nothing() {
    let bench = Bench::start().await;
    let mut elsewhere = new_tenant("acme");
    elsewhere.config.region = "us-east-1".to_owned();
    let refusal = bench.fleet().await.create(elsewhere).await.unwrap_err();
    assert_eq!(refusal.code, Code::SovereigntyViolation);
    for word in ["eu-west-1", "us-east-1", "data-sovereignty.yaml", "config.toml"] {
        assert!(refusal.detail.contains(word), "{word}: {}", refusal.detail);
    }
    assert!(bench.folders.names().unwrap().is_empty(), "no folder");
    assert_eq!(bench.fleet().await.get("acme".into()).await.unwrap_err().code, Code::NotFound, "no entry");
    assert_eq!(opened(&bench), 0);
}

#[actix::test]
async fn a_folder_for_elsewhere_is_told_and_never_registered() {
    let bench = Bench::start().await;
    let mut far = record("acme", ACME);
    far.config.region = "us-east-1".to_owned();
    see(&bench, "acme", Found::Compiled(sound(&far))).await;
    let shown = bench.fleet().await.get("acme".into()).await.unwrap();
    assert_eq!((shown.state.as_str(), shown.record.id.is_nil()), ("refused", true), "known by its folder's name alone");
    assert!(shown.reason.unwrap().contains("eu-west-1"));
    assert_eq!(opened(&bench), 0);
    let again = bench.restart().await;
    assert_eq!(again.fleet().await.get("acme".into()).await.unwrap_err().code, Code::NotFound, "nothing was written");
}

#[actix::test]
async fn lists_that_take_this_region_back_close_the_tenant_until_they_give_it() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Auditor).await;
    let old = bench.door.audit(claim.clone()).await.unwrap();
    old.policy().await.unwrap();
    let (before, given) = (opened(&bench), "forbidden_regions: []");

    write(&bench, "acme", given, "forbidden_regions: [us-*]").await;
    assert_eq!(
        bench.fleet().await.get("acme".into()).await.unwrap().state,
        "serving",
        "another region is none of ours"
    );
    let taken_back = "allowed_regions: [\"us-east-1\"]";
    for (file, from, to) in [
        ("tenant.yaml", "region: \"eu-west-1\"", "region: \"us-east-1\""),
        (SOVEREIGNTY, "region: \"eu-west-1\"", "region: \"us-east-1\""),
        (SOVEREIGNTY, "forbidden_regions: [us-*]", given),
    ] {
        let file = bench.folders.root().join("acme").join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
    }
    write(&bench, "acme", "allowed_regions: [\"eu-west-1\"]", taken_back).await;
    let closed = || async {
        let refusal = bench.door.audit(claim.clone()).await.unwrap_err();
        assert_eq!(refusal.code, Code::SovereigntyViolation, "{refusal}");
        assert!(refusal.detail.contains("data-sovereignty.yaml"), "{refusal}");
    };
    closed().await;
    assert_eq!(old.policy().await.unwrap_err().code, Code::Lost, "and handles that were given out are void");
    let shown = bench.fleet().await.get("acme".into()).await.unwrap();
    assert!(shown.state == "suspended" && shown.reason.unwrap().contains("eu-west-1"));
    // an unreadable file after it brings nothing back
    see(&bench, "acme", Found::Broken("router.yaml: broken".to_owned())).await;
    assert!(bench.door.audit(claim.clone()).await.is_err());
    see(&bench, "acme", Found::Gone).await;
    see(&bench, "acme", Found::Broken("router.yaml: broken".to_owned())).await;
    assert!(bench.door.audit(claim.clone()).await.is_err());
    assert_eq!(opened(&bench), before, "its rooms were not opened again");

    write(&bench, "acme", taken_back, "allowed_regions: [\"us-east-1\", \"eu-*\"]").await;
    bench.door.audit(claim.clone()).await.unwrap().policy().await.unwrap();
    assert!(opened(&bench) > before);
}
