//! Patterns no answer may contain, watched while the words are still coming.
use bailiwick_policy::redaction::Redactions;
use regex::RegexSet;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Bytes of recent text a pattern is searched in, besides the words just heard.
const WINDOW_BYTES: usize = 1_024;
/// Characters withheld from the asker until what follows them was searched too: a match up to this long is never
/// seen in part. Longer ones are stopped where they complete.
pub const WITHHELD_CHARS: usize = 64;
/// Voices followed at once; a stream with more is refused, because it could not be watched.
const VOICES_MAX: usize = 64;
/// OpenAI's reason of an answer that ends because it may not be longer.
const ENDED_FOR_LENGTH: &str = "length";

/// Watches a stream. A voice is one run of words: the answer, or one field of one choice.
#[derive(Debug)]
pub struct Watch {
    forbidden: RegexSet,
    windows: Vec<(String, String)>,
}

impl Watch {
    /// A watch for the given patterns.
    #[must_use]
    pub fn new(forbidden: RegexSet) -> Self {
        Self { forbidden, windows: Vec::new() }
    }

    /// True where there is nothing to watch for, so that nothing need be withheld.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.forbidden.is_empty()
    }

    /// Hears the next words of a voice; true where they complete something forbidden.
    pub fn forbids(&mut self, voice: &str, words: &str) -> bool {
        if self.is_idle() {
            return false;
        }
        if !self.windows.iter().any(|(name, _)| name == voice) {
            if self.windows.len() >= VOICES_MAX {
                return true;
            }
            self.windows.push((voice.to_owned(), String::new()));
        }
        let Some((_, window)) = self.windows.iter_mut().find(|(name, _)| name == voice) else {
            return true;
        };
        window.push_str(words);
        let found = self.forbidden.is_match(window);
        let excess = window.len().saturating_sub(WINDOW_BYTES);
        window.drain(..window.ceil_char_boundary(excess));
        found
    }
}

/// True where a whole text contains something forbidden.
#[must_use]
pub fn forbids_text(forbidden: &RegexSet, text: &str) -> bool {
    !forbidden.is_empty() && forbidden.is_match(text)
}

/// True where any word of a whole chat completion's choices is forbidden.
#[must_use]
pub fn forbids_completion(forbidden: &RegexSet, completion: &Value) -> bool {
    let mut found = false;
    if !forbidden.is_empty() {
        for_each_voice(completion, "message", &mut |_voice, words| found = found || forbidden.is_match(words));
    }
    found
}

/// Calls `hear` with every run of words of a chunk: the strings below each choice's `part` (`delta`, `message`).
pub fn for_each_voice(body: &Value, part: &str, hear: &mut dyn FnMut(&str, &str)) {
    for choice in body.get("choices").and_then(Value::as_array).into_iter().flatten() {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        for (field, value) in choice.get(part).and_then(Value::as_object).into_iter().flatten() {
            if field != "role" {
                for_each_text(value, &format!("{index}/{field}"), hear);
            }
        }
    }
}

/// Adds all words of a body's choices, below each one's `part`, to a text.
pub fn collect_words(body: &Value, part: &str, text: &mut String) {
    for choice in body.get("choices").and_then(Value::as_array).into_iter().flatten() {
        for (field, value) in choice.get(part).and_then(Value::as_object).into_iter().flatten() {
            if field != "role" {
                collect_below(value, text);
            }
        }
    }
}

fn collect_below(value: &Value, text: &mut String) {
    match value {
        Value::String(words) => text.push_str(words),
        Value::Array(items) => items.iter().for_each(|item| collect_below(item, text)),
        Value::Object(fields) => fields.values().for_each(|field| collect_below(field, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A body without these forms of personal data in the words of its choices, and without what spells the words a second
/// time (`logprobs`).
#[must_use]
pub fn redacted(mut body: Value, part: &str, redactions: Redactions) -> Value {
    if redactions.is_empty() {
        return body;
    }
    for choice in body.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(spelt) = choice.get_mut("logprobs") {
            *spelt = Value::Null;
        }
        for (field, value) in choice.get_mut(part).and_then(Value::as_object_mut).into_iter().flatten() {
            if field != "role" {
                redact_below(value, redactions);
            }
        }
    }
    body
}

/// A body with the first so many bytes of its words, in the order [`collect_words`] collects them; each of its choices, and
/// each further one of the `answers` asked for, ends for its length. What spells the words a second time is taken out.
#[must_use]
pub fn ended(mut body: Value, part: &str, bytes_max: usize, answers: u32) -> Value {
    let Some(choices) = body.get_mut("choices").and_then(Value::as_array_mut) else { return body };
    let mut left = bytes_max;
    for choice in choices.iter_mut() {
        for (field, value) in choice.get_mut(part).and_then(Value::as_object_mut).into_iter().flatten() {
            if field != "role" {
                shorten_below(value, &mut left);
            }
        }
        if let Some(fields) = choice.as_object_mut() {
            fields.insert("logprobs".into(), Value::Null);
            fields.insert("finish_reason".into(), Value::from(ENDED_FOR_LENGTH));
        }
    }
    let index_of = |choice: &Value| choice.get("index").and_then(Value::as_u64).unwrap_or(0);
    for index in 0..u64::from(answers) {
        if !choices.iter().any(|choice| index_of(choice) == index) {
            choices.push(json!({ "index": index, part: {}, "logprobs": null, "finish_reason": ENDED_FOR_LENGTH }));
        }
    }
    body
}

fn shorten_below(value: &mut Value, left: &mut usize) {
    match value {
        Value::String(words) => {
            words.truncate(words.floor_char_boundary(*left));
            *left = left.saturating_sub(words.len());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shorten_below(item, left)),
        Value::Object(fields) => fields.values_mut().for_each(|field| shorten_below(field, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_below(value: &mut Value, redactions: Redactions) {
    match value {
        Value::String(words) => {
            if let Cow::Owned(redacted) = redactions.redact(words) {
                *words = redacted;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact_below(item, redactions)),
        Value::Object(fields) => fields.values_mut().for_each(|field| redact_below(field, redactions)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn for_each_text(value: &Value, voice: &str, hear: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => hear(voice, text),
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                // parts of a stream name their place themselves; whole ones stand in it
                let place = item
                    .get("index")
                    .and_then(Value::as_u64)
                    .map_or_else(|| place.to_string(), |named| named.to_string());
                for_each_text(item, &format!("{voice}/{place}"), hear);
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                for_each_text(value, &format!("{voice}/{field}"), hear);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patterns() -> RegexSet {
        RegexSet::new([r"\d{3}-\d{2}-\d{4}", "(?i)top secret"]).unwrap()
    }

    #[test]
    fn a_match_across_pieces_is_found() {
        let mut watch = Watch::new(patterns());
        assert!(!watch.forbids("answer", "number 123-4"));
        assert!(!watch.forbids("other", "5-6789"), "another voice is another text");
        assert!(watch.forbids("answer", "5-6789"));
    }

    #[test]
    fn without_patterns_nothing_is_kept() {
        let mut watch = Watch::new(RegexSet::empty());
        assert!(watch.is_idle() && !watch.forbids("answer", "top secret") && watch.windows.is_empty());
    }

    #[test]
    fn the_window_stays_small_and_on_characters() {
        let mut watch = Watch::new(patterns());
        for _ in 0..100 {
            assert!(!watch.forbids("answer", &"é".repeat(333)));
        }
        assert!(watch.windows[0].1.len() <= WINDOW_BYTES);
    }

    #[test]
    fn more_voices_than_can_be_watched_are_refused() {
        let mut watch = Watch::new(patterns());
        let verdicts: Vec<bool> = (0..=VOICES_MAX).map(|voice| watch.forbids(&voice.to_string(), "harmless")).collect();
        assert!(!verdicts[VOICES_MAX - 1] && verdicts[VOICES_MAX]);
    }

    #[test]
    fn completions_are_searched_in_every_field_of_every_choice() {
        let forbidden = patterns();
        let with = |message: Value| json!({"choices": [{"index": 0, "message": {"content": "fine"}}, {"index": 1, "message": message}]});
        assert!(forbids_completion(&forbidden, &with(json!({"content": "a TOP secret"}))));
        assert!(forbids_completion(&forbidden, &with(json!({"content": [{"type": "text", "text": "123-45-6789"}]}))));
        assert!(forbids_completion(
            &forbidden,
            &with(json!({"tool_calls": [{"function": {"arguments": "{\"n\":\"123-45-6789\"}"}}]}))
        ));
        assert!(!forbids_completion(&forbidden, &with(json!({"role": "top secret", "content": null}))));
        assert!(!forbids_completion(&RegexSet::empty(), &with(json!({"content": "top secret"}))));
    }

    #[test]
    fn a_body_ends_for_its_length_in_every_choice() {
        let body = json!({"id": "c", "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "größer"}, "logprobs": {"content": []}, "finish_reason": null},
            {"index": 2, "delta": {"tool_calls": [{"function": {"arguments": "{}"}}]}, "finish_reason": "stop"},
        ]});
        let ended = ended(body, "delta", 3, 3);
        let choices = ended["choices"].as_array().unwrap();
        assert_eq!(choices[0]["delta"], json!({"role": "assistant", "content": "gr"}), "no half of a character");
        assert_eq!(choices[1]["delta"]["tool_calls"][0]["function"]["arguments"], "{");
        assert_eq!((choices.len(), &choices[2]["index"], &choices[2]["delta"]), (3, &json!(1), &json!({})));
        assert!(choices.iter().all(|choice| choice["finish_reason"] == "length" && choice["logprobs"].is_null()));
        assert_eq!(ended["id"], "c");
    }

    proptest! {
        #[test]
        fn the_cut_makes_no_difference(text in r"[0-9a -]{0,40}(123-45-6789)?[a-z ]{0,30}", cuts in proptest::collection::vec(0usize..80, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            let (mut watch, mut found, mut from) = (Watch::new(patterns()), false, 0);
            for cut in cuts {
                found = found || watch.forbids("answer", &text[from..cut]);
                from = cut;
            }
            prop_assert_eq!(found, forbids_text(&patterns(), &text));
        }
    }
}
