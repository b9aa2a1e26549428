//! Why there is no key.
use super::key_file::KeyFileError;
use super::keyring::Version;
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
    /// The customer's key that wraps it is not to be had: the tenant stays closed until its owner gives it back.
    #[error(
        "opening the keys of the tenant: the customer's key that wraps version {version} in {file} is withheld ({said}); its owner has to give it back"
    )]
    Withheld {
        /// Which.
        file: String,
        /// Of the key.
        version: u32,
        /// What the provider said.
        said: String,
    },
    /// Who holds the customer's key was not reached.
    #[error(
        "opening the keys of the tenant: who holds the customer's key that wraps version {version} in {file} is not to be reached ({said}); it is tried again"
    )]
    Unreached {
        /// Which.
        file: String,
        /// Of the key.
        version: u32,
        /// What went wrong.
        said: String,
    },
    /// This node knows nobody who holds that key.
    #[error(
        "opening the keys of the tenant: {file} was wrapped by the customer's key {key_id}, and config.toml declares no provider for it; declare it under [[kms.providers]]"
    )]
    NoProvider {
        /// Which.
        file: String,
        /// The customer's key.
        key_id: String,
    },
    /// There may be no more versions.
    #[error(
        "making a key for the tenant: {file} holds {versions} versions of the key, and takes no more for this; the newest goes on sealing. Bring the documents into a new tenant where that is not enough"
    )]
    Full {
        /// Which.
        file: String,
        /// How many.
        versions: usize,
    },
    /// What signing keys follow from does not open.
    #[error("opening the node's secret: {file}: {error}; restore it or the root key from your backup")]
    Secret {
        /// Which.
        file: String,
        /// What the provider said.
        error: ProviderError,
    },
    /// Somebody else has the keyrings: a server, or `kms rewrap`.
    #[error(
        "opening the folder of keys: another process has it; wrapping keys anew needs it alone: stop the server first, or wait until the wrapping is done"
    )]
    InUse,
    /// There is no other root key to wrap under.
    #[error(
        "wrapping the tenants' keys anew: the root key comes from root_key_env, and no other one is named; put the new one there, and name the one before it by former_root_key_env under [kms] in config.toml"
    )]
    NoFormer,
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

impl KeyError {
    /// What a provider said about one version in a file.
    #[must_use]
    pub(super) fn of_provider(error: ProviderError, file: String, version: &Version) -> Self {
        let number = version.number;
        match error {
            ProviderError::Withheld(said) if version.key_id.is_some() => Self::Withheld { file, version: number, said },
            ProviderError::Failed(said) if version.key_id.is_some() => Self::Unreached { file, version: number, said },
            error => Self::Wrapped { file, version: number, error },
        }
    }
}
