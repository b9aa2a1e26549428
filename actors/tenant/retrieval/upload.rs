//! The place of one upload: taken before its body is read, so that what a tenant has no room for costs nobody anything.
use super::corpus::Corpus;
use super::pools::{PATIENCE, in_slices};
use bailiwick_kernel::background::Background;
use bailiwick_kernel::fair::Lane;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Uploads of one tenant under way at once; each may hold a body in memory.
pub const UPLOADS_MAX: usize = 4;
/// When a refused client may come back: a common upload is over by then.
const RETRY_MS: u64 = 1_000;

/// The places of one tenant.
#[derive(Clone, Debug)]
pub struct Uploads(Arc<Semaphore>);

impl Uploads {
    /// All places, free.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(UPLOADS_MAX)))
    }

    /// Takes a place.
    ///
    /// # Errors
    /// `overloaded` where none is free.
    pub fn admit(&self, corpus: &Corpus) -> Outcome<UploadPermit> {
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_none_left| {
            let detail = format!(
                "taking an upload: {UPLOADS_MAX} of this tenant are under way, as many as there may be; wait for one to end"
            );
            Rejection::retry_after(Code::Overloaded, detail, RETRY_MS)
        })?;
        Ok(UploadPermit { _place: place, lane: corpus.parsers().clone(), threads: corpus.computing().clone() })
    }

    /// True where no upload is under way.
    #[must_use]
    pub fn are_over(&self) -> bool {
        self.0.available_permits() == UPLOADS_MAX
    }
}

/// A place for one upload of one tenant; its `Drop` gives it back.
#[derive(Debug)]
pub struct UploadPermit {
    _place: OwnedSemaphorePermit,
    lane: Lane,
    threads: Background,
}

impl UploadPermit {
    /// Computes something for each item of the upload, in order, in the tenant's share of the node and where nobody
    /// who waits for an answer feels it. Blocking work.
    ///
    /// # Errors
    /// `overloaded` where the tenant's turn does not come in time; [`Rejection::lost`] where the work panicked.
    pub async fn in_slices<I: Send + 'static, T: Send + 'static>(
        &self,
        items: Vec<I>,
        work: impl FnMut(I) -> T + Send + 'static,
    ) -> Outcome<Vec<T>> {
        in_slices(&self.threads, &self.lane, PATIENCE, items, work).await
    }
}
