//! A log ahead of a store: what is synced is one group of changes, written from front to back and synced once. The store
//! gets them later, from a thread of its own, and until then they are read from layers over its trees.
//!
//! Purpose: a commit costs one write and one sync, however many changes it has, and none of the store's own work.
//! Owns: the log's files, the layers; the store below belongs to it alone.
//! Never: lets the store have what the log has not durably: after a power cut both together are as after one of the changes.
//! Invariants: a segment of the log is used again only once the store durably has what it says; changes stand in the log in
//! the order in which they are read.
use super::store::{Keyed, Pairs, Store, StoreFailure, Visitor, fit_a_store};
use crate::limits::{STORE_AHEAD_BELOW_BYTES, STORE_AHEAD_BUFFER_BYTES, STORE_AHEAD_SEGMENT_BYTES};
use folding::{Behind, Changed, Folding, Frozen};
use group::Change;
use layer::{Layer, Stack};
use log::{Found, Log, ROOM_BYTES};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

mod folding;
mod group;
mod layer;
mod log;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod tests;

impl From<group::Illegible> for StoreFailure {
    fn from(illegible: group::Illegible) -> Self {
        Self(illegible.to_string())
    }
}

/// How much one segment of the log holds, how much may wait for a sync, and how much the store gets between two syncs.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    segment_bytes: usize,
    buffer_bytes: usize,
    below_bytes: usize,
}

const SIZES: Sizes = Sizes {
    segment_bytes: STORE_AHEAD_SEGMENT_BYTES,
    buffer_bytes: STORE_AHEAD_BUFFER_BYTES,
    below_bytes: STORE_AHEAD_BELOW_BYTES,
};

/// A store with a log ahead of it.
#[derive(Debug)]
pub struct WriteAhead {
    ahead: Arc<Ahead>,
    #[expect(dead_code, reason = "its thread ends when it is dropped")]
    folding: Folding,
}

/// What the trees share.
#[derive(Debug)]
struct Ahead {
    sizes: Sizes,
    below: Arc<dyn Store>,
    trees: RwLock<BTreeMap<String, Arc<Tree>>>,
    /// Held to read while a change goes into the buffer and its layer, to write while layers are frozen.
    changing: RwLock<()>,
    /// Held from where the log says that a tree is dropped until the store has dropped it.
    dropping: Mutex<()>,
    waiting: Mutex<Waiting>,
    log: Mutex<Log>,
    behind: Behind,
    /// Set by the first failure of the log, or of the store that gets what it says: only opening both again shows what is there.
    lost: OnceLock<StoreFailure>,
}

/// Changes that wait for the next sync.
#[derive(Debug)]
struct Waiting {
    /// Room for a header, then the changes.
    group: Vec<u8>,
    /// Trees that have changes in their newest layer.
    changed: Vec<Arc<Tree>>,
}

fn empty_group() -> Vec<u8> {
    vec![0; ROOM_BYTES]
}

/// One tree: its layers, and the store's tree below them.
#[derive(Debug)]
struct Tree {
    name: String,
    below: Arc<dyn Keyed>,
    layers: RwLock<Layers>,
    /// Held while a slice of a layer goes into the store's tree, or the tree is dropped.
    folding: Mutex<()>,
}

#[derive(Default, Debug)]
struct Layers {
    newest: Arc<Layer>,
    /// Those of complete segments, the oldest first.
    frozen: VecDeque<Arc<Layer>>,
    dropped: bool,
}

impl Tree {
    fn over(name: &str, below: Arc<dyn Keyed>) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), below, layers: RwLock::default(), folding: Mutex::default() })
    }

    fn layers(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_layers(&self, change: impl FnOnce(&mut Layers)) {
        change(&mut self.layers.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn stack(&self) -> Result<Stack, StoreFailure> {
        let layers = self.layers();
        self.still_there(&layers)?;
        let newest_first = std::iter::once(&layers.newest).chain(layers.frozen.iter().rev()).map(Arc::clone);
        Ok(Stack::of(newest_first, &self.below))
    }

    fn still_there(&self, layers: &Layers) -> Result<(), StoreFailure> {
        if layers.dropped { Err(StoreFailure(format!("the tree {} was dropped", self.name))) } else { Ok(()) }
    }

    /// Takes the newest layer out of the way of further changes.
    fn freeze(&self) -> Arc<Layer> {
        let mut frozen = Arc::default();
        self.change_layers(|layers| {
            frozen = std::mem::take(&mut layers.newest);
            layers.frozen.push_back(Arc::clone(&frozen));
        });
        frozen
    }
}

impl WriteAhead {
    /// Puts a log in a folder of its own ahead of a store; what the log has and the store has not is taken over first.
    ///
    /// # Errors
    /// [`StoreFailure`], also where what was durable in the log is not as it was written.
    pub fn open(folder: &Path, below: Arc<dyn Store>) -> Result<Self, StoreFailure> {
        Self::with_sizes(folder, below, SIZES)
    }

    fn with_sizes(folder: &Path, below: Arc<dyn Store>, sizes: Sizes) -> Result<Self, StoreFailure> {
        let mut found = Found::read(folder)?;
        take_over(&mut found, below.as_ref())?;
        let log = Mutex::new(found.into_log(folder, sizes.segment_bytes)?);
        let mut trees = BTreeMap::new();
        for name in below.names("") {
            if let Some(tree) = below.existing(&name) {
                trees.insert(name.clone(), Tree::over(&name, tree));
            }
        }
        let waiting = Mutex::new(Waiting { group: empty_group(), changed: Vec::new() });
        let (trees, changing) = (RwLock::new(trees), RwLock::default());
        let (behind, lost, dropping) = (Behind::default(), OnceLock::new(), Mutex::default());
        let ahead = Arc::new(Ahead { sizes, below, trees, changing, dropping, waiting, log, behind, lost });
        let folding = Folding::start(Arc::clone(&ahead))?;
        Ok(Self { ahead, folding })
    }

    fn trees(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Tree>>> {
        self.ahead.trees.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn keyed(&self, tree: &Arc<Tree>) -> Arc<dyn Keyed> {
        Arc::new(Handle { ahead: Arc::clone(&self.ahead), tree: Arc::clone(tree) })
    }
}

/// Gives the store everything the log says, in its order. Cut short it is done again, and ends the same.
fn take_over(found: &mut Found, below: &dyn Store) -> Result<(), StoreFailure> {
    for changes in found.live.iter().flat_map(|(_, groups)| groups) {
        for (name, change) in group::decode(changes)? {
            match change {
                Change::Create => below.tree(&name).map(drop)?,
                Change::Drop => below.drop_tree(&name)?,
                Change::Clear => below.tree(&name)?.clear()?,
                Change::Apply(puts, removals) => below.tree(&name)?.apply(puts, &removals)?,
            }
        }
    }
    if found.live.is_empty() {
        return Ok(());
    }
    below.sync()?;
    while let Some((segment, _)) = found.live.pop_front() {
        found.reuse(segment.retire()?);
    }
    Ok(())
}

impl Ahead {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dropping(&self) -> MutexGuard<'_, ()> {
        self.dropping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> RwLockReadGuard<'_, ()> {
        self.changing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, failure: &StoreFailure) {
        self.lost.get_or_init(|| {
            StoreFailure(format!("an earlier sync failed, restart the node to see what the disk holds: {failure}"))
        });
    }

    fn is_there(&self) -> Result<(), StoreFailure> {
        self.lost.get().map_or(Ok(()), |lost| Err(lost.clone()))
    }

    /// Notes a change of a tree for the next sync, and carries it out over the store.
    fn change(&self, tree: &Arc<Tree>, change: Change) -> Result<(), StoreFailure> {
        let is_much = {
            let _changing = self.changing();
            let layers = tree.layers();
            tree.still_there(&layers)?;
            let mut changes = layers.newest.write();
            let mut waiting = self.waiting();
            group::encode(&tree.name, &change, &mut waiting.group)?;
            if changes.is_empty() {
                waiting.changed.push(Arc::clone(tree));
            }
            let is_much = waiting.group.len() >= self.sizes.buffer_bytes;
            drop(waiting);
            changes.carry_out(change);
            is_much
        };
        if is_much { self.sync() } else { Ok(()) }
    }

    /// Lets nobody change or read a tree any more, and drops it.
    fn drop_tree(&self, tree: &Tree) -> Result<(), StoreFailure> {
        let _until_the_store_has_dropped_it = self.dropping();
        self.note_drop(tree)?;
        // the log knows before the store forgets: changes noted before would meet a tree without what was there before them
        self.make_durable()?;
        let _no_slice = tree.folding.lock().unwrap_or_else(PoisonError::into_inner);
        self.below.drop_tree(&tree.name).inspect_err(|failure| self.lose(failure))
    }

    fn note_drop(&self, tree: &Tree) -> Result<(), StoreFailure> {
        let _changing = self.changing();
        let mut layers = tree.layers.write().unwrap_or_else(PoisonError::into_inner);
        group::encode(&tree.name, &Change::Drop, &mut self.waiting().group)?;
        *layers = Layers { dropped: true, ..Layers::default() };
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreFailure> {
        self.make_durable()?;
        self.behind.wait_for_room();
        Ok(())
    }

    fn make_durable(&self) -> Result<(), StoreFailure> {
        self.is_there()?;
        self.write_group().inspect_err(|failure| self.lose(failure))
    }

    /// Makes everything noted so far durable. A segment that is full with it is complete: its layers are frozen with the group
    /// that is its last, so that they have exactly what it says.
    fn write_group(&self) -> Result<(), StoreFailure> {
        let mut log = self.log();
        let (mut group, frozen) = self.take_group(log.bytes());
        if group.len() > ROOM_BYTES {
            log.append(&mut group)?;
        }
        if let Some(layers) = frozen {
            self.behind.push(Frozen { segment: log.begin_next()?, layers });
        }
        Ok(())
    }

    fn take_group(&self, in_use: usize) -> (Vec<u8>, Option<Changed>) {
        let mut waiting = self.waiting();
        if in_use.saturating_add(waiting.group.len()) < self.sizes.segment_bytes {
            return (std::mem::replace(&mut waiting.group, empty_group()), None);
        }
        drop(waiting);
        let _nobody_changes = self.changing.write().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.waiting();
        let changed = std::mem::take(&mut waiting.changed);
        let frozen = changed.into_iter().map(|tree| (Arc::clone(&tree), tree.freeze())).collect();
        (std::mem::replace(&mut waiting.group, empty_group()), Some(frozen))
    }
}

impl Store for WriteAhead {
    fn tree(&self, name: &str) -> Result<Arc<dyn Keyed>, StoreFailure> {
        if let Some(tree) = self.existing(name) {
            return Ok(tree);
        }
        let mut trees = self.ahead.trees.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = trees.get(name) {
            return Ok(self.keyed(tree));
        }
        let tree = Tree::over(name, self.ahead.below.tree(name)?);
        self.ahead.change(&tree, Change::Create)?;
        trees.insert(name.to_owned(), Arc::clone(&tree));
        Ok(self.keyed(&tree))
    }

    fn existing(&self, name: &str) -> Option<Arc<dyn Keyed>> {
        self.trees().get(name).map(|tree| self.keyed(tree))
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let trees = self.trees();
        let from = trees.range(prefix.to_owned()..).map(|(name, _)| name);
        from.take_while(|name| name.starts_with(prefix)).cloned().collect()
    }

    fn drop_tree(&self, name: &str) -> Result<(), StoreFailure> {
        let mut trees = self.ahead.trees.write().unwrap_or_else(PoisonError::into_inner);
        let Some(tree) = trees.get(name) else { return Ok(()) };
        self.ahead.drop_tree(tree)?;
        trees.remove(name);
        drop(trees);
        self.ahead.behind.wait_for_room();
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreFailure> {
        self.ahead.sync()
    }

    fn keep_pace(&self) {
        self.ahead.behind.wait_until_unhurried();
    }
}

/// A tree as its users hold it.
#[derive(Debug)]
struct Handle {
    ahead: Arc<Ahead>,
    tree: Arc<Tree>,
}

impl Keyed for Handle {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailure> {
        self.tree.stack()?.get(key)
    }

    fn apply(&self, puts: Pairs, removals: &[Vec<u8>]) -> Result<(), StoreFailure> {
        fit_a_store(&puts)?;
        if puts.is_empty() && removals.is_empty() {
            return Ok(());
        }
        self.ahead.change(&self.tree, Change::Apply(puts, removals.to_vec()))
    }

    fn append(&self, puts: Pairs) -> Result<(), StoreFailure> {
        self.apply(puts, &[])
    }

    fn visit(&self, from: &[u8], each: &mut Visitor<'_>) -> Result<(), StoreFailure> {
        self.tree.stack()?.visit(from, each)
    }

    fn clear(&self) -> Result<(), StoreFailure> {
        self.ahead.change(&self.tree, Change::Clear)
    }
}
