//! Lineage of another system in a whole tenant: found, exported, marked, taken back; and nothing of what the journal proves is
//! any other for it.
use super::fixtures::*;
use super::lineage_forms::LineageForm;
use super::messages::{ExportLineage, GiveFeedback, LineageLine, ReadLineage};
use crate::imports::messages::{ImportLineage, ImportStep, ImportView, Portion};
use crate::imports::rules::sha256;
use crate::proofs::messages::ReadHead;
use bailiwick_kernel::outcome::{Code, Outcome};
use bailiwick_kernel::transparency::checkpoint;

const FILE: &str = "00000000000000000000000000000000000000000000000000000000000000ab";

fn line(query: &str, chunk: &str) -> String {
    format!(
        r#"{{"source_id":"doc-1","query_id":"{query}","chunk_id":"{chunk}","trust_score":0.5,"agent_id":"planner-v1","policy_version":"0.9.0","timestamp":"2025-10-08T12:00:00Z"}}"#
    )
}

async fn step(tenant: &Tenant, step: ImportStep) -> Outcome<ImportView> {
    tenant.told(|reply| ImportLineage { step, by: "key".into(), reply }).await
}

async fn take(tenant: &Tenant, after: u64, lines: Vec<String>) -> ImportView {
    let portion = Portion { file_sha256: FILE.into(), file: "lineage.jsonl".into(), after, lines };
    step(tenant, ImportStep::Take(portion)).await.unwrap()
}

async fn exported(tenant: &Tenant) -> Vec<LineageLine> {
    let export = |reply| ExportLineage { from: 0, max: 2_000, principal: principal(), reply };
    tenant.told(export).await.unwrap().records.into_iter().flat_map(|record| record.lines).collect()
}

/// Answers and charges that the tenant signs for.
async fn signed(tenant: &Tenant) -> (u64, u64) {
    let signed = tenant.told(|reply| ReadHead { since: None, reply }).await.unwrap();
    let head = checkpoint::read(&signed.checkpoint, &signed.verifier_key).unwrap();
    (head.answers, head.charged_nano_usd)
}

#[actix_rt::test]
async fn old_lines_are_read_as_the_tenants_and_say_where_they_come_from() {
    let stage = Stage::new();
    let tenant =
        stage.start(1, &policy("default", |_| {})).with_documents(vec![document("a", "Amber is a colour.")]).await;
    let answer = tenant.ask("What is amber?").await.unwrap();
    let before = (signed(&tenant).await, exported(&tenant).await, tenant.figures().await.unwrap().counts);
    let lines: Vec<String> =
        (0..100).map(|number| line(&format!("q-{}", number / 2), &format!("c-{number}"))).collect();
    assert_eq!(take(&tenant, 0, lines[..70].to_vec()).await.to, 70);
    assert_eq!(take(&tenant, 60, lines[60..].to_vec()).await.lines, 100);

    let read = |query_id: &str| {
        let query_id = query_id.to_owned();
        tenant.told(|reply| ReadLineage { query_id, principal: principal(), reply })
    };
    let found = read("q-33").await.unwrap();
    assert!(found.record.is_none() && found.feedback.is_empty());
    let chunks: Vec<_> = found.lines.iter().map(|line| line.chunk_id.as_str()).collect();
    assert_eq!(chunks, ["c-66", "c-67"]);
    let first = &found.lines[0];
    assert_eq!(
        (first.tenant_id.as_str(), first.domain.as_str(), first.usecase.as_str()),
        ("default", "general", "general")
    );
    assert_eq!(
        (first.agent_id.as_str(), first.policy_version.as_str(), first.trust_score),
        ("planner-v1", "0.9.0", 0.5)
    );
    let origin = first.imported.as_ref().unwrap();
    assert_eq!((origin.file.as_str(), origin.file_sha256.as_str(), origin.line), ("lineage.jsonl", FILE, 67));
    assert_eq!(origin.line_sha256, hex::encode(sha256(lines[66].as_bytes())));
    assert_eq!(read("q-50").await.unwrap_err().code, Code::NotFound);
    let judged = |reply| GiveFeedback {
        query_id: "q-33".into(),
        up: true,
        comment: None,
        correct_answer: None,
        rejected: Vec::new(),
        principal: principal(),
        reply,
    };
    assert_eq!(tenant.told(judged).await.unwrap_err().code, Code::NotFound, "it is no answer of this journal");

    let now = exported(&tenant).await;
    assert_eq!(now[..before.1.len()], before.1);
    let chunks: Vec<_> = now[before.1.len()..].iter().map(|line| line.chunk_id.clone()).collect();
    assert_eq!(chunks, (0..100).map(|number| format!("c-{number}")).collect::<Vec<_>>(), "each once, in order");
    assert_eq!((signed(&tenant).await, tenant.figures().await.unwrap().counts), (before.0, before.2));
    assert!(read(&answer.query_id).await.unwrap().lines.iter().all(|line| line.imported.is_none()));

    step(&tenant, ImportStep::Withdraw { file_sha256: FILE.into() }).await.unwrap();
    assert_eq!(exported(&tenant).await, before.1);
    assert_eq!(read("q-33").await.unwrap_err().code, Code::NotFound);
    assert_eq!(take(&tenant, 0, lines[..2].to_vec()).await.lines, 2);
    assert_eq!(read("q-0").await.unwrap().lines.len(), 2);
    step(&tenant, ImportStep::Keep { file_sha256: FILE.into() }).await.unwrap();
    let refused = step(&tenant, ImportStep::Withdraw { file_sha256: FILE.into() }).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
}

#[actix_rt::test]
async fn a_question_of_the_same_name_keeps_its_own_answer() {
    let stage = Stage::new();
    let tenant =
        stage.start(1, &policy("default", |_| {})).with_documents(vec![document("a", "Amber is a colour.")]).await;
    let answer = tenant.ask("What is amber?").await.unwrap();
    take(&tenant, 0, vec![line(&answer.query_id, "old")]).await;
    let query_id = answer.query_id.clone();
    let found = tenant.told(|reply| ReadLineage { query_id, principal: principal(), reply }).await.unwrap();
    assert_eq!(found.record.unwrap().answer, answer.answer);
    assert_eq!(found.lines.iter().filter(|line| line.imported.is_some()).count(), 1);
}

#[actix_rt::test]
async fn old_lines_are_told_in_the_forms_of_others() {
    let stage = Stage::new();
    let tenant = stage.start(1, &policy("default", |_| {}));
    take(&tenant, 0, vec![line("q", "c")]).await;
    let export = |reply| ExportLineage { from: 0, max: 2_000, principal: principal(), reply };
    let records = tenant.told(export).await.unwrap().records;
    let [event] = &LineageForm::OpenLineage.tell(&records[0])[..] else { panic!("one event") };
    assert_eq!((&event["eventType"], &event["outputs"][0]["name"]), (&"COMPLETE".into(), &"answer/q".into()));
    let run = uuid::Uuid::parse_str(event["run"]["runId"].as_str().unwrap()).unwrap();
    assert_eq!(run.get_version_num(), 8, "the standard wants a UUID");
    assert_eq!(LineageForm::Prov.tell(&records[0]).len(), 1);
}
