//! `/v1/chat/completions`, `/v1/embeddings`, `/v1/models`: what unmodified OpenAI clients call.
use super::errors::{Failure, json_bytes};
use super::frame::Facts;
use super::openai_shape::{Asked, GroundedChunks, Head, PassedChunks, completion, embeddings_asked, model_list, read};
use super::reply::{Replied, of_another_kind, ok, stamped, whole};
use super::stream::respond;
use super::{body, knock, rates};
use actix_web::{HttpRequest, HttpResponse, web};
use bailiwick_kernel::limits::{JSON_BYTES_MAX, NAME_CHARS_MAX};
use bailiwick_kernel::outcome::Code;
use bailiwick_tenant::question::{Completion, Matter, Reply};
use bailiwick_tenant::supervisor::messages::Wishes;
use bailiwick_tenant::turn::ReplyLine;
use serde_json::{Map, Value};

/// `POST /v1/chat/completions`.
pub(super) async fn chat(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.ask(knock::claim(&request)).await?;
    let wishes = knock::wishes(&request)?;
    let body: Map<String, Value> = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let asked = read(body)?;
    let (line, awaiting) = if asked.style.stream { ReplyLine::streaming() } else { ReplyLine::whole() };
    rates::watch(&request, &awaiting);
    let grounded = matches!(asked.matter, Matter::Ask(_));
    let wishes = knock::in_conversation(wishes, asked.conversation)?;
    let wishes = Wishes { earlier: asked.earlier, end_user: asked.end_user, ..wishes };
    let wishes = Facts::of(&request).stamp_arrival(wishes, &edge);
    handle.ask(asked.matter, wishes, Some(edge.settings.ask_deadline_ms), line);
    let head = Head { created_s: edge.clock.now_unix_ms() / 1_000, include_usage: asked.style.include_usage };
    match (asked.style.stream, grounded) {
        (true, true) => respond(&edge, awaiting, GroundedChunks::new(head)).await,
        (true, false) => respond(&edge, awaiting, PassedChunks::new(head)).await,
        (false, _) => {
            let replied = whole(&edge, awaiting).await?;
            shaped(&Facts::of(&request), &replied)
        }
    }
}

fn shaped(facts: &Facts, replied: &Replied) -> Result<HttpResponse, Failure> {
    match &replied.reply {
        Reply::Answer(answer) => {
            let stamp = replied.stamp(&answer.usage, &answer.policy_version, &answer.model);
            Ok(stamped(facts, &stamp).content_type("application/json").body(json_bytes(&completion(answer))))
        }
        Reply::Completion(passed) => Ok(relayed(facts, passed, replied)),
        Reply::Hits(_) => Err(of_another_kind()),
    }
}

fn relayed(facts: &Facts, passed: &Completion, replied: &Replied) -> HttpResponse {
    let stamp = replied.stamp(&passed.usage, &passed.policy_version, &passed.model);
    stamped(facts, &stamp).content_type("application/json").body(json_bytes(&passed.body))
}

/// `POST /v1/embeddings`.
pub(super) async fn embeddings(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Failure> {
    let edge = knock::edge(&request)?;
    let handle = edge.door.ask(knock::claim(&request)).await?;
    let wishes = knock::wishes(&request)?;
    let body: Map<String, Value> = body::json(&request, payload, JSON_BYTES_MAX, edge.settings.body_timeout()).await?;
    let Asked { matter, .. } = embeddings_asked(body)?;
    let (line, awaiting) = ReplyLine::whole();
    rates::watch(&request, &awaiting);
    let wishes = Facts::of(&request).stamp_arrival(wishes, &edge);
    handle.ask(matter, wishes, Some(edge.settings.ask_deadline_ms), line);
    let replied = whole(&edge, awaiting).await?;
    let Reply::Completion(passed) = &replied.reply else { return Err(of_another_kind()) };
    Ok(relayed(&Facts::of(&request), passed, &replied))
}

/// `GET /v1/models`.
pub(super) async fn models(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let policy = knock::edge(&request)?.door.observe(knock::claim(&request)).await?.policy().await?;
    Ok(ok(&model_list(&policy.router, &policy.governance)))
}

/// `GET /v1/models/{model}`.
pub(super) async fn model(request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, Failure> {
    let policy = knock::edge(&request)?.door.observe(knock::claim(&request)).await?.policy().await?;
    let listed = model_list(&policy.router, &policy.governance);
    body::bounded("model", &name, NAME_CHARS_MAX)?;
    let found = listed.data.iter().find(|model| model.id == *name);
    found.map(ok).ok_or_else(|| {
        Failure::new(Code::NotFound, "there is no such model for this tenant; /v1/models lists them")
            .with_param("model")
    })
}
