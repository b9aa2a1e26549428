//! The old system's folder: what of it is carried, and what is not.
use crate::cli::ingest::ENDINGS;
use anyhow::{Context, bail};
use bailiwick_kernel::limits::{TENANT_FILE_BYTES_MAX, TENANT_FILES_MAX};
use bailiwick_policy::parse::FileTexts;
use std::path::{Path, PathBuf};

const POLICIES: &str = "policies";
const CORPUS: &str = "corpus";
const REPORTS: &str = "reports";
const LINEAGE: &str = "lineage.jsonl";

/// What stands in the folder of a single-tenant system.
#[derive(Debug)]
pub(super) struct Old {
    /// Where it is.
    pub(super) root: PathBuf,
    /// Policies, router, feature matrix, and what else looks like one.
    pub(super) files: FileTexts,
    /// Documents, by their path below the corpus.
    pub(super) corpus: Vec<(String, PathBuf)>,
    /// The file of lineage.
    pub(super) lineage: Option<PathBuf>,
    /// What is not carried, each in a line.
    pub(super) strangers: Vec<String>,
}

fn ending(path: &Path) -> String {
    path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase).unwrap_or_default()
}

impl Old {
    /// Looks through it; nothing of it is changed.
    pub(super) fn open(root: &Path) -> anyhow::Result<Self> {
        let root = root.canonicalize().with_context(|| format!("reading {}", root.display()))?;
        let (files, corpus) = (FileTexts::new(), Vec::new());
        let mut old = Self { root: root.clone(), files, corpus, lineage: None, strangers: Vec::new() };
        for entry in listed(&root)? {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match (name.as_str(), entry.is_dir()) {
                (POLICIES, true) => listed(&entry)?.iter().try_for_each(|path| old.law(path, true))?,
                (CORPUS, true) => old.documents(&entry)?,
                (REPORTS, true) => listed(&entry)?.into_iter().for_each(|path| old.report(path)),
                (_, true) => old.strange(&entry, "no part of a tenant"),
                (_, false) => old.law(&entry, false)?,
            }
        }
        if old.files.is_empty() && old.corpus.is_empty() && old.lineage.is_none() {
            bail!(
                "reading {}: there is nothing to migrate in it; name a folder with {POLICIES}/, {CORPUS}/, {REPORTS}/{LINEAGE} or a \
                 feature matrix",
                root.display()
            );
        }
        Ok(old)
    }

    fn strange(&mut self, path: &Path, why: &str) {
        let shown = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        self.strangers.push(format!("not carried: {shown}: {why}"));
    }

    fn law(&mut self, path: &Path, is_policy: bool) -> anyhow::Result<()> {
        let is_read = match ending(path).as_str() {
            "yaml" | "yml" => true,
            "json" => !is_policy,
            _ => false,
        };
        if !is_read || !path.is_file() {
            self.strange(path, "no part of a tenant");
            return Ok(());
        }
        let size = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
        if size > TENANT_FILE_BYTES_MAX || self.files.len() >= TENANT_FILES_MAX {
            bail!(
                "reading {}: a tenant has at most {TENANT_FILES_MAX} files of {TENANT_FILE_BYTES_MAX} bytes; take away what does \
                 not belong there",
                path.display()
            );
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned();
        self.files.insert(name, text);
        Ok(())
    }

    fn documents(&mut self, corpus: &Path) -> anyhow::Result<()> {
        for entry in walkdir::WalkDir::new(corpus).sort_by_file_name() {
            let entry = entry.with_context(|| format!("walking {}", corpus.display()))?;
            if entry.file_type().is_dir() {
                continue;
            }
            if !entry.file_type().is_file() || !ENDINGS.contains(&ending(entry.path()).as_str()) {
                self.strange(entry.path(), &format!("no document; known are {}", ENDINGS.join(", ")));
                continue;
            }
            let below = entry.path().strip_prefix(corpus).unwrap_or(entry.path()).to_string_lossy().into_owned();
            self.corpus.push((below, entry.into_path()));
        }
        Ok(())
    }

    fn report(&mut self, path: PathBuf) {
        if path.file_name().is_some_and(|name| name == LINEAGE) && path.is_file() {
            self.lineage = Some(path);
        } else {
            self.strange(&path, "reports are written anew");
        }
    }
}

fn listed(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("listing {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        paths.push(entry.with_context(context)?.path());
    }
    paths.sort();
    Ok(paths)
}
