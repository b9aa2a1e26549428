//! Where shells draw what is random in the names of questions: injected like the clock, so that a test can foretell them
//! and see that no neighbour has moved one.
use bailiwick_kernel::ids::QueryId;
use std::fmt::Debug;
use std::sync::Arc;

/// Random bytes of one name.
pub type Drawn = [u8; 10];

/// Where random bytes of names come from.
pub trait Draw: Debug + Send + Sync + 'static {
    /// Bytes nobody can foretell and that never come again.
    fn draw(&self) -> Drawn;
}

/// A shared source.
pub type SharedDraw = Arc<dyn Draw>;

/// The machine's generator.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemDraw;

impl Draw for SystemDraw {
    fn draw(&self) -> Drawn {
        rand::random()
    }
}

/// A fresh name, ordered by the given time.
#[must_use]
pub fn fresh(source: &dyn Draw, now_unix_ms: u64) -> QueryId {
    QueryId::fresh(now_unix_ms, source.draw())
}
