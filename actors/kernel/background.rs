//! Threads for work that may take longer while others are being answered: the operating system prefers everybody else.
use crate::outcome::{Outcome, Rejection};
use crate::residue;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

#[cfg(target_os = "linux")]
mod processors;
#[cfg(target_os = "linux")]
pub use processors::somebody_is_answered;

/// Tells that somebody is being answered now. Here threads have no processors of their own.
#[cfg(not(target_os = "linux"))]
pub const fn somebody_is_answered() {}

/// How far work gives way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Yielding {
    /// Many wait for one thread that does it. Beside an answering thread it gets a quarter of a processor, beside one of
    /// [`Yielding::Some`] three quarters; otherwise as that.
    Little,
    /// Others may have to wait for it: it holds locks of the store now and then, or has a deadline. Beside an answering
    /// thread it gets a tenth of a processor, so that it is never put aside for long; while somebody is answered by its process
    /// it leaves one of several processors alone ([`somebody_is_answered`]).
    Some,
    /// It only computes, and nobody waits for it: it has a processor as long as no other thread wants one, and leaves it
    /// the moment one does. Where others want all of them without end, it is done as [`Yielding::Some`] instead.
    Most,
}

/// What is added to the nice value of threads that others may wait for (POSIX: 19 is the lowest priority) …
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// … and of those that many wait for: of two threads the one five steps lower gets three times as much.
#[cfg(target_os = "linux")]
const NICE_LITTLE: i32 = 5;

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
            Self::Little => be_nice(NICE_LITTLE),
            Self::Some => be_nice(NICE),
            Self::Most => {
                let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
                set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
                    .map_err(|error| error.to_string())
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn be_nice(by: i32) -> Result<(), String> {
    rustix::process::nice(by).map_err(|error| error.to_string())?;
    processors::join_the_others();
    Ok(())
}

/// How long a thread computes before it offers its processor.
const OFFERED_EVERY: Duration = Duration::from_micros(250);
/// Who has not got its processor back after so long offers it to somebody who wants it without end: what it offers is taken
/// from what is due to it.
const TAKEN_WITHOUT_END: Duration = Duration::from_millis(10);
/// How many times as long as it was taken for it is not offered again then.
const KEPT_TIMES: u32 = 10;

/// A thread's turn on its processor. Who computes for long offers the rest of it to whoever else waits: a thread that
/// answers and wakes on the same processor would otherwise wait for the next tick of the clock, up to four milliseconds.
#[derive(Debug)]
pub struct Turn {
    since: Instant,
    kept_for: Duration,
}

impl Turn {
    /// Begins one.
    #[must_use]
    pub fn begin() -> Self {
        Self { since: Instant::now(), kept_for: OFFERED_EVERY }
    }

    /// Offers the rest of it where it has lasted for long enough. Alone on its processor a thread goes on at once.
    pub fn offer(&mut self) {
        if self.since.elapsed() >= self.kept_for {
            let offered = Instant::now();
            std::thread::yield_now();
            *self = Self { since: Instant::now(), kept_for: kept_for(offered.elapsed()) };
        }
    }
}

/// How long a turn is kept after one that was taken for this long.
const fn kept_for(taken_for: Duration) -> Duration {
    if taken_for.as_micros() < TAKEN_WITHOUT_END.as_micros() {
        OFFERED_EVERY
    } else {
        taken_for.saturating_mul(KEPT_TIMES)
    }
}

/// A pool of blocking threads that give way.
#[derive(Clone, Debug)]
pub struct Background(Arc<Threads>);

#[derive(Debug)]
struct Threads {
    /// `None` where the system gave none: the work is done by the usual threads.
    runtime: Option<Runtime>,
    /// Where the others may be kept from their processors without end: threads that are not.
    instead: Option<Instead>,
}

/// What does the work of threads that starve.
#[derive(Debug)]
struct Instead {
    threads: Background,
    /// Milliseconds since this was made until which it is used.
    until_ms: AtomicU64,
    made: Instant,
}

/// How long work waits for a thread to begin with it. One that has a processor at all begins within a few milliseconds.
const STARVES_AFTER: Duration = Duration::from_millis(25);
/// How long the other threads are used then, before it is tried again.
const INSTEAD_FOR: Duration = Duration::from_secs(2);

impl Instead {
    fn new() -> Self {
        Self { threads: Background::new(Yielding::Some), until_ms: AtomicU64::new(0), made: Instant::now() }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_on(&self) -> bool {
        self.now_ms() < self.until_ms.load(Ordering::Relaxed)
    }

    fn switch_on(&self) {
        let until_ms = self.now_ms().saturating_add(u64::try_from(INSTEAD_FOR.as_millis()).unwrap_or(u64::MAX));
        self.until_ms.store(until_ms, Ordering::Relaxed);
    }
}

impl Background {
    /// A pool that has no thread yet. Whoever asks bounds how many there will be: work that does not wait for a slot
    /// or a permit has no business here.
    #[must_use]
    pub fn new(yielding: Yielding) -> Self {
        Self::built(yielding, &mut Builder::new_current_thread())
    }

    /// A pool of at most so many threads: as many as there are slots for its work. A thread that has given up its slot may be
    /// put aside before it can say that it is idle, since whoever gets the slot wakes and comes first; without a bound the
    /// next piece has a new thread then, each with a stack of its own in the processors' caches.
    #[must_use]
    pub fn of_at_most(threads: NonZeroUsize, yielding: Yielding) -> Self {
        Self::built(yielding, Builder::new_current_thread().max_blocking_threads(threads.get()))
    }

    fn built(yielding: Yielding, threads: &mut Builder) -> Self {
        let name = match yielding {
            Yielding::Little => "indexing",
            Yielding::Some => "writing",
            Yielding::Most => "computing",
        };
        let lower = move || yielding.lower_this_thread();
        let built = threads.thread_name(name).on_thread_start(lower).build();
        let instead = (yielding == Yielding::Most).then(Instead::new);
        Self(Arc::new(Threads { runtime: built.ok(), instead }))
    }

    /// Runs blocking work.
    ///
    /// # Errors
    /// [`Rejection::lost`] where it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        match &self.0.instead {
            None => self.done(work).await,
            Some(instead) if instead.is_on() => instead.threads.done(work).await,
            Some(instead) => self.done_or(instead, work).await,
        }
    }

    /// Runs work here where a thread begins with it in time, and instead where none does.
    async fn done_or<T: Send + 'static>(
        &self,
        instead: &Instead,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Outcome<T> {
        let waiting = Arc::new(Mutex::new(Some(work)));
        let taken = Arc::clone(&waiting);
        let mut done = std::pin::pin!(self.done(move || take(&taken).map(|work| work())));
        if let Ok(done) = tokio::time::timeout(STARVES_AFTER, done.as_mut()).await {
            return done?.ok_or_else(Rejection::lost);
        }
        match take(&waiting) {
            Some(work) => {
                instead.switch_on();
                instead.threads.done(work).await
            }
            None => done.await?.ok_or_else(Rejection::lost),
        }
    }

    async fn done<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        let done = match &self.0.runtime {
            Some(runtime) => runtime.spawn_blocking(move || residue::leaving_nothing(work)),
            None => residue::spawn_blocking(work),
        };
        done.await.map_err(|_panicked| Rejection::lost())
    }
}

/// Whoever is first has it.
fn take<W>(waiting: &Mutex<Option<W>>) -> Option<W> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
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
    use super::{
        Background, KEPT_TIMES, NICE, NICE_LITTLE, OFFERED_EVERY, TAKEN_WITHOUT_END, Yielding, kept_for, take,
    };
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use std::num::NonZeroUsize;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Barrier, Mutex};
    use std::time::Duration;
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
        // whoever begins with it and when: other tests may want all processors
        let most = Background::new(Yielding::Most).done(measure).await;
        assert_eq!(most.map(|most| most.map(|(class, _nice)| class)), Ok(Some(ThreadSchedulePolicy::Normal(idle))));
        for (yielding, by) in [(Yielding::Little, NICE_LITTLE), (Yielding::Some, NICE)] {
            let nice = Background::new(yielding).run(measure).await;
            assert_eq!(nice, Ok(usual.map(|(class, nice)| (class, (nice + by).min(19)))));
        }
        assert_eq!(measure(), usual, "this thread is as it was");
    }

    #[tokio::test]
    async fn what_comes_beyond_a_pools_threads_waits_for_one_of_them() {
        let two = NonZeroUsize::MIN.saturating_add(1);
        let (background, opening) = (Background::of_at_most(two, Yielding::Most), Arc::new(Barrier::new(3)));
        let held = (0..two.get()).map(|_piece| {
            let opening = Arc::clone(&opening);
            background.done(move || opening.wait().is_leader())
        });
        let (mut held, mut beyond) = (Box::pin(join_all(held)), Box::pin(background.done(|| ())));
        assert!(held.as_mut().now_or_never().is_none(), "each has a thread");
        assert!(beyond.as_mut().now_or_never().is_none(), "it has come");
        // threads of others come and go meanwhile: one of its own would have been done with it
        for _ in 0..100 {
            assert_eq!(Background::new(Yielding::Most).done(|| ()).await, Ok(()));
        }
        assert!(beyond.as_mut().now_or_never().is_none(), "it waits");
        opening.wait();
        assert!(held.await.into_iter().all(|held| held.is_ok()));
        assert_eq!(beyond.await, Ok(()));
    }

    #[test]
    fn a_turn_is_offered_often_unless_it_is_taken_without_end() {
        let short = TAKEN_WITHOUT_END - Duration::from_nanos(1_000);
        assert_eq!([Duration::ZERO, short].map(kept_for), [OFFERED_EVERY; 2]);
        let long = [TAKEN_WITHOUT_END, TAKEN_WITHOUT_END * 3];
        assert_eq!(
            long.map(kept_for),
            long.map(|taken_for| taken_for * KEPT_TIMES),
            "what is due to it is not given away"
        );
        assert_eq!(kept_for(Duration::MAX), Duration::MAX);
    }

    /// Threads of the lowest class never run while others have all processors; what takes their place is told by its class.
    #[tokio::test]
    async fn work_that_no_thread_begins_with_is_done_by_others() {
        let background = Background::new(Yielding::Most);
        let instead = background.0.instead.as_ref().unwrap();
        // a thread that never comes: its work is taken from it, as when it starves
        let waiting = Arc::new(Mutex::new(Some(|| 1)));
        assert_eq!(
            (take(&waiting).map(|work| work()), take(&waiting).is_none()),
            (Some(1), true),
            "once, by one of them"
        );
        assert!(!instead.is_on());
        instead.switch_on();
        let other = NormalThreadSchedulePolicy::Other;
        let class = background.run(measure).await.unwrap().map(|(class, _nice)| class);
        assert_eq!(class, Some(ThreadSchedulePolicy::Normal(other)), "while the others starve");
        instead.until_ms.store(0, Ordering::Relaxed);
        assert!(!instead.is_on(), "and not for longer");
    }

    /// Every processor of the machine is wanted by somebody else, for as long as this takes.
    #[tokio::test]
    async fn work_is_done_while_others_want_every_processor() {
        let done = Arc::new(AtomicBool::default());
        let wanting = std::thread::available_parallelism().unwrap().get().saturating_mul(2);
        let begun = Arc::new(Barrier::new(wanting.saturating_add(1)));
        let hogs: Vec<_> = (0..wanting)
            .map(|_| {
                let (done, begun) = (Arc::clone(&done), Arc::clone(&begun));
                std::thread::spawn(move || {
                    begun.wait();
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        begun.wait();
        let background = Background::new(Yielding::Most);
        let other = Some(ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other));
        let mut others_took_over = false;
        for _ in 0..10_000 {
            others_took_over |= background.run(measure).await.unwrap().map(|(class, _nice)| class) == other;
            if others_took_over {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
        assert!(others_took_over);
    }
}
