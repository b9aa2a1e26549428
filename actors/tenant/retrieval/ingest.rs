//! Documents in and out: decided under the gate, appended as one unit, answered when durable, then told to the index.
use super::corpus::Corpus;
use super::engine::{Batch, Former, Ready};
use super::indexer::Work;
use super::messages::{DocumentState, Ingested, NewDocument};
use super::parse::Sandbox;
use super::pools::{PATIENCE, PROMISED, off_the_arbiter};
use super::prepare::{Failed, Occasion, Preparation, Prepared, prepare};
use super::reserve::{Arrivals, Reserved, arrive};
use super::rules::{Decision, Held, decide, may_remove, request_size};
use super::truth::{Truth, TruthError};
use crate::entry::Entry;
use crate::limits::storage::{Ceilings, Claim, Footprint};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use std::collections::BTreeMap;
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

/// What is decided about a request's documents, in its order.
struct Decided {
    /// The answer, with places for the positions that are not known before the append.
    answers: Vec<Answer>,
    /// Documents to be kept, and whether an earlier version of each stands somewhere.
    keep: Vec<(Prepared, Former)>,
    /// What they add, reserved.
    reserved: Reserved,
}

enum Answer {
    Final(Ingested),
    /// The n-th of the documents to be kept.
    Kept(usize),
    /// The same as the n-th.
    SameAs(usize),
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
        let policy = self.corpus.policy.load_full();
        let deciding = Arc::clone(&truth);
        let decided = off_the_arbiter(self.corpus.parsers(), PATIENCE, move || {
            decide_all(&deciding, &policy, prepared, reserved)
        })
        .await;
        let decided = match decided.and_then(|decided| Ok(decided?)) {
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
        let (truth, policy) = (Arc::clone(truth), Arc::clone(policy));
        let arrived = off_the_arbiter(self.corpus.parsers(), PATIENCE, move || arrive(&truth, documents, &policy));
        Ok(arrived.await??)
    }

    async fn keep(&self, truth: &Arc<Truth>, decided: Decided, reply: ReplySlot<Vec<Ingested>>) -> Afterwards {
        let Decided { answers: places, keep, reserved } = decided;
        let entries: Vec<Entry> =
            keep.iter().map(|(prepared, _former)| Entry::DocumentAccepted(prepared.accepted.clone())).collect();
        let appended = match truth.journal().append(&entries).await.map_err(TruthError::from) {
            Ok(appended) => appended,
            Err(error) => {
                let afterwards = Afterwards::of(&error);
                reply.answer(Err(error.into()));
                return afterwards;
            }
        };
        drop(entries);
        let first = appended.first.0;
        let answered = answers(places, &keep, first);
        let ready: Vec<Ready> =
            (first..).zip(keep).map(|(seq, (prepared, former))| ready(prepared, former, seq)).collect();
        let afterwards = self.take_over(truth, ready, Vec::new(), appended.last, reserved.into_claim()).await;
        // after the shelf, so that who was answered can read what was taken; durable it is in any case
        reply.answer(Ok(answered));
        afterwards
    }

    /// Takes an append over into the shelf and tells the index.
    async fn take_over(
        &self,
        truth: &Arc<Truth>,
        ready: Vec<Ready>,
        removed: Vec<String>,
        last: Position,
        claim: Claim,
    ) -> Afterwards {
        let truth = Arc::clone(truth);
        // what is durable is taken over, however busy the node is
        let batch = off_the_arbiter(self.corpus.parsers(), PROMISED, move || {
            let after = truth.mark().changed;
            truth.take_over(ready.iter().map(|ready| ready.held.clone()).collect(), &removed, last, claim)?;
            Ok::<_, TruthError>(Batch { after, next: last.next().0, ready, removed })
        });
        match batch.await {
            Ok(Ok(batch)) => {
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

fn ready(prepared: Prepared, former: Former, seq: u64) -> Ready {
    let Prepared { accepted, pieces, verdict, admitted } = prepared;
    Ready { held: Held { accepted, seq, verdict }, pieces, admitted, former }
}

/// Decides about every document in turn and stores the bodies of those to be kept. Blocking; under the gate.
fn decide_all(
    truth: &Truth,
    policy: &PolicySnapshot,
    preparation: Preparation,
    mut reserved: Reserved,
) -> Result<Decided, TruthError> {
    // what was reserved at arrival is in hand; what the documents come to is known only here, under the gate
    reserved.recount();
    let ceilings = Ceilings::of(&policy.tenant.quotas);
    if ceilings.reach_below_the_tenant() {
        truth.count_levels()?;
    }
    let mut answered = Vec::with_capacity(preparation.len());
    let mut keep: Vec<(Prepared, Former)> = Vec::with_capacity(preparation.len());
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut bodies = Vec::with_capacity(preparation.len());
    for document in preparation {
        let (mut prepared, body) = match document {
            Ok(prepared) => prepared,
            Err(failed) => {
                answered.push(Answer::Final(not_taken(failed)));
                continue;
            }
        };
        let id = prepared.accepted.id.clone();
        let earlier =
            places.get(&id).and_then(|place| keep.get(*place).map(|(earlier, _)| (*place, &earlier.accepted)));
        let former = if earlier.is_some() { None } else { truth.get(&id)? };
        if let Some((place, earlier)) =
            earlier.filter(|(_, earlier)| decide(Some((earlier, 0)), &prepared.accepted) != Decision::Take)
        {
            debug_assert_eq!(earlier.id, id, "a place belongs to its id");
            answered.push(Answer::SameAs(place));
            continue;
        }
        if let Some(held) = &former
            && let Decision::Unchanged { seq } = decide(Some((&held.accepted, held.seq)), &prepared.accepted)
        {
            answered.push(Answer::Final(unchanged(held, seq)));
            continue;
        }
        let stands = if earlier.is_some() || former.is_some() { Former::Possible } else { Former::Absent };
        let before = earlier.map(|(_, earlier)| earlier).or(former.as_ref().map(|held| &held.accepted));
        let before = before.map(Footprint::from);
        if let Err(rejection) = reserved.add(before.as_ref(), &Footprint::from(&prepared.accepted), &ceilings) {
            let failed = Failed { id, title: prepared.accepted.title, rejection };
            answered.push(Answer::Final(not_taken(failed)));
            continue;
        }
        if prepared.verdict.guard != policy.guard.fingerprint {
            prepared.judge(policy);
        }
        bodies.push(body);
        places.insert(id, keep.len());
        answered.push(Answer::Kept(keep.len()));
        keep.push((prepared, stands));
    }
    reserved.trim();
    truth.put_bodies(bodies)?;
    Ok(Decided { answers: answered, keep, reserved })
}

fn not_taken(failed: Failed) -> Ingested {
    let Failed { id, title, rejection } = failed;
    Ingested {
        id,
        title,
        chunks: 0,
        seq: 0,
        state: DocumentState::Failed,
        error: Some(rejection.detail),
        code: Some(rejection.code),
    }
}

fn unchanged(held: &Held, seq: u64) -> Ingested {
    Ingested {
        id: held.accepted.id.clone(),
        title: held.accepted.title.clone(),
        chunks: held.accepted.chunks,
        seq,
        state: DocumentState::Unchanged,
        error: held.verdict.reason.clone(),
        code: None,
    }
}

fn answers(places: Vec<Answer>, kept: &[(Prepared, Former)], first: u64) -> Vec<Ingested> {
    let kept = |place: usize, state: Option<DocumentState>| {
        let (prepared, _former) = kept.get(place)?;
        let quarantined =
            if prepared.verdict.admitted == 0 { DocumentState::Quarantined } else { DocumentState::Accepted };
        Some(Ingested {
            id: prepared.accepted.id.clone(),
            title: prepared.accepted.title.clone(),
            chunks: prepared.accepted.chunks,
            seq: first.saturating_add(u64::try_from(place).unwrap_or(u64::MAX)),
            state: state.unwrap_or(quarantined),
            error: prepared.verdict.reason.clone(),
            code: None,
        })
    };
    let answer = |place| match place {
        Answer::Final(ingested) => Some(ingested),
        Answer::Kept(place) => kept(place, None),
        Answer::SameAs(place) => kept(place, Some(DocumentState::Unchanged)),
    };
    places.into_iter().filter_map(answer).collect()
}
