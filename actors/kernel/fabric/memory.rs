//! A store in memory, for tests: it remembers the order of its writes, can lose power after any of them, and fails or
//! waits where a test tells it to. It also shows that the seam's suite does not depend on sled.
use super::store::{Keyed, Pairs, Store, StoreFailure, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Called with the tree's name before each write and each drop, or with `sync` before each sync.
pub(super) type Hook = Box<dyn FnMut(&str) -> Result<(), StoreFailure> + Send>;
type Sorted = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Write {
    Apply { tree: String, puts: Pairs, removals: Vec<Vec<u8>> },
    Create(String),
    Drop(String),
}

#[derive(Default)]
struct Inner {
    trees: Mutex<BTreeMap<String, Sorted>>,
    log: Mutex<Vec<Write>>,
    synced: Mutex<usize>,
    syncs: Mutex<usize>,
    before_write: Mutex<Option<Hook>>,
    before_sync: Mutex<Option<Hook>>,
}

#[derive(Clone, Default)]
pub(super) struct MemoryStore(Arc<Inner>);

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl MemoryStore {
    pub(super) fn before_write(&self, hook: Hook) {
        *self.0.before_write.lock().unwrap() = Some(hook);
    }

    pub(super) fn before_sync(&self, hook: Hook) {
        *self.0.before_sync.lock().unwrap() = Some(hook);
    }

    pub(super) fn syncs(&self) -> usize {
        *self.0.syncs.lock().unwrap()
    }

    /// Writes so far, and how many of them were synced.
    pub(super) fn written_and_synced(&self) -> (usize, usize) {
        (self.0.log.lock().unwrap().len(), *self.0.synced.lock().unwrap())
    }

    /// What the disk holds when the power fails after so many writes.
    pub(super) fn cut_after(&self, writes: usize) -> Self {
        let cut = Self::default();
        for write in self.0.log.lock().unwrap().iter().take(writes) {
            cut.replay(write.clone());
        }
        *cut.0.synced.lock().unwrap() = writes;
        cut
    }

    fn replay(&self, write: Write) {
        let mut trees = self.0.trees.lock().unwrap();
        match &write {
            Write::Create(name) => {
                trees.entry(name.clone()).or_default();
            }
            Write::Drop(name) => {
                trees.remove(name);
            }
            Write::Apply { tree, puts, removals } => {
                let pairs = trees.get_mut(tree).expect("a dropped tree is not written");
                pairs.extend(puts.iter().cloned());
                removals.iter().for_each(|key| {
                    pairs.remove(key);
                });
            }
        }
        self.0.log.lock().unwrap().push(write);
    }

    fn ask(hook: &Mutex<Option<Hook>>, what: &str) -> Result<(), StoreFailure> {
        hook.lock().unwrap().as_mut().map_or(Ok(()), |hook| hook(what))
    }
}

impl Store for MemoryStore {
    fn tree(&self, name: &str) -> Result<Arc<dyn Keyed>, StoreFailure> {
        if let Some(tree) = self.existing(name) {
            return Ok(tree);
        }
        self.replay(Write::Create(name.to_owned()));
        Ok(Arc::new(MemoryTree { store: self.clone(), name: name.to_owned() }))
    }

    fn existing(&self, name: &str) -> Option<Arc<dyn Keyed>> {
        let exists = self.0.trees.lock().unwrap().contains_key(name);
        exists.then(|| Arc::new(MemoryTree { store: self.clone(), name: name.to_owned() }) as Arc<dyn Keyed>)
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        self.0.trees.lock().unwrap().keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }

    fn drop_tree(&self, name: &str) -> Result<(), StoreFailure> {
        Self::ask(&self.0.before_write, name)?;
        self.replay(Write::Drop(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreFailure> {
        let written = self.0.log.lock().unwrap().len();
        *self.0.syncs.lock().unwrap() += 1;
        Self::ask(&self.0.before_sync, "sync")?;
        let mut synced = self.0.synced.lock().unwrap();
        *synced = written.max(*synced);
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryTree {
    store: MemoryStore,
    name: String,
}

impl MemoryTree {
    fn pairs(&self) -> Result<Sorted, StoreFailure> {
        let trees = self.store.0.trees.lock().unwrap();
        trees.get(&self.name).cloned().ok_or_else(|| StoreFailure(format!("the tree {} was dropped", self.name)))
    }
}

impl Keyed for MemoryTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailure> {
        Ok(self.pairs()?.get(key).cloned())
    }

    fn apply(&self, puts: Pairs, removals: &[Vec<u8>]) -> Result<(), StoreFailure> {
        self.pairs()?;
        MemoryStore::ask(&self.store.0.before_write, &self.name)?;
        self.store.replay(Write::Apply { tree: self.name.clone(), puts, removals: removals.to_vec() });
        Ok(())
    }

    fn append(&self, puts: Pairs) -> Result<(), StoreFailure> {
        puts.into_iter().try_for_each(|put| self.apply(vec![put], &[]))
    }

    fn visit(&self, from: &[u8], each: &mut Visitor<'_>) -> Result<(), StoreFailure> {
        for (key, value) in self.pairs()?.range(from.to_vec()..) {
            if each(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), StoreFailure> {
        let keys: Vec<Vec<u8>> = self.pairs()?.into_keys().collect();
        self.apply(Vec::new(), &keys)
    }
}
