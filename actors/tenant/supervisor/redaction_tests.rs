//! What a rule has taken out of words is in no answer, citation, hit or record.
use super::fixtures::*;
use super::messages::ReadLineage;
use crate::question::{Matter, Reply, Search};
use bailiwick_policy::parse::FileTexts;

const TEXT: &str = "The warden of the archive is Anna Berg, who answers mail to anna.berg@archive.example every day.";

fn redacting(texts: &mut FileTexts) {
    let rule = "rules:\n  - id: no-addresses\n    effect: require\n    actions: [ask, search, complete]\n    when: { user.role: platform }\n    \
                obligation: { redact: [email] }\n";
    edit(texts, "policies/governance.yaml", "rules:\n", rule);
}

#[actix_rt::test]
async fn an_address_is_in_nothing_that_is_told() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", redacting)).with_documents(vec![document("warden", TEXT)]).await;
    let answer = tenant.ask("Who is the warden of the archive, and how is she reached by mail?").await.unwrap();
    assert!(answer.answer.contains("<email>") && !answer.answer.contains('@'), "{}", answer.answer);
    assert!(answer.citations.iter().all(|citation| !citation.snippet.contains('@')), "{:?}", answer.citations);
    let query_id = answer.query_id.clone();
    let lineage = tenant.told(|reply| ReadLineage { query_id, principal: principal(), reply }).await.unwrap();
    assert_eq!(lineage.record.unwrap().answer, answer.answer, "what is recorded is what was told");
    let search = Search { query: "warden archive mail".into(), top_k: None, domain: None, usecase: None };
    let Reply::Hits(hits) = tenant.knock(Matter::Search(search)).reply().await.unwrap() else {
        panic!("a search finds")
    };
    assert!(hits[0].text.contains("<email>") && !hits[0].text.contains('@'), "{hits:?}");
}

#[actix_rt::test]
async fn an_address_is_in_no_completion() {
    let stage = Stage::new();
    let tenant = stage.start(
        1,
        &policy("default", |texts| {
            metered(texts);
            redacting(texts);
        }),
    );
    stage.meter.release(1);
    let Reply::Completion(completion) =
        tenant.knock(chat("Echo anna.berg@archive.example to me")).reply().await.unwrap()
    else {
        panic!("a completion")
    };
    let body = completion.body.to_string();
    assert!(body.contains("<email>") && !body.contains('@'), "{body}");
}
