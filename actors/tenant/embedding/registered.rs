//! The models of a node: one file each in the data folder, written by `bailiwick model add`, that says where the model's files
//! are and what they were. Written aside, synced and renamed: after a crash it is there whole or not at all.
use super::model::{Card, LocalModel};
use super::service::Service;
use super::{Embedder, ModelError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Folder of the list, in the data folder.
const FOLDER: &str = "models";
const ENDING: &str = "json";
/// Letters of a name, at most.
const NAME_CHARS_MAX: usize = 100;
/// Models of a node, at most.
const MODELS_MAX: usize = 100;
/// Bytes of an entry, at most.
const ENTRY_BYTES_MAX: u64 = 64 << 10;

/// One model of this node. Its weights are read when it is first asked for, and shared by all who ask.
#[derive(Debug)]
pub struct Registered {
    name: String,
    entry: Entry,
    service: OnceLock<Result<Arc<Service>, ModelError>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    folder: PathBuf,
    card: Card,
}

impl Registered {
    /// Checks the model in a folder and puts it on the list, in the place of one of the same name.
    ///
    /// # Errors
    /// Whatever is wrong with the model; [`ModelError::Register`].
    pub fn add(data: &Path, name: &str, folder: &Path) -> Result<Self, ModelError> {
        check_name(name)?;
        let folder = folder.canonicalize().map_err(|error| {
            ModelError::file(folder.display().to_string(), format!("{error}; name the folder of a model"))
        })?;
        let model = LocalModel::try_out(&folder)?;
        let entry = Entry { folder, card: model.card().clone() };
        let known = names(data)?;
        if known.len() >= MODELS_MAX && !known.iter().any(|known| known == name) {
            return Err(ModelError::Register(format!("there are {MODELS_MAX} already; remove one that is not used")));
        }
        write(data, name, &entry).map_err(|error| ModelError::Register(format!("{error}; check the data folder")))?;
        Ok(Self { name: name.to_owned(), entry, service: OnceLock::new() })
    }

    /// A model of the list. Nothing of it is read yet.
    ///
    /// # Errors
    /// [`ModelError::Unknown`], [`ModelError::Register`].
    pub fn find(data: &Path, name: &str) -> Result<Self, ModelError> {
        check_name(name)?;
        let file = file(data, name);
        let read = File::open(&file).and_then(|file| {
            let mut text = String::new();
            file.take(ENTRY_BYTES_MAX).read_to_string(&mut text).map(|_bytes| text)
        });
        let text = match read {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ModelError::Unknown(name.to_owned()));
            }
            Err(error) => return Err(ModelError::Register(format!("{}: {error}", file.display()))),
        };
        let entry = serde_json::from_str(&text).map_err(|error| {
            ModelError::Register(format!("{}: {error}; add the model again with `bailiwick model add`", file.display()))
        })?;
        Ok(Self { name: name.to_owned(), entry, service: OnceLock::new() })
    }

    /// All models of the list, by name.
    ///
    /// # Errors
    /// [`ModelError::Register`].
    pub fn all(data: &Path) -> Result<Vec<Self>, ModelError> {
        names(data)?.iter().map(|name| Self::find(data, name)).collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.entry.folder
    }

    /// What it was when it was added.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.entry.card
    }

    /// The model with its threads: read, held against its card, tried and started when this is called first.
    ///
    /// # Errors
    /// [`ModelError::Changed`] where a file is another one; what else is wrong with it.
    pub fn service(&self) -> Result<Arc<Service>, ModelError> {
        let open = || {
            let model = LocalModel::open(&self.name, &self.entry.folder, &self.entry.card)?;
            Service::start(Arc::new(model)).map(Arc::new)
        };
        self.service.get_or_init(open).clone()
    }
}

fn check_name(name: &str) -> Result<(), ModelError> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || name.starts_with('.') || !name.bytes().all(is_fit) {
        return Err(ModelError::Register(format!(
            "{name:?} is no name of a model: take letters, digits, hyphens, underscores and points, {NAME_CHARS_MAX} at most, \
             not beginning with a point"
        )));
    }
    Ok(())
}

fn file(data: &Path, name: &str) -> PathBuf {
    data.join(FOLDER).join(format!("{name}.{ENDING}"))
}

fn names(data: &Path) -> Result<Vec<String>, ModelError> {
    let failed = |error: std::io::Error| ModelError::Register(format!("{}: {error}", data.join(FOLDER).display()));
    let entries = match fs::read_dir(data.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(ENDING)?.strip_suffix('.'));
        names.extend(name.map(str::to_owned).filter(|name| check_name(name).is_ok()));
    }
    names.sort();
    Ok(names)
}

fn write(data: &Path, name: &str, entry: &Entry) -> std::io::Result<()> {
    let folder = data.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let aside = folder.join(format!("{name}.{ENDING}.new"));
    let mut new = File::create(&aside)?;
    new.write_all(&serde_json::to_vec_pretty(entry)?)?;
    new.sync_all()?;
    fs::rename(&aside, file(data, name))?;
    File::open(&folder)?.sync_all()?;
    File::open(data)?.sync_all()
}
