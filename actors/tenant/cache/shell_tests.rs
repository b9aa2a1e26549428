//! The cache through whole tenants: real vault, real rooms, a metered provider.
use super::messages::CacheState;
use crate::entry::Entry;
use crate::question::{Answer, CacheControl, Matter, Question, Reply, Search};
use crate::retrieval::messages::{NewDocument, RemoveDocument};
use crate::supervisor::fixtures::*;
use crate::supervisor::messages::{ReadLineage, Wishes};
use crate::turn::{Awaiting, ReplyLine};
use bailiwick_kernel::money::NanoUsd;

pub(super) const QUESTION: &str = "What is the codeword of the reading room?";

pub(super) fn library() -> Vec<NewDocument> {
    vec![
        document("reading-room", "The codeword of the reading room is amber."),
        document("cellar", "The codeword of the cellar is cobalt."),
    ]
}

pub(super) fn charged(tenant: &Tenant) -> Vec<u64> {
    let cost = |entry: Entry| if let Entry::AnswerRecorded(record) = entry { Some(record.usage.cost.0) } else { None };
    tenant.entries().into_iter().filter_map(cost).collect()
}

pub(super) async fn told(mut awaiting: Awaiting) -> (Reply, Option<CacheState>) {
    let reply = awaiting.reply_mut().await.unwrap();
    (reply, awaiting.cache())
}

pub(super) async fn answered(awaiting: Awaiting) -> (Answer, Option<CacheState>) {
    match told(awaiting).await {
        (Reply::Answer(answer), state) => (*answer, state),
        other => panic!("not an answer: {other:?}"),
    }
}

pub(super) async fn state_of(tenant: &Tenant, matter: Matter) -> Option<CacheState> {
    told(tenant.knock(matter)).await.1
}

pub(super) fn wishing(tenant: &Tenant, cache_control: CacheControl, matter: Matter) -> Awaiting {
    let wishes = Wishes { cache_control, ..Wishes::default() };
    tenant.knock_with(principal(), wishes, matter, ReplyLine::whole())
}

#[actix_rt::test]
async fn a_hit_costs_nothing_and_its_lineage_says_so() {
    let stage = Stage::new();
    stage.meter.release(10);
    let tenant = stage.start(1, &policy("default", caching)).with_documents(library()).await;
    let (first, miss) = answered(tenant.knock(question(QUESTION))).await;
    let (again, hit) = answered(tenant.knock(question(QUESTION))).await;
    assert_eq!((miss, hit, stage.meter.calls()), (Some(CacheState::Miss), Some(CacheState::Hit), 1));
    assert_eq!((&again.answer, &again.citations, again.usage.cost), (&first.answer, &first.citations, NanoUsd::ZERO));
    assert_eq!((again.usage.prompt_tokens, again.usage.completion_tokens), (0, 0));
    assert_eq!((again.model.provider.as_str(), again.model.name.as_str()), ("cache", "meter/metered"));
    assert_ne!((&again.query_id, &again.receipt), (&first.query_id, &first.receipt), "an answer of its own");
    let lineage = tenant
        .told(|reply| ReadLineage { query_id: again.query_id.clone(), principal: principal(), reply })
        .await
        .unwrap();
    assert_eq!(lineage.record.unwrap().usage.cost, NanoUsd::ZERO);
    assert_eq!(lineage.lines[0].agent_id, "cache/meter/metered");
    assert_eq!(lineage.lines[0].source_id, first.citations[0].document_id);
    assert_eq!(charged(&tenant), [UNIT_NANO_USD, 0]);
    let figures = tenant.figures().await.unwrap();
    assert_eq!((figures.budget.spent_month, figures.budget.held), (NanoUsd(UNIT_NANO_USD), NanoUsd::ZERO));
    assert_eq!((figures.counts.answered, figures.counts.prompt_tokens), (2, 100));
}

#[actix_rt::test]
async fn two_tenants_that_ask_the_same_never_meet() {
    let stage = Stage::new();
    stage.meter.release(100);
    let both = [1, 2].map(|number| stage.start(number, &policy("default", caching)));
    let [one, other] = both;
    let one = one.with_documents(library()).await;
    let other = other.with_documents(library()).await;
    let matters = || {
        let embed = serde_json::json!({"model": "metered", "input": "hello"});
        [question(QUESTION), chat("hello"), Matter::Embed(Box::new(embed))]
    };
    for tenant in [&one, &other] {
        for matter in matters() {
            assert_eq!(state_of(tenant, matter).await, Some(CacheState::Miss), "the other one's answer is not ours");
        }
    }
    assert_eq!(stage.meter.calls(), 6);
    for tenant in [&one, &other] {
        for matter in matters() {
            assert_eq!(state_of(tenant, matter).await, Some(CacheState::Hit));
        }
    }
    assert_eq!(stage.meter.calls(), 6);
}

#[actix_rt::test]
async fn whatever_changes_the_answer_is_a_miss() {
    let stage = Stage::new();
    stage.meter.release(100);
    let open = policy("default", caching);
    let tenant = stage.start(1, &open).with_documents(library()).await;
    let asked = || question(QUESTION);
    assert_eq!(state_of(&tenant, asked()).await, Some(CacheState::Miss));
    assert_eq!(state_of(&tenant, asked()).await, Some(CacheState::Hit));
    let filters = Question { text: QUESTION.into(), top_k: Some(1), ..Question::default() };
    assert_eq!(state_of(&tenant, Matter::Ask(filters)).await, Some(CacheState::Miss), "other filters");
    assert_eq!(state_of(&tenant, chat(QUESTION)).await, Some(CacheState::Miss), "another kind");
    assert_eq!(state_of(&tenant, chat(QUESTION)).await, Some(CacheState::Hit));
    let mut longer = chat(QUESTION);
    if let Matter::Chat(chat) = &mut longer {
        chat.body["max_tokens"] = serde_json::json!(51);
    }
    assert_eq!(state_of(&tenant, longer).await, Some(CacheState::Miss), "another body");

    tenant.ingest(vec![document("reading-room", "The codeword of the reading room is jade.")]).await.unwrap();
    eventually("the new version is found", async || {
        let search = Search { query: "codeword of the reading room".into(), ..Search::default() };
        let Ok(Reply::Hits(hits)) = tenant.knock(Matter::Search(search)).reply().await else { return false };
        hits.iter().any(|hit| hit.text.contains("jade"))
    })
    .await;
    let (answer, state) = answered(tenant.knock(asked())).await;
    assert!(state == Some(CacheState::Miss) && answer.answer.contains("jade"), "a changed document: {answer:?}");
    let removal = |reply| RemoveDocument { id: "reading-room".into(), principal: principal(), reply };
    tenant.told(removal).await.unwrap();
    let (answer, state) = answered(tenant.knock(asked())).await;
    assert!(state == Some(CacheState::Miss) && !answer.answer.contains("jade"), "a removed document: {answer:?}");
    assert_eq!(state_of(&tenant, asked()).await, Some(CacheState::Hit));

    let stricter = policy("default", |texts| {
        caching(texts);
        edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", "policy_semver: 2.0.0");
    });
    tenant.adopt(&stricter).await.unwrap();
    assert_eq!(state_of(&tenant, asked()).await, Some(CacheState::Miss), "another policy");
    tenant.adopt(&open).await.unwrap();
    assert_eq!(state_of(&tenant, asked()).await, Some(CacheState::Miss), "what was known before it is forgotten");
    tenant.clock.advance(60_000);
    assert_eq!(state_of(&tenant, asked()).await, Some(CacheState::Miss), "its time is over");
    tenant.close().await;
    let tenant = stage.start(1, &open);
    assert_eq!(state_of(&tenant, asked()).await, Some(CacheState::Miss), "another incarnation");
}

#[actix_rt::test]
async fn an_asker_may_want_it_fresh() {
    let stage = Stage::new();
    stage.meter.release(100);
    let tenant = stage.start(1, &policy("default", caching));
    let state = async |wish| told(wishing(&tenant, wish, chat("hello"))).await.1;
    assert_eq!(state(CacheControl::NoStore).await, Some(CacheState::Bypass));
    assert_eq!(state(CacheControl::Default).await, Some(CacheState::Miss), "it was not remembered");
    let (first, _) = told(wishing(&tenant, CacheControl::NoCache, chat("hello"))).await;
    let Reply::Completion(first) = first else { panic!("a completion") };
    assert_eq!((stage.meter.calls(), first.model.provider.as_str()), (3, "meter"), "answered anew …");
    assert_eq!(state(CacheControl::Default).await, Some(CacheState::Hit), "… and remembered");
    assert_eq!(stage.meter.calls(), 3);
}

#[actix_rt::test]
async fn without_the_section_nothing_is_remembered() {
    let stage = Stage::new();
    stage.meter.release(10);
    let tenant = stage.start(1, &policy("default", metered));
    for calls in 1..=2 {
        assert_eq!(state_of(&tenant, chat("hello")).await, None);
        assert_eq!(stage.meter.calls(), calls);
    }
}

#[actix_rt::test]
async fn a_hit_needs_no_money() {
    let stage = Stage::new();
    stage.meter.release(10);
    let poor = policy("default", |texts| {
        caching(texts);
        edit(texts, "router.yaml", "daily_limit_usd: 1000", "daily_limit_usd: 0.0000004");
        edit(texts, "router.yaml", "monthly_limit_usd: 31000", "monthly_limit_usd: 0.000004");
    });
    let tenant = stage.start(1, &poor);
    assert_eq!(state_of(&tenant, chat("hello")).await, Some(CacheState::Miss));
    assert!(tenant.knock(chat("other")).reply().await.is_err(), "the budget is used up");
    assert_eq!(state_of(&tenant, chat("hello")).await, Some(CacheState::Hit));
}

#[actix_rt::test]
async fn a_dead_room_takes_its_answers_with_it() {
    let stage = Stage::new();
    stage.meter.release(10);
    let tenant = stage.start(1, &policy("default", caching));
    assert_eq!(state_of(&tenant, chat("hello")).await, Some(CacheState::Miss));
    assert!(tenant.provoke("cache").await);
    eventually("the rooms are rebuilt", async || {
        let view = tenant.view().await;
        view.restarts == 1 && view.state == "serving"
    })
    .await;
    assert_eq!(state_of(&tenant, chat("hello")).await, Some(CacheState::Miss));
}
