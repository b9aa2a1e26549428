//! The processors of the machine while somebody is answered: threads of a high nice value leave one of them alone then.
//!
//! A thread that answers and wakes where one of a high nice value runs waits for it until the next tick of the clock, up to
//! four milliseconds, at every hop of an answer. Where there is a processor none of them uses, it wakes there.
use rustix::process::{Pid, getpid, getpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long a processor is left after somebody was answered: whoever asks once a second finds it.
const LEFT_FOR: Duration = Duration::from_secs(2);
/// How often threads that have begun meanwhile are looked for, and the end of it.
const LOOKED_EVERY: Duration = Duration::from_millis(500);
/// Sooner than this after the one before an answer is not noted: its cost is that of every search.
const NOTED_EVERY: Duration = Duration::from_millis(100);
/// How often threads are allowed all processors again: some may have been started by others that were not yet.
const PASSES: usize = 2;
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

/// Made by whoever is answered first: its thread begins as those that answer do.
static ANSWERED: OnceLock<Answered> = OnceLock::new();

/// Tells that somebody is being answered from now on: for two seconds threads of this process that give way leave one of
/// several processors alone. They belong to the process, not to a tenant, and so does what is known of them.
pub fn somebody_is_answered() {
    ANSWERED.get_or_init(Answered::nobody_yet).note();
}

/// Nobody where no thread would allow all processors again.
fn is_somebody() -> bool {
    ANSWERED.get().is_some_and(|answered| answered.keeper.is_some() && answered.is_somebody())
}

impl Answered {
    fn nobody_yet() -> Self {
        let is_shared = usable().is_ok_and(|usable| usable.count() > 1);
        let keeper = std::thread::Builder::new().name(String::from("processors"));
        let keeper = if is_shared { keeper.spawn(keep).ok() } else { None };
        let keeper = keeper.map(|keeper| keeper.thread().clone());
        Self { since: Instant::now(), last_ms: AtomicU64::new(0), keeper }
    }

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
        if !is_somebody() {
            std::thread::park();
        }
        while is_somebody() {
            say_whether(allow(all_but_one));
            rest();
        }
        let mut passes = 0;
        while passes < PASSES && !is_somebody() {
            passes += usize::from(say_whether(allow(|usable| usable)));
            rest();
        }
    }
}

fn rest() {
    let began = Instant::now();
    while let Some(left) = LOOKED_EVERY.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

fn say_whether(allowed: std::io::Result<()>) -> bool {
    if let Err(reason) = &allowed {
        tracing::debug!(%reason, "background work uses the processors it used before");
    }
    allowed.is_ok()
}

/// Allows threads that give way, also those others have started, some of the usable processors.
fn allow(which: impl FnOnce(CpuSet) -> CpuSet) -> std::io::Result<()> {
    let (processors, usual_nice) = (which(usable()?), getpriority_process(Some(getpid()))?);
    for thread in std::fs::read_dir(THREADS)? {
        let number = thread?.file_name().to_str().and_then(|number| number.parse().ok());
        let Some(thread) = number.and_then(Pid::from_raw) else { continue };
        if getpriority_process(Some(thread)).is_ok_and(|nice| nice > usual_nice) {
            let _gone = sched_setaffinity(Some(thread), &processors);
        }
    }
    Ok(())
}

/// Those this process may use: its first thread gives way to nobody.
fn usable() -> rustix::io::Result<CpuSet> {
    sched_getaffinity(Some(getpid()))
}

/// For a thread that has just begun to give way: as the others do at the moment.
pub(super) fn join_the_others() {
    if is_somebody() {
        say_whether(leave_one().map_err(std::io::Error::from));
    }
}

fn leave_one() -> rustix::io::Result<()> {
    let usable = usable()?;
    sched_setaffinity(None, &all_but_one(usable))?;
    // the others may have been allowed all of them meanwhile, before this one was as they were
    if is_somebody() { Ok(()) } else { sched_setaffinity(None, &usable) }
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
    use super::super::Yielding;
    use super::*;
    use std::sync::mpsc::{SyncSender, sync_channel};

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

    /// A thread that gives way and says which processors it may use as often as it is asked.
    fn giving_way() -> impl Fn() -> CpuSet {
        let (ask, asked) = sync_channel::<SyncSender<CpuSet>>(1);
        std::thread::spawn(move || {
            Yielding::Some.lower_this_thread();
            asked.iter().for_each(|answer| answer.send(sched_getaffinity(None).unwrap()).unwrap());
        });
        move || {
            let (answer, told) = sync_channel(1);
            ask.send(answer).unwrap();
            told.recv().unwrap()
        }
    }

    fn within_a_minute(what: &str, mut happens: impl FnMut() -> bool) {
        let began = Instant::now();
        while !happens() {
            assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        }
    }

    /// Threads of other tests leave one, too; none of them asks for its processors.
    #[test]
    fn threads_that_give_way_leave_one_processor_for_as_long_as_somebody_is_answered() {
        let (all, earlier) = (usable().unwrap(), giving_way());
        assert_eq!(earlier(), all);
        within_a_minute("one is left", || {
            somebody_is_answered();
            earlier() == all_but_one(all)
        });
        somebody_is_answered();
        let later = giving_way();
        assert_eq!(later(), all_but_one(all), "by whoever comes later, too");
        assert_eq!(sched_getaffinity(None).unwrap(), all, "whoever answers uses all of them");
        within_a_minute("all are used again", || earlier() == all && later() == all);
    }
}
