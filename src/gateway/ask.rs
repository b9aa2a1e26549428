//! `POST /v1/ask`: a question, answered whole or in events.
use super::errors::Failure;
use super::frame::Facts;
use super::reply::{of_another_kind, stamped, whole};
use super::stream::{AskEvents, respond};
use super::{body, knock, rates};
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::{JSON_BYTES_MAX, NAME_CHARS_MAX, QUESTION_CHARS_MAX, TOP_K_MAX};
use bailiwick_tenant::question::{Matter, Question, Reply};
use bailiwick_tenant::supervisor::messages::Wishes;
use bailiwick_tenant::turn::ReplyLine;
use schemars::JsonSchema;
use serde::Deserialize;

/// A question.
#[derive(Clone, PartialEq, Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct AskBody {
    /// The question, in words.
    pub question: String,
    /// Only documents of this domain.
    #[serde(default)]
    pub domain: Option<String>,
    /// Only documents of this use case.
    #[serde(default)]
    pub usecase: Option<String>,
    /// Passages taken into the answer; the policy's number where absent.
    #[serde(default)]
    pub top_k: Option<usize>,
    /// Answer in server-sent events.
    #[serde(default)]
    pub stream: Option<bool>,
    /// The conversation the question belongs to, as the header `X-Bailiwick-Conversation`: 1 to 256 visible ASCII characters.
    #[serde(default)]
    pub conversation_id: Option<String>,
    /// For whom the key speaks, where it speaks for several: nobody's follow-ups are understood by what another one asked.
    /// Decides nothing else.
    #[serde(default)]
    pub user: Option<String>,
}

impl AskBody {
    /// The question within its limits.
    pub(super) fn question(self) -> Result<Question, Failure> {
        let text = checked_text("question", &self.question)?;
        checked_scope(self.domain.as_deref(), self.usecase.as_deref(), self.top_k)?;
        Ok(Question { text, domain: self.domain, usecase: self.usecase, top_k: self.top_k, ..Question::default() })
    }

    /// What it wants beside what its headers do.
    pub(super) fn wishes(&mut self, wishes: Wishes) -> Result<Wishes, Failure> {
        let end_user = self.user.take().filter(|user| !user.is_empty());
        Ok(Wishes { end_user, ..knock::in_conversation(wishes, self.conversation_id.take())? })
    }
}

/// A question or query: not empty, not too long, no NUL.
pub(super) fn checked_text(name: &'static str, text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::invalid(format!("reading {name}: it is empty; ask something")).with_param(name));
    }
    body::bounded(name, text, QUESTION_CHARS_MAX)?;
    Ok(text.to_owned())
}

/// Filters and the number of passages.
pub(super) fn checked_scope(domain: Option<&str>, usecase: Option<&str>, top_k: Option<usize>) -> Result<(), Failure> {
    body::bounded_option("domain", domain, NAME_CHARS_MAX)?;
    body::bounded_option("usecase", usecase, NAME_CHARS_MAX)?;
    if top_k.is_some_and(|top_k| !(1..=TOP_K_MAX).contains(&top_k)) {
        return Err(Failure::invalid(format!("reading top_k: send a number from 1 to {TOP_K_MAX}")).with_param("top_k"));
    }
    Ok(())
}

/// `POST /v1/ask`.
pub(super) async fn ask(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.ask(knock::claim(&request)).await?;
    let wishes = knock::wishes(&request)?;
    let mut asked: AskBody = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let (streamed, wishes) = (asked.stream.unwrap_or(false), asked.wishes(wishes)?);
    let matter = Matter::Ask(asked.question()?);
    let (line, awaiting) = if streamed { ReplyLine::streaming() } else { ReplyLine::whole() };
    rates::watch(&request, &awaiting);
    let facts = Facts::of(&request);
    let wishes = facts.stamp_arrival(wishes, &edge);
    handle.ask(matter, wishes, Some(edge.settings.ask_deadline_ms), line);
    if streamed {
        return respond(&edge, awaiting, AskEvents { request_id: facts.request_id, spoke: false }).await;
    }
    let replied = whole(&edge, awaiting).await?;
    let Reply::Answer(answer) = &replied.reply else { return Err(of_another_kind()) };
    let stamp = replied.stamp(&answer.usage, &answer.policy_version, &answer.model);
    Ok(stamped(&facts, &stamp).content_type("application/json").body(super::errors::json_bytes(answer)))
}
