//! Documents in and out: decided under the gate, appended as one unit, answered when durable, then told to the index.
use super::corpus::Corpus;
use super::deciding::{Decided, Deciding, answers};
use super::engine::{Batch, Former, Ready};
use super::indexer::Work;
use super::messages::{Ingested, NewDocument};
use super::parse::Sandbox;
use super::pools::{PATIENCE, PROMISED, fold_in_slices, in_one_slice, in_slices};
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

    /// Takes documents in; they are durable when this resolves.
    pub async fn ingest(
        &self,
        documents: Vec<NewDocument>,
        occasion: Occasion,
    ) -> (Outcome<Vec<Ingested>>, Afterwards) {
        let ready = async {
            request_size(documents.len())?;
            let truth = self.corpus.truth().await?;
            let (arrivals, reserved) = self.arrive(&truth, documents, &occasion.policy).await?;
            let prepared = prepare(&self.sandbox, &self.corpus, arrivals, &occasion, &truth).await?;
            Ok::<_, Rejection>((truth, prepared, reserved))
        };
        let (truth, prepared, reserved) = match ready.await {
            Ok(ready) => ready,
            Err(rejection) => return (Err(rejection), Afterwards::GoOn),
        };
        // Held until the index has been told: changes reach it in the journal's order.
        let _gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let decided = match self.decide(&truth, prepared, reserved).await {
            Ok(decided) => decided,
            Err(rejection) => return (Err(rejection), Afterwards::GoOn),
        };
        if decided.keep.is_empty() {
            return (Ok(answers(decided.answers, &[], 0)), Afterwards::GoOn);
        }
        self.keep(&truth, decided).await
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
            in_one_slice(&self.corpus.lanes.writing, self.corpus.parsers(), PATIENCE, move || counting.count_levels())
                .await??;
        }
        let arriving = Arriving::new(Arc::clone(truth), Arc::clone(policy));
        let lane = self.corpus.parsers();
        let arrived =
            fold_in_slices(&self.corpus.lanes.writing, lane, PATIENCE, arriving, documents, Arriving::next).await?;
        Ok(arrived.end()?)
    }

    /// Decides about the documents and stores the bodies of those to be kept. Under the gate.
    async fn decide(&self, truth: &Arc<Truth>, prepared: Preparation, reserved: Reserved) -> Outcome<Decided> {
        let (threads, lane) = (&self.corpus.lanes.writing, self.corpus.parsers());
        let deciding = Deciding::new(Arc::clone(truth), self.corpus.policy.load_full(), reserved);
        let deciding = fold_in_slices(threads, lane, PATIENCE, deciding, prepared, Deciding::next).await?;
        let mut decided = deciding.end()?;
        let (putting, bodies) = (Arc::clone(truth), in_chunks(std::mem::take(&mut decided.bodies)));
        let put = in_slices(threads, lane, PATIENCE, bodies, move |bodies| putting.put_bodies(bodies)).await?;
        put.into_iter().collect::<Result<(), TruthError>>()?;
        Ok(decided)
    }

    async fn keep(&self, truth: &Arc<Truth>, decided: Decided) -> (Outcome<Vec<Ingested>>, Afterwards) {
        let Decided { answers: places, keep, records, reserved, .. } = decided;
        let appended = match truth.journal().append_records(records).await.map_err(TruthError::from) {
            Ok(appended) => appended,
            Err(error) => {
                let afterwards = Afterwards::of(&error);
                return (Err(error.into()), afterwards);
            }
        };
        let answered = move |keep: &[(Prepared, Former)]| answers(places, keep, appended.first.0);
        let change = Change { keep, removed: Vec::new(), first: appended.first, claim: reserved.into_claim() };
        // after the shelf, so that who is answered can read what was taken; durable it is in any case
        match self.take_over(truth, change, appended.last, answered).await {
            Some(answers) => (Ok(answers), Afterwards::GoOn),
            None => (Err(Rejection::lost()), Afterwards::End),
        }
    }

    /// Takes an append over into the shelf, a portion at a time, and tells the index; gives what is then to be said.
    /// Nothing where that failed: the journal is ahead of the shelf, and the next incarnation folds it again.
    async fn take_over<T: Send + 'static>(
        &self,
        truth: &Arc<Truth>,
        change: Change,
        last: Position,
        said: impl FnOnce(&[(Prepared, Former)]) -> T + Send + 'static,
    ) -> Option<T> {
        let after = truth.mark().changed;
        let steps = change.steps();
        let taking = Taking { truth: Arc::clone(truth), change, last, trouble: None };
        // what is durable is taken over, however busy the node is
        let (lanes, lane) = (&self.corpus.lanes, self.corpus.parsers());
        let taken = fold_in_slices(&lanes.writing, lane, PROMISED, taking, steps, Taking::next).await;
        let Ok(Taking { change, trouble: None, .. }) = taken else { return None };
        let ended = in_one_slice(&lanes.computing, lane, PROMISED, move || {
            let said = said(&change.keep);
            (said, Box::new(change.into_batch(after, last)))
        });
        let (said, batch) = ended.await.ok()?;
        // A closed queue belongs to a room that is going: its successor reads the journal.
        let _gone = self.queue.send(Work::Take(batch)).await;
        Some(said)
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
        let change = Change { keep: Vec::new(), removed: vec![id], first: appended.first, claim: Claim::default() };
        let taken = self.take_over(&truth, change, appended.last, |_kept| ()).await;
        drop(gate);
        reply.answer(self.ask_index(Work::Settle).await);
        taken.map_or(Afterwards::End, |()| Afterwards::GoOn)
    }
}

/// The answer to an id that names nothing here.
#[must_use]
pub fn no_such_document() -> Rejection {
    Rejection::new(Code::NotFound, "no such document")
}

/// Documents taken over at once, and bodies stored at once: what a slice may come to.
const PORTION: usize = 64;

/// What an append says, on its way into the shelf and the index.
struct Change {
    keep: Vec<(Prepared, Former)>,
    removed: Vec<String>,
    /// Where the first document kept stands in the journal; the others follow it.
    first: Position,
    claim: Claim,
}

/// One step of taking a change over.
enum Step {
    /// These of the documents kept.
    Keep(std::ops::Range<usize>),
    /// What was removed; and nothing stays reserved.
    End,
}

impl Change {
    fn steps(&self) -> Vec<Step> {
        let documents = self.keep.len();
        let portions = (0..documents).step_by(PORTION);
        portions.map(|from| Step::Keep(from..(from + PORTION).min(documents))).chain([Step::End]).collect()
    }

    fn seq(&self, place: usize) -> u64 {
        self.first.0.saturating_add(u64::try_from(place).unwrap_or(u64::MAX))
    }

    fn into_batch(self, after: u64, last: Position) -> Batch {
        let Self { keep, removed, first, .. } = self;
        let ready = (first.0..).zip(keep).map(|(seq, (prepared, former))| ready(prepared, former, seq)).collect();
        Batch { after, next: last.next().0, ready, removed }
    }
}

/// A change being taken over. Each portion of it stands in the shelf as if it had been an append of its own.
struct Taking {
    truth: Arc<Truth>,
    change: Change,
    last: Position,
    trouble: Option<TruthError>,
}

impl Taking {
    fn next(&mut self, step: Step) {
        if self.trouble.is_none() {
            self.trouble = self.take(step).err();
        }
    }

    fn take(&mut self, step: Step) -> Result<(), TruthError> {
        let range = match step {
            Step::Keep(range) => range,
            Step::End => {
                let Change { removed, claim, .. } = &mut self.change;
                self.truth.take_over(Vec::new(), removed, self.last, claim)?;
                self.truth.with_storage(|storage| storage.release(claim));
                return Ok(());
            }
        };
        let last = Position(self.change.seq(range.end.saturating_sub(1)));
        let portion = self.change.keep.get(range.clone()).unwrap_or_default().iter().zip(range);
        let held = portion.map(|((prepared, _former), place)| Held {
            accepted: prepared.accepted.clone(),
            seq: self.change.seq(place),
            verdict: prepared.verdict.clone(),
        });
        let held = held.collect();
        self.truth.take_over(held, &[], last, &mut self.change.claim)
    }
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
