//! `POST /v1/search`: passages without an answer.
use super::errors::Failure;
use super::frame::Facts;
use super::reply::{long_ok, of_another_kind, whole};
use super::{ask, body, knock, rates};
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::JSON_BYTES_MAX;
use bailiwick_tenant::question::{Matter, Passage, Reply, Search};
use bailiwick_tenant::supervisor::messages::Wishes;
use bailiwick_tenant::turn::ReplyLine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an answer says of a passage beside its text, about.
const BESIDE_TEXT_BYTES: usize = 512;

/// A search.
#[derive(Clone, PartialEq, Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// Words to search for.
    pub query: String,
    /// Hits wanted.
    #[serde(default)]
    pub top_k: Option<usize>,
    /// Only documents of this domain.
    #[serde(default)]
    pub domain: Option<String>,
    /// Only documents of this use case.
    #[serde(default)]
    pub usecase: Option<String>,
}

/// Hits of a search.
#[derive(Serialize, JsonSchema, Debug)]
pub struct SearchAnswer<'a> {
    /// Passages, best first.
    pub hits: &'a [Passage],
}

impl SearchBody {
    /// The search within its limits.
    pub(super) fn search(self) -> Result<Search, Failure> {
        let query = ask::checked_text("query", &self.query)?;
        ask::checked_scope(self.domain.as_deref(), self.usecase.as_deref(), self.top_k)?;
        Ok(Search { query, domain: self.domain, usecase: self.usecase, top_k: self.top_k })
    }
}

/// `POST /v1/search`.
pub(super) async fn search(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.ask(knock::claim(&request)).await?;
    let wanted: SearchBody = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let (line, awaiting) = ReplyLine::whole();
    rates::watch(&request, &awaiting);
    let wishes = Wishes { conversation: knock::conversation(&request)?, ..Wishes::default() };
    let wishes = Facts::of(&request).stamp_arrival(wishes, &edge);
    handle.ask(Matter::Search(wanted.search()?), wishes, Some(edge.settings.ask_deadline_ms), line);
    let replied = whole(&edge, awaiting).await?;
    let Reply::Hits(hits) = &replied.reply else { return Err(of_another_kind()) };
    let about_bytes = hits.iter().map(|hit| hit.text.len().saturating_add(BESIDE_TEXT_BYTES)).sum();
    Ok(long_ok(&SearchAnswer { hits }, about_bytes))
}
