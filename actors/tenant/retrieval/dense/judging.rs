//! Questions of which it is known what answers them, searched once each: whether words and meaning together are better than words
//! alone, and which weight the second should have.
use super::super::RetrievalRoom;
use super::super::finding::arms;
use super::super::fusion::{Rule, Scored};
use super::super::golden::{PATIENCE, SEARCHED_MAX, visible};
use super::super::index::Spot;
use super::super::ingest::Desk;
use super::super::messages::{DenseJudgement, JudgeDense};
use super::super::rules::wanted;
use super::super::truth::TruthError;
use super::super::weights::{Labelled, Lesson, lesson};
use super::arm::Dense;
use super::asking::Door;
use super::indexing::indexer;
use super::searching::{Arms, rule};
use crate::entry::Entry;
use crate::question::{Matter, Search};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::{LOOKUP_MS_MAX, TOP_K_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::dense::{DenseSettings, Judged};
use bailiwick_policy::golden::Golden;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long embedding the questions may take, all of them together: they are asked of the slowest provider too.
const EMBEDDING: Duration = Duration::from_millis(8 * LOOKUP_MS_MAX);

/// A golden question with what each ranking finds for it, by place in the order of documents and of their text: passages
/// that rank alike are told apart as in a search.
fn labelled(golden: &Golden, arms: &Arms) -> Labelled {
    let mut passages: Vec<_> = arms.passages.iter().collect();
    passages.sort_by(|(_, one), (_, other)| {
        one.document_id.cmp(&other.document_id).then_with(|| one.start.cmp(&other.start))
    });
    let documents =
        passages.iter().map(|(_, passage)| golden.name_of(&passage.document_id, &passage.source).to_owned());
    let documents = documents.collect();
    let places: BTreeMap<_, u32> = passages.iter().map(|(spot, _)| **spot).zip(0..).collect();
    let placed = |found: &[Scored<Spot>]| {
        let one = |scored: &Scored<Spot>| Some(Scored { key: *places.get(&scored.key)?, score: scored.score });
        found.iter().filter_map(one).collect()
    };
    Labelled {
        question: golden.question.clone(),
        documents,
        lexical: placed(&arms.lexical),
        dense: placed(&arms.dense),
        relevant: golden.relevant.clone(),
    }
}

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

/// What each question is worth by words, and by both together.
fn gains<'l>(labels: impl Iterator<Item = &'l Labelled>, rule: Rule) -> Vec<(f64, f64)> {
    labels.filter_map(|label| label.gain_by_words().zip(label.gain(rule))).collect()
}

/// What is searched while passages still wait for their vectors would be judged by half of it.
fn is_ready(dense: &Dense) -> Outcome<()> {
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

fn not_by_meaning(reason: &str) -> Rejection {
    Rejection::retry_after(Code::Conflict, format!("comparing searches: {reason}"), 1_000)
}

/// One pass over questions.
struct Judging {
    desk: Desk,
    door: Door,
    clock: SharedClock,
    policy: Arc<PolicySnapshot>,
}

impl Judging {
    /// What each ranking finds for the questions, one after another.
    async fn labels(&self, settings: &DenseSettings, questions: &[&Golden]) -> Outcome<Vec<Labelled>> {
        let (corpus, policy) = (&self.desk.corpus, &self.policy);
        let in_any_case = corpus.in_any_case(policy, settings).map_err(|reason| not_by_meaning(&reason))?;
        let truth = corpus.truth().await?;
        let texts: Vec<&str> = questions.iter().map(|golden| golden.question.as_str()).collect();
        let vectors = corpus.embedded(&self.door, &settings.model, &texts, &indexer(), EMBEDDING).await;
        let vectors = vectors.map_err(|reason| not_by_meaning(&reason))?;
        let sees = visible(policy, self.clock.now_unix_ms());
        let mut labels = Vec::new();
        for (golden, vector) in questions.iter().zip(&vectors) {
            let search = Search { query: golden.question.clone(), top_k: Some(TOP_K_MAX), ..Search::default() };
            let Some(wanted) = wanted(&Matter::Search(search), policy, sees.clone()) else { continue };
            let meaning = in_any_case.meaning(&truth, vector);
            let found = arms(&self.desk, policy, PATIENCE, wanted, meaning).await?;
            labels.push(labelled(golden, &found.map_err(|reason| not_by_meaning(&reason))?));
        }
        Ok(labels)
    }

    async fn judge(self, golden: Vec<Golden>, accepted: Vec<Golden>, by: String) -> Outcome<DenseJudgement> {
        let Some(settings) = &self.policy.dense else { return Ok(DenseJudgement::default()) };
        is_ready(&self.desk.corpus.dense)?;
        let learns = settings.learn && !self.desk.is_learning_stopped().await?;
        // a golden question is known better than an accepted answer to the same one
        let known: BTreeSet<&str> = golden.iter().map(|golden| golden.question.as_str()).collect();
        let is_new = |one: &&Golden| learns && !known.contains(one.question.as_str());
        let questions = golden.iter().chain(accepted.iter().filter(is_new));
        let answerable = questions.filter(|golden| !golden.relevant.is_empty());
        let questions: Vec<&Golden> = answerable.take(SEARCHED_MAX).collect();
        let labels = self.labels(settings, &questions).await?;
        let is_golden = |label: &&Labelled| known.contains(label.question.as_str());
        let accepted = labels.iter().filter(|label| !is_golden(label)).count();
        let (rule, of_golden) = (rule(settings), labels.iter().filter(is_golden).cloned().collect::<Vec<_>>());
        let truth = self.desk.corpus.truth().await?;
        let weighed = self.desk.blocking(&truth, move |_| {
            let lesson = learns.then(|| lesson(&labels, rule));
            Ok((gains(of_golden.iter(), rule), lesson))
        });
        let (gains, lesson): (_, Option<Lesson>) = weighed.await?;
        let at_unix_ms = self.clock.now_unix_ms();
        let judged = match judgement(settings, &gains, at_unix_ms) {
            Some(judged) => Some(self.desk.keep_judged(judged).await?),
            None => None,
        };
        let accepted = u32::try_from(accepted).unwrap_or(u32::MAX);
        let learnt = match lesson {
            Some(lesson) => self.desk.learn(settings, &lesson, accepted, (by, at_unix_ms)).await?,
            None => None,
        };
        Ok(DenseJudgement { judged, learnt })
    }
}

impl Desk {
    /// Writes down what both searches came to; it decides once that is durable.
    async fn keep_judged(&self, judged: Judged) -> Outcome<Judged> {
        let gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        let truth = self.corpus.truth().await?;
        let entry = Entry::DenseJudged(Box::new(judged.clone()));
        let appended = truth.journal().append(&[entry]).await.map_err(TruthError::from)?;
        let noted = judged.clone();
        self.blocking(&truth, move |truth| {
            let _until_noted = gate;
            truth.note_judged(&noted, appended.last)
        })
        .await?;
        self.corpus.dense.judged.store(Some(Arc::new(judged.clone())));
        Ok(judged)
    }
}

impl Handler<JudgeDense> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, JudgeDense { golden, accepted, by, reply }: JudgeDense, _ctx: &mut Context<Self>) {
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, door, clock) = (self.desk.clone(), self.embedding.clone(), Arc::clone(&self.clock));
        let policy = desk.corpus.policy.load_full();
        let judging = Judging { desk, door, clock, policy };
        actix::spawn(async move {
            let _until_done = permit;
            reply.answer(judging.judge(golden, accepted, by).await);
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
