//! Words as reading-comprehension tests compare them: lower case, without punctuation and articles (Rajpurkar et al.,
//! EMNLP 2016). Pure.
use std::collections::HashMap;
use std::sync::OnceLock;

const ARTICLES: [&str; 3] = ["a", "an", "the"];

/// The words of a text, normalised, in order.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let plain: String = text.to_lowercase().chars().filter(|mark| !is_punctuation(*mark)).collect();
    plain.split_whitespace().filter(|word| !ARTICLES.contains(word)).map(str::to_owned).collect()
}

/// Words and how often each stands there.
pub(super) fn counted(tokens: &[String]) -> HashMap<&str, u64> {
    tokens.iter().fold(HashMap::new(), |mut counts, token| {
        let count = counts.entry(token.as_str()).or_default();
        *count = u64::saturating_add(*count, 1);
        counts
    })
}

/// The numbers of a text, without the marks that group thousands: figures that cannot be said in other words.
pub(super) fn numbers(text: &str) -> Vec<String> {
    static NUMBER: OnceLock<Option<regex::Regex>> = OnceLock::new();
    let pattern = NUMBER.get_or_init(|| regex::Regex::new(r"\d+(?:[.,]\d+)*").ok());
    let found = pattern.iter().flat_map(|pattern| pattern.find_iter(text));
    found.map(|number| number.as_str().replace(',', "")).collect()
}

fn is_punctuation(mark: char) -> bool {
    !mark.is_alphanumeric() && !mark.is_whitespace()
}
