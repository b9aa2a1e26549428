//! Threads for work that may take longer while others are being answered: the operating system prefers everybody else.
use crate::outcome::{Outcome, Rejection};
use crate::residue;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// How far work gives way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Yielding {
    /// Others may have to wait for it: it holds locks of the store now and then, or has a deadline. Beside an answering
    /// thread it gets a tenth of a processor, so that it is never put aside for long.
    Some,
    /// It only computes, and nobody waits for it: it has a processor as long as no other thread wants one, and leaves it
    /// the moment one does.
    Most,
}

/// What is added to the nice value of threads that others may wait for (POSIX: 19 is the lowest priority).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

impl Yielding {
    /// Lowers the priority of the calling thread, and with it of every thread and process it starts from now on. There
    /// is no way back: the thread must be one that does nothing else.
    ///
    /// Where the system refuses, the work is done at the usual priority.
    pub fn lower_this_thread(self) {
        // on Linux a priority belongs to a thread; elsewhere this would lower the whole process
        #[cfg(target_os = "linux")]
        if let Err(reason) = self.lower() {
            tracing::debug!(reason, "background work keeps the usual priority");
        }
    }

    /// A thread with the highest nice value keeps a processor until the next tick of the clock, four milliseconds later,
    /// when one that answers wakes; a thread of the idle class (sched(7), `SCHED_IDLE`) leaves at once.
    #[cfg(target_os = "linux")]
    fn lower(self) -> Result<(), String> {
        use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};
        use thread_priority::{ThreadPriority, set_thread_priority_and_policy, thread_native_id};
        match self {
            Self::Some => rustix::process::nice(NICE).map(drop).map_err(|error| error.to_string()),
            Self::Most => {
                let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
                set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
                    .map_err(|error| error.to_string())
            }
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
            Some(runtime) => runtime.spawn_blocking(move || residue::leaving_nothing(work)),
            None => residue::spawn_blocking(work),
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Background, NICE, Yielding};
    use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};
    use thread_priority::{thread_native_id, thread_schedule_policy_param};

    fn measure() -> Option<(ThreadSchedulePolicy, i32)> {
        let (class, _parameters) = thread_schedule_policy_param(thread_native_id()).ok()?;
        Some((class, rustix::process::getpriority_process(None).ok()?))
    }

    #[tokio::test]
    async fn threads_give_way_as_far_as_they_say_and_others_do_not() {
        let (idle, other) = (NormalThreadSchedulePolicy::Idle, NormalThreadSchedulePolicy::Other);
        let usual = measure();
        assert_eq!(usual.map(|(class, _nice)| class), Some(ThreadSchedulePolicy::Normal(other)));
        let most = Background::new(Yielding::Most).run(measure).await;
        assert_eq!(most.map(|most| most.map(|(class, _nice)| class)), Ok(Some(ThreadSchedulePolicy::Normal(idle))));
        let some = Background::new(Yielding::Some).run(measure).await;
        assert_eq!(some, Ok(usual.map(|(class, nice)| (class, (nice + NICE).min(19)))));
        assert_eq!(measure(), usual, "this thread is as it was");
    }
}
