//! Golden questions searched by words and by words and meaning, so that the second is used only where it does not lose.
use super::super::RetrievalRoom;
use super::super::finding::find;
use super::super::golden::{PATIENCE, SEARCHED_MAX, documents, reader, visible};
use super::super::messages::JudgeDense;
use super::super::rules::wanted;
use super::super::truth::TruthError;
use super::arm::Dense;
use super::searching::{Found, Way};
use crate::entry::Entry;
use crate::question::{Matter, Search};
use actix::prelude::*;
use bailiwick_kernel::limits::TOP_K_MAX;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::dense::{DenseSettings, Judged};
use bailiwick_policy::golden::Golden;
use bailiwick_policy::ranking::{FIRST_PAGE, ndcg};
use std::sync::Arc;

/// Mean nDCG@10 of both, over the questions of which it is known what answers them.
fn judgement(settings: &DenseSettings, gains: &[(f64, f64)], at_unix_ms: u64) -> Option<Judged> {
    let questions = u32::try_from(gains.len()).ok().filter(|questions| *questions > 0)?;
    let ppm = |sum: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
        let ppm = (sum / f64::from(questions) * 1e6).round().clamp(0.0, 1e6) as u32;
        ppm
    };
    let (lexical, hybrid) = gains.iter().fold((0.0, 0.0), |sums, gains| (sums.0 + gains.0, sums.1 + gains.1));
    let (lexical_ppm, hybrid_ppm) = (ppm(lexical), ppm(hybrid));
    Some(Judged { settings: settings.name(), questions, lexical_ppm, hybrid_ppm, at_unix_ms })
}

/// What is searched while passages still wait for their vectors would be judged by half of it.
pub(super) fn is_ready(dense: &Dense) -> Outcome<()> {
    let is_outside = dense.outlined.load().is_some();
    let waiting = if is_outside { dense.outside().waiting } else { 0 };
    match dense.standing().pending.saturating_add(waiting) {
        0 => Ok(()),
        pending => {
            let detail =
                format!("comparing searches: {pending} passages wait for their vectors; evaluate once they have them");
            Err(Rejection::retry_after(Code::Conflict, detail, 10_000))
        }
    }
}

impl Handler<JudgeDense> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, JudgeDense { golden, reply }: JudgeDense, _ctx: &mut Context<Self>) {
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, door, clock) = (self.desk.clone(), self.embedding.clone(), Arc::clone(&self.clock));
        actix::spawn(async move {
            let _until_done = permit;
            let judged: Outcome<Option<Judged>> = async {
                let policy = desk.corpus.policy.load_full();
                let Some(settings) = &policy.dense else { return Ok(None) };
                is_ready(&desk.corpus.dense)?;
                let sees = visible(&policy, clock.now_unix_ms());
                let answerable = golden.into_iter().filter(|golden| !golden.relevant.is_empty());
                let mut gains = Vec::new();
                for golden in answerable.take(SEARCHED_MAX) {
                    let search = Search { query: golden.question.clone(), top_k: Some(TOP_K_MAX), ..Search::default() };
                    let Some(wanted) = wanted(&Matter::Search(search), &policy, sees.clone()) else { continue };
                    let by_words = find(&desk, &policy, PATIENCE, wanted.clone(), Way::Words).await?;
                    let way =
                        desk.corpus.way_in_any_case(&door, (&policy, settings), &golden.question, &reader()).await;
                    let by_both = find(&desk, &policy, PATIENCE, wanted, way).await?;
                    by_both.hybrid.clone().map_err(|reason| {
                        Rejection::retry_after(Code::Conflict, format!("comparing searches: {reason}"), 1_000)
                    })?;
                    let gain = |found: &Found, golden: &Golden| {
                        let documents = documents(golden, &found.passages);
                        let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
                        ndcg(&documents, &golden.relevant, FIRST_PAGE)
                    };
                    gains.extend(gain(&by_words, &golden).zip(gain(&by_both, &golden)));
                }
                let Some(judged) = judgement(settings, &gains, clock.now_unix_ms()) else { return Ok(None) };
                let gate = Arc::clone(&desk.corpus.gate).lock_owned().await;
                let truth = desk.corpus.truth().await?;
                let entry = Entry::DenseJudged(Box::new(judged.clone()));
                let appended = truth.journal().append(&[entry]).await.map_err(TruthError::from)?;
                let noted = judged.clone();
                desk.blocking(&truth, move |truth| {
                    let _until_noted = gate;
                    truth.note_judged(&noted, appended.last)
                })
                .await?;
                desk.corpus.dense.judged.store(Some(Arc::new(judged.clone())));
                Ok(Some(judged))
            }
            .await;
            reply.answer(judged);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_policy::dense::Fusion;

    #[test]
    fn a_judgement_is_the_mean_of_the_questions_that_can_be_judged() {
        let settings = DenseSettings {
            model: "m".into(),
            fusion: Fusion::Rrf,
            weight: 0.5,
            chunks_per_minute: 1,
            untested: false,
            learn: false,
        };
        assert_eq!(judgement(&settings, &[], 7), None);
        let judged = judgement(&settings, &[(1.0, 0.5), (0.0, 1.0), (0.5, 0.25)], 7).unwrap();
        assert_eq!((judged.questions, judged.lexical_ppm, judged.hybrid_ppm), (3, 500_000, 583_333));
        assert_eq!((judged.settings.as_str(), judged.at_unix_ms), ("m/rrf/0.5", 7));
    }
}
