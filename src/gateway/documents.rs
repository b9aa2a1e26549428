//! `/v1/documents`: take in, list, show, remove.
use super::errors::Failure;
use super::knock;
use super::page::Page;
use super::reply::{json, ok};
use super::upload::{self, Arrived, Parcel};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_control::registry::handles::AuditHandle;
use bailiwick_control::registry::upload::Upload;
use bailiwick_kernel::limits::PAGE_ITEMS_MAX;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_tenant::retrieval::messages::{DocumentState, DocumentView, Ingested};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// What became of the documents of one request, in their order.
#[derive(Serialize, JsonSchema, Debug)]
pub struct IngestAnswer {
    /// One entry per document.
    pub documents: Vec<Ingested>,
}

/// A page of documents.
#[derive(Serialize, JsonSchema, Debug)]
pub struct DocumentList {
    /// Documents, those of one page in id order; pages follow each other in an order that stays and says nothing of ids.
    pub documents: Vec<DocumentView>,
    /// Send it as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A document with its text.
#[derive(Serialize, JsonSchema, Debug)]
pub struct DocumentText {
    /// The document.
    #[serde(flatten)]
    pub document: DocumentView,
    /// Its text as extracted; offsets of citations count its characters.
    pub text: String,
}

/// `POST /v1/documents`.
pub(super) async fn add(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.ingest(knock::claim(&request)).await?;
    // held until the answer: the bytes are in memory until the tenant has taken them
    let _permit = Arc::clone(&edge.uploads).try_acquire_owned().map_err(|_busy| {
        Rejection::retry_after(
            Code::Overloaded,
            "as many uploads as this node takes at a time are running; try again shortly",
            1_000,
        )
    })?;
    // asked before the body is read: what the tenant has no room for is neither read nor parsed
    let upload = handle.upload().await?;
    let arrived = upload::arrive(&request, payload, edge.settings.upload_timeout()).await?;
    let parcels = unpack(&upload, arrived).await?;
    let documents = take(upload, parcels).await?;
    answer(documents)
}

/// Parses what arrived in the tenant's own share of the node, document by document.
async fn unpack(upload: &Upload, arrived: Arrived) -> Result<Vec<Parcel>, Failure> {
    let body = match arrived {
        Arrived::Form(parcels) => return Ok(parcels),
        Arrived::Json(body) => body,
    };
    let cut: Result<Vec<Vec<_>>, Failure> =
        upload.in_slices(vec![body], |body| upload::cut(&body)).await?.into_iter().collect();
    let documents: Vec<(usize, Bytes)> = cut?.into_iter().flatten().enumerate().collect();
    upload.in_slices(documents, |(at, document)| upload::parcel_at(at, &document)).await?.into_iter().collect()
}

async fn take(upload: Upload, parcels: Vec<Parcel>) -> Result<Vec<Ingested>, Failure> {
    let (mut refused, mut new) = (Vec::with_capacity(parcels.len()), Vec::with_capacity(parcels.len()));
    for parcel in parcels {
        match parcel {
            Parcel::Take(document) => {
                new.push(*document);
                refused.push(None);
            }
            Parcel::Refused(ingested) => refused.push(Some(ingested)),
        }
    }
    let taken = if new.is_empty() { Vec::new() } else { upload.ingest(new).await? };
    Ok(in_order(refused, taken))
}

/// Puts what the tenant answered where the documents stood, between those refused at the door.
pub(super) fn in_order(refused: Vec<Option<Ingested>>, taken: Vec<Ingested>) -> Vec<Ingested> {
    let mut taken = taken.into_iter();
    refused.into_iter().filter_map(|refused| refused.or_else(|| taken.next())).collect()
}

/// 201 where anything went in; a problem that names each document where nothing did.
pub(super) fn answer(documents: Vec<Ingested>) -> Result<HttpResponse, Failure> {
    if documents.iter().any(|document| document.state != DocumentState::Failed) {
        return Ok(json(StatusCode::CREATED, &IngestAnswer { documents }));
    }
    let reason = match documents.as_slice() {
        [one] => one.error.clone().unwrap_or_else(|| String::from("it was not taken")),
        all => format!("none of the {} documents was taken; see documents for each reason", all.len()),
    };
    let detail = format!("taking the documents in: {reason}");
    if documents.iter().all(|document| document.code == Some(Code::QuotaExceeded)) {
        return Err(Failure::new(Code::QuotaExceeded, detail).with_documents(documents));
    }
    Err(Failure::invalid(detail).with_status(StatusCode::UNPROCESSABLE_ENTITY).with_documents(documents))
}

/// `GET /v1/documents?after=&limit=`.
pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    page(&request, &handle).await
}

/// `GET /admin/v1/tenants/{id}/documents`.
pub(super) async fn of_tenant(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    page(&request, &handle).await
}

async fn page(request: &HttpRequest, handle: &AuditHandle) -> Result<HttpResponse, Failure> {
    let Page { after, limit } = Page::of(request, PAGE_ITEMS_MAX)?;
    let mut documents = handle.documents(after, limit).await?;
    let next = documents.last().filter(|_| documents.len() >= limit).map(|last| last.id.clone());
    documents.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(ok(&DocumentList { documents, next }))
}

/// `GET /v1/documents/{id}`.
pub(super) async fn show(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    let (document, text) = handle.document(id.into_inner()).await?;
    Ok(ok(&DocumentText { document, text }))
}

/// `DELETE /v1/documents/{id}`.
pub(super) async fn remove(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.ingest(knock::claim(&request)).await?;
    handle.remove(id.into_inner()).await?;
    Ok(HttpResponse::NoContent().finish())
}
