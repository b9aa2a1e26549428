//! The threads that compute with a model. Each is a pool of one thread of its own, because candle spreads over the pool it is
//! called in: over the threads that answer everybody, where it were called elsewhere.
use bailiwick_kernel::background::Yielding;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, oneshot};

/// Bytes of a worker's stack: matrix kernels keep blocks there.
const STACK_BYTES: usize = 4 << 20;

/// The work was lost: its thread panicked, or none could be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("computing an embedding: the work was lost; ask again")]
pub struct Lost;

/// Some threads, each of which does one piece of work at a time.
#[derive(Debug)]
pub struct Workers {
    free: Semaphore,
    idle: Mutex<Vec<Arc<ThreadPool>>>,
}

impl Workers {
    /// As many workers, named and with the priority they have. None of them uses a processor until there is work.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(count: usize, name: &'static str, priority: Option<Yielding>) -> Result<Self, Lost> {
        let one = |_number| {
            ThreadPoolBuilder::new()
                .num_threads(1)
                .stack_size(STACK_BYTES)
                .thread_name(move |_| name.to_owned())
                .start_handler(move |_| priority.iter().for_each(|yielding| yielding.lower_this_thread()))
                // the channel that is dropped with the work tells whoever waits; the default would end the process
                .panic_handler(|_panic| tracing::error!("computing an embedding panicked"))
                .build()
                .map(Arc::new)
                .map_err(|_no_thread| Lost)
        };
        let idle: Vec<_> = (0..count).map(one).collect::<Result<_, _>>()?;
        Ok(Self { free: Semaphore::new(idle.len()), idle: Mutex::new(idle) })
    }

    /// Does one piece of work as soon as a worker is free, first come first served. Dropped before it begins, it does not.
    ///
    /// # Errors
    /// [`Lost`] where it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
        let _turn = self.free.acquire().await.map_err(|_closed| Lost)?;
        let worker = Held::take(self).ok_or(Lost)?;
        let (sender, done) = oneshot::channel();
        worker.thread.spawn(move || {
            if !sender.is_closed() {
                drop(sender.send(work()));
            }
        });
        done.await.map_err(|_panicked| Lost)
    }
}

/// A worker that is not idle; goes back by its own `Drop`.
struct Held<'a> {
    thread: Arc<ThreadPool>,
    workers: &'a Workers,
}

impl<'a> Held<'a> {
    fn take(workers: &'a Workers) -> Option<Self> {
        let thread = workers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Self { thread, workers })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.workers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&self.thread));
    }
}

#[cfg(test)]
mod tests {
    use super::{Lost, Workers};

    #[tokio::test]
    async fn work_is_done_and_a_panic_loses_only_itself() {
        let workers = Workers::start(1, "embedding", None).unwrap();
        assert_eq!(workers.run(rayon::current_num_threads).await, Ok(1));
        assert_eq!(workers.run::<()>(|| panic!("on purpose")).await, Err(Lost));
        assert_eq!(workers.run(|| 2).await, Ok(2));
    }
}
