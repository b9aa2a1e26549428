//! Repeated calls through whole tenants: real vault, real rooms, a metered provider.
use crate::entry::Entry;
use crate::question::{Matter, Reply};
use crate::retrieval::messages::RemoveDocument;
use crate::supervisor::fixtures::*;
use crate::supervisor::messages::Event;
use crate::turn::{Awaiting, ReplyLine};
use bailiwick_kernel::limits::{REPEATED_REPLY_BYTES_MAX, REPEATS_KEPT_MS};
use bailiwick_kernel::outcome::{Code, Outcome};
use bailiwick_policy::access::Principal;

const QUESTION: &str = "What is the codeword of the reading room?";

fn charged(tenant: &Tenant) -> Vec<u64> {
    let cost = |entry: Entry| if let Entry::AnswerRecorded(record) = entry { Some(record.usage.cost.0) } else { None };
    tenant.entries().into_iter().filter_map(cost).collect()
}

/// What is told, and whether it is said to be a repeat.
async fn told(mut awaiting: Awaiting) -> (Outcome<Reply>, bool) {
    let outcome = awaiting.reply_mut().await;
    (outcome, awaiting.is_repeat())
}

async fn refused(awaiting: Awaiting) -> Code {
    awaiting.reply().await.unwrap_err().code
}

fn somebody_else() -> Principal {
    Principal { key_id: "another".into(), user_id: None, role: None, attributes: Default::default() }
}

#[actix_rt::test]
async fn duplicates_that_come_together_are_one_call() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", metered));
    tenant.figures().await.unwrap();
    let asked: Vec<_> = (0..64).map(|_| tenant.knock_again("k", chat("hello"))).collect();
    stage.meter.called(1).await;
    assert_eq!(refused(tenant.knock_again("k", chat("other words"))).await, Code::Conflict);
    stage.meter.release(100);
    let (mut replies, mut repeats) = (Vec::new(), 0);
    for awaiting in asked {
        let (outcome, is_repeat) = told(awaiting).await;
        replies.push(outcome.unwrap());
        repeats += usize::from(is_repeat);
    }
    replies.dedup();
    let [Reply::Completion(first)] = replies.as_slice() else { panic!("one reply for all: {replies:?}") };
    assert!(first.receipt.starts_with("bwr1."));
    assert_eq!((stage.meter.calls(), repeats, charged(&tenant)), (1, 63, vec![UNIT_NANO_USD]));
    stage.has_heard("63 repeats", 63, |event| *event == Event::Repeated { kind: "chat" }).await;

    let entries = tenant.entries().len();
    let again = told(tenant.knock_again("k", chat("hello"))).await;
    assert_eq!(again, (Ok(replies.remove(0)), true), "from the journal, receipt and all");
    assert_eq!(refused(tenant.knock_again("k", chat("other words"))).await, Code::Conflict);
    assert_eq!((tenant.entries().len(), stage.meter.calls()), (entries, 1), "a repeat leaves no record");

    let (line, awaiting) = (ReplyLine::whole(), chat("hello"));
    let other = told(tenant.knock_as(somebody_else(), Some("k"), awaiting, line)).await;
    assert!(other.0.is_ok() && !other.1, "the key of another API key is another key");
    assert_eq!(stage.meter.calls(), 2);
}

#[actix_rt::test]
async fn a_repeat_is_told_after_a_restart_and_forgotten_after_a_day() {
    let stage = Stage::new();
    let policy = policy("default", metered);
    stage.meter.release(10);
    let tenant = stage.start(1, &policy).with_documents(library()).await;
    let first = told(tenant.knock_again("k", question(QUESTION))).await;
    let Ok(Reply::Answer(answer)) = &first.0 else { panic!("{first:?}") };
    assert!(answer.answer.contains("amber") && !answer.citations.is_empty() && !first.1);
    tenant.close().await;
    let tenant = stage.start(1, &policy);
    assert_eq!(told(tenant.knock_again("k", question(QUESTION))).await, (first.0.clone(), true));
    let (line, awaiting) = ReplyLine::streaming();
    let mut streamed = tenant.knock_as(principal(), Some("k"), question(QUESTION), (line, awaiting));
    assert_eq!(streamed.frames.recv().await, None, "what was said whole is said at once");
    assert_eq!(told(streamed).await, (first.0.clone(), true));
    assert_eq!((stage.meter.calls(), charged(&tenant)), (1, vec![UNIT_NANO_USD]));

    tenant.clock.advance(REPEATS_KEPT_MS);
    let anew = told(tenant.knock_again("k", question(QUESTION))).await;
    assert!(anew.0.is_ok() && !anew.1 && anew != first);
    assert_eq!(charged(&tenant), vec![UNIT_NANO_USD; 2]);
    assert_eq!(told(tenant.knock_again("k", question(QUESTION))).await, (anew.0, true), "the newer one is kept");
}

fn library() -> Vec<crate::retrieval::messages::NewDocument> {
    vec![document("reading-room", "The codeword of the reading room is amber.")]
}

#[actix_rt::test]
async fn what_ended_without_a_charge_is_not_kept() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", metered));
    let unknown = || {
        let body = serde_json::json!({"model": "unheard-of", "input": "x"});
        tenant.knock_again("k", Matter::Embed(Box::new(body)))
    };
    let asked = [unknown(), unknown(), unknown()];
    for awaiting in asked {
        assert_eq!(refused(awaiting).await, Code::PolicyDenied, "those who waited are told the same");
    }
    assert!(!tenant.entries().iter().any(|entry| matches!(entry, Entry::ReplyKept(_))));
    stage.meter.release(1);
    let (outcome, is_repeat) = told(tenant.knock_again("k", chat("hello"))).await;
    assert!(outcome.is_ok() && !is_repeat, "the key is as good as new: {outcome:?}");
}

#[actix_rt::test]
async fn those_who_wait_for_a_call_that_dies_are_told_so_and_may_come_again() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", metered));
    let asked: Vec<_> = (0..5).map(|_| tenant.knock_again("k", chat(FALLS_OVER))).collect();
    stage.meter.called(1).await;
    stage.meter.release(2);
    for awaiting in asked {
        let outcome = in_time("who waits is told", awaiting.reply()).await;
        assert_eq!(outcome.unwrap_err().code, Code::Lost);
    }
    assert_eq!((stage.meter.calls(), charged(&tenant)), (1, vec![]));
    let retried = in_time("the retry", tenant.knock_again("k", chat("hello")).reply()).await;
    assert!(retried.is_ok(), "nothing is kept, not even what was asked: {retried:?}");
    assert_eq!(charged(&tenant), [UNIT_NANO_USD]);
}

#[actix_rt::test]
async fn what_is_not_durable_is_told_to_nobody() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", metered));
    tenant.figures().await.unwrap();
    let asked: Vec<_> = (0..5).map(|_| tenant.knock_again("k", chat("hello"))).collect();
    stage.meter.called(1).await;
    tenant.usurp();
    stage.meter.release(2);
    for awaiting in asked {
        let outcome = in_time("who waits is told", awaiting.reply()).await;
        assert_eq!(outcome.unwrap_err().code, Code::Lost);
    }
    eventually("the rooms are rebuilt", async || {
        let view = tenant.view().await;
        view.restarts == 1 && view.state == "serving"
    })
    .await;
    let (outcome, is_repeat) = told(tenant.knock_again("k", chat("hello"))).await;
    assert!(outcome.is_ok() && !is_repeat, "{outcome:?}");
    assert_eq!(charged(&tenant), [UNIT_NANO_USD], "only the call that was recorded");
}

#[actix_rt::test]
async fn closing_answers_those_who_wait() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", metered));
    let asked: Vec<_> = (0..3).map(|_| tenant.knock_again("k", chat("hello"))).collect();
    stage.meter.called(1).await;
    stage.meter.release(1);
    tenant.close().await;
    for awaiting in asked {
        assert!(in_time("who waits is told", awaiting.reply()).await.is_ok());
    }
}

#[actix_rt::test]
async fn a_repeat_needs_no_money_and_counts_as_a_request() {
    let stage = Stage::new();
    stage.meter.release(10);
    let poor = policy("default", |texts| {
        metered(texts);
        // what one call is charged fits, and not even a short answer beside it
        edit(texts, "router.yaml", "daily_limit_usd: 1000", "daily_limit_usd: 0.0000004");
        edit(texts, "router.yaml", "monthly_limit_usd: 31000", "monthly_limit_usd: 0.000004");
        edit(texts, "tenant.yaml", "max_requests_per_hour: 100000", "max_requests_per_hour: 6");
    });
    let tenant = stage.start(1, &poor);
    let first = told(tenant.knock_again("k", chat("hello"))).await;
    assert!(first.0.is_ok(), "{first:?}");
    assert_eq!(refused(tenant.knock_again("l", chat("hello"))).await, Code::BudgetExceeded);
    for _ in 0..4 {
        assert_eq!(told(tenant.knock_again("k", chat("hello"))).await, (first.0.clone(), true));
    }
    assert_eq!(refused(tenant.knock_again("k", chat("hello"))).await, Code::RateLimited);
}

#[actix_rt::test]
async fn a_reply_too_large_to_keep_is_given_once_and_charged_once() {
    let stage = Stage::new();
    stage.meter.release(10);
    let tenant = stage.start(1, &policy("default", metered));
    let words = "x".repeat(REPEATED_REPLY_BYTES_MAX + 1);
    let (outcome, is_repeat) = told(tenant.knock_again("k", chat(&words))).await;
    assert!(outcome.is_ok() && !is_repeat);
    let again = tenant.knock_again("k", chat(&words)).reply().await.unwrap_err();
    assert!(again.code == Code::Conflict && again.detail.contains("too large"), "{again:?}");
    assert_eq!(charged(&tenant), [UNIT_NANO_USD]);
}

#[actix_rt::test]
async fn what_is_gone_or_forbidden_since_is_not_said_again() {
    let stage = Stage::new();
    stage.meter.release(10);
    let open = policy("default", metered);
    let tenant = stage.start(1, &open).with_documents(library()).await;
    let first = told(tenant.knock_again("k", question(QUESTION))).await;
    assert!(first.0.is_ok());
    let strict = policy("default", |texts| {
        metered(texts);
        edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", "policy_semver: 2.0.0");
        edit(
            texts,
            "policies/governance.yaml",
            "output_forbidden_patterns:",
            "output_forbidden_patterns:\n    - amber",
        );
    });
    tenant.adopt(&strict).await.unwrap();
    assert_eq!(refused(tenant.knock_again("k", question(QUESTION))).await, Code::PolicyDenied);
    tenant.adopt(&open).await.unwrap();
    assert_eq!(told(tenant.knock_again("k", question(QUESTION))).await, (first.0, true));
    let removal = |reply| RemoveDocument { id: "reading-room".into(), principal: principal(), reply };
    tenant.told(removal).await.unwrap();
    let gone = tenant.knock_again("k", question(QUESTION)).reply().await.unwrap_err();
    assert!(gone.code == Code::Conflict && gone.detail.contains("removed"), "{gone:?}");
    assert_eq!(charged(&tenant), [UNIT_NANO_USD]);
}

#[actix_rt::test]
async fn what_is_hidden_or_redacted_since_is_said_so_again() {
    let stage = Stage::new();
    stage.meter.release(10);
    let words = "The warden of the archive is Anna Berg, who answers mail to anna.berg@archive.example every day.";
    let tenant = stage.start(1, &policy("default", metered)).with_documents(vec![document("warden", words)]).await;
    let ask = || tenant.knock_again("k", question("Who is the warden of the archive?"));
    let Reply::Answer(first) = told(ask()).await.0.unwrap() else { panic!("an answer") };
    assert!(first.answer.contains('@') && !first.citations.is_empty(), "{first:?}");
    let under = |rule: &str| {
        policy("default", |texts| {
            metered(texts);
            edit(texts, "policies/governance.yaml", "rules:\n", &format!("rules:\n  - id: since\n    {rule}\n"));
        })
    };
    tenant.adopt(&under("effect: require\n    actions: [ask]\n    obligation: { redact: [email] }")).await.unwrap();
    let Reply::Answer(redacted) = told(ask()).await.0.unwrap() else { panic!("an answer") };
    assert!(redacted.answer.contains("<email>") && redacted.citations[0].snippet.contains("<email>"), "{redacted:?}");
    assert!(!format!("{redacted:?}").contains('@') && redacted.receipt == first.receipt);
    let hidden =
        "effect: forbid\n    actions: [retrieve]\n    when: { document.id: warden }\n    overrides: [members-work]";
    tenant.adopt(&under(hidden)).await.unwrap();
    assert_eq!(ask().reply().await.unwrap_err(), crate::supervisor::repeats::keeping::quotes_removed());
    assert_eq!(charged(&tenant), [UNIT_NANO_USD]);
}
