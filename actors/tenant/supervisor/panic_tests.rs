//! The bar of supervision: a thousand random panics in one tenant's rooms under load, and no other tenant notices.
use super::fixtures::*;
use super::messages::Event;
use super::rooms::KINDS;
use crate::entry::Entry;
use crate::question::Reply;
use bailiwick_kernel::outcome::Code;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tokio::sync::watch;

/// Panics of the run; `BAILIWICK_PANICS` for longer or shorter ones.
const PANICS: u32 = 1_000;
const SEED: u64 = 0x5eed;
/// Milliseconds of the tenant's own time between two panics: fewer within the window than its restart budget has.
const BETWEEN_MS: u64 = 400;
/// Questions of each asker of a sound tenant after a panic of the other.
const SOUND_QUESTIONS: u32 = 2;

/// What the load on the faulty tenant has seen.
#[derive(Default)]
struct Seen {
    over: Cell<bool>,
    ended: watch::Sender<u64>,
    lost: Cell<u64>,
    answered: RefCell<Vec<String>>,
    ingested: RefCell<Vec<String>>,
}

impl Seen {
    fn note<T>(&self, outcome: Result<T, bailiwick_kernel::outcome::Rejection>) -> Option<T> {
        self.ended.send_modify(|ended| *ended += 1);
        match outcome {
            Ok(reply) => Some(reply),
            Err(rejection) => {
                assert!(matches!(rejection.code, Code::Lost | Code::Overloaded), "{rejection:?}");
                assert!(rejection.retry_after_ms.is_some(), "the asker is not told to come back: {rejection:?}");
                self.lost.set(self.lost.get() + 1);
                None
            }
        }
    }
}

/// Asks until the panics are over and one more question is answered; every fourth time before that it passes a call
/// through. A question goes through every room behind the panics that were provoked before it: its answer says that
/// none is to come.
async fn ask_faulty(tenant: Rc<Tenant>, seen: Rc<Seen>) {
    for turn in 0_u64.. {
        let last = seen.over.get();
        let is_call = turn % 4 == 0 && !last;
        let matter = if is_call { chat("hello") } else { question("What is the codeword of the reading room?") };
        match seen.note(tenant.knock(matter).reply().await) {
            Some(Reply::Answer(answer)) => {
                seen.answered.borrow_mut().push(answer.query_id);
                if last {
                    return;
                }
            }
            Some(Reply::Completion(completion)) => seen.answered.borrow_mut().push(completion.query_id),
            Some(Reply::Hits(_)) => panic!("nobody searched"),
            None => tokio::task::yield_now().await,
        }
    }
}

async fn ingest_faulty(tenant: Rc<Tenant>, seen: Rc<Seen>) {
    for number in 0_u64.. {
        if seen.over.get() {
            return;
        }
        let id = format!("extra-{number}");
        let text = format!("Shelf {number} holds maps.");
        if seen.note(tenant.ingest(vec![document(&id, &text)]).await).is_some() {
            seen.ingested.borrow_mut().push(id);
        }
        tokio::task::yield_now().await;
    }
}

/// Asks a sound tenant, some questions for every panic of the other, until these are over: every answer must be there,
/// its own, and cited from its own document.
async fn ask_sound(tenant: Rc<Tenant>, word: &'static str, mut panics: watch::Receiver<u32>) -> u64 {
    let mut answers = 0;
    while panics.changed().await.is_ok() {
        for _ in 0..SOUND_QUESTIONS {
            let answer = tenant.ask("What is the codeword of the reading room?").await.unwrap();
            assert!(answer.answer.contains(word) && !answer.abstained, "{answer:?}");
            assert!(answer.citations.iter().all(|citation| citation.document_id == word), "{answer:?}");
            answers += 1;
        }
    }
    answers
}

async fn room_of(stage: &Stage, number: u128, name: &str, word: &'static str) -> Rc<Tenant> {
    let policy = if word == "amber" { policy(name, metered) } else { policy(name, |_| {}) };
    let text = format!("The codeword of the reading room is {word}.");
    Rc::new(stage.start(number, &policy).with_documents(vec![document(word, &text)]).await)
}

/// Makes rooms panic at moments drawn from a seed; answers how many did.
async fn panic_at_random(faulty: &Tenant, seen: &Seen, panics: u32, done_so_far: watch::Sender<u32>) {
    let mut random = StdRng::seed_from_u64(SEED);
    let (mut done, mut ended) = (0, seen.ended.subscribe());
    while done < panics {
        let quiet = if random.random_bool(0.5) { 0 } else { random.random_range(1..8) };
        let until = *ended.borrow_and_update() + quiet;
        drop(in_time("the load goes on", ended.wait_for(|ended| *ended >= until)).await.unwrap());
        for _ in 0..random.random_range(0..60) {
            tokio::task::yield_now().await;
        }
        faulty.clock.advance(BETWEEN_MS);
        let room = KINDS[random.random_range(0..KINDS.len())];
        done += u32::from(faulty.provoke(room).await);
        done_so_far.send_replace(done);
    }
}

#[actix_rt::test]
async fn a_thousand_panics_in_one_tenant_are_noticed_by_no_other() {
    let panics = std::env::var("BAILIWICK_PANICS").map_or(PANICS, |text| text.parse().unwrap());
    let stage = Stage::new();
    stage.meter.release(1_000_000);
    let faulty = room_of(&stage, 1, "default", "amber").await;
    let sound = [room_of(&stage, 2, "acme-corp", "cobalt").await, room_of(&stage, 3, "beta-inc", "jade").await];
    let seen = Rc::new(Seen::default());
    let mut load: Vec<_> = (0..4).map(|_| actix_rt::spawn(ask_faulty(Rc::clone(&faulty), Rc::clone(&seen)))).collect();
    load.push(actix_rt::spawn(ingest_faulty(Rc::clone(&faulty), Rc::clone(&seen))));
    let words = ["cobalt", "jade"];
    let (done_so_far, panicked) = watch::channel(0);
    let quiet: Vec<_> = [0, 0, 1, 1]
        .map(|at: usize| actix_rt::spawn(ask_sound(Rc::clone(&sound[at]), words[at], panicked.clone())))
        .into();

    panic_at_random(&faulty, &seen, panics, done_so_far).await;
    seen.over.set(true);
    for task in load {
        in_time("the faulty tenant serves again", task).await.unwrap();
    }
    let mut answers = 0;
    for task in quiet {
        answers += task.await.unwrap();
    }
    assert!(answers > u64::from(panics), "the others were hardly asked: {answers}");
    for tenant in &sound {
        assert_eq!(tenant.view().await.restarts, 0);
    }

    let answer = faulty.ask("What is the codeword of the reading room?").await.unwrap();
    assert!(answer.answer.contains("amber"), "{answer:?}");
    let restarts = faulty.view().await.restarts;
    let (rebuilt, rebuilds) =
        (|event: &Event| matches!(event, Event::Rebuilt { .. }), usize::try_from(restarts).unwrap());
    stage.has_heard("every rebuild is told", rebuilds, rebuilt).await;
    assert_eq!(stage.heard(rebuilt), rebuilds);
    println!(
        "{panics} panics, {restarts} rebuilds; faulty tenant: {} answered, {} lost, {} documents; other tenants: {answers} answered, 0 errors",
        seen.answered.borrow().len(),
        seen.lost.get(),
        seen.ingested.borrow().len()
    );
    books_are_whole(&stage, &faulty, &seen).await;
}

/// Every acknowledged answer and document is in the journal once, and no charge is lost or doubled.
async fn books_are_whole(stage: &Stage, faulty: &Tenant, seen: &Seen) {
    // what the last panics left open is still being written while the last answers are given
    eventually("the journal is at rest", async || {
        let before = faulty.entries().len();
        faulty.figures().await.is_ok_and(|figures| figures.budget.held.0 == 0) && faulty.entries().len() == before
    })
    .await;
    let (mut recorded, mut unreconciled, mut documents) = (BTreeMap::new(), 0, BTreeSet::new());
    for entry in faulty.entries() {
        match entry {
            Entry::AnswerRecorded(record) => {
                assert!(
                    recorded.insert(record.query_id.clone(), record.usage.cost.0).is_none(),
                    "recorded twice: {record:?}"
                );
            }
            Entry::Unreconciled { amount, .. } => unreconciled += amount.0,
            // a call that broke off while its budget room still stood
            Entry::HoldClosed(closed) => unreconciled += closed.unreconciled.0,
            Entry::DocumentAccepted(accepted) => drop(documents.insert(accepted.id)),
            _ => {}
        }
    }
    for query_id in seen.answered.borrow().iter() {
        assert_eq!(
            recorded.get(query_id),
            Some(&UNIT_NANO_USD),
            "an answer that was given is not recorded: {query_id}"
        );
    }
    for id in seen.ingested.borrow().iter() {
        assert!(documents.contains(id), "a document that was acknowledged is not there: {id}");
    }
    let charged: u64 = recorded.values().sum();
    let budget = faulty.figures().await.unwrap().budget;
    assert_eq!(budget.held.0, 0);
    assert_eq!(budget.spent_month.0, charged + unreconciled, "{budget:?}");
    assert!(stage.meter.calls() * UNIT_NANO_USD <= budget.spent_month.0, "a call was paid and not booked");
    assert_eq!(recorded.len(), recorded.keys().collect::<BTreeSet<_>>().len());
}
