//! The thread that gives the store what complete segments of the log say, a slice at a time.
//!
//! It gives way to whoever answers, and offers its processor between slices. While it is behind by few segments, it pauses
//! there, too; behind by more it does not, and whoever writes much waits for it. Who syncs waits only where it is behind by
//! [`STORE_AHEAD_SEGMENTS_MAX`].
use super::layer::Layer;
use super::log::Segment;
use super::{Ahead, Tree};
use crate::background::{Turn, Yielding};
use crate::fabric::store::{Pairs, StoreFailure};
use crate::limits::STORE_AHEAD_SEGMENTS_MAX;
use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Changes given to the store between two pauses.
const SLICE_CHANGES: usize = 8;
/// Segments it may be behind by without a hurry.
const UNHURRIED_SEGMENTS: usize = STORE_AHEAD_SEGMENTS_MAX / 2;
/// Four times as long as a slice takes: the processors are for those who answer and who upload.
const PAUSE: Duration = Duration::from_millis(1);

/// Trees, each with one of its layers.
pub type Changed = Vec<(Arc<Tree>, Arc<Layer>)>;

/// A complete segment with the layers that have what it says.
#[derive(Debug)]
pub struct Frozen {
    /// The segment.
    pub segment: Segment,
    /// Its trees, each with its layer.
    pub layers: Changed,
}

/// Complete segments on their way to the store.
#[derive(Default, Debug)]
pub struct Behind {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default, Debug)]
struct State {
    waiting: VecDeque<Frozen>,
    /// Segments the store does not have: those that wait, and the one under way.
    segments: usize,
    /// The thread shall end, or has ended.
    ends: bool,
}

impl Behind {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Adds a segment.
    pub fn push(&self, frozen: Frozen) {
        self.change(|state| {
            state.segments = state.segments.saturating_add(1);
            state.waiting.push_back(frozen);
        });
    }

    /// Returns once the store is not too far behind, or never will be less so.
    pub fn wait_for_room(&self) {
        let is_far = |state: &mut State| state.segments >= STORE_AHEAD_SEGMENTS_MAX && !state.ends;
        drop(self.changed.wait_while(self.state(), is_far).unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns once the store is behind by few segments, or never will be less so.
    pub fn wait_until_unhurried(&self) {
        let hurries = |state: &mut State| state.segments > UNHURRIED_SEGMENTS && !state.ends;
        drop(self.changed.wait_while(self.state(), hurries).unwrap_or_else(PoisonError::into_inner));
    }

    fn next(&self) -> Option<Frozen> {
        let nothing = |state: &mut State| state.waiting.is_empty() && !state.ends;
        let mut state = self.changed.wait_while(self.state(), nothing).unwrap_or_else(PoisonError::into_inner);
        if state.ends { None } else { state.waiting.pop_front() }
    }

    /// Pauses while nobody waits for the thread; whether it shall go on.
    fn pause(&self) -> bool {
        let unhurried = |state: &mut State| state.segments <= UNHURRIED_SEGMENTS && !state.ends;
        let paused = self.changed.wait_timeout_while(self.state(), PAUSE, unhurried);
        let (state, _time) = paused.unwrap_or_else(PoisonError::into_inner);
        !state.ends
    }
}

/// The thread; dropping it ends it, in the middle of a segment where need be: what the store has not, the log has.
#[derive(Debug)]
pub struct Folding {
    ahead: Arc<Ahead>,
    thread: Option<JoinHandle<()>>,
}

impl Folding {
    /// Starts it.
    ///
    /// # Errors
    /// [`StoreFailure`] where the system gives no thread.
    pub fn start(ahead: Arc<Ahead>) -> Result<Self, StoreFailure> {
        let its_own = Arc::clone(&ahead);
        let name = String::from("store-folding");
        let thread = std::thread::Builder::new().name(name).spawn(move || fold_until_ended(&its_own))?;
        Ok(Self { ahead, thread: Some(thread) })
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        self.ahead.behind.change(|state| state.ends = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that gives the store what its log says panicked; the log keeps it");
        }
    }
}

/// Tells everybody when the thread ends, however it ends: nobody waits for it then.
struct Ends<'a>(&'a Ahead);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.behind.change(|state| state.ends = true);
        if std::thread::panicking() {
            self.0.lose(&StoreFailure(String::from("the store panicked over what its log says")));
        }
    }
}

fn fold_until_ended(ahead: &Ahead) {
    let _ends = Ends(ahead);
    // whoever syncs waits for it where it is far behind
    Yielding::Little.lower_this_thread();
    while let Some(frozen) = ahead.behind.next() {
        match fold(ahead, frozen) {
            Ok(true) => ahead.behind.change(|state| state.segments = state.segments.saturating_sub(1)),
            Ok(false) => return,
            Err(failure) => {
                tracing::error!(reason = %failure, "giving the store what its log says");
                return ahead.lose(&failure);
            }
        }
    }
}

/// Gives the store one segment; whether it came to its end.
fn fold(ahead: &Ahead, Frozen { segment, layers }: Frozen) -> Result<bool, StoreFailure> {
    let mut giving = Giving { ahead, turn: Turn::begin(), unsynced_bytes: 0 };
    for (tree, layer) in &layers {
        if !giving.layer(tree, layer)? {
            return Ok(false);
        }
    }
    // a tree this segment says is dropped must not come back once the segment is used again
    drop(ahead.dropping());
    ahead.is_there()?;
    ahead.below.sync()?;
    for (tree, _) in layers {
        tree.change_layers(|layers| drop(layers.frozen.pop_front()));
    }
    // whoever commits waits for the log, and must not wait for this write
    let retired = segment.retire()?;
    ahead.log().reuse(retired);
    Ok(true)
}

/// A segment on its way to the store.
struct Giving<'a> {
    ahead: &'a Ahead,
    turn: Turn,
    /// Bytes given to the store since it was last synced.
    unsynced_bytes: usize,
}

impl Giving<'_> {
    /// Gives the store one layer; whether it came to its end.
    fn layer(&mut self, tree: &Tree, layer: &Layer) -> Result<bool, StoreFailure> {
        if layer.read().cleared {
            fold_slice(tree, || tree.below.clear())?;
        }
        let mut after = Bound::Unbounded;
        loop {
            let Slice { puts, removals, bytes, last } = slice_of(layer, &after);
            let Some(last) = last else { return Ok(true) };
            fold_slice(tree, || {
                tree.below.append(puts)?;
                removals.into_iter().try_for_each(|key| tree.below.apply(Vec::new(), &[key]))
            })?;
            self.sync_where_due(bytes)?;
            if !self.ahead.behind.pause() {
                return Ok(false);
            }
            self.turn.offer();
            after = Bound::Excluded(last);
        }
    }

    fn sync_where_due(&mut self, bytes: usize) -> Result<(), StoreFailure> {
        self.unsynced_bytes = self.unsynced_bytes.saturating_add(bytes);
        if self.unsynced_bytes < self.ahead.sizes.below_bytes {
            return Ok(());
        }
        self.unsynced_bytes = 0;
        self.ahead.below.sync()
    }
}

/// Changes a dropped tree no more.
fn fold_slice(tree: &Tree, change: impl FnOnce() -> Result<(), StoreFailure>) -> Result<(), StoreFailure> {
    let _until_done = tree.folding.lock().unwrap_or_else(PoisonError::into_inner);
    if tree.layers().dropped { Ok(()) } else { change() }
}

struct Slice {
    puts: Pairs,
    removals: Vec<Vec<u8>>,
    bytes: usize,
    last: Option<Vec<u8>>,
}

fn slice_of(layer: &Layer, after: &Bound<Vec<u8>>) -> Slice {
    let changes = layer.read();
    let mut slice = Slice { puts: Vec::new(), removals: Vec::new(), bytes: 0, last: None };
    for (key, value) in changes.by_key().range((after.clone(), Bound::Unbounded)).take(SLICE_CHANGES) {
        slice.bytes = slice.bytes.saturating_add(key.len()).saturating_add(value.as_ref().map_or(0, Vec::len));
        match value {
            Some(value) => slice.puts.push((key.clone(), value.clone())),
            None => slice.removals.push(key.clone()),
        }
        slice.last = Some(key.clone());
    }
    slice
}
