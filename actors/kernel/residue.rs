//! What work leaves on the stacks of threads. Freed memory is written over by the allocator; a stack is not: what stood in the
//! frames of a call stays below the stack pointer until a later call happens to reach as deep. So threads that do blocking work
//! write over what it left each time, and all others when something was destroyed (spec 2.5: deleted means gone).
use std::hint::black_box;
use std::sync::LazyLock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes written over below a caller: deeper than the frames of a search or of a portion of an index reach.
const DEPTH_BYTES: usize = if cfg!(debug_assertions) { 256 << 10 } else { 32 << 10 };

/// Counts what was destroyed. Stacks belong to the process, so this does.
static DESTRUCTIONS: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));

/// Writes over the unused stack of the calling thread.
#[inline(never)]
fn overwrite() {
    let mut below = [0_u8; DEPTH_BYTES];
    // as far as the compiler knows, somebody reads it
    black_box(&mut below);
}

/// Writes over the stack however its scope ends.
struct Afterwards;

impl Drop for Afterwards {
    fn drop(&mut self) {
        overwrite();
    }
}

/// In frames of its own, below those of the caller, where they are written over.
#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Does work, and leaves nothing of it on the stack, also where it panics.
pub fn leaving_nothing<T>(work: impl FnOnce() -> T) -> T {
    let _afterwards = Afterwards;
    below(work)
}

/// Runs blocking work on a thread of its own, which keeps nothing of it on its stack: what everything here uses instead of
/// [`tokio::task::spawn_blocking`].
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(move || leaving_nothing(work))
}

/// Has every thread that attends write over its stack. Call it once what was destroyed is out of reach.
pub fn overwrite_everywhere() {
    DESTRUCTIONS.send_modify(|destructions| *destructions = destructions.wrapping_add(1));
}

/// Attends as long as its thread serves: to be spawned once on every thread that runs actors or a gateway's worker.
pub async fn attend() {
    let mut destructions = DESTRUCTIONS.subscribe();
    while destructions.changed().await.is_ok() {
        overwrite();
    }
}

#[cfg(test)]
mod tests {
    use super::{attend, leaving_nothing, overwrite_everywhere};
    use std::hint::black_box;

    const WORDS: [u8; 32] = *b"what a thread looked at, zq71b2a";

    /// Deep enough that nothing else a test calls gets there.
    #[inline(never)]
    fn look(depth: usize) -> usize {
        let frame = black_box([WORDS; 64]);
        if depth == 0 { frame.as_ptr().addr() } else { look(depth - 1).min(frame.as_ptr().addr()) }
    }

    /// How often the words lie in this thread's own stack, from a place below up to here.
    fn found(from: usize) -> usize {
        let here = black_box([0_u8; 8]);
        let length = here.as_ptr().addr().saturating_sub(from);
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let mut bytes = vec![0; length];
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, from as u64).unwrap();
        bytes.windows(WORDS.len()).filter(|window| **window == WORDS).count()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_leaves_nothing_on_its_stack_also_where_it_panics() {
        let from = look(8);
        assert!(found(from) > 0, "left where nobody writes over it");
        let from = leaving_nothing(|| look(8));
        assert_eq!(found(from), 0);
        let mut from = 0;
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            leaving_nothing(|| {
                from = look(8);
                std::panic::resume_unwind(Box::new(()));
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(found(from), 0);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_thread_that_attends_keeps_nothing_once_something_was_destroyed() {
        let attending = tokio::spawn(attend());
        tokio::task::yield_now().await;
        let from = look(8);
        assert!(found(from) > 0);
        overwrite_everywhere();
        while found(from) > 0 {
            tokio::task::yield_now().await;
        }
        attending.abort();
    }
}
