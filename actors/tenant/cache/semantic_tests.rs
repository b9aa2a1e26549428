//! The semantic cache through whole tenants: real vault, real rooms, a metered provider that embeds words as words.
use super::messages::CacheState::{self, Bypass, Hit, Miss, SemanticHit};
use super::shell_tests::{QUESTION, answered, charged, library, state_of, told, wishing};
use crate::entry::Entry;
use crate::question::{CacheControl, Matter, Question, Reply, Search};
use crate::retrieval::messages::RemoveDocument;
use crate::supervisor::fixtures::*;
use crate::supervisor::messages::ReadLineage;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::sovereignty::Region;

/// Nine tenths of the words of [`QUESTION`].
const PARAPHRASE: &str = "What is the codeword for the reading room?";
/// Less than eighty-five of a hundred.
const OTHER: &str = "What is the codeword of the cellar?";
/// What embedding eight words costs.
const EIGHT_WORDS: u64 = 8 * WORD_NANO_USD;

fn asked(text: &str, domain: Option<&str>, top_k: Option<usize>) -> Matter {
    Matter::Ask(Question { text: text.into(), domain: domain.map(str::to_owned), top_k, ..Question::default() })
}

async fn states(tenant: &Tenant, questions: &[&str]) -> Vec<Option<CacheState>> {
    let mut states = Vec::new();
    for text in questions {
        states.push(state_of(tenant, question(text)).await);
    }
    states
}

#[actix_rt::test]
async fn the_same_meaning_is_answered_for_the_price_of_its_embedding() {
    let stage = Stage::new();
    stage.meter.release(10);
    let tenant = stage.start(1, &policy("default", understanding)).with_documents(library()).await;
    let (first, miss) = answered(tenant.knock(question(QUESTION))).await;
    let (again, hit) = answered(tenant.knock(question(PARAPHRASE))).await;
    assert_eq!((miss, hit, stage.meter.calls(), stage.meter.embedded()), (Some(Miss), Some(SemanticHit), 1, 2));
    assert_eq!((&again.answer, &again.citations), (&first.answer, &first.citations));
    assert_eq!(first.usage.cost, NanoUsd(UNIT_NANO_USD + EIGHT_WORDS), "the answer and its embedding");
    assert_eq!(again.usage.cost, NanoUsd(EIGHT_WORDS), "the embedding alone");
    assert_eq!((again.usage.prompt_tokens, again.usage.completion_tokens), (8, 0));
    assert_eq!((again.model.provider.as_str(), again.model.name.as_str()), ("cache", "meter/metered"));
    assert_eq!(charged(&tenant), [UNIT_NANO_USD + EIGHT_WORDS, EIGHT_WORDS], "once each");
    let lineage = tenant
        .told(|reply| ReadLineage { query_id: again.query_id.clone(), principal: principal(), reply })
        .await
        .unwrap();
    assert_eq!(lineage.lines[0].source_id, first.citations[0].document_id);
    let figures = tenant.figures().await.unwrap();
    let spent = NanoUsd(UNIT_NANO_USD + 2 * EIGHT_WORDS);
    assert_eq!((figures.budget.spent_month, figures.budget.held), (spent, NanoUsd::ZERO));
    assert_eq!((figures.counts.answered, figures.counts.prompt_tokens), (2, 116));
    let apart = apart(&tenant);
    assert_eq!(apart.len(), 2);
    assert!(apart.iter().all(|(model, cost)| model == EMBEDDER && *cost == EIGHT_WORDS), "whose invoice it is on");
    let (_, far) = answered(tenant.knock(question(OTHER))).await;
    assert_eq!((far, stage.meter.calls()), (Some(Miss), 2), "below the threshold it is answered anew");
}

/// What embeddings took, by the model that embedded.
fn apart(tenant: &Tenant) -> Vec<(String, u64)> {
    let apart = |entry: Entry| {
        if let Entry::EmbeddingCharged(embedding) = entry { Some((embedding.model, embedding.charged.0)) } else { None }
    };
    tenant.entries().into_iter().filter_map(apart).collect()
}

#[actix_rt::test]
async fn two_tenants_never_share_a_meaning() {
    let stage = Stage::new();
    stage.meter.release(10);
    let [one, other] = [1, 2].map(|number| stage.start(number, &policy("default", understanding)));
    let (one, other) = (one.with_documents(library()).await, other.with_documents(library()).await);
    assert_eq!(states(&one, &[QUESTION, PARAPHRASE]).await, [Some(Miss), Some(SemanticHit)]);
    assert_eq!(states(&other, &[QUESTION, PARAPHRASE]).await, [Some(Miss), Some(SemanticHit)]);
    assert_eq!(stage.meter.calls(), 2);
}

#[actix_rt::test]
async fn whatever_keeps_questions_apart_is_a_miss() {
    let stage = Stage::new();
    stage.meter.release(100);
    let open = policy("default", understanding);
    let mut documents = library();
    documents.iter_mut().for_each(|document| document.domain = Some("house".into()));
    let tenant = stage.start(1, &open).with_documents(documents).await;
    assert_eq!(states(&tenant, &[QUESTION, PARAPHRASE]).await, [Some(Miss), Some(SemanticHit)]);
    let house = || asked(PARAPHRASE, Some("house"), None);
    assert_eq!(state_of(&tenant, house()).await, Some(Miss), "another domain, although it finds the same passages");
    assert_eq!(state_of(&tenant, house()).await, Some(SemanticHit));
    assert_eq!(state_of(&tenant, asked(QUESTION, None, Some(1))).await, Some(Miss), "another number of passages");
    assert_eq!(state_of(&tenant, chat(QUESTION)).await, None, "another kind is not looked up");
    let changes: [fn(&mut FileTexts); 2] = [
        |texts| edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", "policy_semver: 2.0.0"),
        |texts| edit(texts, "router.yaml", "max_tokens: 512", "max_tokens: 511"),
    ];
    for change in changes {
        let changed = policy("default", |texts| {
            understanding(texts);
            change(texts);
        });
        tenant.adopt(&changed).await.unwrap();
        assert_eq!(states(&tenant, &[PARAPHRASE, QUESTION]).await, [Some(Miss), Some(SemanticHit)], "another policy");
    }
    tenant.adopt(&open).await.unwrap();
    assert_eq!(states(&tenant, &[PARAPHRASE]).await, [Some(Miss)], "what was known before it is forgotten");
    tenant.clock.advance(60_000);
    assert_eq!(states(&tenant, &[QUESTION]).await, [Some(Miss)], "its time is over");
    assert!(tenant.provoke("cache").await);
    eventually("the rooms are rebuilt", async || {
        let view = tenant.view().await;
        view.restarts == 1 && view.state == "serving"
    })
    .await;
    assert_eq!(states(&tenant, &[PARAPHRASE]).await, [Some(Miss)], "a dead room takes its answers with it");
}

#[actix_rt::test]
async fn an_answer_never_outlives_what_it_cites() {
    let stage = Stage::new();
    stage.meter.release(100);
    let tenant = stage.start(1, &policy("default", understanding)).with_documents(library()).await;
    assert_eq!(states(&tenant, &[QUESTION, PARAPHRASE]).await, [Some(Miss), Some(SemanticHit)]);
    tenant.ingest(vec![document("reading-room", "The codeword of the reading room is jade.")]).await.unwrap();
    eventually("the new version is found", async || {
        let search = Search { query: "codeword of the reading room".into(), ..Search::default() };
        let Ok(Reply::Hits(hits)) = tenant.knock(Matter::Search(search)).reply().await else { return false };
        hits.iter().any(|hit| hit.text.contains("jade"))
    })
    .await;
    let (changed, state) = answered(tenant.knock(question(PARAPHRASE))).await;
    assert!(state == Some(Miss) && changed.answer.contains("jade"), "a changed document: {changed:?}");
    let removal = |reply| RemoveDocument { id: "reading-room".into(), principal: principal(), reply };
    tenant.told(removal).await.unwrap();
    let (removed, state) = answered(tenant.knock(question(QUESTION))).await;
    assert_eq!(state, Some(Miss));
    assert!(!removed.answer.contains("amber") && !removed.answer.contains("jade"), "a removed document: {removed:?}");
    assert!(removed.citations.iter().all(|citation| citation.document_id == "cellar"));
}

#[actix_rt::test]
async fn what_was_embedded_is_charged_whatever_comes_of_it() {
    let stage = Stage::new();
    stage.meter.release(100);
    let alone = policy("default", |texts| {
        understanding(texts);
        let router = texts.get_mut("router.yaml").unwrap();
        let (start, end) = (router.find("  fallback:"), router.find("\nsla:").unwrap());
        router.replace_range(start.map_or(end..end, |start| start..end), "");
    });
    let tenant = stage.start(1, &alone).with_documents(library()).await;
    for (words, calls, cost) in [(NOT_EMBEDDED, 1, UNIT_NANO_USD), (FALLS_OVER, 2, UNIT_NANO_USD + EIGHT_WORDS)] {
        let text = format!("{words} of codeword of the reading room");
        let (answer, state) = answered(tenant.knock(question(&text))).await;
        assert_eq!((state, stage.meter.calls()), (Some(Miss), calls), "no embedding is a miss, not an error");
        assert_eq!(answer.usage.cost, NanoUsd(cost), "{words}");
    }
    let text = format!("{NOT_ANSWERED} of codeword of the reading room");
    let (reply, _) = refused(&tenant, &text).await;
    assert_eq!(reply, Code::UpstreamFailed, "the asker is told what failed");
    assert_eq!(charged(&tenant), [UNIT_NANO_USD, UNIT_NANO_USD + EIGHT_WORDS, EIGHT_WORDS]);
    let figures = tenant.figures().await.unwrap();
    let spent = NanoUsd(2 * (UNIT_NANO_USD + EIGHT_WORDS));
    assert_eq!((figures.budget.spent_month, figures.budget.held), (spent, NanoUsd::ZERO));
}

async fn refused(tenant: &Tenant, text: &str) -> (Code, Option<CacheState>) {
    let mut awaiting = tenant.knock(question(text));
    let refusal = awaiting.reply_mut().await.unwrap_err();
    (refusal.code, awaiting.cache())
}

fn holds(tenant: &Tenant) -> Vec<u64> {
    let amount = |entry: Entry| if let Entry::HoldTaken(hold) = entry { Some(hold.amount.0) } else { None };
    tenant.entries().into_iter().filter_map(amount).collect()
}

/// Holds with a record of their own, and so much for a day.
fn strictly(daily: u64, change: impl Fn(&mut FileTexts)) -> std::sync::Arc<bailiwick_policy::compile::PolicySnapshot> {
    policy("default", |texts| {
        change(texts);
        let limit = format!("holds: strict\n  daily_limit_usd: \"{}\"", NanoUsd(daily));
        edit(texts, "router.yaml", "daily_limit_usd: 1000", &limit);
    })
}

#[actix_rt::test]
async fn an_embedding_is_held_for_before_it_is_called_or_not_called() {
    const PLENTY: u64 = 1_000_000_000;
    let stage = Stage::new();
    stage.meter.release(100);
    let plain = stage.start(1, &strictly(PLENTY, metered)).with_documents(library()).await;
    assert_eq!(state_of(&plain, question(QUESTION)).await, None);
    let looking = stage.start(2, &strictly(PLENTY, understanding)).with_documents(library()).await;
    assert_eq!(state_of(&looking, question(QUESTION)).await, Some(Miss));
    let (answer, both) = (holds(&plain)[0], holds(&looking)[0]);
    let worst = (u64::try_from(QUESTION.len()).unwrap() + 8) * WORD_NANO_USD;
    assert_eq!(both, answer + worst, "a token for every byte of the question");
    assert_eq!(stage.meter.embedded(), 1);

    let short = stage.start(3, &strictly(both - 1, understanding)).with_documents(library()).await;
    let (told, state) = answered(short.knock(question(QUESTION))).await;
    assert_eq!((state, stage.meter.embedded()), (Some(Miss), 1), "not held for, so not called");
    assert_eq!((told.usage.cost, holds(&short)), (NanoUsd(UNIT_NANO_USD), vec![answer]), "and answered all the same");
    let enough = stage.start(4, &strictly(both, understanding)).with_documents(library()).await;
    assert_eq!((state_of(&enough, question(QUESTION)).await, stage.meter.embedded()), (Some(Miss), 2));
}

#[actix_rt::test]
async fn no_region_is_reached_that_sovereignty_forbids() {
    let stage = Stage::at(Region::named("eu-central-1").unwrap());
    stage.meter.release(100);
    let elsewhere = policy("default", |texts| {
        understanding(texts);
        edit(texts, "router.yaml", "provider: meter\n    model: metered", "provider: extractive\n    model: sentences");
        edit(texts, "tenant.yaml", "region: eu-west-1", "region: eu-central-1");
        edit(texts, "data-sovereignty.yaml", "region: eu-west-1", "region: eu-central-1");
        edit(texts, "data-sovereignty.yaml", "forbidden_regions:\n", "forbidden_regions:\n    - eu-west-1\n");
    });
    let tenant = stage.start(1, &elsewhere).with_documents(library()).await;
    let (answer, state) = answered(tenant.knock(question(QUESTION))).await;
    assert_eq!((state, stage.meter.embedded(), answer.usage.cost), (Some(Miss), 0, NanoUsd::ZERO));
}

#[actix_rt::test]
async fn an_asker_may_want_it_fresh() {
    let stage = Stage::new();
    stage.meter.release(100);
    let tenant = stage.start(1, &policy("default", understanding)).with_documents(library()).await;
    let state = async |wish, text| told(wishing(&tenant, wish, question(text))).await.1;
    assert_eq!(state(CacheControl::NoStore, QUESTION).await, Some(Bypass));
    assert_eq!(stage.meter.embedded(), 0, "what is not looked up is not embedded");
    assert_eq!(state(CacheControl::Default, QUESTION).await, Some(Miss), "it was not remembered");
    assert_eq!(state(CacheControl::NoCache, PARAPHRASE).await, Some(Bypass));
    assert_eq!((stage.meter.calls(), stage.meter.embedded()), (3, 2), "answered anew …");
    assert_eq!(state(CacheControl::Default, PARAPHRASE).await, Some(SemanticHit), "… and remembered");
    assert_eq!(stage.meter.calls(), 3);
}

#[actix_rt::test]
async fn the_same_words_are_known_without_an_embedding_where_both_caches_are_wanted() {
    let stage = Stage::new();
    stage.meter.release(100);
    let both = policy("default", |texts| {
        understanding(texts);
        edit(texts, "router.yaml", "\ncache:\n", "\ncache:\n  exact:\n    ttl_s: 60\n    max_bytes: 1048576\n");
    });
    let tenant = stage.start(1, &both).with_documents(library()).await;
    let told = states(&tenant, &[QUESTION, QUESTION, PARAPHRASE, PARAPHRASE]).await;
    assert_eq!(told, [Some(Miss), Some(Hit), Some(SemanticHit), Some(SemanticHit)]);
    assert_eq!((stage.meter.calls(), stage.meter.embedded()), (1, 3));
    assert_eq!(state_of(&tenant, chat("hello")).await, Some(Miss));
    assert_eq!(state_of(&tenant, chat("hello")).await, Some(Hit));
}

#[actix_rt::test]
async fn nothing_is_paid_to_look_up_what_no_passage_supports() {
    let stage = Stage::new();
    stage.meter.release(100);
    let tenant = stage.start(1, &policy("default", understanding)).with_documents(library()).await;
    assert_eq!(states(&tenant, &["Xylophone?", "Xylophone?"]).await, [Some(Miss), Some(Miss)]);
    assert_eq!(stage.meter.embedded(), 0);
}

#[actix_rt::test]
async fn a_provider_that_cannot_embed_still_answers() {
    let stage = Stage::new();
    stage.meter.release(100);
    let tenant = stage.start(1, &policy("default", understanding)).with_documents(library()).await;
    for number in 1..=40 {
        let (answer, state) = answered(tenant.knock(question(&format!("{NOT_EMBEDDED} of codeword {number}")))).await;
        assert_eq!((state, stage.meter.calls()), (Some(Miss), number));
        assert_eq!(answer.model.provider, "meter");
    }
    assert_eq!(stage.meter.embedded(), 5, "embedding rests, answering does not");
}

#[actix_rt::test]
async fn an_embedding_that_does_not_come_leaves_time_to_answer() {
    let stage = Stage::new();
    stage.meter.release(100);
    let tenant = stage.start(1, &policy("default", understanding)).with_documents(library()).await;
    let endless = question(&format!("The codeword {WITHOUT_END}?"));
    // the tenant's clock stands still: what passes is the part of the deadline a lookup may use
    let waiting = answered(tenant.knock_within(400, endless));
    let (answer, state) = in_time("the question is answered without", waiting).await;
    assert_eq!((state, stage.meter.embedded(), answer.usage.cost), (Some(Miss), 1, NanoUsd(UNIT_NANO_USD)));
    assert_eq!(tenant.figures().await.unwrap().budget.held, NanoUsd::ZERO);
}

#[actix_rt::test]
async fn a_large_store_is_searched_as_well() {
    const QUESTIONS: u64 = 100;
    const { assert!(QUESTIONS * (1_024 + 4 * 512) > 256 << 10, "off the reactor") }
    let stage = Stage::new();
    stage.meter.release(200);
    let tenant = stage.start(1, &policy("default", understanding)).with_documents(library()).await;
    let nth =
        |number: u64, end: &str| question(&format!("codeword a{number} b{number} c{number} d{number} e{number} {end}"));
    for number in 1..=QUESTIONS {
        assert_eq!(state_of(&tenant, nth(number, "one")).await, Some(Miss), "{number}");
    }
    for number in [1, 50, QUESTIONS] {
        assert_eq!(state_of(&tenant, nth(number, "one one")).await, Some(SemanticHit), "{number}");
    }
    assert_eq!(stage.meter.calls(), QUESTIONS);
}
