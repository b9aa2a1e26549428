//! What an erasure takes out of what the journal shows. Records stay where they are, so that every proof stays valid; the words
//! of those that speak of what was erased are shown to nobody any more.
use super::derived_keys::{key_of_carried_out, key_of_erased};
use super::lineage::{Derived, DerivedError};
use crate::entry::{AnswerRecorded, Entry, FeedbackGiven};
use bailiwick_kernel::disclosure::Shown;
use bailiwick_kernel::ids::{Position, QueryId};

/// What stands in the place of words that are withheld.
const WITHHELD: &str = "[withheld: a document this answer cites was erased]";
/// Answers that are looked at for one request that needed an approval: the same one may have been carried out again and again.
const CARRIED_OUT_MAX: usize = 1_024;
/// Records of one answer that are looked through for what it cites.
const RECORDS_OF_ANSWER_MAX: usize = 512;

/// What an answer said, and what was said of it, is not told any more; that it was given, what it cited and what it cost is.
pub(super) fn withhold(record: &mut AnswerRecorded, feedback: &mut [FeedbackGiven]) {
    record.question = WITHHELD.to_owned();
    record.answer = WITHHELD.to_owned();
    for given in feedback {
        given.comment = given.comment.take().map(|_words| WITHHELD.to_owned());
        given.correct_answer = given.correct_answer.take().map(|_words| WITHHELD.to_owned());
    }
}

impl Derived {
    /// Whether a document was erased after this position.
    fn is_erased_since(&self, document_id: &str, position: Position) -> Result<bool, DerivedError> {
        let erased: Option<Position> = self.shelf().get(&key_of_erased(document_id))?;
        Ok(erased.is_some_and(|erased| erased > position))
    }

    /// Whether an answer cites a document that was erased since it was given.
    pub(super) fn quotes_what_is_erased(
        &self,
        position: Position,
        record: &AnswerRecorded,
    ) -> Result<bool, DerivedError> {
        for chunk in &record.cited {
            if self.is_erased_since(&chunk.source_id, position)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the answer to a question does.
    pub(super) fn answer_quotes_what_is_erased(&self, query: QueryId) -> Result<bool, DerivedError> {
        let Some(answer) = self.answer_of(query)? else { return Ok(false) };
        for (_, _, entry) in self.journal().portion::<Entry>(answer, RECORDS_OF_ANSWER_MAX)? {
            let cited = match &entry {
                other if other.answers().and_then(QueryId::parse) != Some(query) => break,
                Entry::AnswerRecorded(record) => &record.cited,
                Entry::AnswerCited(further) => &further.cited,
                _ => continue,
            };
            for chunk in cited {
                if self.is_erased_since(&chunk.source_id, answer)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether a request that needed an approval was carried out by an answer that does.
    fn request_quotes_what_is_erased(&self, approval_id: &str) -> Result<bool, DerivedError> {
        let answers = self.shelf().scan::<QueryId>(&key_of_carried_out(approval_id, None), None, CARRIED_OUT_MAX)?;
        for (_, query) in answers {
            if self.answer_quotes_what_is_erased(query)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_withheld(&self, position: Position, entry: &Entry) -> Result<bool, DerivedError> {
        let query_id = match entry {
            Entry::DocumentAccepted(accepted) => return self.is_erased_since(&accepted.id, position),
            Entry::AnswerRecorded(record) => &record.query_id,
            Entry::AnswerContinued { query_id, .. } | Entry::ReplyContinued { query_id, .. } => query_id,
            Entry::ReplyKept(reply) => &reply.query_id,
            Entry::FeedbackGiven(given) => &given.query_id,
            Entry::ApprovalAsked(asked) => return self.request_quotes_what_is_erased(&asked.id),
            _ => return Ok(false),
        };
        QueryId::parse(query_id).map_or(Ok(false), |query| self.answer_quotes_what_is_erased(query))
    }

    /// Records with their keys, without the keys of those that speak of what was erased.
    pub(super) fn shown(&mut self, from: Position, max: usize) -> Result<Vec<Shown>, DerivedError> {
        let has_erased = self.catch_up()?.erased > 0;
        let mut shown = self.journal().shown(from, max)?;
        if has_erased {
            for (record, (position, _, entry)) in shown.iter_mut().zip(self.journal().portion::<Entry>(from, max)?) {
                if record.position != position || self.is_withheld(position, &entry)? {
                    record.key = None;
                }
            }
        }
        Ok(shown)
    }
}
