//! Sealed blobs: small ones in the store, larger ones in files, both under a digest of their name, never the name.
use super::copies::{BlobDigest, BlobsHeld, Removing, is_inline};
use super::store::{Pairs, Store, StoreFailure, sync_folder};
use super::writer::Writer;
use super::{Blob, FabricError};
use crate::ids::TenantKey;
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The blobs of all tenants of one node.
#[derive(Debug)]
pub struct Blobs {
    store: Arc<dyn Store>,
    folder: PathBuf,
    /// Where files are written before they get their name; emptied when the node starts.
    incoming: PathBuf,
    arrivals: AtomicU64,
    /// Read by whoever removes a blob, written by whoever copies them: a copy is of one moment.
    removals: RwLock<()>,
}

fn tree_name(tenant: TenantKey) -> String {
    format!("{}/blobs", tenant.to_hex())
}

fn digest_of(name: &str) -> Vec<u8> {
    digest(&SHA256, name.as_bytes()).as_ref().to_vec()
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> FabricError {
    move |error| StoreFailure::from(error).while_doing(doing)
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Blobs {
    /// The blobs under a data folder.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn open(store: Arc<dyn Store>, folder: &Path) -> Result<Self, FabricError> {
        let folder = folder.join("blobs");
        let incoming = folder.join("incoming");
        let failed = failed("opening the folder of blobs");
        absent_is_none(fs::remove_dir_all(&incoming)).map_err(&failed)?;
        fs::create_dir_all(&incoming).map_err(&failed)?;
        Ok(Self { store, folder, incoming, arrivals: AtomicU64::new(0), removals: RwLock::default() })
    }

    fn file(&self, tenant: TenantKey, digest: &[u8]) -> PathBuf {
        self.folder.join(tenant.to_hex()).join(hex::encode(digest))
    }

    /// Stores blobs. Small ones are durable with the next sync, large ones at once.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn put(&self, writer: &Writer, tenant: TenantKey, blobs: Vec<Blob>) -> Result<(), FabricError> {
        const DOING: &str = "storing blobs";
        let tree = self.store.tree(&tree_name(tenant)).map_err(|failure| failure.while_doing(DOING))?;
        let named = blobs.into_iter().map(|Blob { name, sealed }| (digest_of(&name), sealed));
        let (large, small): (Pairs, Pairs) = named.partition(|(_, sealed)| !is_inline(sealed.len()));
        for (digest, sealed) in &large {
            self.write_file(&self.file(tenant, digest), sealed).map_err(failed(DOING))?;
        }
        let replaced = self.files_of(tenant, &small).map_err(failed(DOING))?;
        let in_files: Vec<_> = large.into_iter().map(|(digest, _)| digest).collect();
        tree.append(small).map_err(|failure| failure.while_doing(DOING))?;
        tree.apply(Vec::new(), &in_files).map_err(|failure| failure.while_doing(DOING))?;
        if !replaced.is_empty() {
            // The larger blobs they replace must not go before these are certain to stay.
            writer.sync().map_err(|failure| failure.while_doing(DOING))?;
        }
        replaced.iter().try_for_each(|file| remove_file(file)).map_err(failed(DOING))
    }

    /// The files that blobs of these digests stand in now.
    fn files_of(&self, tenant: TenantKey, blobs: &Pairs) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        if !self.folder.join(tenant.to_hex()).try_exists()? {
            return Ok(files);
        }
        for (digest, _) in blobs {
            let file = self.file(tenant, digest);
            if file.try_exists()? {
                files.push(file);
            }
        }
        Ok(files)
    }

    fn write_file(&self, file: &Path, sealed: &[u8]) -> io::Result<()> {
        let folder = file.parent().unwrap_or(&self.folder);
        if !folder.try_exists()? {
            fs::create_dir_all(folder)?;
            sync_folder(&self.folder)?;
        }
        let arriving = self.incoming.join(self.arrivals.fetch_add(1, Ordering::Relaxed).to_string());
        let mut handle = File::create(&arriving)?;
        handle.write_all(sealed)?;
        handle.sync_data()?;
        fs::rename(&arriving, file)?;
        sync_folder(folder)
    }

    /// Reads a blob.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn get(&self, tenant: TenantKey, name: &str) -> Result<Option<Vec<u8>>, FabricError> {
        const DOING: &str = "reading a blob";
        self.get_under_bytes(tenant, &digest_of(name)).map_err(|failure| failure.while_doing(DOING))
    }

    fn get_under_bytes(&self, tenant: TenantKey, digest: &[u8]) -> Result<Option<Vec<u8>>, StoreFailure> {
        let inline = match self.store.existing(&tree_name(tenant)) {
            Some(tree) => tree.get(digest)?,
            None => None,
        };
        match inline {
            Some(sealed) => Ok(Some(sealed)),
            None => Ok(absent_is_none(fs::read(self.file(tenant, digest)))?),
        }
    }

    /// Waits until nobody copies, and lets nobody begin to while what it gives lives.
    pub(super) fn removing(&self) -> Removing<'_> {
        Removing::of(self.removals.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets no blob be removed while what it gives lives.
    pub fn hold(&self) -> BlobsHeld<'_> {
        BlobsHeld::of(self.removals.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the blobs of a tenant stand under, in the store and in files.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn digests(&self, tenant: TenantKey) -> Result<BTreeSet<BlobDigest>, FabricError> {
        const DOING: &str = "listing the blobs of a tenant";
        let mut found = BTreeSet::new();
        if let Some(tree) = self.store.existing(&tree_name(tenant)) {
            let collected = tree.visit(&[], &mut |key, _sealed| {
                found.extend(BlobDigest::try_from(key));
                ControlFlow::Continue(())
            });
            collected.map_err(|failure| failure.while_doing(DOING))?;
        }
        let files = absent_is_none(fs::read_dir(self.folder.join(tenant.to_hex()))).map_err(failed(DOING))?;
        for file in files.into_iter().flatten() {
            let name = file.map_err(failed(DOING))?.file_name();
            let mut digest = BlobDigest::default();
            if hex::decode_to_slice(name.to_string_lossy().as_bytes(), &mut digest).is_ok() {
                found.insert(digest);
            }
        }
        Ok(found)
    }

    /// Reads a blob by what it stands under.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn get_under(&self, tenant: TenantKey, digest: &BlobDigest) -> Result<Option<Vec<u8>>, FabricError> {
        self.get_under_bytes(tenant, digest).map_err(|failure| failure.while_doing("reading a blob"))
    }

    /// Stores a blob under what it stood under elsewhere. Small ones are durable with the next sync, large ones at once.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn put_under(&self, tenant: TenantKey, digest: BlobDigest, sealed: Vec<u8>) -> Result<(), FabricError> {
        const DOING: &str = "storing a blob";
        if !is_inline(sealed.len()) {
            return self.write_file(&self.file(tenant, &digest), &sealed).map_err(failed(DOING));
        }
        let tree = self.store.tree(&tree_name(tenant)).map_err(|failure| failure.while_doing(DOING))?;
        tree.apply(vec![(digest.to_vec(), sealed)], &[]).map_err(|failure| failure.while_doing(DOING))
    }

    /// Removes a blob wherever it stands.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn delete(&self, tenant: TenantKey, name: &str) -> Result<(), FabricError> {
        const DOING: &str = "removing a blob";
        let _removing = self.removing();
        let digest = digest_of(name);
        let file = self.file(tenant, &digest);
        if let Some(tree) = self.store.existing(&tree_name(tenant)) {
            tree.apply(Vec::new(), &[digest]).map_err(|failure| failure.while_doing(DOING))?;
        }
        remove_file(&file).map_err(failed(DOING))
    }

    /// Whether a tenant has blobs in files.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn holds(&self, tenant: TenantKey) -> Result<bool, FabricError> {
        self.folder.join(tenant.to_hex()).try_exists().map_err(failed("looking for the blobs of a tenant"))
    }

    /// Removes every blob of a tenant that stands in a file; those in the store go with its trees.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn shred(&self, tenant: TenantKey) -> Result<(), FabricError> {
        let failed = failed("removing the blobs of a tenant");
        absent_is_none(fs::remove_dir_all(self.folder.join(tenant.to_hex()))).map_err(&failed)?;
        sync_folder(&self.folder).map_err(&failed)
    }
}

fn remove_file(file: &Path) -> io::Result<()> {
    let removed = absent_is_none(fs::remove_file(file))?;
    match (removed, file.parent()) {
        (Some(()), Some(folder)) => sync_folder(folder),
        _ => Ok(()),
    }
}
