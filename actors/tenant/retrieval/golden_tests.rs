//! Golden questions of a rehearsal in the room, on a real vault: searched as each of the two policies would search.
use super::dense::KEY;
use super::embedder::down;
use super::fusion::Fusion;
use super::messages::{NewDocument, SearchGolden};
use super::test_house::{House, Tenant, named, policy};
use super::tests::security;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::dense::DenseSettings;
use bailiwick_policy::golden::Golden;
use bailiwick_policy::guard::Guard;
use bailiwick_policy::rehearsal::{GoldenSearch, SearchedBy};
use bailiwick_policy::schema::{SecurityRules, SelectionRules};
use std::collections::BTreeMap;
use std::sync::Arc;

fn settings() -> DenseSettings {
    DenseSettings {
        model: "embedder".into(),
        fusion: Fusion::MinMax,
        weight: 0.5,
        chunks_per_minute: 600_000,
        untested: true,
        learn: false,
    }
}

fn with(dense: Option<DenseSettings>) -> PolicySnapshot {
    PolicySnapshot { dense, ..policy() }
}

fn golden(question: &str) -> Golden {
    Golden { question: question.into(), answer: None, relevant: vec!["auto".into()], unanswerable: false }
}

fn by_words(reason: &str) -> SearchedBy {
    SearchedBy { meaning: false, reason: Some(reason.into()) }
}

const BY_MEANING: SearchedBy = SearchedBy { meaning: true, reason: None };

impl Tenant {
    /// Three documents with their vectors.
    async fn stocked(house: &House) -> Self {
        let tenant = house.tenant(Arc::new(with(Some(settings()))));
        let documents: Vec<NewDocument> = vec![
            named("auto", "The automobile is red."),
            named("bird", "An egret stands in the reeds."),
            named("bank", "Cash is kept in a vault."),
        ];
        tenant.ingest(documents).await.unwrap();
        tenant.settle().await;
        let dense = &tenant.desk.corpus.dense;
        dense.nudge();
        dense.stands(|standing| standing.pending == 0 && standing.indexed == 3 && standing.rounds > 0).await;
        tenant
    }

    async fn rehearsed(&self, after: PolicySnapshot, questions: &[&str]) -> GoldenSearch {
        let (before, after) = (Arc::clone(&self.policy), Arc::new(after));
        let golden = questions.iter().map(|question| golden(question)).collect();
        self.ask(|reply| SearchGolden { before, after, golden, reply }).await.unwrap()
    }
}

fn first(search: &GoldenSearch) -> (Option<&str>, Option<&str>) {
    let searched = &search.searched[0];
    (searched.before.first().map(String::as_str), searched.after.first().map(String::as_str))
}

#[actix::test]
async fn each_policy_is_rehearsed_by_the_searches_it_would_use() {
    let house = House::new();
    let tenant = Tenant::stocked(&house).await;
    let same = tenant.rehearsed(with(Some(settings())), &["car"]).await;
    assert_eq!(first(&same), (Some("auto"), Some("auto")), "no word of the question stands there");
    assert_eq!((same.before, same.after), (BY_MEANING, BY_MEANING));

    let forbidden = SecurityRules { forbidden_patterns: vec!["automobile".into()], ..security() };
    let guarded = PolicySnapshot { guard: Arc::new(Guard::compile(&forbidden).unwrap()), ..with(Some(settings())) };
    let kept_out = tenant.rehearsed(guarded, &["car"]).await;
    assert!(kept_out.searched[0].before.contains(&"auto".to_owned()), "{kept_out:?}");
    assert!(!kept_out.searched[0].after.contains(&"auto".to_owned()), "{kept_out:?}");

    let doubts = SelectionRules { trust_exponent: 0.0, question_repeated_min_trust: Some(1.0), alike_min_trust: None };
    let doubting = |trusted: SecurityRules| {
        let guard = Arc::new(Guard::compile(&SecurityRules { selection: Some(doubts), ..trusted }).unwrap());
        PolicySnapshot { guard, ..with(Some(settings())) }
    };
    let repeated = ["the automobile is red"];
    let doubted = tenant.rehearsed(doubting(security()), &repeated).await;
    assert_eq!(first(&doubted).0, Some("auto"));
    assert!(!doubted.searched[0].after.contains(&"auto".to_owned()), "it repeats the question: {doubted:?}");
    let trusting = SecurityRules { trust_scores: BTreeMap::new(), default_trust_score: 1.0, ..security() };
    let trusted = tenant.rehearsed(doubting(trusting), &repeated).await;
    assert_eq!(first(&trusted), (Some("auto"), Some("auto")), "as far as that policy trusts it");

    let without = tenant.rehearsed(with(None), &["car"]).await;
    assert_eq!(first(&without), (Some("auto"), None));
    assert_eq!(without.after, SearchedBy::default());

    // what another policy would have to be judged or embedded for first is not there when it comes into force
    let untried = DenseSettings { weight: 0.6, untested: false, ..settings() };
    let untried = tenant.rehearsed(with(Some(untried)), &["car"]).await;
    assert_eq!(first(&untried), (Some("auto"), None));
    assert!(untried.after.reason.unwrap().contains("run an evaluation"));
    let foreign = DenseSettings { model: "another".into(), ..settings() };
    let foreign = tenant.rehearsed(with(Some(foreign)), &["car"]).await;
    assert_eq!((foreign.before, foreign.after), (BY_MEANING, by_words("the passages have vectors of another model")));
}

#[actix::test]
async fn where_questions_cannot_be_embedded_all_are_searched_by_words_and_it_is_said() {
    let house = House::new();
    let tenant = Tenant::stocked(&house).await;
    let known = tenant.rehearsed(with(Some(settings())), &["car"]).await;
    assert_eq!(known.before, BY_MEANING);
    house.embedder.heard().refuses = Some(down());
    let searched = tenant.rehearsed(with(Some(settings())), &["car", "egret"]).await;
    let reason = by_words("the question was not embedded: the provider is down");
    assert_eq!((&searched.before, &searched.after), (&reason, &reason));
    let found: Vec<_> = searched.searched.iter().map(|searched| searched.before.clone()).collect();
    assert_eq!(
        found,
        [vec![], vec!["bird".to_owned()]],
        "also the one whose vector is known: half of each compares nothing"
    );
}

#[actix::test]
async fn questions_are_embedded_together_and_paid_for_by_the_index() {
    let house = House::new();
    let tenant = Tenant::stocked(&house).await;
    house.embedder.heard().calls.clear();
    let questions: Vec<String> = (0..40).map(|number| format!("car number {number}")).collect();
    let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
    let searched = tenant.rehearsed(with(Some(settings())), &questions).await;
    assert!(searched.searched.iter().all(|searched| searched.after.first().is_some_and(|first| first == "auto")));
    let lengths: Vec<_> = house.embedder.heard().calls.iter().map(|(by, texts)| (by.clone(), texts.len())).collect();
    assert_eq!(lengths, [(KEY.to_owned(), 32), (KEY.to_owned(), 8)], "for both policies, once");
}

#[actix::test]
async fn a_tenant_that_sleeps_is_rehearsed_by_meaning_all_the_same() {
    let house = House::new();
    let tenant = Tenant::stocked(&house).await;
    tenant.passivate().await;
    assert!(tenant.desk.corpus.dense.arm.load().is_none());
    let searched = tenant.rehearsed(with(Some(settings())), &["car"]).await;
    assert_eq!((first(&searched), &searched.before), ((Some("auto"), Some("auto")), &BY_MEANING));
}
