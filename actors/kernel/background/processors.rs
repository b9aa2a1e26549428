//! The processors of the machine while somebody is answered: threads that give way leave one of them alone then.
//!
//! A thread that answers and wakes where one of a high nice value runs waits for it until the next tick of the clock, up to
//! four milliseconds, at every hop of an answer. Where there is a processor none of them uses, it wakes there.
use rustix::process::{Pid, getpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long a processor is left after somebody was answered: whoever asks once a second finds it.
const LEFT_FOR: Duration = Duration::from_secs(2);
/// How often threads that have begun meanwhile are told, and the end of it is looked for.
const LOOKED_EVERY: Duration = Duration::from_millis(500);
/// Sooner than this after the one before an answer is not noted: its cost is that of every search.
const NOTED_EVERY: Duration = Duration::from_millis(100);
/// The threads of this process.
const THREADS: &str = "/proc/self/task";

/// Who was answered last, and the thread that leaves a processor for as long as somebody is.
#[derive(Debug)]
struct Answered {
    since: Instant,
    last_ms: AtomicU64,
    /// None where the machine has one processor alone, or the system no thread.
    keeper: Option<Thread>,
}

static ANSWERED: LazyLock<Answered> = LazyLock::new(|| {
    let is_shared = sched_getaffinity(None).is_ok_and(|usable| usable.count() > 1);
    let keeper = std::thread::Builder::new().name(String::from("processors"));
    let keeper = if is_shared { keeper.spawn(keep).ok() } else { None };
    Answered { since: Instant::now(), last_ms: AtomicU64::new(0), keeper: keeper.map(|keeper| keeper.thread().clone()) }
});

/// Tells that somebody is being answered now: for two seconds from now on threads that give way leave one of several
/// processors alone. They belong to the process, not to a tenant, and so does what is known of them.
pub fn somebody_is_answered() {
    ANSWERED.note();
}

impl Answered {
    fn now_ms(&self) -> u64 {
        // one is the first: nobody was answered at zero
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn note(&self) {
        let (last_ms, now_ms) = (self.last_ms.load(Ordering::Relaxed), self.now_ms());
        if last_ms > 0 && is_within(NOTED_EVERY, last_ms, now_ms) {
            return;
        }
        self.last_ms.store(now_ms, Ordering::Relaxed);
        if let Some(keeper) = &self.keeper {
            keeper.unpark();
        }
    }

    fn is_somebody(&self) -> bool {
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        last_ms > 0 && is_within(LEFT_FOR, last_ms, self.now_ms())
    }
}

fn is_within(duration: Duration, last_ms: u64, now_ms: u64) -> bool {
    u128::from(now_ms.saturating_sub(last_ms)) < duration.as_millis()
}

fn keep() {
    loop {
        std::thread::park();
        while ANSWERED.is_somebody() {
            tell(all_but_one);
            let told = Instant::now();
            while let Some(rest) = LOOKED_EVERY.checked_sub(told.elapsed()).filter(|rest| !rest.is_zero()) {
                std::thread::park_timeout(rest);
            }
        }
        tell(|usable| usable);
    }
}

/// Tells threads that give way, also those others have started, which of the processors this thread may use they may.
fn tell(which: impl FnOnce(CpuSet) -> CpuSet) {
    let told = sched_getaffinity(None).map_err(std::io::Error::from).and_then(|usable| {
        let (processors, usual) = (which(usable), getpriority_process(None)?);
        for thread in std::fs::read_dir(THREADS)?.flatten() {
            let number = thread.file_name().to_str().and_then(|number| number.parse().ok());
            let Some(thread) = number.and_then(Pid::from_raw) else { continue };
            if getpriority_process(Some(thread)).is_ok_and(|nice| nice > usual) {
                let _gone = sched_setaffinity(Some(thread), &processors);
            }
        }
        Ok(())
    });
    if let Err(reason) = told {
        tracing::debug!(%reason, "background work uses the processors it used before");
    }
}

/// All but the first; the only one stays.
fn all_but_one(usable: CpuSet) -> CpuSet {
    let mut processors = usable;
    if let Some(left) = (0..CpuSet::MAX_CPU).find(|processor| usable.is_set(*processor)) {
        processors.unset(left);
    }
    if processors.count() == 0 { usable } else { processors }
}

#[cfg(test)]
mod tests {
    use super::super::{Background, Yielding};
    use super::*;

    fn set(processors: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        processors.iter().for_each(|processor| set.set(*processor));
        set
    }

    #[test]
    fn one_of_several_processors_is_left_and_a_single_one_is_used() {
        assert_eq!(all_but_one(set(&[0, 1, 2])), set(&[1, 2]));
        assert_eq!(all_but_one(set(&[3, 1_023])), set(&[1_023]));
        assert_eq!(all_but_one(set(&[5])), set(&[5]));
    }

    #[test]
    fn an_answer_is_felt_for_two_seconds() {
        let answered = Answered { since: Instant::now(), last_ms: AtomicU64::new(0), keeper: None };
        assert!(!answered.is_somebody(), "nobody yet");
        answered.note();
        assert!(answered.is_somebody());
        assert_eq!([1_999, 2_000].map(|later_ms| is_within(LEFT_FOR, 1, 1 + later_ms)), [true, false]);
    }

    /// Threads of other tests are told, too; none of them asks for its processors.
    #[tokio::test]
    async fn threads_that_give_way_leave_one_processor_for_as_long_as_somebody_is_answered() {
        let usable = || sched_getaffinity(None).unwrap();
        let (all, background) = (usable(), Background::new(Yielding::Some));
        let used = || async { background.run(usable).await.unwrap() };
        assert_eq!(used().await, all);
        while used().await != all_but_one(all) {
            somebody_is_answered();
        }
        assert_eq!(usable(), all, "whoever answers uses all of them");
        while used().await != all {}
    }
}
