//! What stands in the journal of imported lineage.
use serde::{Deserialize, Serialize};

/// One step of an import. A file is named by its SHA-256.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum LineageImport {
    /// The next lines of a file.
    Lines(ImportedLines),
    /// The import was taken back: what stands of the file before this record is shown no more.
    Withdrawn {
        /// Which file.
        file_sha256: [u8; 32],
        /// By whose key.
        by: String,
        /// When.
        at_unix_ms: u64,
    },
    /// The import was confirmed: it is not taken back any more.
    Kept {
        /// Which file.
        file_sha256: [u8; 32],
        /// By whose key.
        by: String,
        /// When.
        at_unix_ms: u64,
    },
}

/// Lines of a file, in their order: all of them from one number to another, without those that could not be read.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ImportedLines {
    /// Which file.
    pub file_sha256: [u8; 32],
    /// What it was called.
    pub file: String,
    /// The number of the last line before these; 0 where they are the first.
    pub after: u64,
    /// The number of the last of these, read or not.
    pub to: u64,
    /// Those that could be read.
    pub lines: Vec<ImportedLine>,
    /// By whose key.
    pub by: String,
    /// When.
    pub at_unix_ms: u64,
}

/// One line of another system's lineage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ImportedLine {
    /// Its number in its file, from 1.
    pub number: u64,
    /// SHA-256 of its text, without the end of the line.
    pub sha256: [u8; 32],
    /// What it says.
    pub said: OldLine,
}

/// What a line says, in the specification's names (2.6); where it names no domain or use case, the default ones.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OldLine {
    /// The question, as the other system named it.
    pub query_id: String,
    /// The document, as the other system named it.
    pub source_id: String,
    /// The chunk, as the other system named it.
    pub chunk_id: String,
    /// Trust score of the document, as it was then.
    pub trust_score: f64,
    /// Who answered.
    pub agent_id: String,
    /// Policy it was answered under.
    pub policy_version: String,
    /// When, RFC 3339, as it was written.
    pub timestamp: String,
    /// Domain.
    pub domain: String,
    /// Use case.
    pub usecase: String,
}
