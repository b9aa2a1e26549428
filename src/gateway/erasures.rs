//! `/v1/erasures`: what is to be erased, how that stands, and the certificate that it is done.
use super::errors::Failure;
use super::page::Page;
use super::reply::{json, ok};
use super::{body, knock};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::{ERASURES_PER_PAGE_MAX, JSON_BYTES_MAX, NAME_CHARS_MAX};
use bailiwick_tenant::erasures::messages::ErasureView;
use bailiwick_tenant::erasures::rules::{Asked, wish};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is to be erased: a subject or a document.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ErasureBody {
    /// Everything about somebody: as `subject` of the documents' metadata names them.
    #[serde(default)]
    pub subject: Option<String>,
    /// One document, by its id.
    #[serde(default)]
    pub document: Option<String>,
    /// Which kind of objects; `data`, the documents, where absent. Others are refused.
    #[serde(default)]
    pub data_type: Option<String>,
    /// Why: the legal basis, in words. It is kept, and names nobody.
    #[serde(default)]
    pub basis: Option<String>,
    /// Days within which it is due, 0 to 90; 30 where absent. What nothing keeps goes at once.
    #[serde(default)]
    pub within_days: Option<u32>,
}

/// Requests for erasure.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ErasureList {
    /// Those of one page in the order of their ids; pages follow each other in an order that stays and says nothing of ids.
    pub erasures: Vec<ErasureView>,
    /// Send it as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `POST /v1/erasures`.
pub(super) async fn ask(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.ingest(knock::claim(&request)).await?;
    let asked: ErasureBody = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let ErasureBody { subject, document, data_type, basis, within_days } = asked;
    body::bounded_option("subject", subject.as_deref(), NAME_CHARS_MAX)?;
    body::bounded_option("document", document.as_deref(), NAME_CHARS_MAX)?;
    body::bounded_option("data_type", data_type.as_deref(), NAME_CHARS_MAX)?;
    let wish = wish(Asked { subject, document, data_type, basis, within_days })?;
    Ok(json(StatusCode::ACCEPTED, &handle.ask_erasure(wish).await?))
}

/// `GET /v1/erasures?after=&limit=`.
pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    let Page { after, limit } = Page::of(&request, ERASURES_PER_PAGE_MAX)?;
    let mut erasures = handle.erasures(after, limit).await?;
    let next = erasures.last().filter(|_| erasures.len() >= limit).map(|last| last.id.clone());
    erasures.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(ok(&ErasureList { erasures, next }))
}

/// `GET /v1/erasures/{id}`.
pub(super) async fn show(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    Ok(ok(&handle.erasure(id.into_inner()).await?))
}

/// `GET /v1/erasures/{id}/certificate`.
pub(super) async fn certificate(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim(&request)).await?;
    Ok(ok(&handle.erasure_certificate(id.into_inner()).await?))
}
