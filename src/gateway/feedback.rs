//! Judgements of answers: given, and what followed from them.
use super::errors::Failure;
use super::reply::{json, ok};
use super::{body, knock};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::{FEEDBACK_CHARS_MAX, JSON_BYTES_MAX, NAME_CHARS_MAX};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_tenant::feedback::messages::Judgement;
use bailiwick_tenant::feedback::rules::REJECTED_MAX;
use schemars::JsonSchema;
use serde::Deserialize;

/// Characters of a chunk's id: that of its document and a number.
const CHUNK_ID_CHARS_MAX: usize = NAME_CHARS_MAX + 16;

/// A judgement of an answer.
#[derive(Clone, PartialEq, Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct FeedbackBody {
    /// The answer, by the id it carries.
    pub query_id: String,
    /// Good or bad.
    pub rating: Rating,
    /// Words.
    #[serde(default)]
    pub comment: Option<String>,
    /// What the answer should have been.
    #[serde(default)]
    pub correct_answer: Option<String>,
    /// Chunks it cites that were of no use, or wrong: each person's word costs their documents a step of trust.
    #[serde(default)]
    pub rejected_chunks: Vec<String>,
}

/// Good or bad.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Rating {
    /// Good.
    Up,
    /// Bad.
    Down,
}

impl FeedbackBody {
    pub(super) fn checked(self) -> Result<Self, Failure> {
        body::bounded("query_id", &self.query_id, NAME_CHARS_MAX)?;
        body::bounded_option("comment", self.comment.as_deref(), FEEDBACK_CHARS_MAX)?;
        body::bounded_option("correct_answer", self.correct_answer.as_deref(), FEEDBACK_CHARS_MAX)?;
        if self.rejected_chunks.len() > REJECTED_MAX {
            let detail = format!(
                "judging an answer: {} chunks are rejected, and at most {REJECTED_MAX} may be",
                self.rejected_chunks.len()
            );
            return Err(Rejection::new(Code::InvalidRequest, detail).into());
        }
        self.rejected_chunks
            .iter()
            .try_for_each(|chunk| body::bounded("rejected_chunks", chunk, CHUNK_ID_CHARS_MAX))?;
        Ok(self)
    }
}

/// `POST /v1/feedback`.
pub(super) async fn give(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.feedback(knock::claim(&request)).await?;
    let given: FeedbackBody = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let FeedbackBody { query_id, rating, comment, correct_answer, rejected_chunks } = given.checked()?;
    let judgement =
        Judgement { query_id, up: rating == Rating::Up, comment, correct_answer, rejected: rejected_chunks };
    Ok(json(StatusCode::CREATED, &handle.give(judgement).await?))
}

/// `GET /admin/v1/tenants/{id}/feedback`.
pub(super) async fn list(request: HttpRequest, tenant: web::Path<String>) -> Result<HttpResponse, Failure> {
    let handle = knock::edge(&request)?.door.audit(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&handle.judgements().await?))
}

/// `DELETE /admin/v1/tenants/{id}/feedback/{document}`.
pub(super) async fn restore(request: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Failure> {
    let (tenant, document) = path.into_inner();
    let handle = knock::edge(&request)?.door.govern(knock::claim_on(&request, &tenant)).await?;
    Ok(ok(&handle.restore_trust(document).await?))
}
