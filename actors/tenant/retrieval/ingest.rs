//! Documents in and out: decided under the gate, appended as one unit, answered when durable, then told to the index.
use super::corpus::Corpus;
use super::deciding::{Decided, Deciding, answers};
use super::engine::{Batch, Former, Ready};
use super::indexer::Work;
use super::messages::{Ingested, NewDocument};
use super::parse::Sandbox;
use super::pools::{PATIENCE, PROMISED, Threads, fold_in_slices, in_slices, off_the_arbiter};
use super::prepare::{Occasion, Preparation, Prepared, prepare};
use super::reserve::{Arrivals, Arriving, Reserved};
use super::rules::{Held, may_remove, request_size};
use super::truth::{Truth, TruthError};
use crate::entry::Entry;
use crate::limits::storage::{Ceilings, Claim};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What the tasks that change documents share.
#[derive(Clone)]
pub struct Desk {
    /// The corpus.
    pub corpus: Arc<Corpus>,
    /// Reads files.
    pub sandbox: Sandbox,
    /// Tells the index.
    pub queue: mpsc::Sender<Work>,
}

/// Whether the incarnation of the room may go on after a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Afterwards {
    /// It may.
    GoOn,
    /// The journal has another owner, or it is unknown what stands in it: the rooms must be rebuilt.
    End,
}

impl Afterwards {
    fn of(error: &TruthError) -> Self {
        if error.ends_the_incarnation() { Self::End } else { Self::GoOn }
    }
}

impl Desk {
    /// Asks the index for something and waits until it is done.
    ///
    /// # Errors
    /// Those of the work; [`Rejection::lost`] where the room is going.
    pub async fn ask_index(&self, work: impl FnOnce(oneshot::Sender<Outcome<()>>) -> Work) -> Outcome<()> {
        let (done, outcome) = oneshot::channel();
        self.queue.send(work(done)).await.map_err(|_gone| Rejection::lost())?;
        outcome.await.map_err(|_gone| Rejection::lost())?
    }

    /// Tells the index that nobody is sending documents any more: what it holds uncommitted need not wait for more.
    pub fn rest(&self) {
        // a queue that is full has changes in it, and whoever sent them will rest after this
        let _full = self.queue.try_send(Work::Rest);
    }

    /// Takes documents in and answers when they are durable.
    pub async fn ingest(
        &self,
        documents: Vec<NewDocument>,
        occasion: Occasion,
        reply: ReplySlot<Vec<Ingested>>,
    ) -> Afterwards {
        let ready = async {
            request_size(documents.len())?;
            let truth = self.corpus.truth().await?;
            let (arrivals, reserved) = self.arrive(&truth, documents, &occasion.policy).await?;
            let prepared = prepare(&self.sandbox, &self.corpus, arrivals, &occasion, &truth).await?;
            Ok::<_, Rejection>((truth, prepared, reserved))
        };
        let (truth, prepared, reserved) = match ready.await {
            Ok(ready) => ready,
            Err(rejection) => {
                reply.answer(Err(rejection));
                return Afterwards::GoOn;
            }
        };
        // Held until the index has been told: changes reach it in the journal's order.
        let _gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let decided = match self.decide(&truth, prepared, reserved).await {
            Ok(decided) => decided,
            Err(rejection) => {
                reply.answer(Err(rejection));
                return Afterwards::GoOn;
            }
        };
        if decided.keep.is_empty() {
            reply.answer(Ok(answers(decided.answers, &[], 0)));
            return Afterwards::GoOn;
        }
        self.keep(&truth, decided, reply).await
    }

    /// Reserves the bytes of a request's documents before anything else is done for them.
    async fn arrive(
        &self,
        truth: &Arc<Truth>,
        documents: Vec<NewDocument>,
        policy: &Arc<PolicySnapshot>,
    ) -> Outcome<(Arrivals, Reserved)> {
        let ceilings = Ceilings::of(&policy.tenant.quotas);
        if ceilings.reach_below_the_tenant() && !truth.with_storage(|storage| storage.counts_levels()) {
            let _nothing_changes = Arc::clone(&self.corpus.gate).lock_owned().await;
            let counting = Arc::clone(truth);
            off_the_arbiter(self.corpus.parsers(), PATIENCE, move || counting.count_levels()).await??;
        }
        let arriving = Arriving::new(Arc::clone(truth), Arc::clone(policy));
        let lane = self.corpus.parsers();
        let arrived = fold_in_slices(&Threads::Answering, lane, PATIENCE, arriving, documents, Arriving::next).await?;
        Ok(arrived.end()?)
    }

    /// Decides about the documents and stores the bodies of those to be kept. Under the gate.
    async fn decide(&self, truth: &Arc<Truth>, prepared: Preparation, reserved: Reserved) -> Outcome<Decided> {
        let (threads, lane) = (Threads::Answering, self.corpus.parsers());
        let deciding = Deciding::new(Arc::clone(truth), self.corpus.policy.load_full(), reserved);
        let deciding = fold_in_slices(&threads, lane, PATIENCE, deciding, prepared, Deciding::next).await?;
        let mut decided = deciding.end()?;
        let (putting, bodies) = (Arc::clone(truth), in_chunks(std::mem::take(&mut decided.bodies)));
        let put = in_slices(&threads, lane, PATIENCE, bodies, move |bodies| putting.put_bodies(bodies)).await?;
        put.into_iter().collect::<Result<(), TruthError>>()?;
        Ok(decided)
    }

    async fn keep(&self, truth: &Arc<Truth>, decided: Decided, reply: ReplySlot<Vec<Ingested>>) -> Afterwards {
        let Decided { answers: places, keep, records, reserved, .. } = decided;
        let appended = match truth.journal().append_records(records).await.map_err(TruthError::from) {
            Ok(appended) => appended,
            Err(error) => {
                let afterwards = Afterwards::of(&error);
                reply.answer(Err(error.into()));
                return afterwards;
            }
        };
        let first = appended.first.0;
        let answered = answers(places, &keep, first);
        let ready: Vec<Ready> =
            (first..).zip(keep).map(|(seq, (prepared, former))| ready(prepared, former, seq)).collect();
        let afterwards = self.take_over(truth, ready, Vec::new(), appended.last, reserved.into_claim()).await;
        // after the shelf, so that who was answered can read what was taken; durable it is in any case
        reply.answer(Ok(answered));
        afterwards
    }

    /// Takes an append over into the shelf, a portion at a time, and tells the index.
    async fn take_over(
        &self,
        truth: &Arc<Truth>,
        ready: Vec<Ready>,
        removed: Vec<String>,
        last: Position,
        claim: Claim,
    ) -> Afterwards {
        let after = truth.mark().changed;
        let (taking, lane) = (Arc::clone(truth), self.corpus.parsers());
        let work = move |taken: Portion| {
            let Portion { held, removed, last, claim } = taken;
            taking.take_over(held, &removed, last, claim)
        };
        let portions = in_portions(&ready, removed.clone(), last, claim);
        // what is durable is taken over, however busy the node is
        let taken = in_slices(&Threads::Answering, lane, PROMISED, portions, work).await;
        match taken.map(|taken| taken.into_iter().collect::<Result<(), TruthError>>()) {
            Ok(Ok(())) => {
                let batch = Batch { after, next: last.next().0, ready, removed };
                // A closed queue belongs to a room that is going: its successor reads the journal.
                let _gone = self.queue.send(Work::Take(Box::new(batch))).await;
                Afterwards::GoOn
            }
            // The journal is ahead of the shelf: the next incarnation folds it again.
            Ok(Err(_)) | Err(_) => Afterwards::End,
        }
    }

    /// Removes a document; answers when it can no longer be found.
    pub async fn remove(&self, id: String, by: String, now_unix_ms: u64, reply: ReplySlot<()>) -> Afterwards {
        let gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let asked = id.clone();
        let sovereignty = self.corpus.policy.load().sovereignty.clone();
        let found = self.corpus.read(move |truth| truth.get(&asked)).await.and_then(|held| {
            let held = held.ok_or_else(no_such_document)?;
            may_remove(&held.accepted, &sovereignty, now_unix_ms)
        });
        let truth = match found {
            Ok(()) => self.corpus.truth().await,
            Err(rejection) => Err(rejection),
        };
        let truth = match truth {
            Ok(truth) => truth,
            Err(rejection) => {
                reply.answer(Err(rejection));
                return Afterwards::GoOn;
            }
        };
        let entry = Entry::DocumentRemoved { id: id.clone(), at_unix_ms: now_unix_ms, by };
        let appended = match truth.journal().append(&[entry]).await.map_err(TruthError::from) {
            Ok(appended) => appended,
            Err(error) => {
                let afterwards = Afterwards::of(&error);
                reply.answer(Err(error.into()));
                return afterwards;
            }
        };
        let afterwards = self.take_over(&truth, Vec::new(), vec![id], appended.last, Claim::default()).await;
        drop(gate);
        reply.answer(self.ask_index(Work::Settle).await);
        afterwards
    }
}

/// The answer to an id that names nothing here.
#[must_use]
pub fn no_such_document() -> Rejection {
    Rejection::new(Code::NotFound, "no such document")
}

/// Documents taken over at once, and bodies stored at once: what a slice may come to.
const PORTION: usize = 64;

/// What of an append is taken over at once.
struct Portion {
    held: Vec<Held>,
    removed: Vec<String>,
    /// Its last record.
    last: Position,
    claim: Claim,
}

/// An append in portions, each as if it had been an append of its own. The claim goes with the last one.
fn in_portions(ready: &[Ready], removed: Vec<String>, last: Position, claim: Claim) -> Vec<Portion> {
    let mut portions: Vec<Portion> = ready
        .chunks(PORTION)
        .map(|portion| Portion {
            held: portion.iter().map(|ready| ready.held.clone()).collect(),
            removed: Vec::new(),
            last: portion.last().map_or(last, |ready| Position(ready.held.seq)),
            claim: Claim::default(),
        })
        .collect();
    portions.push(Portion { held: Vec::new(), removed, last, claim });
    portions
}

fn in_chunks<T>(items: Vec<T>) -> Vec<Vec<T>> {
    let (mut items, mut chunks) = (items.into_iter(), Vec::new());
    while !items.as_slice().is_empty() {
        chunks.push(items.by_ref().take(PORTION).collect());
    }
    chunks
}

fn ready(prepared: Prepared, former: Former, seq: u64) -> Ready {
    let Prepared { accepted, pieces, verdict, admitted } = prepared;
    Ready { held: Held { accepted, seq, verdict }, pieces, admitted, former }
}
