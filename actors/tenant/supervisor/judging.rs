//! Judgements of answers, and what follows from them: one append, and every search from then on.
use super::actor::Supervisor;
use super::audit::{unknown_query, unreadable};
use super::lineage::{Derived, DerivedError};
use super::messages::GiveFeedback;
use super::opening::{Opened, on_derived};
use crate::entry::{AnswerRecorded, Entry, FeedbackGiven};
use crate::evaluation::answers::without_markers;
use crate::feedback::messages::{Candidate, DistrustedView, FeedbackView, ReadFeedback, RestoreTrust};
use crate::feedback::records::TrustRestored;
use crate::feedback::rules::{Judged, follows};
use actix::prelude::*;
use bailiwick_kernel::ids::QueryId;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_policy::language::Action;
use std::sync::Arc;

/// Golden questions that are proposed at once.
const CANDIDATES_SHOWN: usize = 100;

/// Appends, and lets every search from then on know.
async fn keep(opened: &Opened, entries: Vec<Entry>) -> Outcome<()> {
    let appended = opened.belongings.journal.append(&entries).await;
    appended.map_err(|error| unreadable(&error.to_string()))?;
    let distrust = Arc::clone(&opened.distrust);
    // told while the fold is held: of two judgements at once the later one counts
    let told = on_derived(opened.derived.clone(), move |derived| {
        distrust.set(derived.catch_up()?.distrust.clone());
        Ok(())
    });
    told.await.map_err(|reason| unreadable(&reason))?;
    Ok(())
}

impl Handler<GiveFeedback> for Supervisor {
    type Result = ();

    fn handle(&mut self, given: GiveFeedback, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Feedback, &given.principal, &given.query_id);
        let asked = self.opened.clone().zip(QueryId::parse(&given.query_id));
        let GiveFeedback { query_id, up, comment, correct_answer, rejected, principal, reply } = given;
        let at_unix_ms = self.parts.clock.now_unix_ms();
        let by = principal.asker().to_owned();
        let feedback = FeedbackGiven { query_id, up, comment, correct_answer, at_unix_ms, by: principal.key_id };
        let name = self.parts.name.clone();
        actix::spawn(async move {
            let outcome: Outcome<FeedbackGiven> = async {
                permitted.await?;
                let (opened, query) = asked.ok_or_else(unknown_query)?;
                let known = on_derived(opened.derived.clone(), move |derived| derived.lineage(&name, query)).await;
                let known = known.map_err(|reason| unreadable(&reason))?.ok_or_else(unknown_query)?;
                let cited = known.record.map(|record| record.cited).unwrap_or_default();
                let judged = Judged {
                    query_id: &feedback.query_id,
                    up,
                    rejected: &rejected,
                    by: &by,
                    key_id: &feedback.by,
                    at_unix_ms,
                };
                let follows = follows(&judged, &cited, &opened.distrust.view())?;
                keep(&opened, std::iter::once(Entry::FeedbackGiven(feedback.clone())).chain(follows).collect()).await?;
                Ok(feedback)
            }
            .await;
            reply.answer(outcome);
        });
    }
}

impl Handler<ReadFeedback> for Supervisor {
    type Result = ();

    fn handle(&mut self, ReadFeedback { principal, reply }: ReadFeedback, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Read, &principal, "feedback");
        let (opened, name) = (self.opened.clone(), self.parts.name.clone());
        actix::spawn(async move {
            let outcome: Outcome<FeedbackView> = async {
                permitted.await?;
                view(&opened.ok_or_else(Rejection::lost)?, name).await
            }
            .await;
            reply.answer(outcome);
        });
    }
}

impl Handler<RestoreTrust> for Supervisor {
    type Result = ();

    fn handle(&mut self, RestoreTrust { document_id, by, reply }: RestoreTrust, _: &mut Self::Context) {
        let (opened, name, at_unix_ms) = (self.opened.clone(), self.parts.name.clone(), self.parts.clock.now_unix_ms());
        actix::spawn(async move {
            let outcome: Outcome<FeedbackView> = async {
                let opened = opened.ok_or_else(Rejection::lost)?;
                // what has lost none leaves no record
                if opened.distrust.view().documents().any(|document| document.id == document_id) {
                    let documents = vec![document_id];
                    let restored = TrustRestored { documents, rejected_by: None, by: by.key_id, at_unix_ms };
                    keep(&opened, vec![Entry::TrustRestored(Box::new(restored))]).await?;
                }
                view(&opened, name).await
            }
            .await;
            reply.answer(outcome);
        });
    }
}

async fn view(opened: &Opened, name: String) -> Outcome<FeedbackView> {
    let distrusted = opened.distrust.view().documents().map(DistrustedView::from).collect();
    let candidates = on_derived(opened.derived.clone(), move |derived| candidates(derived, &name)).await;
    Ok(FeedbackView { distrusted, candidates: candidates.map_err(|reason| unreadable(&reason))? })
}

/// The newest judgement of an answer counts; what quotes an erased document is no candidate.
pub(super) fn candidates(derived: &mut Derived, name: &str) -> Result<Vec<Candidate>, DerivedError> {
    let positions = derived.catch_up()?.judgements.clone();
    let (mut seen, mut candidates) = (std::collections::HashSet::new(), Vec::new());
    for position in positions.into_iter().rev() {
        let Some((_, Entry::FeedbackGiven(given))) = derived.journal().entry::<Entry>(position)? else { continue };
        let Some(query) = QueryId::parse(&given.query_id).filter(|_| seen.insert(given.query_id.clone())) else {
            continue;
        };
        let record = derived.lineage_in_words(name, query)?.and_then(|lineage| lineage.record);
        candidates.extend(record.and_then(|record| candidate(&record, &given)));
        if candidates.len() >= CANDIDATES_SHOWN {
            break;
        }
    }
    Ok(candidates)
}

fn candidate(record: &AnswerRecorded, given: &FeedbackGiven) -> Option<Candidate> {
    let corrected = given.correct_answer.clone().filter(|answer| !answer.is_empty());
    let is_accepted = given.up && !record.abstained && corrected.is_none();
    let answer = if is_accepted { without_markers(&record.answer).trim().to_owned() } else { corrected? };
    let mut relevant: Vec<String> =
        if given.up { record.cited.iter().map(|chunk| chunk.source_id.clone()).collect() } else { Vec::new() };
    relevant.dedup();
    let question = record.question.clone();
    (!question.is_empty() && !answer.is_empty()).then_some(Candidate { question, answer, relevant })
}
