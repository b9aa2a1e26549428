//! What is held stays as it is, in the whole room.
use super::messages::*;
use super::test_house::{DAY_MS, House, named, policy};
use super::tests::hold_on;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::LegalHold;
use serde_json::json;

/// The policy of the room's tests with legal holds.
fn held(holds: &[LegalHold]) -> PolicySnapshot {
    let mut policy = policy();
    policy.governance.legal_holds = holds.to_vec();
    policy
}

fn about(subject: &str, id: &str, body: &str) -> NewDocument {
    NewDocument { metadata: Some(json!({ "subject": subject })), ..named(id, body) }
}

#[actix::test]
async fn a_held_document_is_neither_removed_nor_replaced_until_it_is_released() {
    let house = House::new();
    let mut hold = hold_on("user-1");
    let tenant = house.tenant(held(std::slice::from_ref(&hold)).into());
    let taken = tenant
        .ingest(vec![about("user-1", "d1", "The heron eats fish."), about("user-2", "d2", "The otter eats crabs.")])
        .await
        .unwrap();
    assert!(taken.iter().all(|one| one.code.is_none()), "{taken:?}");

    let refused = tenant.remove("d1").await.unwrap_err();
    assert_eq!(refused.code, Code::RetentionViolation);
    assert!(refused.detail.contains("legal hold case-7 (Smith v. Acme)"), "{}", refused.detail);
    let replaced = tenant.ingest(vec![named("d1", "The heron eats frogs."), named("d2", "The otter swims.")]).await;
    let codes: Vec<_> = replaced.unwrap().into_iter().map(|one| one.code).collect();
    assert_eq!(codes, [Some(Code::RetentionViolation), None], "a document that is not held goes its way");
    assert_eq!(tenant.document("d1").await.unwrap().1, "The heron eats fish.");
    let again = tenant.ingest(vec![about("user-1", "d1", "The heron eats fish.")]).await.unwrap();
    assert_eq!(again[0].state, DocumentState::Unchanged);
    // two versions in one request: the first one is held from the moment it is there
    let both = vec![about("user-1", "d3", "The first version."), about("user-1", "d3", "The second version.")];
    let codes: Vec<_> = tenant.ingest(both).await.unwrap().into_iter().map(|one| one.code).collect();
    assert_eq!(codes, [None, Some(Code::RetentionViolation)]);
    assert_eq!(tenant.document("d3").await.unwrap().1, "The first version.");

    hold.released = Some(rfc3339(101 * DAY_MS));
    tenant.room.send(AdoptRules(held(&[hold]).into())).await.unwrap();
    assert_eq!(tenant.remove("d1").await.unwrap_err().code, Code::RetentionViolation);
    house.clock.advance(DAY_MS);
    tenant.remove("d1").await.unwrap();
    assert_eq!(tenant.document("d1").await.unwrap_err().code, Code::NotFound);
}
