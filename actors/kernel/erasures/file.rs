//! The ledger's file: appended to and synced before anything it speaks of is done, and kept beside every known backup.
use super::{Event, LedgerHead, LedgerKeys, Line, Mark, Of};
use crate::fabric::store::sync_folder;
use crate::ids::TenantKey;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system refused.
    #[error("{doing} the erasure ledger {path}: {error}; make it readable and writable for the user bailiwick runs as")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: String,
        /// What the file system said.
        error: io::Error,
    },
    /// It is not what was written.
    #[error("reading the erasure ledger {path}: {problem}; put the newest copy of it in its place")]
    Altered {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

fn io(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> LedgerError {
    let path = path.display().to_string();
    move |error| LedgerError::Io { doing, path: path.clone(), error }
}

#[derive(Debug, Default)]
struct State {
    head: LedgerHead,
    bytes: u64,
    /// Files beside known backups.
    copies: Vec<PathBuf>,
}

/// The ledger of one node.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    keys: LedgerKeys,
    state: Mutex<State>,
}

impl Ledger {
    /// Opens the ledger of a file, an empty one where there is none. Blocking.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open(path: &Path, keys: LedgerKeys) -> Result<Self, LedgerError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io("reading", path)(error)),
        };
        let altered = |problem| LedgerError::Altered { path: path.display().to_string(), problem };
        let (_lines, head) = keys.read(&text).map_err(altered)?;
        let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
        if whole < text.len() {
            // a line that was cut short: acknowledged to nobody
            let file = OpenOptions::new().write(true).open(path).map_err(io("mending", path))?;
            let bytes = u64::try_from(whole).unwrap_or(u64::MAX);
            file.set_len(bytes).and_then(|()| file.sync_all()).map_err(io("mending", path))?;
        }
        let bytes = u64::try_from(whole).unwrap_or(u64::MAX);
        let state = Mutex::new(State { head, bytes, copies: Vec::new() });
        Ok(Self { path: path.to_path_buf(), keys, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &LedgerKeys {
        &self.keys
    }

    /// Where it ends.
    #[must_use]
    pub fn head(&self) -> LedgerHead {
        self.state().head.clone()
    }

    /// Every line. Blocking.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn lines(&self) -> Result<Vec<Line>, LedgerError> {
        let _nothing_is_added = self.state();
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io("reading", &self.path)(error)),
        };
        let altered = |problem| LedgerError::Altered { path: self.path.display().to_string(), problem };
        Ok(self.keys.read(&text).map_err(altered)?.0)
    }

    /// From here on it is kept in these places as well, as far as they can be reached. Blocking.
    pub fn keep_copies(&self, copies: Vec<PathBuf>) {
        let mut state = self.state();
        state.copies = copies;
        for copy in &state.copies {
            self.copy(copy);
        }
    }

    /// Adds lines; durable when this returns. Blocking.
    ///
    /// # Errors
    /// [`LedgerError`]; then nothing of what it speaks of may be done.
    pub fn note(&self, tenant: TenantKey, events: Vec<Event>, at_unix_ms: u64) -> Result<(), LedgerError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        let (mut head, mut text) = (state.head.clone(), String::new());
        for event in events {
            let line = self.keys.line(&head, tenant, event, at_unix_ms);
            head = LedgerHead { lines: line.number.saturating_add(1), chain: line.chain.clone() };
            text.push_str(&serde_json::to_string(&line).unwrap_or_default());
            text.push('\n');
        }
        let is_first = state.bytes == 0;
        append(&self.path, state.bytes, &text).map_err(io("writing", &self.path))?;
        if let Some(folder) = self.path.parent().filter(|_| is_first) {
            sync_folder(folder).map_err(io("writing", &self.path))?;
        }
        let before = state.bytes;
        state.bytes = before.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        state.head = head;
        for copy in &state.copies {
            let is_in_step = fs::metadata(copy).is_ok_and(|found| found.len() == before);
            if !is_in_step || append(copy, before, &text).is_err() {
                self.copy(copy);
            }
        }
        Ok(())
    }

    /// Writes the whole ledger to another place, aside first.
    fn copy(&self, to: &Path) {
        if let Err(error) = copied(&self.path, to) {
            tracing::warn!(to = %to.display(), %error, "the erasure ledger is not beside this backup yet; it is tried again with the next erasure and the next backup");
        }
    }
}

/// Appends to a file that has so many bytes; what an earlier try may have left behind them is overwritten.
fn append(path: &Path, at_bytes: u64, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.set_len(at_bytes)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(at_bytes))?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// Copies a file so that its whole content or nothing of it stands under the new name.
fn copied(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = match fs::read(from) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let aside = to.with_extension("new");
    let mut file = File::create(&aside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&aside, to)?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// The ledger as one tenant's rooms have it.
#[derive(Clone, Debug)]
pub struct TenantErasures {
    ledger: Arc<Ledger>,
    tenant: TenantKey,
}

impl TenantErasures {
    /// The lines of one tenant.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, tenant: TenantKey) -> Self {
        Self { ledger, tenant }
    }

    /// Whose lines.
    #[must_use]
    pub fn tenant(&self) -> TenantKey {
        self.tenant
    }

    /// What an identifier stands as.
    #[must_use]
    pub fn mark(&self, of: Of, name: &str) -> Mark {
        self.ledger.keys.mark(self.tenant, of, name)
    }

    /// The id of a request that is made now.
    #[must_use]
    pub fn request_id(&self, of: Of, name: &str, at_unix_ms: u64) -> String {
        self.ledger.keys.request_id(self.tenant, of, name, at_unix_ms)
    }

    /// Documents that were erased, by their marks, each with the time up to which it may not return. Blocking.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn erased_documents(&self) -> Result<HashMap<String, u64>, LedgerError> {
        let tenant = self.tenant.to_hex();
        let mut erased = HashMap::new();
        for line in self.ledger.lines()?.into_iter().filter(|line| line.tenant == tenant) {
            if let Event::Erased { of: Of::Document, mark, stored_by_unix_ms, .. } = line.event {
                let until = erased.entry(mark).or_insert(0);
                *until = stored_by_unix_ms.max(*until);
            }
        }
        Ok(erased)
    }

    /// Adds lines; durable when this returns. Blocking.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn note(&self, events: Vec<Event>, at_unix_ms: u64) -> Result<(), LedgerError> {
        self.ledger.note(self.tenant, events, at_unix_ms)
    }
}
