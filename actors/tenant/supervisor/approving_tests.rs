//! Requests that need somebody else's word, and requests that are written down, at a whole tenant.
use super::fixtures::*;
use super::messages::*;
use crate::approvals::messages::{ApprovalState, ApprovalView, DecideApproval, ReadApprovals};
use crate::approvals::rules::Decision;
use crate::entry::Entry;
use crate::erasures::rules::removed_for;
use crate::proofs::messages::ShowRecords;
use crate::question::{Matter, Reply, Search};
use crate::retrieval::messages::{ListDocuments, RemoveDocument, ShowDocument};
use crate::turn::ReplyLine;
use bailiwick_kernel::clock::Clock;
use bailiwick_kernel::outcome::{Code, Outcome};
use bailiwick_policy::access::{Principal, Role};
use bailiwick_policy::parse::FileTexts;

const TEXT: &str = "The codeword of the archive is heron.";
const HOUR: Decision = Decision::Approve { for_ms: 3_600_000 };

/// Rules of a tenant that answers by the metered model.
fn requiring(texts: &mut FileTexts, actions: &str, obligation: &str) {
    metered(texts);
    let rule = format!(
        "rules:\n  - id: on-record\n    effect: require\n    actions: [{actions}]\n    obligation: {obligation}\n"
    );
    edit(texts, "policies/governance.yaml", "rules:\n", &rule);
}

fn person(user_id: &str, role: Role) -> Principal {
    let key_id = format!("key of {user_id}");
    Principal { key_id, user_id: Some(user_id.into()), role: Some(role), attributes: Default::default() }
}

fn omar() -> Principal {
    person("omar", Role::Operator)
}

fn dana() -> Principal {
    person("dana", Role::Owner)
}

async fn asked(tenant: &Tenant, by: Principal, matter: Matter) -> Outcome<Reply> {
    tenant.knock_as(by, None, matter, ReplyLine::whole()).reply().await
}

async fn open(tenant: &Tenant) -> Vec<ApprovalView> {
    tenant.told(|reply| ReadApprovals { principal: dana(), reply }).await.unwrap()
}

async fn decided(tenant: &Tenant, id: &str, decision: Decision, by: Principal) -> Outcome<ApprovalView> {
    tenant.told(|reply| DecideApproval { id: id.into(), decision, by, reply }).await
}

fn used(tenant: &Tenant) -> usize {
    tenant.entries().iter().filter(|entry| matches!(entry, Entry::ApprovalUsed(_))).count()
}

#[actix_rt::test]
async fn a_question_waits_for_somebody_elses_word_and_is_answered_once() {
    let stage = Stage::new();
    let policy = policy("default", |texts| requiring(texts, "ask", "approve"));
    let tenant = stage.start(1, &policy).with_documents(vec![document("archive", TEXT)]).await;
    stage.meter.release(9);
    let ask = || question("What is the codeword?");
    let refused = asked(&tenant, omar(), ask()).await.unwrap_err();
    assert_eq!(refused.code, Code::PolicyDenied);
    let waiting = open(&tenant).await;
    assert_eq!(waiting.len(), 1);
    let request = &waiting[0];
    assert!(refused.detail.contains(&request.id), "{}", refused.detail);
    assert_eq!((request.state, request.subject.as_str()), (ApprovalState::Waiting, "What is the codeword?"));
    assert_eq!(request.user_id.as_deref(), Some("omar"));
    assert_eq!(stage.meter.calls(), 0, "no model was asked");
    asked(&tenant, omar(), ask()).await.unwrap_err();
    assert_eq!(open(&tenant).await.len(), 1, "the same request waits once");

    assert_eq!(decided(&tenant, &request.id, HOUR, omar()).await.unwrap_err().code, Code::Forbidden);
    let approved = decided(&tenant, &request.id, HOUR, dana()).await.unwrap();
    assert_eq!(approved.state, ApprovalState::Approved);
    assert_eq!(
        asked(&tenant, omar(), question("What is the codeword, then?")).await.unwrap_err().code,
        Code::PolicyDenied
    );
    assert_eq!(asked(&tenant, dana(), ask()).await.unwrap_err().code, Code::PolicyDenied, "somebody else's approval");
    assert!(matches!(asked(&tenant, omar(), ask()).await.unwrap(), Reply::Answer(_)));
    assert_eq!(used(&tenant), 1);
    let entries = tenant.entries();
    let answer = entries.iter().position(|entry| matches!(entry, Entry::AnswerRecorded(_))).unwrap();
    assert!(entries[answer..].iter().any(|entry| matches!(entry, Entry::ApprovalUsed(used) if used.id == request.id)));
    assert_eq!(asked(&tenant, omar(), ask()).await.unwrap_err().code, Code::PolicyDenied, "once");
}

#[actix_rt::test]
async fn of_two_calls_under_one_word_one_goes_through() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", |texts| requiring(texts, "complete", "approve")));
    asked(&tenant, omar(), chat("hello")).await.unwrap_err();
    let id = open(&tenant).await[0].id.clone();
    decided(&tenant, &id, HOUR, dana()).await.unwrap();
    let first = tenant.knock_as(omar(), None, chat("hello"), ReplyLine::whole());
    stage.meter.called(1).await;
    let second = asked(&tenant, omar(), chat("hello")).await.unwrap_err();
    assert!(second.detail.contains("one is on its way"), "{}", second.detail);
    stage.meter.release(9);
    assert!(matches!(first.reply().await.unwrap(), Reply::Completion(_)));
    assert_eq!((used(&tenant), stage.meter.calls()), (1, 1));
}

#[actix_rt::test]
async fn a_word_is_kept_over_rebuilt_rooms_and_restarts_and_by_what_came_to_nothing() {
    let stage = Stage::new();
    let policy = policy("default", |texts| requiring(texts, "ask", "approve"));
    let tenant = stage.start(1, &policy).with_documents(vec![document("archive", TEXT)]).await;
    let unanswered = || question(&format!("What is the codeword? {NOT_ANSWERED}"));
    asked(&tenant, omar(), unanswered()).await.unwrap_err();
    let id = open(&tenant).await[0].id.clone();
    tenant.close().await;
    let tenant = stage.start(1, &policy);
    decided(&tenant, &id, HOUR, dana()).await.unwrap();
    assert!(tenant.provoke("budget").await);
    eventually("the rooms are rebuilt", async || tenant.view().await.restarts == 1 && tenant.figures().await.is_ok())
        .await;
    assert_eq!(open(&tenant).await[0].state, ApprovalState::Approved);
    tenant.close().await;
    let tenant = stage.start(1, &policy);
    for _ in 0..2 {
        let failed = asked(&tenant, omar(), unanswered()).await.unwrap_err();
        assert_eq!(failed.code, Code::UpstreamFailed, "let through, and nothing came of it");
    }
    assert_eq!((used(&tenant), open(&tenant).await[0].state), (0, ApprovalState::Approved));
}

#[actix_rt::test]
async fn a_removal_waits_and_what_it_was_approved_for_is_that_document() {
    let stage = Stage::new();
    let policy = policy("default", |texts| requiring(texts, "remove", "approve"));
    let documents = vec![document("archive", TEXT), document("ledger", TEXT)];
    let tenant = stage.start(1, &policy).with_documents(documents).await;
    let remove = async |id: &str| tenant.told(|reply| RemoveDocument { id: id.into(), principal: omar(), reply }).await;
    assert_eq!(remove("archive").await.unwrap_err().code, Code::PolicyDenied);
    let request = open(&tenant).await.swap_remove(0);
    assert_eq!(request.subject, "archive");
    decided(&tenant, &request.id, HOUR, dana()).await.unwrap();
    assert_eq!(remove("ledger").await.unwrap_err().code, Code::PolicyDenied);
    remove("archive").await.unwrap();
    let show = |reply| ShowDocument { id: "archive".into(), principal: dana(), reply };
    assert_eq!(tenant.told(show).await.unwrap_err().code, Code::NotFound);
    assert_eq!(used(&tenant), 1);
}

#[actix_rt::test]
async fn a_refused_request_stays_refused() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", |texts| requiring(texts, "search", "approve")));
    let search = || Matter::Search(Search { query: "codeword".into(), ..Search::default() });
    asked(&tenant, omar(), search()).await.unwrap_err();
    let id = open(&tenant).await[0].id.clone();
    assert_eq!(decided(&tenant, &id, Decision::Refuse, dana()).await.unwrap().state, ApprovalState::Refused);
    assert!(asked(&tenant, omar(), search()).await.unwrap_err().detail.contains("was refused by a person"));
    assert_eq!(decided(&tenant, &id, HOUR, dana()).await.unwrap_err().code, Code::Conflict);
}

#[actix_rt::test]
async fn what_is_logged_is_durable_before_it_is_told() {
    let stage = Stage::new();
    let policy = policy("default", |texts| requiring(texts, "ask, search, read", "log"));
    let tenant = stage.start(1, &policy).with_documents(vec![document("archive", TEXT)]).await;
    stage.meter.release(99);
    let logged = || -> Vec<(String, String, Option<String>)> {
        let entries = tenant.entries().into_iter().filter_map(|entry| match entry {
            Entry::RequestLogged(logged) => Some((logged.action.to_string(), logged.subject, logged.user_id)),
            _ => None,
        });
        entries.collect()
    };
    let before = logged().len();
    asked(&tenant, omar(), Matter::Search(Search { query: "heron".into(), ..Search::default() })).await.unwrap();
    tenant.told(|reply| ShowDocument { id: "archive".into(), principal: dana(), reply }).await.unwrap();
    tenant.told(|reply| ListDocuments { after: None, limit: 9, principal: dana(), reply }).await.unwrap();
    tenant.told(|reply| ExportLineage { from: 0, max: 9, principal: dana(), reply }).await.unwrap();
    let expected = [("search", "heron", "omar"), ("read", "archive", "dana"), ("read", "documents after \"\"", "dana")];
    let expected = expected.into_iter().chain([("read", "lineage from 0", "dana")]);
    let expected: Vec<_> =
        expected.map(|(action, subject, user)| (action.into(), subject.into(), Some(user.into()))).collect();
    assert_eq!(logged()[before..], expected);

    // what is logged is rehearsed like what was answered
    let stricter = crate::supervisor::fixtures::policy("default", |texts| {
        let forbid = "rules:\n  - id: no-searches\n    effect: forbid\n    actions: [search]\n    when: { user.role: operator }\n    overrides: [members-work]\n";
        edit(texts, "policies/governance.yaml", "rules:\n", forbid);
    });
    let rehearse = |reply| Rehearse { policy: stricter, golden: Vec::new(), reply };
    let rehearsed = tenant.told(rehearse).await.unwrap().recorded;
    let (requests, refused) =
        (usize::try_from(rehearsed.requests).unwrap(), usize::try_from(rehearsed.refused).unwrap());
    let searches = logged().iter().filter(|(action, _, user)| action == "search" && user.is_some()).count();
    assert!(searches > 0 && requests == logged().len(), "{rehearsed:?}");
    assert_eq!(refused, searches);

    // answers have a record of their own; beside it stands what rules knew, of every one of them
    for number in 0..40 {
        asked(&tenant, omar(), question(&format!("What is the codeword of number {number}?"))).await.unwrap();
    }
    let judged = tenant.entries().iter().filter(|entry| matches!(entry, Entry::RequestJudged(_))).count();
    assert_eq!(judged, 40, "all within one second of {}, where a busy tenant's are 32", tenant.clock.now_unix_ms());

    // a journal that takes nothing: nothing is told
    tenant.usurp();
    let told = asked(&tenant, omar(), Matter::Search(Search { query: "heron".into(), ..Search::default() })).await;
    assert_eq!(told.unwrap_err().code, Code::Internal);
    let shown = tenant.told(|reply| ShowDocument { id: "archive".into(), principal: dana(), reply }).await;
    assert_eq!(shown.unwrap_err().code, Code::Internal);
}

/// The words of requests for an approval that an export of the journal shows.
async fn subjects_shown(tenant: &Tenant) -> Vec<String> {
    let show = |reply| ShowRecords { from: 0, max: 256, principal: dana(), reply };
    let records = tenant.told(show).await.unwrap();
    let entries = records.iter().filter_map(|record| record.shown().unwrap().entry::<Entry>().ok());
    let subject = |entry: Entry| match entry {
        Entry::ApprovalAsked(asked) => Some(asked.subject),
        _ => None,
    };
    entries.filter_map(subject).collect()
}

#[actix_rt::test]
async fn the_words_of_a_request_are_shown_to_nobody_once_its_answer_quotes_what_was_erased() {
    let (answered, unanswered) = ("What is the codeword?", "What is the codeword, then?");
    let stage = Stage::new();
    let policy = policy("default", |texts| requiring(texts, "ask", "approve"));
    let tenant = stage.start(1, &policy).with_documents(vec![document("archive", TEXT)]).await;
    stage.meter.release(9);
    for words in [answered, unanswered] {
        asked(&tenant, omar(), question(words)).await.unwrap_err();
    }
    let id = open(&tenant).await.into_iter().find(|request| request.subject == answered).unwrap().id;
    decided(&tenant, &id, HOUR, dana()).await.unwrap();
    let Reply::Answer(answer) = asked(&tenant, omar(), question(answered)).await.unwrap() else { panic!("an answer") };
    assert!(!answer.citations.is_empty(), "{answer:?}");
    assert_eq!(subjects_shown(&tenant).await, [answered, unanswered]);

    let by = removed_for("er-1");
    let removed = Entry::DocumentRemoved { id: "archive".into(), at_unix_ms: NOW, by };
    tenant.journal().append(&[removed]).await.unwrap();
    assert_eq!(subjects_shown(&tenant).await, [unanswered], "what nobody answered quotes nothing");
}
