//! The master key's file: 32 random bytes, mode 0600, made once.
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

const NAME: &str = "master.key";
const BYTES: usize = 32;
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
        "reading the master key {path}: it is missing, but the folder holds data sealed with it; restore it from your backup, or start on an empty folder"
    )]
    Lost {
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

/// Reads the key, or makes it where there are no data yet.
pub(super) fn read_or_make(data: &Path) -> Result<Zeroizing<[u8; BYTES]>, KeyFileError> {
    let path = data.join(NAME);
    let shown = path.display().to_string();
    match File::open(&path) {
        Ok(file) => read(file, shown),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(KeyFileError::Unreadable { path: shown, error }),
        Err(_missing) if SEALED_DATA.iter().any(|name| data.join(name).exists()) => {
            Err(KeyFileError::Lost { path: shown })
        }
        Err(_missing) => make(data, &path)
            .map_err(|error| error.map_or(KeyFileError::Random, |error| KeyFileError::NotMade { path: shown, error })),
    }
}

fn read(file: File, path: String) -> Result<Zeroizing<[u8; BYTES]>, KeyFileError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES + 1));
    let bound = u64::try_from(BYTES).unwrap_or(u64::MAX).saturating_add(1);
    if let Err(error) = file.take(bound).read_to_end(&mut bytes) {
        return Err(KeyFileError::Unreadable { path, error });
    }
    let found = if bytes.len() > BYTES { "more" } else { "fewer" };
    <[u8; BYTES]>::try_from(bytes.as_slice())
        .map(Zeroizing::new)
        .map_err(|_size| KeyFileError::WrongSize { path, found })
}

/// Written aside, synced, then linked into place, which fails where another process was faster. `None`: no random.
fn make(data: &Path, path: &Path) -> Result<Zeroizing<[u8; BYTES]>, Option<std::io::Error>> {
    let mut key = Zeroizing::new([0_u8; BYTES]);
    SystemRandom::new().fill(key.as_mut_slice()).map_err(|_unspecified| None)?;
    std::fs::create_dir_all(data)?;
    let aside = data.join(format!("{NAME}.new"));
    if let Err(error) = std::fs::remove_file(&aside)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(Some(error));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    file.write_all(key.as_slice())?;
    file.sync_all()?;
    std::fs::hard_link(&aside, path)?;
    std::fs::remove_file(&aside)?;
    File::open(data)?.sync_all()?;
    Ok(key)
}
