//! Threads for work that may take longer while others are being answered: the operating system prefers everybody else.
use crate::outcome::{Outcome, Rejection};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// How far work gives way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Yielding {
    /// Others may have to wait for it: it holds locks of the store now and then, or has a deadline. Beside an answering
    /// thread it gets a tenth of a processor, so that it is never put aside for long.
    Some,
    /// It only computes, and nobody waits for it: beside an answering thread it gets next to nothing.
    Most,
}

impl Yielding {
    /// What is added to the nice value (POSIX: 19 is the lowest priority).
    const fn nice(self) -> i32 {
        match self {
            Self::Some => 10,
            Self::Most => 19,
        }
    }

    /// Lowers the priority of the calling thread, and with it of every thread and process it starts from now on. There
    /// is no way back: the thread must be one that does nothing else.
    ///
    /// Where the system refuses, the work is done at the usual priority.
    pub fn lower_this_thread(self) {
        // on Linux a nice value belongs to a thread; elsewhere this would lower the whole process
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::nice(self.nice()) {
            tracing::debug!(%error, "background work keeps the usual priority");
        }
    }
}

/// A pool of blocking threads that give way.
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
    pub fn new(yielding: Yielding) -> Self {
        let name = match yielding {
            Yielding::Some => "writing",
            Yielding::Most => "computing",
        };
        let lower = move || yielding.lower_this_thread();
        let built = Builder::new_current_thread().thread_name(name).on_thread_start(lower).build();
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

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // waiting is not allowed where tasks run, and nobody waits for what still runs
            runtime.shutdown_background();
        }
    }
}
