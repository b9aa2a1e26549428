//! A tenant's keys as the registry has them: made anew and written down, withheld and given back, nobody else disturbed.
use super::bench::Bench;
use super::encryption::{KeyIsDue, KeyRules, KeyStanding, ReadKeyRules};
use super::entry::Entry;
use crate::kms::rules::Rotation;
use bailiwick_kernel::ids::{Position, TenantKey};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Role;
use std::time::Duration;

const OPERATIONS: usize = 200;

fn code<T>(outcome: Outcome<T>) -> Code {
    outcome.map(|_| ()).unwrap_err().code
}

async fn rules(bench: &Bench) -> Vec<KeyRules> {
    let (reply, awaited) = ReplySlot::pair();
    bench.registry.send(ReadKeyRules { reply }).await.unwrap();
    awaited.outcome().await.unwrap()
}

async fn key_of(bench: &Bench, name: &str) -> TenantKey {
    let id = bench.fleet().await.get(name.into()).await.unwrap().record.id;
    rules(bench).await.into_iter().map(|rule| rule.tenant).find(|key| key.to_hex() == id.simple().to_string()).unwrap()
}

/// What stands of keys in the control journal.
fn entries(bench: &Bench) -> Vec<Entry> {
    let mut found = Vec::new();
    let is_of_keys = |entry: &Entry| {
        matches!(entry, Entry::TenantKeyMade { .. } | Entry::TenantSealed { .. } | Entry::TenantUnsealed { .. })
    };
    bench.journal.replay(Position(0), |_, _, entry: Entry| found.extend(Some(entry).filter(is_of_keys))).unwrap();
    found
}

/// Waits until the registry has written something down.
async fn until(bench: &Bench, count: usize) -> Vec<Entry> {
    let waited = async {
        loop {
            let found = entries(bench);
            if found.len() >= count {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waited).await.unwrap()
}

#[actix::test]
async fn a_key_made_on_demand_stands_in_the_journal_before_it_is_told() {
    let bench = Bench::start().await;
    let acme = bench.create("acme").await;
    let governing = bench.door.govern(bench.as_operator(Some("acme"))).await.unwrap();
    assert_eq!(governing.encryption().await.unwrap().version, 1);
    let view = governing.rotate_encryption().await.unwrap();
    assert_eq!((view.version, view.versions.len(), view.rotation_days), (2, 2, None));
    let by = governing.principal().key_id.clone();
    let found = entries(&bench);
    assert!(
        matches!(&found[..], [Entry::TenantKeyMade { id, version: 2, kms_key_id: None, by: who, .. }]
            if *id == acme.record.id && *who == by),
        "{found:?}"
    );
    // by age it is written down as well, and what fails or is not due is not
    let tenant = key_of(&bench, "acme").await;
    *bench.probes.fails.lock().unwrap() = Some(Rejection::new(Code::Conflict, "full"));
    assert_eq!(code(governing.rotate_encryption().await), Code::Conflict);
    bench.registry.send(KeyIsDue { tenant, rotation: Rotation::OfAnotherHolder }).await.unwrap();
    bench.registry.send(KeyIsDue { tenant, rotation: Rotation::OlderThanDays(90) }).await.unwrap();
    let found = until(&bench, 2).await;
    assert!(matches!(&found[1], Entry::TenantKeyMade { version: 3, by, .. } if by == "key_rotation_days"), "{found:?}");
    // an owner may, an auditor may not
    let (_, owner) = bench.key("acme", Role::Owner).await;
    let (_, auditor) = bench.key("acme", Role::Auditor).await;
    assert!(bench.door.govern(owner).await.is_ok());
    assert_eq!(code(bench.door.govern(auditor).await), Code::Forbidden);
}

#[actix::test]
async fn a_tenant_whose_key_is_withheld_lets_nobody_in_and_its_neighbour_notices_nothing() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    bench.create("beta").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    let (_, neighbours) = bench.key("beta", Role::Owner).await;
    let (old, beside) =
        (bench.door.audit(claim.clone()).await.unwrap(), bench.door.audit(neighbours.clone()).await.unwrap());
    let tenant = key_of(&bench, "acme").await;
    bench.registry.send(KeyStanding { tenant, withheld: Some("it is disabled".to_owned()) }).await.unwrap();
    for _ in 0..OPERATIONS {
        assert_eq!(code(bench.door.ask(claim.clone()).await), Code::TenantSealed);
        assert!(bench.door.ask(neighbours.clone()).await.is_ok());
        assert!(beside.policy().await.is_ok());
    }
    assert_eq!(code(bench.door.audit(bench.as_operator(Some("acme"))).await), Code::TenantSealed, "nor the operator");
    assert_eq!(code(old.policy().await), Code::Lost, "old handles fail closed");
    let view = bench.fleet().await.get("acme".into()).await.unwrap();
    assert_eq!((view.state.as_str(), view.reason.as_deref()), ("sealed", Some("it is disabled")));
    assert!(rules(&bench).await.iter().any(|rule| rule.tenant == tenant && rule.is_sealed && !rule.is_open));
    let withdrawn = async {
        while bench.probes.withdrawn.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), withdrawn).await.unwrap();
    assert_eq!(*bench.probes.withdrawn.lock().unwrap(), [tenant]);
    // resuming is for quarantines: it gives no key back
    bench.fleet().await.resume("acme".into()).await.unwrap();
    assert_eq!(code(bench.door.ask(claim.clone()).await), Code::TenantSealed);

    bench.registry.send(KeyStanding { tenant, withheld: None }).await.unwrap();
    assert!(bench.door.ask(claim.clone()).await.is_ok());
    assert_eq!(bench.fleet().await.get("acme".into()).await.unwrap().state, "serving");
    let found = until(&bench, 2).await;
    assert!(matches!(&found[..], [Entry::TenantSealed { .. }, Entry::TenantUnsealed { .. }]), "{found:?}");
}

#[actix::test]
async fn a_tenant_that_cannot_be_opened_for_want_of_its_key_is_sealed_and_not_quarantined() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Owner).await;
    bench.fleet().await.suspend("acme".into(), String::new()).await.unwrap();
    *bench.probes.fails.lock().unwrap() = Some(Rejection::new(Code::TenantSealed, "withheld"));
    bench.fleet().await.resume("acme".into()).await.unwrap();
    assert_eq!(code(bench.door.ask(claim.clone()).await), Code::TenantSealed);
    assert_eq!(bench.fleet().await.get("acme".into()).await.unwrap().state, "sealed");
    let tenant = key_of(&bench, "acme").await;
    bench.registry.send(KeyStanding { tenant, withheld: None }).await.unwrap();
    assert!(bench.door.ask(claim).await.is_ok());
}
