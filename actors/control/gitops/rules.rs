//! Which changed path matters, to which tenant's folder, and what a burst of changes adds up to.
use super::messages::{FirstReading, FolderSeen, Found, Scope};
use bailiwick_kernel::limits::FOLDER_EVENTS_MAX;
use std::collections::BTreeSet;
use std::path::{Component, Path};

/// Sub-folders whose files decide something. Anything else below a tenant's folder (`corpus/`, `eval/`) does not.
const DECIDING_FOLDERS: [&str; 1] = ["policies"];

/// The folder a change below the tenants folder belongs to; `None` where it decides nothing.
#[must_use]
pub fn folder_of(root: &Path, changed: &Path) -> Option<String> {
    let mut parts = changed.strip_prefix(root).ok()?.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let folder = parts.next().filter(|name| is_folder_name(name))?;
    let decides = match (parts.next(), parts.next()) {
        (None, _) => true,
        (Some(file), None) => DECIDING_FOLDERS.contains(&file) || is_file_name(file),
        (Some(inner), Some(file)) => DECIDING_FOLDERS.contains(&inner) && is_file_name(file),
    };
    decides.then(|| folder.to_owned())
}

/// True where an entry of the tenants folder may be a tenant's: hidden and half-written ones are not.
#[must_use]
pub fn is_folder_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.')
}

/// True where a file of a tenant's folder is read as text.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    !name.starts_with('.') && (matches!(ending, Some("yaml" | "yml" | "sig")) || name == "allowed_signers")
}

/// True where a file of a tenant's folder is read as text, named by its place relative to the folder.
#[must_use]
pub fn is_place(relative: &str) -> bool {
    let (folder, name) = relative.rsplit_once('/').map_or((None, relative), |(folder, name)| (Some(folder), name));
    let is_plain = name.chars().all(|char| !char.is_control() && char != '\\');
    is_plain && is_file_name(name) && folder.is_none_or(|folder| DECIDING_FOLDERS.contains(&folder))
}

/// Adds a change to a burst. A burst of more folders than are remembered means all of them.
#[must_use]
pub fn add(burst: Option<Scope>, change: Scope) -> Scope {
    match (burst, change) {
        (None, change) => change,
        (Some(Scope::All), _) | (_, Scope::All) => Scope::All,
        (Some(Scope::Some(mut folders)), Scope::Some(more)) => {
            folders.extend(more);
            if folders.len() > FOLDER_EVENTS_MAX { Scope::All } else { Scope::Some(folders) }
        }
    }
}

/// The folders to read for a scope: those that are there and those that were known.
#[must_use]
pub fn to_read(scope: Scope, present: BTreeSet<String>, known: &BTreeSet<String>) -> BTreeSet<String> {
    match scope {
        Scope::Some(folders) => folders,
        Scope::All => present.union(known).cloned().collect(),
    }
}

/// Adds what was seen to the counts, but for outdated readings: they are read again.
#[must_use]
pub fn count(mut counts: FirstReading, seen: &[FolderSeen], outdated: &[String]) -> FirstReading {
    for folder in seen.iter().filter(|folder| !outdated.contains(&folder.name)) {
        match folder.found {
            Found::Compiled(_) => counts.compiled = counts.compiled.saturating_add(1),
            Found::Broken(_) => counts.broken = counts.broken.saturating_add(1),
            Found::Gone => {}
        }
    }
    counts
}
