//! What is held stays as it is, and what has to go is taken out by the room itself, in the whole room.
use super::RetrievalRoom;
use super::erasing::{BY, Erasing};
use super::messages::*;
use super::test_house::{DAY_MS, House, Tenant, ids, named, policy};
use super::tests::hold_on;
use crate::entry::Entry;
use crate::erasures::messages::{AskErasure, CountOverdue, ErasureView, ListErasures, ShowErasure};
use actix::prelude::*;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::LegalHold;
use serde_json::json;
use std::sync::Arc;

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

/// For how long the room waits; nothing while it still looks.
#[derive(Message)]
#[rtype(result = "Option<Option<u64>>")]
struct NextDue;

impl Handler<NextDue> for RetrievalRoom {
    type Result = Option<Option<u64>>;

    fn handle(&mut self, _ask: NextDue, _ctx: &mut Context<Self>) -> Self::Result {
        match self.erasing {
            Erasing::Idle => Some(None),
            Erasing::Waiting { due_unix_ms, .. } => Some(Some(due_unix_ms)),
            Erasing::Looking { .. } => None,
        }
    }
}

impl Tenant {
    /// What the room waits for, once it has looked.
    async fn next_due(&self) -> Option<u64> {
        loop {
            if let Some(due) = self.room.send(NextDue).await.unwrap() {
                return due;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn adopt(&self, policy: PolicySnapshot) -> Option<u64> {
        self.room.send(AdoptRules(policy.into())).await.unwrap();
        self.next_due().await
    }

    /// Ids of the documents that are kept, in their order.
    async fn kept(&self) -> Vec<String> {
        let list =
            |reply| ListDocuments { after: None, limit: 1_000, principal: super::test_house::principal(), reply };
        let mut kept: Vec<String> = self.ask(list).await.unwrap().into_iter().map(|view| view.id).collect();
        kept.sort();
        kept
    }

    /// Ids of the documents that the journal says were removed, by whom and when.
    fn removed(&self) -> Vec<(String, String, u64)> {
        let mut removed = Vec::new();
        let visit = |_position, _hash, entry: Entry| {
            if let Entry::DocumentRemoved { id, at_unix_ms, by } = entry {
                removed.push((id, by, at_unix_ms));
            }
        };
        self.belongings.journal.replay(Position(0), visit).unwrap();
        removed
    }
}

/// The policy of the room's tests, under which documents end after so many days.
fn ending(days: u32, holds: &[LegalHold]) -> PolicySnapshot {
    let mut policy = held(holds);
    policy.sovereignty.retention.data_days_max = Some(days);
    policy
}

const BEGIN: u64 = 100 * DAY_MS;

#[actix::test]
async fn what_has_to_go_is_taken_out_and_what_is_held_or_young_stays() {
    let house = House::new();
    let holds = [hold_on("user-1")];
    let mut tenant = house.tenant(ending(10, &holds).into());
    assert_eq!(tenant.next_due().await, Some(BEGIN + 10 * DAY_MS), "nothing that may come is due before");
    tenant
        .ingest(vec![named("old", "The heron eats fish."), about("user-1", "held", "The heron flies.")])
        .await
        .unwrap();
    house.clock.advance(5 * DAY_MS);
    tenant.ingest(vec![named("young", "The heron sleeps.")]).await.unwrap();
    tenant.settle().await;
    house.clock.advance(5 * DAY_MS - 1);
    assert_eq!(tenant.adopt(ending(10, &holds)).await, Some(BEGIN + 10 * DAY_MS));
    assert_eq!(tenant.kept().await, ["held", "old", "young"]);

    house.clock.advance(1);
    assert_eq!(tenant.adopt(ending(10, &holds)).await, Some(BEGIN + 15 * DAY_MS));
    assert_eq!(tenant.kept().await, ["held", "young"]);
    assert_eq!(tenant.removed(), [("old".into(), BY.into(), BEGIN + 10 * DAY_MS)]);
    let mut found = ids(&tenant.search("heron").await).iter().map(ToString::to_string).collect::<Vec<_>>();
    found.sort();
    assert_eq!(found, ["held", "young"]);
    let body = super::rules::body_name("old", &super::rules::sha256_hex(b"The heron eats fish."));
    assert_eq!(tenant.belongings.journal.blob_get(&body).unwrap(), None);
}

#[actix::test]
async fn the_room_wakes_by_itself_when_the_next_is_due() {
    let house = House::new();
    let tenant = house.tenant(ending(1, &[]).into());
    tenant.ingest(vec![named("d1", "The heron eats fish.")]).await.unwrap();
    house.clock.advance(DAY_MS - 20);
    assert_eq!(tenant.adopt(ending(1, &[])).await, Some(BEGIN + DAY_MS));
    assert_eq!(tenant.kept().await, ["d1"]);
    house.clock.advance(20);
    while tenant.document("d1").await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(tenant.removed(), [("d1".into(), BY.into(), BEGIN + DAY_MS)]);
    assert_eq!(tenant.next_due().await, Some(BEGIN + 2 * DAY_MS), "it waits for what may come");
}

#[actix::test]
async fn a_hold_that_is_released_lets_the_erasure_go_on() {
    let house = House::new();
    let mut hold = hold_on("user-1");
    let tenant = house.tenant(ending(1, std::slice::from_ref(&hold)).into());
    tenant.ingest(vec![about("user-1", "d1", "The heron eats fish.")]).await.unwrap();
    house.clock.advance(3 * DAY_MS);
    assert_eq!(tenant.adopt(ending(1, std::slice::from_ref(&hold))).await, Some(BEGIN + 4 * DAY_MS));
    assert_eq!(tenant.kept().await, ["d1"]);
    let refused = tenant.remove("d1").await.unwrap_err();
    assert!(refused.detail.contains("legal hold case-7") && refused.detail.contains("data_days_max"), "{refused:?}");
    // a release that is still to come is what the room then waits for
    hold.released = Some(rfc3339(BEGIN + 3 * DAY_MS + 20));
    assert_eq!(tenant.adopt(ending(1, std::slice::from_ref(&hold))).await, Some(BEGIN + 3 * DAY_MS + 20));
    assert_eq!(tenant.kept().await, ["d1"]);
    house.clock.advance(20);
    while tenant.document("d1").await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(tenant.removed(), [("d1".into(), BY.into(), BEGIN + 3 * DAY_MS + 20)]);
}

#[actix::test]
async fn what_became_due_while_the_tenant_was_closed_goes_when_it_opens() {
    let mut house = House::new();
    let tenant = house.tenant(ending(1, &[]).into());
    let many: Vec<_> = (0..600).map(|number| named(&format!("d{number}"), &format!("Heron {number}."))).collect();
    tenant.ingest(many).await.unwrap();
    tenant.settle().await;
    house.clock.advance(DAY_MS / 2);
    tenant.ingest(vec![named("young", "The otter.")]).await.unwrap();
    tenant.kill().await;
    house.restart();
    house.clock.advance(DAY_MS / 2);
    let tenant = house.tenant(ending(1, &[]).into());
    assert_eq!(tenant.next_due().await, Some(BEGIN + DAY_MS + DAY_MS / 2));
    assert_eq!(tenant.kept().await, ["young"], "without a knock, over several portions");
    assert_eq!(tenant.removed().len(), 600);
}

#[actix::test]
async fn where_nothing_ends_nothing_is_looked_at() {
    let house = House::new();
    let tenant = house.tenant(policy().into());
    assert_eq!(tenant.next_due().await, None);
    tenant.ingest(vec![named("d1", "The heron eats fish.")]).await.unwrap();
    house.clock.advance(10_000 * DAY_MS);
    assert_eq!(tenant.adopt(policy()).await, None);
    assert_eq!(tenant.kept().await, ["d1"]);
    // an end that is taken back while the room waits for it is none
    assert_eq!(tenant.adopt(ending(20_000, &[])).await, Some(BEGIN + 20_000 * DAY_MS));
    assert_eq!(tenant.adopt(policy()).await, None);
}

#[actix::test]
async fn rules_that_come_while_the_room_looks_are_looked_at_too() {
    let house = House::new();
    let tenant = house.tenant(policy().into());
    tenant.ingest(vec![named("old", "The heron eats fish.")]).await.unwrap();
    house.clock.advance(2 * DAY_MS);
    tenant.ingest(vec![named("young", "The otter eats crabs.")]).await.unwrap();
    tenant.settle().await;
    house.clock.advance(2 * DAY_MS);
    // the look has found the old one, and waits at the gate to take it out
    let gate = Arc::clone(&tenant.desk.corpus.gate).lock_owned().await;
    tenant.room.send(AdoptRules(ending(3, &[]).into())).await.unwrap();
    let (of_the_corpus, of_the_test, of_the_look) = (1, 1, 1);
    while Arc::strong_count(&tenant.desk.corpus.gate) < of_the_corpus + of_the_test + of_the_look {
        tokio::task::yield_now().await;
    }
    tenant.room.send(AdoptRules(ending(2, &[]).into())).await.unwrap();
    drop(gate);
    assert_eq!(tenant.next_due().await, Some(BEGIN + 6 * DAY_MS));
    assert_eq!(tenant.kept().await, Vec::<String>::new());
}

#[actix::test]
async fn what_came_to_be_held_while_the_room_looked_stays() {
    let house = House::new();
    let tenant = house.tenant(policy().into());
    tenant.ingest(vec![about("user-1", "d1", "The heron eats fish."), named("d2", "The otter.")]).await.unwrap();
    tenant.settle().await;
    house.clock.advance(4 * DAY_MS);
    let gate = Arc::clone(&tenant.desk.corpus.gate).lock_owned().await;
    tenant.room.send(AdoptRules(ending(3, &[]).into())).await.unwrap();
    while Arc::strong_count(&tenant.desk.corpus.gate) < 3 {
        tokio::task::yield_now().await;
    }
    tenant.room.send(AdoptRules(ending(3, &[hold_on("user-1")]).into())).await.unwrap();
    drop(gate);
    tenant.next_due().await;
    assert_eq!(tenant.kept().await, ["d1"]);
}

impl Tenant {
    pub(super) async fn ask_erasure(&self, subject: &str) -> ErasureView {
        let wish = super::requests::of_subject(subject);
        self.ask(|reply| AskErasure { wish, principal: super::test_house::principal(), reply }).await.unwrap()
    }

    pub(super) async fn erasure(&self, id: &str) -> ErasureView {
        let id = id.to_owned();
        self.ask(|reply| ShowErasure { id, principal: super::test_house::principal(), reply }).await.unwrap()
    }

    pub(super) async fn erased(&self, id: &str) -> ErasureView {
        loop {
            let view = self.erasure(id).await;
            if view.state == "done" {
                return view;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[actix::test]
async fn what_is_asked_to_be_erased_goes_and_what_is_held_goes_when_it_is_released() {
    let house = House::new();
    let mut hold = hold_on("user-1");
    let mut tenant = house.tenant(held(std::slice::from_ref(&hold)).into());
    let documents = vec![
        about("user-1", "held", "The heron eats fish."),
        about("user-2", "free", "The heron flies."),
        about("user-3", "other", "The heron sleeps."),
    ];
    tenant.ingest(documents).await.unwrap();
    let asked = tenant.ask_erasure("user-2").await;
    let done = tenant.erased(&asked.id).await;
    assert_eq!((done.erased, done.kept_documents), (Some(1), 0));
    assert_eq!(tenant.kept().await, ["held", "other"]);
    assert_eq!(tenant.removed()[0].1, format!("erasure {}", asked.id));
    let text = serde_json::to_string(&done).unwrap();
    assert!(!text.contains("user-2"), "{text}");

    // held: it stays, both sides are named, and nobody has to come back to it
    let asked = tenant.ask_erasure("user-1").await;
    tenant.next_due().await;
    let open = tenant.erasure(&asked.id).await;
    assert_eq!((open.state.as_str(), open.kept_documents, open.kept[0].document_id.as_str()), ("open", 1, "held"));
    let reason = &open.kept[0].reason;
    assert!(reason.contains("legal hold case-7") && reason.contains(&format!("request {}", asked.id)), "{reason}");
    // a newer document about the same person is not meant
    house.clock.advance(1);
    tenant.ingest(vec![about("user-1", "later", "The heron is back.")]).await.unwrap();
    hold.released = Some(rfc3339(BEGIN + 1));
    tenant.room.send(AdoptRules(held(&[hold]).into())).await.unwrap();
    assert_eq!(tenant.erased(&asked.id).await.erased, Some(1));
    assert_eq!(tenant.kept().await, ["later", "other"]);
    tenant.settle().await;
    let mut found = ids(&tenant.search("heron").await).iter().map(ToString::to_string).collect::<Vec<_>>();
    found.sort();
    assert_eq!(found, ["later", "other"]);
    let nobody = tenant.ask_erasure("user-9").await;
    assert_eq!(tenant.erased(&nobody.id).await.erased, Some(0));
    let listed = |reply| ListErasures { after: None, limit: 9, principal: super::test_house::principal(), reply };
    assert_eq!(tenant.ask(listed).await.unwrap().len(), 3);
    // in the ledger before it is done, and by name nowhere
    let lines = house.ledger().lines().unwrap();
    assert!(lines.len() >= 6 && !format!("{lines:?}").contains("user-"), "{lines:?}");
}

#[actix::test]
async fn a_request_that_was_durable_is_carried_out_by_the_next_incarnation() {
    let house = House::new();
    let hold = hold_on("user-1");
    let tenant = house.tenant(held(std::slice::from_ref(&hold)).into());
    tenant.ingest(vec![about("user-1", "d1", "The heron eats fish.")]).await.unwrap();
    let asked = tenant.ask_erasure("user-1").await;
    tenant.next_due().await;
    tenant.kill().await;
    let tenant = house.tenant(policy().into());
    assert_eq!(tenant.erased(&asked.id).await.erased, Some(1));
    assert!(tenant.kept().await.is_empty());
}

#[actix::test]
async fn what_should_be_gone_and_is_still_there_is_counted() {
    let house = House::new();
    let holds = [hold_on("user-1")];
    let tenant = house.tenant(ending(10, &holds).into());
    tenant
        .ingest(vec![named("old", "The heron eats fish."), about("user-1", "held", "The heron flies.")])
        .await
        .unwrap();
    tenant.settle().await;
    let overdue = async |tenant: &Tenant| tenant.ask(|reply| CountOverdue { reply }).await.unwrap();
    // the clock is moved under a room that waits: it does not look
    house.clock.advance(10 * DAY_MS);
    assert_eq!(overdue(&tenant).await, 0, "a look may still come");
    house.clock.advance(120_000);
    assert_eq!(overdue(&tenant).await, 1, "what is held is not overdue");
    tenant.adopt(ending(10, &holds)).await;
    assert_eq!(overdue(&tenant).await, 0);
    assert_eq!(tenant.kept().await, ["held"]);
}
