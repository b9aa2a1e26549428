//! `POST /v1/feedback`: a judgement of an answer.
use super::errors::Failure;
use super::reply::json;
use super::{body, knock};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::{FEEDBACK_CHARS_MAX, JSON_BYTES_MAX, NAME_CHARS_MAX};
use schemars::JsonSchema;
use serde::Deserialize;

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
        Ok(self)
    }
}

/// `POST /v1/feedback`.
pub(super) async fn give(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.feedback(knock::claim(&request)).await?;
    let given: FeedbackBody = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let FeedbackBody { query_id, rating, comment, correct_answer } = given.checked()?;
    let recorded = handle.give(query_id, rating == Rating::Up, comment, correct_answer).await?;
    Ok(json(StatusCode::CREATED, &recorded))
}
