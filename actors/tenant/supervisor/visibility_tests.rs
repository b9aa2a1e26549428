//! Who may find which documents: the rules of `retrieve`, inside the query, in lists and where one is shown.
use super::fixtures::*;
use super::messages::*;
use crate::question::{Matter, Reply, Search};
use crate::retrieval::messages::{ListDocuments, NewDocument, ShowDocument};
use crate::turn::ReplyLine;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;

/// Personnel files are for the personnel department; drafts are for nobody.
fn walls() -> Arc<PolicySnapshot> {
    policy("acme-corp", |texts| {
        let rules = "  - id: personnel-files\n    effect: forbid\n    actions: [retrieve]\n    when:\n      - document.domain: hr*\n      \
                     - not:\n          all:\n            - user.attributes.department: { present: true }\n            \
                     - user.attributes.department: privacy\n    overrides: [members-work]\n  \
                     - id: drafts\n    effect: forbid\n    actions: [retrieve]\n    when: { document.usecase: draft }\n    \
                     overrides: [members-work]\n\nmetadata:\n";
        edit(texts, "policies/governance.yaml", "metadata:\n", rules);
    })
}

fn about(id: &str, domain: &str, usecase: &str) -> NewDocument {
    let text = format!("The codeword of {id} is heron; herons stand in shallow water.");
    NewDocument { domain: Some(domain.into()), usecase: Some(usecase.into()), ..document(id, &text) }
}

fn user(id: &str) -> Principal {
    Principal {
        key_id: "key".into(),
        user_id: Some(id.into()),
        role: Some(Role::Admin),
        attributes: Default::default(),
    }
}

async fn found(tenant: &Tenant, principal: &Principal) -> Vec<String> {
    let search = Matter::Search(Search { query: "codeword heron".into(), top_k: Some(10), ..Search::default() });
    let reply = tenant.knock_as(principal.clone(), None, search, ReplyLine::whole()).reply().await.unwrap();
    let Reply::Hits(hits) = reply else { panic!("no hits") };
    let mut ids: Vec<_> = hits.iter().map(|hit| hit.document_id.clone()).collect();
    ids.sort();
    ids
}

async fn listed(tenant: &Tenant, principal: &Principal, limit: usize) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let list = |reply| ListDocuments { after: after.clone(), limit, principal: principal.clone(), reply };
        let page: Vec<String> = tenant.told(list).await.unwrap().into_iter().map(|view| view.id).collect();
        after = page.last().cloned();
        let is_last = page.len() < limit;
        ids.extend(page);
        if is_last {
            return ids;
        }
    }
}

#[actix_rt::test]
async fn nobody_finds_what_the_rules_keep_from_them() {
    let stage = Stage::new();
    let documents = vec![
        about("ward", "care", "patients"),
        about("pay", "hr", "salaries"),
        about("leave", "hr-general", "salaries"),
        about("plan", "care", "draft"),
        about("secret", "hr", "draft"),
        about("zoo", "care", "patients"),
    ];
    let tenant = stage.start(1, &walls()).with_documents(documents).await;
    let (ben, chiara) = (user("ben"), user("chiara"));
    for (who, expected) in [
        (&ben, vec!["leave", "pay", "ward", "zoo"]),
        (&chiara, vec!["ward", "zoo"]),
        (&principal(), vec!["ward", "zoo"]),
    ] {
        assert_eq!(found(&tenant, who).await, expected);
        for limit in [1, 2, 10] {
            let mut listed = listed(&tenant, who, limit).await;
            listed.sort();
            assert_eq!(listed, expected, "pages of {limit}");
        }
    }
    let shown = async |who: &Principal, id: &str| {
        let show = |reply| ShowDocument { id: id.into(), principal: who.clone(), reply };
        tenant.told(show).await.map(|(view, _)| view.id).map_err(|rejection| rejection.code)
    };
    assert_eq!(shown(&ben, "pay").await, Ok("pay".into()));
    assert_eq!(shown(&chiara, "pay").await, Err(Code::NotFound), "as if it were not there");
    assert_eq!(shown(&ben, "plan").await, Err(Code::NotFound));
    let asked = tenant.knock_as(chiara, None, question("What is the codeword of pay?"), ReplyLine::whole());
    let Ok(Reply::Answer(answer)) = asked.reply().await else { panic!("an answer") };
    assert!(answer.citations.iter().all(|citation| citation.document_id != "pay"), "{answer:?}");
    assert_eq!(tenant.told(|reply| ReadPolicy { reply }).await.unwrap().version, "1.2.3");
}

#[actix_rt::test]
async fn without_a_permit_nothing_is_found() {
    let stage = Stage::new();
    let closed = policy("default", |texts| edit(texts, "policies/governance.yaml", ", retrieve]", "]"));
    let tenant =
        stage.start(1, &policy("default", |_| {})).with_documents(vec![about("ward", "care", "patients")]).await;
    assert_eq!(found(&tenant, &principal()).await, ["ward"]);
    tenant.adopt(&closed).await.unwrap();
    assert_eq!(found(&tenant, &principal()).await, [""; 0]);
    let answer = tenant.ask("What is the codeword of ward?").await.unwrap();
    assert!(answer.abstained, "{answer:?}");
}
