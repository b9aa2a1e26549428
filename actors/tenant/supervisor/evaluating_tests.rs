//! Golden questions asked by themselves: each due time once, whatever becomes of the tenant meanwhile.
use super::fixtures::*;
use crate::entry::Entry;
use crate::evaluation::messages::{Evaluate, ReadEvaluationDue, ReadEvaluations};
use crate::evaluation::schedule::SCHEDULE_KEY;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Principal;
use bailiwick_policy::golden::Golden;

const HOUR_MS: u64 = 3_600_000;

fn golden() -> Vec<Golden> {
    vec![Golden {
        question: "Which is the codeword?".into(),
        answer: None,
        relevant: vec!["d1".into()],
        unanswerable: false,
    }]
}

impl Tenant {
    async fn due(&self) -> Option<u64> {
        self.told(|reply| ReadEvaluationDue { reply }).await.unwrap()
    }

    async fn evaluate(&self, due_unix_ms: Option<u64>) -> Result<(), Code> {
        let by = Principal { key_id: SCHEDULE_KEY.into(), ..principal() };
        let begun = self.told(|reply| Evaluate { golden: golden(), by, due_unix_ms, reply }).await;
        begun.map(|_progress| ()).map_err(|rejection| rejection.code)
    }

    async fn evaluated(&self, times: usize) {
        eventually("the evaluation is over", async || {
            let principal = principal();
            let read = self.told(|reply| ReadEvaluations { principal, reply }).await.unwrap();
            read.under_way.is_none() && read.evaluations.len() == times
        })
        .await;
    }
}

#[actix::test]
async fn a_due_time_is_asked_once_and_the_next_one_when_it_has_come() {
    let stage = Stage::new();
    let scheduled = policy("default", |texts| {
        edit(texts, "policies/evaluation.yaml", "settings:\n", "settings:\n  every_hours: 24\n");
    });
    let tenant = stage.start(1, &scheduled).with_documents(vec![document("d1", "The codeword is heron.")]).await;
    let due = tenant.due().await.unwrap();
    assert!(due <= NOW && NOW - due < 24 * HOUR_MS);
    assert_eq!(tenant.evaluate(Some(due)).await, Ok(()));
    tenant.evaluated(1).await;
    assert_eq!(tenant.due().await, None);
    assert_eq!(tenant.evaluate(Some(due)).await, Err(Code::Conflict));
    assert_eq!(tenant.evaluate(None).await, Ok(()), "whoever asks for it is not bound to a schedule");
    tenant.evaluated(2).await;

    // the rooms end in the middle of one: it is not begun again for the same time
    tenant.clock.advance(24 * HOUR_MS);
    let next = tenant.due().await.unwrap();
    assert_eq!(next, due + 24 * HOUR_MS);
    assert_eq!(tenant.evaluate(Some(next)).await, Ok(()));
    assert!(tenant.provoke("retrieval").await);
    eventually("it is over, one way or another", async || {
        let principal = principal();
        let read = tenant.told(|reply| ReadEvaluations { principal, reply }).await;
        read.is_ok_and(|read| read.under_way.is_none())
    })
    .await;
    eventually("the rooms are there again", async || tenant.ask("Which is the codeword?").await.is_ok()).await;
    assert_eq!(tenant.due().await, None);
    assert_eq!(tenant.evaluate(Some(next)).await, Err(Code::Conflict));
    let begun = tenant.entries().into_iter().filter(|entry| matches!(entry, Entry::EvaluationBegun(_))).count();
    assert_eq!(begun, 2, "each is written down before its first question");
}

#[actix::test]
async fn a_policy_without_a_schedule_has_nothing_due() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", |_| {}));
    assert_eq!(tenant.due().await, None);
}
