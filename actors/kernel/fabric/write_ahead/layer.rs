//! Changes of one tree that are in the log and not in the store yet, and how they are read over it.
use super::group::Change;
use crate::fabric::store::{Keyed, StoreFailure, Visitor};
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A key in short: keys that differ may have the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Short(u64);

impl Short {
    fn of(key: &[u8]) -> Self {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(SEED.hash_one(key))
    }
}

/// What was changed since the layer began: newest values, and nothing where a key was removed.
#[derive(Default, Debug)]
pub struct Changes {
    /// The tree was emptied: nothing below counts.
    pub cleared: bool,
    by_key: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Of every key there is one: most keys that are asked for stand in none of the layers, and looking for one in order
    /// takes twenty comparisons a layer.
    known: HashSet<Short>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unchanged,
    Changed,
    Cleared,
}

impl Changes {
    /// Changes what is read.
    pub fn carry_out(&mut self, change: Change) {
        match change {
            Change::Apply(puts, removals) => {
                let keys = puts.iter().map(|(key, _)| key).chain(&removals);
                self.known.extend(keys.map(|key| Short::of(key)));
                self.by_key.extend(puts.into_iter().map(|(key, value)| (key, Some(value))));
                self.by_key.extend(removals.into_iter().map(|key| (key, None)));
            }
            Change::Clear => *self = Self { cleared: true, ..Self::default() },
            Change::Create | Change::Drop => {}
        }
    }

    /// By key: what each was changed to.
    pub fn by_key(&self) -> &BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        &self.by_key
    }

    /// What a key was changed to: nothing where it was removed. `short` is the key's own.
    fn get(&self, short: Short, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        if self.known.contains(&short) { self.by_key.get(key) } else { None }
    }

    /// True where nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.state() == State::Unchanged
    }

    fn state(&self) -> State {
        match (self.cleared, self.by_key.is_empty()) {
            (true, _) => State::Cleared,
            (false, false) => State::Changed,
            (false, true) => State::Unchanged,
        }
    }
}

/// A key with what it was changed to: nothing where it was removed.
type Changed = (Vec<u8>, Option<Vec<u8>>);

/// The changes of one segment to one tree.
#[derive(Default, Debug)]
pub struct Layer(RwLock<Changes>);

impl Layer {
    /// To read them.
    pub fn read(&self) -> RwLockReadGuard<'_, Changes> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To add to them.
    pub fn write(&self) -> RwLockWriteGuard<'_, Changes> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first key not before a bound, with what it was changed to.
    fn first_from(&self, from: Bound<&[u8]>) -> Option<Changed> {
        let changes = self.read();
        let (key, value) = changes.by_key.range::<[u8], _>((from, Bound::Unbounded)).next()?;
        Some((key.clone(), value.clone()))
    }
}

/// Layers of one tree, the newest first, and the store's tree below them.
#[derive(Debug)]
pub struct Stack {
    /// The layers that count: those under one that was cleared do not.
    layers: Vec<Arc<Layer>>,
    below: Option<Arc<dyn Keyed>>,
}

impl Stack {
    /// A stack of these layers, the newest first.
    pub fn of(newest_first: impl Iterator<Item = Arc<Layer>>, below: &Arc<dyn Keyed>) -> Self {
        let mut layers = Vec::new();
        for layer in newest_first {
            let state = layer.read().state();
            match state {
                State::Unchanged => {}
                State::Changed => layers.push(layer),
                State::Cleared => {
                    layers.push(layer);
                    return Self { layers, below: None };
                }
            }
        }
        Self { layers, below: Some(Arc::clone(below)) }
    }

    /// Reads a value.
    ///
    /// # Errors
    /// [`StoreFailure`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailure> {
        let short = Short::of(key);
        for layer in &self.layers {
            if let Some(changed) = layer.read().get(short, key) {
                return Ok(changed.clone());
            }
        }
        self.below.as_ref().map_or(Ok(None), |below| below.get(key))
    }

    /// Visits keys in order, from a key on.
    ///
    /// # Errors
    /// [`StoreFailure`].
    pub fn visit(&self, from: &[u8], each: &mut Visitor<'_>) -> Result<(), StoreFailure> {
        let Some(below) = &self.below else {
            let _end = Over::starting_at(&self.layers, from).visit_before(None, each);
            return Ok(());
        };
        if self.layers.is_empty() {
            return below.visit(from, each);
        }
        let mut over = Over::starting_at(&self.layers, from);
        let mut is_over = ControlFlow::Continue(());
        below.visit(from, &mut |key, value| {
            is_over = over.visit_before(Some(key), each);
            if is_over.is_continue() && !over.replaces(key) {
                is_over = each(key, value);
            }
            is_over
        })?;
        if is_over.is_continue() {
            let _end = over.visit_before(None, each);
        }
        Ok(())
    }
}

/// A walk over the keys of all layers. Each layer is asked for one key after the other, so that no writer waits for who reads.
struct Over<'a> {
    layers: &'a [Arc<Layer>],
    /// The next key of each layer, with what it was changed to.
    heads: Vec<Option<Changed>>,
}

impl<'a> Over<'a> {
    fn starting_at(layers: &'a [Arc<Layer>], from: &[u8]) -> Self {
        let heads = layers.iter().map(|layer| layer.first_from(Bound::Included(from))).collect();
        Self { layers, heads }
    }

    fn next_key(&self) -> Option<&Vec<u8>> {
        self.heads.iter().flatten().map(|(key, _)| key).min()
    }

    /// The next key with what the newest layer that knows it says, and a step further.
    fn step(&mut self) -> Option<Changed> {
        let key = self.next_key()?.clone();
        let mut newest = None;
        for (head, layer) in self.heads.iter_mut().zip(self.layers) {
            if head.as_ref().is_some_and(|(at, _)| *at == key) {
                let passed = std::mem::replace(head, layer.first_from(Bound::Excluded(&key)));
                newest = newest.or(passed);
            }
        }
        newest
    }

    /// Visits what the layers have before a key; everything where none is given.
    fn visit_before(&mut self, end: Option<&[u8]>, each: &mut Visitor<'_>) -> ControlFlow<()> {
        while self.next_key().is_some_and(|key| end.is_none_or(|end| key.as_slice() < end)) {
            if let Some((key, Some(value))) = self.step() {
                each(&key, &value)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether the layers have this key, which is where the walk stands; the walk stays there.
    fn replaces(&self, key: &[u8]) -> bool {
        self.next_key().is_some_and(|next| next == key)
    }
}
