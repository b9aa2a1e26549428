//! The embedded back end: one sled database for the node, one writer thread that commits for all tenants.
use super::*;
use std::path::Path;

/// One machine's store.
#[derive(Debug)]
pub struct Embedded {}

/// One tree of one tenant.
#[derive(Clone, Debug)]
pub struct Tree {}

impl Tree {
    /// Reads a value.
    /// # Errors
    /// [`FabricError::Store`].
    pub fn get(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, FabricError> { Ok(None) }
    /// Writes a value.
    /// # Errors
    /// [`FabricError::Store`].
    pub fn put(&self, _key: &[u8], _value: Vec<u8>) -> Result<(), FabricError> { Ok(()) }
    /// Writes and removes as one unit.
    /// # Errors
    /// [`FabricError::Store`].
    pub fn apply(&self, _puts: Vec<(Vec<u8>, Vec<u8>)>, _removals: &[Vec<u8>]) -> Result<(), FabricError> { Ok(()) }
    /// Values of a prefix in key order, after a key, at most `max`.
    /// # Errors
    /// [`FabricError::Store`].
    pub fn scan(&self, _prefix: &[u8], _after: Option<&[u8]>, _max: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, FabricError> { Ok(Vec::new()) }
    /// Empties the tree.
    /// # Errors
    /// [`FabricError::Store`].
    pub fn clear(&self) -> Result<(), FabricError> { Ok(()) }
}

impl Embedded {
    /// Opens or creates the store of a data folder.
    /// # Errors
    /// [`FabricError::Store`].
    pub fn open(_folder: &Path) -> Result<Self, FabricError> { Ok(Self {}) }
    /// Opens one tree of one tenant.
    /// # Errors
    /// [`FabricError::Store`].
    pub fn tree(&self, _tenant: TenantKey, _name: &'static str) -> Result<Tree, FabricError> { Ok(Tree {}) }
}
impl Fabric for Embedded {
    fn acquire(&self, _tenant: TenantKey) -> Result<Tenure, FabricError> { Ok(Tenure { epoch: Epoch(0), next: Position(0) }) }
    fn append(&self, _tenant: TenantKey, _epoch: Epoch, _payloads: Vec<Vec<u8>>) -> BoxFuture<Result<Appended, AppendError>> { Box::pin(async { Err(AppendError::Full(0)) }) }
    fn read(&self, _tenant: TenantKey, _from: Position, _max: usize) -> Result<Vec<SealedRecord>, FabricError> { Ok(Vec::new()) }
    fn blob_put(&self, _tenant: TenantKey, _name: &str, _sealed: &[u8]) -> Result<(), FabricError> { Ok(()) }
    fn blob_get(&self, _tenant: TenantKey, _name: &str) -> Result<Option<Vec<u8>>, FabricError> { Ok(None) }
    fn blob_delete(&self, _tenant: TenantKey, _name: &str) -> Result<(), FabricError> { Ok(()) }
    fn shred(&self, _tenant: TenantKey) -> Result<(), FabricError> { Ok(()) }
    fn view(&self) -> Vec<Holding> { Vec::new() }
}
