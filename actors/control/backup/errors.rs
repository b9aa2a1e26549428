//! Why a backup could not be made, read or put back.
use crate::gitops::folder::FolderError;
use crate::kms::KeyError;
use bailiwick_kernel::cipher::CipherError;
use bailiwick_kernel::codec::CodecError;
use bailiwick_kernel::erasures::LedgerError;
use bailiwick_kernel::fabric::FabricError;
use bailiwick_kernel::journal::JournalError;
use std::io;
use std::path::Path;

/// Why a backup could not be made, read or put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system refused.
    #[error("{doing} {path}: {error}; check that the folder is there, has room and may be written by bailiwick's user")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: String,
        /// What the file system said.
        error: io::Error,
    },
    /// It is not what was written, or not all of it.
    #[error("reading the backup: {what} {problem}; use another copy of the backup, or an earlier point")]
    Altered {
        /// Which file of the backup.
        what: String,
        /// What is wrong.
        problem: String,
    },
    /// It may not be done as it stands.
    #[error("{0}")]
    Refused(String),
    /// The node's own data.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// A tenant's journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Sealing.
    #[error(transparent)]
    Cipher(#[from] CipherError),
    /// A piece that cannot be written down.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The erasure ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A tenant's folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.display().to_string();
    move |error| BackupError::Io { doing, path, error }
}

pub(super) fn altered(what: impl Into<String>, problem: impl Into<String>) -> BackupError {
    BackupError::Altered { what: what.into(), problem: problem.into() }
}
