//! The weight of the search by meaning, learnt where the policy wants it, and taken back where somebody says so: one record
//! of the journal, and every search from then on.
use super::super::RetrievalRoom;
use super::super::finding::arms;
use super::super::fusion::Scored;
use super::super::golden::{PATIENCE, SEARCHED_MAX, visible};
use super::super::index::Spot;
use super::super::ingest::Desk;
use super::super::messages::{LearnWeight, SteerWeight, WeightOrder};
use super::super::rules::wanted;
use super::super::truth::{Truth, TruthError};
use super::super::weights::{Labelled, Lesson, lesson};
use super::asking::Door;
use super::indexing::indexer;
use super::judging::is_ready;
use super::searching::{Arms, Way, rule};
use crate::entry::Entry;
use crate::question::{Matter, Search};
use actix::prelude::*;
use bailiwick_kernel::limits::TOP_K_MAX;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::dense::{DenseSettings, Learnt};
use bailiwick_policy::golden::Golden;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

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

/// What stands in the journal of a lesson.
fn learnt(settings: &DenseSettings, lesson: &Lesson, accepted: u32, (by, at_unix_ms): (String, u64)) -> Learnt {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    let ppm = |share: f64| (share * 1e6).round().clamp(0.0, 1e6) as u32;
    Learnt {
        settings: settings.name(),
        weight_ppm: lesson.weight.map(ppm),
        questions: lesson.questions,
        accepted,
        learnt_ppm: ppm(lesson.learnt),
        policy_ppm: ppm(lesson.policy),
        lexical_ppm: ppm(lesson.lexical),
        is_stopped: false,
        by,
        at_unix_ms,
    }
}

impl Desk {
    /// Writes down what is so of the weight; it is so once that is durable.
    async fn keep_learnt(&self, gate: OwnedMutexGuard<()>, learnt: Learnt) -> Outcome<Learnt> {
        let truth = self.corpus.truth().await?;
        let entry = Entry::WeightLearnt(Box::new(learnt.clone()));
        let appended = truth.journal().append(&[entry]).await.map_err(TruthError::from)?;
        let (noted, corpus) = (learnt.clone(), Arc::clone(&self.corpus));
        self.blocking(&truth, move |truth| {
            let _until_noted = gate;
            truth.note_learnt(&noted, appended.last)?;
            corpus.dense.learnt.store(Some(Arc::new(noted)));
            Ok(())
        })
        .await?;
        Ok(learnt)
    }

    async fn is_learning_stopped(&self) -> Outcome<bool> {
        let learnt = self.corpus.read(Truth::learnt).await?;
        Ok(learnt.is_some_and(|learnt| learnt.is_stopped))
    }

    /// What each ranking finds for the questions, one after another.
    async fn labels(
        &self,
        door: &Door,
        policy: &PolicySnapshot,
        settings: &DenseSettings,
        questions: Vec<Golden>,
        now_unix_ms: u64,
    ) -> Outcome<Vec<Labelled>> {
        let sees = visible(policy, now_unix_ms);
        let mut labels = Vec::new();
        let answerable = questions.into_iter().filter(|golden| !golden.relevant.is_empty());
        for golden in answerable.take(SEARCHED_MAX) {
            let search = Search { query: golden.question.clone(), top_k: Some(TOP_K_MAX), ..Search::default() };
            let Some(wanted) = wanted(&Matter::Search(search), policy, sees.clone()) else { continue };
            let way = self.corpus.way_in_any_case(door, (policy, settings), &golden.question, &indexer()).await;
            let found = match way {
                Way::Both(meaning) => arms(self, policy, PATIENCE, wanted, meaning).await?,
                Way::WordsBecause(reason) => Err(reason),
                Way::Words => Err("the tenant wants no search by meaning".to_owned()),
            };
            let arms = found.map_err(|reason| {
                Rejection::retry_after(Code::Conflict, format!("learning the weight: {reason}"), 1_000)
            })?;
            labels.push(labelled(&golden, &arms));
        }
        Ok(labels)
    }
}

impl Handler<LearnWeight> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, LearnWeight { golden, accepted, by, reply }: LearnWeight, _ctx: &mut Context<Self>) {
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, door, clock) = (self.desk.clone(), self.embedding.clone(), Arc::clone(&self.clock));
        actix::spawn(async move {
            let _until_done = permit;
            let learning: Outcome<Option<Learnt>> = async {
                let policy = desk.corpus.policy.load_full();
                let Some(settings) = policy.dense.as_ref().filter(|settings| settings.learn) else { return Ok(None) };
                if desk.is_learning_stopped().await? {
                    return Ok(None);
                }
                is_ready(&desk.corpus.dense)?;
                // a golden question is known better than an accepted answer to the same one
                let is_new = |one: &Golden| golden.iter().all(|known| known.question != one.question);
                let accepted: Vec<Golden> = accepted.into_iter().filter(is_new).collect();
                let names: BTreeSet<String> = accepted.iter().map(|golden| golden.question.clone()).collect();
                let questions = golden.into_iter().chain(accepted).collect();
                let labels = desk.labels(&door, &policy, settings, questions, clock.now_unix_ms()).await?;
                let accepted = labels.iter().filter(|label| names.contains(&label.question)).count();
                let accepted = u32::try_from(accepted).unwrap_or(u32::MAX);
                let rule = rule(settings);
                let truth = desk.corpus.truth().await?;
                let lesson = desk.blocking(&truth, move |_| Ok(lesson(&labels, rule))).await?;
                let gate = Arc::clone(&desk.corpus.gate).lock_owned().await;
                // somebody may have said so meanwhile
                if desk.is_learning_stopped().await? {
                    return Ok(None);
                }
                let learnt = learnt(settings, &lesson, accepted, (by, clock.now_unix_ms()));
                desk.keep_learnt(gate, learnt).await.map(Some)
            }
            .await;
            reply.answer(learning);
        });
    }
}

impl Handler<SteerWeight> for RetrievalRoom {
    type Result = ();

    fn handle(&mut self, SteerWeight { order, by, reply }: SteerWeight, _ctx: &mut Context<Self>) {
        let permit = match self.let_in() {
            Ok(permit) => permit,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (desk, at_unix_ms) = (self.desk.clone(), self.clock.now_unix_ms());
        actix::spawn(async move {
            let _until_done = permit;
            let steered: Outcome<Learnt> = async {
                let policy = desk.corpus.policy.load_full();
                let Some(settings) = &policy.dense else {
                    let detail =
                        "steering the weight: policies/retrieval.yaml has no settings.dense; there is no weight";
                    return Err(Rejection::new(Code::Conflict, detail));
                };
                let nothing = learnt(settings, &Lesson::default(), 0, (by, at_unix_ms));
                let gate = Arc::clone(&desk.corpus.gate).lock_owned().await;
                desk.keep_learnt(gate, Learnt { is_stopped: order == WeightOrder::TakeBack, ..nothing }).await
            }
            .await;
            reply.answer(steered);
        });
    }
}
