//! All tenants' keys wrapped anew under another root key, without touching what they seal.
//!
//! Crash-safe: the next root key is durable before anything is wrapped under it, the one before stays until nothing needs it,
//! and each keyring is replaced by a rename of what was synced aside. Whatever interrupts it, every keyring opens under one of
//! the two, and doing it again goes on where it ended. A sync a file would take minutes for a hundred thousand of them: files
//! are written aside in batches, synced together, exchanged with what they replace, synced, and what they replaced is overwritten.
//! Keyrings that customers' own keys wrap are left as they are.
use super::keyring::{Keyring, Version};
use super::keyring_file::FOLDER;
use super::providers::{KeyProvider, local_file};
use super::root_keys::{self, RootKeys, private};
use super::{KeyError, RootSource, key_file};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Keyrings of one batch: more than a node has tenants, so that it takes the disk three waits for all of them.
const BATCH: usize = 32_768;

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rewrapped {
    /// Keyrings that were wrapped anew.
    pub keyrings: u64,
    /// Keys in them.
    pub keys: u64,
    /// Keyrings that were wrapped under the new root key already.
    pub done_before: u64,
    /// Keyrings that a customer's own key wraps: left as they are.
    pub customers: u64,
    /// Keyrings whose destruction was interrupted: left as they are.
    pub destroyed: u64,
}

/// One keyring that stands aside, to be exchanged with the one in force.
pub(super) struct Aside {
    name: String,
    keys: u64,
}

/// A folder whose keys are being wrapped anew.
pub struct Rewrap<'a> {
    data: &'a Path,
    source: &'a RootSource,
    roots: RootKeys,
    waiting: Vec<String>,
    done: Rewrapped,
    _alone: File,
}

/// Wraps the keys of every tenant of a folder under another root key: a fresh one in the place of `master.key`, or the present
/// one of `root_key_env`. Needs the folder alone. Blocking.
///
/// # Errors
/// [`KeyError`]; then both root keys open what they have wrapped, and doing it again goes on.
pub fn rewrap(data: &Path, source: &RootSource) -> Result<Rewrapped, KeyError> {
    let mut rewrap = Rewrap::begin(data, source)?;
    while rewrap.turn(BATCH)? {}
    rewrap.end()
}

impl<'a> Rewrap<'a> {
    /// Makes sure of both root keys, and of the node's secret under the next one.
    ///
    /// # Errors
    /// [`KeyError::InUse`], [`KeyError::NoFormer`], [`KeyError::Master`].
    pub fn begin(data: &'a Path, source: &'a RootSource) -> Result<Self, KeyError> {
        let alone = root_keys::take(data)?;
        let is_begun = RootKeys::read(data, source)?.is_changing;
        match source {
            RootSource::Given(_) => return Err(KeyError::NoFormer),
            RootSource::File | RootSource::SealedFile(_) if !is_begun => {
                key_file::make_next(data, source)?;
            }
            RootSource::File | RootSource::SealedFile(_) | RootSource::Changed { .. } => {}
        }
        let roots = RootKeys::read(data, source)?;
        roots.keep_secret(data)?;
        let failed = |error| file_error("listing the folder of keys", FOLDER, error);
        let mut waiting = Vec::new();
        for entry in fs::read_dir(data.join(FOLDER)).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if let Some(tenant) = name.strip_suffix(".keyring") {
                waiting.push(tenant.to_owned());
            }
        }
        Ok(Self { data, source, roots, waiting, done: Rewrapped::default(), _alone: alone })
    }

    /// Replaces the next batch of keyrings; false where none is left.
    ///
    /// # Errors
    /// [`KeyError`]; those of the batches before are replaced.
    pub(super) fn turn(&mut self, at_most: usize) -> Result<bool, KeyError> {
        if self.waiting.is_empty() {
            return Ok(false);
        }
        let batch = self.write_aside(at_most)?;
        self.exchange(&batch)?;
        self.overwrite(&batch)?;
        for aside in batch {
            self.done.keyrings += 1;
            self.done.keys += aside.keys;
        }
        Ok(true)
    }

    /// Writes the next batch aside. It is whole on the disk when this returns.
    pub(super) fn write_aside(&mut self, at_most: usize) -> Result<Vec<Aside>, KeyError> {
        let names = self.waiting.split_off(self.waiting.len().saturating_sub(at_most));
        let mut batch = Vec::with_capacity(names.len());
        for name in names {
            let turned = self.turned(&name)?;
            let failed = |error| file_error("writing the keys of the tenant", &name, error);
            match turned {
                Some((bytes, keys)) => {
                    put_aside(&self.aside(&name), &bytes).map_err(failed)?;
                    batch.push(Aside { name, keys });
                }
                // what an interrupted run exchanged and did not come to overwrite
                None => clear(&self.aside(&name), &self.file(&name)).map_err(failed)?,
            }
        }
        if !batch.is_empty() {
            self.sync(&batch)?;
        }
        Ok(batch)
    }

    /// Exchanges what stands aside with what is in force, each at once. It is on the disk when this returns.
    pub(super) fn exchange(&self, batch: &[Aside]) -> Result<(), KeyError> {
        for Aside { name, .. } in batch {
            let failed = |error| file_error("writing the keys of the tenant", name, error);
            exchange(&self.aside(name), &self.file(name)).map_err(failed)?;
        }
        self.folder()?.sync_all().map_err(|error| file_error("syncing the folder of keys", FOLDER, error))
    }

    /// Overwrites what was in force before.
    fn overwrite(&self, batch: &[Aside]) -> Result<(), KeyError> {
        for Aside { name, .. } in batch {
            let failed = |error| file_error("writing the keys of the tenant", name, error);
            overwrite_and_remove(&self.aside(name)).map_err(failed)?;
        }
        Ok(())
    }

    /// Puts the next root key in the place of the one before, once every keyring is on the disk under it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn end(self) -> Result<Rewrapped, KeyError> {
        let failed = |error| file_error("syncing the folder of keys", FOLDER, error);
        let folder = self.folder()?;
        sync_file_system(&folder).map_err(failed)?;
        folder.sync_all().map_err(failed)?;
        match self.source {
            RootSource::File | RootSource::SealedFile(_) => key_file::take_next(self.data)?,
            RootSource::Given(_) | RootSource::Changed { .. } => {}
        }
        Ok(self.done)
    }

    fn folder(&self) -> Result<File, KeyError> {
        let failed = |error| file_error("syncing the folder of keys", FOLDER, error);
        File::open(self.data.join(FOLDER)).map_err(failed)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data.join(FOLDER).join(format!("{name}.keyring"))
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.data.join(FOLDER).join(format!("{name}.keyring.new"))
    }

    /// A keyring's bytes under the present root key, and how many keys they hold; nothing where it needs no turning.
    fn turned(&mut self, tenant: &str) -> Result<Option<(Vec<u8>, u64)>, KeyError> {
        let shown = format!("{FOLDER}/{tenant}.keyring");
        let failed = |error| file_error("reading the keys of the tenant", &shown, error);
        let bytes = fs::read(self.file(tenant)).map_err(failed)?;
        if bytes.iter().all(|byte| *byte == 0) {
            self.done.destroyed += 1;
            return Ok(None);
        }
        let damaged = |problem| KeyError::Damaged { file: shown.clone(), problem };
        let keyring = Keyring::parse_named(&bytes, tenant).map_err(damaged)?;
        if keyring.versions.iter().any(|version| version.key_id.is_some()) {
            self.done.customers += 1;
            return Ok(None);
        }
        let refused = |version: &Version| {
            let (file, version) = (shown.clone(), version.number);
            move |error| KeyError::Wrapped { file, version, error }
        };
        let mut is_present = true;
        for version in &keyring.versions {
            let wrapped = version.wrapped_bytes().map_err(damaged)?;
            is_present &= self.roots.wrapping.is_of_present_root(&wrapped).map_err(refused(version))?;
        }
        if is_present {
            self.done.done_before += 1;
            return Ok(None);
        }
        let mut anew = keyring.without_versions();
        for version in &keyring.versions {
            let wrapped = version.wrapped_bytes().map_err(damaged)?;
            let context = keyring.context_of(version).map_err(damaged)?;
            let key = self.roots.wrapping.unwrap_key(&wrapped, &context).map_err(refused(version))?;
            let mut version = Version { provider: local_file::NAME.to_owned(), ..version.clone() };
            let context = anew.context_of(&version).map_err(damaged)?;
            version.wrapped = hex::encode(self.roots.wrapping.wrap_key(&key, &context).map_err(refused(&version))?);
            anew.push(version);
        }
        let keys = u64::try_from(anew.versions.len()).unwrap_or(u64::MAX);
        Ok(Some((anew.bytes().map_err(damaged)?, keys)))
    }

    #[cfg(target_os = "linux")]
    fn sync(&self, _batch: &[Aside]) -> Result<(), KeyError> {
        sync_file_system(&self.folder()?).map_err(|error| file_error("syncing the folder of keys", FOLDER, error))
    }

    #[cfg(not(target_os = "linux"))]
    fn sync(&self, batch: &[Aside]) -> Result<(), KeyError> {
        let synced = batch.iter().try_for_each(|aside| File::open(self.aside(&aside.name))?.sync_all());
        synced.map_err(|error| file_error("syncing the folder of keys", FOLDER, error))
    }
}

#[cfg(target_os = "linux")]
fn sync_file_system(folder: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(folder: &File) -> io::Result<()> {
    folder.sync_all()
}

/// Each has the other's name afterwards, and at no moment has one none.
#[cfg(target_os = "linux")]
fn exchange(aside: &Path, file: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, aside, CWD, file, RenameFlags::EXCHANGE)?)
}

/// Where names cannot be exchanged, what is replaced has none afterwards, and is not overwritten: the root key that opens it
/// is.
#[cfg(not(target_os = "linux"))]
fn exchange(aside: &Path, file: &Path) -> io::Result<()> {
    fs::rename(aside, file)
}

fn put_aside(aside: &Path, bytes: &[u8]) -> io::Result<()> {
    let write = || private().open(aside)?.write_all(bytes);
    match write() {
        // what an interrupted run has left; it may be another name of the keyring itself, and is not written to
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(aside)?;
            write()
        }
        written => written,
    }
}

/// Removes what stands aside of a keyring that needs no turning; overwritten, unless it is a second name of the keyring.
fn clear(aside: &Path, file: &Path) -> io::Result<()> {
    match fs::read(aside) {
        Ok(left) if fs::read(file)? == left => fs::remove_file(aside),
        Ok(_) => overwrite_and_remove(aside),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn overwrite_and_remove(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    fs::remove_file(path)
}

fn file_error(doing: &'static str, file: &str, error: io::Error) -> KeyError {
    KeyError::File { doing, file: file.to_owned(), error }
}
