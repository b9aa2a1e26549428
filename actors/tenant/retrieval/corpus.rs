//! What the tasks of one room share: the tenant's belongings, the policy in force, and the view that is served.
use super::chunk::chunk;
use super::dense::{Arm, Arms, Dense, Found, Matrix, Meaning, Near, Nearby, Sides, searching};
use super::fusion::{Scored, fuse};
use super::index::{IndexError, Rows, Spot, Stamp, View};
use super::pools::{Lanes, PATIENCE, off_the_arbiter};
use super::rules::{Held, Reached, Wanted, judge, may_be_found_at};
use super::truth::{Truth, TruthError};
use crate::question::Passage;
use crate::vector_store::TenantCollections;
use arc_swap::ArcSwap;
use bailiwick_kernel::background::Background;
use bailiwick_kernel::fair::Lane;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_kernel::shelf::Belongings;
use bailiwick_policy::compile::PolicySnapshot;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use tokio::sync::{Mutex, OnceCell};

/// Passages each of the two rankings names before they become one.
const DEPTH: usize = 100;

/// A committed state of the index, as searches use it.
pub struct Served {
    view: View,
    stamp: Stamp,
    /// Which rows of the vectors stand for its chunks, as far as that has been looked up.
    rows: Lock<Option<KnownRows>>,
}

/// The rows of one state of one tenant's vectors.
struct KnownRows {
    arm: Arc<Arm>,
    generation: u64,
    rows: Arc<Rows>,
}

/// What is served now.
#[derive(Clone, Default)]
struct Shown {
    current: Option<Arc<Served>>,
    /// Under the guard before: turns admitted just before a policy change still find their index. Never older than
    /// the last change of a document.
    previous: Option<Arc<Served>>,
}

/// Why a search cannot be run at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotServed {
    /// The index is closed: wake it.
    Asleep,
    /// The index is open under another guard (invariant IDX1): refuse.
    OtherGuard,
}

/// One tenant's corpus.
pub struct Corpus {
    /// What the tenant owns.
    pub belongings: Belongings,
    /// Its ways to the slots of the node.
    pub lanes: Lanes,
    /// The policy documents are judged under.
    pub policy: ArcSwap<PolicySnapshot>,
    /// Held from the decision about a document until the index has been told: changes reach journal, shelf and index
    /// in one order.
    pub gate: Arc<Mutex<()>>,
    truth: OnceCell<Arc<Truth>>,
    shown: ArcSwap<Shown>,
    searchable: AtomicU64,
    last_knock_unix_ms: AtomicU64,
    /// Changes before this position were given to the index …
    given: AtomicU64,
    /// … and those before this one were shown by it once.
    reached: AtomicU64,
    /// Its search by meaning.
    pub dense: Dense,
    /// Where its vectors may be searched outside.
    pub collections: TenantCollections,
}

impl Corpus {
    /// A corpus that has opened nothing yet.
    #[must_use]
    pub fn new(
        belongings: Belongings,
        policy: Arc<PolicySnapshot>,
        lanes: Lanes,
        collections: TenantCollections,
    ) -> Self {
        Self {
            belongings,
            lanes,
            policy: ArcSwap::new(policy),
            gate: Arc::new(Mutex::new(())),
            truth: OnceCell::new(),
            shown: ArcSwap::from_pointee(Shown::default()),
            searchable: AtomicU64::new(0),
            last_knock_unix_ms: AtomicU64::new(0),
            given: AtomicU64::new(0),
            reached: AtomicU64::new(0),
            dense: Dense::default(),
            collections,
        }
    }

    /// Whose corpus this is.
    #[must_use]
    pub fn tenant(&self) -> TenantKey {
        self.belongings.journal.tenant()
    }

    /// Where its searches and reads wait for a slot.
    #[must_use]
    pub fn searches(&self) -> &Lane {
        self.lanes.searches.of(self.policy.load().tenant.plan)
    }

    /// Where its uploads wait for a slot.
    #[must_use]
    pub fn parsers(&self) -> &Lane {
        self.lanes.parsers.of(self.policy.load().tenant.plan)
    }

    /// The threads that compute for its uploads.
    #[must_use]
    pub fn computing(&self) -> &Background {
        self.lanes.computing.of(self.policy.load().tenant.plan)
    }

    /// Where its files wait to be read.
    #[must_use]
    pub fn readers(&self) -> &Lane {
        self.lanes.readers.of(self.policy.load().tenant.plan)
    }

    /// The folder of the search index.
    #[must_use]
    pub fn index_folder(&self) -> PathBuf {
        self.belongings.folder.join("index")
    }

    /// The documents; opened, and folded up to the journal's end, on first use.
    ///
    /// # Errors
    /// The journal's or the shelf's.
    pub async fn truth(self: &Arc<Self>) -> Outcome<Arc<Truth>> {
        let opened = self.truth.get_or_try_init(|| async {
            let corpus = Arc::clone(self);
            let opened = off_the_arbiter(self.searches(), PATIENCE, move || {
                let policy = corpus.policy.load_full();
                let judge = |accepted: &crate::entry::DocumentAccepted, text: &str| {
                    let pieces = chunk(text, &accepted.page_starts);
                    judge(&policy.guard, &accepted.source, pieces.iter().map(|piece| piece.text.as_str())).0
                };
                Truth::open(&corpus.belongings, &judge)
            });
            Ok::<_, Rejection>(Arc::new(opened.await??))
        });
        opened.await.cloned()
    }

    /// Reads from the documents on a thread that may block.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Truth) -> Result<T, TruthError> + Send + 'static,
    ) -> Outcome<T> {
        let truth = self.truth().await?;
        Ok(off_the_arbiter(self.searches(), PATIENCE, move || read(&truth)).await??)
    }

    /// The view of a guard.
    ///
    /// # Errors
    /// [`NotServed`].
    pub fn served(&self, guard: &str) -> Result<Arc<Served>, NotServed> {
        let shown = self.shown.load();
        let current = shown.current.as_ref().ok_or(NotServed::Asleep)?;
        [Some(current), shown.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|served| served.stamp.guard == guard)
            .cloned()
            .ok_or(NotServed::OtherGuard)
    }

    /// Serves another view from now on. The one before stays for its own guard, and only until the next change.
    pub fn show(&self, view: View, stamp: Stamp) {
        self.searchable.store(view.documents(), Ordering::Relaxed);
        self.reached.fetch_max(stamp.next, Ordering::AcqRel);
        let before = self.shown.load_full().current.clone();
        let is_first = before.is_none();
        let previous = before.filter(|before| before.stamp.guard != stamp.guard);
        self.shown.store(Arc::new(Shown {
            current: Some(Arc::new(Served { view, stamp, rows: Lock::default() })),
            previous,
        }));
        if is_first {
            // vectors that were made before there was an index are not in memory
            self.dense.nudge();
        }
    }

    /// Serves nothing until woken.
    pub fn hide(&self) {
        self.shown.store(Arc::new(Shown::default()));
        self.dense.drop_arm();
    }

    /// What is served now, where something is.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Served>> {
        self.shown.load().current.clone()
    }

    /// Notes that somebody came.
    pub fn note_knock(&self, now_unix_ms: u64) {
        self.last_knock_unix_ms.fetch_max(now_unix_ms, Ordering::Relaxed);
    }

    /// Milliseconds since somebody came.
    #[must_use]
    pub fn idle_ms(&self, now_unix_ms: u64) -> u64 {
        now_unix_ms.saturating_sub(self.last_knock_unix_ms.load(Ordering::Relaxed))
    }

    /// Documents that could be found when something was served last; 0 before that.
    #[must_use]
    pub fn last_searchable(&self) -> u64 {
        self.searchable.load(Ordering::Relaxed)
    }

    /// True where a document's chunks can be found now: the index has reached its record.
    #[must_use]
    pub fn has_indexed(&self, held: &Held) -> bool {
        let shown = self.shown.load().current.as_ref().map(|served| served.stamp.next);
        let (given, reached) = (self.given.load(Ordering::Acquire), self.reached.load(Ordering::Acquire));
        may_be_found_at(held.seq, Reached { shown, reached, given })
    }

    /// Notes that changes before this position are on their way to the index.
    pub fn note_given(&self, next: u64) {
        self.given.fetch_max(next, Ordering::AcqRel);
    }
}

impl Served {
    /// Searches. Blocking.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn search(&self, wanted: &Wanted) -> Result<Vec<Passage>, IndexError> {
        self.view.search(wanted)
    }

    /// Chunks each ranking names, at most, before they become one.
    #[must_use]
    pub fn depth(wanted: &Wanted) -> usize {
        wanted.top_k.max(DEPTH)
    }

    /// The chunks that may be found, by place, in order; and of what lies outside, what may be found and what not. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn sides(&self, wanted: &Wanted, arm: &Arm) -> Result<(Vec<(u64, Spot)>, Sides), IndexError> {
        let found = self.view.places(wanted)?;
        let places = found.iter().map(|(place, _)| *place);
        let sides = arm.outline().map(|outline| outline.sides(places)).unwrap_or_default();
        Ok((found, sides))
    }

    /// Searches by words and meaning; by words alone where the vectors or their figures are of no use. Where they are searched
    /// outside, `nearby` says what was found there. Blocking.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn search_by(&self, wanted: &Wanted, meaning: &Meaning, nearby: Option<Nearby>) -> Result<Found, IndexError> {
        let by_words = self.view.by_words(wanted, Self::depth(wanted))?;
        let hybrid = match self.by_meaning(wanted, meaning, nearby)? {
            Ok(by_meaning) => fuse(&by_words, &by_meaning, meaning.rule).map_err(|error| error.to_string()),
            Err(reason) => Err(reason),
        };
        let (ranked, hybrid) = match hybrid {
            Ok(ranked) => (ranked, Ok(())),
            Err(reason) => (by_words, Err(reason)),
        };
        Ok(Found { passages: self.view.passages(&ranked, wanted.top_k)?, hybrid })
    }

    /// What each of the two rankings finds by itself; why the one by meaning found nothing. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn arms(
        &self,
        wanted: &Wanted,
        meaning: &Meaning,
        nearby: Option<Nearby>,
    ) -> Result<Result<Arms, String>, IndexError> {
        let lexical = self.view.by_words(wanted, Self::depth(wanted))?;
        let dense = match self.by_meaning(wanted, meaning, nearby)? {
            Ok(dense) => dense,
            Err(reason) => return Ok(Err(reason)),
        };
        let passages = self.view.standing_at(lexical.iter().chain(&dense).map(|scored| scored.key))?;
        Ok(Ok(Arms { lexical, dense, passages }))
    }

    fn by_meaning(
        &self,
        wanted: &Wanted,
        meaning: &Meaning,
        nearby: Option<Nearby>,
    ) -> Result<Result<Vec<Scored<Spot>>, String>, IndexError> {
        let found = match (nearby, meaning.arm.matrix()) {
            (Some(nearby), _) => searching::reckoned(meaning, nearby, Self::depth(wanted)),
            (None, Some(matrix)) => self.in_memory(wanted, meaning, &matrix),
            (None, None) => return Ok(Err("the passages' vectors are searched elsewhere by now".to_owned())),
        };
        match found {
            Ok(found) => Ok(Ok(found)),
            Err(searching::Failed::Index(error)) => Err(error),
            Err(searching::Failed::Truth(error)) => Ok(Err(error.to_string())),
            Err(searching::Failed::Outside(reason)) => Ok(Err(reason)),
        }
    }

    fn in_memory(
        &self,
        wanted: &Wanted,
        meaning: &Meaning,
        matrix: &Matrix,
    ) -> Result<Vec<Scored<Spot>>, searching::Failed> {
        let rows = self.rows(&meaning.arm, matrix)?;
        let admitted = self.view.admitted(wanted, &rows)?;
        let near = matrix.nearest(
            &meaning.vector,
            admitted.as_deref().unwrap_or_else(|| rows.found()),
            Self::depth(wanted),
            |row| searching::exactly(matrix, &meaning.truth, row),
        )?;
        let scored = |near: Near| Some(Scored { key: rows.spot(near.row)?, score: near.similarity });
        Ok(near.into_iter().filter_map(scored).collect())
    }

    /// Which rows stand for its chunks: looked up once for every state of the vectors.
    fn rows(&self, arm: &Arc<Arm>, matrix: &Matrix) -> Result<Arc<Rows>, IndexError> {
        let mut known = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = matrix.generation();
        let is_of = |known: &KnownRows| known.generation == generation && Arc::ptr_eq(&known.arm, arm);
        if let Some(known) = known.as_ref().filter(|known| is_of(known)) {
            return Ok(Arc::clone(&known.rows));
        }
        let rows = Arc::new(self.view.rows(matrix.count(), |place| matrix.row(place))?);
        *known = Some(KnownRows { arm: Arc::clone(arm), generation, rows: Arc::clone(&rows) });
        Ok(rows)
    }

    /// Documents that can be found.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.view.documents()
    }

    /// Segments of the index.
    #[must_use]
    pub fn segments(&self) -> u64 {
        u64::try_from(self.view.segments()).unwrap_or(u64::MAX)
    }
}

impl From<IndexError> for Rejection {
    fn from(error: IndexError) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}
