//! What the room decides: which documents it takes, under which id, what the guard says about them, what a question
//! wants. Pure.
use super::messages::{Content, NewDocument};
use crate::entry::DocumentAccepted;
use crate::question::{Matter, Passage};
use aws_lc_rs::digest;
use bailiwick_kernel::limits::{DOCUMENT_BYTES_MAX, DOCUMENTS_PER_REQUEST_MAX, TOP_K_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
pub use bailiwick_policy::digest::sha256_hex;
use bailiwick_policy::guard::{DocumentVerdict, Guard};
use bailiwick_policy::hosts::source_host;
use bailiwick_policy::language::Facts;
use bailiwick_policy::retention::{Erasable, Record, Rules};
use bailiwick_policy::sovereignty::Cleared;
use bailiwick_policy::visibility::{Document, Visible};
use serde::{Deserialize, Serialize};

/// Characters of a document's id.
pub const ID_CHARS_MAX: usize = 200;
/// Characters of a title; longer ones are cut.
pub const TITLE_CHARS_MAX: usize = 300;
/// Characters of a source.
pub const SOURCE_CHARS_MAX: usize = 2_048;
/// Characters of a domain, use case or region.
pub const NAME_CHARS_MAX: usize = 100;
/// Bytes of a document's free metadata as JSON.
pub const METADATA_BYTES_MAX: usize = 16 << 10;
/// Bytes of a detached signature.
pub const SIGNATURE_BYTES_MAX: usize = 8 << 10;
/// Documents in one portion of a list.
pub const LIST_MAX: usize = 1_000;
/// Where documents without a source come from.
const UPLOAD: &str = "upload.local";
const GENERAL: &str = "general";

/// What is known of a new document before it is parsed.
#[derive(Clone, PartialEq, Debug)]
pub struct Intake {
    /// Stable id.
    pub id: String,
    /// The caller's title.
    pub title: Option<String>,
    /// The file's name without its folders.
    pub file_name: Option<String>,
    /// Where it comes from.
    pub source: String,
    /// Domain.
    pub domain: String,
    /// Use case.
    pub usecase: String,
    /// Where it is kept.
    pub place: Cleared,
    /// Metadata as JSON; empty where there is none.
    pub metadata_json: String,
    /// Bytes as sent.
    pub bytes: u64,
}

impl Intake {
    /// What it is called where nothing has been read of it: its title, or its file's name.
    #[must_use]
    pub fn called(&self) -> String {
        self.title.clone().or_else(|| self.file_name.clone()).unwrap_or_default()
    }
}

/// What the guard said about a document, and which guard it was.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Fingerprint of the guard.
    pub guard: String,
    /// Trust score; 0 for a document that is kept out as a whole.
    pub trust_score: f64,
    /// Chunks that may be retrieved.
    pub admitted: u32,
    /// Why the others may not.
    pub reason: Option<String>,
}

/// A document as kept: its record, where that stands, and what the guard said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The record.
    pub accepted: DocumentAccepted,
    /// Its journal position.
    pub seq: u64,
    /// The guard's verdict.
    pub verdict: Verdict,
}

/// How far the shelf has come, and its sums.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Mark {
    /// The journal position up to which every entry was looked at.
    pub applied: u64,
    /// The journal position after the last entry about a document.
    pub changed: u64,
    /// Documents kept.
    pub documents: u64,
    /// Bytes of their originals.
    pub bytes: u64,
}

/// What becomes of an accepted document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The same is here already, under this journal position.
    Unchanged {
        /// Where its record stands.
        seq: u64,
    },
    /// It is new, or takes the place of a former version.
    Take,
}

/// What is searched for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Words, as the asker wrote them.
    pub text: String,
    /// Passages at most.
    pub top_k: usize,
    /// Only of this domain.
    pub domain: Option<String>,
    /// Only of this use case.
    pub usecase: Option<String>,
    /// Only what the asker may find.
    pub visible: Visible,
}

fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::new(Code::InvalidRequest, detail)
}

/// Refuses requests of more documents than one may carry, or of none.
///
/// # Errors
/// `invalid_request`, `too_large`.
pub fn request_size(documents: usize) -> Outcome<()> {
    if documents == 0 {
        return Err(invalid("taking documents: the request has none; send at least one"));
    }
    if documents > DOCUMENTS_PER_REQUEST_MAX {
        let detail = format!(
            "taking documents: {documents} in one request are more than {DOCUMENTS_PER_REQUEST_MAX}; send several requests"
        );
        return Err(Rejection::new(Code::TooLarge, detail));
    }
    Ok(())
}

/// Everything that can be said about a new document before it is parsed, where documents may be kept here. The region a
/// document names is where it is to be kept, and one node keeps everything in one region.
///
/// # Errors
/// `invalid_request`, `too_large`, `sovereignty_violation`.
pub fn intake(document: &NewDocument, here: &Cleared) -> Outcome<Intake> {
    let (bytes, file_name) = match &document.content {
        Content::Text(text) => (text.len(), None),
        Content::File { name, bytes } => (bytes.len(), Some(file_name(name)?)),
    };
    if bytes > DOCUMENT_BYTES_MAX {
        let detail = format!("taking a document: {bytes} bytes are more than {DOCUMENT_BYTES_MAX}; split it");
        return Err(Rejection::new(Code::TooLarge, detail));
    }
    let title = document.title.as_deref().map(str::trim).filter(|title| !title.is_empty()).map(cut_title);
    let source = optional("source", document.source.as_deref(), SOURCE_CHARS_MAX)?;
    let id = match optional("id", document.id.as_deref(), ID_CHARS_MAX)? {
        Some(id) => id,
        None => derived_id(document, source.as_deref(), file_name.as_deref()),
    };
    if let Some(region) = optional("region", document.region.as_deref(), NAME_CHARS_MAX)?
        && region != here.region().as_str()
    {
        let detail = format!(
            "taking a document: it is to be kept in region {region}, and this node keeps documents in {}; send it to a node \
             there, or leave `region` out",
            here.region()
        );
        return Err(Rejection::new(Code::SovereigntyViolation, detail));
    }
    if document.signature.as_ref().is_some_and(|signature| signature.len() > SIGNATURE_BYTES_MAX) {
        return Err(invalid(format!("taking a document: its signature is longer than {SIGNATURE_BYTES_MAX} bytes")));
    }
    Ok(Intake {
        source: source.unwrap_or_else(|| format!("{UPLOAD}/{}", file_name.as_deref().unwrap_or(&id))),
        domain: optional("domain", document.domain.as_deref(), NAME_CHARS_MAX)?.unwrap_or_else(|| GENERAL.into()),
        usecase: optional("usecase", document.usecase.as_deref(), NAME_CHARS_MAX)?.unwrap_or_else(|| GENERAL.into()),
        metadata_json: metadata(document.metadata.as_ref())?,
        bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        id,
        title,
        file_name,
        place: here.clone(),
    })
}

/// Whether a kept document may be found by somebody.
#[must_use]
pub fn may_be_found(visible: &Visible, accepted: &DocumentAccepted) -> bool {
    visible.admits(&Document { id: &accepted.id, domain: &accepted.domain, usecase: &accepted.usecase })
}

/// What the policy's rules may ask of a document that comes in, beside what they may ask of whoever brings it.
#[must_use]
pub fn document_facts(asker: Facts, intake: &Intake, guard: &Guard) -> Facts {
    let trust_percent = match guard.judge_document(&intake.source, false) {
        DocumentVerdict::Admitted { trust_score } => percent(trust_score),
        DocumentVerdict::Quarantined { .. } => 0,
    };
    let host = source_host(&intake.source).map(|host| host.as_str().to_owned()).unwrap_or_default();
    asker
        .text("request.domain", intake.domain.as_str())
        .text("request.usecase", intake.usecase.as_str())
        .text("document.source_host", host)
        .number("document.trust_percent", trust_percent)
        .number("document.bytes", intake.bytes)
        .text("document.region", intake.place.region().as_str())
}

/// Whole percent of a share, rounded down: what is nearly trusted is not.
fn percent(share: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a share is from 0 to 1")]
    let percent = (share.clamp(0.0, 1.0) * 100.0 + 1e-9).floor() as i64;
    percent
}

fn optional(what: &str, value: Option<&str>, chars_max: usize) -> Outcome<Option<String>> {
    let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else { return Ok(None) };
    if value.chars().any(char::is_control) {
        return Err(invalid(format!("taking a document: its {what} contains control characters; remove them")));
    }
    if value.chars().count() > chars_max {
        return Err(invalid(format!(
            "taking a document: its {what} is longer than {chars_max} characters; shorten it"
        )));
    }
    Ok(Some(value.to_owned()))
}

fn file_name(path: &str) -> Outcome<String> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    match optional("file name", Some(name), ID_CHARS_MAX)? {
        Some(name) if name != "." && name != ".." => Ok(name),
        _ => Err(invalid("taking a document: the file has no name; send one with its ending, such as report.pdf")),
    }
}

fn metadata(metadata: Option<&serde_json::Value>) -> Outcome<String> {
    match metadata {
        None | Some(serde_json::Value::Null) => Ok(String::new()),
        Some(object @ serde_json::Value::Object(_)) => {
            let json = object.to_string();
            if json.len() > METADATA_BYTES_MAX {
                return Err(invalid(format!(
                    "taking a document: its metadata is longer than {METADATA_BYTES_MAX} bytes of JSON"
                )));
            }
            Ok(json)
        }
        Some(_) => Err(invalid("taking a document: its metadata is not a JSON object")),
    }
}

/// A title, cut to its limit, on one line.
#[must_use]
pub fn cut_title(title: &str) -> String {
    title.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(TITLE_CHARS_MAX).collect()
}

/// The same file has the same id: from source and file name (or title); from the content where it has neither.
fn derived_id(document: &NewDocument, source: Option<&str>, file_name: Option<&str>) -> String {
    let name = file_name.or(document.title.as_deref()).unwrap_or_default().trim();
    let source = source.unwrap_or_default();
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(source.as_bytes());
    context.update(&[0]);
    context.update(name.as_bytes());
    if source.is_empty() && name.is_empty() {
        match &document.content {
            Content::Text(text) => context.update(text.as_bytes()),
            Content::File { bytes, .. } => context.update(bytes),
        }
    }
    let hash = hex::encode(context.finish());
    format!("doc-{}", hash.get(..16).unwrap_or(&hash))
}

/// The name of a document's body. It contains the content's hash, so that a new version never overwrites the body
/// an older record still points to.
#[must_use]
pub fn body_name(id: &str, text_sha256: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(id.as_bytes());
    context.update(&[0]);
    context.update(text_sha256.as_bytes());
    hex::encode(context.finish())
}

/// Whether a document is what is kept already.
#[must_use]
pub fn decide(former: Option<(&DocumentAccepted, u64)>, new: &DocumentAccepted) -> Decision {
    match former {
        Some((former, seq)) if is_same(former, new) => Decision::Unchanged { seq },
        _ => Decision::Take,
    }
}

fn is_same(one: &DocumentAccepted, other: &DocumentAccepted) -> bool {
    let facts = |of: &DocumentAccepted| {
        [&of.id, &of.title, &of.source, &of.domain, &of.usecase, &of.region, &of.text_sha256, &of.metadata_json]
            .map(Clone::clone)
    };
    facts(one) == facts(other) && one.signature == other.signature
}

/// What the rules of retention call the objects of this room.
pub(super) const DATA: &str = "data";
/// The key of a document's metadata that says which user, or which users, it is about.
const SUBJECT: &str = "subject";

/// The users a document is about: the text, or the texts, its metadata has under `subject`.
pub fn subjects(accepted: &DocumentAccepted) -> Vec<String> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    // most documents are about nobody: they are not read as JSON
    if !accepted.metadata_json.contains(SUBJECT) {
        return Vec::new();
    }
    let metadata: serde_json::Value = serde_json::from_str(&accepted.metadata_json).unwrap_or_default();
    match metadata.get(SUBJECT) {
        Some(serde_json::Value::Array(several)) => several.iter().filter_map(text).collect(),
        one => one.and_then(text).into_iter().collect(),
    }
}

/// Asks something about a document as rules of retention see it.
fn retained<T>(accepted: &DocumentAccepted, ask: impl FnOnce(&Record<'_>) -> T) -> T {
    ask(&Record {
        id: &accepted.id,
        data_type: DATA,
        domain: &accepted.domain,
        subjects: &subjects(accepted),
        stored_unix_ms: accepted.at_unix_ms,
    })
}

/// Leave to remove a document now.
///
/// # Errors
/// `retention_violation`.
pub fn may_remove(accepted: &DocumentAccepted, rules: &Rules, now_unix_ms: u64) -> Outcome<Erasable> {
    let verdict = retained(accepted, |record| rules.verdict(record, now_unix_ms));
    verdict.map_err(|unknown| unknown.to_string()).and_then(|verdict| verdict.leave()).map_err(|reason| {
        Rejection::new(Code::RetentionViolation, format!("removing document {}: {reason}", accepted.id))
    })
}

/// What keeps a document that is asked to be erased, in words, and when that changes.
#[must_use]
pub fn kept(accepted: &DocumentAccepted, rules: &Rules, now_unix_ms: u64) -> (String, Option<u64>) {
    match retained(accepted, |record| rules.verdict(record, now_unix_ms)) {
        Ok(verdict) => {
            let reason = verdict.leave().err().unwrap_or_else(|| "it is being erased".to_owned());
            (reason, verdict.next_unix_ms())
        }
        Err(unknown) => (unknown.to_string(), None),
    }
}

/// Leave to take a document out where it has to go and nothing keeps it.
#[must_use]
pub fn is_due(accepted: &DocumentAccepted, rules: &Rules, now_unix_ms: u64) -> Option<Erasable> {
    retained(accepted, |record| rules.verdict(record, now_unix_ms)).ok()?.due()
}

/// When a document will have to go with nothing to keep it, from now on; `None` where that is not known.
#[must_use]
pub fn due_unix_ms(accepted: &DocumentAccepted, rules: &Rules, now_unix_ms: u64) -> Option<u64> {
    retained(accepted, |record| rules.due_unix_ms(record, now_unix_ms)).ok()?
}

/// Whether a newer version may take the place of a document, whose text is then gone.
///
/// # Errors
/// `retention_violation` where a legal hold keeps it as it is.
pub fn may_replace(accepted: &DocumentAccepted, rules: &Rules, now_unix_ms: u64) -> Outcome<()> {
    retained(accepted, |record| match rules.hold_on(record, now_unix_ms) {
        None => Ok(()),
        Some(hold) => {
            let detail = format!(
                "replacing document {}: it is kept as it is by {} until that is released; send the new one under another id",
                accepted.id, hold.ground
            );
            Err(Rejection::new(Code::RetentionViolation, detail))
        }
    })
}

/// A passage as a guard judges it; nothing where it would not let it be retrieved.
#[must_use]
pub fn judged_by(guard: &Guard, passage: Passage) -> Option<Passage> {
    match guard.judge_document(&passage.source, false) {
        DocumentVerdict::Admitted { trust_score } if guard.judge_text(&passage.text).is_none() => {
            Some(Passage { trust_score, ..passage })
        }
        _ => None,
    }
}

/// Which chunks of a document may be retrieved, in order, and the verdict on the whole.
#[must_use]
pub fn judge<'a>(guard: &Guard, source: &str, chunks: impl Iterator<Item = &'a str>) -> (Verdict, Vec<bool>) {
    let guard_name = guard.fingerprint.clone();
    // Nothing in this build verifies a detached signature, so none counts: where the policy requires one, every
    // document stays out.
    let trust_score = match guard.judge_document(source, false) {
        DocumentVerdict::Admitted { trust_score } => trust_score,
        DocumentVerdict::Quarantined { reason } => {
            let verdict = Verdict { guard: guard_name, trust_score: 0.0, admitted: 0, reason: Some(reason) };
            return (verdict, chunks.map(|_chunk| false).collect());
        }
    };
    let mut pattern = None;
    let admitted: Vec<bool> = chunks
        .map(|text| {
            let forbidden = guard.judge_text(text);
            pattern = pattern.or(forbidden);
            forbidden.is_none()
        })
        .collect();
    let count = admitted.iter().filter(|admitted| **admitted).count();
    let withheld = admitted.len().saturating_sub(count);
    let reason =
        pattern.map(|pattern| format!("{withheld} of {} chunks match forbidden pattern {pattern}", admitted.len()));
    (Verdict { guard: guard_name, trust_score, admitted: u32::try_from(count).unwrap_or(u32::MAX), reason }, admitted)
}

/// How far the index has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    /// Changes before this position are in what is served; nothing where nothing is.
    pub shown: Option<u64>,
    /// Changes before this position were served once.
    pub reached: u64,
    /// Changes before this position were given to the index.
    pub given: u64,
}

/// Whether the next search finds what was taken in at a position. Where nothing is served, it wakes the index, which then has
/// everything; but not while changes are on their way, because the first of them may be served before the last.
#[must_use]
pub fn may_be_found_at(seq: u64, Reached { shown, reached, given }: Reached) -> bool {
    shown.map_or(seq < reached || given <= reached, |shown| seq < shown)
}

/// What a turn wants from the index; `None` where it wants no passages.
#[must_use]
pub fn wanted(matter: &Matter, policy: &PolicySnapshot, visible: Visible) -> Option<Wanted> {
    let (text, top_k, domain, usecase) = match matter {
        Matter::Ask(ask) => (&ask.text, ask.top_k, &ask.domain, &ask.usecase),
        Matter::Search(search) => (&search.query, search.top_k, &search.domain, &search.usecase),
        Matter::Chat(_) | Matter::Embed(_) | Matter::Rank(_) => return None,
    };
    let top_k = top_k.unwrap_or(policy.top_k).min(TOP_K_MAX);
    Some(Wanted { text: text.clone(), top_k, domain: domain.clone(), usecase: usecase.clone(), visible })
}
