//! The folder backups are kept in. Nothing in it is in the clear but opaque keys of tenants, numbers and sizes.
//!
//! ```text
//! TARGET/
//!   bailiwick-backup      says that it is one; locked by whoever works on it
//!   keys/T.key            the tenant's backup key and keyring, sealed under the root key; the one place of them
//!   parts/T/SERIES/N.part what point N added of the tenant, sealed under its backup key
//!   points/N.point        what point N is made of, sealed; written last
//!   erasures.jsonl        the erasure ledger
//!   last.restore          which point was put back last, sealed
//!   node.secret           what backup keys follow from, wrapped by the root key; after the root key was replaced
//! ```
//!
//! A tenant's backup key and keyring stand once, in a file that is overwritten when the tenant is destroyed: they are in no
//! part, so that no part undoes the destruction.
use super::errors::{BackupError, altered, io};
use super::pieces::{FileDigest, sync_parent};
use crate::kms::NODE_SECRET;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bailiwick_kernel::cipher::{Cipher, CipherError, Purpose};
use bailiwick_kernel::codec;
use bailiwick_kernel::erasures::{self, LedgerHead};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

const MARKER: &str = "bailiwick-backup";
const TRIED: &str = "last.restore";
const MARKER_TEXT: &str = "bailiwick-backup-1\n";
/// Bytes of a point or a key file, at most.
const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// A tenant's part as a point names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct PartRef {
    pub(super) tenant: String,
    /// The tenant's name; nothing for the control plane itself.
    pub(super) name: Option<String>,
    pub(super) series: u64,
    /// When its series began.
    pub(super) began_unix_ms: u64,
    pub(super) number: u64,
    pub(super) sha256: FileDigest,
    pub(super) bytes: u64,
}

/// One point in time, whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) number: u64,
    pub(super) at_unix_ms: u64,
    pub(super) parts: Vec<PartRef>,
    /// Where the erasure ledger ended then.
    pub(super) ledger: LedgerHead,
}

/// What is kept of a tenant in one place.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TenantKeys {
    pub(super) backup_key: [u8; 32],
    pub(super) keyring: Vec<u8>,
    /// Series before this one are gone because their time was over.
    pub(super) oldest_series: u64,
}

impl std::fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TenantKeys")
    }
}

impl Drop for TenantKeys {
    fn drop(&mut self) {
        self.backup_key.zeroize();
        self.keyring.zeroize();
    }
}

impl TenantKeys {
    pub(super) fn drawn(keyring: Vec<u8>, series: u64) -> Result<Self, BackupError> {
        let mut backup_key = [0_u8; 32];
        SystemRandom::new().fill(&mut backup_key).map_err(|_unspecified| CipherError::Random)?;
        Ok(Self { backup_key, keyring, oldest_series: series })
    }
}

/// A target folder, locked by whoever changes something in it.
#[derive(Debug)]
pub(super) struct Target {
    root: PathBuf,
    cipher: Cipher,
    _lock: Option<File>,
}

/// That a point was put back somewhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Tried {
    pub(super) point: u64,
    pub(super) at_unix_ms: u64,
    /// Keys of the tenants that were put back.
    pub(super) tenants: Vec<String>,
}

fn absent_is_none<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Target {
    /// Opens a target, making one of an empty or absent folder.
    pub(super) fn open_or_make(root: &Path, cipher: Cipher) -> Result<Self, BackupError> {
        let marker = root.join(MARKER);
        if !marker.exists() {
            fs::create_dir_all(root).map_err(io("making", root))?;
            if fs::read_dir(root).map_err(io("reading", root))?.next().is_some() {
                let problem = format!(
                    "backing up to {}: it holds something else than backups; name an empty folder",
                    root.display()
                );
                return Err(BackupError::Refused(problem));
            }
            for folder in ["keys", "parts", "points"] {
                fs::create_dir_all(root.join(folder)).map_err(io("making", root))?;
            }
            write_durably(&marker, MARKER_TEXT.as_bytes())?;
        }
        Self::open(root, cipher)
    }

    /// Opens a target that is there.
    pub(super) fn open(root: &Path, cipher: Cipher) -> Result<Self, BackupError> {
        let marker = root.join(MARKER);
        let said = fs::read_to_string(&marker).map_err(io("opening the backup", &marker))?;
        if said != MARKER_TEXT {
            return Err(altered(MARKER, "is of a form this build does not know"));
        }
        let lock = File::open(&marker).map_err(io("opening the backup", &marker))?;
        lock.try_lock().map_err(|_held| {
            BackupError::Refused(format!(
                "opening the backup {}: somebody else is at it; try again when they are done",
                root.display()
            ))
        })?;
        Ok(Self { root: root.to_path_buf(), cipher, _lock: Some(lock) })
    }

    /// A target that is read while somebody may be at it: points are whole, because each is written last.
    pub(super) fn reading(root: &Path, cipher: Cipher) -> Self {
        Self { root: root.to_path_buf(), cipher, _lock: None }
    }

    /// Notes that a point was put back.
    pub(super) fn keep_tried(&self, tried: &Tried) -> Result<(), BackupError> {
        let sealed = self.cipher.seal(Purpose::Backup, TRIED.as_bytes(), &codec::encode(tried)?)?;
        write_durably(&self.root.join(TRIED), &sealed)
    }

    /// The last point that was put back, as far as this target was told.
    pub(super) fn tried(&self) -> Result<Option<Tried>, BackupError> {
        let Some(sealed) = read_small(&self.root.join(TRIED))? else { return Ok(None) };
        let plain = self.cipher.open(Purpose::Backup, TRIED.as_bytes(), &sealed);
        let plain = plain.map_err(|_refused| altered(TRIED, "was altered, or is not under this root key"))?;
        Ok(Some(codec::decode(&plain).map_err(|error| altered(TRIED, error.to_string()))?))
    }

    /// Keeps the node's secret, which the root key wraps, where the node has one apart from that key: without it the keys a
    /// backup is sealed under do not follow from the root key.
    pub(super) fn keep_secret(&self, data: &Path) -> Result<(), BackupError> {
        let secret = data.join(NODE_SECRET);
        match absent_is_none(fs::read(&secret)).map_err(io("reading the node's secret", &secret))? {
            Some(wrapped) => write_durably(&self.root.join(NODE_SECRET), &wrapped),
            None => Ok(()),
        }
    }

    /// Where the erasure ledger stands beside it.
    pub(super) fn ledger(&self) -> PathBuf {
        self.root.join(erasures::FILE)
    }

    fn key_file(&self, tenant: &str) -> PathBuf {
        self.root.join("keys").join(format!("{tenant}.key"))
    }

    /// Every tenant that has a key here.
    pub(super) fn tenants(&self) -> Result<Vec<String>, BackupError> {
        let folder = self.root.join("keys");
        let mut tenants = Vec::new();
        for file in fs::read_dir(&folder).map_err(io("reading", &folder))? {
            let name = file.map_err(io("reading", &folder))?.file_name().to_string_lossy().into_owned();
            tenants.extend(name.strip_suffix(".key").map(str::to_owned));
        }
        tenants.sort();
        Ok(tenants)
    }

    /// What is kept of a tenant; nothing where it has none.
    pub(super) fn keys_of(&self, tenant: &str) -> Result<Option<TenantKeys>, BackupError> {
        let path = self.key_file(tenant);
        let Some(sealed) = read_small(&path)? else { return Ok(None) };
        let what = format!("keys/{tenant}.key");
        let plain = self.cipher.open(Purpose::Backup, what.as_bytes(), &sealed);
        let plain = Zeroizing::new(
            plain.map_err(|_refused| altered(what.clone(), "was altered, or is not under this root key"))?,
        );
        Ok(Some(codec::decode(&plain).map_err(|error| altered(what, error.to_string()))?))
    }

    /// Writes what is kept of a tenant, and overwrites what stood there.
    pub(super) fn keep_keys(&self, tenant: &str, keys: &TenantKeys) -> Result<(), BackupError> {
        let path = self.key_file(tenant);
        let plain = Zeroizing::new(codec::encode(keys)?);
        let sealed = self.cipher.seal(Purpose::Backup, format!("keys/{tenant}.key").as_bytes(), &plain)?;
        let former = absent_is_none(OpenOptions::new().write(true).open(&path)).map_err(io("writing", &path))?;
        write_durably(&path, &sealed)?;
        former.map_or(Ok(()), |mut file| overwrite(&mut file).map_err(io("overwriting", &path)))
    }

    /// Destroys what is kept of a tenant: its parts open no more. Destroying what is gone is no error.
    pub(super) fn destroy(&self, tenant: &str) -> Result<(), BackupError> {
        destroy(&self.root, tenant)
    }

    pub(super) fn part(&self, tenant: &str, series: u64, number: u64) -> Result<PathBuf, BackupError> {
        let folder = self.root.join("parts").join(tenant).join(format!("{series:08}"));
        fs::create_dir_all(&folder).map_err(io("making", &folder))?;
        Ok(folder.join(format!("{number:08}.part")))
    }

    /// Removes a series of parts.
    pub(super) fn remove_series(&self, tenant: &str, series: u64) -> Result<(), BackupError> {
        let folder = self.root.join("parts").join(tenant).join(format!("{series:08}"));
        absent_is_none(fs::remove_dir_all(&folder)).map_err(io("removing", &folder))?;
        sync_parent(&folder)
    }

    /// Numbers of the points, ascending.
    pub(super) fn points(&self) -> Result<Vec<u64>, BackupError> {
        let folder = self.root.join("points");
        let mut numbers = Vec::new();
        for file in fs::read_dir(&folder).map_err(io("reading", &folder))? {
            let name = file.map_err(io("reading", &folder))?.file_name().to_string_lossy().into_owned();
            numbers.extend(name.strip_suffix(".point").and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn point_file(&self, number: u64) -> PathBuf {
        self.root.join("points").join(format!("{number:08}.point"))
    }

    pub(super) fn point(&self, number: u64) -> Result<Point, BackupError> {
        let what = format!("point {number}");
        let sealed = read_small(&self.point_file(number))?.ok_or_else(|| altered(what.clone(), "is missing"))?;
        let plain = self.cipher.open(Purpose::Backup, what.as_bytes(), &sealed);
        let plain = plain.map_err(|_refused| altered(what.clone(), "was altered, or is not under this root key"))?;
        let point: Point = codec::decode(&plain).map_err(|error| altered(what.clone(), error.to_string()))?;
        if point.number == number { Ok(point) } else { Err(altered(what, "is another one")) }
    }

    /// Writes a point: from here on it is whole.
    pub(super) fn keep_point(&self, point: &Point) -> Result<(), BackupError> {
        let what = format!("point {}", point.number);
        let sealed = self.cipher.seal(Purpose::Backup, what.as_bytes(), &codec::encode(point)?)?;
        write_durably(&self.point_file(point.number), &sealed)
    }

    pub(super) fn remove_point(&self, number: u64) -> Result<(), BackupError> {
        let path = self.point_file(number);
        absent_is_none(fs::remove_file(&path)).map_err(io("removing", &path))?;
        sync_parent(&path)
    }
}

/// Destroys what is kept of a tenant in a target, also while somebody is at it. The key is overwritten before it goes.
pub(super) fn destroy(root: &Path, tenant: &str) -> Result<(), BackupError> {
    if !root.join(MARKER).exists() {
        let problem = format!("destroying the backups of a tenant: {} cannot be reached", root.display());
        return Err(BackupError::Refused(problem));
    }
    for name in [format!("{tenant}.key"), format!("{tenant}.new")] {
        let path = root.join("keys").join(name);
        if let Some(mut file) =
            absent_is_none(OpenOptions::new().write(true).open(&path)).map_err(io("opening", &path))?
        {
            overwrite(&mut file).map_err(io("overwriting", &path))?;
            fs::remove_file(&path).map_err(io("removing", &path))?;
            sync_parent(&path)?;
        }
    }
    let parts = root.join("parts").join(tenant);
    absent_is_none(fs::remove_dir_all(&parts)).map_err(io("removing", &parts))?;
    sync_parent(&parts)
}

fn read_small(path: &Path) -> Result<Option<Vec<u8>>, BackupError> {
    let Some(file) = absent_is_none(File::open(path)).map_err(io("reading", path))? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(SMALL_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io("reading", path))?;
    Ok(Some(bytes))
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let aside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside).map_err(io("writing", &aside))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io("writing", &aside))?;
    fs::rename(&aside, path).map_err(io("naming", path))?;
    sync_parent(path)
}

fn overwrite(file: &mut File) -> std::io::Result<()> {
    let length = file.metadata()?.len();
    std::io::copy(&mut std::io::repeat(0).take(length), file)?;
    file.sync_all()
}
