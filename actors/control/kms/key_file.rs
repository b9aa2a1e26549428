//! The master key's file: 32 random bytes, or the same under a passphrase; mode 0600, made once.
use super::passphrase::{self, SEALED_BYTES, is_sealed};
use super::root::RootSource;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bailiwick_kernel::cipher::data_key::{KEY_BYTES, SecretKey};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

const NAME: &str = "master.key";
/// The root key that takes the place of the present one once everything is wrapped under it.
const NEXT: &str = "master.key.next";
/// What stands in a data folder once a key was used: where one of these is, a missing key is a lost one.
const SEALED_DATA: [&str; 3] = ["store", "blobs", super::keyring_file::FOLDER];

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be read.
    #[error("reading the master key {path}: {error}; make it readable for the user bailiwick runs as")]
    Unreadable {
        /// The file.
        path: String,
        /// What the file system said.
        error: std::io::Error,
    },
    /// It is not a key.
    #[error("reading the master key {path}: it has {found} than 32 bytes, and is no key; restore it from your backup")]
    WrongSize {
        /// The file.
        path: String,
        /// What was found.
        found: &'static str,
    },
    /// There are data, but not the key they were sealed with.
    #[error(
        "reading the master key {path}: it is missing, but the folder holds data sealed with it; restore it from your backup, name it by root_key_env in config.toml where it was given so, or start on an empty folder"
    )]
    Lost {
        /// The file.
        path: String,
    },
    /// It is sealed, and no passphrase was given.
    #[error(
        "reading the master key {path}: it is sealed under a passphrase; name it by passphrase_env in config.toml, under [kms]"
    )]
    Sealed {
        /// The file.
        path: String,
    },
    /// The passphrase does not open it.
    #[error(
        "reading the master key {path}: the passphrase does not open it, or the file was altered; give the right one, or restore the file from your backup"
    )]
    WrongPassphrase {
        /// The file.
        path: String,
    },
    /// A root key was given, and there is one in the folder.
    #[error(
        "reading the root key of root_key_env: the folder has one of its own, {path}; take root_key_env out of config.toml, or the file out of the folder"
    )]
    Twice {
        /// The file.
        path: String,
    },
    /// It could not be made.
    #[error("making the master key {path}: {error}; make the folder writable for the user bailiwick runs as")]
    NotMade {
        /// The file.
        path: String,
        /// What the file system said.
        error: std::io::Error,
    },
    /// The random source failed.
    #[error("making the master key: the random source failed")]
    Random,
}

/// What a file holds.
enum Kept {
    Open(SecretKey),
    Sealed(Vec<u8>),
}

/// The root key of a data folder. Made, in a file, where there are no data yet and none is given.
pub(super) fn root_key(data: &Path, source: &RootSource) -> Result<SecretKey, KeyFileError> {
    let path = data.join(NAME);
    let shown = path.display().to_string();
    match (source, read(&path)?) {
        (RootSource::Given(given) | RootSource::Changed { given, .. }, None) => std::fs::create_dir_all(data)
            .map(|()| given.key())
            .map_err(|error| KeyFileError::NotMade { path: shown, error }),
        (RootSource::Given(_) | RootSource::Changed { .. }, Some(_)) => Err(KeyFileError::Twice { path: shown }),
        (_, None) if SEALED_DATA.iter().any(|name| data.join(name).exists()) => Err(KeyFileError::Lost { path: shown }),
        (_, None) => make(data, &path, source),
        (RootSource::File, Some(Kept::Open(key))) => Ok(key),
        (RootSource::File, Some(Kept::Sealed(_))) => Err(KeyFileError::Sealed { path: shown }),
        (RootSource::SealedFile(passphrase), Some(Kept::Sealed(sealed))) => {
            passphrase::open(passphrase, &sealed).ok_or(KeyFileError::WrongPassphrase { path: shown })
        }
        (RootSource::SealedFile(passphrase), Some(Kept::Open(key))) => {
            seal_in_place(data, &path, &passphrase::seal(passphrase, &key)?)
                .map_err(|error| KeyFileError::NotMade { path: shown, error })?;
            Ok(key)
        }
    }
}

/// The root key that is to take the place of the one in the file, where keys are being wrapped anew.
pub(super) fn next_root_key(data: &Path, source: &RootSource) -> Result<Option<SecretKey>, KeyFileError> {
    let path = data.join(NEXT);
    let shown = path.display().to_string();
    match (source, read(&path)?) {
        (_, None) => Ok(None),
        (RootSource::File, Some(Kept::Open(key))) => Ok(Some(key)),
        (RootSource::SealedFile(passphrase), Some(Kept::Sealed(sealed))) => {
            passphrase::open(passphrase, &sealed).map(Some).ok_or(KeyFileError::WrongPassphrase { path: shown })
        }
        (RootSource::File, Some(Kept::Sealed(_))) => Err(KeyFileError::Sealed { path: shown }),
        (RootSource::SealedFile(_) | RootSource::Given(_) | RootSource::Changed { .. }, Some(_)) => {
            Err(KeyFileError::Twice { path: shown })
        }
    }
}

/// Makes it, kept as the present one is.
pub(super) fn make_next(data: &Path, source: &RootSource) -> Result<SecretKey, KeyFileError> {
    make(data, &data.join(NEXT), source)
}

/// Puts it in the place of the one before, whose bytes are overwritten: nothing needs them any more.
pub(super) fn take_next(data: &Path) -> Result<(), KeyFileError> {
    let path = data.join(NAME);
    replace(data, &path, &data.join(NEXT))
        .map_err(|error| KeyFileError::NotMade { path: path.display().to_string(), error })
}

fn read(path: &Path) -> Result<Option<Kept>, KeyFileError> {
    let shown = || path.display().to_string();
    let unreadable = |error| KeyFileError::Unreadable { path: shown(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(SEALED_BYTES + 1));
    let bound = u64::try_from(SEALED_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut bytes).map_err(unreadable)?;
    if is_sealed(&bytes) {
        return Ok(Some(Kept::Sealed(bytes.to_vec())));
    }
    let found = if bytes.len() > KEY_BYTES { "more" } else { "fewer" };
    let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice());
    let key = key.map_err(|_size| KeyFileError::WrongSize { path: shown(), found })?;
    Ok(Some(Kept::Open(Zeroizing::new(key))))
}

fn make(data: &Path, path: &Path, source: &RootSource) -> Result<SecretKey, KeyFileError> {
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    SystemRandom::new().fill(key.as_mut_slice()).map_err(|_unspecified| KeyFileError::Random)?;
    let bytes = match source {
        RootSource::SealedFile(passphrase) => Zeroizing::new(passphrase::seal(passphrase, &key)?),
        RootSource::File | RootSource::Given(_) | RootSource::Changed { .. } => Zeroizing::new(key.to_vec()),
    };
    write_first(data, path, &bytes)
        .map_err(|error| KeyFileError::NotMade { path: path.display().to_string(), error })?;
    Ok(key)
}

/// Written aside, synced, then linked into place, which fails where another process was faster.
fn write_first(data: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(data)?;
    let aside = write_aside(data, bytes)?;
    std::fs::hard_link(&aside, path)?;
    std::fs::remove_file(&aside)?;
    File::open(data)?.sync_all()
}

/// Puts the sealed key in the place of the open one, whose bytes are overwritten once nothing needs them.
fn seal_in_place(data: &Path, path: &Path, sealed: &[u8]) -> std::io::Result<()> {
    let aside = write_aside(data, sealed)?;
    replace(data, path, &aside)?;
    tracing::info!("the master key is sealed under the passphrase from here on");
    Ok(())
}

fn replace(data: &Path, path: &Path, by: &Path) -> std::io::Result<()> {
    let mut former = OpenOptions::new().write(true).open(path)?;
    let length = former.metadata()?.len();
    std::fs::rename(by, path)?;
    File::open(data)?.sync_all()?;
    std::io::copy(&mut std::io::repeat(0).take(length), &mut former)?;
    former.sync_all()
}

fn write_aside(data: &Path, bytes: &[u8]) -> std::io::Result<std::path::PathBuf> {
    let aside = data.join(format!("{NAME}.new"));
    if let Err(error) = std::fs::remove_file(&aside)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(aside)
}
