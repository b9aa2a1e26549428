//! The tenants folder on disk: reading a tenant's texts within bounds, writing what operators change over HTTP.
//! Everything here blocks and runs on the blocking pool.
use super::messages::{FolderSeen, Found, Sound};
use super::rules::{is_file_name, is_folder_name};
use crate::migration::state::folder_of;
use bailiwick_kernel::limits::{TENANT_FILE_BYTES_MAX, TENANT_FILES_MAX, TENANTS_MAX};
use bailiwick_policy::compile::{PolicySnapshot, TENANT, compile};
use bailiwick_policy::golden::{GOLDEN, Golden, parse};
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::parse::{FileError, FileTexts};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The tenants folder. Clones count their writes together.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
    guardrails: Arc<Guardrails>,
    writes: Arc<AtomicU64>,
}

/// Why a folder could not be read or written. Names files relative to the tenants folder only.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system refused.
    #[error("{doing} {name}: {error}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        name: String,
        /// What the file system said.
        error: std::io::Error,
    },
    /// A text is larger than a text may be.
    #[error("reading {0}: it is larger than {TENANT_FILE_BYTES_MAX} bytes; split or shorten it")]
    TooLarge(String),
    /// More files than are read.
    #[error("reading {0}: it has more than {TENANT_FILES_MAX} files; remove what does not belong there")]
    TooMany(String),
    /// A link leads out of the tenant's own folder.
    #[error("reading {0}: it leads out of the tenant's own folder; put the file itself there")]
    Escapes(String),
    /// No text.
    #[error("reading {0}: it is not UTF-8 text")]
    NotText(String),
    /// The folder is there already.
    #[error("creating the folder {0}: it exists already")]
    Exists(String),
}

fn io(doing: &'static str, name: impl Into<String>) -> impl FnOnce(std::io::Error) -> FolderError {
    let name = name.into();
    move |error| FolderError::Io { doing, name, error }
}

impl Folders {
    /// The tenants folder at `root`, whose tenants stand under these guardrails; created where it is missing.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn open(root: &Path, guardrails: Guardrails) -> Result<Self, FolderError> {
        std::fs::create_dir_all(root).map_err(io("creating the tenants folder", root.display().to_string()))?;
        let root = root.canonicalize().map_err(io("opening the tenants folder", root.display().to_string()))?;
        Ok(Self { root, guardrails: Arc::new(guardrails), writes: Arc::default() })
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Names of the folders that are there.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn names(&self) -> Result<BTreeSet<String>, FolderError> {
        let doing = "listing the tenants folder";
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(&self.root).map_err(io(doing, ""))? {
            let entry = entry.map_err(io(doing, ""))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_folder_name(&name) && entry.file_type().map_err(io(doing, name.as_str()))?.is_dir() {
                names.insert(name);
            }
            if names.len() > TENANTS_MAX {
                return Err(FolderError::TooMany("tenants".to_owned()));
            }
        }
        Ok(names)
    }

    /// Reads and compiles one folder, and says since when what was found may be out of date.
    #[must_use]
    pub fn observe(&self, name: String) -> FolderSeen {
        // counted before the first look: a write that ends later may or may not be in what is found
        let read_after = self.writes.load(Ordering::SeqCst);
        FolderSeen { found: self.load(&name), name, read_after }
    }

    /// Reads and compiles one folder for somebody who will act on it at once: what was read before this counts no more. Gives
    /// the number to note.
    #[must_use]
    pub fn observe_now(&self, name: String) -> (FolderSeen, u64) {
        let number = self.written();
        (self.observe(name), number)
    }

    /// Counts a write that has ended.
    fn written(&self) -> u64 {
        self.writes.fetch_add(1, Ordering::SeqCst).saturating_add(1)
    }

    /// Reads and compiles one folder.
    #[must_use]
    pub fn load(&self, name: &str) -> Found {
        match self.texts(name) {
            Ok(None) => Found::Gone,
            Err(error) => Found::Broken(error.to_string()),
            Ok(Some(texts)) => match self.compiled(name, &texts) {
                Ok(policy) => Found::Compiled(Sound { policy, texts: Arc::new(texts), golden: self.golden(name) }),
                Err(problems) => Found::Broken(problems),
            },
        }
    }

    /// The golden questions of one folder; none where it has none.
    fn golden(&self, name: &str) -> Result<Arc<Vec<Golden>>, String> {
        let (path, shown) = (self.root.join(name).join(GOLDEN), format!("{name}/{GOLDEN}"));
        if std::fs::symlink_metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(Arc::default());
        }
        let text = self.read_text(name, &path, &shown).map_err(|error| error.to_string())?;
        parse(&text).map(Arc::new).map_err(|error| error.to_string())
    }

    /// Compiles the texts of one folder; the problems come in one text, one a line, with file and line.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn compiled(&self, name: &str, texts: &FileTexts) -> Result<Arc<PolicySnapshot>, String> {
        let problems = |errors: Vec<FileError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        compile(name, texts, &self.guardrails).map(Arc::new).map_err(problems)
    }

    /// The texts of one folder; `None` where there is no such folder.
    ///
    /// # Errors
    /// [`FolderError`] for anything that is too large, too many, no text, or outside.
    pub fn texts(&self, name: &str) -> Result<Option<FileTexts>, FolderError> {
        let folder = self.root.join(name);
        match std::fs::symlink_metadata(&folder) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(FolderError::Escapes(name.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("reading", name)(error)),
        }
        let mut texts = FileTexts::new();
        self.collect(name, &folder, "", &mut texts)?;
        let policies = folder.join("policies");
        match std::fs::symlink_metadata(&policies) {
            Ok(found) if found.is_dir() => self.collect(name, &policies, "policies/", &mut texts)?,
            Ok(_) => return Err(FolderError::Escapes(format!("{name}/policies"))),
            Err(_) => {}
        }
        Ok(Some(texts))
    }

    fn collect(&self, tenant: &str, folder: &Path, prefix: &str, texts: &mut FileTexts) -> Result<(), FolderError> {
        let shown = format!("{tenant}/{prefix}");
        for entry in std::fs::read_dir(folder).map_err(io("listing", shown.as_str()))? {
            let entry = entry.map_err(io("listing", shown.as_str()))?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned).filter(|name| is_file_name(name)) else {
                continue;
            };
            if texts.len() >= TENANT_FILES_MAX {
                return Err(FolderError::TooMany(tenant.to_owned()));
            }
            let relative = format!("{prefix}{name}");
            let text = self.read_text(tenant, &entry.path(), &format!("{tenant}/{relative}"))?;
            texts.insert(relative, text);
        }
        Ok(())
    }

    fn read_text(&self, tenant: &str, path: &Path, shown: &str) -> Result<String, FolderError> {
        let real = path.canonicalize().map_err(io("reading", shown))?;
        if !real.starts_with(self.root.join(tenant)) {
            return Err(FolderError::Escapes(shown.to_owned()));
        }
        // a pipe or a device would never end
        if !std::fs::metadata(&real).map_err(io("reading", shown))?.is_file() {
            return Err(FolderError::NotText(shown.to_owned()));
        }
        let file = std::fs::File::open(&real).map_err(io("reading", shown))?;
        let mut bytes = Vec::new();
        file.take(TENANT_FILE_BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes).map_err(io("reading", shown))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > TENANT_FILE_BYTES_MAX {
            return Err(FolderError::TooLarge(shown.to_owned()));
        }
        String::from_utf8(bytes).map_err(|_invalid| FolderError::NotText(shown.to_owned()))
    }

    /// Creates a tenant's folder with the given texts: written aside, synced, then renamed, so that nobody ever
    /// sees half of it. Gives the number of the write.
    ///
    /// # Errors
    /// [`FolderError::Exists`], [`FolderError::Io`].
    pub fn create(&self, name: &str, texts: &FileTexts) -> Result<u64, FolderError> {
        let target = self.root.join(name);
        if std::fs::symlink_metadata(&target).is_ok() {
            return Err(FolderError::Exists(name.to_owned()));
        }
        let aside = self.root.join(format!(".new-{name}"));
        self.discard(&aside, name)?;
        std::fs::create_dir_all(aside.join("policies")).map_err(io("creating the folder", name))?;
        for (relative, text) in texts {
            write_synced(&aside.join(relative), text.as_bytes())
                .map_err(io("writing", format!("{name}/{relative}")))?;
        }
        std::fs::rename(&aside, &target).map_err(io("creating the folder", name))?;
        sync_folder(&self.root).map_err(io("creating the folder", name))?;
        Ok(self.written())
    }

    /// Replaces a tenant's `tenant.yaml`. Gives the number of the write.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn replace_record(&self, name: &str, text: &str) -> Result<u64, FolderError> {
        let folder = self.root.join(name);
        let aside = folder.join(format!(".{TENANT}.new"));
        let shown = format!("{name}/{TENANT}");
        write_synced(&aside, text.as_bytes()).map_err(io("writing", shown.as_str()))?;
        std::fs::rename(&aside, folder.join(TENANT)).map_err(io("writing", shown.as_str()))?;
        sync_folder(&folder).map_err(io("writing", shown.as_str()))?;
        Ok(self.written())
    }

    /// Removes a tenant's folder with everything in it, and what a migration into it has left beside it; a folder that is gone is no error. Gives the number of the
    /// write.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn remove(&self, name: &str) -> Result<u64, FolderError> {
        self.discard(&self.root.join(name), name)?;
        // what is written down of a migration names its documents
        self.discard(&folder_of(&self.root, name), name)?;
        Ok(self.written())
    }

    fn discard(&self, path: &Path, name: &str) -> Result<(), FolderError> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io("removing the folder", name)(error)),
            _ => Ok(()),
        }
    }
}

/// Makes the file anew: what stands there under this name, a link perhaps, is taken away and never written through.
fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::File::options().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}
