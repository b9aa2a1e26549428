//! Files to types, with errors that help: file, line, column, and the nearest known key.
use std::collections::BTreeMap;

/// One thing wrong with one file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct FileError {
    /// The file, relative to the tenant's folder.
    pub file: String,
    /// 1-based line.
    pub line: u64,
    /// 1-based column.
    pub column: u64,
    /// Lower case: what is wrong and what to do.
    pub problem: String,
}

/// The files of one tenant as text: relative path to content. Read by a shell, parsed here.
pub type FileTexts = BTreeMap<String, String>;
