//! The background that embeds passages once their documents are durable: in the journal's order, a batch at a time, at the
//! tenant's own pace, with the tenant's own money. How far it has come is kept with the vectors, so that it goes on there.
use super::super::chunk::chunk;
use super::super::corpus::Corpus;
use super::super::index::place;
use super::super::pools::{PATIENCE, in_one_slice};
use super::super::rules::{Held, judge};
use super::super::truth::{Truth, TruthError};
use super::arm::Arm;
use super::asking::Door;
use super::pace::{Backlog, Course, Todo};
use super::vectors::{DenseMark, Placed};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::dense::{DenseSettings, Learnt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, watch};

/// Documents looked at, and vectors read or taken out, at a time.
const PORTION: usize = 256;
/// How long a batch may take from its hold to its record.
const BATCH_MS: u64 = 60_000;
/// When it is looked again after something went wrong that has nothing to do with the model.
const AGAIN: Duration = Duration::from_secs(60);
/// The key its calls are made and booked under: a ceiling of `router.yaml` and a limit of `tenant.yaml` may name it.
pub const KEY: &str = "dense-index";

/// What the background is given.
pub struct Indexing {
    /// The corpus.
    pub corpus: Arc<Corpus>,
    /// Where texts are embedded.
    pub door: Door,
    /// Time.
    pub clock: SharedClock,
    /// Ends with the room.
    pub room: watch::Receiver<()>,
}

/// Embeds what there is to embed whenever something may have changed, until the room is gone.
pub async fn run(indexing: Indexing) {
    let Indexing { corpus, door, clock, mut room } = indexing;
    let background = Background { corpus, door, clock };
    let ended = async move { while room.changed().await.is_ok() {} };
    tokio::select! {
        biased;
        () = ended => {}
        () = background.rounds() => {}
    }
}

struct Background {
    corpus: Arc<Corpus>,
    door: Door,
    clock: SharedClock,
}

/// Why a round ended before its time.
enum Stop {
    /// The policy is another one: look anew.
    Anew,
    /// No more vectors have room.
    Full(String),
    /// The shelf failed.
    Failed(Rejection),
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Failed(rejection)
    }
}

/// Who asks for passages, and for golden questions, to be embedded.
#[must_use]
pub fn indexer() -> Principal {
    Principal { key_id: KEY.to_owned(), user_id: None, role: Some(Role::Operator), attributes: BTreeMap::new() }
}

/// Reads or writes beside the documents on a thread that gives way to whoever waits for an answer.
pub(super) async fn slice<T: Send + 'static>(
    corpus: &Corpus,
    truth: &Arc<Truth>,
    work: impl FnOnce(&Truth) -> Result<T, TruthError> + Send + 'static,
) -> Outcome<T> {
    let (truth, lane) = (Arc::clone(truth), corpus.parsers());
    Ok(in_one_slice(&corpus.lanes.writing, lane, PATIENCE, move || work(&truth)).await??)
}

impl Background {
    async fn rounds(&self) {
        let mut course = Course::new(1);
        loop {
            self.corpus.dense.nudged().await;
            loop {
                match self.round(&mut course).await {
                    Ok(()) => break self.stand(None),
                    Err(Stop::Anew) => {}
                    Err(Stop::Full(reason)) => break self.stand(Some(reason)),
                    Err(Stop::Failed(rejection)) => {
                        let tenant = self.corpus.tenant();
                        tracing::warn!(%tenant, %rejection, "embedding passages; trying again in a minute");
                        self.stand(Some(rejection.detail));
                        let _sooner = tokio::time::timeout(AGAIN, self.corpus.dense.nudged()).await;
                    }
                }
            }
            if self.corpus.current().is_none() {
                self.corpus.dense.drop_arm();
            }
            self.corpus.dense.stand(|standing| standing.rounds = standing.rounds.saturating_add(1));
        }
    }

    fn stand(&self, trouble: Option<String>) {
        self.corpus.dense.stand(|standing| standing.trouble = trouble);
    }

    async fn slice<T: Send + 'static>(
        &self,
        truth: &Arc<Truth>,
        work: impl FnOnce(&Truth) -> Result<T, TruthError> + Send + 'static,
    ) -> Outcome<T> {
        slice(&self.corpus, truth, work).await
    }

    /// Serves the vectors where the index is open. What nobody has kept up with a collection outside is read anew.
    fn publish(&self, arm: &Arc<Arm>) {
        let dense = &self.corpus.dense;
        let is_kept_up =
            arm.outline().is_none() || dense.outlined.load().as_ref().is_some_and(|kept| Arc::ptr_eq(kept, arm));
        if is_kept_up && self.corpus.current().is_some() {
            dense.arm.store(Some(Arc::clone(arm)));
        }
    }

    /// Waits; true where something may have changed meanwhile.
    async fn rest(&self, wait_ms: u64, arm: &Arc<Arm>) -> bool {
        let over = tokio::time::sleep(Duration::from_millis(wait_ms));
        tokio::pin!(over);
        let mut nudged = false;
        loop {
            tokio::select! {
                biased;
                () = &mut over => return nudged,
                () = self.corpus.dense.nudged() => {
                    nudged = true;
                    self.publish(arm);
                }
            }
        }
    }

    /// Embeds everything that is not embedded yet.
    async fn round(&self, course: &mut Course) -> Result<(), Stop> {
        let policy = self.corpus.policy.load_full();
        let truth = self.corpus.truth().await?;
        let judged = self.slice(&truth, Truth::judged).await?;
        self.corpus.dense.judged.store(judged.map(Arc::new));
        if self.corpus.dense.learnt.load().is_none() {
            let learnt = self.slice(&truth, Truth::learnt).await?.map(Arc::new);
            // what was learnt meanwhile is newer
            self.corpus.dense.learnt.compare_and_swap(&None::<Arc<Learnt>>, learnt);
        }
        let kept = self.slice(&truth, Truth::dense_mark).await?;
        let Some(settings) = policy.dense.clone() else {
            if kept.is_some() {
                self.forget(&truth).await?;
            }
            return Ok(());
        };
        let guard = policy.guard.fingerprint.clone();
        let fresh = || DenseMark { model: settings.model.clone(), guard: guard.clone(), next: 0 };
        let mut mark = match kept.clone() {
            None => fresh(),
            // another model shares no directions with this one
            Some(mark) if mark.model != settings.model => {
                self.forget(&truth).await?;
                fresh()
            }
            // what another guard admits may include what the one before did not
            Some(mark) if mark.guard != guard => fresh(),
            Some(mark) => mark,
        };
        let changed = truth.mark().changed;
        let backlog = self.backlog(&truth, mark.next).await?;
        if backlog.is_empty() && self.corpus.current().is_none() {
            return Ok(());
        }
        let arm = self.arm(&truth, &policy, &settings, &backlog).await?;
        course.keep_pace(settings.chunks_per_minute);
        let mut backlog = backlog;
        self.tell(&arm, &backlog, course);
        loop {
            backlog = self.fill(&truth, &policy, backlog, course.batch()).await?;
            let Some(batch) = backlog.batch(course.batch()) else { break };
            if !self.is_still(&policy) {
                return Err(Stop::Anew);
            }
            let began_unix_ms = self.clock.now_unix_ms();
            let texts: Vec<&str> = batch.iter().map(|todo| todo.text.as_str()).collect();
            arm.has_room(texts.len()).map_err(|unfit| Stop::Full(unfit.to_string()))?;
            let embedded = self.door.embed(&settings.model, &texts, indexer(), BATCH_MS).await;
            let embedded = embedded.and_then(|vectors| self.fit(&arm, &vectors).map(|()| vectors));
            let wait_ms = match embedded {
                Ok(vectors) => {
                    let count = vectors.len();
                    mark.next = backlog.next_after(count).unwrap_or(changed);
                    let batch = backlog.take(count);
                    self.keep(&truth, &arm, batch, vectors, mark.clone()).await?;
                    self.stand(None);
                    course.succeeded(count, self.clock.now_unix_ms().saturating_sub(began_unix_ms))
                }
                Err(rejection) => {
                    self.stand(Some(format!("embedding passages: {}", rejection.detail)));
                    course.failed(&rejection, &mut backlog)
                }
            };
            self.tell(&arm, &backlog, course);
            if self.rest(wait_ms, &arm).await {
                return Err(Stop::Anew);
            }
        }
        mark.next = changed;
        if kept.as_ref() != Some(&mark) {
            self.slice(&truth, move |truth| truth.put_vectors(&[], &mark)).await?;
        }
        Ok(())
    }

    /// Vectors of another length are another model's.
    fn fit(&self, arm: &Arm, vectors: &[Vec<f32>]) -> Outcome<()> {
        let length = vectors.first().map_or(0, Vec::len);
        let fits = arm.fits(length, 0);
        fits.map_err(|unfit| Rejection::new(Code::UpstreamFailed, unfit.to_string()))
    }

    fn is_still(&self, policy: &PolicySnapshot) -> bool {
        let now = self.corpus.policy.load();
        let is_searched_there = now.tenant.index_namespace() == policy.tenant.index_namespace();
        is_searched_there && now.dense == policy.dense && now.guard.fingerprint == policy.guard.fingerprint
    }

    fn tell(&self, arm: &Arm, backlog: &Backlog, course: &Course) {
        let indexed = u64::try_from(arm.count()).unwrap_or(u64::MAX);
        self.corpus.dense.stand(|standing| {
            standing.indexed = indexed;
            standing.pending = backlog.chunks();
            standing.skipped = course.skipped();
        });
    }

    /// Every vector goes.
    async fn forget(&self, truth: &Arc<Truth>) -> Result<(), Stop> {
        self.corpus.dense.drop_arm();
        while self.slice(truth, |truth| truth.forget_vectors(PORTION)).await? {}
        self.corpus.dense.stand(|standing| (standing.indexed, standing.pending) = (0, 0));
        Ok(())
    }

    /// The documents that are not embedded yet, in the order they were accepted, and which versions there are.
    async fn backlog(&self, truth: &Arc<Truth>, next: u64) -> Result<Backlog, Stop> {
        let (mut backlog, mut after) = (Backlog::default(), None::<String>);
        loop {
            let portion = self.slice(truth, move |truth| truth.list(after.as_deref(), PORTION)).await?;
            after = portion.last().map(|held| held.accepted.id.clone());
            let is_last = portion.len() < PORTION;
            portion.into_iter().for_each(|held| backlog.note(&held, next));
            if is_last {
                backlog.in_order();
                return Ok(backlog);
            }
        }
    }

    /// The vectors as they are searched: those of versions that are still there.
    async fn arm(
        &self,
        truth: &Arc<Truth>,
        policy: &PolicySnapshot,
        settings: &DenseSettings,
        backlog: &Backlog,
    ) -> Result<Arc<Arm>, Stop> {
        let dense = &self.corpus.dense;
        let namespace = policy.tenant.index_namespace();
        let open = dense.arm.load_full().filter(|arm| arm.is_of(&settings.model, namespace));
        if let Some(arm) = open {
            arm.retain(|version| backlog.holds(version));
            return Ok(arm);
        }
        // nothing is brought to a collection outside while it is read what lies there
        let _until_known = dense.mirroring.lock().await;
        dense.drop_arm();
        let (arm, mut after) = (Arc::new(Arm::of(&settings.model, namespace)), None);
        let full = loop {
            let filling = Arc::clone(&arm);
            let read = self.slice(truth, move |truth| {
                let portion = truth.vectors(after, PORTION)?;
                let (last, is_last) = (portion.last().map(|placed| placed.place), portion.len() < PORTION);
                // what has no room is found by its words alone
                Ok((last, is_last, filling.put(&portion).err()))
            });
            let (last, is_last, unfit) = read.await?;
            after = last;
            if is_last || unfit.is_some() {
                break unfit;
            }
        };
        arm.retain(|version| backlog.holds(version));
        if arm.outline().is_some() {
            let outlined = Arc::clone(&arm);
            self.slice(truth, move |truth| truth.note_sent(&outlined)).await?;
            dense.outlined.store(Some(Arc::clone(&arm)));
            dense.suspect();
        }
        self.publish(&arm);
        let indexed = u64::try_from(arm.count()).unwrap_or(u64::MAX);
        dense.stand(|standing| standing.indexed = indexed);
        match full {
            Some(unfit) => Err(Stop::Full(unfit.to_string())),
            None => Ok(arm),
        }
    }

    /// Reads documents until there is a batch of chunks, or nothing is left.
    async fn fill(
        &self,
        truth: &Arc<Truth>,
        policy: &Arc<PolicySnapshot>,
        backlog: Backlog,
        batch: usize,
    ) -> Result<Backlog, Stop> {
        let mut backlog = backlog;
        while let Some(id) = backlog.wanted(batch) {
            let policy = Arc::clone(policy);
            let todo = self.slice(truth, move |truth| match truth.get(&id)? {
                Some(held) => unembedded(truth, &policy, &held),
                None => Ok(Vec::new()),
            });
            backlog.read(todo.await?);
        }
        Ok(backlog)
    }

    /// Keeps the vectors of chunks whose version is still there. Under the gate: nothing is removed meanwhile.
    async fn keep(
        &self,
        truth: &Arc<Truth>,
        arm: &Arc<Arm>,
        batch: Vec<Todo>,
        vectors: Vec<Vec<f32>>,
        mark: DenseMark,
    ) -> Result<(), Stop> {
        let gate: OwnedMutexGuard<()> = Arc::clone(&self.corpus.gate).lock_owned().await;
        let arm = Arc::clone(arm);
        let kept = self.slice(truth, move |truth| {
            let _until_kept = gate;
            let mut placed = Vec::with_capacity(batch.len());
            for (todo, vector) in batch.into_iter().zip(vectors) {
                if truth.get(&todo.id)?.is_some_and(|held| held.seq == todo.version) {
                    placed.push(Placed { place: place(todo.version, todo.number), vector });
                }
            }
            truth.put_vectors(&placed, &mark)?;
            Ok(arm.put(&placed).err())
        });
        let kept = kept.await?;
        self.corpus.dense.nudge_outside();
        match kept {
            Some(unfit) => Err(Stop::Full(unfit.to_string())),
            None => Ok(()),
        }
    }
}

/// The chunks of a document that the guard admits and that have no vector. Blocking.
fn unembedded(truth: &Truth, policy: &PolicySnapshot, held: &Held) -> Result<Vec<Todo>, TruthError> {
    let text = match truth.text(&held.accepted) {
        Ok(text) => text,
        Err(TruthError::Bodiless(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let pieces = chunk(&text, &held.accepted.page_starts);
    let (_, admitted) = judge(&policy.guard, &held.accepted.source, pieces.iter().map(|piece| piece.text.as_str()));
    let mut todo = Vec::new();
    for ((number, piece), _admitted) in (0_u32..).zip(pieces).zip(admitted).filter(|(_, admitted)| *admitted) {
        if truth.vector(place(held.seq, number))?.is_none() {
            let text = format!("{}\n{}", held.accepted.title, piece.text);
            todo.push(Todo { id: held.accepted.id.clone(), version: held.seq, number, text });
        }
    }
    Ok(todo)
}
