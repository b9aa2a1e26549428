//! Every guard runs on the answers it is recorded on, and one that did not is found.
use super::fixtures::*;
use super::messages::AuditAnswers;
use crate::entry::{Entry, RequestJudged};
use bailiwick_kernel::ids::Position;
use bailiwick_policy::parse::FileTexts;

const AMBER: &str = "The codeword is amber.";

fn without_citations(texts: &mut FileTexts) {
    metered(texts);
    edit(texts, "policies/governance.yaml", "require_citations: true", "require_citations: false");
}

async fn found(tenant: &Tenant) -> Option<String> {
    tenant.told(|reply| AuditAnswers { reply }).await.unwrap()
}

/// Answers a question, and gives the entries it left.
async fn answered(stage: &Stage, tenant: &Tenant) -> Vec<Entry> {
    let before = tenant.entries().len();
    let asked = tenant.knock(chat("words"));
    in_time("the provider is called", stage.meter.called(stage.meter.calls().max(1))).await;
    stage.meter.release(1);
    asked.reply().await.unwrap();
    tenant.entries().split_off(before)
}

#[actix_rt::test]
async fn an_answer_that_no_guard_saw_is_found_and_stays_found() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", without_citations));
    assert_eq!(found(&tenant).await, None);
    tenant.clock.advance(1);
    let honest = answered(&stage, &tenant).await;
    assert_eq!(found(&tenant).await, None, "every guard ran");

    // as if the exit had let pass what its patterns forbid
    let forbids = policy("default", |texts| {
        without_citations(texts);
        edit(
            texts,
            "policies/governance.yaml",
            "output_forbidden_patterns:",
            "output_forbidden_patterns:\n    - amber",
        );
        edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", "policy_semver: 1.0.1");
    });
    tenant.adopt(&forbids).await.unwrap();
    tenant.clock.advance(1);
    let forged: Vec<_> = honest.into_iter().map(|entry| forged(entry, &tenant)).collect();
    tenant.journal().append(&forged).await.unwrap();
    tenant.clock.advance(1);
    answered(&stage, &tenant).await;
    let reason = found(&tenant).await.unwrap();
    assert_eq!(reason, "1 answers stand in its journal that policy 1.0.1 does not allow");
    assert_eq!(found(&tenant).await, Some(reason), "what is found stays found");
    assert!(tenant.journal().portion::<Entry>(Position(0), 1).is_ok());
}

/// The entries of another answer, admitted now, of forbidden words.
fn forged(entry: Entry, tenant: &Tenant) -> Entry {
    match entry {
        Entry::AnswerRecorded(mut answer) => {
            answer.query_id = "forged".to_owned();
            answer.answer = AMBER.to_owned();
            answer.admitted_unix_ms = bailiwick_kernel::clock::Clock::now_unix_ms(&*tenant.clock);
            Entry::AnswerRecorded(answer)
        }
        Entry::RequestJudged(judged) => {
            Entry::RequestJudged(Box::new(RequestJudged { query_id: "forged".to_owned(), ..*judged }))
        }
        other => other,
    }
}

#[actix_rt::test]
async fn what_was_answered_under_the_policy_before_is_not_held_against_the_next_one() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", without_citations));
    tenant.clock.advance(1);
    answered(&stage, &tenant).await;
    let nobody = policy("default", |texts| {
        without_citations(texts);
        let forbid = "rules:\n  - id: nobody\n    effect: forbid\n    actions: [complete]\n    when: { request.bytes: { at_least: \
                      1 } }\n    overrides: [members-work]\n";
        edit(texts, "policies/governance.yaml", "rules:\n", forbid);
        edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", "policy_semver: 1.0.1");
    });
    tenant.adopt(&nobody).await.unwrap();
    assert_eq!(found(&tenant).await, None);
}
