//! Injected time. Rules receive `now` as a number; only shells hold a clock, and tests hold the hands.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a shell reads the time.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_unix_ms(&self) -> u64;
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's wall clock.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_unix_ms(&self) -> u64 {
        u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
    }
}

/// A clock that stands still until a test moves it.
#[derive(Default, Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock showing the given time.
    #[must_use]
    pub fn at(unix_ms: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(unix_ms)))
    }

    /// Moves the hands forward.
    pub fn advance(&self, by_ms: u64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_unix_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// RFC 3339 in UTC with milliseconds, as it stands in lineage and answers.
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| String::from("invalid"), |time| format!("{time:.3}"))
}
