//! Sealed blobs: small ones in the store, larger ones in files, both under a digest of their name, never the name.
use super::FabricError;
use super::store::{Store, StoreFailure, sync_folder};
use super::writer::Writer;
use crate::ids::TenantKey;
use crate::limits::INLINE_BLOB_BYTES_MAX;
use aws_lc_rs::digest::{SHA256, digest};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The blobs of all tenants of one node.
#[derive(Debug)]
pub struct Blobs {
    store: Arc<dyn Store>,
    folder: PathBuf,
    /// Where files are written before they get their name; emptied when the node starts.
    incoming: PathBuf,
    arrivals: AtomicU64,
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
        Ok(Self { store, folder, incoming, arrivals: AtomicU64::new(0) })
    }

    fn file(&self, tenant: TenantKey, digest: &[u8]) -> PathBuf {
        self.folder.join(tenant.to_hex()).join(hex::encode(digest))
    }

    /// Stores a blob. A small one is durable with the next sync, a large one at once.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn put(&self, writer: &Writer, tenant: TenantKey, name: &str, sealed: &[u8]) -> Result<(), FabricError> {
        const DOING: &str = "storing a blob";
        let digest = digest_of(name);
        let file = self.file(tenant, &digest);
        let tree = self.store.tree(&tree_name(tenant)).map_err(|failure| failure.while_doing(DOING))?;
        if sealed.len() > INLINE_BLOB_BYTES_MAX {
            self.write_file(&file, sealed).map_err(failed(DOING))?;
            return tree.apply(Vec::new(), &[digest]).map_err(|failure| failure.while_doing(DOING));
        }
        tree.apply(vec![(digest, sealed.to_vec())], &[]).map_err(|failure| failure.while_doing(DOING))?;
        if file.try_exists().map_err(failed(DOING))? {
            // The larger blob it replaces must not go before this one is certain to stay.
            writer.sync().map_err(|failure| failure.while_doing(DOING))?;
            remove_file(&file).map_err(failed(DOING))?;
        }
        Ok(())
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
        let digest = digest_of(name);
        let inline = match self.store.existing(&tree_name(tenant)) {
            Some(tree) => tree.get(&digest).map_err(|failure| failure.while_doing(DOING))?,
            None => None,
        };
        match inline {
            Some(sealed) => Ok(Some(sealed)),
            None => absent_is_none(fs::read(self.file(tenant, &digest))).map_err(failed(DOING)),
        }
    }

    /// Removes a blob wherever it stands.
    ///
    /// # Errors
    /// [`FabricError::Store`].
    pub fn delete(&self, tenant: TenantKey, name: &str) -> Result<(), FabricError> {
        const DOING: &str = "removing a blob";
        let digest = digest_of(name);
        let file = self.file(tenant, &digest);
        if let Some(tree) = self.store.existing(&tree_name(tenant)) {
            tree.apply(Vec::new(), &[digest]).map_err(|failure| failure.while_doing(DOING))?;
        }
        remove_file(&file).map_err(failed(DOING))
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
