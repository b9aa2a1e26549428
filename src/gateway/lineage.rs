//! `/v1/lineage`: what an answer rests on; `/v1/lineage/export`: all of it, line by line.
use super::errors::{Failure, json_bytes};
use super::reply::ok;
use super::{body, knock};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::handles::AuditHandle;
use bailiwick_control::registry::messages::Claim;
use bailiwick_kernel::limits::{EXPORT_PORTION_MAX, NAME_CHARS_MAX};
use bailiwick_kernel::outcome::Rejection;
use bailiwick_tenant::supervisor::lineage_forms::LineageForm;
use bailiwick_tenant::supervisor::messages::{LineageOfRecord, LineagePortion};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;

/// Query of `/v1/lineage`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineageQuery {
    query_id: String,
}

/// Query of the tenant's lineage on the control plane.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineageOrExport {
    #[serde(default)]
    query_id: Option<String>,
    #[serde(default)]
    format: Option<String>,
}

/// `GET /v1/lineage?query_id=`.
pub(super) async fn of_answer(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.audit(knock::claim(&request)).await?;
    let LineageQuery { query_id } = body::query(&request)?;
    one(&handle, query_id).await
}

/// `GET /v1/lineage/export`.
pub(super) async fn export(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.audit(knock::claim(&request)).await?;
    streamed(handle, form_of(body::query::<ExportQuery>(&request)?.format.as_deref())?).await
}

/// `GET /admin/v1/tenants/{id}/lineage`: one answer's where `query_id` names it, else all.
pub(super) async fn of_tenant(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let claim: Claim = knock::claim_on(&request, &tenant);
    let handle = edge.door.audit(claim).await?;
    let LineageOrExport { query_id, format } = body::query(&request)?;
    match query_id {
        Some(query_id) => one(&handle, query_id).await,
        None => streamed(handle, form_of(format.as_deref())?).await,
    }
}

async fn one(handle: &AuditHandle, query_id: String) -> Result<HttpResponse, Failure> {
    body::bounded("query_id", &query_id, NAME_CHARS_MAX)?;
    Ok(ok(&handle.lineage(query_id).await?))
}

/// Query of an export.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    #[serde(default)]
    format: Option<String>,
}

fn form_of(format: Option<&str>) -> Result<LineageForm, Failure> {
    let unknown = || {
        let known: Vec<_> = LineageForm::ALL.iter().map(|(name, _)| *name).collect();
        Failure::invalid(format!("reading format: there are {}", known.join(", "))).with_param("format")
    };
    format.map_or(Ok(LineageForm::Jsonl), |name| LineageForm::named(name).ok_or_else(unknown))
}

/// Records as lines of JSON.
fn json_lines(form: LineageForm, records: &[LineageOfRecord]) -> Bytes {
    let mut out = Vec::with_capacity(records.len() * 384);
    for object in records.iter().flat_map(|record| form.tell(record)) {
        out.extend_from_slice(&json_bytes(&object));
        out.push(b'\n');
    }
    Bytes::from(out)
}

/// The first portion decides the status; a failure after it cuts the connection, so that a client cannot take a part
/// for the whole.
async fn streamed(handle: AuditHandle, form: LineageForm) -> Result<HttpResponse, Failure> {
    let first = handle.export(0, EXPORT_PORTION_MAX).await?;
    let portions = stream::unfold((handle, Some(Ok(first))), move |(handle, portion)| async move {
        let portion: Result<LineagePortion, Rejection> = portion?;
        match portion {
            Ok(LineagePortion { records, next }) => {
                let following = match next {
                    Some(from) => Some(handle.export(from, EXPORT_PORTION_MAX).await),
                    None => None,
                };
                Some((Ok(json_lines(form, &records)), (handle, following)))
            }
            Err(rejection) => Some((Err(rejection), (handle, None))),
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("application/jsonl")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"lineage.jsonl\""))
        .streaming(portions))
}
