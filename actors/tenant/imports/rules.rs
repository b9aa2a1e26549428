//! Which lines are taken, which are here already, and which imports are shown. Pure.
use super::messages::{ImportState, ImportStep, ImportView, Portion, RefusedLine};
use super::records::{ImportedLine, ImportedLines, LineageImport, OldLine};
use crate::entry::Entry;
use aws_lc_rs::digest::{SHA256, digest};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::limits::{IMPORTED_LINE_BYTES_MAX, IMPORTED_LINES_MAX, IMPORTS_MAX, NAME_CHARS_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Lines in one record.
const LINES_PER_RECORD: usize = 32;
/// Bytes of the lines of one record, as they came: what is kept of them is no larger.
const RECORD_TEXT_BYTES: usize = 32 << 10;
/// Domain and use case of what names none.
const GENERAL: &str = "general";
/// The fields of a line (specification 2.6).
const FIELDS: [&str; 10] = [
    "tenant_id",
    "domain",
    "usecase",
    "source_id",
    "query_id",
    "chunk_id",
    "trust_score",
    "agent_id",
    "policy_version",
    "timestamp",
];
/// The names of the fields of before there were tenants, domains and use cases.
const IDS: [(&str, &str); 2] = [("domain_id", "domain"), ("usecase_id", "usecase")];

/// What the journal says of imported files, by SHA-256 in hexadecimal.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Imports(BTreeMap<String, Import>);

/// What the journal says of one imported file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Import {
    /// What it was called.
    pub file: String,
    /// How it stands.
    pub state: ImportState,
    /// The number of the last line that was looked at.
    pub to: u64,
    /// Lines that are kept.
    pub lines: u64,
    /// Records of this file that stand before this one are shown no more.
    pub since: Position,
}

impl Imports {
    /// Folds a record in.
    pub fn apply(&mut self, position: Position, import: &LineageImport) {
        match import {
            LineageImport::Lines(lines) => {
                let new = || Import {
                    file: lines.file.clone(),
                    state: ImportState::Open,
                    to: 0,
                    lines: 0,
                    since: Position(0),
                };
                let import = self.0.entry(hex::encode(lines.file_sha256)).or_insert_with(new);
                import.state = ImportState::Open;
                import.to = lines.to;
                import.lines = import.lines.saturating_add(u64::try_from(lines.lines.len()).unwrap_or(u64::MAX));
            }
            LineageImport::Withdrawn { file_sha256, .. } => {
                if let Some(import) = self.0.get_mut(&hex::encode(file_sha256)) {
                    (import.state, import.to, import.lines) = (ImportState::Withdrawn, 0, 0);
                    import.since = position;
                }
            }
            LineageImport::Kept { file_sha256, .. } => {
                if let Some(import) = self.0.get_mut(&hex::encode(file_sha256)) {
                    import.state = ImportState::Kept;
                }
            }
        }
    }

    /// True where the lines of a record are shown: their import was not taken back after it.
    #[must_use]
    pub fn shows(&self, position: Position, lines: &ImportedLines) -> bool {
        self.shows_of(position, &lines.file_sha256)
    }

    /// The same, of a record of this file.
    #[must_use]
    pub fn shows_of(&self, position: Position, file_sha256: &[u8; 32]) -> bool {
        self.0.get(&hex::encode(file_sha256)).is_some_and(|import| position >= import.since)
    }

    fn find(&self, file_sha256: &str) -> Outcome<&Import> {
        self.0.get(file_sha256).ok_or_else(|| {
            Rejection::new(
                Code::NotFound,
                "no lineage of that file_sha256 was imported; take it from the import's answer",
            )
        })
    }
}

/// What a step comes to: the entries to be appended, and how the import stands once they are durable.
#[derive(Clone, PartialEq, Debug)]
pub struct Decided {
    /// To be appended as one unit; nothing where nothing changes.
    pub entries: Vec<Entry>,
    /// What is told then.
    pub view: ImportView,
}

/// Decides on a step of an import.
///
/// # Errors
/// `invalid_request`, `not_found`; `conflict` where lines are missing before these, or the import is kept for good.
pub fn decide(imports: &Imports, tenant: &str, step: ImportStep, by: &str, at_unix_ms: u64) -> Outcome<Decided> {
    let (file_sha256, steps, refused): (String, Vec<LineageImport>, Vec<RefusedLine>) = match step {
        ImportStep::Take(portion) => {
            let file_sha256 = portion.file_sha256.clone();
            let (lines, refused) = take(imports, tenant, portion, by, at_unix_ms)?;
            (file_sha256, lines.into_iter().map(LineageImport::Lines).collect(), refused)
        }
        ImportStep::Withdraw { file_sha256 } => {
            let state = imports.find(&file_sha256)?.state;
            let digest = digest_of(&file_sha256)?;
            let withdrawn = LineageImport::Withdrawn { file_sha256: digest, by: by.to_owned(), at_unix_ms };
            let steps = match state {
                ImportState::Open => vec![withdrawn],
                ImportState::Withdrawn => Vec::new(),
                ImportState::Kept => return Err(kept_for_good("taking an import back")),
            };
            (file_sha256, steps, Vec::new())
        }
        ImportStep::Keep { file_sha256 } => {
            let state = imports.find(&file_sha256)?.state;
            let digest = digest_of(&file_sha256)?;
            let kept = LineageImport::Kept { file_sha256: digest, by: by.to_owned(), at_unix_ms };
            let steps = match state {
                ImportState::Open => vec![kept],
                ImportState::Kept => Vec::new(),
                ImportState::Withdrawn => {
                    let detail = "keeping an import: it was taken back; import the file again first";
                    return Err(Rejection::new(Code::Conflict, detail));
                }
            };
            (file_sha256, steps, Vec::new())
        }
    };
    let mut after = imports.clone();
    steps.iter().for_each(|step| after.apply(Position(u64::MAX), step));
    let Import { file, state, to, lines, .. } = after.find(&file_sha256)?.clone();
    let entries = steps.into_iter().map(|step| Entry::LineageImported(Box::new(step))).collect();
    Ok(Decided { entries, view: ImportView { file_sha256, file, state, to, lines, refused } })
}

fn kept_for_good(doing: &str) -> Rejection {
    Rejection::new(Code::Conflict, format!("{doing}: it was confirmed, and stays as it is"))
}

fn invalid(problem: impl std::fmt::Display) -> Rejection {
    Rejection::new(Code::InvalidRequest, format!("importing lineage: {problem}"))
}

/// The digest a text in lower-case hexadecimal is.
fn digest_of(text: &str) -> Outcome<[u8; 32]> {
    let mut bytes = [0; 32];
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) if is_lower => Ok(bytes),
        _ => Err(invalid("file_sha256 is no SHA-256 in lower-case hexadecimal; send its 64 digits")),
    }
}

/// The lines of a portion that are not here yet, in records, and those that cannot be read.
fn take(
    imports: &Imports,
    tenant: &str,
    portion: Portion,
    by: &str,
    at_unix_ms: u64,
) -> Outcome<(Vec<ImportedLines>, Vec<RefusedLine>)> {
    let Portion { file_sha256, file, after, lines } = portion;
    let digest = digest_of(&file_sha256)?;
    if lines.is_empty() || lines.len() > IMPORTED_LINES_MAX {
        return Err(invalid(format!("{} lines came; send 1 to {IMPORTED_LINES_MAX} at a time", lines.len())));
    }
    if file.is_empty() || file.chars().count() > NAME_CHARS_MAX || file.chars().any(char::is_control) {
        return Err(invalid(format!("the file's name is no text of 1 to {NAME_CHARS_MAX} characters; send its name")));
    }
    let former = imports.0.get(&file_sha256);
    if former.is_none() && imports.0.len() >= IMPORTS_MAX {
        return Err(invalid(format!("{IMPORTS_MAX} files were imported, and no more are; join what is left into one")));
    }
    let here = former.map_or(0, |import| import.to);
    if after > here {
        let detail = format!(
            "importing lineage: lines up to {here} are here, and these follow line {after}; send those between first"
        );
        return Err(Rejection::new(Code::Conflict, detail));
    }
    let missing: Vec<(u64, String)> =
        (after.saturating_add(1)..).zip(lines).filter(|(number, _)| *number > here).collect();
    if !missing.is_empty() && former.is_some_and(|import| import.state == ImportState::Kept) {
        return Err(kept_for_good("importing lineage"));
    }
    let (mut records, mut refused) = (Vec::<ImportedLines>::new(), Vec::new());
    let (mut bytes, mut reached) = (0_usize, here);
    for (number, text) in missing {
        let is_full = |record: &ImportedLines| {
            record.lines.len() >= LINES_PER_RECORD || bytes.saturating_add(text.len()) > RECORD_TEXT_BYTES
        };
        if records.last().is_none_or(is_full) {
            let file = file.clone();
            let (lines, by) = (Vec::new(), by.to_owned());
            records.push(ImportedLines {
                file_sha256: digest,
                file,
                after: reached,
                to: reached,
                lines,
                by,
                at_unix_ms,
            });
            bytes = 0;
        }
        bytes = bytes.saturating_add(text.len());
        reached = number;
        let Some(record) = records.last_mut() else { continue };
        record.to = number;
        if text.trim().is_empty() {
            continue;
        }
        match read(tenant, &text) {
            Ok(Read { said, .. }) => record.lines.push(ImportedLine { number, sha256: sha256(text.as_bytes()), said }),
            Err(problem) => refused.push(RefusedLine { line: number, problem }),
        }
    }
    Ok((records, refused))
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

/// A line that could be read.
#[derive(Clone, PartialEq, Debug)]
pub struct Read {
    /// What it says.
    pub said: OldLine,
    /// Fields it has that lineage has no place for; their words are left behind.
    pub left_behind: Vec<String>,
}

/// Reads a line of another system's lineage as the tenant's of this name.
///
/// # Errors
/// What is wrong with it, in words that say what to do.
pub fn read(tenant: &str, text: &str) -> Result<Read, String> {
    if text.len() > IMPORTED_LINE_BYTES_MAX {
        return Err(format!("{} bytes are more than {IMPORTED_LINE_BYTES_MAX}; shorten the line", text.len()));
    }
    let fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON object ({error}); mend the line"))?;
    let optional = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= NAME_CHARS_MAX => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(format!("{name} is longer than {NAME_CHARS_MAX} bytes; shorten it")),
        Some(_) => Err(format!("{name} is no text; write it as one")),
    };
    let required = |name: &str| optional(name)?.ok_or_else(|| format!("it has no {name}; add it"));
    if let Some(other) = optional("tenant_id")?.filter(|named| named != tenant) {
        return Err(format!("it is {other:?}'s, not {tenant}'s; import it there"));
    }
    let general = |name: &str, old: &str| {
        let named = optional(name)?.or(optional(old)?).filter(|named| !named.is_empty());
        Ok::<_, String>(named.unwrap_or_else(|| GENERAL.to_owned()))
    };
    let trust_score = fields.get("trust_score").and_then(Value::as_f64).filter(|score| (0.0..=1.0).contains(score));
    let timestamp = required("timestamp")?;
    if timestamp.parse::<jiff::Timestamp>().is_err() {
        return Err("timestamp is no time; write one such as 2025-10-08T12:00:00Z".to_owned());
    }
    let query_id = required("query_id")?;
    if query_id.is_empty() {
        return Err("query_id is empty; say which question it was".to_owned());
    }
    let said = OldLine {
        query_id,
        source_id: optional("source_id")?.unwrap_or_default(),
        chunk_id: optional("chunk_id")?.unwrap_or_default(),
        trust_score: trust_score.ok_or("trust_score is no number from 0 to 1; write one")?,
        agent_id: optional("agent_id")?.unwrap_or_default(),
        policy_version: optional("policy_version")?.unwrap_or_default(),
        timestamp,
        domain: general("domain", "domain_id")?,
        usecase: general("usecase", "usecase_id")?,
    };
    let is_known = |name: &str| FIELDS.contains(&name) || IDS.iter().any(|(old, _)| *old == name);
    let left_behind = fields.keys().filter(|name| !is_known(name)).cloned().collect();
    Ok(Read { said, left_behind })
}
