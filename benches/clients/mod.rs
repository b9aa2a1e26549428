//! A client, and a model server, has a machine of its own. On this one their threads come before others, as those of the
//! peers' benchmarks do, so that what is waited for is the node and not a processor for whoever asks it.
use std::sync::Once;
use thread_priority::ThreadPriority;
use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

/// Real-time round robin (sched(7), `SCHED_RR`) for the calling thread. Where the system refuses it the thread waits like
/// all others, which is said once.
pub fn come_first() {
    static SAID: Once = Once::new();
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let priority = ThreadPriority::Crossplatform(10_u8.try_into().unwrap());
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        SAID.call_once(|| println!("clients wait for processors like everybody else here: {error}"));
    }
}

/// A runtime whose threads come first; the thread that blocks on it does not, nor does what it starts.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_start(come_first).build().unwrap()
}
