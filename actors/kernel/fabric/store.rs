//! The store under the embedded back end: named trees of keys and values. The one file that names sled.
//!
//! Four rules make sled 0.34 safe to rely on once it was synced: one database for the node; segments of 8 MiB and values of at
//! most 64 KiB, because larger pages leave its log for files it never syncs; a bounded cache; and an fdatasync of our
//! own after its `flush`, which on Linux is only a `sync_file_range`. What is acknowledged is in the log ahead of it
//! ([`super::write_ahead`]).
use super::FabricError;
use crate::limits::{STORE_CACHE_BYTES, STORE_KEY_BYTES_MAX, STORE_SEGMENT_BYTES, STORE_VALUE_BYTES_MAX};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, TryLockError};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// What a store said when it failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFailure(pub String);

impl StoreFailure {
    /// The failure as the seam reports it.
    #[must_use]
    pub fn while_doing(self, doing: &'static str) -> FabricError {
        FabricError::Store { doing, reason: self.0 }
    }
}

impl From<sled::Error> for StoreFailure {
    fn from(error: sled::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for StoreFailure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Keys with their values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Sees one key and value at a time and says whether to go on.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Named trees over one log: what is written first is durable first, and one sync makes all of it durable.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Opens a tree, creating it where there is none.
    ///
    /// # Errors
    /// [`StoreFailure`].
    fn tree(&self, name: &str) -> Result<Arc<dyn Keyed>, StoreFailure>;

    /// A tree that exists already.
    fn existing(&self, name: &str) -> Option<Arc<dyn Keyed>>;

    /// Names of the trees with a prefix.
    fn names(&self, prefix: &str) -> Vec<String>;

    /// Removes a tree with everything in it. Removing what is not there is no error.
    ///
    /// # Errors
    /// [`StoreFailure`].
    fn drop_tree(&self, name: &str) -> Result<(), StoreFailure>;

    /// Returns once everything written before is on the disk.
    ///
    /// # Errors
    /// [`StoreFailure`]: what was written since the last sync may or may not be there.
    fn sync(&self) -> Result<(), StoreFailure>;

    /// Waits while the store is behind with what was written before: for whoever writes much and is not in a hurry.
    fn keep_pace(&self) {}
}

/// One tree, in key order.
pub trait Keyed: Send + Sync + fmt::Debug + 'static {
    /// Reads a value.
    ///
    /// # Errors
    /// [`StoreFailure`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailure>;

    /// Writes, then removes, all or nothing.
    ///
    /// # Errors
    /// [`StoreFailure`], also for a key or value larger than a store may hold; then nothing was written.
    fn apply(&self, puts: Pairs, removals: &[Vec<u8>]) -> Result<(), StoreFailure>;

    /// Writes one after the other. What a power cut leaves of them is the first of them.
    ///
    /// # Errors
    /// [`StoreFailure`]; then the first of them may be written.
    fn append(&self, puts: Pairs) -> Result<(), StoreFailure>;

    /// Visits keys in order, from a key on.
    ///
    /// # Errors
    /// [`StoreFailure`].
    fn visit(&self, from: &[u8], each: &mut Visitor<'_>) -> Result<(), StoreFailure>;

    /// Removes every key.
    ///
    /// # Errors
    /// [`StoreFailure`].
    fn clear(&self) -> Result<(), StoreFailure>;
}

/// The sled store of one node.
#[derive(Debug)]
pub struct SledStore {
    database: sled::Db,
    /// Opened trees, so that finding one never creates one.
    trees: RwLock<BTreeMap<String, sled::Tree>>,
    /// A second handle on the log, to sync it by.
    log: File,
    /// Set by the first failed sync. The kernel reports a lost write once and then forgets it: a later sync that
    /// succeeds proves nothing, only reopening shows what is really there.
    lost: OnceLock<StoreFailure>,
}

impl SledStore {
    /// Opens or creates the store in a folder of its own.
    ///
    /// # Errors
    /// [`StoreFailure`], also where another process has it open.
    pub fn open(folder: &Path) -> Result<Self, StoreFailure> {
        std::fs::create_dir_all(folder)?;
        wait_until_let_go(&folder.join("db"))?;
        // Without a flusher thread: nothing is durable but by our own sync, and idle nodes stay idle.
        let database = sled::Config::new()
            .path(folder)
            .segment_size(STORE_SEGMENT_BYTES)
            .cache_capacity(STORE_CACHE_BYTES)
            .flush_every_ms(None)
            .open()?;
        let log = File::open(folder.join("db"))?;
        sync_folder(folder)?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        let mut trees = BTreeMap::new();
        for name in database.tree_names() {
            if let Ok(text) = String::from_utf8(name.to_vec()) {
                trees.insert(text, database.open_tree(&name)?);
            }
        }
        Ok(Self { database, trees: RwLock::new(trees), log, lost: OnceLock::new() })
    }

    fn sync_log(&self) -> Result<(), StoreFailure> {
        self.database.flush()?;
        Ok(self.log.sync_data()?)
    }
}

/// A store that closes is let go of by a thread of its own, a moment after its last handle is gone; so one that is
/// opened again at once asks a few times before it takes the file for another process's.
fn wait_until_let_go(log: &Path) -> Result<(), StoreFailure> {
    const ATTEMPTS: u32 = 40;
    let Ok(file) = File::open(log) else { return Ok(()) };
    for _ in 0..ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file.unlock()?),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(Duration::from_millis(25)),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(StoreFailure(format!("another process has {} open; stop it first", log.display())))
}

/// Makes created, renamed and removed entries of a folder durable.
///
/// # Errors
/// Whatever the file system says.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Store for SledStore {
    fn tree(&self, name: &str) -> Result<Arc<dyn Keyed>, StoreFailure> {
        if let Some(tree) = self.existing(name) {
            return Ok(tree);
        }
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        let tree = self.database.open_tree(name)?;
        trees.insert(name.to_owned(), tree.clone());
        Ok(Arc::new(SledTree(tree)))
    }

    fn existing(&self, name: &str) -> Option<Arc<dyn Keyed>> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        trees.get(name).map(|tree| Arc::new(SledTree(tree.clone())) as Arc<dyn Keyed>)
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        trees
            .range(prefix.to_owned()..)
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(prefix))
            .cloned()
            .collect()
    }

    fn drop_tree(&self, name: &str) -> Result<(), StoreFailure> {
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        trees.remove(name);
        self.database.drop_tree(name)?;
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreFailure> {
        if let Some(failure) = self.lost.get() {
            return Err(failure.clone());
        }
        self.sync_log().map_err(|failure| {
            let lost =
                StoreFailure(format!("an earlier sync failed, restart the node to see what the disk holds: {failure}"));
            self.lost.get_or_init(|| lost);
            failure
        })
    }
}

#[derive(Clone, Debug)]
struct SledTree(sled::Tree);

/// Whether a store may hold these keys and values.
///
/// # Errors
/// [`StoreFailure`] for the first that is too large.
pub fn fit_a_store(puts: &Pairs) -> Result<(), StoreFailure> {
    puts.iter().try_for_each(|(key, value)| {
        fits("key", key.len(), STORE_KEY_BYTES_MAX)?;
        fits("value", value.len(), STORE_VALUE_BYTES_MAX)
    })
}

fn fits(what: &str, bytes: usize, max: usize) -> Result<(), StoreFailure> {
    if bytes > max {
        Err(StoreFailure(format!("a {what} of {bytes} bytes is larger than the limit of {max}")))
    } else {
        Ok(())
    }
}

impl Keyed for SledTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailure> {
        Ok(self.0.get(key)?.map(|value| value.to_vec()))
    }

    fn apply(&self, mut puts: Pairs, removals: &[Vec<u8>]) -> Result<(), StoreFailure> {
        fit_a_store(&puts)?;
        // One key is atomic by itself; a batch costs three more writes of the log.
        match (puts.len(), removals) {
            (0, []) => {}
            (0, [key]) => {
                self.0.remove(key)?;
            }
            (1, []) => {
                if let Some((key, value)) = puts.pop() {
                    self.0.insert(key, value)?;
                }
            }
            _ => {
                let mut batch = sled::Batch::default();
                puts.into_iter().for_each(|(key, value)| batch.insert(key, value));
                removals.iter().for_each(|key| batch.remove(key.as_slice()));
                self.0.apply_batch(batch)?;
            }
        }
        Ok(())
    }

    fn append(&self, puts: Pairs) -> Result<(), StoreFailure> {
        puts.into_iter().try_for_each(|put| self.apply(vec![put], &[]))
    }

    fn visit(&self, from: &[u8], each: &mut Visitor<'_>) -> Result<(), StoreFailure> {
        for entry in self.0.range(from..) {
            let (key, value) = entry?;
            if each(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), StoreFailure> {
        Ok(self.0.clear()?)
    }
}
