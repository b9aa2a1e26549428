//! Whole tenants: real vault, real policies, real rooms; only the metered provider is ours.
use super::fixtures::*;
use super::messages::{AdoptPolicy, Close, Event, ExportLineage, GiveFeedback, ReadLineage, ReadPolicy};
use crate::entry::Entry;
use crate::question::{Matter, Reply};
use bailiwick_kernel::limits::RESTARTS_MAX;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::parse::FileTexts;
use std::sync::Arc;

fn library() -> Vec<crate::retrieval::messages::NewDocument> {
    vec![
        document("reading-room", "The codeword of the reading room is amber."),
        document("cellar", "The codeword of the cellar is cobalt."),
    ]
}

const QUESTION: &str = "What is the codeword of the reading room?";

fn charged(entries: &[Entry]) -> Vec<u64> {
    let cost = |entry: &Entry| if let Entry::AnswerRecorded(record) = entry { Some(record.usage.cost.0) } else { None };
    entries.iter().filter_map(cost).collect()
}

fn unreconciled(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| if let Entry::Unreconciled { amount, .. } = entry { amount.0 } else { 0 }).sum()
}

/// Waits until a rebuilt tenant serves again.
async fn serving_after(tenant: &Tenant, restarts: u64) {
    eventually("the rooms are rebuilt", async || {
        let view = tenant.view().await;
        view.restarts == restarts && view.state == "serving"
    })
    .await;
}

#[actix_rt::test]
async fn a_tenant_closes_though_turns_of_a_dead_incarnation_waited_for_the_index() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", |_| {}));
    // as another incarnation has it, which is served until the last turn has ended
    let folder = Arc::clone(&tenant.belongings.folder_owner).lock_owned().await;
    let asked = tenant.knock(question(QUESTION));
    // comes behind it
    let measured = tenant.figures().await.unwrap();
    assert!(measured.corpus.passive, "the index is open");
    assert!(tenant.provoke("budget").await);
    assert_eq!(in_time("the question is lost", asked.reply()).await.unwrap_err().code, Code::Lost);
    in_time("the tenant closes", tenant.close()).await;
    drop(folder);
}

#[actix_rt::test]
async fn a_question_walks_the_whole_tenant() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", |_| {})).with_documents(library()).await;
    let answer = tenant.ask(QUESTION).await.unwrap();
    assert!(answer.answer.contains("amber") && !answer.abstained, "{answer:?}");
    assert_eq!(answer.citations[0].document_id, "reading-room");
    assert_eq!(answer.policy_version, "1.0.0");

    let lineage = tenant
        .told(|reply| ReadLineage { query_id: answer.query_id.clone(), principal: principal(), reply })
        .await
        .unwrap();
    assert_eq!(answer.receipt, format!("bwr1.{}.{}", lineage.seq, lineage.hash), "the receipt names the record");
    let record = lineage.record.unwrap();
    assert_eq!((record.question.as_str(), &record.answer), (QUESTION, &answer.answer));
    assert_eq!(lineage.lines.len(), record.cited.len());

    let feedback = |query_id: String| {
        let given = |reply| GiveFeedback {
            query_id,
            up: false,
            comment: None,
            correct_answer: Some("jade".into()),
            rejected: Vec::new(),
            principal: principal(),
            reply,
        };
        tenant.told(given)
    };
    feedback(answer.query_id.clone()).await.unwrap();
    assert_eq!(feedback(uuid::Uuid::nil().to_string()).await.unwrap_err().code, Code::NotFound);
    let lineage = tenant
        .told(|reply| ReadLineage { query_id: answer.query_id.clone(), principal: principal(), reply })
        .await
        .unwrap();
    assert_eq!(lineage.feedback[0].correct_answer.as_deref(), Some("jade"));
}

#[actix_rt::test]
async fn an_export_misses_no_charge() {
    let stage = Stage::new();
    stage.meter.release(10);
    let tenant = stage.start(1, &policy("default", metered)).with_documents(library()).await;
    tenant.ask(QUESTION).await.unwrap();
    tenant.knock(chat("hello")).reply().await.unwrap();
    let portion =
        tenant.told(|reply| ExportLineage { from: 0, max: 1_000, principal: principal(), reply }).await.unwrap();
    let mut queries: Vec<_> =
        portion.records.iter().flat_map(|record| &record.lines).map(|line| line.query_id.clone()).collect();
    queries.dedup();
    assert_eq!(queries.len(), 2, "a completion cites nothing and has its line all the same");
    let mut cost = NanoUsd::ZERO;
    for query_id in queries {
        cost = cost.saturating_add(
            tenant
                .told(|reply| ReadLineage { query_id, principal: principal(), reply })
                .await
                .unwrap()
                .record
                .unwrap()
                .usage
                .cost,
        );
    }
    assert_eq!((cost, tenant.figures().await.unwrap().budget.spent_month), (NanoUsd(2 * UNIT_NANO_USD), cost));
}

#[actix_rt::test]
async fn closing_answers_the_turns_in_flight_and_gives_the_escrow_back() {
    let stage = Stage::new();
    let policy = policy("default", metered);
    let tenant = stage.start(1, &policy);
    let asked: Vec<_> = (0..3).map(|_| tenant.knock(chat("hello"))).collect();
    stage.meter.called(3).await;
    let (slot, closed) = ReplySlot::pair();
    assert!(offer(&tenant.doors.close, Close { reply: slot }).is_ok());
    assert_eq!(tenant.knock(chat("too late")).reply().await.unwrap_err().code, Code::Lost);
    stage.meter.release(3);
    for awaiting in asked {
        assert!(matches!(awaiting.reply().await, Ok(Reply::Completion(_))));
    }
    closed.outcome().await.unwrap();

    let reopened = stage.start(1, &policy);
    let figures = reopened.figures().await.unwrap().budget;
    assert_eq!((figures.spent_month, figures.unreconciled), (NanoUsd(3 * UNIT_NANO_USD), NanoUsd::ZERO));
    let entries = reopened.entries();
    assert_eq!((charged(&entries), unreconciled(&entries)), (vec![UNIT_NANO_USD; 3], 0));
    assert!(entries.iter().any(|entry| matches!(entry, Entry::EscrowTaken { .. })), "the hold was under escrow");
}

#[actix_rt::test]
async fn closing_waits_for_turns_admitted_under_earlier_quotas() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", metered));
    let asked = tenant.knock(chat("hello"));
    stage.meter.called(1).await;
    let other_quotas = |texts: &mut FileTexts| {
        metered(texts);
        edit(texts, "tenant.yaml", "max_concurrent_requests: 256", "max_concurrent_requests: 8");
    };
    tenant.adopt(&policy("default", other_quotas)).await.unwrap();
    let (slot, closed) = ReplySlot::pair();
    assert!(offer(&tenant.doors.close, Close { reply: slot }).is_ok());
    assert_eq!(tenant.ask(QUESTION).await.unwrap_err().code, Code::Lost, "it is closing");
    stage.meter.release(1);
    asked.reply().await.unwrap();
    closed.outcome().await.unwrap();
}

#[actix_rt::test]
async fn a_turn_in_a_dying_room_is_lost_and_nothing_is_charged_for_it() {
    let stage = Stage::new();
    stage.meter.release(10);
    let tenant = stage.start(1, &policy("default", metered));
    tenant.figures().await.unwrap();
    // both stand in the budget's mailbox before it runs: the hold waits for its escrow when the room panics
    let asked = tenant.knock(chat("hello"));
    assert!(tenant.provoke("budget").await);
    assert_eq!(asked.reply().await.unwrap_err().code, Code::Lost);
    serving_after(&tenant, 1).await;
    assert_eq!(stage.meter.calls(), 0);
    let figures = tenant.figures().await.unwrap().budget;
    assert_eq!((figures.held, figures.spent_month), (NanoUsd::ZERO, figures.unreconciled));
    assert!(matches!(tenant.knock(chat("again")).reply().await, Ok(Reply::Completion(_))));
    let figures = tenant.figures().await.unwrap().budget;
    assert_eq!(figures.spent_month.0, figures.unreconciled.0 + UNIT_NANO_USD);
    assert_eq!(charged(&tenant.entries()), [UNIT_NANO_USD]);
}

#[actix_rt::test]
async fn a_call_that_outlives_its_room_is_charged_once_and_its_escrow_is_reconciled() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", metered));
    let asked = tenant.knock(chat("hello"));
    stage.meter.called(1).await;
    assert!(tenant.provoke("budget").await);
    serving_after(&tenant, 1).await;
    let figures = tenant.figures().await.unwrap().budget;
    assert!(figures.unreconciled.0 >= UNIT_NANO_USD, "what the call may cost counts as spent: {figures:?}");
    stage.meter.release(1);
    assert!(matches!(asked.reply().await, Ok(Reply::Completion(_))));
    assert_eq!(charged(&tenant.entries()), [UNIT_NANO_USD]);
    eventually("the new incarnation has heard of the charge", async || {
        let live = tenant.figures().await.unwrap().budget;
        live.spent_month.0 == UNIT_NANO_USD + unreconciled(&tenant.entries())
    })
    .await;
}

#[actix_rt::test]
async fn a_used_up_restart_budget_quarantines_one_tenant_alone() {
    let stage = Stage::new();
    let faulty = stage.start(1, &policy("default", |_| {})).with_documents(library()).await;
    let sound = stage.start(2, &policy("beta-inc", |_| {})).with_documents(library()).await;
    for number in 0..=u64::from(RESTARTS_MAX) {
        eventually("the rooms stand", async || faulty.provoke("routing").await).await;
        eventually("the death is noticed", async || faulty.view().await.restarts == number + 1).await;
        sound.ask(QUESTION).await.unwrap();
    }
    assert_eq!(faulty.view().await.state, "quarantined");
    assert_eq!(faulty.ask(QUESTION).await.unwrap_err().code, Code::TenantSuspended);
    assert_eq!(faulty.ingest(library()).await.unwrap_err().code, Code::TenantSuspended);
    assert_eq!(stage.heard(|event| *event == Event::Quarantined), 1);
    assert!(sound.ask(QUESTION).await.unwrap().answer.contains("amber"));
    assert_eq!(sound.view().await.restarts, 0);
    // an operator who resumes it starts it anew
    faulty.close().await;
    let resumed = stage.start(1, &policy("default", |_| {}));
    assert!(resumed.ask(QUESTION).await.unwrap().answer.contains("amber"));
}

fn version(texts: &mut FileTexts, version: &str) {
    edit(texts, "policies/governance.yaml", "policy_semver: 1.0.0", &format!("policy_semver: {version}"));
}

#[actix_rt::test]
async fn nothing_admitted_after_the_acknowledgement_uses_an_older_policy() {
    let stage = Stage::new();
    let tenant = Arc::new(stage.start(1, &policy("default", |_| {})).with_documents(library()).await);
    let other_guard = policy("default", |texts| {
        version(texts, "2.0.0");
        edit(texts, "policies/retrieval.yaml", "min_trust_score: 0.3", "min_trust_score: 0.4");
    });
    let acknowledged = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asker = {
        let (tenant, acknowledged) = (Arc::clone(&tenant), Arc::clone(&acknowledged));
        actix_rt::spawn(async move {
            let mut versions = Vec::new();
            while versions.iter().filter(|(after, _)| *after).count() < 20 {
                let after = acknowledged.load(std::sync::atomic::Ordering::SeqCst);
                match tenant.ask(QUESTION).await {
                    Ok(answer) => versions.push((after, answer.policy_version)),
                    Err(rejection) => assert_eq!(rejection.code, Code::Conflict, "{rejection:?}"),
                }
            }
            versions
        })
    };
    eventually("the asker is under way", async || {
        stage.heard(|event| matches!(event, Event::Answered { kind: "ask", .. })) > 2
    })
    .await;
    assert_eq!(tenant.adopt(&other_guard).await.unwrap(), "2.0.0");
    acknowledged.store(true, std::sync::atomic::Ordering::SeqCst);
    let versions = asker.await.unwrap();
    assert!(versions.iter().any(|(after, version)| !after && version == "1.0.0"), "{versions:?}");
    assert!(versions.iter().all(|(after, version)| !after || version == "2.0.0"), "{versions:?}");
    let adopted = tenant
        .entries()
        .iter()
        .filter(|entry| matches!(entry, Entry::PolicyAdopted { version, .. } if version == "2.0.0"))
        .count();
    assert_eq!(adopted, 1);
}

#[actix_rt::test]
async fn policies_come_into_force_in_the_order_they_were_pushed() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", |_| {})).with_documents(library()).await;
    let slow = policy("default", |texts| {
        version(texts, "2.0.0");
        edit(texts, "policies/retrieval.yaml", "min_trust_score: 0.3", "min_trust_score: 0.4");
    });
    let quick = policy("default", |texts| version(texts, "3.0.0"));
    let (first, first_done) = ReplySlot::pair();
    let (second, second_done) = ReplySlot::pair();
    assert!(offer(&tenant.doors.adopt, AdoptPolicy { policy: slow, reply: first }).is_ok());
    assert!(offer(&tenant.doors.adopt, AdoptPolicy { policy: quick, reply: second }).is_ok());
    assert_eq!(second_done.outcome().await.unwrap(), "3.0.0");
    assert_eq!(first_done.outcome().await.unwrap(), "2.0.0");
    assert_eq!(tenant.told(|reply| ReadPolicy { reply }).await.unwrap().version, "3.0.0");
    assert_eq!(tenant.ask(QUESTION).await.unwrap().policy_version, "3.0.0");
}

#[actix_rt::test]
async fn refusals_are_in_the_journal_and_hold_nothing() {
    let stage = Stage::new();
    let poor = policy("default", |texts| {
        metered(texts);
        edit(texts, "router.yaml", "monthly_limit_usd: 31000", "monthly_limit_usd: 0.000000031");
        edit(texts, "router.yaml", "daily_limit_usd: 1000", "daily_limit_usd: 0.000000001");
    });
    let tenant = stage.start(1, &poor);
    let refused = tenant.knock(chat("hello")).reply().await.unwrap_err();
    assert_eq!(refused.code, Code::BudgetExceeded);
    let body = Box::new(serde_json::json!({"model": "unheard-of", "input": "x"}));
    assert_eq!(tenant.knock(Matter::Embed(body)).reply().await.unwrap_err().code, Code::PolicyDenied);
    eventually("both are recorded", async || tenant.figures().await.unwrap().counts.refused == 2).await;
    let recorded = tenant.entries().into_iter().any(|entry| match entry {
        Entry::Refused { code, detail, by, .. } => code == "budget_exceeded" && detail == refused.detail && by == "key",
        _ => false,
    });
    assert!(recorded, "code, reason and key are in the journal");
    assert_eq!((stage.meter.calls(), tenant.figures().await.unwrap().budget.held), (0, NanoUsd::ZERO));
}
