//! The root keys of a node: the one that wraps, the one before it while keys are being wrapped anew, and the node's secret.
//!
//! The keys that sign policies and heads of journals, and those of tenants older than keyrings, follow from the node's secret.
//! It is the first root key the node had. When that is replaced, it is kept in `DATA/node.secret`, wrapped by the present one:
//! what was signed stays verifiable, and what is older than keyrings can be read.
use super::providers::{EncryptionContext, KeyProvider, local_file::LocalFile};
use super::root::RootSource;
use super::{KeyError, RootKey, key_file};
use bailiwick_kernel::cipher::data_key::SecretKey;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

/// The node's secret in a data folder, wrapped by the present root key; there is none before the root key was ever replaced.
pub const NODE_SECRET: &str = "node.secret";
/// Shared by whoever uses the keyrings of a folder, held alone by whoever wraps all of them anew.
const LOCK: &str = "keys.lock";

/// The root keys of a data folder.
pub(super) struct RootKeys {
    /// Wraps; unwraps what the one before has wrapped, too.
    pub(super) wrapping: LocalFile,
    /// What signing keys follow from.
    pub(super) secret: RootKey,
    /// Keys are being wrapped anew, or the one before was named and nothing needs it.
    pub(super) is_changing: bool,
}

impl RootKeys {
    /// Reads them.
    pub(super) fn read(data: &Path, source: &RootSource) -> Result<Self, KeyError> {
        let held = Arc::new(key_file::root_key(data, source)?);
        let (present, former) = match (source, key_file::next_root_key(data, source)?) {
            (RootSource::Changed { former, .. }, _) => (held, Some(Arc::new(former.key()))),
            (_, Some(next)) => (Arc::new(next), Some(held)),
            (_, None) => (held, None),
        };
        let first = Arc::clone(former.as_ref().unwrap_or(&present));
        let (is_changing, wrapping) = (former.is_some(), LocalFile::new(present, former));
        let secret = match read_secret(data, &wrapping)? {
            Some(secret) => Arc::new(secret),
            None => first,
        };
        Ok(Self { wrapping, secret, is_changing })
    }

    /// Keeps the node's secret under the present root key.
    pub(super) fn keep_secret(&self, data: &Path) -> Result<(), KeyError> {
        let file = data.join(NODE_SECRET);
        let failed = |error| KeyError::File { doing: "keeping the node's secret", file: NODE_SECRET.to_owned(), error };
        let wrapped = self.wrapping.wrap_key(&self.secret, &context());
        let wrapped = wrapped.map_err(|error| KeyError::Secret { file: NODE_SECRET.to_owned(), error })?;
        let aside = data.join(format!("{NODE_SECRET}.new"));
        let write = || {
            absent_is_done(fs::remove_file(&aside))?;
            let mut new = private().open(&aside)?;
            new.write_all(&wrapped)?;
            new.sync_all()?;
            fs::rename(&aside, &file)?;
            File::open(data)?.sync_all()
        };
        write().map_err(failed)
    }
}

fn context() -> EncryptionContext {
    EncryptionContext::new([("purpose", "bailiwick node secret v1".to_owned())])
}

fn read_secret(data: &Path, wrapping: &LocalFile) -> Result<Option<SecretKey>, KeyError> {
    match fs::read(data.join(NODE_SECRET)) {
        Ok(wrapped) => {
            let opened = wrapping.unwrap_key(&wrapped, &context());
            opened.map(Some).map_err(|error| KeyError::Secret { file: NODE_SECRET.to_owned(), error })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeyError::File { doing: "reading the node's secret", file: NODE_SECRET.to_owned(), error }),
    }
}

fn absent_is_done(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// For its owner's eyes, and not there yet.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn lock_file(data: &Path) -> Result<File, KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = |error| KeyError::File { doing: "locking the folder of keys", file: LOCK.to_owned(), error };
    options.open(data.join(LOCK)).map_err(failed)
}

fn locked(file: File, taken: Result<(), TryLockError>) -> Result<File, KeyError> {
    match taken {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(KeyError::InUse),
        Err(TryLockError::Error(error)) => {
            Err(KeyError::File { doing: "locking the folder of keys", file: LOCK.to_owned(), error })
        }
    }
}

/// Uses the keyrings beside others.
pub(super) fn share(data: &Path) -> Result<File, KeyError> {
    let file = lock_file(data)?;
    let taken = file.try_lock_shared();
    locked(file, taken)
}

/// Has the keyrings alone.
pub(super) fn take(data: &Path) -> Result<File, KeyError> {
    let file = lock_file(data)?;
    let taken = file.try_lock();
    locked(file, taken)
}
