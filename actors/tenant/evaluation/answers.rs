//! What one answer is worth: against what is known to be right, and against the passages it stands on. No model judges.
//! Shares lie between 0 and 1; there is none where nothing was there to be measured. Pure.
use super::tokens::{counted, numbers, tokens};
use crate::question::{Citation, Passage};
use crate::routing::providers::extractive::words::is_stop_word;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::OnceLock;
use unicode_segmentation::UnicodeSegmentation;

/// A sentence is carried by what it cites where at least this share of its words stand there, and all of its numbers.
pub const SUPPORT_MIN: f64 = 0.6;

/// An answer beside the known one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Likeness {
    /// 1 where the words are the same.
    pub exact_match: f64,
    /// Harmonic mean of how much of the answer is right and how much of what is right was said.
    pub token_f1: f64,
    /// How much of what is right was said: long answers are right, too (Adlakha et al., TACL 2024).
    pub token_recall: f64,
}

/// An answer beside its passages.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Grounding {
    /// Share of its words that stand in the passages it was given from.
    pub k_precision: Option<f64>,
    /// Share of its markers that name words of a passage it was given from.
    pub citation_validity: Option<f64>,
    /// Share of its sentences that cite something.
    pub citation_coverage: Option<f64>,
    /// Share of its sentences that are carried by what they cite, by [`SUPPORT_MIN`].
    pub citation_support: Option<f64>,
    /// Share of its numbers that stand in something it cites.
    pub number_fidelity: Option<f64>,
}

impl Grounding {
    /// 1 where every sentence is carried by what it cites, 0 otherwise.
    #[must_use]
    pub fn groundedness(&self) -> Option<f64> {
        self.citation_support.map(|share| f64::from(u8::from(share >= 1.0)))
    }
}

/// Compares an answer with the known one.
#[must_use]
pub fn likeness(answer: &str, known: &str) -> Likeness {
    let (given, right) = (tokens(&without_markers(answer)), tokens(known));
    let (counts, wanted) = (counted(&given), counted(&right));
    let same: u64 = wanted.iter().map(|(token, count)| counts.get(token).copied().unwrap_or(0).min(*count)).sum();
    let of = |all: &[String]| share(same, count_of(all)).unwrap_or(0.0);
    let (precision, recall) = (of(&given), of(&right));
    let token_f1 = if same == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
    Likeness { exact_match: f64::from(u8::from(given == right)), token_f1, token_recall: recall }
}

/// Holds an answer against what it was given from.
#[must_use]
pub fn grounding(answer: &str, citations: &[Citation], context: &[Passage]) -> Grounding {
    let cited = |marker: &str| citations.iter().find(|citation| citation.marker == marker);
    let markers: Vec<&str> = markers(answer).collect();
    let valid = markers.iter().filter(|marker| cited(marker).is_some_and(|citation| is_quoted(citation, context)));
    let sentences = sentences(answer);
    let covered = sentences.iter().filter(|(_, markers)| !markers.is_empty());
    let carried = sentences.iter().filter(|(words, markers)| {
        let snippets: Vec<&str> =
            markers.iter().filter_map(|marker| cited(marker)).map(|citation| citation.snippet.as_str()).collect();
        is_carried(words, &snippets)
    });
    let words = tokens(&without_markers(answer));
    let known: HashSet<String> = context.iter().flat_map(|passage| tokens(&passage.text)).collect();
    let said = numbers(&without_markers(answer));
    let quoted: HashSet<String> = citations.iter().flat_map(|citation| numbers(&citation.snippet)).collect();
    Grounding {
        k_precision: share(number(words.iter().filter(|word| known.contains(*word)).count()), count_of(&words)),
        citation_validity: share(number(valid.count()), count_of(&markers)),
        citation_coverage: share(number(covered.count()), count_of(&sentences)),
        citation_support: share(number(carried.count()), count_of(&sentences)),
        number_fidelity: share(number(said.iter().filter(|said| quoted.contains(*said)).count()), count_of(&said)),
    }
}

/// True where the words cited stand in a passage of the context, where the citation says.
fn is_quoted(citation: &Citation, context: &[Passage]) -> bool {
    let from = context.iter().find(|passage| passage.chunk_id == citation.chunk_id);
    from.is_some_and(|passage| {
        let (skip, take) = (citation.start.checked_sub(passage.start), citation.end.checked_sub(citation.start));
        skip.zip(take).is_some_and(|(skip, take)| {
            take > 0 && passage.text.chars().skip(skip).take(take).eq(citation.snippet.chars())
        })
    })
}

fn is_carried(words: &str, snippets: &[&str]) -> bool {
    let carrying: HashSet<String> = snippets.iter().flat_map(|snippet| tokens(snippet)).collect();
    let figures: HashSet<String> = snippets.iter().flat_map(|snippet| numbers(snippet)).collect();
    let said: Vec<String> = tokens(words).into_iter().filter(|word| !is_stop_word(word)).collect();
    let held = number(said.iter().filter(|word| carrying.contains(*word)).count());
    !snippets.is_empty()
        && share(held, count_of(&said)).is_none_or(|share| share >= SUPPORT_MIN)
        && numbers(words).iter().all(|number| figures.contains(number))
}

/// The sentences of an answer without their markers, and the markers of each. A marker behind a full stop belongs to the
/// sentence before it.
fn sentences(answer: &str) -> Vec<(String, Vec<&str>)> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for piece in answer.split_sentence_bounds() {
        let words = without_markers(piece);
        let leading = piece.trim_start();
        let ahead = leading.len() - leading.trim_start_matches(|mark: char| is_of_markers(mark)).len();
        let (before, within) = leading.split_at(ahead);
        if let Some((_, markers_of_last)) = found.last_mut() {
            markers_of_last.extend(markers(before));
        }
        if words.chars().any(char::is_alphanumeric) {
            let mut own: Vec<&str> = if found.is_empty() { markers(before).collect() } else { Vec::new() };
            own.extend(markers(within));
            found.push((words, own));
        }
    }
    found
}

/// A character a run of markers in front of a sentence is made of.
fn is_of_markers(mark: char) -> bool {
    matches!(mark, '[' | ']') || mark.is_ascii_digit() || mark.is_whitespace()
}

fn marker() -> Option<&'static Regex> {
    static MARKER: OnceLock<Option<Regex>> = OnceLock::new();
    MARKER.get_or_init(|| Regex::new(r"\[\d{1,4}\]").ok()).as_ref()
}

fn markers(text: &str) -> impl Iterator<Item = &str> {
    marker().into_iter().flat_map(move |pattern| pattern.find_iter(text)).map(|found| found.as_str())
}

/// The words of an answer alone.
#[must_use]
pub fn without_markers(text: &str) -> String {
    marker().map_or_else(|| text.to_owned(), |pattern| pattern.replace_all(text, "").into_owned())
}

fn count_of<T>(all: &[T]) -> u64 {
    number(all.len())
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "words of one answer")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
