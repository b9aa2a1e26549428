//! The verifier: whether a receipt or an export is what the tenant has signed, and what it says then. Pure: it is given the
//! file, a key, and perhaps an earlier head, and trusts nobody else.
//!
//! Of an export it finds every edit, deletion, insertion, exchange of order and cut: the chain is reckoned from nothing, the
//! tree from the chain, and root, size, last chain hash, number of answers and their charges are compared with what was
//! signed. A journal that forked after an earlier head is found by that head.
use super::forms::{Header, NotOfThisForm, Receipt, ShownRecord, hashes, journal};
use super::growth::{Grown, Growth, compare};
use super::records::AnswerGrounded;
use crate::entry::{AnswerRecorded, Entry, LineageChunk, PassagesCited};
use bailiwick_kernel::disclosure::{Shown, ShownError};
use bailiwick_kernel::transparency::checkpoint::{self, CheckpointError, Head};
use bailiwick_kernel::transparency::tree::{self, TreeError};

const OF_ANOTHER: Unverified = Unverified::NotOneAnswer("it shows records of another answer");

/// Why something was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// It has not the form of one.
    #[error(transparent)]
    Form(#[from] NotOfThisForm),
    /// The signed head is none, or not signed by this key.
    #[error(transparent)]
    Head(#[from] CheckpointError),
    /// The head is another tenant's.
    #[error("verifying: the head is about another journal than the records")]
    AnotherJournal,
    /// A record is not in the journal the head is of.
    #[error("verifying record {position}: {reason}; it is not what stands in the signed journal")]
    NotInJournal {
        /// Which.
        position: u64,
        /// What does not hold.
        reason: String,
    },
    /// A record says something else than its key opens.
    #[error("verifying record {position}: {reason}")]
    Unreadable {
        /// Which.
        position: u64,
        /// What does not hold.
        reason: String,
    },
    /// The records are not those of one answer.
    #[error("verifying a receipt: {0}")]
    NotOneAnswer(&'static str),
    /// It does not hold one head of another journal.
    #[error("verifying a witness: it shows no record of one head of another journal")]
    NotOneHead,
    /// A line of lineage is not what the journal says.
    #[error("verifying line {line} of the lineage: {reason}")]
    NotInLineage {
        /// Which, from 1.
        line: u64,
        /// What does not hold.
        reason: String,
    },
    /// What all records come to is not what was signed.
    #[error("verifying an export: its records come to {what} {found}, and {signed} was signed: {meaning}")]
    NotTheSigned {
        /// Of what.
        what: &'static str,
        /// What the records come to.
        found: String,
        /// What was signed.
        signed: String,
        /// What that means.
        meaning: &'static str,
    },
}

/// One answer, proved.
#[derive(Clone, PartialEq, Debug)]
pub struct Proved {
    /// What was signed.
    pub head: Head,
    /// Where its record stands.
    pub position: u64,
    /// The answer, with its words and citations whole.
    pub answer: AnswerRecorded,
    /// The version of the tenant's key its record is sealed under.
    pub key_version: Option<u32>,
    /// What it stands on.
    pub grounds: Grounds,
}

/// What an answer stands on, as far as the build that gave it wrote it down.
#[derive(Clone, PartialEq, Debug)]
pub enum Grounds {
    /// All of it, and with it that no record of the answer is left out.
    Whole(Box<AnswerGrounded>),
    /// On which words, as earlier builds wrote it; whether a record behind the last one is left out is not proved.
    Words(Box<PassagesCited>),
    /// Nothing was written, or it is left out.
    Unsaid,
}

impl Proved {
    /// The chunks it cites, each with what it was when that was recorded.
    pub fn chunks(&self) -> impl Iterator<Item = (&LineageChunk, ChunkProved)> {
        let proved: Vec<ChunkProved> = match &self.grounds {
            Grounds::Whole(grounded) => grounded
                .passages
                .iter()
                .map(|passage| ChunkProved { sha256: Some(passage.sha256.clone()), version: Some(passage.version) })
                .collect(),
            Grounds::Words(cited) => {
                let digests = cited.sha256.iter();
                digests.map(|digest| ChunkProved { sha256: Some(hex::encode(digest)), version: None }).collect()
            }
            Grounds::Unsaid => Vec::new(),
        };
        self.answer.cited.iter().zip(proved.into_iter().chain(std::iter::repeat(ChunkProved::default())))
    }

    /// Digest of all files of the policy it was cleared under, where that was recorded.
    #[must_use]
    pub fn policy_digest(&self) -> Option<&str> {
        match &self.grounds {
            Grounds::Whole(grounded) => Some(&grounded.policy_digest),
            Grounds::Words(cited) => Some(&cited.policy_digest),
            Grounds::Unsaid => None,
        }
    }
}

/// What a cited chunk was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChunkProved {
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: Option<String>,
    /// The journal position its document's version was accepted at.
    pub version: Option<u64>,
}

pub(super) fn signed(header: &Header, verifier_key: Option<&str>) -> Result<([u8; 16], Head), Unverified> {
    let journal = journal(&header.tenant_key)?;
    let head = checkpoint::read(&header.checkpoint, verifier_key.unwrap_or(&header.verifier_key))?;
    if head.tenant != header.tenant_key {
        return Err(Unverified::AnotherJournal);
    }
    Ok((journal, head))
}

pub(super) fn said(shown: &Shown) -> Result<Entry, Unverified> {
    let unreadable =
        |error: ShownError| Unverified::Unreadable { position: shown.position.0, reason: error.to_string() };
    shown.entry().map_err(unreadable)
}

/// Verifies a receipt. Without a key it is held against the one it brings itself: that shows that it is whole, not whose it is.
///
/// # Errors
/// [`Unverified`].
pub fn receipt(receipt: &Receipt, verifier_key: Option<&str>) -> Result<Proved, Unverified> {
    let (journal, head) = signed(&receipt.header, verifier_key)?;
    let (mut answer, mut before) = (None::<(u64, AnswerRecorded)>, None::<(u64, [u8; 32])>);
    let (mut grounds, mut key_version, mut shown_records) = (Grounds::Unsaid, None, 0_u32);
    for record in &receipt.records {
        let shown = record.shown()?;
        let position = shown.position.0;
        let chain_hash = shown.chain_hash(&journal);
        let not_there = |reason: String| Unverified::NotInJournal { position, reason };
        tree::check_inclusion(&hashes(&record.proof)?, (head.size, head.root), position, tree::leaf(&chain_hash))
            .map_err(|error: TreeError| not_there(error.to_string()))?;
        if before.is_some_and(|(last, hash)| position != last.saturating_add(1) || shown.previous != hash) {
            return Err(not_there("it does not follow the record before it".into()));
        }
        before = Some((position, chain_hash));
        shown_records = shown_records.saturating_add(1);
        key_version = key_version.or(shown.key_version());
        match (said(&shown)?, &mut answer) {
            (Entry::AnswerRecorded(recorded), answer @ None) => *answer = Some((position, *recorded)),
            (_, None) => return Err(Unverified::NotOneAnswer("its first record is no answer")),
            (entry, Some((_, answer))) if entry.answers() != Some(&answer.query_id) => return Err(OF_ANOTHER),
            (_, Some(_)) if matches!(grounds, Grounds::Whole(_)) => return Err(OF_ANOTHER),
            (Entry::PassagesCited(passages), Some(_)) if grounds == Grounds::Unsaid => {
                grounds = Grounds::Words(passages);
            }
            (Entry::AnswerGrounded(grounded), Some(_)) => grounds = Grounds::Whole(grounded),
            (entry, Some((_, answer))) => add(answer, entry)?,
        }
    }
    let (position, answer) = answer.ok_or(Unverified::NotOneAnswer("it shows no record"))?;
    if let Grounds::Whole(grounded) = &grounds
        && grounded.records != shown_records
    {
        return Err(Unverified::NotOneAnswer("it leaves records of the answer out"));
    }
    Ok(Proved { head, position, answer, key_version, grounds })
}

/// Adds what stands behind an answer's record to it.
fn add(answer: &mut AnswerRecorded, entry: Entry) -> Result<(), Unverified> {
    match entry {
        Entry::AnswerContinued { text, .. } => answer.answer.push_str(&text),
        Entry::AnswerCited(further) => answer.cited.extend(further.cited),
        Entry::ChargeAttributed(_)
        | Entry::EmbeddingCharged(_)
        | Entry::RequestJudged(_)
        | Entry::AnswerMeasured(_)
        | Entry::PassagesFound(_)
        | Entry::ConversationTold(_)
        | Entry::PassagesRanked(_) => {}
        _ => return Err(OF_ANOTHER),
    }
    Ok(())
}

/// What a record of a verified stretch of a journal says. That it is the journal's is proved when the export has ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// Its place, from 0.
    pub position: u64,
    /// Its chain hash.
    pub hash: [u8; 32],
    /// Its words; nothing where they are not shown.
    pub entry: Option<Entry>,
}

/// What an export comes to.
#[derive(Clone, PartialEq, Debug)]
pub struct Exported {
    /// What was signed.
    pub head: Head,
    /// Records whose words are not shown, because they are older than keys of records, were left out, or went with their document.
    pub unshown: u64,
    /// Of those, the ones that may be answers: all that do not say they are of a document.
    pub uncounted: u64,
}

/// An export that is being verified, record by record.
pub struct Export {
    growth: Growth,
    answers: u64,
    charged_nano_usd: u64,
    unshown: u64,
    /// Of those, the ones that may be answers.
    uncounted: u64,
}

impl Export {
    /// Begins with the head of an export, and an earlier signed head it must have grown from, where there is one.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn begin(header: &Header, verifier_key: Option<&str>, earlier: Option<&str>) -> Result<Self, Unverified> {
        let growth = Growth::begin(header, verifier_key, earlier)?;
        Ok(Self { growth, answers: 0, charged_nano_usd: 0, unshown: 0, uncounted: 0 })
    }

    /// Takes the next record, and gives what it says.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn record(&mut self, record: &ShownRecord) -> Result<Said, Unverified> {
        let Grown { shown, hash } = self.growth.record(record)?;
        let entry = if shown.key.is_some() { Some(said(&shown)?) } else { None };
        match &entry {
            None => {
                self.unshown = self.unshown.saturating_add(1);
                // an answer that says it is of a document is missing from the sums
                self.uncounted = self.uncounted.saturating_add(u64::from(!shown.is_of_document()));
            }
            Some(Entry::AnswerRecorded(answer)) => {
                self.answers = self.answers.saturating_add(1);
                self.charged_nano_usd = self.charged_nano_usd.saturating_add(answer.usage.cost.0);
            }
            Some(_) => {}
        }
        Ok(Said { position: shown.position.0, hash, entry })
    }

    /// Ends it: everything that was signed must have come.
    ///
    /// # Errors
    /// [`Unverified::NotTheSigned`].
    pub fn end(self) -> Result<Exported, Unverified> {
        let head = self.growth.end()?;
        if self.uncounted == 0 {
            compare("a number of answers", self.answers, head.answers, "answers are missing or were added")?;
            let charged = (self.charged_nano_usd, head.charged_nano_usd);
            compare("nano-dollars charged", charged.0, charged.1, "charges were changed or left out")?;
        }
        Ok(Exported { head, unshown: self.unshown, uncounted: self.uncounted })
    }
}
