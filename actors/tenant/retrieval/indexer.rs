//! The one task of a room that changes its index: takes changes in order, commits them together, closes the writer
//! when nothing comes any more.
use super::corpus::Corpus;
use super::engine::{Batch, Engine, EngineError, Step};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::Instant;

/// Changes waiting for the index; an ingest waits when it is full.
pub const WORK_MAX: usize = 4;
/// A change is committed when none follows within this time …
const COMMIT_GAP: Duration = Duration::from_millis(50);
/// … or within this one, where nobody is sending documents any more …
const COMMIT_GAP_AT_REST: Duration = Duration::from_millis(10);
/// … or at the latest after this one: searchable within a second.
const COMMIT_WITHIN: Duration = Duration::from_millis(600);
/// A writer is closed when no change has come for this long.
const WRITER_LINGERS: Duration = Duration::from_millis(1_500);
/// A room nobody knocked at for this long closes its index.
const IDLE_MS: u64 = 60_000;
/// How often an open index looks whether anybody still comes.
const IDLE_LOOK: Duration = Duration::from_millis(IDLE_MS / 2);

/// Where the outcome of a piece of work goes.
pub type Done = oneshot::Sender<Outcome<()>>;

/// What the index is told.
#[derive(Debug)]
pub enum Work {
    /// Be open, in step with the documents, under the guard in force.
    Wake(Done),
    /// Take the changes of one append.
    Take(Box<Batch>),
    /// Nobody is sending documents any more.
    Rest,
    /// Commit and serve everything told so far.
    Settle(Done),
    /// A search failed: build everything anew.
    Mend(Done),
    /// Close everything.
    Sleep(Done),
}

enum Trouble {
    /// Another incarnation has the folder, and this one's room is gone.
    RoomGone,
    Engine(EngineError),
    Panicked,
    Rejected(Rejection),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RoomGone => f.write_str("the room is gone"),
            Self::Engine(error) => error.fmt(f),
            Self::Panicked => f.write_str("the search engine panicked"),
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

#[derive(Clone, Copy)]
struct Uncommitted {
    first: Instant,
    last: Instant,
    gap: Duration,
}

struct Indexer {
    corpus: Arc<Corpus>,
    /// Nothing is sent on it: it ends with the room.
    room: watch::Receiver<()>,
    /// Kept while there is an engine.
    folder: Option<OwnedMutexGuard<()>>,
    engine: Option<Engine>,
    /// The right to a writer; kept while one is open.
    permit: Option<OwnedSemaphorePermit>,
    uncommitted: Option<Uncommitted>,
    wrote: Instant,
    /// When it was last looked whether anybody still comes.
    looked: Instant,
    clock: SharedClock,
}

/// What the room gives to its index: the way its orders come, and the sign that it is still there.
pub struct Orders {
    /// Work, in order.
    pub queue: mpsc::Receiver<Work>,
    /// Ends with the room.
    pub room: watch::Receiver<()>,
}

/// Serves the queue until the room and its tasks are gone. What was not committed then is in the journal.
pub async fn run(corpus: Arc<Corpus>, clock: SharedClock, Orders { mut queue, room }: Orders) {
    let now = Instant::now();
    let mut indexer = Indexer {
        corpus,
        room,
        folder: None,
        engine: None,
        permit: None,
        uncommitted: None,
        wrote: now,
        looked: now,
        clock,
    };
    loop {
        let work = match indexer.due() {
            Some(due) => tokio::time::timeout_at(due, queue.recv()).await,
            None => Ok(queue.recv().await),
        };
        match work {
            Ok(Some(work)) => indexer.work(work).await,
            Ok(None) => break,
            Err(_elapsed) => indexer.tidy().await,
        }
    }
    let Indexer { engine, permit, folder, .. } = indexer;
    // Closing a writer joins its threads: not on an arbiter.
    let _closed = bailiwick_kernel::residue::spawn_blocking(move || drop((engine, permit, folder))).await;
}

impl Indexer {
    fn due(&self) -> Option<Instant> {
        match self.uncommitted {
            Some(Uncommitted { first, last, gap }) => Some((first + COMMIT_WITHIN).min(last + gap)),
            None if self.permit.is_some() => Some(self.wrote + WRITER_LINGERS),
            None => self.engine.as_ref().map(|_open| self.looked + IDLE_LOOK),
        }
    }

    async fn work(&mut self, work: Work) {
        // An overdue commit goes first, so that a stream of changes cannot put it off.
        if self.due().is_some_and(|due| due <= Instant::now()) {
            self.tidy().await;
        }
        let (done, outcome) = match work {
            Work::Take(batch) => return self.take(batch).await,
            Work::Rest => return self.rest(),
            Work::Wake(done) => (done, self.in_step().await),
            Work::Settle(done) => (done, self.settle().await),
            Work::Mend(done) => (done, self.rebuild("a search failed").await),
            Work::Sleep(done) => (done, self.sleep().await),
        };
        let _gone = done.send(outcome);
    }

    /// Runs one step of the engine that writes. A writer has threads of its own, which have the priority of the thread
    /// that opened it.
    async fn step<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(&mut Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let mut engine = self.engine().await?;
        let done = self.corpus.lanes.indexing.run(move || {
            let outcome = step(&mut engine);
            (engine, outcome)
        });
        let done = done.await;
        self.keep(done)
    }

    /// Opens the engine, for which an answer may be waiting.
    async fn open(&mut self) -> Result<Step, Trouble> {
        let mut engine = self.engine().await?;
        let done = bailiwick_kernel::residue::spawn_blocking(move || {
            let outcome = engine.open();
            (engine, outcome)
        });
        let done = done.await;
        self.keep(done)
    }

    async fn engine(&mut self) -> Result<Engine, Trouble> {
        if let Some(engine) = self.engine.take() {
            return Ok(engine);
        }
        let truth = self.corpus.truth().await.map_err(Trouble::Rejected)?;
        self.own_folder().await?;
        Ok(Engine::new(Arc::clone(&self.corpus), truth))
    }

    /// Waits for the folder as long as the room is there. Its successor keeps the folder for as long as it is served, and
    /// ends in order only after the turns of every incarnation: one that waited on would never end.
    async fn own_folder(&mut self) -> Result<(), Trouble> {
        if self.folder.is_some() {
            return Ok(());
        }
        let owned = Arc::clone(&self.corpus.belongings.folder_owner).lock_owned();
        tokio::select! {
            biased;
            folder = owned => self.folder = Some(folder),
            _ended = self.room.changed() => return Err(Trouble::RoomGone),
        }
        Ok(())
    }

    fn keep<T, E>(&mut self, done: Result<(Engine, Result<T, EngineError>), E>) -> Result<T, Trouble> {
        let (engine, outcome) = done.map_err(|_panicked| Trouble::Panicked)?;
        self.engine = Some(engine);
        outcome.map_err(Trouble::Engine)
    }

    async fn right_to_write(&mut self) {
        if self.permit.is_none() {
            self.permit = Arc::clone(&self.corpus.lanes.writers).acquire_owned().await.ok();
        }
        self.wrote = Instant::now();
    }

    async fn in_step(&mut self) -> Outcome<()> {
        let opened = match self.open().await {
            Ok(Step::Fresh) => return Ok(()),
            Ok(Step::Behind) => {
                self.right_to_write().await;
                self.step(Engine::catch_up).await
            }
            Err(trouble) => Err(trouble),
        };
        match opened {
            Ok(()) => {
                self.uncommitted = None;
                Ok(())
            }
            Err(Trouble::RoomGone) => Err(Rejection::lost()),
            Err(trouble) => self.rebuild(trouble).await,
        }
    }

    async fn take(&mut self, batch: Box<Batch>) {
        if self.in_step().await.is_err() {
            return;
        }
        self.right_to_write().await;
        match self.step(move |engine| engine.take(&batch)).await {
            Ok(()) => {
                let now = Instant::now();
                let first = self.uncommitted.map_or(now, |uncommitted| uncommitted.first);
                self.uncommitted = Some(Uncommitted { first, last: now, gap: COMMIT_GAP });
            }
            Err(trouble) => drop(self.rebuild(trouble).await),
        }
    }

    fn rest(&mut self) {
        if let Some(uncommitted) = &mut self.uncommitted {
            uncommitted.gap = COMMIT_GAP_AT_REST;
        }
    }

    async fn settle(&mut self) -> Outcome<()> {
        self.in_step().await?;
        if self.uncommitted.is_some() { self.commit().await } else { Ok(()) }
    }

    async fn commit(&mut self) -> Outcome<()> {
        self.right_to_write().await;
        match self.step(Engine::commit).await {
            Ok(()) => {
                self.uncommitted = None;
                Ok(())
            }
            Err(trouble) => self.rebuild(trouble).await,
        }
    }

    /// The index is derived: whatever is wrong with it, it is made anew from the journal, once.
    async fn rebuild(&mut self, why: impl std::fmt::Display) -> Outcome<()> {
        tracing::warn!(tenant = %self.corpus.tenant(), %why, "rebuilding the search index");
        self.uncommitted = None;
        let trouble = match self.built_anew().await {
            Ok(()) => return Ok(()),
            Err(Trouble::RoomGone) => return Err(Rejection::lost()),
            Err(trouble) => trouble,
        };
        tracing::error!(tenant = %self.corpus.tenant(), %trouble, "the search index cannot be built; searches are refused");
        self.corpus.hide();
        let (engine, folder) = (self.engine.take(), self.folder.take());
        let _closed = bailiwick_kernel::residue::spawn_blocking(move || drop((engine, folder))).await;
        self.permit = None;
        let detail = "searching: the index of this tenant cannot be built; see the log of the node";
        Err(Rejection::retry_after(Code::Internal, detail, 1_000))
    }

    /// The folder first, the right to write after it, as everywhere: who waits for the folder with the right in hand
    /// would keep the folder's owner from finishing with it.
    async fn built_anew(&mut self) -> Result<(), Trouble> {
        let permit = self.permit.take();
        self.step(move |engine| {
            engine.close();
            drop(permit);
            engine.start_over()
        })
        .await?;
        self.right_to_write().await;
        self.step(Engine::catch_up).await
    }

    /// What is due: a commit, the closing of an idle writer, or of an idle index.
    async fn tidy(&mut self) {
        if self.uncommitted.is_some() {
            drop(self.commit().await);
            // Others wait for a writer: give way after every commit.
            if self.corpus.lanes.writers.available_permits() > 0 {
                return;
            }
        }
        if self.permit.is_none() {
            return self.look_for_idleness().await;
        }
        if let Err(trouble) = self.step(Engine::stop_writing).await {
            drop(self.rebuild(trouble).await);
            return;
        }
        self.permit = None;
    }

    async fn look_for_idleness(&mut self) {
        self.looked = Instant::now();
        if self.corpus.idle_ms(self.clock.now_unix_ms()) >= IDLE_MS {
            drop(self.sleep().await);
        }
    }

    async fn sleep(&mut self) -> Outcome<()> {
        if self.uncommitted.is_some() {
            self.commit().await?;
        }
        self.corpus.hide();
        let (engine, permit, folder) = (self.engine.take(), self.permit.take(), self.folder.take());
        // Closing a writer joins its threads: not on an arbiter.
        let closed = bailiwick_kernel::residue::spawn_blocking(move || drop((engine, permit, folder)));
        closed.await.map_err(|_panicked| Rejection::lost())
    }
}
