//! Blocking work leaves the arbiter through here, bounded for the whole node and shared fairly between its tenants.
use crate::tiers::{Tiers, weight};
use bailiwick_kernel::background::{self, Background, Turn, Yielding};
use bailiwick_kernel::fair::{FairPool, Lane, Limits, Neighbours, Slot};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::{MAILBOX_MAX, TENANTS_MAX};
use bailiwick_kernel::outcome::{Outcome, Rejection};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Writers open at once on one node; each costs threads and memory (design §7).
pub const WRITERS_MAX: usize = 8;
/// What a search or a slice of parsing is reckoned to take before anything is known about a tenant's, in nanoseconds.
const SLICE_NS: u64 = 2_000_000;
/// Files read at once on one node, in child processes or not: each may take as much memory as a parser may.
pub const READERS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
/// What reading a file is reckoned to take before anything is known about a tenant's, in nanoseconds.
const FILE_NS: u64 = 200_000_000;
/// How long a read or an upload waits for its turn before it is refused.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long work waits that has been promised: as long as it takes.
pub const PROMISED: Duration = Duration::MAX;

/// The slots of one node. Every tier has queues and slots of its own for each kind of work, as many as the node has
/// processors (searches beside a crowd as many again): a crowd in one tier does not wait in another's queue, and a tier that
/// is alone has the whole node. The readers of files are few, because of their memory, and all tiers share them by weight.
#[derive(Clone, Debug)]
pub struct Pools {
    writers: Arc<Semaphore>,
    searches: Tiers<FairPool>,
    parsers: Tiers<FairPool>,
    readers: FairPool,
    indexing: Background,
    writing: Background,
    computing: Tiers<Background>,
}

/// The ways of one tenant to the slots of its node.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// One permit per open index writer.
    pub writers: Arc<Semaphore>,
    /// One slot per running search or read.
    pub searches: Tiers<Lane>,
    /// One slot per portion of documents being cut, judged and kept.
    pub parsers: Tiers<Lane>,
    /// One slot per file being read.
    pub readers: Tiers<Lane>,
    /// The threads that change indexes, one at a time each tenant's. Where threads that write for uploads kept it from a
    /// processor, those very uploads would wait for it.
    pub indexing: Background,
    /// The threads that write into the store for uploads.
    pub writing: Background,
    /// The threads that compute for uploads, and for searches of whoever has too many of them: as many as both have slots.
    pub computing: Tiers<Background>,
}

impl Pools {
    /// The slots of one node, with its own bound on writers. Made once, at boot.
    #[must_use]
    pub fn new(writers: Arc<Semaphore>) -> Self {
        let slots = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let (queue_max, lanes_max, slice_cost) = (MAILBOX_MAX, TENANTS_MAX, SLICE_NS);
        let limits = Limits { slots, crowds_give_way: false, queue_max, lanes_max, slice_cost };
        // what a crowded lane searches gives its processor to whoever wants it, and so it would its slot; what it reads
        // does not give way, and there are twice as many readers as processors then, at most
        let searching = Limits { crowds_give_way: true, ..limits };
        let neighbours = Neighbours::default();
        let tiers = |kind: &str, limits| Tiers::each(|_plan| FairPool::beside(kind, limits, neighbours.clone()));
        let readers = Limits { slots: READERS_MAX, slice_cost: FILE_NS, ..limits };
        let computing = slots.saturating_add(slots.get());
        Self {
            writers,
            searches: tiers("search", searching),
            parsers: tiers("parse", limits),
            readers: FairPool::beside("read", readers, neighbours.clone()),
            indexing: Background::new(Yielding::Little),
            writing: Background::new(Yielding::Some),
            computing: Tiers::each(|_plan| Background::of_at_most(computing, Yielding::Most)),
        }
    }

    /// The same slots with other rights to write.
    #[cfg(test)]
    pub(crate) fn with_writers(&self, writers: Arc<Semaphore>) -> Self {
        Self { writers, ..self.clone() }
    }

    /// The lanes of one tenant.
    #[must_use]
    pub fn lanes(&self, tenant: TenantKey) -> Lanes {
        let lanes = |pools: &Tiers<FairPool>| Tiers::each(|plan| pools.of(plan).lane(tenant, weight(plan)));
        Lanes {
            writers: Arc::clone(&self.writers),
            searches: lanes(&self.searches),
            parsers: lanes(&self.parsers),
            readers: Tiers::each(|plan| self.readers.lane(tenant, weight(plan))),
            indexing: self.indexing.clone(),
            writing: self.writing.clone(),
            computing: self.computing.clone(),
        }
    }

    /// All pools that are shared fairly.
    pub fn fair(&self) -> impl Iterator<Item = &FairPool> {
        self.searches.iter().chain(self.parsers.iter()).chain([&self.readers])
    }
}

impl Default for Pools {
    fn default() -> Self {
        Self::new(Arc::new(Semaphore::new(WRITERS_MAX)))
    }
}

/// Runs blocking work on a thread that answers, as soon as its lane has a slot. With [`in_slot`], [`in_one_slice`] and
/// [`in_slices`] the one place that decides where the room's searches, reads and writes run.
///
/// # Errors
/// `overloaded` where the lane's turn does not come within `patience`; [`Rejection::lost`] where the work panicked.
pub async fn off_the_arbiter<T: Send + 'static>(
    lane: &Lane,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Outcome<T> {
    answering(keeping(lane.enter(patience).await?, work)).await
}

/// Work that keeps its slot until it is done, in a panic too.
fn keeping<T>(slot: Slot, work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        let _until_done = slot;
        work()
    }
}

async fn answering<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    bailiwick_kernel::residue::spawn_blocking(work).await.map_err(|_panicked| Rejection::lost())
}

/// Runs blocking work in a slot, on a thread that answers; on one that gives way where others of its lane wait for the
/// next slot and other tenants are served, too: whoever sends more than can be served at once has no claim on a
/// processor that somebody else could use.
///
/// # Errors
/// [`Rejection::lost`] where it panicked.
pub async fn in_slot<T: Send + 'static>(
    giving_way: &Background,
    slot: Slot,
    work: impl FnOnce() -> T + Send + 'static,
) -> Outcome<T> {
    let should_give_way = slot.should_give_way();
    let work = keeping(slot, work);
    if should_give_way {
        return giving_way.run(work).await;
    }
    background::somebody_is_answered();
    answering(work).await
}

/// Runs blocking work on a thread that gives way, as soon as its lane has a slot.
///
/// # Errors
/// As [`off_the_arbiter`].
pub async fn in_one_slice<T: Send + 'static>(
    threads: &Background,
    lane: &Lane,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Outcome<T> {
    threads.run(keeping(lane.enter(patience).await?, work)).await
}

/// Runs blocking work item by item, in order, and gives what came of each.
///
/// # Errors
/// As [`fold_in_slices`].
pub async fn in_slices<I: Send + 'static, T: Send + 'static>(
    threads: &Background,
    lane: &Lane,
    patience: Duration,
    items: Vec<I>,
    mut work: impl FnMut(I) -> T + Send + 'static,
) -> Outcome<Vec<T>> {
    let done = Vec::with_capacity(items.len());
    fold_in_slices(threads, lane, patience, done, items, move |done, item| done.push(work(item))).await
}

/// Runs blocking work item by item, in order, on one state, and lets the others of its pool in between where they have
/// had less: much work keeps no slot.
///
/// # Errors
/// As [`off_the_arbiter`].
pub async fn fold_in_slices<S: Send + 'static, I: Send + 'static>(
    threads: &Background,
    lane: &Lane,
    patience: Duration,
    mut state: S,
    items: Vec<I>,
    mut work: impl FnMut(&mut S, I) + Send + 'static,
) -> Outcome<S> {
    if items.is_empty() {
        return Ok(state);
    }
    let mut items = items.into_iter();
    let mut slot = lane.enter(patience).await?;
    loop {
        let slice = threads.run(move || {
            let mut turn = Turn::begin();
            while let Some(item) = items.next() {
                work(&mut state, item);
                if items.as_slice().is_empty() {
                    break;
                }
                turn.offer();
                slot = match slot.renew() {
                    Ok(slot) => slot,
                    Err(place) => return (state, Some((place, items, work))),
                };
            }
            (state, None)
        });
        let (so_far, rest) = slice.await?;
        let Some((place, left, again)) = rest else { return Ok(so_far) };
        (state, items, work) = (so_far, left, again);
        slot = place.slot().await?;
    }
}
