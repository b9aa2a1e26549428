//! The line between a turn and its asker: frames while words are coming, one reply at the end, notes beside it.
use crate::cache::messages::CacheState;
use crate::limits::sheet::{Figure, RateSheet};
use crate::question::{Frame, Reply};
use bailiwick_kernel::limits::STREAM_FRAMES_MAX;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// What is told beside a reply.
#[derive(Debug, Default)]
struct Notes {
    upstream_us: AtomicU64,
    is_repeat: AtomicBool,
    cache: OnceLock<CacheState>,
    rates: Arc<RateSheet>,
}

/// The edge's end of a turn.
#[derive(Debug)]
pub struct Awaiting {
    /// Frames of a streamed reply; closed at once where the reply is whole.
    pub frames: mpsc::Receiver<Frame>,
    last: oneshot::Receiver<Outcome<Reply>>,
    notes: Arc<Notes>,
}

impl Awaiting {
    /// The reply. Read the frames to their end first.
    ///
    /// # Errors
    /// Whatever the turn was refused or failed with; [`Rejection::lost`] where it was dropped.
    pub async fn reply(self) -> Outcome<Reply> {
        self.last.await.unwrap_or_else(|_dropped| Err(Rejection::lost()))
    }

    /// Microseconds spent waiting for providers, once a room has noted them: what is not the house's own time.
    #[must_use]
    pub fn upstream_us(&self) -> Option<u64> {
        Some(self.notes.upstream_us.load(Ordering::Relaxed)).filter(|us| *us > 0)
    }

    /// Where the rooms note how much of its rate limits the asker has left.
    #[must_use]
    pub fn rates(&self) -> Arc<RateSheet> {
        Arc::clone(&self.notes.rates)
    }

    /// True where the reply is one that was given before, to the first call under the same `Idempotency-Key`; known once
    /// the frames have ended.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.notes.is_repeat.load(Ordering::Relaxed)
    }

    /// Whether the answer cache was asked, and what it knew; known with the first frame. `None` where the tenant has none.
    #[must_use]
    pub fn cache(&self) -> Option<CacheState> {
        self.notes.cache.get().copied()
    }

    /// As [`Awaiting::reply`], leaving the frames readable.
    ///
    /// # Errors
    /// As [`Awaiting::reply`].
    pub async fn reply_mut(&mut self) -> Outcome<Reply> {
        (&mut self.last).await.unwrap_or_else(|_dropped| Err(Rejection::lost()))
    }
}

/// The turn's end of the line to the asker. Its `Drop` answers *lost* by closing.
#[derive(Debug)]
pub struct ReplyLine {
    frames: Option<mpsc::Sender<Frame>>,
    last: oneshot::Sender<Outcome<Reply>>,
    notes: Arc<Notes>,
    opened: Instant,
}

/// A reply that was cleared once and is durable: it may be given again.
#[derive(Clone, PartialEq, Debug)]
pub struct Given(Reply);

impl Given {
    /// A reply as its record in the journal has it.
    pub(crate) fn of_record(reply: Reply) -> Self {
        Self(reply)
    }
}

/// Where a provider's words go while they are still coming: bounded, and closed where the asker hung up.
#[derive(Clone, Debug)]
pub struct FrameSink(Option<mpsc::Sender<Frame>>);

/// The asker is gone: stop, and settle what was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HungUp;

impl FrameSink {
    /// A sink of nothing, for replies given whole.
    #[must_use]
    pub fn whole() -> Self {
        Self(None)
    }

    /// A sink into the given channel.
    #[must_use]
    pub fn into_channel(frames: mpsc::Sender<Frame>) -> Self {
        Self(Some(frames))
    }

    /// True where somebody reads frames.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.0.is_some()
    }

    /// Sends one frame, waiting while the reader is slow.
    ///
    /// # Errors
    /// [`HungUp`] where the reader is gone.
    pub async fn send(&self, frame: Frame) -> Result<(), HungUp> {
        match &self.0 {
            Some(frames) => frames.send(frame).await.map_err(|_closed| HungUp),
            None => Ok(()),
        }
    }

    /// Waits until the reader is gone; for ever where nobody reads frames.
    pub async fn closed(&self) {
        match &self.0 {
            Some(frames) => frames.closed().await,
            None => std::future::pending().await,
        }
    }
}

impl ReplyLine {
    /// A line whose reply comes whole.
    #[must_use]
    pub fn whole() -> (Self, Awaiting) {
        let (_closed, frames) = mpsc::channel(1);
        Self::pair(None, frames)
    }

    /// A line whose reply comes in frames first.
    #[must_use]
    pub fn streaming() -> (Self, Awaiting) {
        let (sender, frames) = mpsc::channel(STREAM_FRAMES_MAX);
        Self::pair(Some(sender), frames)
    }

    fn pair(sender: Option<mpsc::Sender<Frame>>, frames: mpsc::Receiver<Frame>) -> (Self, Awaiting) {
        let (last, awaiting) = oneshot::channel();
        let notes = Arc::<Notes>::default();
        let line = Self { frames: sender, last, notes: Arc::clone(&notes), opened: Instant::now() };
        (line, Awaiting { frames, last: awaiting, notes })
    }

    /// True where the reply comes in frames first.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.frames.is_some()
    }

    /// When somebody began to wait at its other end.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// Microseconds spent waiting for providers so far.
    pub(crate) fn upstream_us(&self) -> u64 {
        self.notes.upstream_us.load(Ordering::Relaxed)
    }

    pub(crate) fn sink(&self) -> FrameSink {
        FrameSink(self.frames.clone())
    }

    /// Notes how many requests the asker has left.
    pub(crate) fn note_requests(&self, figure: Option<Figure>) {
        self.notes.rates.note_requests(figure);
    }

    /// Notes how many tokens the asker has left; the last note stands.
    pub(crate) fn note_tokens(&self, figure: Option<Figure>) {
        self.notes.rates.note_tokens(figure);
    }

    /// True where nobody waits for the reply any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.last.is_closed()
    }

    /// Ends the line with a rejection before a turn exists.
    pub fn reject(self, rejection: Rejection) {
        let _gone = self.last.send(Err(rejection));
    }

    /// Ends the line with the reply of a cleared turn. Called by [`crate::turn::Turn::reply`] only.
    pub(crate) fn answer(self, reply: Reply) {
        let _gone = self.last.send(Ok(reply));
    }

    /// Notes what the answer cache knew.
    pub(crate) fn note_cache(&self, state: CacheState) {
        let _noted_before = self.notes.cache.set(state);
    }

    /// Notes time spent waiting for a provider.
    pub(crate) fn note_upstream_us(&self, waited_us: u64) {
        self.notes.upstream_us.fetch_add(waited_us, Ordering::Relaxed);
    }

    /// Ends the line with a reply that was given before.
    pub(crate) fn repeat(self, Given(reply): Given) {
        self.notes.is_repeat.store(true, Ordering::Relaxed);
        let _gone = self.last.send(Ok(reply));
    }
}
