//! What whoever imports lineage sends, and is told.
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Right `Govern`: one step of an import of lineage.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ImportLineage {
    /// What is to be done.
    pub step: ImportStep,
    /// By whose key.
    pub by: String,
    /// Where the answer goes, once it is durable; `not_found`, `conflict`, `invalid_request`.
    pub reply: ReplySlot<ImportView>,
}

/// One step of an import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ImportStep {
    /// Takes the next lines of a file; those that are here already are left alone.
    Take(Portion),
    /// Takes the whole file back.
    Withdraw {
        /// SHA-256 of the file, in hexadecimal.
        file_sha256: String,
    },
    /// Keeps it for good.
    Keep {
        /// SHA-256 of the file, in hexadecimal.
        file_sha256: String,
    },
}

/// Lines of a file of lineage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Portion {
    /// SHA-256 of the file, in hexadecimal.
    pub file_sha256: String,
    /// What it is called.
    pub file: String,
    /// The number of the last line before these.
    pub after: u64,
    /// The lines, one after the other, as they stand in the file.
    pub lines: Vec<String>,
}

/// How an import stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// Lines may come, and all of them may be taken back.
    Open,
    /// It was taken back; lines may come anew, from the first.
    Withdrawn,
    /// It stays.
    Kept,
}

/// An import of a file of lineage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ImportView {
    /// SHA-256 of the file, in hexadecimal.
    pub file_sha256: String,
    /// What it was called.
    pub file: String,
    /// How it stands.
    pub state: ImportState,
    /// The number of the last line that was looked at: the next portion goes on behind it.
    pub to: u64,
    /// Lines that are kept.
    pub lines: u64,
    /// Lines of this portion that could not be read, and are not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedLine>,
}

/// A line that is not kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RefusedLine {
    /// Its number in its file, from 1.
    pub line: u64,
    /// Why, and what to do.
    pub problem: String,
}

/// Where a line of lineage comes from that this journal does not prove.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// What its file was called.
    pub file: String,
    /// SHA-256 of that file, in hexadecimal.
    pub file_sha256: String,
    /// Its number there, from 1.
    pub line: u64,
    /// SHA-256 of the line's text, in hexadecimal.
    pub line_sha256: String,
}
