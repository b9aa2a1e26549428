//! What the journal keeps of a call under an `Idempotency-Key`, and what a repeat is told from it. Pure.
//!
//! Whatever was charged is kept, whatever came of it, for a repeat may not be charged again: a reply, a refusal after
//! money was used, a stream its asker ended. What ended without an answer and without a charge is not kept: the next
//! call runs anew.
use super::keyed::Keyed;
use crate::digest::MatterDigest;
use crate::entry::{Entry, ReplyKept};
use crate::question::{Answer, Completion, Reply};
use crate::supervisor::exit;
use bailiwick_kernel::limits::{REPEATED_PART_BYTES_MAX, REPEATED_REPLY_BYTES_MAX};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use serde::{Deserialize, Serialize};

/// An outcome as it stands in the journal, as JSON: an answer's optional fields are left out, which only a
/// self-describing form can read again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    Answer(Box<Answer>),
    Completion(Box<Completion>),
    Refused(Rejection),
}

/// A call as the exit ends it.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// What the asker is told, its receipt still empty.
    pub verdict: &'a Outcome<Reply>,
    /// What is charged.
    pub charged: NanoUsd,
    /// The asker hung up before the end.
    pub cut_short: bool,
    /// When it is cleared.
    pub now_unix_ms: u64,
}

/// The entries that keep a call's outcome, to stand right behind those of its answer in the same append; none where nothing
/// is kept. `query_id` names the answer, `answer_records` counts its records.
#[must_use]
pub fn entries(keyed: &Keyed, query_id: &str, ending: Ending<'_>, answer_records: usize) -> Vec<Entry> {
    let Some(ended) = ended(query_id, ending) else { return Vec::new() };
    let mut text = serde_json::to_string(&ended).unwrap_or_default();
    if text.len() > REPEATED_REPLY_BYTES_MAX {
        text = serde_json::to_string(&Ended::Refused(too_large(query_id))).unwrap_or_default();
    }
    let mut parts = exit::parts(text, REPEATED_PART_BYTES_MAX).into_iter();
    let first = parts.next().unwrap_or_default();
    let continued = parts.map(|text| Entry::ReplyContinued { query_id: query_id.to_owned(), text });
    let mut entries = vec![Entry::ReplyKept(Box::new(ReplyKept {
        query_id: query_id.to_owned(),
        key_id: keyed.key_id.clone(),
        idempotency_key: keyed.key.clone(),
        matter_sha256: keyed.matter.0,
        at_unix_ms: ending.now_unix_ms,
        parts: 0,
        answer_records: u32::try_from(answer_records).unwrap_or(u32::MAX),
        text: first,
    }))];
    entries.extend(continued);
    let parts = entries.len();
    if let Some(Entry::ReplyKept(kept)) = entries.first_mut() {
        kept.parts = u32::try_from(parts).unwrap_or(u32::MAX);
    }
    entries
}

/// What those who wait are told where it is not what the asker is told.
#[must_use]
pub fn told_instead(query_id: &str, ending: Ending<'_>) -> Option<Rejection> {
    match ended(query_id, ending) {
        None if ending.cut_short => Some(Rejection::lost()),
        Some(Ended::Refused(rejection)) if ending.cut_short => Some(rejection),
        _ => None,
    }
}

fn ended(query_id: &str, ending: Ending<'_>) -> Option<Ended> {
    let is_charged = ending.charged > NanoUsd::ZERO;
    match ending.verdict {
        Ok(_) if ending.cut_short => is_charged.then(|| Ended::Refused(cut_short(query_id))),
        Ok(Reply::Answer(answer)) => Some(Ended::Answer(answer.clone())),
        Ok(Reply::Completion(completion)) => Some(Ended::Completion(completion.clone())),
        Ok(Reply::Hits(_)) => None,
        Err(rejection) => is_charged.then(|| Ended::Refused(kept_refusal(rejection))),
    }
}

/// A refusal that cost money stays one under its key: waiting changes nothing about it.
fn kept_refusal(rejection: &Rejection) -> Rejection {
    let detail = format!(
        "{}; that is what this Idempotency-Key ended with, and it was charged: send another key to ask again",
        rejection.detail
    );
    Rejection::new(rejection.code, detail)
}

fn cut_short(query_id: &str) -> Rejection {
    let detail = format!(
        "repeating a call: its asker hung up before the answer's end; what had come was charged and stands in the lineage of {query_id}; send another Idempotency-Key to ask again"
    );
    Rejection::new(Code::Conflict, detail)
}

fn too_large(query_id: &str) -> Rejection {
    let detail = format!(
        "repeating a call: its reply has more than {REPEATED_REPLY_BYTES_MAX} bytes and is too large to repeat; it was given once, charged once, and stands in the lineage of {query_id}; send another Idempotency-Key to ask again"
    );
    Rejection::new(Code::Conflict, detail)
}

/// A kept outcome, read.
#[derive(Clone, PartialEq, Debug)]
pub struct Kept {
    /// What was asked.
    pub matter: MatterDigest,
    /// What it ended with, its receipt still empty.
    pub outcome: Outcome<Reply>,
}

/// Reads a kept outcome from its records. `None` where they are not what [`entries`] wrote.
#[must_use]
pub fn read(first: ReplyKept, continued: impl IntoIterator<Item = Entry>) -> Option<Kept> {
    let (mut text, mut parts) = (first.text, 1_u32);
    for entry in continued {
        match entry {
            Entry::ReplyContinued { query_id, text: more } if query_id == first.query_id => text.push_str(&more),
            _ => return None,
        }
        parts = parts.saturating_add(1);
    }
    if parts != first.parts {
        return None;
    }
    let outcome = match serde_json::from_str(&text).ok()? {
        Ended::Answer(answer) => Ok(Reply::Answer(answer)),
        Ended::Completion(completion) => Ok(Reply::Completion(completion)),
        Ended::Refused(rejection) => Err(rejection),
    };
    Some(Kept { matter: MatterDigest(first.matter_sha256), outcome })
}

/// The documents a reply quotes.
pub fn quoted(reply: &Reply) -> impl Iterator<Item = &str> {
    let citations = if let Reply::Answer(answer) = reply { answer.citations.as_slice() } else { &[] };
    citations.iter().map(|citation| citation.document_id.as_str())
}

/// The refusal of a repeat that would quote a document that is gone.
#[must_use]
pub fn quotes_removed() -> Rejection {
    Rejection::new(
        Code::Conflict,
        "repeating a call: its answer quotes a document that has been removed since; send another Idempotency-Key to ask again",
    )
}
