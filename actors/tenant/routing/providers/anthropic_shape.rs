//! Between OpenAI's bodies and Anthropic's Messages: pure translations, both ways.
use super::GroundedCall;
use crate::routing::prompt::Prompt;
use serde_json::{Map, Value, json};

/// Tokens of an answer where the caller names no limit; Anthropic requires one.
const MAX_TOKENS_DEFAULT: u64 = 1_024;

/// A grounded question as a Messages body.
pub(super) fn grounded(prompt: &Prompt, call: &GroundedCall) -> Value {
    let messages: Vec<Value> = prompt.turns().map(|(role, text)| json!({"role": role, "content": text})).collect();
    json!({
        "model": call.model,
        "max_tokens": call.max_tokens,
        "temperature": call.temperature.clamp(0.0, 1.0),
        "system": prompt.system,
        "messages": messages,
        "stream": call.sink.is_streaming(),
    })
}

/// OpenAI's chat body as a Messages body.
///
/// # Errors
/// What of the body Anthropic's text messages cannot carry.
pub(super) fn request(body: &Value, stream: bool) -> Result<Value, String> {
    for (field, offered) in
        [("tools", false), ("functions", false), ("response_format", is_plain_format(body)), ("n", is_one(body))]
    {
        let asked = body
            .get(field)
            .is_some_and(|value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
        if asked && !offered {
            return Err(format!("does not take {field} through this route; leave it out"));
        }
    }
    let (system, messages) = messages(body)?;
    let mut out = Map::new();
    out.insert("model".into(), body.get("model").cloned().unwrap_or(Value::Null));
    let limit = ["max_completion_tokens", "max_tokens"].iter().find_map(|field| body.get(*field)?.as_u64());
    out.insert("max_tokens".into(), json!(limit.unwrap_or(MAX_TOKENS_DEFAULT)));
    if !system.is_empty() {
        out.insert("system".into(), Value::String(system));
    }
    out.insert("messages".into(), Value::Array(messages));
    if let Some(temperature) = body.get("temperature").and_then(Value::as_f64) {
        out.insert("temperature".into(), json!(temperature.clamp(0.0, 1.0)));
    }
    if let Some(top_p) = body.get("top_p").filter(|value| value.is_number()) {
        out.insert("top_p".into(), top_p.clone());
    }
    match body.get("stop") {
        Some(Value::String(stop)) => drop(out.insert("stop_sequences".into(), json!([stop]))),
        Some(Value::Array(stops)) => drop(out.insert("stop_sequences".into(), Value::Array(stops.clone()))),
        _ => {}
    }
    out.insert("stream".into(), Value::Bool(stream));
    Ok(Value::Object(out))
}

fn is_plain_format(body: &Value) -> bool {
    body.pointer("/response_format/type").and_then(Value::as_str) == Some("text")
}

fn is_one(body: &Value) -> bool {
    body.get("n").and_then(Value::as_u64) == Some(1)
}

fn messages(body: &Value) -> Result<(String, Vec<Value>), String> {
    let (mut system, mut messages) = (String::new(), Vec::new());
    for message in body.get("messages").and_then(Value::as_array).into_iter().flatten() {
        let text = text_of(message.get("content").unwrap_or(&Value::Null))?;
        match message.get("role").and_then(Value::as_str).unwrap_or_default() {
            "system" | "developer" => {
                if !system.is_empty() {
                    system.push_str("\n\n");
                }
                system.push_str(&text);
            }
            role @ ("user" | "assistant") => messages.push(json!({"role": role, "content": text})),
            role => {
                return Err(format!(
                    "does not take messages of role {role:.20} through this route; use system, user and assistant"
                ));
            }
        }
    }
    if messages.is_empty() {
        return Err("needs at least one message of role user".into());
    }
    Ok((system, messages))
}

fn text_of(content: &Value) -> Result<String, String> {
    match content {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let texts = parts.iter().map(|part| {
                part.get("text")
                    .and_then(Value::as_str)
                    .filter(|_| part.get("type").and_then(Value::as_str) == Some("text"))
            });
            texts
                .collect::<Option<Vec<&str>>>()
                .map(|texts| texts.concat())
                .ok_or_else(|| "takes text only through this route; leave images and sound out".into())
        }
        _ => Err("needs every message's content as text".into()),
    }
}

/// The words of a whole Messages answer, or `None` where it is none.
pub(super) fn words(answer: &Value) -> Option<String> {
    let blocks = answer.get("content")?.as_array()?;
    Some(blocks.iter().filter_map(|block| block.get("text").and_then(Value::as_str)).collect())
}

/// A whole Messages answer as OpenAI's chat completion.
pub(super) fn completion(answer: &Value, text: &str, created_unix_s: u64) -> Value {
    let tokens = Tokens::default().with(answer.get("usage"));
    json!({
        "id": answer.get("id"), "object": "chat.completion", "created": created_unix_s, "model": answer.get("model"),
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "logprobs": null,
            "finish_reason": finish_reason(answer.get("stop_reason").and_then(Value::as_str).unwrap_or_default()),
        }],
        "usage": tokens.as_openai(),
    })
}

fn finish_reason(stop_reason: &str) -> &'static str {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "refusal" => "content_filter",
        _ => "stop",
    }
}

/// Tokens as Anthropic reports them: of the prompt with what the cache gave, at the start; of the answer, at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tokens {
    /// Of the prompt.
    pub(super) prompt: Option<u64>,
    /// Of the answer.
    pub(super) completion: Option<u64>,
}

impl Tokens {
    /// Adds what a usage object says.
    pub(super) fn with(mut self, usage: Option<&Value>) -> Self {
        let field = |name: &str| usage.and_then(|usage| usage.get(name)).and_then(Value::as_u64);
        if let Some(input) = field("input_tokens") {
            let cached =
                ["cache_creation_input_tokens", "cache_read_input_tokens"].iter().filter_map(|name| field(name));
            self.prompt = Some(cached.fold(input, u64::saturating_add));
        }
        self.completion = field("output_tokens").or(self.completion);
        self
    }

    fn as_openai(self) -> Value {
        let (prompt, completion) = (self.prompt.unwrap_or(0), self.completion.unwrap_or(0));
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt.saturating_add(completion)})
    }
}

/// What one event of a stream means.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Heard {
    /// The answer begins.
    Start,
    /// Words.
    Words(String),
    /// The answer is whole, for this reason (in OpenAI's words).
    Finish(&'static str),
    /// Nothing for the asker.
    Nothing,
}

/// A stream of Messages events on its way to chunks.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Stream {
    id: Value,
    model: Value,
    created_unix_s: u64,
    /// What was reported so far.
    pub(super) tokens: Tokens,
    /// The answer is whole.
    pub(super) finished: bool,
}

impl Stream {
    /// A stream that begins now.
    pub(super) fn new(created_unix_s: u64) -> Self {
        Self { created_unix_s, ..Self::default() }
    }

    /// Takes the next event.
    pub(super) fn hear(&mut self, event: &Value) -> Heard {
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message_start" => {
                let message = event.get("message").unwrap_or(&Value::Null);
                self.id = message.get("id").cloned().unwrap_or_default();
                self.model = message.get("model").cloned().unwrap_or_default();
                // the answer's own count stands at one or two here; only the last one is what it cost
                let counted = self.tokens.with(message.get("usage"));
                self.tokens = Tokens { completion: None, ..counted };
                Heard::Start
            }
            "content_block_delta" => match event.pointer("/delta/text").and_then(Value::as_str) {
                Some(words) if !words.is_empty() => Heard::Words(words.to_owned()),
                _ => Heard::Nothing,
            },
            "message_delta" => {
                self.tokens = self.tokens.with(event.get("usage"));
                match event.pointer("/delta/stop_reason").and_then(Value::as_str) {
                    Some(reason) => {
                        self.finished = true;
                        Heard::Finish(finish_reason(reason))
                    }
                    None => Heard::Nothing,
                }
            }
            _ => Heard::Nothing,
        }
    }

    /// What was heard as OpenAI's chunk, where it is one.
    pub(super) fn chunk(&self, heard: &Heard) -> Option<Value> {
        let (delta, reason) = match heard {
            Heard::Start => (json!({"role": "assistant", "content": ""}), Value::Null),
            Heard::Words(words) => (json!({"content": words}), Value::Null),
            Heard::Finish(reason) => (json!({}), json!(reason)),
            Heard::Nothing => return None,
        };
        Some(self.with_choices(
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]),
            Value::Null,
        ))
    }

    /// The last chunk, with the stream's usage.
    pub(super) fn last_chunk(&self) -> Value {
        self.with_choices(json!([]), self.tokens.as_openai())
    }

    fn with_choices(&self, choices: Value, usage: Value) -> Value {
        json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created_unix_s, "model": self.model, "choices": choices, "usage": usage})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_body_becomes_messages() {
        let body = json!({
            "model": "claude", "temperature": 1.7, "stop": "END", "max_tokens": 9, "user": "kept out", "n": 1, "tools": [],
            "messages": [
                {"role": "system", "content": "be brief"}, {"role": "developer", "content": "be kind"},
                {"role": "user", "content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]},
                {"role": "assistant", "content": "hi"}, {"role": "user", "content": "bye"},
            ],
        });
        assert_eq!(
            request(&body, true).unwrap(),
            json!({
                "model": "claude", "max_tokens": 9, "system": "be brief\n\nbe kind", "temperature": 1.0, "stop_sequences": ["END"], "stream": true,
                "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "bye"}],
            })
        );
    }

    #[test]
    fn what_cannot_be_carried_is_said() {
        let user = json!([{"role": "user", "content": "x"}]);
        for body in [
            json!({"messages": user, "tools": [{"type": "function"}]}),
            json!({"messages": user, "n": 2}),
            json!({"messages": user, "response_format": {"type": "json_schema"}}),
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
            json!({"messages": [{"role": "system", "content": "x"}]}),
            json!({"messages": [{"role": "user", "content": 7}]}),
            json!({}),
        ] {
            assert!(request(&body, false).is_err(), "{body}");
        }
    }

    #[test]
    fn an_answer_becomes_a_completion() {
        let answer = json!({
            "id": "msg_1", "model": "claude", "stop_reason": "max_tokens", "content": [{"type": "text", "text": "hi"}],
            "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 2},
        });
        let completion = completion(&answer, &words(&answer).unwrap(), 17);
        assert_eq!(completion.pointer("/choices/0/message/content"), Some(&json!("hi")));
        assert_eq!(completion.pointer("/choices/0/finish_reason"), Some(&json!("length")));
        assert_eq!(completion["usage"], json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}));
    }
}
