//! The verifier against a real journal, and against everything somebody who keeps it could do to it.
use super::forms::{EXPORT, Header, Receipt, ShownRecord, SignedHead};
use super::messages::{ReadHead, ReadReceipt, ShowRecords};
use super::verifier::{self, Export, Exported, Grounds, Unverified};
use crate::entry::Entry;
use crate::question::Reply;
use crate::supervisor::fixtures::*;
use crate::supervisor::messages::GiveFeedback;
use bailiwick_kernel::outcome::Code;
use base64ct::{Base64, Encoding};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

pub(super) const TAMPERINGS: u64 = 100_000;

/// An export, in memory.
#[derive(Clone)]
pub(super) struct File {
    pub(super) header: Header,
    pub(super) records: Vec<ShownRecord>,
}

impl File {
    fn verified(&self, key: &str, earlier: Option<&str>) -> Result<Exported, Unverified> {
        let mut export = Export::begin(&self.header, Some(key), earlier)?;
        self.records.iter().try_for_each(|record| export.record(record).map(drop))?;
        export.end()
    }
}

async fn head(tenant: &Tenant, since: Option<u64>) -> SignedHead {
    tenant.told(|reply| ReadHead { since, reply }).await.unwrap()
}

pub(super) async fn exported(tenant: &Tenant) -> (File, String) {
    let head = head(tenant, None).await;
    let (size, key) = (head.size, head.verifier_key.clone());
    let mut records = Vec::new();
    while u64::try_from(records.len()).unwrap() < size {
        let from = u64::try_from(records.len()).unwrap();
        let show = |reply| ShowRecords { from, max: 7, principal: principal(), reply };
        records.extend(tenant.told(show).await.unwrap());
    }
    records.truncate(usize::try_from(size).unwrap());
    (File { header: head.header(EXPORT), records }, key)
}

async fn receipt(tenant: &Tenant, query_id: &str) -> Receipt {
    let read = |reply| ReadReceipt { query_id: query_id.to_owned(), principal: principal(), reply };
    tenant.told(read).await.unwrap()
}

/// A tenant that has answered, refused, judged and taken documents in; with the ids of its answers.
pub(super) async fn at_work(stage: &Stage, number: u128) -> (Tenant, Vec<String>) {
    let policy = policy("default", metered);
    let documents =
        (0..3).map(|number| document(&format!("d{number}"), &format!("The codeword of {number} is heron.")));
    let tenant = stage.start(number, &policy).with_documents(documents.collect()).await;
    stage.meter.release(100);
    let mut answers = Vec::new();
    for number in 0..8 {
        let matter =
            if number % 3 == 2 { chat("hello") } else { question(&format!("What is the codeword of {number}?")) };
        match tenant.knock(matter).reply().await.unwrap() {
            Reply::Answer(answer) => answers.push(answer.query_id),
            Reply::Completion(completion) => answers.push(completion.query_id),
            Reply::Hits(_) => panic!("an answer"),
        }
    }
    let query_id = answers[0].clone();
    let judge = |reply| GiveFeedback {
        query_id,
        up: true,
        comment: None,
        correct_answer: None,
        rejected: Vec::new(),
        principal: principal(),
        reply,
    };
    tenant.told(judge).await.unwrap();
    (tenant, answers)
}

/// Of the passage the metered model repeats, without its marker.
fn digest_of(answer: &str) -> Option<String> {
    Some(hex::encode(crate::digest::sha256(answer.trim_end_matches(" [1]").as_bytes())))
}

#[actix_rt::test]
async fn every_answer_is_proved_to_somebody_who_has_nothing_but_a_key() {
    let stage = Stage::new();
    let (tenant, answers) = at_work(&stage, 1).await;
    let key = head(&tenant, None).await.verifier_key;
    let mut charged = 0;
    for query_id in &answers {
        let receipt = receipt(&tenant, query_id).await;
        let written: Receipt = serde_json::from_str(&serde_json::to_string(&receipt).unwrap()).unwrap();
        let proved = verifier::receipt(&written, Some(&key)).unwrap();
        assert_eq!(&proved.answer.query_id, query_id);
        let entries = tenant.entries();
        let Entry::AnswerRecorded(recorded) = &entries[usize::try_from(proved.position).unwrap()] else {
            panic!("an answer")
        };
        assert_eq!(recorded.usage, proved.answer.usage);
        charged += proved.answer.usage.cost.0;
        let chunks: Vec<_> = proved.chunks().map(|(chunk, digest)| (chunk.source_id.clone(), digest)).collect();
        let expected = if recorded.kind == "ask" { vec![("d", digest_of(&proved.answer.answer))] } else { vec![] };
        assert_eq!(chunks.iter().map(|(id, chunk)| (&id[..1], chunk.sha256.clone())).collect::<Vec<_>>(), expected);
        for (id, chunk) in &chunks {
            let accepted = &entries[usize::try_from(chunk.version.unwrap()).unwrap()];
            assert!(matches!(accepted, Entry::DocumentAccepted(accepted) if accepted.id == *id), "{accepted:?}");
        }
        let policy = super::super::supervisor::fixtures::policy("default", metered);
        assert_eq!(proved.policy_digest(), Some(policy.digest.as_str()));
        assert_eq!(proved.key_version, Some(1));
        let Grounds::Whole(grounded) = &proved.grounds else { panic!("{:?}", proved.grounds) };
        assert_eq!(usize::try_from(grounded.records).unwrap(), receipt.records.len());
        assert!(!grounded.permitted_by.is_empty(), "{grounded:?}");
        assert_eq!(recorded.usage.cost.saturating_sub(grounded.held), recorded.overrun);
        let flags: Vec<_> = grounded.flags.iter().map(|said| said.flag.as_str()).collect();
        assert_eq!(flags, policy.features.features.keys().collect::<Vec<_>>());
        assert!(!flags.is_empty());
    }
    let (file, key) = exported(&tenant).await;
    let whole = file.verified(&key, None).unwrap();
    assert_eq!((whole.head.answers, whole.head.charged_nano_usd, whole.unshown), (8, charged, 0));
    let unknown = |reply| ReadReceipt { query_id: uuid::Uuid::from_u128(7).to_string(), principal: principal(), reply };
    assert_eq!(tenant.told(unknown).await.unwrap_err().code, Code::NotFound);
}

#[actix_rt::test]
async fn an_answer_of_many_records_is_proved_whole() {
    let stage = Stage::new();
    let words = "heron ".repeat(9_000);
    let tenant = stage.start(1, &policy("default", metered)).with_documents(vec![document("long", &words)]).await;
    stage.meter.release(9);
    let Reply::Answer(answer) = tenant.knock(question("heron?")).reply().await.unwrap() else { panic!("an answer") };
    let receipt = receipt(&tenant, &answer.query_id).await;
    let proved = verifier::receipt(&receipt, Some(&receipt.header.verifier_key)).unwrap();
    assert_eq!(proved.answer.answer, answer.answer);
    let count = receipt.records.len();
    assert!(count > 2, "what rules knew stands behind it");
    for at in 0..count - 1 {
        let mut fewer = receipt.clone();
        fewer.records.remove(at);
        assert!(verifier::receipt(&fewer, None).is_err(), "without record {at}");
    }
    // without the last one it is as one of an earlier build, and says so
    let last = Receipt { records: receipt.records[..count - 1].to_vec(), ..receipt };
    assert_eq!(verifier::receipt(&last, None).unwrap().grounds, Grounds::Unsaid);
}

#[actix_rt::test]
async fn no_receipt_proves_anything_else_than_what_was_recorded() {
    let stage = Stage::new();
    let (tenant, answers) = at_work(&stage, 1).await;
    let (other, others) = at_work(&stage, 2).await;
    let key = head(&tenant, None).await.verifier_key;
    let (own, foreign) = (receipt(&tenant, &answers[0]).await, receipt(&other, &others[0]).await);
    let second = receipt(&tenant, &answers[1]).await;
    assert!(verifier::receipt(&own, Some(&key)).is_ok());
    let refused = |receipt: &Receipt| assert!(verifier::receipt(receipt, Some(&key)).is_err(), "{receipt:#?}");
    refused(&foreign);
    refused(&Receipt { header: own.header.clone(), records: foreign.records.clone() });
    refused(&Receipt { header: foreign.header.clone(), records: own.records.clone() });
    let both = own.records.iter().chain(&second.records).cloned().collect();
    refused(&Receipt { header: own.header.clone(), records: both });
    refused(&Receipt { header: own.header.clone(), records: Vec::new() });
    let mut relabelled = own.clone();
    relabelled.header.tenant_key = foreign.header.tenant_key.clone();
    refused(&relabelled);
    let mut elsewhere = own.clone();
    elsewhere.records[0].position += 1;
    refused(&elsewhere);
    let mut of_the_second = own.clone();
    of_the_second.records[0].key = second.records[0].key.clone();
    refused(&of_the_second);
    let mut unopened = own.clone();
    unopened.records[0].key = None;
    refused(&unopened);
    // without a key of one's own it only shows that it is whole
    assert!(verifier::receipt(&foreign, None).is_ok());
}

fn flipped(text: &str, dice: &mut StdRng) -> String {
    let mut bytes = Base64::decode_vec(text).unwrap();
    let at = dice.random_range(0..bytes.len());
    bytes[at] ^= 1 << dice.random_range(0..8);
    Base64::encode_string(&bytes)
}

fn flipped_hex(text: &str, dice: &mut StdRng) -> String {
    let mut bytes = hex::decode(text).unwrap();
    let at = dice.random_range(0..bytes.len());
    bytes[at] ^= 1 << dice.random_range(0..8);
    hex::encode(bytes)
}

/// One thing somebody who keeps a journal could do to it; its name.
fn tampered(file: &mut File, other: &File, forked: &File, dice: &mut StdRng) -> &'static str {
    let count = file.records.len();
    let at = dice.random_range(0..count);
    let picked = |records: &[ShownRecord], dice: &mut StdRng| records.choose(dice).unwrap().clone();
    match dice.random_range(0..12) {
        0 => {
            file.records[at].payload = flipped(&file.records[at].payload, dice);
            "edited"
        }
        1 => {
            file.records[at].key = file.records[at].key.as_deref().map(|key| flipped_hex(key, dice));
            "another key"
        }
        2 => {
            file.records[at].previous = flipped_hex(&file.records[at].previous, dice);
            "another record before it"
        }
        3 => {
            file.records[at].epoch ^= 1 << dice.random_range(0..8);
            "another owner"
        }
        4 => {
            file.records.remove(at);
            for record in &mut file.records[at..] {
                record.position -= 1;
            }
            "deleted"
        }
        5 => {
            let copy = picked(&file.records, dice);
            file.records.insert(at, copy);
            for (position, record) in (0..).zip(&mut file.records) {
                record.position = position;
            }
            "inserted"
        }
        6 => {
            let to = (at + 1 + dice.random_range(0..count - 1)) % count;
            file.records.swap(at, to);
            "exchanged"
        }
        7 => {
            file.records.truncate(at);
            "cut"
        }
        8 => {
            let copy = picked(&other.records, dice);
            file.records[at] = ShownRecord { position: file.records[at].position, ..copy };
            "another journal's record"
        }
        9 => {
            let same = file.records.iter().zip(&forked.records).take_while(|(own, fork)| own == fork).count();
            file.records.splice(same.., forked.records[same..].iter().cloned());
            "forked"
        }
        10 => {
            file.records.shuffle(dice);
            if file.records.is_sorted_by_key(|record| record.position) {
                file.records.reverse();
            }
            "shuffled"
        }
        _ => {
            file.header.checkpoint = other.header.checkpoint.clone();
            "another journal's head"
        }
    }
}

#[actix_rt::test]
async fn whatever_is_done_to_a_journal_is_found() {
    let (stage, elsewhere) = (Stage::new(), Stage::new());
    let (tenant, _) = at_work(&stage, 1).await;
    let (other, _) = at_work(&stage, 2).await;
    // the same tenant on a copy of the node that went its own way
    let (fork, _) = at_work(&elsewhere, 1).await;
    let ((file, key), (other, _), (forked, _)) =
        (exported(&tenant).await, exported(&other).await, exported(&fork).await);
    assert!(file.verified(&key, None).is_ok());
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..TAMPERINGS {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut copy = file.clone();
        let how = tampered(&mut copy, &other, &forked, &mut dice);
        assert!(copy.verified(&key, None).is_err(), "seed {seed}: {how} and not found");
        *seen.entry(how).or_insert(0_u32) += 1;
    }
    println!("{TAMPERINGS} tamperings of a journal of {} records, all found: {seen:?}", file.records.len());
    assert!(seen.len() == 12 && seen.values().all(|count| *count > 1_000), "{seen:?}");
}

#[actix_rt::test]
async fn a_journal_that_was_cut_or_written_anew_is_found_by_an_earlier_head() {
    let (stage, elsewhere) = (Stage::new(), Stage::new());
    let (tenant, answers) = at_work(&stage, 1).await;
    let (before, (cut, _)) = (head(&tenant, None).await, exported(&tenant).await);
    tenant.knock(chat("more")).reply().await.unwrap();
    let after = head(&tenant, Some(before.size)).await;
    assert!(after.size > before.size && after.consistency.is_some());
    let (file, key) = exported(&tenant).await;
    assert!(file.verified(&key, Some(&before.checkpoint)).is_ok());
    // an older state, signed when it was the newest: the chain holds, the later head tells
    assert!(cut.verified(&key, None).is_ok());
    let told = cut.verified(&key, Some(&after.checkpoint)).unwrap_err().to_string();
    assert!(told.contains("records that were signed for before are gone"), "{told}");
    // the keeper signs another history with the tenant's own key
    let (fork, _) = at_work(&elsewhere, 1).await;
    let (forked, _) = exported(&fork).await;
    assert!(forked.verified(&key, None).is_ok(), "by itself it is a journal like another");
    let told = forked.verified(&key, Some(&before.checkpoint)).unwrap_err().to_string();
    assert!(told.contains("written anew"), "{told}");
    // what was proved before the journal grew stays proved
    assert!(verifier::receipt(&receipt(&tenant, &answers[0]).await, Some(&key)).is_ok());
    for since in [0, after.size + 1_000] {
        let read = |reply| ReadHead { since: Some(since), reply };
        assert_eq!(tenant.told(read).await.unwrap_err().code, Code::InvalidRequest);
    }
}

#[actix_rt::test]
async fn the_tree_is_the_same_after_a_restart_and_where_it_is_reckoned_anew() {
    let stage = Stage::new();
    let (tenant, answers) = at_work(&stage, 1).await;
    let before = head(&tenant, None).await;
    tenant.close().await;
    let tenant = stage.start(1, &policy("default", metered));
    let after = head(&tenant, Some(before.size)).await;
    let roots = |head: &SignedHead| {
        bailiwick_kernel::transparency::checkpoint::read(&head.checkpoint, &head.verifier_key).unwrap()
    };
    let (old, new) = (roots(&before), roots(&after));
    let proof = super::forms::hashes(after.consistency.as_deref().unwrap()).unwrap();
    bailiwick_kernel::transparency::tree::check_consistency(&proof, (new.size, new.root), (old.size, old.root))
        .unwrap();
    tenant.shelf("derived").clear().unwrap();
    tenant.close().await;
    let tenant = stage.start(1, &policy("default", metered));
    let anew = head(&tenant, Some(before.size)).await;
    let proof = super::forms::hashes(anew.consistency.as_deref().unwrap()).unwrap();
    let anew = roots(&anew);
    bailiwick_kernel::transparency::tree::check_consistency(&proof, (anew.size, anew.root), (old.size, old.root))
        .unwrap();
    assert!(verifier::receipt(&receipt(&tenant, &answers[0]).await, None).is_ok());
}

#[test]
fn what_earlier_builds_wrote_of_an_answer_is_read() {
    use crate::entry::PassagesCited;
    use bailiwick_kernel::codec;
    let written = [[1, 25, 1, b'q', 1].as_slice(), &[7; 32], &[1, b'd']].concat();
    let cited = PassagesCited { query_id: "q".into(), sha256: vec![[7; 32]], policy_digest: "d".into() };
    assert_eq!(codec::decode::<Entry>(&written).unwrap(), Entry::PassagesCited(Box::new(cited)));
}
