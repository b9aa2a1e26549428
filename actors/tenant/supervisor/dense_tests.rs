//! Passages found by words and meaning in a whole tenant: whose money and leave embeds them, and what stands in the journal.
use super::fixtures::*;
use super::messages::ReadLineage;
use crate::entry::{AnswerRecorded, Entry, PassagesFound};
use crate::question::{Matter, Search};
use crate::retrieval::dense::KEY as INDEXER;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::parse::FileTexts;
use std::sync::Arc;

/// Passages are found by their meaning too, before anybody has judged that.
fn by_meaning(texts: &mut FileTexts) {
    metered(texts);
    edit(texts, "policies/governance.yaml", "allowed_models: []", "allowed_models: [embedder]");
    let settings = "settings:\n  dense: { model: embedder, untested: true, chunks_per_minute: 600000 }\n";
    edit(texts, "policies/retrieval.yaml", "settings:\n", settings);
}

fn dense(change: impl FnOnce(&mut FileTexts)) -> Arc<PolicySnapshot> {
    policy("default", |texts| {
        by_meaning(texts);
        change(texts);
    })
}

impl Tenant {
    async fn embedded(&self, passages: u64) {
        eventually("every passage has its vector", async || {
            let search = Search { query: "codeword".into(), ..Search::default() };
            drop(self.knock(Matter::Search(search)).reply().await);
            self.figures().await.is_ok_and(|figures| {
                figures
                    .corpus
                    .dense
                    .is_some_and(|dense| dense.in_force && (dense.indexed, dense.pending) == (passages, 0))
            })
        })
        .await;
    }

    fn embeddings(&self, key: &str) -> Vec<AnswerRecorded> {
        let of_key = |entry| match entry {
            Entry::AnswerRecorded(answer) if answer.kind == "embed" && answer.key_id == key => Some(*answer),
            _ => None,
        };
        self.entries().into_iter().filter_map(of_key).collect()
    }

    fn passages_found(&self, query_id: &str) -> PassagesFound {
        let of_question = |entry| match entry {
            Entry::PassagesFound(found) if found.query_id == query_id => Some(*found),
            _ => None,
        };
        self.entries().into_iter().find_map(of_question).unwrap()
    }
}

#[actix::test]
async fn passages_and_questions_are_embedded_with_the_tenants_money_under_keys_of_their_own() {
    let stage = Stage::new();
    stage.meter.release(10);
    let tenant = stage.start(1, &dense(|_| ()));
    let tenant = tenant.with_documents(vec![document("d1", "The codeword is heron."), document("d2", "Otters.")]).await;
    tenant.embedded(2).await;
    let before = tenant.embeddings(INDEXER);
    let tokens: u64 = before.iter().map(|record| record.usage.prompt_tokens).sum();
    assert_eq!(tokens, 11, "a title of three words and the words of each: {before:?}");
    assert!(before.iter().all(|record| record.usage.cost.0 == record.usage.prompt_tokens * WORD_NANO_USD));

    let answer = tenant.ask("Which is the codeword?").await.unwrap();
    let found = tenant.passages_found(&answer.query_id);
    assert_eq!((found.hybrid, &found.reason), (true, &None));
    let (query_id, principal) = (answer.query_id.clone(), principal());
    let lineage = tenant.told(|reply| ReadLineage { query_id, principal, reply }).await.unwrap();
    assert_eq!(lineage.found, Some(found));
    let asked = tenant.embeddings("key");
    let words: Vec<u64> = asked.iter().map(|record| record.usage.prompt_tokens).collect();
    assert_eq!(words.last(), Some(&4), "the question, by whoever asked it: {words:?}");
    let figures = tenant.figures().await.unwrap();
    let embedded: u64 = before.iter().chain(&asked).map(|record| record.usage.cost.0).sum();
    assert_eq!(figures.budget.books.spent.0, UNIT_NANO_USD + embedded, "each call is charged once");
    assert_eq!(figures.budget.held.0, 0);
}

#[actix::test]
async fn a_ceiling_of_the_indexers_key_stops_the_indexing_and_nothing_else() {
    let stage = Stage::new();
    stage.meter.release(10);
    let ceiling = |texts: &mut FileTexts| {
        let rule = "budget:\n  ceilings: [{level: key, name: dense-index, window: month, limit_usd: 0.000000001}]\n";
        edit(texts, "router.yaml", "budget:\n", rule);
    };
    let tenant = stage.start(1, &dense(ceiling));
    let tenant = tenant.with_documents(vec![document("d1", "The codeword is heron.")]).await;
    eventually("the ceiling is told", async || {
        let figures = tenant.figures().await.unwrap().corpus.dense.unwrap();
        figures.pending == 1 && figures.reason.is_some_and(|reason| reason.contains("dense-index"))
    })
    .await;
    assert_eq!(stage.meter.embedded(), 0, "nothing is called that nothing is held for");
    assert!(!tenant.ask("Which is the codeword?").await.unwrap().abstained);
}

#[actix::test]
async fn nothing_is_embedded_where_the_lists_forbid_and_questions_are_answered_by_words() {
    let stage = Stage::new();
    // the model runs in eu-west-1, and answers come from the node itself
    let at_home = |texts: &mut FileTexts| {
        edit(texts, "router.yaml", "provider: meter\n    model: metered", "provider: extractive\n    model: sentences");
        edit(texts, "data-sovereignty.yaml", "    - eu-west-1\n", "");
        edit(texts, "data-sovereignty.yaml", "region: eu-west-1", "region: eu-central-1");
        edit(texts, "tenant.yaml", "region: eu-west-1", "region: eu-central-1");
    };
    let tenant = stage.start(1, &dense(at_home));
    let tenant = tenant.with_documents(vec![document("d1", "The codeword is heron.")]).await;
    eventually("the lists are told", async || {
        let figures = tenant.figures().await.unwrap().corpus.dense.unwrap();
        figures.pending == 1 && figures.reason.is_some_and(|reason| reason.contains("eu-west-1"))
    })
    .await;
    let answer = tenant.ask("Which is the codeword?").await.unwrap();
    assert!(!answer.abstained);
    let found = tenant.passages_found(&answer.query_id);
    assert!(!found.hybrid && found.reason.unwrap().contains("eu-west-1"));
    assert_eq!(stage.meter.embedded(), 0);
}

#[actix::test]
async fn a_question_that_has_the_tenants_only_place_is_embedded_beside_it() {
    let stage = Stage::new();
    stage.meter.release(10);
    let one_place = |texts: &mut FileTexts| {
        edit(texts, "tenant.yaml", "max_concurrent_requests: 256", "max_concurrent_requests: 1");
    };
    let tenant = stage.start(1, &dense(one_place));
    let tenant = tenant.with_documents(vec![document("d1", "The codeword is heron.")]).await;
    tenant.embedded(1).await;
    let answer = tenant.ask("Which is the codeword?").await.unwrap();
    assert!(tenant.passages_found(&answer.query_id).hybrid);
    tenant.close().await;
}

#[actix::test]
async fn a_model_that_is_not_allowed_is_not_called() {
    let stage = Stage::new();
    let unlisted = |texts: &mut FileTexts| {
        edit(texts, "policies/governance.yaml", "allowed_models: [embedder]", "allowed_models: []");
    };
    let tenant = stage.start(1, &dense(unlisted));
    let tenant = tenant.with_documents(vec![document("d1", "The codeword is heron.")]).await;
    eventually("the rule is told", async || {
        let figures = tenant.figures().await.unwrap().corpus.dense.unwrap();
        figures.reason.is_some_and(|reason| reason.contains("allowed_models"))
    })
    .await;
    assert_eq!(stage.meter.embedded(), 0);
    let refused =
        tenant.knock(Matter::Embed(Box::new(serde_json::json!({"model": "embedder", "input": "x"})))).reply().await;
    assert_eq!(refused.unwrap_err().code, Code::PolicyDenied, "as anybody's call to it");
}
