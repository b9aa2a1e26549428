//! Where answers stand in the journal: a derived shelf, advanced only by replaying the journal itself, so that it
//! cannot disagree with it. Everything here blocks and runs off the arbiter.
use super::exit;
use super::fold::{Fold, query_of};
use super::messages::{Lineage, LineageLine, LineagePortion};
use super::repeats::index::{Index, Place};
use super::repeats::keeping;
use super::repeats::name::Name;
use crate::digest::MatterDigest;
use crate::entry::{AnswerCited, AnswerRecorded, Entry, FeedbackGiven, LineageChunk};
use crate::question::Reply;
use crate::turn::Given;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::{Position, QueryId};
use bailiwick_kernel::journal::{Journal, JournalError};
use bailiwick_kernel::limits::REPEATS_KEPT_MAX;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_kernel::shelf::{Belongings, Shelf, ShelfError};

const FOLD_KEY: &[u8] = b"fold";
const QUERY_PREFIX: u8 = b'q';

/// Why derived state could not be read or advanced.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum DerivedError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error("reading a kept reply: the records at position {} are not those of one; restore the journal from a backup", .0.0)]
    NotKept(Position),
}

/// What the journal keeps under the name of a call.
#[derive(Debug)]
pub(super) enum Search {
    /// Nothing: the call runs.
    Nothing,
    /// What a call for this matter ended with.
    Kept(MatterDigest, Outcome<Given>),
    /// Nothing, and nothing more can be kept for a while.
    Full {
        /// Until the oldest kept reply is forgotten.
        for_ms: u64,
    },
}

/// The supervisor's derived state of one tenant.
#[derive(Debug)]
pub(super) struct Derived {
    journal: Journal,
    shelf: Shelf,
    kept: Index,
    fold: Fold,
}

impl Derived {
    /// Opens the saved state and replays what is missing.
    pub(super) fn open(belongings: &Belongings) -> Result<Self, DerivedError> {
        let shelf = belongings.shelf("derived")?;
        // unreadable derived state is no loss: the journal is the truth
        let fold = shelf.get::<Fold>(FOLD_KEY).unwrap_or_default().unwrap_or_default();
        // on the same tree: each one costs memory for every tenant that is awake
        let kept = Index::new(shelf.clone(), REPEATS_KEPT_MAX);
        let mut derived = Self { journal: belongings.journal.clone(), shelf, kept, fold };
        derived.catch_up()?;
        Ok(derived)
    }

    /// Folds the journal's tail in and saves the result.
    pub(super) fn catch_up(&mut self) -> Result<&Fold, DerivedError> {
        let before = self.fold.next;
        let (mut stands, mut kept, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        // a copy, so that a failure on the way leaves nothing folded whose places were not written
        let mut fold = self.fold.clone();
        self.journal.replay(before, |position, _hash, entry: Entry| {
            match &entry {
                Entry::ReplyKept(reply) => {
                    let place = Place { number: fold.kept, position, at_unix_ms: reply.at_unix_ms };
                    kept.push((Name::of(&reply.key_id, &reply.idempotency_key), place));
                }
                Entry::DocumentRemoved { id, .. } => removed.push((id.clone(), position)),
                _ => {}
            }
            fold.apply(position, &entry);
            if let Some(query) = query_of(&entry) {
                stands.push((key_of(query, Some(position)), ()));
            }
        })?;
        if fold.next != before {
            self.shelf.apply(&stands, &[])?;
            kept.into_iter().try_for_each(|(name, place)| self.kept.keep(name, place))?;
            removed.iter().try_for_each(|(id, position)| self.kept.removed(id, *position))?;
            self.shelf.put(FOLD_KEY, &fold)?;
            self.fold = fold;
        }
        Ok(&self.fold)
    }

    /// What is kept under the name of a call. `ahead` calls in flight, this one included, may be kept before it.
    pub(super) fn kept(&mut self, name: &Name, ahead: u64, now_unix_ms: u64) -> Result<Search, DerivedError> {
        let next = self.catch_up()?.kept.saturating_add(ahead.saturating_sub(1));
        let Some(place) = self.kept.find(name, now_unix_ms)? else {
            let full = self.kept.full_for_ms(next, now_unix_ms)?;
            return Ok(full.map_or(Search::Nothing, |for_ms| Search::Full { for_ms }));
        };
        let not_kept = || DerivedError::NotKept(place.position);
        let Some((_, Entry::ReplyKept(first))) = self.journal.entry::<Entry>(place.position)? else {
            return Err(not_kept());
        };
        let last = Position(place.position.0.saturating_add(u64::from(first.records)).saturating_sub(1));
        let further = usize::try_from(first.parts).unwrap_or(usize::MAX).saturating_sub(1);
        let continued = if further == 0 { Vec::new() } else { self.journal.portion(place.position.next(), further)? };
        let kept = keeping::read(*first, continued.into_iter().map(|(_, _, entry)| entry)).ok_or_else(not_kept)?;
        let outcome = match kept.outcome {
            Ok(reply) => self.given_at(place.position, last, reply)?,
            Err(rejection) => Err(rejection),
        };
        Ok(Search::Kept(kept.matter, outcome))
    }

    /// A kept reply with its receipt, unless it quotes what is gone.
    fn given_at(&self, first: Position, last: Position, mut reply: Reply) -> Result<Outcome<Given>, DerivedError> {
        for document_id in keeping::quoted(&reply) {
            if self.kept.is_removed_since(document_id, first)? {
                return Ok(Err(keeping::quotes_removed()));
            }
        }
        let (head, _) = self.journal.entry::<Entry>(last)?.ok_or(DerivedError::NotKept(last))?;
        exit::stamp(&mut reply, last.0, &head);
        Ok(Ok(Given::of_record(reply)))
    }

    /// Everything the journal holds about one question.
    pub(super) fn lineage(&mut self, tenant_name: &str, query: QueryId) -> Result<Option<Lineage>, DerivedError> {
        self.catch_up()?;
        let stands = self.shelf.scan::<()>(&key_of(query, None), None, 1_024)?;
        let mut answered: Option<(Position, [u8; 32], AnswerRecorded)> = None;
        let mut feedback = Vec::new();
        for (key, ()) in stands {
            let Some(position) = position_of(&key) else { continue };
            match self.journal.entry::<Entry>(position)? {
                Some((hash, Entry::AnswerRecorded(record))) => answered = Some((position, hash, *record)),
                Some((_, Entry::AnswerContinued { text, .. })) => {
                    if let Some((_, _, record)) = &mut answered {
                        record.answer.push_str(&text);
                    }
                }
                Some((_, Entry::AnswerCited(further))) => {
                    if let Some((_, _, record)) = &mut answered {
                        record.cited.extend(further.cited);
                    }
                }
                Some((_, Entry::FeedbackGiven(given))) => feedback.push(given),
                _ => {}
            }
        }
        Ok(answered.map(|(position, hash, record)| assemble(tenant_name, position, &hash, record, feedback)))
    }

    /// Lineage lines of a stretch of the journal.
    pub(super) fn export(&self, tenant_name: &str, from: u64, max: usize) -> Result<LineagePortion, DerivedError> {
        let records = self.journal.portion::<Entry>(Position(from), max)?;
        let next = records.last().map(|(position, _, _)| position.next().0);
        let lines = records
            .into_iter()
            .filter_map(|(position, hash, entry)| match entry {
                Entry::AnswerRecorded(record) => Some(lines_of(tenant_name, position, &hash, &cited_by(*record))),
                Entry::AnswerCited(further) => Some(lines_of(tenant_name, position, &hash, &further)),
                _ => None,
            })
            .flatten()
            .collect();
        Ok(LineagePortion { lines, next })
    }
}

fn assemble(
    tenant_name: &str,
    position: Position,
    hash: &[u8; 32],
    record: AnswerRecorded,
    feedback: Vec<FeedbackGiven>,
) -> Lineage {
    let lines = lines_of(tenant_name, position, hash, &cited_by(record.clone()));
    Lineage { record, seq: position.0, hash: hex::encode(hash), lines, feedback }
}

fn cited_by(record: AnswerRecorded) -> AnswerCited {
    let AnswerRecorded { query_id, cited, model, policy_version, cleared_unix_ms, .. } = record;
    AnswerCited { query_id, cited, model, policy_version, cleared_unix_ms }
}

/// The lines of one answer, in the specification's field names (2.6): one per cited chunk, and one without a chunk for
/// an answer that cites none, so that no answer and no charge is missing from an export.
fn lines_of(tenant_name: &str, position: Position, hash: &[u8; 32], record: &AnswerCited) -> Vec<LineageLine> {
    let line = |chunk: &LineageChunk| LineageLine {
        tenant_id: tenant_name.to_owned(),
        domain: chunk.domain.clone(),
        usecase: chunk.usecase.clone(),
        source_id: chunk.source_id.clone(),
        query_id: record.query_id.clone(),
        chunk_id: chunk.chunk_id.clone(),
        trust_score: chunk.trust_score,
        agent_id: format!("{}/{}", record.model.provider, record.model.name),
        policy_version: record.policy_version.clone(),
        timestamp: rfc3339(record.cleared_unix_ms),
        seq: position.0,
        hash: hex::encode(hash),
    };
    if record.cited.is_empty() {
        return vec![line(&LineageChunk::default())];
    }
    record.cited.iter().map(line).collect()
}

fn key_of(query: QueryId, position: Option<Position>) -> Vec<u8> {
    let mut key = vec![QUERY_PREFIX];
    key.extend_from_slice(query.0.as_bytes());
    key.extend(position.into_iter().flat_map(|position| position.0.to_be_bytes()));
    key
}

fn position_of(key: &[u8]) -> Option<Position> {
    let (_, last) = key.split_last_chunk::<8>()?;
    Some(Position(u64::from_be_bytes(*last)))
}
