//! Shelves: derived, per-tenant key-value trees, values sealed and names digested. The truth is the journal; a shelf can be rebuilt.
//!
//! Writes become durable with the next acknowledged append (one log underneath), never by themselves.
use crate::cipher::{Cipher, CipherError, Purpose};
use crate::codec::{self, CodecError};
use crate::fabric::{
    Fabric, FabricError,
    embedded::{Embedded, Tree},
};
use crate::ids::TenantKey;
use crate::journal::{Journal, JournalError};
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

mod key;
pub use key::{Key, Stored};

/// Why a shelf failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShelfError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] FabricError),
    /// A value could not be opened.
    #[error(transparent)]
    Cipher(#[from] CipherError),
    /// A value could not be decoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// One named tree of one tenant. Neither its values nor the names they stand under can be read without the tenant's keys.
#[derive(Clone, Debug)]
pub struct Shelf {
    name: &'static str,
    tree: Tree,
    cipher: Cipher,
}

impl Shelf {
    /// Reads one value.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, ShelfError> {
        let stored = self.stored(key)?;
        self.tree.get(stored.as_bytes())?.map(|sealed| self.open(&stored, &sealed)).transpose()
    }

    /// Writes one value.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn put<T: Serialize>(&self, key: &Key, value: &T) -> Result<(), ShelfError> {
        let stored = self.stored(key)?;
        Ok(self.tree.put(stored.as_bytes(), self.seal(&stored, value)?)?)
    }

    /// Writes and removes as one unit.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn apply<T: Serialize>(&self, puts: &[(Key, T)], removals: &[Key]) -> Result<(), ShelfError> {
        let sealed = puts.iter().map(|(key, value)| {
            let stored = self.stored(key)?;
            let sealed = self.seal(&stored, value)?;
            Ok((stored.into_bytes(), sealed))
        });
        let sealed = sealed.collect::<Result<Vec<_>, ShelfError>>()?;
        let removals = removals.iter().map(|key| Ok(self.stored(key)?.into_bytes()));
        Ok(self.tree.apply(sealed, &removals.collect::<Result<Vec<_>, ShelfError>>()?)?)
    }

    /// Removes one value.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn remove(&self, key: &Key) -> Result<(), ShelfError> {
        Ok(self.tree.apply(Vec::new(), &[self.stored(key)?.into_bytes()])?)
    }

    /// Visits what begins with a key, names in an order that says nothing of them, numbers ascending; starting after `after`
    /// where given, at most `max` values.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn scan<T: DeserializeOwned>(
        &self,
        prefix: &Key,
        after: Option<&Stored>,
        max: usize,
    ) -> Result<Vec<(Stored, T)>, ShelfError> {
        self.tree
            .scan(self.stored(prefix)?.as_bytes(), after.map(Stored::as_bytes), max)?
            .into_iter()
            .map(|(key, sealed)| {
                let stored = Stored::from_store(key);
                let value = self.open(&stored, &sealed)?;
                Ok((stored, value))
            })
            .collect()
    }

    /// What a value stands under in the store, to go on after it.
    ///
    /// # Errors
    /// [`ShelfError::Cipher`] where the keys were withdrawn.
    pub fn stored(&self, key: &Key) -> Result<Stored, ShelfError> {
        Ok(key.stored(self.name, &self.cipher)?)
    }

    /// Reads what an earlier build wrote, under the bytes it wrote it under: for what is no fold and cannot be made anew.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn get_of_earlier_build<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, ShelfError> {
        let Some(sealed) = self.tree.get(key)? else { return Ok(None) };
        Ok(Some(codec::decode(&Zeroizing::new(self.cipher.open(Purpose::Shelf, key, &sealed)?))?))
    }

    /// Empties the shelf.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn clear(&self) -> Result<(), ShelfError> {
        Ok(self.tree.clear()?)
    }

    /// What a value is sealed for: this shelf and this place on it.
    fn place(&self, stored: &Stored) -> Vec<u8> {
        [self.name.as_bytes(), &[0], stored.as_bytes()].concat()
    }

    fn seal<T: Serialize>(&self, stored: &Stored, value: &T) -> Result<Vec<u8>, ShelfError> {
        let plain = Zeroizing::new(codec::encode(value)?);
        Ok(self.cipher.seal(Purpose::Shelf, &self.place(stored), &plain)?)
    }

    fn open<T: DeserializeOwned>(&self, stored: &Stored, sealed: &[u8]) -> Result<T, ShelfError> {
        let plain = Zeroizing::new(self.cipher.open(Purpose::Shelf, &self.place(stored), sealed)?);
        Ok(codec::decode(&plain)?)
    }
}

/// Everything one tenant owns on this node, opened. Rooms receive parts of it, never a name to look others up by.
#[derive(Clone, Debug)]
pub struct Belongings {
    /// The journal, acquired.
    pub journal: Journal,
    /// The cipher every byte passes through.
    pub cipher: Cipher,
    /// A folder of this tenant alone, for its search index.
    pub folder: PathBuf,
    /// Kept by the one incarnation that has opened what stands in the folder; the same for all incarnations. A wait for it
    /// can be given up, which a wait for a lock of the file system cannot.
    pub folder_owner: Arc<Mutex<()>>,
    store: Arc<Embedded>,
}

impl Belongings {
    /// Opens one shelf of this tenant. Blocking.
    ///
    /// # Errors
    /// [`ShelfError::Store`].
    pub fn shelf(&self, name: &'static str) -> Result<Shelf, ShelfError> {
        Ok(Shelf { name, tree: self.store.tree(self.cipher.tenant(), name)?, cipher: self.cipher.clone() })
    }

    /// Acquires the journal anew, for rebuilt rooms: what an earlier incarnation still had in flight becomes stale.
    /// Blocking.
    ///
    /// # Errors
    /// [`JournalError`] where the journal is damaged.
    pub fn reacquire(&self) -> Result<Self, JournalError> {
        let journal = Journal::acquire(Arc::clone(&self.store) as Arc<dyn Fabric>, self.cipher.clone())?;
        Ok(Self { journal, ..self.clone() })
    }
}

/// What lies here of a tenant nobody has opened: says under which key it was sealed, where its keyring does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Traces {
    /// Nothing: it is new here.
    None,
    /// Something, but no record of a journal.
    WithoutRecords,
    /// The newest record of its journal, as it was sealed for [`Purpose::Record`].
    Newest(Vec<u8>),
}

/// Opens belongings. Held by the registry alone.
#[derive(Clone, Debug)]
pub struct Vault {
    store: Arc<Embedded>,
    folder: PathBuf,
}

impl Vault {
    /// The vault of one data folder. Blocking.
    ///
    /// # Errors
    /// [`FabricError`] where the store cannot be opened.
    pub fn open(folder: &Path) -> Result<Self, FabricError> {
        Ok(Self { store: Arc::new(Embedded::open(folder)?), folder: folder.to_path_buf() })
    }

    /// The seam itself, for the view and the shutdown.
    #[must_use]
    pub fn fabric(&self) -> Arc<dyn Fabric> {
        Arc::clone(&self.store) as Arc<dyn Fabric>
    }

    /// The store, for copies of what lies in it.
    #[must_use]
    pub fn store(&self) -> &Embedded {
        &self.store
    }

    /// Returns once everything written before, shelves included, is on the disk; for an orderly shutdown. Blocking.
    ///
    /// # Errors
    /// [`FabricError`].
    pub fn sync(&self) -> Result<(), FabricError> {
        self.store.sync()
    }

    /// One shelf, without the journal it stands beside. What is written there lasts from the next [`Vault::sync`] on. Blocking.
    ///
    /// # Errors
    /// [`ShelfError::Store`].
    pub fn shelf(&self, cipher: Cipher, name: &'static str) -> Result<Shelf, ShelfError> {
        Ok(Shelf { name, tree: self.store.tree(cipher.tenant(), name)?, cipher })
    }

    /// What lies here of a tenant. Blocking.
    ///
    /// # Errors
    /// [`FabricError`] where that cannot be read.
    pub fn traces(&self, tenant: TenantKey) -> Result<Traces, FabricError> {
        if let Some(record) = self.store.newest(tenant)? {
            return Ok(Traces::Newest(record.payload));
        }
        let looking = |error: std::io::Error| FabricError::Store {
            doing: "looking for the tenant's folder",
            reason: error.to_string(),
        };
        let has_folder = self.folder_of(tenant).try_exists().map_err(looking)?;
        Ok(if has_folder || self.store.holds(tenant)? { Traces::WithoutRecords } else { Traces::None })
    }

    fn folder_of(&self, tenant: TenantKey) -> PathBuf {
        self.folder.join("tenants").join(tenant.to_hex())
    }

    /// Acquires one tenant's journal and opens its belongings. Blocking.
    ///
    /// # Errors
    /// [`JournalError`] where the journal is damaged.
    pub fn belongings(&self, cipher: Cipher) -> Result<Belongings, JournalError> {
        let journal = Journal::acquire(self.fabric(), cipher.clone())?;
        let folder = self.folder_of(cipher.tenant());
        Ok(Belongings { journal, cipher, folder, folder_owner: Arc::default(), store: Arc::clone(&self.store) })
    }

    /// Destroys everything a tenant owns on this node. Blocking.
    ///
    /// # Errors
    /// [`FabricError`].
    pub fn shred(&self, tenant: TenantKey) -> Result<(), FabricError> {
        self.store.shred(tenant)?;
        match std::fs::remove_dir_all(self.folder_of(tenant)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FabricError::Store { doing: "removing the tenant's folder", reason: error.to_string() })
            }
            _ => Ok(()),
        }
    }
}
