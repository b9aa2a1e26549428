//! The background that keeps a collection outside a copy of the shelf's vectors: brings what is new, takes out what went, makes it
//! anew where it is not what it should be. One thing at a time, and never on the way of an upload. How far it has come is kept with
//! the vectors, so that it goes on there; whatever was begun and not written down is done again.
use super::super::RetrievalRoom;
use super::super::corpus::Corpus;
use super::super::erasing::PointsGone;
use super::super::truth::{Truth, TruthError};
use super::indexing::slice;
use super::mirrored::{MirrorMark, Owed, Stage};
use super::vectors::Placed;
use crate::vector_store::rules::{points_at_once, wait_ms};
use crate::vector_store::{Point, TenantCollection};
use actix::WeakAddr;
use bailiwick_kernel::mail;
use bailiwick_kernel::outcome::Rejection;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::stores::namespace_written;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Numbers taken out by one request, the chunks of the last document not counted.
const TAKEN_OUT_MAX: usize = 4_096;
/// Versions whose points are taken out, and keys that are forgotten, at a time.
const PORTION: usize = 256;
/// Documents whose points have to go, as they are told.
const OWED_TOLD_MAX: usize = 10_000;
/// How often it is looked whether the collection is still what it should be.
const LOOK: Duration = Duration::from_secs(60);

/// What the background is given.
pub struct Mirroring {
    /// The corpus.
    pub corpus: Arc<Corpus>,
    /// Who waits for points to be gone.
    pub told: WeakAddr<RetrievalRoom>,
    /// Ends with the room.
    pub room: watch::Receiver<()>,
}

/// Keeps the collection of the policy in force a copy of the shelf's vectors, until the room is gone.
pub async fn mirror(mirroring: Mirroring) {
    let Mirroring { corpus, told, mut room } = mirroring;
    let background = Background { corpus, told };
    let ended = async move { while room.changed().await.is_ok() {} };
    tokio::select! {
        biased;
        () = ended => {}
        () = background.rounds() => {}
    }
}

struct Background {
    corpus: Arc<Corpus>,
    told: WeakAddr<RetrievalRoom>,
}

/// What the tenant wants to be where.
struct Wanted {
    collection: Arc<TenantCollection>,
    model: String,
}

impl Wanted {
    fn is_of(&self, mark: &MirrorMark) -> bool {
        self.collection.namespace() == mark.namespace
    }
}

/// Whether something is left to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Left {
    More,
    Nothing,
}

/// Why a round ended before its time, in words for whoever reads how it stands.
struct Trouble(String);

impl From<Rejection> for Trouble {
    fn from(rejection: Rejection) -> Self {
        Self(rejection.detail)
    }
}

impl From<String> for Trouble {
    fn from(problem: String) -> Self {
        Self(problem)
    }
}

impl Background {
    async fn rounds(&self) {
        let mut failures = 0_u32;
        loop {
            let is_watched = self.corpus.dense.outlined.load().is_some();
            tokio::select! {
                () = self.corpus.dense.nudged_outside() => {}
                () = tokio::time::sleep(LOOK), if is_watched => self.corpus.dense.suspect(),
            }
            while let Err(Trouble(problem)) = self.round().await {
                failures = failures.saturating_add(1);
                let tenant = self.corpus.tenant();
                tracing::warn!(%tenant, problem, "the vector store; trying again");
                self.corpus.dense.stand_outside(|standing| standing.trouble = Some(problem));
                // whatever comes meanwhile waits too: a store that is down is not asked with every upload
                tokio::time::sleep(Duration::from_millis(wait_ms(failures))).await;
            }
            failures = 0;
            self.corpus.dense.stand_outside(|standing| {
                standing.trouble = None;
                standing.rounds = standing.rounds.saturating_add(1);
            });
        }
    }

    async fn slice<T: Send + 'static>(
        &self,
        truth: &Arc<Truth>,
        work: impl FnOnce(&Truth) -> Result<T, TruthError> + Send + 'static,
    ) -> Result<T, Trouble> {
        Ok(slice(&self.corpus, truth, work).await?)
    }

    /// The collection that is to be a copy now: one the tenant names, that is declared for it, in a region its lists allow.
    fn wanted(&self, policy: &PolicySnapshot) -> Option<Wanted> {
        let (settings, namespace) = (policy.dense.as_ref()?, policy.tenant.index_namespace()?);
        let collection =
            self.corpus.collections.get(namespace).filter(|collection| collection.may_be_used().is_ok())?;
        Some(Wanted { collection: Arc::clone(collection), model: settings.model.clone() })
    }

    async fn round(&self) -> Result<(), Trouble> {
        let truth = self.corpus.truth().await?;
        self.tell(&truth).await?;
        let mut was_remade = false;
        loop {
            let alone = self.corpus.dense.mirroring.lock().await;
            let mark = self.slice(&truth, Truth::mirror_mark).await?;
            let wanted = self.wanted(&self.corpus.policy.load());
            let left = match (mark, wanted) {
                (None, None) => Left::Nothing,
                (None, Some(wanted)) => {
                    let Wanted { collection, model } = wanted;
                    let namespace = collection.namespace().to_owned();
                    self.mark(&truth, MirrorMark { namespace, model, stage: Stage::Unknown }).await?
                }
                (Some(mark), Some(wanted)) if wanted.is_of(&mark) => {
                    self.step(&truth, mark, &wanted, &mut was_remade).await?
                }
                (Some(mark), _) => self.leave(&truth, &mark).await?,
            };
            drop(alone);
            self.tell(&truth).await?;
            if left == Left::Nothing {
                return Ok(());
            }
        }
    }

    async fn mark(&self, truth: &Arc<Truth>, mark: MirrorMark) -> Result<Left, Trouble> {
        self.slice(truth, move |truth| truth.put_mirror(&mark)).await?;
        Ok(Left::More)
    }

    /// Says how the collection stands, and whoever waits for points to be gone that they are.
    async fn tell(&self, truth: &Arc<Truth>) -> Result<(), Trouble> {
        let owed = self.slice(truth, |truth| Ok(truth.owed(OWED_TOLD_MAX)?.len())).await?;
        let outlined = self.corpus.dense.outlined.load_full();
        let counts =
            outlined.as_ref().and_then(|arm| arm.outline().map(|outline| (outline.sent_count(), outline.count())));
        let was_owed = self.corpus.dense.outside().owed > 0;
        self.corpus.dense.stand_outside(|standing| {
            standing.owed = told(owed);
            if let Some((sent, count)) = counts {
                (standing.points, standing.waiting) = (told(sent), told(count.saturating_sub(sent)));
            }
        });
        if was_owed
            && owed == 0
            && let Some(room) = self.told.upgrade()
        {
            mail::post_certain(&room, PointsGone);
        }
        Ok(())
    }

    /// The collection is wanted no more, or another one is: it goes with everything in it.
    async fn leave(&self, truth: &Arc<Truth>, mark: &MirrorMark) -> Result<Left, Trouble> {
        let collection = self.corpus.collections.get(&mark.namespace).ok_or_else(|| {
            format!(
                "vectors lie in {} and have to go from there, and no vector store of that name is declared for this tenant any more: \
                 declare it under [[vector_stores]] in config.toml until they are gone",
                namespace_written(&mark.namespace)
            )
        })?;
        collection.taken_back(async |collection| collection.delete().await).await?;
        self.emptied(truth).await?;
        let gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        self.slice(truth, move |truth| {
            let _until_forgotten = gate;
            truth.forget_mirror()
        })
        .await?;
        Ok(Left::More)
    }

    /// Nothing lies outside any more.
    async fn emptied(&self, truth: &Arc<Truth>) -> Result<(), Trouble> {
        self.outline(|outline| outline.empty());
        while self.slice(truth, |truth| truth.forget_waiting(PORTION)).await? {}
        Ok(())
    }

    fn outline(&self, change: impl FnOnce(&mut super::outline::Outline)) {
        if let Some(arm) = self.corpus.dense.outlined.load_full()
            && let Some(mut outline) = arm.outline_mut()
        {
            change(&mut outline);
        }
    }

    async fn step(
        &self,
        truth: &Arc<Truth>,
        mark: MirrorMark,
        wanted: &Wanted,
        was_remade: &mut bool,
    ) -> Result<Left, Trouble> {
        let stage = |stage| MirrorMark { stage, ..mark.clone() };
        let is_there = matches!(mark.stage, Stage::Filling { .. } | Stage::Filled);
        if is_there && mark.model == wanted.model && self.take_out(truth, &wanted.collection).await? {
            return Ok(Left::More);
        }
        match mark.stage {
            Stage::Unknown => {
                wanted.collection.taken_back(async |collection| collection.delete().await).await?;
                self.emptied(truth).await?;
                self.mark(truth, MirrorMark { model: wanted.model.clone(), ..stage(Stage::Absent) }).await
            }
            _ if mark.model != wanted.model => self.mark(truth, stage(Stage::Unknown)).await,
            Stage::Absent => {
                let Some(first) = self.first(truth, &wanted.model).await? else {
                    // of what is nowhere, nothing has to go
                    while self.slice(truth, |truth| truth.forget_waiting(PORTION)).await? {}
                    return Ok(Left::Nothing);
                };
                let dimensions = first.vector.len();
                let made = wanted.collection.kept(async |collection| {
                    // one that was made, and not written down, is in the way of the next
                    collection.delete().await?;
                    collection.make(dimensions).await
                });
                made.await?;
                self.mark(truth, stage(Stage::Filling { after: None })).await
            }
            Stage::Filling { after } => {
                let points = self.next_after(truth, after).await?;
                let last = points.last().map(|point| point.id);
                self.bring(&wanted.collection, &points).await?;
                let Some(last) = last else {
                    self.mark(truth, stage(Stage::Filled)).await?;
                    self.outline(|outline| outline.set_filled(true));
                    return Ok(Left::More);
                };
                let (mark, places) = (stage(Stage::Filling { after: Some(last) }), numbers(&points));
                self.slice(truth, move |truth| truth.brought(&places, &mark)).await?;
                Ok(Left::More)
            }
            Stage::Filled => {
                let (places, points) = self.waiting(truth).await?;
                if places.is_empty() {
                    return self.look(truth, &stage, wanted, was_remade).await;
                }
                self.bring(&wanted.collection, &points).await?;
                self.slice(truth, move |truth| truth.brought(&places, &mark)).await?;
                Ok(Left::More)
            }
        }
    }

    /// The first vector of a model; nothing while the shelf has another model's.
    async fn first(&self, truth: &Arc<Truth>, model: &str) -> Result<Option<Placed>, Trouble> {
        let model = model.to_owned();
        self.slice(truth, move |truth| {
            let is_its = truth.dense_mark()?.is_some_and(|mark| mark.model == model);
            Ok(if is_its { truth.vectors(None, 1)?.pop() } else { None })
        })
        .await
    }

    /// Takes points out whose documents went; true where there were any.
    async fn take_out(&self, truth: &Arc<Truth>, collection: &TenantCollection) -> Result<bool, Trouble> {
        let owed = self.slice(truth, |truth| truth.owed(PORTION)).await?;
        let mut ids: Vec<u64> = Vec::new();
        let mut versions = Vec::new();
        for owed in owed {
            if ids.len() >= TAKEN_OUT_MAX {
                break;
            }
            ids.extend(Owed::places(owed));
            versions.push(owed.version);
        }
        if versions.is_empty() {
            return Ok(false);
        }
        if !ids.is_empty() {
            collection.taken_back(async |collection| collection.take_out(&ids).await).await?;
        }
        collection.count_removed(ids.len());
        let settled = versions.clone();
        self.slice(truth, move |truth| truth.settled(&settled)).await?;
        self.outline(|outline| versions.iter().for_each(|version| outline.forget_version(*version)));
        Ok(true)
    }

    /// The vectors that come next in the order of their places.
    async fn next_after(&self, truth: &Arc<Truth>, after: Option<u64>) -> Result<Vec<Point>, Trouble> {
        let found = self.slice(truth, move |truth| {
            let first = truth.vectors(after, 1)?;
            let Some(placed) = first.first() else { return Ok(Vec::new()) };
            truth.vectors(after, points_at_once(placed.vector.len()))
        });
        Ok(found.await?.into_iter().map(|placed| Point { id: placed.place, vector: placed.vector }).collect())
    }

    /// Places that wait, and the vectors that are still there for them.
    async fn waiting(&self, truth: &Arc<Truth>) -> Result<(Vec<u64>, Vec<Point>), Trouble> {
        self.slice(truth, |truth| {
            let (mut places, mut points) = (Vec::new(), Vec::new());
            for place in truth.waiting(None, points_at_once(0))? {
                if let Some(vector) = truth.vector(place)? {
                    if points.len() >= points_at_once(vector.len()) {
                        break;
                    }
                    points.push(Point { id: place, vector });
                }
                places.push(place);
            }
            Ok((places, points))
        })
        .await
    }

    async fn bring(&self, collection: &TenantCollection, points: &[Point]) -> Result<(), Trouble> {
        if points.is_empty() {
            return Ok(());
        }
        // before the first byte: what may lie there is known to
        self.outline(|outline| outline.send(points.iter().map(|point| point.id)));
        collection.kept(async |collection| collection.put(points).await).await?;
        collection.count_stored(points.len());
        Ok(())
    }

    /// Looks whether as many points lie there as were brought; where not, the collection is made anew.
    async fn look(
        &self,
        truth: &Arc<Truth>,
        stage: &impl Fn(Stage) -> MirrorMark,
        wanted: &Wanted,
        was_remade: &mut bool,
    ) -> Result<Left, Trouble> {
        let outlined = self.corpus.dense.outlined.load_full();
        let expected = outlined.as_ref().and_then(|arm| arm.outline().map(|outline| outline.sent_count()));
        let Some(expected) = expected.filter(|_known| self.corpus.dense.is_suspect()) else { return Ok(Left::Nothing) };
        // before it is asked: what a search finds from here on is looked at again
        self.corpus.dense.trust();
        let count = wanted.collection.kept(async |collection| collection.count().await).await;
        let count = count.inspect_err(|_problem| self.corpus.dense.suspect())?;
        if count == Some(told(expected)) {
            return Ok(Left::Nothing);
        }
        self.corpus.dense.suspect();
        let found = count.map_or_else(|| "it is not there".to_owned(), |count| format!("it has {count} points"));
        let problem = format!("the collection was given {expected} points, and {found}");
        if std::mem::replace(was_remade, true) {
            return Err(Trouble(format!("{problem}, though it was made anew a moment ago")));
        }
        tracing::warn!(tenant = %self.corpus.tenant(), problem, "the vector store; the collection is made anew");
        self.outline(|outline| outline.set_filled(false));
        self.mark(truth, stage(Stage::Unknown)).await
    }
}

fn numbers(points: &[Point]) -> Vec<u64> {
    points.iter().map(|point| point.id).collect()
}

fn told(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
