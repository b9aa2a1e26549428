//! The control journal: opened and replayed at the start, reopened when an append's outcome is unknown.
use super::credentials::{RANDOM_BYTES, forge};
use super::directory::{Directory, control_key};
use super::entry::{Entry, KeyRecord};
use crate::kms::{KeyError, KeyService};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::journal::{Journal, JournalError};
use bailiwick_kernel::shelf::Vault;
use secrecy::ExposeSecret;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// How journal and directory are had again. Blocking.
pub type Reopen = Arc<dyn Fn() -> Result<(Journal, Directory), JournalError> + Send + Sync>;

/// Generations a node may give out between two starts: the epoch of the control journal counts the starts.
const GENERATIONS_PER_START_BITS: u32 = 20;

/// Why the registry could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    /// The control journal could not be opened, read or written.
    #[error("opening the control journal: {0}")]
    Journal(#[from] JournalError),
    /// No keys for it.
    #[error("opening the control journal: {0}")]
    Keys(#[from] KeyError),
    /// The random source failed.
    #[error("making the operator's key: the random source failed")]
    Random,
    /// The operator's key could not be written.
    #[error("writing the operator's key to {path}: {error}; make the folder writable")]
    OperatorKey {
        /// Where to.
        path: String,
        /// What the file system said.
        error: std::io::Error,
    },
}

/// How the control journal of this vault is opened. Blocking.
///
/// # Errors
/// [`OpeningError::Keys`].
pub fn opener(vault: Vault, keys: &KeyService) -> Result<Reopen, OpeningError> {
    let cipher = keys.cipher_for(control_key(), || vault.traces(control_key()))?;
    Ok(Arc::new(move || {
        let journal = Journal::acquire(vault.fabric(), cipher.clone())?;
        let mut directory = Directory::default();
        journal.replay(Position(0), |_, _, entry: Entry| directory.apply(&entry))?;
        directory.count_generations_from(journal.epoch().0 << GENERATIONS_PER_START_BITS);
        Ok((journal, directory))
    }))
}

/// Random bytes for one key.
///
/// # Errors
/// [`OpeningError::Random`].
pub fn random_key_bytes() -> Result<[u8; RANDOM_BYTES], OpeningError> {
    let mut bytes = [0_u8; RANDOM_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_unspecified| OpeningError::Random)?;
    Ok(bytes)
}

/// Makes the platform operator's key where there has never been one: written to `path` with mode 0600, its digest
/// journaled, never logged. The file comes first: a crash in between leaves a key that opens nothing, and the next
/// start makes another one.
///
/// # Errors
/// [`OpeningError`].
pub async fn ensure_operator_key(
    journal: &Journal,
    directory: &mut Directory,
    path: &Path,
    now_unix_ms: u64,
) -> Result<(), OpeningError> {
    if !directory.keys_of(None).is_empty() {
        return Ok(());
    }
    let fresh = forge(random_key_bytes()?);
    write_private(path, fresh.whole.expose_secret())
        .map_err(|error| OpeningError::OperatorKey { path: path.display().to_string(), error })?;
    let entry = Entry::KeyIssued(KeyRecord {
        key_id: fresh.key_id,
        tenant: None,
        role: None,
        user_id: None,
        digest: fresh.digest,
        created_unix_ms: now_unix_ms,
        expires_unix_ms: None,
        revoked_unix_ms: None,
        issued_by: "first start".to_owned(),
    });
    journal.append(std::slice::from_ref(&entry)).await?;
    directory.apply(&entry);
    Ok(())
}

fn write_private(path: &Path, secret: &str) -> std::io::Result<()> {
    let aside = path.with_extension("key.new");
    if let Err(error) = std::fs::remove_file(&aside)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    file.write_all(secret.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&aside, path)
}
