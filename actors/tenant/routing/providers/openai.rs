//! OpenAI and everything that speaks its protocol (vLLM, Ollama, llama.cpp, Azure), by the crate async-openai. Bodies
//! pass through as they are; unknown fields are kept both ways.
use super::line::{Ahead, Line, Transport};
use super::speaker::{Speaker, chars_in, grounded};
use super::{GroundedCall, PassedCall, Provider, ProviderError, ProviderFuture, Said, traced};
use crate::catalog::ProviderEntry;
use crate::journey::walk::Calling;
use crate::question::Frame;
use crate::routing::output;
use crate::turn::DraftContent;
use async_openai::Client;
use async_openai::config::{Config, OPENAI_API_BASE};
use async_openai::error::OpenAIError;
use bailiwick_policy::sovereignty::InTransit;
use futures_util::Stream;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;

/// Opens a provider of kind `openai`.
pub(super) fn open(entry: &ProviderEntry, in_transit: InTransit) -> Result<Arc<dyn Provider>, ProviderError> {
    let line = Arc::new(Line::open(entry, in_transit)?);
    let transport = Transport { line: Arc::clone(&line), ahead: None, calling: None };
    let client = Client::build(line.http.clone(), Endpoint::of(entry)?).with_http_service(transport);
    Ok(Arc::new(OpenAi { line, client }))
}

/// Where requests go and what they carry; made once, so that a call costs one copy of a small map.
#[derive(Clone, Debug)]
struct Endpoint(Arc<EndpointParts>);

#[derive(Debug)]
struct EndpointParts {
    base_url: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    key: SecretString,
}

impl Endpoint {
    /// A base URL may carry a query; one with `api-version` is Azure's and takes the key in its own header.
    fn of(entry: &ProviderEntry) -> Result<Self, ProviderError> {
        let malformed = |what: &str| {
            ProviderError::Lasting(format!("opening provider {}: {what}; correct it in config.toml", entry.name))
        };
        let mut url = url::Url::parse(entry.base_url.as_deref().unwrap_or(OPENAI_API_BASE))
            .map_err(|_error| malformed("its base_url is no URL"))?;
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.set_query(None);
        let mut headers = HeaderMap::new();
        if let Some(key) = &entry.api_key {
            let azure = query.iter().any(|(name, _)| name == "api-version");
            let (name, text) = if azure {
                (HeaderName::from_static("api-key"), key.expose_secret().to_owned())
            } else {
                (AUTHORIZATION, format!("Bearer {}", key.expose_secret()))
            };
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_error| malformed("its api key holds characters a header cannot carry"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let key = entry.api_key.clone().unwrap_or_else(|| SecretString::from(String::new()));
        Ok(Self(Arc::new(EndpointParts {
            base_url: url.as_str().trim_end_matches('/').to_owned(),
            query,
            headers,
            key,
        })))
    }
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.0.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.base_url)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        self.0.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn api_base(&self) -> &str {
        &self.0.base_url
    }

    fn api_key(&self) -> &SecretString {
        &self.0.key
    }
}

#[derive(Clone)]
struct OpenAi {
    line: Arc<Line>,
    client: Client<Endpoint>,
}

impl Provider for OpenAi {
    fn answer(&self, call: GroundedCall) -> ProviderFuture<Said> {
        let this = self.clone();
        Box::pin(async move { this.grounded(call).await })
    }

    fn chat(&self, call: PassedCall) -> ProviderFuture<Said> {
        let this = self.clone();
        Box::pin(async move {
            if call.sink.is_streaming() { this.chat_in_chunks(call).await } else { this.chat_whole(call).await }
        })
    }

    fn embed(&self, call: PassedCall) -> ProviderFuture<Said> {
        let this = self.clone();
        Box::pin(async move { this.embeddings(call).await })
    }
}

impl OpenAi {
    async fn grounded(self, call: GroundedCall) -> Result<Said, ProviderError> {
        let prompt = call.prompt();
        let messages = std::iter::once(("system", prompt.system.as_str())).chain(prompt.turns());
        let messages: Vec<Value> = messages.map(|(role, text)| json!({"role": role, "content": text})).collect();
        let mut body = json!({
            "model": call.model,
            "messages": messages,
            "temperature": call.temperature,
            "max_tokens": call.max_tokens,
        });
        name_token_limit(&mut body);
        if call.sink.is_streaming() {
            return self.grounded_in_words(body, call).await;
        }
        let answer = self.complete(body, call.calling).await?;
        let text =
            answer.pointer("/choices/0/message/content").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| self.line.spoiled("answered without words"))?.to_owned();
        Ok(said(&answer, chars_in(&text), grounded(text)))
    }

    async fn grounded_in_words(self, body: Value, call: GroundedCall) -> Result<Said, ProviderError> {
        let ahead = Arc::new(Ahead::default());
        let calling = call.calling;
        let mut chunks = self.open_stream(body, &ahead, calling.clone()).await?;
        let (mut heard, mut speaker) = (Heard::default(), Speaker::new(call.sink));
        while let Some(chunk) = ahead.next(&mut chunks).await {
            let chunk = self.checked(chunk).map_err(|error| error.after(speaker.chars()))?;
            heard.note(&chunk);
            traced::hear_openai(calling.as_deref(), &chunk);
            if let Some(words) =
                chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).filter(|words| !words.is_empty())
                && speaker.say(words).await.is_err()
            {
                let relayed_chars = speaker.chars();
                return Ok(Said { cut_short: true, ..heard.said(speaker.stop(), relayed_chars) });
            }
        }
        let relayed_chars = speaker.chars();
        self.ended_well(&heard, relayed_chars)?;
        if relayed_chars == 0 {
            return Err(self.line.spoiled("answered without words"));
        }
        let (content, cut_short) = speaker.finish().await;
        Ok(Said { cut_short, ..heard.said(content, relayed_chars) })
    }

    async fn chat_whole(self, call: PassedCall) -> Result<Said, ProviderError> {
        let PassedCall { mut body, calling, .. } = call;
        if let Some(fields) = body.as_object_mut() {
            fields.shift_remove("stream");
            fields.shift_remove("stream_options");
        }
        name_token_limit(&mut body);
        let answer = self.complete(body, calling).await?;
        if answer.get("choices").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return Err(self.line.spoiled("answered a completion without choices"));
        }
        let relayed_chars = spoken_chars(&answer, "message");
        Ok(said_of(answer, relayed_chars))
    }

    async fn chat_in_chunks(self, call: PassedCall) -> Result<Said, ProviderError> {
        let PassedCall { mut body, sink, calling } = call;
        name_token_limit(&mut body);
        let ahead = Arc::new(Ahead::default());
        let mut chunks = self.open_stream(body, &ahead, calling.clone()).await?;
        let (mut heard, mut relayed_chars) = (Heard::default(), 0_u64);
        while let Some(chunk) = ahead.next(&mut chunks).await {
            let chunk = self.checked(chunk).map_err(|error| error.after(relayed_chars))?;
            heard.note(&chunk);
            traced::hear_openai(calling.as_deref(), &chunk);
            let usage_only = chunk.get("usage").is_some_and(Value::is_object)
                && chunk.get("choices").and_then(Value::as_array).is_none_or(Vec::is_empty);
            if usage_only {
                continue;
            }
            relayed_chars = relayed_chars.saturating_add(spoken_chars(&chunk, "delta"));
            if sink.send(Frame::Chunk(chunk)).await.is_err() {
                return Ok(Said { cut_short: true, ..heard.said(heard.last_chunk(), relayed_chars) });
            }
        }
        self.ended_well(&heard, relayed_chars)?;
        Ok(heard.said(heard.last_chunk(), relayed_chars))
    }

    async fn embeddings(self, call: PassedCall) -> Result<Said, ProviderError> {
        let PassedCall { mut body, calling, .. } = call;
        if let Some(fields) = body.as_object_mut() {
            fields.shift_remove("max_tokens");
        }
        let client = self.client(None, calling.clone());
        let answer: Value = client.embeddings().create_byot(&body).await.map_err(|error| self.failure(error))?;
        traced::hear_openai(calling.as_deref(), &answer);
        if let Some(error) = self.line.error_in(&answer) {
            return Err(error);
        }
        if !answer.get("data").is_some_and(Value::is_array) {
            return Err(self.line.spoiled("answered without embeddings"));
        }
        let said = said_of(answer, 0);
        Ok(Said { completion_tokens: Some(0), ..said })
    }

    /// The client a call goes through: the one that is there, or one that knows of the call.
    fn client(&self, ahead: Option<Arc<Ahead>>, calling: Option<Arc<Calling>>) -> Cow<'_, Client<Endpoint>> {
        if ahead.is_none() && calling.is_none() {
            return Cow::Borrowed(&self.client);
        }
        let transport = Transport { line: Arc::clone(&self.line), ahead, calling };
        Cow::Owned(self.client.clone().with_http_service(transport))
    }

    async fn complete(&self, body: Value, calling: Option<Arc<Calling>>) -> Result<Value, ProviderError> {
        let client = self.client(None, calling.clone());
        let answer: Value = client.chat().create_byot(&body).await.map_err(|error| self.failure(error))?;
        traced::hear_openai(calling.as_deref(), &answer);
        match self.line.error_in(&answer) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    async fn open_stream(
        &self,
        mut body: Value,
        ahead: &Arc<Ahead>,
        calling: Option<Arc<Calling>>,
    ) -> Result<impl Stream<Item = Result<Value, OpenAIError>> + Unpin + use<>, ProviderError> {
        if let Some(fields) = body.as_object_mut() {
            fields.insert("stream".into(), Value::Bool(true));
            // without it nothing says what the stream cost
            let options = fields.entry("stream_options").or_insert_with(|| Value::Object(Map::new()));
            if !options.is_object() {
                *options = Value::Object(Map::new());
            }
            if let Some(options) = options.as_object_mut() {
                options.insert("include_usage".into(), Value::Bool(true));
            }
        }
        let client = self.client(Some(Arc::clone(ahead)), calling);
        let stream = client.chat().create_stream_byot::<_, Value>(&body).await;
        stream.map_err(|error| self.failure(error))
    }

    fn checked(&self, chunk: Result<Value, OpenAIError>) -> Result<Value, ProviderError> {
        let chunk = chunk.map_err(|error| self.failure(error))?;
        match self.line.error_in(&chunk) {
            Some(error) => Err(error),
            None => Ok(chunk),
        }
    }

    /// A stream that ends without saying why it ended was cut, whether or not the connection was closed politely.
    fn ended_well(&self, heard: &Heard, relayed_chars: u64) -> Result<(), ProviderError> {
        if heard.finished { Ok(()) } else { Err(self.line.broken_off("broke off its stream").after(relayed_chars)) }
    }

    fn failure(&self, error: OpenAIError) -> ProviderError {
        match error {
            OpenAIError::Boxed(inner) => match inner.downcast::<ProviderError>() {
                Ok(ours) => *ours,
                Err(_other) => self.line.broken_off("failed on its way"),
            },
            OpenAIError::Reqwest(error) => self.line.broken(&error),
            OpenAIError::StreamError(_) => self.line.broken_off("broke off its stream"),
            OpenAIError::ApiError(answer) => {
                self.line.passing(&format!("answered with status {}", answer.status_code.as_u16()))
            }
            OpenAIError::JSONDeserialize(..) => self.line.spoiled("answered what is not JSON"),
            OpenAIError::InvalidArgument(_) | OpenAIError::FileSaveError(_) | OpenAIError::FileReadError(_) => {
                self.line.lasting("cannot be sent this request")
            }
        }
    }
}

/// What a stream told about itself on its way.
#[derive(Debug, Default)]
struct Heard {
    id: Option<Value>,
    created: Option<Value>,
    model: Option<Value>,
    usage: Option<Value>,
    finished: bool,
}

impl Heard {
    fn note(&mut self, chunk: &Value) {
        if self.id.is_none() {
            self.id = chunk.get("id").cloned();
            self.created = chunk.get("created").cloned();
            self.model = chunk.get("model").cloned();
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.usage = Some(usage.clone());
        }
        let reason = chunk.pointer("/choices/0/finish_reason");
        self.finished = self.finished || reason.is_some_and(|reason| !reason.is_null());
    }

    /// The stream's last chunk, with its usage, in OpenAI's shape.
    fn last_chunk(&self) -> DraftContent {
        DraftContent::Completion(json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model, "choices": [], "usage": self.usage,
        }))
    }

    fn said(&self, content: DraftContent, relayed_chars: u64) -> Said {
        let (prompt_tokens, completion_tokens) = tokens_of(self.usage.as_ref());
        Said { content, prompt_tokens, completion_tokens, relayed_chars, cut_short: false }
    }
}

fn said_of(answer: Value, relayed_chars: u64) -> Said {
    let (prompt_tokens, completion_tokens) = tokens_of(answer.get("usage"));
    Said {
        content: DraftContent::Completion(answer),
        prompt_tokens,
        completion_tokens,
        relayed_chars,
        cut_short: false,
    }
}

fn said(answer: &Value, relayed_chars: u64, content: DraftContent) -> Said {
    let (prompt_tokens, completion_tokens) = tokens_of(answer.get("usage"));
    Said { content, prompt_tokens, completion_tokens, relayed_chars, cut_short: false }
}

fn tokens_of(usage: Option<&Value>) -> (Option<u64>, Option<u64>) {
    let field = |name: &str| usage.and_then(|usage| usage.get(name)).and_then(Value::as_u64);
    (field("prompt_tokens"), field("completion_tokens"))
}

fn spoken_chars(body: &Value, part: &str) -> u64 {
    let mut words = String::new();
    output::collect_words(body, part, &mut words);
    chars_in(&words)
}

/// OpenAI's reasoning models take their limit under another name and no temperature but their own; other servers know
/// only the older name.
fn name_token_limit(body: &mut Value) {
    let reasons = body
        .get("model")
        .and_then(Value::as_str)
        .is_some_and(|model| ["o1", "o3", "o4", "gpt-5"].iter().any(|family| model.starts_with(family)));
    if let Some(fields) = body.as_object_mut().filter(|_| reasons) {
        if let Some(limit) = fields.shift_remove("max_tokens") {
            fields.entry("max_completion_tokens").or_insert(limit);
        }
        if fields.get("temperature").and_then(Value::as_f64) == Some(0.0) {
            fields.shift_remove("temperature");
        }
    }
}
