//! The folder a migration is written down in: a plan that is written once, and a log whose every line is on the disk before
//! what it speaks of is done. One process at a time; everything here blocks.
use super::rules::{Event, Progress};
use aws_lc_rs::digest::{Context, SHA256};
use bailiwick_policy::parse::FileTexts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const PLAN: &str = "plan.json";
const PROGRESS: &str = "progress.jsonl";
const LOCK: &str = "lock";
/// Bytes read at once where a file is only looked at.
const READ_BYTES: usize = 64 << 10;
/// The tenant's files as they stood, each that changes.
pub const BEFORE: &str = "before";
/// A folder of tenants with the tenant's files as they are to be.
pub const AFTER: &str = "after";
/// A folder of tenants with the tenant's files as they are put back, where they need new versions.
pub const BACK: &str = "back";

/// Why it could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("{doing} {path}: {error}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: String,
        /// What the file system said.
        error: std::io::Error,
    },
    /// Another process has it.
    #[error("migrating: another `bailiwick migrate` is at it; wait for it to end")]
    Busy,
    /// It is not what this program wrote.
    #[error("reading {path}: {problem}; it is not as this program wrote it, restore it")]
    Damaged {
        /// What.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StateError {
    let path = path.display().to_string();
    move |error| StateError::Io { doing, path, error }
}

/// What is to be migrated.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The tenant's name.
    pub tenant: String,
    /// The old system's folder.
    pub from: PathBuf,
    /// RFC 3339.
    pub begun_at: String,
    /// Files of the tenant's folder that change, with the SHA-256 each has before, in hexadecimal; none where there is none.
    pub files: BTreeMap<String, Option<String>>,
    /// Digests of the old system's files they were made of.
    pub sources: BTreeMap<String, String>,
}

/// The folder, held by this process.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    _lock: File,
    plan: Option<Plan>,
    progress: Progress,
    log: Option<File>,
}

/// The folder beside a tenant's own in which its migration is written down.
#[must_use]
pub fn folder_of(tenants: &Path, tenant: &str) -> PathBuf {
    tenants.join(format!(".migrate-{tenant}"))
}

impl State {
    /// Opens the folder beside a tenant's own; it is made where it is missing.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(tenants: &Path, tenant: &str) -> Result<Self, StateError> {
        let folder = folder_of(tenants, tenant);
        std::fs::create_dir_all(&folder).map_err(io("creating", &folder))?;
        let path = folder.join(LOCK);
        let lock = File::options().create(true).append(true).open(&path).map_err(io("opening", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Busy),
            Err(TryLockError::Error(error)) => return Err(io("locking", &path)(error)),
        }
        let mut state = Self { folder, _lock: lock, plan: None, progress: Progress::default(), log: None };
        state.read()?;
        Ok(state)
    }

    /// True where nothing was ever begun beside this tenant's folder.
    #[must_use]
    pub fn is_absent(tenants: &Path, tenant: &str) -> bool {
        !folder_of(tenants, tenant).join(PLAN).exists()
    }

    fn read(&mut self) -> Result<(), StateError> {
        let path = self.folder.join(PLAN);
        let damaged = |path: &Path, problem: String| StateError::Damaged { path: path.display().to_string(), problem };
        let Some(text) = optional(&path)? else { return Ok(()) };
        self.plan = Some(serde_json::from_str(&text).map_err(|error| damaged(&path, error.to_string()))?);
        let path = self.folder.join(PROGRESS);
        let text = optional(&path)?.unwrap_or_default();
        // what a cut has left of a last line was never acted upon
        let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
        let log = File::options().create(true).append(true).open(&path).map_err(io("opening", &path))?;
        if whole < text.len() {
            let length = u64::try_from(whole).unwrap_or(u64::MAX);
            log.set_len(length).and_then(|()| log.sync_all()).map_err(io("mending", &path))?;
        }
        for line in text.get(..whole).unwrap_or_default().lines() {
            self.progress.apply(serde_json::from_str(line).map_err(|error| damaged(&path, error.to_string()))?);
        }
        self.log = Some(log);
        sync_folder(&self.folder).map_err(io("syncing", &self.folder))
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is to be migrated, once that was written down.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Begins: what an earlier one has left is taken away, then files and plan are written, the plan last.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn begin(&mut self, plan: Plan, after: &FileTexts) -> Result<(), StateError> {
        self.log = None;
        for name in [PLAN, PROGRESS] {
            let path = self.folder.join(name);
            absent_is_fine(std::fs::remove_file(&path)).map_err(io("removing", &path))?;
        }
        for name in [BEFORE, AFTER, BACK] {
            let path = self.folder.join(name);
            absent_is_fine(std::fs::remove_dir_all(&path)).map_err(io("removing", &path))?;
        }
        self.stage(AFTER, &plan.tenant, after)?;
        let text = serde_json::to_string_pretty(&plan)
            .map_err(|error| StateError::Damaged { path: PLAN.into(), problem: error.to_string() })?;
        write(&self.folder.join(PLAN), &text)?;
        self.progress = Progress::default();
        self.read()
    }

    /// Writes texts as a tenant of a folder of tenants within this one, for people to look at and to sign: all of them, or the
    /// folder is not there.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn stage(&self, place: &str, tenant: &str, texts: &FileTexts) -> Result<(), StateError> {
        let place = self.folder.join(place);
        let (folder, aside) = (place.join(tenant), place.join(format!(".{tenant}.new")));
        absent_is_fine(std::fs::remove_dir_all(&aside)).map_err(io("removing", &aside))?;
        std::fs::create_dir_all(&aside).map_err(io("creating", &aside))?;
        texts.iter().try_for_each(|(name, text)| write(&aside.join(name), text))?;
        absent_is_fine(std::fs::remove_dir_all(&folder)).map_err(io("removing", &folder))?;
        std::fs::rename(&aside, &folder).and_then(|()| sync_folder(&place)).map_err(io("writing", &folder))
    }

    /// Writes further texts beside those that were staged.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn add_staged(&self, place: &str, tenant: &str, texts: &FileTexts) -> Result<(), StateError> {
        let folder = self.folder.join(place).join(tenant);
        texts.iter().try_for_each(|(name, text)| write(&folder.join(name), text))
    }

    /// Keeps the tenant's files as they stand before they are exchanged.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn keep_before(&self, texts: &FileTexts) -> Result<(), StateError> {
        texts.iter().try_for_each(|(name, text)| write(&self.folder.join(BEFORE).join(name), text))
    }

    /// One of the files that were kept; none where there was no such file.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn before(&self, name: &str) -> Result<Option<String>, StateError> {
        optional(&self.folder.join(BEFORE).join(name))
    }

    /// Writes an event down; on the disk when this returns.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn note(&mut self, event: Event) -> Result<(), StateError> {
        let path = self.folder.join(PROGRESS);
        let damaged = |problem: String| StateError::Damaged { path: path.display().to_string(), problem };
        let mut line = serde_json::to_vec(&event).map_err(|error| damaged(error.to_string()))?;
        line.push(b'\n');
        let log = self.log.as_mut().ok_or_else(|| damaged("nothing was begun".into()))?;
        log.write_all(&line).and_then(|()| log.sync_data()).map_err(io("writing", &path))?;
        self.progress.apply(event);
        Ok(())
    }
}

/// Exchanges one file: written aside, synced and renamed, so that nobody ever sees half of it; taken away where there is no text.
///
/// # Errors
/// [`StateError`].
pub fn exchange(path: &Path, text: Option<&str>) -> Result<(), StateError> {
    match text {
        Some(text) => write(path, text),
        None => {
            absent_is_fine(std::fs::remove_file(path)).map_err(io("removing", path))?;
            path.parent().map_or(Ok(()), |folder| sync_folder(folder).map_err(io("syncing", folder)))
        }
    }
}

/// The text of a file; none where there is no such file.
///
/// # Errors
/// [`StateError`].
pub fn optional(path: &Path) -> Result<Option<String>, StateError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("reading", path)(error)),
    }
}

/// SHA-256 of the first bytes of a file, in hexadecimal, and how many there were.
///
/// # Errors
/// [`StateError`].
pub fn digest_of(path: &Path, bytes_max: u64) -> Result<(String, u64), StateError> {
    let file = File::open(path).map_err(io("reading", path))?;
    let (mut file, mut context, mut length) = (file.take(bytes_max), Context::new(&SHA256), 0_u64);
    let mut buffer = vec![0_u8; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(io("reading", path))?;
        if read == 0 {
            return Ok((hex::encode(context.finish()), length));
        }
        context.update(buffer.get(..read).unwrap_or_default());
        length = length.saturating_add(u64::try_from(read).unwrap_or(0));
    }
}

fn absent_is_fine(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn write(path: &Path, text: &str) -> Result<(), StateError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(io("creating", folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = folder.join(format!(".{name}.new"));
    let written = || {
        absent_is_fine(std::fs::remove_file(&aside))?;
        let mut file = File::options().write(true).create_new(true).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, path)?;
        sync_folder(folder)
    };
    written().map_err(io("writing", path))
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
