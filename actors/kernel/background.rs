//! Threads for work that may take longer while others are being answered: the operating system prefers everybody else.
use crate::outcome::{Outcome, Rejection};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// What is added to the nice value of background threads (POSIX: 19 is the lowest priority). Enough that an answer goes
/// first, not so much that a node busy with answers takes nothing in.
const NICE_ADDED: i32 = 10;

/// Lowers the priority of the calling thread, and with it of every thread and process it starts from now on. There is
/// no way back: the thread must be one that does nothing else.
///
/// Where the system refuses, the work is done at the usual priority.
pub fn lower_this_thread() {
    // on Linux a nice value belongs to a thread; elsewhere this would lower the whole process
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE_ADDED) {
        tracing::debug!(%error, "background work keeps the usual priority");
    }
}

/// A pool of blocking threads of low priority. What runs here must hold no lock that answers wait for: its thread may
/// be put aside for long.
#[derive(Clone, Debug)]
pub struct Background(Arc<Threads>);

#[derive(Debug)]
struct Threads {
    /// `None` where the system gave none: the work is done by the usual threads.
    runtime: Option<Runtime>,
}

impl Background {
    /// A pool that has no thread yet. Whoever asks bounds how many there will be: work that does not wait for a slot
    /// or a permit has no business here.
    #[must_use]
    pub fn new() -> Self {
        let built = Builder::new_current_thread().thread_name("background").on_thread_start(lower_this_thread).build();
        Self(Arc::new(Threads { runtime: built.ok() }))
    }

    /// Runs blocking work.
    ///
    /// # Errors
    /// [`Rejection::lost`] where it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        let done = match &self.0.runtime {
            Some(runtime) => runtime.spawn_blocking(work),
            None => tokio::task::spawn_blocking(work),
        };
        done.await.map_err(|_panicked| Rejection::lost())
    }
}

impl Default for Background {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // waiting is not allowed where tasks run, and nobody waits for what still runs
            runtime.shutdown_background();
        }
    }
}
