//! Why there is no key.
use super::key_file::KeyFileError;
use super::providers::ProviderError;
use bailiwick_kernel::cipher::CipherError;
use bailiwick_kernel::fabric::FabricError;

/// Why a tenant's keys could not be had, or not be destroyed. Files are named below the data folder.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The master key.
    #[error(transparent)]
    Master(#[from] KeyFileError),
    /// There are data, but not the keys they were sealed with.
    #[error(
        "opening the keys of the tenant: {file} is missing, but there are data sealed with them; restore it from your backup, or destroy the tenant"
    )]
    Lost {
        /// Which.
        file: String,
    },
    /// The keyring is not what was written.
    #[error("opening the keys of the tenant: {file} {problem}; restore it from your backup")]
    Damaged {
        /// Which.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// One key of it could not be wrapped or unwrapped.
    #[error(
        "opening the keys of the tenant: version {version} in {file}: {error}; restore {file} or the root key from your backup"
    )]
    Wrapped {
        /// Which.
        file: String,
        /// Of the key.
        version: u32,
        /// What the provider said.
        error: ProviderError,
    },
    /// The file system failed.
    #[error("{doing}: {file}: {error}; make it readable and writable for the user bailiwick runs as")]
    File {
        /// What was being done.
        doing: &'static str,
        /// Which.
        file: String,
        /// What the file system said.
        error: std::io::Error,
    },
    /// The random source failed.
    #[error("making a key for the tenant: the random source failed")]
    Random,
    /// No cipher of these keys.
    #[error(transparent)]
    Cipher(#[from] CipherError),
    /// It could not be seen what is there of the tenant.
    #[error(transparent)]
    Store(#[from] FabricError),
}
