//! The targets a node has backed up to, so that a destruction reaches them: `DATA/backups.json`.
use super::errors::{BackupError, altered, io};
use super::pieces::sync_parent;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "backups.json";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Written {
    /// Target folder and the newest point made there.
    targets: BTreeMap<PathBuf, u64>,
}

/// The list, in its file. Blocks.
#[derive(Clone, Debug)]
pub(super) struct KnownTargets {
    file: PathBuf,
}

impl KnownTargets {
    pub(super) fn of(data: &Path) -> Self {
        Self { file: data.join(FILE) }
    }

    /// Folder and newest point of every target.
    pub(super) fn list(&self) -> Result<BTreeMap<PathBuf, u64>, BackupError> {
        match fs::read(&self.file) {
            Ok(bytes) => {
                let read: Result<Written, _> = serde_json::from_slice(&bytes);
                read.map(|written| written.targets).map_err(|error| altered(FILE, error.to_string()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(io("reading", &self.file)(error)),
        }
    }

    /// Notes that a point is being made in a target; before its first byte, so that no copy is unknown.
    pub(super) fn note(&self, target: &Path, point: u64) -> Result<(), BackupError> {
        let mut targets = self.list()?;
        targets.insert(target.to_path_buf(), point);
        let bytes =
            serde_json::to_vec_pretty(&Written { targets }).map_err(|error| altered(FILE, error.to_string()))?;
        let aside = self.file.with_extension("json.new");
        let mut file = File::create(&aside).map_err(io("writing", &aside))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io("writing", &aside))?;
        fs::rename(&aside, &self.file).map_err(io("naming", &self.file))?;
        sync_parent(&self.file)
    }
}
