//! `/v1/receipts`: what proves an answer, and the whole journal, to somebody who does not trust this node.
use super::errors::{Failure, json_bytes};
use super::reply::ok;
use super::{body, knock};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use bailiwick_control::registry::handles::AuditHandle;
use bailiwick_kernel::limits::{EXPORT_PORTION_MAX, NAME_CHARS_MAX};
use bailiwick_kernel::outcome::Rejection;
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};

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

/// What is left of an export.
struct Rest {
    handle: AuditHandle,
    next: u64,
    size: u64,
}

impl Rest {
    /// The next lines; nothing at the end.
    async fn lines(&mut self) -> Result<Option<Bytes>, Rejection> {
        let left = usize::try_from(self.size.saturating_sub(self.next)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let records = self.handle.records(self.next, left.min(EXPORT_PORTION_MAX)).await?;
        let count = records.len().min(left);
        if count == 0 {
            return Err(Rejection::lost());
        }
        self.next = self.next.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        let mut lines = Vec::new();
        records.iter().take(count).for_each(|record| line(record, &mut lines));
        Ok(Some(Bytes::from(lines)))
    }
}

fn line(value: &impl Serialize, lines: &mut Vec<u8>) {
    lines.extend_from_slice(&json_bytes(value));
    lines.push(b'\n');
}

/// `GET /v1/receipts/export`: the head that is signed first decides how far it goes. The first portion decides the status; a
/// failure after it cuts the connection, so that nobody takes a part for the whole.
pub(super) async fn export(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    let head = handle.signed_head(None).await?;
    let mut rest = Rest { handle, next: 0, size: head.size };
    let mut first = Vec::new();
    line(&head.header(), &mut first);
    first.extend_from_slice(&rest.lines().await?.unwrap_or_default());
    let portions = stream::unfold((rest, Some(Bytes::from(first))), |(mut rest, first)| async move {
        match first {
            Some(first) => Some((Ok(first), (rest, None))),
            None => match rest.lines().await {
                Ok(lines) => lines.map(|lines| (Ok(lines), (rest, None))),
                Err(rejection) => {
                    rest.next = rest.size;
                    Some((Err(rejection), (rest, None)))
                }
            },
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("application/jsonl")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"journal.jsonl\""))
        .streaming(portions))
}
