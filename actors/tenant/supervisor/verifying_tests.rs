//! What reading the journal once more finds, and what it does not read again.
use super::{Reached, WHOLE_AFTER_MS, begin, read_on};
use crate::entry::Entry;
use crate::proofs::messages::VerifyJournal;
use crate::supervisor::fixtures::{NOW, Stage, belongings_of, policy};
use bailiwick_kernel::fabric::chain::Head;
use bailiwick_kernel::ids::Position;

#[actix_rt::test]
async fn a_journal_that_does_not_lead_to_its_head_is_found() {
    let (_folder, own) = belongings_of(1);
    let journal = own.journal.clone();
    for number in 0..600 {
        journal.append(&[Entry::EscrowReturned { at_unix_ms: NOW + number }]).await.unwrap();
    }
    let whole = begin(None, &journal, NOW);
    let (reached, problem) = read_on(&journal, whole, 600);
    assert_eq!((reached.head.next, problem), (Position(600), None));
    assert_eq!(reached.head.hash, journal.portion::<Entry>(Position(599), 1).unwrap()[0].1);
    let (_, problem) = read_on(&journal, whole, 601);
    assert_eq!(problem.as_deref(), Some("there is no record 600 of 601"), "cut off");
    // what stood before was another record, or the journal is another one's
    let forged = Reached { head: Head { next: Position(5), hash: [7; 32] }, whole_unix_ms: NOW };
    let (stopped, problem) = read_on(&journal, forged, 600);
    assert_eq!(problem.as_deref(), Some("record 5 does not follow the one before it"));
    assert_eq!(stopped.head.next, Position(5));
}

#[actix_rt::test]
async fn a_day_later_the_first_record_is_read_again() {
    let (_folder, own) = belongings_of(1);
    own.journal.append(&[Entry::EscrowReturned { at_unix_ms: NOW }]).await.unwrap();
    let (reached, _) = read_on(&own.journal, begin(None, &own.journal, NOW), 1);
    assert_eq!(begin(Some(reached), &own.journal, NOW + WHOLE_AFTER_MS - 1).head.next, Position(1));
    let again = begin(Some(reached), &own.journal, NOW + WHOLE_AFTER_MS);
    assert_eq!((again.head.next, again.whole_unix_ms), (Position(0), NOW + WHOLE_AFTER_MS));
}

#[actix_rt::test]
async fn a_tenant_says_how_far_its_journal_was_read() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", |_| {}));
    let read = tenant.told(|reply| VerifyJournal { reply }).await.unwrap();
    assert_eq!((read.records, read.problem, read.whole_unix_ms), (read.head, None, NOW));
    assert!(read.head > 0, "a policy was adopted");
    tenant.journal().append(&[Entry::EscrowReturned { at_unix_ms: NOW }]).await.unwrap();
    let after = tenant.told(|reply| VerifyJournal { reply }).await.unwrap();
    assert_eq!((after.records, after.problem), (read.head + 1, None));
}
