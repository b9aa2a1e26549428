//! The weight of the search by meaning in the room, on a real vault: learnt, heeded, kept, taken back.
use super::super::fusion::Fusion;
use super::super::messages::{AdoptRules, DenseJudgement, JudgeDense, NewDocument, SteerWeight, WeightOrder};
use super::super::test_house::{House, Tenant, ids, named, policy};
use crate::entry::Entry;
use crate::question::Search;
use bailiwick_kernel::ids::Position;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::dense::{DenseSettings, Learnt};
use bailiwick_policy::golden::Golden;
use std::sync::Arc;

/// By words this finds the bird, by its meaning the waggon; above one half the waggon is first.
const QUESTION: &str = "car reeds";

fn wanting(learn: bool) -> Arc<PolicySnapshot> {
    let dense = DenseSettings {
        model: "embedder".into(),
        fusion: Fusion::MinMax,
        weight: 0.45,
        chunks_per_minute: 600_000,
        untested: true,
        learn,
    };
    Arc::new(PolicySnapshot { dense: Some(dense), ..policy() })
}

fn three() -> Vec<NewDocument> {
    vec![
        named("waggon", "The automobile is red."),
        named("bird", "An egret stands in the reeds."),
        named("bank", "Cash is kept in a vault."),
    ]
}

fn labels(numbers: std::ops::Range<u32>) -> Vec<Golden> {
    let label = |number| Golden {
        question: format!("{QUESTION} q{number}"),
        answer: None,
        relevant: vec!["waggon".into()],
        unanswerable: false,
    };
    numbers.map(label).collect()
}

impl Tenant {
    async fn with_vectors(&self) {
        self.settle().await;
        self.desk.corpus.dense.nudge();
        self.desk
            .corpus
            .dense
            .stands(|standing| standing.pending == 0 && standing.indexed == 3 && standing.rounds > 0)
            .await;
        while self.desk.corpus.dense.arm.load().is_none() {
            tokio::task::yield_now().await;
        }
    }

    async fn learn(&self, golden: Vec<Golden>, accepted: Vec<Golden>) -> Option<Learnt> {
        self.ask(|reply| JudgeDense { golden, accepted, by: "key".into(), reply }).await.unwrap().learnt
    }

    async fn steer(&self, order: WeightOrder) -> Learnt {
        self.ask(|reply| SteerWeight { order, by: "admin".into(), reply }).await.unwrap()
    }

    async fn first(&mut self) -> String {
        let policy = Arc::clone(&self.policy);
        let turn = self.turn_under(&policy, Search { query: QUESTION.into(), ..Search::default() }).await.unwrap();
        assert_eq!(turn.case.found_by_meaning, Some(Ok(())));
        ids(&turn.stage.passages)[0].to_owned()
    }
}

#[actix::test]
async fn a_weight_is_learnt_heeded_and_taken_back() {
    let mut house = House::new();
    let mut tenant = house.tenant(wanting(true));
    tenant.ingest(three()).await.unwrap();
    tenant.with_vectors().await;
    assert_eq!(tenant.first().await, "bird");

    // too few labels leave the policy's weight, and it is told what they said
    let few = tenant.learn(labels(0..10), labels(0..15)).await.unwrap();
    assert_eq!((few.weight_ppm, few.questions, few.accepted), (None, 15, 5), "a question counts once");
    assert_eq!(tenant.first().await, "bird");

    let learnt = tenant.learn(labels(0..60), labels(60..100)).await.unwrap();
    assert_eq!((learnt.weight_ppm, learnt.questions, learnt.accepted), (Some(533_333), 100, 40));
    assert!(learnt.learnt_ppm > learnt.policy_ppm && learnt.learnt_ppm > learnt.lexical_ppm, "{learnt:?}");
    assert_eq!(tenant.first().await, "waggon");
    let shown = tenant.figures().await.dense.unwrap();
    assert!((shown.weight - 0.533_333).abs() < 1e-9 && shown.learnt == Some(learnt.clone()), "{shown:?}");

    // it is what the journal says, whatever becomes of process and shelf
    tenant.settle().await;
    tenant.kill().await;
    house.restart();
    house.belongings().shelf("documents").unwrap().clear().unwrap();
    let mut tenant = house.tenant(wanting(true));
    tenant.search("egret").await;
    tenant.with_vectors().await;
    assert_eq!(tenant.first().await, "waggon");

    // a policy that does not want it has its own weight
    tenant.room.send(AdoptRules(wanting(false))).await.unwrap();
    tenant.policy = wanting(false);
    assert_eq!(tenant.first().await, "bird");
    assert_eq!(tenant.learn(labels(0..100), Vec::new()).await, None);
    tenant.room.send(AdoptRules(wanting(true))).await.unwrap();
    tenant.policy = wanting(true);
    assert_eq!(tenant.first().await, "waggon");

    // taken back it stays so, until somebody allows it again
    assert!(tenant.steer(WeightOrder::TakeBack).await.is_stopped);
    assert_eq!(tenant.first().await, "bird");
    assert_eq!(tenant.learn(labels(0..100), Vec::new()).await, None);
    let allowed = tenant.steer(WeightOrder::Allow).await;
    assert_eq!((allowed.is_stopped, allowed.weight_ppm, allowed.by.as_str()), (false, None, "admin"));
    assert_eq!(tenant.first().await, "bird");
    assert!(tenant.learn(labels(0..100), Vec::new()).await.unwrap().weight_ppm.is_some());
    assert_eq!(tenant.first().await, "waggon");
    let mut records = 0;
    let count = |_, _, entry: Entry| records += usize::from(matches!(entry, Entry::WeightLearnt(_)));
    tenant.belongings.journal.replay(Position(0), count).unwrap();
    assert_eq!(records, 5);
}

#[actix::test]
async fn one_pass_over_the_questions_gives_comparison_and_weight() {
    let house = House::new();
    let mut tenant = house.tenant(wanting(true));
    tenant.ingest(three()).await.unwrap();
    tenant.with_vectors().await;
    house.embedder.heard().calls.clear();
    let judge = |reply| JudgeDense { golden: labels(0..60), accepted: labels(50..100), by: "key".into(), reply };
    let DenseJudgement { judged, learnt } = tenant.ask(judge).await.unwrap();
    let (judged, learnt) = (judged.unwrap(), learnt.unwrap());
    assert_eq!(judged.questions, 60, "what was accepted is what the present search has found: it is no judge of it");
    assert!(judged.hybrid_ppm > judged.lexical_ppm, "{judged:?}");
    assert_eq!((learnt.questions, learnt.accepted), (100, 40));
    let lengths = |house: &House| house.embedder.heard().calls.iter().map(|(_, texts)| texts.len()).collect::<Vec<_>>();
    assert_eq!(lengths(&house), [32, 32, 32, 4], "each is embedded once");

    // where nothing is to be learnt, what would be learnt from is not searched
    tenant.room.send(AdoptRules(wanting(false))).await.unwrap();
    tenant.policy = wanting(false);
    house.embedder.heard().calls.clear();
    let judge = |reply| JudgeDense { golden: labels(0..1), accepted: labels(200..240), by: "key".into(), reply };
    let DenseJudgement { judged, learnt } = tenant.ask(judge).await.unwrap();
    assert_eq!((judged.map(|judged| judged.questions), learnt, lengths(&house)), (Some(1), None, vec![]));
}

#[actix::test]
async fn a_tenant_without_a_search_by_meaning_has_no_weight() {
    let house = House::new();
    let tenant = house.tenant(Arc::new(policy()));
    assert_eq!(tenant.learn(labels(0..100), Vec::new()).await, None);
    let refused =
        tenant.ask(|reply| SteerWeight { order: WeightOrder::TakeBack, by: "admin".into(), reply }).await.unwrap_err();
    assert!(refused.detail.contains("settings.dense"), "{refused:?}");
}
