//! Documents in and out, a portion at a time: decided under the gate, appended as one unit, told to the index; answered
//! when all are durable.
use super::corpus::Corpus;
use super::deciding::{Decided, Deciding, answers};
use super::engine::{Batch, Former, Ready};
use super::indexer::Work;
use super::messages::{Ingested, NewDocument};
use super::parse::Sandbox;
use super::pools::{PATIENCE, PROMISED, fold_in_slices, in_one_slice, in_slices};
use super::portions::{Name, in_batches, partly, portions};
use super::prepare::{Occasion, Preparation, Prepared, prepare};
use super::reserve::{Arrivals, Arriving, Reserved};
use super::rules::{Held, may_remove, request_size};
use super::truth::{Truth, TruthError};
use crate::entry::Entry;
use crate::limits::storage::Ceilings;
use bailiwick_kernel::erasures::TenantErasures;
use bailiwick_kernel::fabric::Appended;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::journal::{OfDocument, Record};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::retention::Erasable;
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
    /// What was asked to be erased, and what was.
    pub erasures: TenantErasures,
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

    /// Takes documents in, a portion at a time; those taken are durable when this resolves. Where something goes wrong
    /// on the way, the documents after it are not taken, and each of them is answered so.
    pub async fn ingest(
        &self,
        documents: Vec<NewDocument>,
        occasion: Occasion,
    ) -> (Outcome<Vec<Ingested>>, Afterwards) {
        let arrived = async {
            request_size(documents.len())?;
            let truth = self.corpus.truth().await?;
            let (arrivals, reserved) = self.arrive(&truth, documents, &occasion).await?;
            Ok::<_, Rejection>((truth, arrivals, reserved))
        };
        let (truth, arrivals, mut reserved) = match arrived.await {
            Ok(arrived) => arrived,
            Err(rejection) => return (Err(rejection), Afterwards::GoOn),
        };
        let names: Vec<Name> = arrivals.iter().map(Name::of).collect();
        let mut portions = portions(arrivals).into_iter();
        let mut prepare_next = || {
            let portion = portions.next();
            async { Some(prepare(&self.sandbox, &self.corpus, portion?, &occasion, &truth).await) }
        };
        let mut taken: Vec<Ingested> = Vec::with_capacity(names.len());
        let mut prepared = prepare_next().await;
        while let Some(portion) = prepared {
            let kept = async {
                match portion {
                    Ok(portion) => self.take_portion(&truth, portion, reserved).await,
                    Err(rejection) => Err(Refused::from(rejection)),
                }
            };
            // Both are polled until both are over: one that is not could hold a slot the other waits for.
            let (kept, following) = tokio::join!(kept, prepare_next());
            prepared = following;
            match kept {
                Ok((answers, still_reserved)) => {
                    taken.extend(answers);
                    reserved = still_reserved;
                }
                // nothing was taken, or nobody can say what stands in the journal: all of it is refused
                Err(Refused { rejection, afterwards }) if afterwards == Afterwards::End || taken.is_empty() => {
                    return (Err(rejection), afterwards);
                }
                Err(Refused { rejection, afterwards }) => return (Ok(partly(taken, names, &rejection)), afterwards),
            }
        }
        (Ok(taken), Afterwards::GoOn)
    }

    /// Reserves the bytes of a request's documents before anything else is done for them.
    async fn arrive(
        &self,
        truth: &Arc<Truth>,
        documents: Vec<NewDocument>,
        occasion: &Occasion,
    ) -> Outcome<(Arrivals, Reserved)> {
        let ceilings = Ceilings::of(&occasion.policy.tenant.quotas);
        if ceilings.reach_below_the_tenant() && !truth.with_storage(|storage| storage.counts_levels()) {
            let _nothing_changes = Arc::clone(&self.corpus.gate).lock_owned().await;
            let counting = Arc::clone(truth);
            in_one_slice(&self.corpus.lanes.writing, self.corpus.parsers(), PATIENCE, move || counting.count_levels())
                .await??;
        }
        let arriving = Arriving::new(Arc::clone(truth), occasion);
        let lane = self.corpus.parsers();
        let arrived =
            fold_in_slices(&self.corpus.lanes.writing, lane, PATIENCE, arriving, documents, Arriving::next).await?;
        Ok(arrived.end()?)
    }

    /// Decides about the documents of a portion and keeps those to be kept.
    async fn take_portion(
        &self,
        truth: &Arc<Truth>,
        prepared: Preparation,
        reserved: Reserved,
    ) -> Result<(Vec<Ingested>, Reserved), Refused> {
        // Held until the index has been told: changes reach it in the journal's order.
        let _gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let Decided { answers: places, keep, sealed, reserved } = self.decide(truth, prepared, reserved).await?;
        if keep.is_empty() {
            return Ok((answers(places, &[], 0), reserved));
        }
        let records = self.store(truth, &keep, sealed).await?;
        let appended = truth.journal().append_records(records).await.map_err(TruthError::from)?;
        let answered = move |keep: &[(Prepared, Former)]| answers(places, keep, appended.first.0);
        let change = Change { keep, removed: Vec::new(), first: appended.first, last: appended.last, reserved };
        // after the shelf, so that who is answered can read what was taken; durable it is in any case
        let taken = self.take_over(truth, change, answered).await;
        taken.ok_or_else(Refused::lost)
    }

    /// Decides about the documents. Under the gate.
    async fn decide(&self, truth: &Arc<Truth>, prepared: Preparation, reserved: Reserved) -> Outcome<Decided> {
        let (threads, lane) = (&self.corpus.lanes.writing, self.corpus.parsers());
        let deciding = Deciding::new(Arc::clone(truth), self.corpus.policy.load_full(), reserved);
        let deciding = fold_in_slices(threads, lane, PATIENCE, deciding, prepared, Deciding::next).await?;
        Ok(deciding.end()?)
    }

    /// Gives each document a slot for its secret and stores their bodies, which are durable with the append of the records it
    /// gives. The secrets are durable when this resolves: a record that outlived its secret would never open.
    async fn store(
        &self,
        truth: &Arc<Truth>,
        keep: &[(Prepared, Former)],
        sealed: Vec<OfDocument>,
    ) -> Outcome<Vec<Record>> {
        let (threads, lane) = (&self.corpus.lanes.writing, self.corpus.parsers());
        let [placing, putting, syncing] = [(); 3].map(|()| Arc::clone(truth));
        let placed = in_one_slice(threads, lane, PATIENCE, move || placing.journal().place(sealed)).await?;
        let (records, bodies) = placed.map_err(TruthError::from)?;
        let synced = in_one_slice(threads, lane, PATIENCE, move || syncing.journal().secrets_sync());
        let put = in_slices(threads, lane, PATIENCE, in_batches(bodies), move |bodies| putting.put_bodies(bodies));
        // a body of the same text takes the place of a former one: it must not lie there before its secret does
        let (synced, put) = if keep.iter().any(|(_, former)| *former == Former::Possible) {
            (synced.await, put.await)
        } else {
            tokio::join!(synced, put)
        };
        synced?.map_err(TruthError::from)?;
        put?.into_iter().collect::<Result<(), TruthError>>()?;
        Ok(records)
    }

    /// Takes an append over into the shelf and tells the index; gives what is then to be said, and what is still
    /// reserved. Nothing where that failed: the journal is ahead of the shelf, and the next incarnation folds it again.
    async fn take_over<T>(
        &self,
        truth: &Arc<Truth>,
        change: Change,
        said: impl FnOnce(&[(Prepared, Former)]) -> T,
    ) -> Option<(T, Reserved)> {
        let after = truth.mark().changed;
        let Change { keep, removed, first, last, reserved } = change;
        let said = said(&keep);
        let taking =
            Taking { truth: Arc::clone(truth), ready: Vec::with_capacity(keep.len()), reserved, trouble: None };
        let gone = removed.iter().map(|leave| leave.id().to_owned()).collect();
        let steps = steps(keep, removed, first, last);
        // what is durable is taken over, however busy the node is
        let (threads, lane) = (&self.corpus.lanes.writing, self.corpus.parsers());
        let taken = fold_in_slices(threads, lane, PROMISED, taking, steps, Taking::next).await;
        let Ok(Taking { ready, reserved, trouble: None, .. }) = taken else { return None };
        let batch = Box::new(Batch { after, next: last.next().0, ready, removed: gone });
        self.corpus.note_given(batch.next);
        // A closed queue belongs to a room that is going: its successor reads the journal.
        let _gone = self.queue.send(Work::Take(batch)).await;
        self.corpus.dense.nudge();
        Some((said, reserved))
    }

    /// Removes a document; answers when it can no longer be found.
    pub async fn remove(&self, id: String, by: String, now_unix_ms: u64, reply: ReplySlot<()>) -> Afterwards {
        let gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let rules = self.corpus.policy.load().retention();
        let leave = self.corpus.read(move |truth| truth.get(&id)).await.and_then(|held| {
            let held = held.ok_or_else(no_such_document)?;
            may_remove(&held.accepted, &rules, now_unix_ms)
        });
        let taken = match leave {
            Ok(leave) => self.take_out(vec![Leaving { leave, by }], now_unix_ms).await,
            Err(rejection) => Err(Refused::from(rejection)),
        };
        drop(gate);
        match taken {
            Ok(afterwards) => {
                reply.answer(self.ask_index(Work::Settle).await);
                afterwards
            }
            Err(Refused { rejection, afterwards }) => {
                reply.answer(Err(rejection));
                afterwards
            }
        }
    }

    /// Takes documents out with leave: the one way out there is. Under the gate. They are durably gone when this
    /// resolves, and out of the index when it has settled.
    pub(super) async fn take_out(&self, leaving: Vec<Leaving>, now_unix_ms: u64) -> Result<Afterwards, Refused> {
        let truth = self.corpus.truth().await?;
        let entry = |Leaving { leave, by }: &Leaving| Entry::DocumentRemoved {
            id: leave.id().to_owned(),
            at_unix_ms: now_unix_ms,
            by: by.clone(),
        };
        let entries: Vec<Entry> = leaving.iter().map(entry).collect();
        let Appended { first, last, .. } = truth.journal().append(&entries).await.map_err(TruthError::from)?;
        let reserved = Reserved::nothing(Arc::clone(&truth));
        let removed = leaving.into_iter().map(|leaving| leaving.leave).collect();
        let change = Change { keep: Vec::new(), removed, first, last, reserved };
        let taken = self.take_over(&truth, change, |_kept| ()).await;
        Ok(taken.map_or(Afterwards::End, |_nothing| Afterwards::GoOn))
    }
}

/// The answer to an id that names nothing here.
#[must_use]
pub fn no_such_document() -> Rejection {
    Rejection::new(Code::NotFound, "no such document")
}

/// A document that goes, and who the journal says removed it.
pub(super) struct Leaving {
    pub(super) leave: Erasable,
    pub(super) by: String,
}

/// Why a portion was not kept, or documents were not taken out.
pub(super) struct Refused {
    pub(super) rejection: Rejection,
    pub(super) afterwards: Afterwards,
}

impl Refused {
    /// It is not known what stands where: the rooms are built anew.
    pub(super) fn lost() -> Self {
        Self { rejection: Rejection::lost(), afterwards: Afterwards::End }
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, afterwards: Afterwards::GoOn }
    }
}

impl From<TruthError> for Refused {
    fn from(error: TruthError) -> Self {
        Self { afterwards: Afterwards::of(&error), rejection: error.into() }
    }
}

/// What an append says, on its way into the shelf and the index.
struct Change {
    keep: Vec<(Prepared, Former)>,
    removed: Vec<Erasable>,
    /// Where the first document kept stands in the journal; the others follow it.
    first: Position,
    /// Where the last record of the append stands.
    last: Position,
    reserved: Reserved,
}

/// One step of taking a change over. It stands in the shelf as if it had been an append of its own.
struct Step {
    ready: Vec<Ready>,
    removed: Vec<Erasable>,
    last: Position,
}

fn steps(keep: Vec<(Prepared, Former)>, removed: Vec<Erasable>, first: Position, last: Position) -> Vec<Step> {
    let ready: Vec<Ready> =
        (first.0..).zip(keep).map(|(seq, (prepared, former))| ready(prepared, former, seq)).collect();
    let documents = in_batches(ready).into_iter().map(|ready| {
        let last = Position(ready.last().map_or(first.0, |ready| ready.held.seq));
        Step { ready, removed: Vec::new(), last }
    });
    documents.chain((!removed.is_empty()).then_some(Step { ready: Vec::new(), removed, last })).collect()
}

/// A change being taken over.
struct Taking {
    truth: Arc<Truth>,
    ready: Vec<Ready>,
    reserved: Reserved,
    trouble: Option<TruthError>,
}

impl Taking {
    fn next(&mut self, step: Step) {
        if self.trouble.is_none() {
            let held = step.ready.iter().map(|ready| ready.held.clone()).collect();
            self.trouble = self.truth.take_over(held, &step.removed, step.last, self.reserved.claim()).err();
            self.ready.extend(step.ready);
        }
    }
}

fn ready(prepared: Prepared, former: Former, seq: u64) -> Ready {
    let Prepared { accepted, pieces, verdict, admitted } = prepared;
    Ready { held: Held { accepted, seq, verdict }, pieces, admitted, former }
}
