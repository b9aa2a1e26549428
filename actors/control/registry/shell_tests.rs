use super::bench::{Bench, new_tenant, some_entry, stranger};
use super::messages::{CloseAll, NewKey, Quarantined, TenantChanges};
use crate::cost::messages::FleetCosts;
use crate::gitops::messages::{FolderSeen, FoldersSeen, Found};
use crate::gitops::templates;
use crate::kms::{KeyService, RootSource};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::limits::HANDLE_LEASE_MS;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::access::Role;
use bailiwick_policy::schema::{Plan, Status};
use bailiwick_tenant::spend::view::{Dimension, SpendQuery};
use std::sync::atomic::Ordering;

/// What a reading that begins now and finds this hands over.
fn reading(bench: &Bench, name: &str, found: Found) -> FolderSeen {
    FolderSeen { found, ..bench.folders.observe(name.to_owned()) }
}

/// Hands readings over; gives the names of those that were outdated.
async fn hand_over(bench: &Bench, folders: Vec<FolderSeen>) -> Vec<String> {
    let (reply, awaited) = ReplySlot::pair();
    bench.registry.send(FoldersSeen { folders, reply }).await.unwrap();
    awaited.outcome().await.unwrap()
}

async fn see(bench: &Bench, name: &str, found: Found) {
    let outdated = hand_over(bench, vec![reading(bench, name, found)]).await;
    assert!(outdated.is_empty(), "{outdated:?}");
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Rejection>) -> Code {
    outcome.unwrap_err().code
}

#[actix::test]
async fn a_created_tenant_serves_at_once_and_its_folder_is_sound() {
    let bench = Bench::start().await;
    let view = bench.create("acme").await;
    assert_eq!((view.state.as_str(), view.policy_version.as_str()), ("serving", "1.0.0"));
    let Found::Compiled(sound) = bench.folders.load("acme") else { panic!("its folder must compile") };
    assert_eq!(sound.policy.tenant, view.record);
    let (_, claim) = bench.key("acme", Role::Operator).await;
    let asking = bench.door.ask(claim.clone()).await.unwrap();
    assert_eq!(asking.generation().0, view.generation);
    assert_eq!(asking.principal().role, Some(Role::Operator));
    assert!(
        !asking.lease_is_over(super::fixtures::NOW) && asking.lease_is_over(super::fixtures::NOW + HANDLE_LEASE_MS)
    );
    assert_eq!(code(bench.door.govern(claim).await), Code::Forbidden);
    assert_eq!(code(bench.door.ask(stranger()).await), Code::Unauthenticated);
    assert_eq!(code(bench.fleet().await.create(new_tenant("acme")).await), Code::Conflict);
}

#[actix::test]
async fn a_refused_creation_leaves_nothing() {
    let bench = Bench::start().await;
    let mut new = new_tenant("acme");
    new.config.region = "no region!".to_owned();
    let rejection = bench.fleet().await.create(new).await.unwrap_err();
    assert_eq!(rejection.code, Code::InvalidRequest);
    assert!(rejection.detail.contains("tenant.yaml:"), "{}", rejection.detail);
    assert!(bench.folders.names().unwrap().is_empty());
    assert_eq!(code(bench.fleet().await.get("acme".into()).await), Code::NotFound);
    std::fs::create_dir(bench.folders.root().join("acme")).unwrap();
    assert_eq!(
        code(bench.fleet().await.create(new_tenant("acme")).await),
        Code::Conflict,
        "a folder that is there is never overwritten"
    );
}

#[actix::test]
async fn everything_acknowledged_is_there_after_a_restart() {
    let bench = Bench::start().await;
    let (acme, beta) = (bench.create("acme").await, bench.create("beta").await);
    let (_, claim) = bench.key("acme", Role::Owner).await;
    let (revoked, dead) = bench.key("acme", Role::Viewer).await;
    let governing = bench.door.govern(bench.as_operator(Some("acme"))).await.unwrap();
    governing.revoke_key(revoked).await.unwrap();
    let suspended = bench.fleet().await.suspend("beta".into(), "unpaid".into()).await.unwrap();
    assert!(suspended.generation > beta.generation);
    let operator = std::fs::read(bench.root.path().join("operator.key")).unwrap();

    let again = bench.restart().await;
    assert_eq!(std::fs::read(again.root.path().join("operator.key")).unwrap(), operator, "one operator key for ever");
    assert_eq!(
        again.fleet().await.get("acme".into()).await.unwrap().state,
        "refused",
        "its folder has not been read yet"
    );
    for name in ["acme", "beta"] {
        see(&again, name, again.folders.load(name)).await;
    }
    let views = again.fleet().await.list(Default::default()).await.unwrap();
    let states: Vec<_> =
        views.iter().map(|view| (view.record.id, view.state.as_str(), view.reason.as_deref())).collect();
    assert_eq!(states, [(acme.record.id, "serving", None), (beta.record.id, "suspended", Some("unpaid"))]);
    let asking = again.door.ask(claim).await.unwrap();
    assert!(asking.generation().0 > suspended.generation, "a generation is never used twice");
    assert_eq!(code(again.door.observe(dead).await), Code::Unauthenticated);
    assert_eq!(
        code(bench.fleet().await.suspend("acme".into(), String::new()).await),
        Code::Lost,
        "the owner before is fenced off"
    );
    assert_eq!(code(bench.door.fleet(bench.as_operator(None)).await), Code::Lost, "and lets nobody in any more");
}

#[actix::test]
async fn suspending_ends_old_handles_and_resuming_makes_new_ones() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    bench.create("beta").await;
    let (_, claim) = bench.key("acme", Role::Auditor).await;
    let (_, neighbour) = bench.key("beta", Role::Auditor).await;
    let (old, other) = (bench.door.audit(claim.clone()).await.unwrap(), bench.door.audit(neighbour).await.unwrap());
    old.policy().await.unwrap();
    let view = bench.fleet().await.suspend("acme".into(), "unpaid".into()).await.unwrap();
    assert_eq!(
        (view.state.as_str(), view.reason.as_deref(), view.record.status),
        ("suspended", Some("unpaid"), Status::Suspended)
    );
    assert_eq!(code(old.policy().await), Code::Lost, "old handles fail closed when the suspension is answered");
    assert_eq!(code(bench.door.audit(claim.clone()).await), Code::TenantSuspended);
    other.policy().await.unwrap();
    let resumed = bench.fleet().await.resume("acme".into()).await.unwrap();
    assert!(resumed.generation > view.generation);
    let new = bench.door.audit(claim).await.unwrap();
    new.policy().await.unwrap();
    assert_eq!(code(old.policy().await), Code::Lost);
    assert!(new.generation() > old.generation());
}

#[actix::test]
async fn knocks_wait_for_the_opening_and_share_it() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    let again = bench.restart().await;
    see(&again, "acme", again.folders.load("acme")).await;
    let knocks = (0..20).map(|_| again.door.ask(claim.clone()));
    let handles: Vec<_> = futures_util::future::join_all(knocks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(again.probes.opened.lock().unwrap().len(), 1);
    assert!(handles.iter().all(|handle| handle.generation() == handles[0].generation()));
}

#[actix::test]
async fn what_cannot_be_opened_is_closed_alone_until_it_is_resumed() {
    let bench = Bench::start().await;
    bench.create("beta").await;
    let (_, neighbour) = bench.key("beta", Role::Owner).await;
    bench.door.ask(neighbour.clone()).await.unwrap(); // open before anything is made to fail
    *bench.probes.fails.lock().unwrap() = Some(Rejection::new(Code::Internal, "record 3 is damaged"));
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    assert_eq!(code(bench.door.ask(claim.clone()).await), Code::TenantSuspended);
    let view = bench.fleet().await.get("acme".into()).await.unwrap();
    assert_eq!((view.state.as_str(), view.reason.as_deref()), ("quarantined", Some("record 3 is damaged")));
    bench.door.ask(neighbour).await.unwrap();
    bench.fleet().await.resume("acme".into()).await.unwrap();
    bench.door.ask(claim).await.unwrap();
}

#[actix::test]
async fn a_quarantine_closes_one_tenant() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    let old = bench.door.audit(claim.clone()).await.unwrap();
    let key = tenant_key(&bench, "acme").await;
    bench.registry.send(Quarantined { tenant: key }).await.unwrap();
    assert_eq!(code(bench.door.audit(claim.clone()).await), Code::TenantSuspended);
    assert_eq!(bench.fleet().await.get("acme".into()).await.unwrap().state, "quarantined");
    bench.fleet().await.resume("acme".into()).await.unwrap();
    bench.door.audit(claim).await.unwrap().policy().await.unwrap();
    assert_eq!(code(old.policy().await), Code::Lost);
}

#[expect(clippy::disallowed_methods, reason = "test")]
async fn tenant_key(bench: &Bench, name: &str) -> bailiwick_kernel::ids::TenantKey {
    bailiwick_kernel::ids::TenantKey::mint(bench.fleet().await.get(name.into()).await.unwrap().record.id)
}

#[actix::test]
async fn policies_reach_open_tenants_without_a_new_generation() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    let reading = bench.door.audit(claim).await.unwrap();
    let changes = TenantChanges { plan: Some(Plan::Enterprise), ..TenantChanges::default() };
    let view = bench.fleet().await.update("acme".into(), changes).await.unwrap();
    assert_eq!(view.record.plan, Plan::Enterprise);
    assert_eq!(reading.policy().await.unwrap().tenant.plan, Plan::Enterprise, "the same handle, the new policy");
    assert!(
        matches!(bench.folders.load("acme"), Found::Compiled(sound) if sound.policy.tenant.plan == Plan::Enterprise)
    );

    see(&bench, "acme", Found::Broken("router.yaml:3:1: no".into())).await;
    let view = bench.fleet().await.get("acme".into()).await.unwrap();
    assert_eq!((view.state.as_str(), view.reason.as_deref()), ("serving", Some("router.yaml:3:1: no")));
    assert_eq!(reading.policy().await.unwrap().tenant.plan, Plan::Enterprise, "the version in force stays");
    see(&bench, "acme", bench.folders.load("acme")).await;
    assert_eq!(bench.fleet().await.get("acme".into()).await.unwrap().reason, None);
}

#[actix::test]
async fn a_folder_that_goes_suspends_and_comes_back() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    bench.door.ask(claim.clone()).await.unwrap();
    see(&bench, "acme", Found::Gone).await;
    let view = bench.fleet().await.get("acme".into()).await.unwrap();
    assert_eq!((view.state.as_str(), view.reason.as_deref()), ("suspended", Some("its folder is gone")));
    assert_eq!(code(bench.door.ask(claim.clone()).await), Code::TenantSuspended);
    see(&bench, "acme", bench.folders.load("acme")).await;
    bench.door.ask(claim).await.unwrap();
}

#[actix::test]
async fn broken_strangers_are_listed_and_two_of_one_id_are_not_both_loaded() {
    let bench = Bench::start().await;
    see(&bench, "broken", Found::Broken("tenant.yaml:1:1: no".into())).await;
    assert_eq!(bench.fleet().await.get("broken".into()).await.unwrap().state, "refused");
    let id = uuid::Uuid::from_u128(55);
    let mut folders = Vec::new();
    for name in ["one", "two"] {
        let sound = super::fixtures::sound(&super::fixtures::record(name, id));
        folders.push(reading(&bench, name, Found::Compiled(sound)));
    }
    assert!(hand_over(&bench, folders).await.is_empty());
    let states: Vec<_> = bench
        .fleet()
        .await
        .list(Default::default())
        .await
        .unwrap()
        .into_iter()
        .map(|view| (view.record.name, view.state))
        .collect();
    let expected = [("broken", "refused"), ("one", "serving"), ("two", "refused")]
        .map(|(name, state)| (name.to_owned(), state.to_owned()));
    assert_eq!(states, expected);
}

#[actix::test]
async fn a_tenant_that_does_not_acknowledge_is_closed() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    let old = bench.door.audit(claim.clone()).await.unwrap();
    bench.probes.silent.store(true, Ordering::SeqCst);
    let fleet = bench.fleet().await;
    let update = fleet.update("acme".into(), TenantChanges { plan: Some(Plan::Free), ..TenantChanges::default() });
    tokio::time::pause();
    assert_eq!(code(update.await), Code::Internal);
    // the watchdog's verdict and the answer are due at the same moment
    while bench.door.audit(claim.clone()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
    assert_eq!(code(old.policy().await), Code::Lost);
    let view = bench.fleet().await.get("acme".into()).await.unwrap();
    assert_eq!(view.state, "quarantined");
    assert!(view.reason.unwrap().contains("did not acknowledge"));
}

#[actix::test]
async fn keys_die_when_the_answer_says_so() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (admin_id, admin) = bench.key("acme", Role::Admin).await;
    let governing = bench.door.govern(admin.clone()).await.unwrap();
    assert_eq!(
        code(governing.issue_key(NewKey { role: Role::Owner, user_id: None, expires_in_ms: None }).await),
        Code::Forbidden
    );
    let short = governing
        .issue_key(NewKey { role: Role::Viewer, user_id: Some("dana".into()), expires_in_ms: Some(1_000) })
        .await
        .unwrap();
    let claim = super::messages::Claim { credential: Some(short.key.clone().into()), tenant: Some("acme".into()) };
    bench.door.observe(claim.clone()).await.unwrap();
    bench.clock.advance(1_000);
    assert_eq!(code(bench.door.observe(claim).await), Code::Unauthenticated);
    let rotated = governing.rotate_key(admin_id.clone()).await.unwrap();
    assert_eq!(code(bench.door.govern(admin).await), Code::Unauthenticated);
    let successor = super::messages::Claim { credential: Some(rotated.key.into()), tenant: None };
    let keys = bench.door.govern(successor).await.unwrap().keys().await.unwrap();
    let listed = |id: &str| keys.iter().find(|key| key.key_id == id).unwrap();
    assert!(listed(&admin_id).revoked && listed(&short.view.key_id).revoked && !listed(&rotated.view.key_id).revoked);
    assert!(keys.iter().all(|key| !short.key.ends_with(&key.key_id)));
}

#[actix::test]
async fn destroying_leaves_nothing_and_frees_the_name() {
    let bench = Bench::start().await;
    let first = bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    let key = tenant_key(&bench, "acme").await;
    let kept = bench.fleet().await.delete("acme".into(), false).await.unwrap();
    assert_eq!(kept.state, "deleted");
    assert_eq!(code(bench.door.ask(claim.clone()).await), Code::TenantSuspended);
    assert!(bench.probes.destroyed.lock().unwrap().is_empty(), "a soft delete keeps everything");
    let gone = bench.fleet().await.delete("acme".into(), true).await.unwrap();
    assert_eq!(gone.state, "deleted");
    assert_eq!(*bench.probes.destroyed.lock().unwrap(), [key]);
    assert_eq!(code(bench.door.ask(claim.clone()).await), Code::Unauthenticated);
    assert!(bench.folders.names().unwrap().is_empty());
    assert_eq!(code(bench.fleet().await.get(first.record.id.to_string()).await), Code::NotFound);
    let mut same_id = new_tenant("acme");
    same_id.id = Some(first.record.id);
    assert_eq!(code(bench.fleet().await.create(same_id).await), Code::Conflict);
    assert_ne!(bench.create("acme").await.record.id, first.record.id);
    assert_eq!(
        code(bench.door.ask(claim).await),
        Code::Unauthenticated,
        "an old key does not open a new tenant of the same name"
    );
}

#[actix::test]
async fn what_was_read_before_the_destruction_speaks_of_nobody() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let sound = bench.folders.observe("acme".to_owned());
    assert!(matches!(sound.found, Found::Compiled(_)));
    let half_removed = reading(&bench, "acme", Found::Broken("router.yaml: there is no such file".to_owned()));
    bench.fleet().await.delete("acme".into(), true).await.unwrap();
    for late in [sound, half_removed] {
        assert_eq!(hand_over(&bench, vec![late]).await, ["acme"], "it is to be read again");
        assert_eq!(code(bench.fleet().await.get("acme".into()).await), Code::NotFound);
    }
    see(&bench, "acme", bench.folders.load("acme")).await;
    assert_eq!(bench.create("acme").await.state, "serving", "the name is free");
}

#[actix::test]
async fn what_was_read_before_the_creation_does_not_speak_of_the_new_tenant() {
    let bench = Bench::start().await;
    let stranger = bench.folders.observe("beta".to_owned());
    bench.create("acme").await;
    bench.fleet().await.delete("acme".into(), true).await.unwrap();
    let gone = bench.folders.observe("acme".to_owned());
    assert!(matches!(gone.found, Found::Gone));
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    assert_eq!(hand_over(&bench, vec![stranger, gone]).await, ["acme"], "nobody wrote to the other folder");
    assert_eq!(bench.fleet().await.get("acme".into()).await.unwrap().state, "serving");
    bench.door.ask(claim).await.unwrap();
}

#[actix::test]
async fn what_was_read_before_a_change_does_not_undo_it() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let before = bench.folders.observe("acme".to_owned());
    let changes = TenantChanges { plan: Some(Plan::Free), ..TenantChanges::default() };
    bench.fleet().await.update("acme".into(), changes).await.unwrap();
    assert_eq!(hand_over(&bench, vec![before]).await, ["acme"]);
    assert_eq!(bench.fleet().await.get("acme".into()).await.unwrap().record.plan, Plan::Free);
}

#[actix::test]
async fn an_interrupted_destruction_is_finished_at_the_next_start() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let key = tenant_key(&bench, "acme").await;
    // as if the process had died right after the decision: the folder cannot be removed while it is a file
    bench.folders.remove("acme").unwrap();
    std::fs::write(bench.folders.root().join("acme"), "not a folder").unwrap();
    assert_eq!(code(bench.fleet().await.delete("acme".into(), true).await), Code::Internal);
    assert_eq!(code(bench.fleet().await.suspend("acme".into(), String::new()).await), Code::NotFound);
    std::fs::remove_file(bench.folders.root().join("acme")).unwrap();
    let again = bench.restart().await;
    while again.fleet().await.get("acme".into()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*again.probes.destroyed.lock().unwrap(), [key]);
}

#[actix::test]
async fn a_tenant_of_which_something_is_left_outside_is_not_destroyed_yet() {
    let bench = Bench::start().await;
    let id = bench.create("acme").await.record.id.to_string();
    bench.probes.is_cut_off.store(true, Ordering::SeqCst);
    assert_eq!(code(bench.fleet().await.delete("acme".into(), true).await), Code::UpstreamFailed);
    assert_eq!(code(bench.fleet().await.certificate(id.clone()).await), Code::NotFound);
    let again = bench.restart().await;
    while again.fleet().await.certificate(id.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[actix::test]
async fn closing_ends_every_tenant_and_lets_nobody_in() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    bench.create("beta").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    let old = bench.door.audit(claim.clone()).await.unwrap();
    let (reply, awaited) = ReplySlot::pair();
    bench.registry.send(CloseAll { reply }).await.unwrap();
    awaited.outcome().await.unwrap();
    assert_eq!(code(old.policy().await), Code::Lost);
    assert_eq!(code(bench.door.audit(claim).await), Code::Lost);
}

#[actix::test]
async fn the_live_tree_shows_control_rooms_open_silent_and_closed_tenants() {
    let bench = Bench::start().await;
    for name in ["acme", "beta"] {
        bench.create(name).await;
        let (_, claim) = bench.key(name, Role::Owner).await;
        bench.door.ask(claim).await.unwrap();
    }
    bench.fleet().await.suspend("beta".into(), String::new()).await.unwrap();
    let states = |rooms: Vec<bailiwick_tenant::supervisor::messages::RoomView>| {
        let mut states: Vec<_> = rooms.into_iter().map(|room| format!("{} {}", room.kind, room.state)).collect();
        states.sort();
        states.join(", ")
    };
    let rooms = states(bench.fleet().await.actors().await.unwrap());
    assert!(
        rooms.contains("registry serving")
            && rooms.contains("supervisor serving")
            && rooms.contains("supervisor closed"),
        "{rooms}"
    );
    bench.probes.silent.store(true, Ordering::SeqCst);
    let fleet = bench.fleet().await;
    let rooms = states(fleet.actors().await.unwrap());
    assert!(rooms.contains("supervisor silent"), "{rooms}");
}

#[actix::test]
async fn a_tenant_that_does_not_say_what_it_spent_is_missing_and_not_nothing() {
    let bench = Bench::start().await;
    for name in ["acme", "beta"] {
        bench.create(name).await;
        let (_, claim) = bench.key(name, Role::Operator).await;
        bench.door.ask(claim).await.unwrap();
    }
    bench.create("gone").await;
    bench.fleet().await.suspend("gone".into(), String::new()).await.unwrap();
    let day = super::fixtures::NOW / 86_400_000;
    let query = SpendQuery { days: day..=day, group_by: vec![Dimension::Tenant] };
    let costs = async || bench.fleet().await.costs(query.clone()).await.unwrap();
    let missing = |costs: &FleetCosts| {
        costs.missing.iter().map(|missing| format!("{}: {}", missing.tenant, missing.reason)).collect::<Vec<_>>()
    };
    let answered = costs().await;
    let rows: Vec<_> =
        answered.report.rows.iter().map(|row| (row.tenant.clone().unwrap(), row.spent.cost_usd.0)).collect();
    assert_eq!(rows, [("acme".to_owned(), 7), ("beta".to_owned(), 7)]);
    assert_eq!((answered.report.total.cost_usd.0, answered.tenants.len()), (14, 2));
    assert_eq!(missing(&answered), ["gone: it is suspended"]);
    bench.probes.silent.store(true, Ordering::SeqCst);
    tokio::time::pause();
    let silent = costs().await;
    assert!(silent.report.rows.is_empty() && silent.tenants.is_empty());
    let expected = ["acme: it did not answer in time", "beta: it did not answer in time", "gone: it is suspended"];
    assert_eq!(missing(&silent), expected);
}

#[actix::test]
async fn operator_keys_are_written_once_privately() {
    let bench = Bench::start().await;
    let path = bench.root.path().join("operator.key");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    std::fs::remove_file(&path).unwrap();
    let keys = KeyService::open(&bench.root.path().join("keys"), &RootSource::File, &super::fixtures::here()).unwrap();
    let (journal, mut directory) = super::journal::opener(bench.vault(), &keys).unwrap()().unwrap();
    super::journal::ensure_operator_key(&journal, &mut directory, &path, 1).await.unwrap();
    assert!(!path.exists(), "an operator who put the key elsewhere keeps it");
    let appended = journal.append(&[some_entry()]).await.unwrap();
    assert!(appended.first > Position(0), "the operator's key stands in the journal");
}

#[test]
fn names_and_texts_cannot_break_out_of_yaml() {
    let mut file = super::fixtures::record("acme", super::fixtures::ACME);
    file.metadata.industry = "a\"\nid: 5 # \u{85}\u{2028}'\t{x}: [".to_owned();
    let text = templates::record(&file);
    assert_eq!(text.lines().filter(|line| line.starts_with("id:")).count(), 1);
    assert_eq!(super::fixtures::policy_of(&file).tenant.metadata.industry, file.metadata.industry);
}
