//! Heads that go out, and heads that are taken in by another tenant: only such as go on from the one before.
use super::super::extension::{Broken, Taken, goes_on};
use super::super::forms::{CHECKPOINT, SignedHead};
use super::super::messages::{PublishHead, ReadTaken, ReadWitness, WitnessHead};
use super::super::tests::at_work;
use super::*;
use crate::supervisor::fixtures::*;
use bailiwick_kernel::outcome::{Code, Outcome};

async fn published(tenant: &Tenant, since: Option<u64>) -> SignedHead {
    let region = "local".to_owned();
    tenant.told(|reply| PublishHead { since, region, reply }).await.unwrap().head
}

/// A head of a history that went another way, of more records than this.
async fn forked(fork: &Tenant, beyond: u64) -> SignedHead {
    while published(fork, None).await.size <= beyond {
        fork.knock(chat("more")).reply().await.unwrap();
    }
    published(fork, Some(beyond)).await
}

async fn take(witness: &Tenant, head: &SignedHead) -> Outcome<u64> {
    let head = head.clone();
    witness.told(|reply| WitnessHead { head, reply }).await
}

fn line(head: SignedHead, since: Option<u64>) -> PublishedHead {
    PublishedHead { format: CHECKPOINT.to_owned(), head, since }
}

#[actix_rt::test]
async fn a_witness_takes_in_what_goes_on_and_nothing_else_and_shows_it_to_anybody() {
    let (stage, elsewhere) = (Stage::new(), Stage::new());
    let (tenant, _) = at_work(&stage, 1).await;
    let (fork, _) = at_work(&elsewhere, 1).await;
    let (witness, _) = at_work(&stage, 2).await;
    let first = published(&tenant, None).await;
    let at = take(&witness, &first).await.unwrap();
    assert_eq!(take(&witness, &first).await.unwrap(), at, "the same again is no new record");
    tenant.knock(chat("more")).reply().await.unwrap();
    let second = published(&tenant, Some(first.size)).await;
    // without the proof, of another history, of the same length with other records, and back to what it was
    let bare = SignedHead { consistency: None, ..second.clone() };
    let other_past = published(&fork, None).await;
    for wrong in [&bare, &other_past, &forked(&fork, first.size).await] {
        assert_eq!(take(&witness, wrong).await.unwrap_err().code, Code::Conflict, "{wrong:?}");
    }
    let on = take(&witness, &second).await.unwrap();
    assert!(on > at);
    assert_eq!(take(&witness, &first).await.unwrap_err().code, Code::Conflict, "never back");
    let journal = first.tenant_key.clone();
    let about = journal.clone();
    let taken = witness.told(|reply| ReadTaken { journal: about, reply }).await.unwrap().unwrap();
    assert_eq!(taken, Taken::from(&second));
    // what an outsider is given: a file and the witness's key
    let about = journal.clone();
    let shown = witness.told(|reply| ReadWitness { journal: about, principal: principal(), reply }).await.unwrap();
    let proved = witnessed(&shown, Some(&shown.header.verifier_key)).unwrap();
    assert_eq!((proved.position, proved.head.size, &proved.head.tenant), (on, second.size, &journal));
    assert!(witnessed(&shown, Some(&second.verifier_key)).is_err(), "signed by the tenant it is about");
    let mut edited = shown.clone();
    edited.records[0].position = at;
    assert!(witnessed(&edited, None).is_err());
    let nobody = Receipt { records: Vec::new(), ..shown };
    assert!(witnessed(&nobody, None).is_err());
    let unknown = |reply| ReadWitness { journal: "00".repeat(16), principal: principal(), reply };
    assert_eq!(witness.told(unknown).await.unwrap_err().code, Code::NotFound);
    // it is in the journal: a restart and a fold from nothing know it
    witness.close().await;
    let witness = stage.start(2, &policy("default", metered));
    let taken = witness.told(|reply| ReadTaken { journal, reply }).await.unwrap().unwrap();
    assert_eq!(taken, Taken::from(&second));
}

#[actix_rt::test]
async fn published_heads_go_on_from_each_other_or_are_found_out() {
    let (stage, elsewhere) = (Stage::new(), Stage::new());
    let (tenant, _) = at_work(&stage, 1).await;
    let (fork, _) = at_work(&elsewhere, 1).await;
    let first = published(&tenant, None).await;
    tenant.knock(chat("more")).reply().await.unwrap();
    let second = published(&tenant, Some(first.size)).await;
    let key = first.verifier_key.clone();
    let told = |lines: &[PublishedHead]| {
        let mut heads = Published::default();
        lines.iter().try_for_each(|line| heads.head(line, Some(&key)))?;
        Ok::<_, Broken>(heads.end())
    };
    let (one, two) = (line(first.clone(), None), line(second.clone(), Some(first.size)));
    let (count, newest) = told(&[one.clone(), two.clone()]).unwrap().unwrap();
    assert_eq!((count, newest.size), (2, second.size));
    assert_eq!(told(&[]).unwrap(), None);
    assert!(matches!(told(&[two.clone(), one.clone()]), Err(Broken::Shorter { .. })));
    let forked = line(forked(&fork, first.size).await, Some(first.size));
    assert!(matches!(told(&[one.clone(), forked]), Err(Broken::Forked { .. })));
    let relabelled = SignedHead { size: second.size + 1, ..second.clone() };
    assert_eq!(goes_on(None, &relabelled).unwrap_err(), Broken::AnotherJournal);
    let (other, _) = at_work(&stage, 2).await;
    let others = line(published(&other, None).await, None);
    assert_eq!(told(std::slice::from_ref(&others)).unwrap_err(), Broken::AnotherKey);
    let mut unnamed = Published::default();
    unnamed.head(&one, None).unwrap();
    assert_eq!(unnamed.head(&others, None).unwrap_err(), Broken::AnotherKey, "one file, one journal");
}

#[actix_rt::test]
async fn a_head_goes_only_where_the_lists_of_its_tenant_allow() {
    let stage = Stage::new();
    let (tenant, _) = at_work(&stage, 1).await;
    let region = "cn-north-1".to_owned();
    let refused = tenant.told(|reply| PublishHead { since: None, region, reply }).await.unwrap_err();
    assert_eq!(refused.code, Code::SovereigntyViolation);
    assert!(refused.detail.contains("publishing a signed head"), "{refused}");
    let region = "local".to_owned();
    let ahead = tenant.told(|reply| PublishHead { since: Some(1_000_000), region, reply }).await.unwrap_err();
    assert_eq!(ahead.code, Code::InvalidRequest, "it never had so many records");
}
