//! Tokens counted before money is held, with the vocabulary `o200k_base`. Other vocabularies differ by some percent;
//! what a provider reports is what is charged.
use crate::question::{Passage, Question, Ranking};
use crate::routing::demands::Demands;
use crate::routing::prompt;
use bailiwick_kernel::limits::TOKEN_COUNTS_MAX;
use serde_json::Value;
use tokio::sync::Semaphore;

/// Texts above this many bytes are counted off the reactor: 16 KiB take about half a millisecond.
pub const OFF_REACTOR_BYTES: usize = 16 << 10;
/// Longest piece counted at once: the tokenizer's time grows faster than its piece on text without blanks.
const PIECE_BYTES_MAX: usize = 2 << 10;
/// Tokens of an image or sound part, whatever its bytes: above what the large providers charge at full detail.
const MEDIA_TOKENS: u64 = 2_000;
/// Tokens a message costs beside its words.
const MESSAGE_TOKENS: u64 = 4;
/// Fields of a body whose words a provider reads as prompt.
const PROMPT_FIELDS: &[&str] = &["messages", "input", "prompt", "tools", "functions", "response_format"];

/// Bounds what is under way off the reactor; it holds no state of anyone.
static COUNTS: Semaphore = Semaphore::const_new(TOKEN_COUNTS_MAX);

/// Loads the vocabulary (about a quarter of a second); called once at start, before the first question.
pub fn warm() {
    let _count = count("warm");
}

/// Tokens of a text.
#[must_use]
pub fn count(text: &str) -> u64 {
    let vocabulary = tiktoken_rs::o200k_base_singleton();
    let mut tokens = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, beyond) = rest.split_at(piece_end(rest));
        tokens = tokens.saturating_add(u64::try_from(vocabulary.count_ordinary(piece)).unwrap_or(u64::MAX));
        rest = beyond;
    }
    tokens
}

/// Where a text's first `tokens_max` tokens end, in bytes and behind a whole character; its length where it has no more.
#[must_use]
pub fn end_of(text: &str, tokens_max: u64) -> usize {
    let vocabulary = tiktoken_rs::o200k_base_singleton();
    let (mut left, mut at) = (usize::try_from(tokens_max).unwrap_or(usize::MAX), 0_usize);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (piece, _) = rest.split_at(piece_end(rest));
        let tokens = vocabulary.encode_ordinary(piece);
        if tokens.len() > left {
            let first = tokens.get(..left).unwrap_or_default();
            let bytes = vocabulary.decode_bytes(first).map_or(0, |bytes| bytes.len());
            return text.floor_char_boundary(at.saturating_add(bytes));
        }
        left = left.saturating_sub(tokens.len());
        at = at.saturating_add(piece.len());
    }
    at
}

/// Tokens of a passed-through body's prompt, reckoned high: words, keys and numbers of everything a provider reads.
#[must_use]
pub fn count_chat(body: &Value) -> u64 {
    PROMPT_FIELDS
        .iter()
        .filter_map(|field| body.get(field))
        .fold(MESSAGE_TOKENS, |sum, value| sum.saturating_add(count_value(value)))
}

/// Tokens of the grounded prompt of a question, with what a model is told of its conversation.
#[must_use]
pub fn count_grounded(question: &Question, passages: &[Passage], demands: Demands) -> u64 {
    // a boundary of mixed digits costs as many tokens as a random one, within a few
    let boundary = *b"\x3f\xa1\x97\xe4\x0b\x6c\xd2\x58\x81\xfe\x29\xb7\x4d\x90\xc3\x16";
    let prompt = prompt::grounded(&question.text, &question.earlier, passages, demands, boundary);
    let lines = u64::try_from(passages.len()).unwrap_or(u64::MAX).saturating_add(1).saturating_mul(16);
    let of_message = |text: &str| count(text).saturating_add(MESSAGE_TOKENS);
    let turns = prompt.turns().map(|(_role, text)| of_message(text));
    turns.fold(of_message(&prompt.system).saturating_add(lines), u64::saturating_add)
}

/// Tokens of texts that are ranked: a model reads the question once with each of them.
#[must_use]
pub fn count_ranking(ranking: &Ranking) -> u64 {
    let of_question = count(&ranking.query).saturating_add(MESSAGE_TOKENS);
    ranking.documents.iter().fold(0, |sum, text| sum.saturating_add(count(text)).saturating_add(of_question))
}

/// As [`count`], off the reactor. Where that fails, the bytes of the text, which no count exceeds.
pub async fn count_off_reactor(text: String) -> u64 {
    let most = u64::try_from(text.len()).unwrap_or(u64::MAX);
    off_reactor(move || count(&text)).await.unwrap_or(most)
}

/// As [`count`], where the text's length allows it.
pub async fn count_where_it_fits(text: &str) -> u64 {
    if text.len() > OFF_REACTOR_BYTES { count_off_reactor(text.to_owned()).await } else { count(text) }
}

/// As [`end_of`], where the text's length allows it. Where that fails, so many bytes, which are no more tokens.
pub async fn end_of_where_it_fits(text: &str, tokens_max: u64) -> usize {
    if text.len() <= OFF_REACTOR_BYTES {
        return end_of(text, tokens_max);
    }
    let whole = text.to_owned();
    let end = off_reactor(move || end_of(&whole, tokens_max)).await;
    end.unwrap_or_else(|| text.floor_char_boundary(usize::try_from(tokens_max).unwrap_or(usize::MAX)))
}

/// Runs a count, or another reckoning of some milliseconds, off the reactor, few at a time. `None` where it failed.
pub async fn off_reactor<T: Send + 'static>(reckoning: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _turn = COUNTS.acquire().await.ok()?;
    bailiwick_kernel::residue::spawn_blocking(reckoning).await.ok()
}

fn count_value(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) if text.starts_with("data:") => MEDIA_TOKENS,
        Value::String(text) => count(text),
        Value::Array(items) => {
            items.iter().fold(0, |sum: u64, item| sum.saturating_add(count_value(item)).saturating_add(per_item(item)))
        }
        Value::Object(fields) if fields.contains_key("image_url") || fields.contains_key("input_audio") => MEDIA_TOKENS,
        Value::Object(fields) => fields.iter().fold(0, |sum: u64, (key, field)| {
            sum.saturating_add(count(key)).saturating_add(count_value(field)).saturating_add(1)
        }),
    }
}

fn per_item(item: &Value) -> u64 {
    if item.is_object() || item.is_string() { MESSAGE_TOKENS } else { 0 }
}

/// Where the next piece ends: at a blank where there is one, always between characters, never at 0.
fn piece_end(text: &str) -> usize {
    if text.len() <= PIECE_BYTES_MAX {
        return text.len();
    }
    let end = text.floor_char_boundary(PIECE_BYTES_MAX);
    let blank = text.get(..end).and_then(|piece| piece.rfind([' ', '\n'])).filter(|at| *at > PIECE_BYTES_MAX / 2);
    blank.unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_those_of_the_vocabulary() {
        assert_eq!(count(""), 0);
        assert_eq!(count("hello world"), 2);
        assert_eq!(count("<|endoftext|>"), 7, "special tokens of a document are ordinary text");
    }

    #[test]
    fn pieces_change_a_count_by_little() {
        let text = "The quick brown fox jumps over the lazy dog. ".repeat(400);
        let whole = u64::try_from(tiktoken_rs::o200k_base_singleton().count_ordinary(&text)).unwrap();
        let pieces = count(&text);
        assert!(pieces >= whole && pieces <= whole + 20, "{pieces} of {whole}");
    }

    #[test]
    fn hostile_texts_are_counted() {
        for text in [
            " ".repeat(200_000),
            "a".repeat(200_000),
            "\n".repeat(100_000),
            "🦀".repeat(30_000),
            "\u{0}".repeat(50_000),
        ] {
            let tokens = count(&text);
            assert!(tokens > 0 && tokens <= u64::try_from(text.len()).unwrap());
        }
    }

    #[test]
    fn a_text_ends_behind_the_tokens_it_may_have() {
        for text in
            ["The quick brown fox jumps over the lazy dog. ".repeat(200), "🦀 größer ".repeat(900), "a".repeat(9_000)]
        {
            let whole = count(&text);
            assert_eq!((end_of(&text, whole), end_of(&text, u64::MAX)), (text.len(), text.len()));
            for tokens_max in [0, 1, 2, 17, 500, whole - 1] {
                let told = &text[..end_of(&text, tokens_max)];
                assert!(told.len() < text.len() && count(told) <= tokens_max, "{tokens_max} of {whole}");
                let next = text[told.len()..].chars().take(24).collect::<String>();
                assert!(count(&format!("{told}{next}")) > tokens_max, "more would be within: {tokens_max} of {whole}");
            }
        }
    }

    #[test]
    fn a_body_is_reckoned_with_everything_a_provider_reads() {
        let plain = count_chat(&json!({"model": "m", "messages": [{"role": "user", "content": "hello world"}]}));
        let tools = count_chat(
            &json!({"messages": [{"role": "user", "content": "hello world"}], "tools": [{"name": "weather"}]}),
        );
        let image = count_chat(
            &json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://e.test/x.png"}}]}]}),
        );
        let ids = count_chat(&json!({"input": [1, 2, 3, 4, 5]}));
        assert!(plain >= 2 + MESSAGE_TOKENS && tools > plain && image >= MEDIA_TOKENS && ids >= 5);
        assert_eq!(count_chat(&json!({"user": "words no model reads"})), MESSAGE_TOKENS);
    }

    #[test]
    fn earlier_turns_of_a_conversation_are_held_for() {
        let question = Question { text: "And wet?".into(), ..Question::default() };
        let earlier = crate::question::Exchange {
            question: "Is salt white?".into(),
            answer: "Salt is white.".into(),
            ..Default::default()
        };
        let told = Question { earlier: [earlier.clone()].into(), ..question.clone() };
        let tokens = |question: &Question| count_grounded(question, &[], Demands::default());
        let said = count(&earlier.question) + count(&earlier.answer) + 2 * MESSAGE_TOKENS;
        assert!(tokens(&told) >= tokens(&question) + said);
        assert_eq!(tokens(&question), tokens(&Question { earlier: [].into(), ..question.clone() }));
    }

    #[tokio::test]
    async fn off_the_reactor_the_count_is_the_same() {
        let text = "words and words ".repeat(2_000);
        assert_eq!(count_off_reactor(text.clone()).await, count(&text));
    }
}
