//! OpenAI's bodies: read into matters, written from replies. Pure.
use super::ask::{checked_scope, checked_text};
use super::errors::Failure;
use super::stream::{Events, event};
use bailiwick_kernel::ids::QueryId;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::schema::{GovernanceSettings, RouterFile};
use bailiwick_tenant::question::{Answer, Chat, Completion, Exchange, Frame, Matter, Question, Reply, Usage};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The model that answers from the tenant's documents.
pub const GROUNDED_MODEL: &str = "bailiwick";

/// How a completion is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Style {
    /// In events.
    pub(super) stream: bool,
    /// With a last event that tells the tokens used.
    pub(super) include_usage: bool,
}

/// A request, read.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Asked {
    /// What goes to the tenant.
    pub(super) matter: Matter,
    /// How the answer is to be told.
    pub(super) style: Style,
    /// What was asked and answered in earlier messages, oldest first; only of a question to the documents.
    pub(super) earlier: Vec<Exchange>,
    /// The conversation the body names; only of a question to the documents.
    pub(super) conversation: Option<String>,
    /// For whom the key speaks; only of a question to the documents.
    pub(super) end_user: Option<String>,
}

impl Asked {
    fn passed_through(matter: Matter, style: Style) -> Self {
        Self { matter, style, earlier: Vec::new(), conversation: None, end_user: None }
    }
}

/// Earlier messages read at most: as many as a policy may have questions understood by.
const EARLIER_MAX: usize = 20;
/// Bytes of an earlier answer from which on no policy tells a model of it: 16,000 characters of four bytes.
const EARLIER_ANSWER_BYTES_MAX: usize = 64_000;

/// What every chunk of one completion carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// Seconds since the Unix epoch.
    pub(super) created_s: u64,
    /// As in [`Style`].
    pub(super) include_usage: bool,
}

/// Reads the body of a chat completion: model `bailiwick` asks the documents, any other passes through.
pub(super) fn read(body: Map<String, Value>) -> Result<Asked, Failure> {
    let model = text_field(&body, "model")?.to_owned();
    let messages = body.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| at_fault("messages", "send a list of at least one message"))?;
    let style = style_of(&body)?;
    if model == GROUNDED_MODEL {
        if body.get("n").and_then(Value::as_u64).is_some_and(|n| n != 1) {
            return Err(at_fault("n", "this model gives one answer; send 1 or nothing"));
        }
        let text = checked_text("messages", &last_user_text(messages)?)?;
        let (domain, usecase, top_k) =
            (option_text(&body, "domain")?, option_text(&body, "usecase")?, option_count(&body, "top_k")?);
        checked_scope(domain.as_deref(), usecase.as_deref(), top_k)?;
        let matter = Matter::Ask(Question { text, domain, usecase, top_k, ..Question::default() });
        let conversation = option_text(&body, "conversation_id")?;
        let end_user = option_text(&body, "user")?.filter(|user| !user.is_empty());
        return Ok(Asked { matter, style, earlier: earlier_exchanges(messages), conversation, end_user });
    }
    let wanted = option_count(&body, "max_completion_tokens")?
        .map_or_else(|| option_count(&body, "max_tokens"), |tokens| Ok(Some(tokens)))?;
    let max_tokens =
        wanted.map(u32::try_from).transpose().map_err(|_large| at_fault("max_tokens", "the number is too large"))?;
    let chat = Chat { model, body: Value::Object(body), max_tokens };
    Ok(Asked::passed_through(Matter::Chat(Box::new(chat)), style))
}

/// Reads the body of an embedding.
pub(super) fn embeddings_asked(body: Map<String, Value>) -> Result<Asked, Failure> {
    text_field(&body, "model")?;
    match body.get("input") {
        Some(Value::String(text)) if !text.is_empty() => {}
        Some(Value::Array(list)) if !list.is_empty() => {}
        _ => return Err(at_fault("input", "send a text or a list of texts")),
    }
    Ok(Asked::passed_through(Matter::Embed(Box::new(Value::Object(body))), Style::default()))
}

fn at_fault(name: &'static str, what: &str) -> Failure {
    Failure::invalid(format!("reading {name}: {what}")).with_param(name)
}

fn text_field<'a>(body: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Failure> {
    body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(|| at_fault(name, "send a text"))
}

fn option_text(body: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Failure> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(at_fault(name, "send a text")),
    }
}

fn option_count(body: &Map<String, Value>, name: &'static str) -> Result<Option<usize>, Failure> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .map(Some)
            .ok_or_else(|| at_fault(name, "send a whole number")),
    }
}

fn option_bool(body: &Map<String, Value>, name: &'static str) -> Result<bool, Failure> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(at_fault(name, "send true or false")),
    }
}

fn style_of(body: &Map<String, Value>) -> Result<Style, Failure> {
    let stream = option_bool(body, "stream")?;
    let include_usage = match body.get("stream_options") {
        None | Some(Value::Null) => false,
        Some(Value::Object(options)) => option_bool(options, "include_usage")?,
        Some(_) => return Err(at_fault("stream_options", "send an object")),
    };
    Ok(Style { stream, include_usage })
}

/// What the user asked in the messages before the last of theirs, oldest first, each with what was answered before the next.
/// What could not be a question is left out: it stands there to be understood by, not to be answered.
fn earlier_exchanges(messages: &[Value]) -> Vec<Exchange> {
    let role = |message: &Value| message.get("role").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut asked = messages.iter().enumerate().rev().filter(|(_, message)| role(message) == "user").map(|(at, _)| at);
    let Some(last) = asked.next() else { return Vec::new() };
    let first = asked.take(EARLIER_MAX).last().unwrap_or(last);
    let mut exchanges: Vec<Option<Exchange>> = Vec::new();
    for message in messages.iter().take(last).skip(first) {
        let text = content_text(message.get("content")).and_then(|text| checked_text("messages", &text).ok());
        match (role(message).as_str(), exchanges.last_mut()) {
            ("user", _) => exchanges.push(text.map(|question| Exchange { question, ..Exchange::default() })),
            ("assistant", Some(Some(exchange))) => {
                // what is longer already is told nobody, whatever else belongs to it
                let text = text.filter(|_| exchange.answer.len() <= EARLIER_ANSWER_BYTES_MAX).unwrap_or_default();
                if !exchange.answer.is_empty() && !text.is_empty() {
                    exchange.answer.push('\n');
                }
                exchange.answer.push_str(&text);
            }
            _ => {}
        }
    }
    exchanges.into_iter().flatten().collect()
}

/// The words of a message: a text, or the text parts of a list; nothing where it has parts of another kind.
fn content_text(content: Option<&Value>) -> Option<String> {
    match content? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => parts.iter().map(text_part).collect::<Option<Vec<&str>>>().map(|texts| texts.join("\n")),
        _ => None,
    }
}

/// The words of the last message of role `user`: a text, or the text parts of a list.
fn last_user_text(messages: &[Value]) -> Result<String, Failure> {
    let last = messages.iter().rev().find(|message| message.get("role").and_then(Value::as_str) == Some("user"));
    match last.and_then(|message| message.get("content")) {
        content @ Some(Value::String(_) | Value::Array(_)) => {
            content_text(content).ok_or_else(|| at_fault("messages", "this model takes text only"))
        }
        _ => Err(at_fault("messages", "there is no message of role user with content; send the question in one")),
    }
}

fn text_part(part: &Value) -> Option<&str> {
    match part.get("type").and_then(Value::as_str) {
        Some("text" | "input_text") => part.get("text").and_then(Value::as_str),
        _ => None,
    }
}

fn usage_of(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens.saturating_add(usage.completion_tokens),
    })
}

/// Citations as OpenAI's annotations, one per place a marker stands at, with our own fields beside.
pub(super) fn annotations(answer: &Answer) -> Vec<Value> {
    let mut found: Vec<(usize, Value)> = Vec::new();
    for citation in answer.citations.iter().filter(|citation| !citation.marker.is_empty()) {
        for (at, marker) in answer.answer.match_indices(&citation.marker) {
            let start = answer.answer.get(..at).map_or(0, |before| before.chars().count());
            let place = json!({
                "type": "url_citation",
                "url_citation": {
                    "start_index": start,
                    "end_index": start + marker.chars().count(),
                    "title": citation.title,
                    "url": citation.source,
                },
                "bailiwick": citation,
            });
            found.push((start, place));
        }
    }
    found.sort_by_key(|(start, _)| *start);
    found.into_iter().map(|(_, place)| place).collect()
}

fn own_fields(answer: &Answer) -> Value {
    json!({
        "query_id": answer.query_id,
        "abstained": answer.abstained,
        "reason": answer.reason,
        "trust_score": answer.trust_score,
        "model": answer.model,
        "cost_usd": answer.usage.cost,
        "policy_version": answer.policy_version,
        "receipt": answer.receipt,
        "notes": answer.notes,
    })
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.ended_by_length { "length" } else { "stop" }
}

/// A grounded answer as a chat completion.
pub(super) fn completion(answer: &Answer) -> Value {
    // the question's own time, so that a repeated call is told the same to the byte
    let created_s = QueryId::parse(&answer.query_id).and_then(QueryId::unix_ms).unwrap_or_default() / 1_000;
    json!({
        "id": format!("chatcmpl-{}", answer.query_id),
        "object": "chat.completion",
        "created": created_s,
        "model": GROUNDED_MODEL,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": answer.answer, "refusal": null, "annotations": annotations(answer) },
            "logprobs": null,
            "finish_reason": finish_reason(answer),
        }],
        "usage": usage_of(&answer.usage),
        "bailiwick": own_fields(answer),
    })
}

const DONE: &[u8] = b"data: [DONE]\n\n";

fn failed(failure: &Failure) -> Bytes {
    event("", &failure.openai_body())
}

/// A grounded answer as chunks. Chunks before the end cannot know the question's id, so the stream has one of its own.
pub(super) struct GroundedChunks {
    head: Head,
    id: String,
    spoke: bool,
    began: bool,
}

impl GroundedChunks {
    /// The chunks of one answer.
    pub(super) fn new(head: Head) -> Self {
        let id = format!("chatcmpl-{}", uuid::Uuid::now_v7());
        Self { head, id, spoke: false, began: false }
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Map<String, Value> {
        let chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.head.created_s,
            "model": GROUNDED_MODEL,
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }],
        });
        let mut chunk = if let Value::Object(chunk) = chunk { chunk } else { Map::new() };
        if self.head.include_usage {
            chunk.insert("usage".into(), Value::Null);
        }
        chunk
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.began {
            self.began = true;
            out.extend_from_slice(&event("", &self.chunk(&json!({ "role": "assistant", "content": "" }), None)));
        }
    }

    fn words(&mut self, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.begin(&mut out);
        self.spoke = true;
        out.extend_from_slice(&event("", &self.chunk(&json!({ "content": text }), None)));
        out
    }

    fn finish(&mut self, answer: &Answer) -> Bytes {
        let mut out = if self.spoke { Vec::new() } else { self.words(&answer.answer) };
        let mut last = self.chunk(&json!({ "annotations": annotations(answer) }), Some(finish_reason(answer)));
        last.insert("bailiwick".into(), own_fields(answer));
        out.extend_from_slice(&event("", &last));
        if self.head.include_usage {
            let mut usage = self.chunk(&Value::Null, None);
            usage.insert("choices".into(), json!([]));
            usage.insert("usage".into(), usage_of(&answer.usage));
            out.extend_from_slice(&event("", &usage));
        }
        out.extend_from_slice(DONE);
        Bytes::from(out)
    }
}

impl Events for GroundedChunks {
    fn frame(&mut self, frame: Frame) -> Option<Bytes> {
        match frame {
            Frame::Delta(text) => Some(Bytes::from(self.words(&text))),
            Frame::Citations(_) | Frame::Chunk(_) => None,
        }
    }

    fn end(&mut self, outcome: Outcome<Reply>) -> Bytes {
        match outcome {
            Ok(Reply::Answer(answer)) => self.finish(&answer),
            Ok(_) => failed(&super::reply::of_another_kind()),
            Err(rejection) => failed(&rejection.into()),
        }
    }
}

/// A passed-through completion as chunks, as the provider sent them.
pub(super) struct PassedChunks {
    head: Head,
    relayed: bool,
    usage_told: bool,
}

impl PassedChunks {
    /// The chunks of one completion.
    pub(super) fn new(head: Head) -> Self {
        Self { head, relayed: false, usage_told: false }
    }

    fn finish(&self, passed: &Completion) -> Bytes {
        let mut out = Vec::new();
        if !self.relayed
            && let Some(chunk) = as_chunk(&passed.body)
        {
            out.extend_from_slice(&event("", &chunk));
        }
        if self.head.include_usage && !self.usage_told {
            out.extend_from_slice(&event("", &self.usage_chunk(passed)));
        }
        out.extend_from_slice(DONE);
        Bytes::from(out)
    }

    fn usage_chunk(&self, passed: &Completion) -> Value {
        let own_id = || Value::from(format!("chatcmpl-{}", passed.query_id));
        json!({
            "id": passed.body.get("id").cloned().unwrap_or_else(own_id),
            "object": "chat.completion.chunk",
            "created": self.head.created_s,
            "model": passed.body.get("model").cloned().unwrap_or_else(|| Value::from(passed.model.name.as_str())),
            "choices": [],
            "usage": passed.body.get("usage").filter(|usage| usage.is_object()).cloned().unwrap_or_else(|| usage_of(&passed.usage)),
        })
    }
}

/// A whole completion told as one chunk: what a repeated streamed request gets. `None` for a body without messages.
fn as_chunk(body: &Value) -> Option<Value> {
    let mut chunk = body.as_object()?.clone();
    for choice in chunk.get_mut("choices")?.as_array_mut()? {
        let choice = choice.as_object_mut()?;
        let message = choice.remove("message")?;
        choice.insert("delta".into(), message);
    }
    chunk.insert("object".into(), Value::from("chat.completion.chunk"));
    chunk.remove("usage");
    Some(Value::Object(chunk))
}

fn tells_usage_only(chunk: &Value) -> bool {
    chunk.get("usage").is_some_and(Value::is_object)
        && chunk.get("choices").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

impl Events for PassedChunks {
    fn frame(&mut self, frame: Frame) -> Option<Bytes> {
        let Frame::Chunk(chunk) = frame else { return None };
        if tells_usage_only(&chunk) {
            // the house always asks providers for it; the client hears it where the client asked
            if !self.head.include_usage {
                return None;
            }
            self.usage_told = true;
        }
        self.relayed = true;
        Some(event("", &chunk))
    }

    fn end(&mut self, outcome: Outcome<Reply>) -> Bytes {
        match outcome {
            Ok(Reply::Completion(passed)) => self.finish(&passed),
            Ok(_) => failed(&super::reply::of_another_kind()),
            Err(rejection) => failed(&rejection.into()),
        }
    }
}

/// Models of one tenant.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ModelList {
    /// `list`.
    pub object: &'static str,
    /// The models.
    pub data: Vec<ModelView>,
}

/// One model.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ModelView {
    /// Its name.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// Unknown to us, therefore 0.
    pub created: u64,
    /// The provider, or `bailiwick`.
    pub owned_by: String,
}

/// What a tenant may name as a model: the grounded one, those of its router, those its governance allows.
pub(super) fn model_list(router: &RouterFile, governance: &GovernanceSettings) -> ModelList {
    let mut data: Vec<ModelView> = Vec::new();
    let mut add = |id: &str, owned_by: &str| {
        if data.iter().all(|model| model.id != id) {
            data.push(ModelView { id: id.to_owned(), object: "model", created: 0, owned_by: owned_by.to_owned() });
        }
    };
    add(GROUNDED_MODEL, GROUNDED_MODEL);
    for route in std::iter::once(&router.routing.primary).chain(&router.routing.fallback) {
        add(&route.model, &route.provider);
    }
    for name in &governance.allowed_models {
        add(name, &router.routing.primary.provider);
    }
    ModelList { object: "list", data }
}
