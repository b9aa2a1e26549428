//! `/v1/receipts`: what proves an answer, and the whole journal, to somebody who does not trust this node.
use super::errors::Failure;
use super::reply::ok;
use super::{body, journal_export, knock};
use actix_web::{HttpRequest, HttpResponse};
use bailiwick_control::registry::handles::AuditHandle;
use bailiwick_kernel::limits::NAME_CHARS_MAX;
use bailiwick_kernel::outcome::Rejection;
use bailiwick_tenant::proofs::forms::{EXPORT, ShownRecord};
use serde::Deserialize;

/// Query of `/v1/receipts`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptQuery {
    query_id: String,
}

/// Query of `/v1/receipts/checkpoint`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointQuery {
    #[serde(default)]
    since: Option<u64>,
}

/// `GET /v1/receipts?query_id=`.
pub(super) async fn of_answer(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    let ReceiptQuery { query_id } = body::query(&request)?;
    body::bounded("query_id", &query_id, NAME_CHARS_MAX)?;
    Ok(ok(&handle.receipt(query_id).await?))
}

/// `GET /v1/receipts/checkpoint`.
pub(super) async fn checkpoint(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    let CheckpointQuery { since } = body::query(&request)?;
    Ok(ok(&handle.signed_head(since).await?))
}

/// Query of `/v1/receipts/witnessed`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessedQuery {
    journal: String,
}

/// `GET /v1/receipts/witnessed?journal=`.
pub(super) async fn witnessed(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    let WitnessedQuery { journal } = body::query(&request)?;
    body::bounded("journal", &journal, NAME_CHARS_MAX)?;
    Ok(ok(&handle.witness(journal).await?))
}

/// `GET /v1/receipts/export`: the head that is signed first decides how far it goes.
pub(super) async fn export(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    let head = handle.signed_head(None).await?;
    let size = head.size;
    journal_export::whole(&head.header(EXPORT), size, "journal.jsonl", handle).await
}

impl journal_export::Source for AuditHandle {
    async fn portion(&self, from: u64, max: usize) -> Result<Vec<ShownRecord>, Rejection> {
        self.records(from, max).await
    }
}
