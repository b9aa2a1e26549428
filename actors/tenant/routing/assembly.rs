//! Puts the chunks of a passed-through stream together to the completion they tell, in OpenAI's shape, so that the
//! answer can be told again. Pure.
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Fields that name something and come whole; a repetition of one adds nothing.
const NAMES: [&str; 4] = ["role", "id", "type", "name"];

/// The choices of a stream, as far as they were told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Assembly {
    choices: BTreeMap<u64, Choice>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Choice {
    message: Map<String, Value>,
    logprobs: Value,
    finish_reason: Value,
}

impl Assembly {
    /// Takes a chunk in.
    pub(super) fn hear(&mut self, chunk: &Value) {
        for told in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            let choice = self.choices.entry(told.get("index").and_then(Value::as_u64).unwrap_or(0)).or_default();
            if let Some(Value::Object(delta)) = told.get("delta") {
                join_fields(&mut choice.message, delta);
            }
            if let Some(logprobs) = told.get("logprobs") {
                join(&mut choice.logprobs, logprobs);
            }
            if let Some(reason) = told.get("finish_reason").filter(|reason| !reason.is_null()) {
                choice.finish_reason = reason.clone();
            }
        }
    }

    /// The completion, with everything else as the stream's last chunk has it.
    pub(super) fn completion(self, last_chunk: Value) -> Value {
        self.told_as("chat.completion", "message", last_chunk)
    }

    /// All of it as one chunk, with everything else as this one has it.
    pub(super) fn chunk(self, chunk: Value) -> Value {
        self.told_as("chat.completion.chunk", "delta", chunk)
    }

    fn told_as(self, object: &str, part: &str, rest: Value) -> Value {
        let choices = self.choices.into_iter().map(|(index, choice)| {
            let Choice { message, logprobs, finish_reason } = choice;
            json!({ "index": index, part: message, "logprobs": logprobs, "finish_reason": finish_reason })
        });
        let choices: Vec<Value> = choices.collect();
        let mut whole = rest;
        if let Some(fields) = whole.as_object_mut() {
            fields.insert("object".into(), Value::from(object));
            fields.insert("choices".into(), Value::Array(choices));
        }
        whole
    }
}

fn join_fields(whole: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, more) in more {
        match whole.get_mut(name) {
            Some(Value::String(_)) if NAMES.contains(&name.as_str()) => {}
            Some(whole) => join(whole, more),
            None => {
                let mut fresh = Value::Null;
                join(&mut fresh, more);
                whole.insert(name.clone(), fresh);
            }
        }
    }
}

/// Adds what a later chunk tells: words follow words, parts that name their place go there, whatever else is replaced.
fn join(whole: &mut Value, more: &Value) {
    match (whole, more) {
        (_, Value::Null) => {}
        (Value::String(words), Value::String(more)) => words.push_str(more),
        (Value::Object(fields), Value::Object(more)) => join_fields(fields, more),
        (Value::Array(items), Value::Array(more)) => more.iter().for_each(|more| place(items, more)),
        (whole @ Value::Null, Value::Array(more)) => {
            let mut items = Vec::new();
            more.iter().for_each(|more| place(&mut items, more));
            *whole = Value::Array(items);
        }
        (whole, more) => *whole = more.clone(),
    }
}

fn place(items: &mut Vec<Value>, part: &Value) {
    let at = part.get("index").and_then(Value::as_u64);
    let standing =
        at.and_then(|at| items.iter_mut().find(|item| item.get("index").and_then(Value::as_u64) == Some(at)));
    match standing {
        Some(standing) => join(standing, part),
        None => items.push(part.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::Assembly;
    use serde_json::{Value, json};

    fn assembled(chunks: &[Value]) -> Value {
        let mut assembly = Assembly::default();
        chunks.iter().for_each(|chunk| assembly.hear(chunk));
        assembly.completion(
            json!({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 3}}),
        )
    }

    #[test]
    fn words_follow_words_choice_by_choice() {
        let chunk = |index: u64, delta: Value, reason: Value| json!({"choices": [{"index": index, "delta": delta, "finish_reason": reason}]});
        let told = assembled(&[
            chunk(0, json!({"role": "assistant", "content": ""}), Value::Null),
            chunk(1, json!({"role": "assistant", "content": "No"}), Value::Null),
            chunk(0, json!({"content": "Thirty "}), Value::Null),
            chunk(0, json!({"content": "days.", "refusal": null}), Value::Null),
            chunk(1, json!({}), json!("length")),
            chunk(0, json!({}), json!("stop")),
        ]);
        assert_eq!(told["object"], "chat.completion");
        assert_eq!((&told["id"], &told["usage"]["total_tokens"]), (&json!("c"), &json!(3)));
        let message = |at: usize| &told["choices"][at]["message"];
        assert_eq!((&message(0)["content"], &message(0)["role"]), (&json!("Thirty days."), &json!("assistant")));
        assert_eq!((&message(1)["content"], &told["choices"][1]["finish_reason"]), (&json!("No"), &json!("length")));
    }

    #[test]
    fn calls_of_tools_are_joined_where_they_belong() {
        let call = |part: Value| json!({"choices": [{"index": 0, "delta": {"tool_calls": [part]}}]});
        let told = assembled(&[
            call(json!({"index": 0, "id": "a", "type": "function", "function": {"name": "find", "arguments": ""}})),
            call(json!({"index": 1, "id": "b", "type": "function", "function": {"name": "sum", "arguments": "{}"}})),
            call(json!({"index": 0, "function": {"arguments": "{\"q\":"}})),
            call(json!({"index": 0, "type": "function", "function": {"name": "find", "arguments": "1}"}})),
        ]);
        let calls = &told["choices"][0]["message"]["tool_calls"];
        let function = |at: usize| (&calls[at]["function"]["name"], &calls[at]["function"]["arguments"]);
        assert_eq!(function(0), (&json!("find"), &json!("{\"q\":1}")));
        assert_eq!(function(1), (&json!("sum"), &json!("{}")));
        assert_eq!((&calls[0]["id"], &calls[0]["type"]), (&json!("a"), &json!("function")));
    }
}
