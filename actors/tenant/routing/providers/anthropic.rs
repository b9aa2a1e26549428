//! Anthropic's Messages, by reqwest. Passed-through chats are translated from OpenAI's body and back.
use super::anthropic_shape::{self as shape, Heard, Tokens};
use super::line::Line;
use super::speaker::{Speaker, chars_in, grounded};
use super::{GroundedCall, PassedCall, Provider, ProviderError, ProviderFuture, Said, traced};
use crate::catalog::ProviderEntry;
use crate::journey::walk::Calling;
use crate::question::Frame;
use crate::turn::{DraftContent, HungUp};
use bailiwick_kernel::clock::{Clock, SystemClock};
use bailiwick_policy::sovereignty::InTransit;
use eventsource_stream::Eventsource;
use futures_util::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::sync::Arc;

const BASE_URL: &str = "https://api.anthropic.com";
const VERSION: &str = "2023-06-01";

/// Opens a provider of kind `anthropic`.
pub(super) fn open(entry: &ProviderEntry, in_transit: InTransit) -> Result<Arc<dyn Provider>, ProviderError> {
    let malformed = |what: &str| {
        ProviderError::Lasting(format!("opening provider {}: {what}; correct it in config.toml", entry.name))
    };
    let base_url = entry.base_url.as_deref().unwrap_or(BASE_URL).trim_end_matches('/');
    let base_url = base_url.strip_suffix("/v1").unwrap_or(base_url);
    let url = reqwest::Url::parse(&format!("{base_url}/v1/messages"))
        .map_err(|_error| malformed("its base_url is no URL"))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
    if let Some(key) = &entry.api_key {
        let mut value = HeaderValue::from_str(key.expose_secret())
            .map_err(|_error| malformed("its api key holds characters a header cannot carry"))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static("x-api-key"), value);
    }
    Ok(Arc::new(Anthropic(Arc::new(Parts { line: Line::open(entry, in_transit)?, url, headers }))))
}

#[derive(Clone, Debug)]
struct Anthropic(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    line: Line,
    url: reqwest::Url,
    headers: HeaderMap,
}

impl Provider for Anthropic {
    fn answer(&self, call: GroundedCall) -> ProviderFuture<Said> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move {
            let body = shape::grounded(&call.prompt(), &call);
            if call.sink.is_streaming() {
                parts.grounded_in_words(&body, call).await
            } else {
                parts.grounded_whole(&body, call.calling.as_deref()).await
            }
        })
    }

    fn chat(&self, call: PassedCall) -> ProviderFuture<Said> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move {
            let body =
                shape::request(&call.body, call.sink.is_streaming()).map_err(|what| parts.line.lasting(&what))?;
            if call.sink.is_streaming() {
                parts.chat_in_chunks(&body, call).await
            } else {
                parts.chat_whole(&body, call.calling.as_deref()).await
            }
        })
    }

    fn embed(&self, _call: PassedCall) -> ProviderFuture<Said> {
        let refusal = self.0.line.lasting("offers no embeddings; route embeddings to a provider of kind openai");
        Box::pin(std::future::ready(Err(refusal)))
    }
}

/// Where the words of a stream go.
enum Listener {
    Words(Speaker),
    Chunks { call: PassedCall, chars: u64 },
}

impl Listener {
    fn chars(&self) -> u64 {
        match self {
            Self::Words(speaker) => speaker.chars(),
            Self::Chunks { chars, .. } => *chars,
        }
    }

    async fn take(&mut self, heard: Heard, stream: &shape::Stream) -> Result<(), HungUp> {
        match self {
            Self::Words(speaker) => match heard {
                Heard::Words(words) => speaker.say(&words).await,
                Heard::Start | Heard::Finish(_) | Heard::Nothing => Ok(()),
            },
            Self::Chunks { call, chars } => {
                if let Heard::Words(words) = &heard {
                    *chars = chars.saturating_add(chars_in(words));
                }
                match stream.chunk(&heard) {
                    Some(chunk) => call.sink.send(Frame::Chunk(chunk)).await,
                    None => Ok(()),
                }
            }
        }
    }
}

impl Parts {
    async fn send(&self, body: &Value, calling: Option<&Calling>) -> Result<reqwest::Response, ProviderError> {
        let bytes = serde_json::to_vec(body).map_err(|_error| self.line.lasting("cannot be sent this request"))?;
        let request = self.line.http.post(self.url.clone()).headers(self.headers.clone()).body(bytes).build();
        self.line.exchange(request.map_err(|error| self.line.broken(&error))?, calling).await
    }

    async fn whole(&self, body: &Value, calling: Option<&Calling>) -> Result<(Value, String), ProviderError> {
        let response = self.send(body, calling).await?;
        let bytes = self.line.read(response).await?;
        let answer: Value =
            serde_json::from_slice(&bytes).map_err(|_error| self.line.spoiled("answered what is not JSON"))?;
        if let Some(error) = self.line.error_in(&answer) {
            return Err(error);
        }
        traced::hear_anthropic(calling, &answer);
        let text = shape::words(&answer).ok_or_else(|| self.line.spoiled("answered a message without content"))?;
        Ok((answer, text))
    }

    async fn grounded_whole(&self, body: &Value, calling: Option<&Calling>) -> Result<Said, ProviderError> {
        let (answer, text) = self.whole(body, calling).await?;
        if text.trim().is_empty() {
            return Err(self.line.spoiled("answered without words"));
        }
        let tokens = Tokens::default().with(answer.get("usage"));
        let relayed_chars = chars_in(&text);
        Ok(said(tokens, grounded(text), relayed_chars, false))
    }

    async fn chat_whole(&self, body: &Value, calling: Option<&Calling>) -> Result<Said, ProviderError> {
        let (answer, text) = self.whole(body, calling).await?;
        let tokens = Tokens::default().with(answer.get("usage"));
        let completion = shape::completion(&answer, &text, now_unix_s());
        Ok(said(tokens, DraftContent::Completion(completion), chars_in(&text), false))
    }

    async fn grounded_in_words(&self, body: &Value, call: GroundedCall) -> Result<Said, ProviderError> {
        let mut listener = Listener::Words(Speaker::new(call.sink));
        let (stream, gone) = self.listen(body, &mut listener, call.calling.as_deref()).await?;
        let relayed_chars = listener.chars();
        let Listener::Words(speaker) = listener else {
            return Err(self.line.spoiled("answered without words"));
        };
        if gone {
            return Ok(said(stream.tokens, speaker.stop(), relayed_chars, true));
        }
        if relayed_chars == 0 {
            return Err(self.line.spoiled("answered without words"));
        }
        let (content, gone) = speaker.finish().await;
        Ok(said(stream.tokens, content, relayed_chars, gone))
    }

    async fn chat_in_chunks(&self, body: &Value, call: PassedCall) -> Result<Said, ProviderError> {
        let calling = call.calling.clone();
        let mut listener = Listener::Chunks { call, chars: 0 };
        let (stream, gone) = self.listen(body, &mut listener, calling.as_deref()).await?;
        Ok(said(stream.tokens, DraftContent::Completion(stream.last_chunk()), listener.chars(), gone))
    }

    /// Relays a stream to its end; `true` where the asker was gone before it.
    async fn listen(
        &self,
        body: &Value,
        listener: &mut Listener,
        calling: Option<&Calling>,
    ) -> Result<(shape::Stream, bool), ProviderError> {
        let response = self.send(body, calling).await?;
        let mut events = std::pin::pin!(self.line.read_stream(response).await?.eventsource());
        let mut stream = shape::Stream::new(now_unix_s());
        while let Some(event) = events.next().await {
            let event = event.map_err(|_error| self.line.broken_off("broke off its stream").after(listener.chars()))?;
            let event: Value = serde_json::from_str(&event.data)
                .map_err(|_error| self.line.spoiled("streamed what is not JSON").after(listener.chars()))?;
            if let Some(error) = self.line.error_in(&event) {
                return Err(error.after(listener.chars()));
            }
            traced::hear_anthropic(calling, &event);
            let heard = stream.hear(&event);
            if listener.take(heard, &stream).await.is_err() {
                return Ok((stream, true));
            }
        }
        if stream.finished {
            Ok((stream, false))
        } else {
            Err(self.line.broken_off("broke off its stream").after(listener.chars()))
        }
    }
}

fn said(tokens: Tokens, content: DraftContent, relayed_chars: u64, cut_short: bool) -> Said {
    Said { content, prompt_tokens: tokens.prompt, completion_tokens: tokens.completion, relayed_chars, cut_short }
}

fn now_unix_s() -> u64 {
    SystemClock.now_unix_ms() / 1_000
}
