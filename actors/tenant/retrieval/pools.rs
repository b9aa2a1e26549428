//! Blocking work leaves the arbiter through here, bounded for the whole node.
use bailiwick_kernel::outcome::{Outcome, Rejection};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Writers open at once on one node; each costs threads and memory (design §7).
pub const WRITERS_MAX: usize = 8;
/// Searches running at once on one node.
const SEARCHES_MAX: usize = 32;
/// Documents parsed and cut at once on one node.
const PARSERS_MAX: usize = 2;

/// Permits shared by the retrieval rooms of a node.
#[derive(Clone, Debug)]
pub struct Pools {
    /// One per open index writer.
    pub writers: Arc<Semaphore>,
    /// One per running search or read.
    pub searches: Arc<Semaphore>,
    /// One per portion of documents being parsed.
    pub parsers: Arc<Semaphore>,
}

impl Pools {
    /// The permits of one node, with its own bound on writers. Made once, at boot.
    #[must_use]
    pub fn new(writers: Arc<Semaphore>) -> Self {
        Self {
            writers,
            searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
            parsers: Arc::new(Semaphore::new(PARSERS_MAX)),
        }
    }
}

impl Default for Pools {
    fn default() -> Self {
        Self::new(Arc::new(Semaphore::new(WRITERS_MAX)))
    }
}

/// Runs blocking work on a thread that may block, as soon as a permit is free. The one place that decides where the
/// room's searches, reads and writes run.
///
/// # Errors
/// [`Rejection::lost`] where the work panicked.
pub async fn off_the_arbiter<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Outcome<T> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(|_closed| Rejection::lost())?;
    let done = tokio::task::spawn_blocking(move || {
        let _until_done = permit;
        work()
    });
    done.await.map_err(|_panicked| Rejection::lost())
}
