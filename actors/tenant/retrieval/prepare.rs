//! New documents to records, sealed bodies, pieces and verdicts, before anything is kept. Each document stands or falls
//! alone.
use super::chunk::{Piece, chunk};
use super::corpus::Corpus;
use super::messages::Content;
use super::parse::{ParseError, Parsed, Sandbox, detect};
use super::pools::{PATIENCE, in_slices};
use super::reserve::{Arrivals, Arrived};
use super::rules::{Intake, Verdict, body_name, cut_title, judge, sha256_hex};
use super::truth::{Truth, TruthError};
use crate::entry::{DocumentAccepted, Entry};
use bailiwick_kernel::fabric::AppendError;
use bailiwick_kernel::fair::Lane;
use bailiwick_kernel::journal::{JournalError, OfDocument};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::language::Facts;
use bailiwick_policy::sovereignty::Cleared;
use futures_util::{StreamExt, stream};
use std::sync::Arc;

/// Files of one portion read at the same time.
const PARALLEL: usize = 2;
/// Characters of a first line that serves as title.
const LINE_TITLE_CHARS_MAX: usize = 120;

/// A document ready to be kept.
#[derive(Clone, PartialEq, Debug)]
pub struct Prepared {
    /// What the entry to be appended says.
    pub accepted: DocumentAccepted,
    /// Its chunks.
    pub pieces: Vec<Piece>,
    /// What the guard says.
    pub verdict: Verdict,
    /// Which chunks may be retrieved.
    pub admitted: Vec<bool>,
}

impl Prepared {
    /// Judges again, under another guard.
    pub fn judge(&mut self, policy: &PolicySnapshot) {
        let chunks = self.pieces.iter().map(|piece| piece.text.as_str());
        (self.verdict, self.admitted) = judge(&policy.guard, &self.accepted.source, chunks);
    }
}

/// What is the same for all documents of a request.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// The policy in force.
    pub policy: Arc<PolicySnapshot>,
    /// Now.
    pub now_unix_ms: u64,
    /// By whose key.
    pub by: String,
    /// What the policy's rules may ask of whoever brings them.
    pub asker: Facts,
    /// Where they are kept.
    pub here: Cleared,
}

/// A document that was not taken, as far as it got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// The id it has or would have had; empty where that is what is wrong.
    pub id: String,
    /// The title it was given.
    pub title: String,
    /// Why.
    pub rejection: Rejection,
}

impl Failed {
    /// A document that got as far as being looked at.
    #[must_use]
    pub fn of(intake: &Intake, rejection: Rejection) -> Self {
        Self { id: intake.id.clone(), title: intake.called(), rejection }
    }
}

/// What becomes of a document.
pub type Outlook = Result<(Prepared, OfDocument), Failed>;

/// What becomes of each document of a portion, in its order.
pub type Preparation = Vec<Outlook>;

/// Parses, cuts, judges and seals the documents of one portion of a request.
///
/// # Errors
/// [`Rejection::lost`] where the work was dropped, `overloaded` where its turn did not come; what is wrong with one document stands in its place.
pub async fn prepare(
    sandbox: &Sandbox,
    corpus: &Corpus,
    arrivals: Arrivals,
    occasion: &Occasion,
    truth: &Arc<Truth>,
) -> Outcome<Preparation> {
    let read = arrivals.into_iter().map(|arrived| read(sandbox, corpus.readers(), arrived));
    let read: Vec<Result<Read, Failed>> = stream::iter(read).buffered(PARALLEL).collect().await;
    let (occasion, truth) = (occasion.clone(), Arc::clone(truth));
    let work = move |read: Result<Read, Failed>| finish(read?, &occasion, &truth);
    in_slices(corpus.computing(), corpus.parsers(), PATIENCE, read, work).await
}

struct Read {
    intake: Intake,
    content: Readable,
    signature: Option<String>,
}

enum Readable {
    /// Not looked at yet.
    Text(String),
    /// Parsed from a file.
    Parsed(Parsed),
}

async fn read(sandbox: &Sandbox, readers: &Lane, arrived: Result<Arrived, Failed>) -> Result<Read, Failed> {
    let Arrived { intake, document } = arrived?;
    let content = match document.content {
        Content::Text(text) => Readable::Text(text),
        Content::File { name, bytes } => {
            let parsed = match detect(&name, &bytes) {
                Ok(format) => {
                    let slot = readers.enter(PATIENCE).await.map_err(|rejection| Failed::of(&intake, rejection))?;
                    sandbox.parse(slot, format, bytes).await
                }
                Err(error) => Err(error),
            };
            Readable::Parsed(parsed.map_err(|error| unreadable(&intake, &error))?)
        }
    };
    Ok(Read { intake, content, signature: document.signature })
}

fn unreadable(intake: &Intake, error: &ParseError) -> Failed {
    let code = match error {
        ParseError::TooLarge { .. } => Code::TooLarge,
        ParseError::Unavailable { .. } => Code::Overloaded,
        _ => Code::InvalidRequest,
    };
    Failed::of(intake, Rejection::new(code, error.to_string()))
}

/// The part that only computes.
fn finish(read: Read, occasion: &Occasion, truth: &Truth) -> Outlook {
    let Read { intake, content, signature } = read;
    let parsed = match content {
        Readable::Text(text) => Parsed::from_text(text).map_err(|error| unreadable(&intake, &error))?,
        Readable::Parsed(parsed) => parsed,
    };
    let title = intake
        .title
        .clone()
        .or(parsed.title)
        .or_else(|| intake.file_name.clone())
        .unwrap_or_else(|| first_line(&parsed.text));
    let pieces = chunk(&parsed.text, &parsed.page_starts);
    let (verdict, admitted) =
        judge(&occasion.policy.guard, &intake.source, pieces.iter().map(|piece| piece.text.as_str()));
    let accepted = DocumentAccepted {
        text_sha256: sha256_hex(parsed.text.as_bytes()),
        chars: u64::try_from(parsed.text.chars().count()).unwrap_or(u64::MAX),
        chunks: u32::try_from(pieces.len()).unwrap_or(u32::MAX),
        page_starts: parsed.page_starts,
        id: intake.id.clone(),
        title,
        source: intake.source.clone(),
        domain: intake.domain.clone(),
        usecase: intake.usecase.clone(),
        region: intake.place.region().to_string(),
        bytes: intake.bytes,
        signature,
        metadata_json: intake.metadata_json.clone(),
        at_unix_ms: occasion.now_unix_ms,
        by: occasion.by.clone(),
    };
    let sealed = sealed(truth, &accepted, &parsed.text).map_err(|rejection| Failed::of(&intake, rejection))?;
    Ok((Prepared { accepted, pieces, verdict, admitted }, sealed))
}

/// One record that is too large would take the whole append with it.
fn sealed(truth: &Truth, accepted: &DocumentAccepted, text: &str) -> Outcome<OfDocument> {
    let (entry, body) = (Entry::DocumentAccepted(accepted.clone()), body_name(&accepted.id, &accepted.text_sha256));
    let sealed = truth.journal().of_document(&entry, &body, text.as_bytes());
    sealed.map_err(|error| match TruthError::from(error) {
        TruthError::Journal(JournalError::Append(AppendError::TooLarge { .. }) | JournalError::Codec(_)) => {
            Rejection::new(Code::TooLarge, "taking a document: it has too many pages for one record; split it")
        }
        other => other.into(),
    })
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let title = cut_title(line);
    if title.chars().count() <= LINE_TITLE_CHARS_MAX {
        return title;
    }
    title.chars().take(LINE_TITLE_CHARS_MAX).chain(['…']).collect()
}
