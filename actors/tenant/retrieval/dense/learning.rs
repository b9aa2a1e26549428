//! The weight of the search by meaning, learnt where the policy wants it, and taken back where somebody says so: one record
//! of the journal, and every search from then on.
use super::super::RetrievalRoom;
use super::super::ingest::Desk;
use super::super::messages::{SteerWeight, WeightOrder};
use super::super::truth::{Truth, TruthError};
use super::super::weights::Lesson;
use crate::entry::Entry;
use actix::prelude::*;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::dense::{DenseSettings, Learnt};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

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

    /// Whether somebody took the weight back, and nobody has allowed it again.
    pub(super) async fn is_learning_stopped(&self) -> Outcome<bool> {
        let learnt = self.corpus.read(Truth::learnt).await?;
        Ok(learnt.is_some_and(|learnt| learnt.is_stopped))
    }

    /// Takes a lesson over, unless somebody took the weight back while it was learnt.
    pub(super) async fn learn(
        &self,
        settings: &DenseSettings,
        lesson: &Lesson,
        accepted: u32,
        signed: (String, u64),
    ) -> Outcome<Option<Learnt>> {
        let gate = Arc::clone(&self.corpus.gate).lock_owned().await;
        if self.is_learning_stopped().await? {
            return Ok(None);
        }
        self.keep_learnt(gate, learnt(settings, lesson, accepted, signed)).await.map(Some)
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
