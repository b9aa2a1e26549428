//! Answers a question with sentences of the passages, or says why it does not. Pure: text in, choice out.
use super::merging::chosen;
pub use super::merging::{SENTENCES_MAX, Shape};
use super::reading::{Line, Reading, Source, read};
use super::scoring::evidence;
use super::support::{is_supported, reason};
use std::ops::Range;

/// One sentence cited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cited {
    /// Number of the passage in the call, from 1: what stands in the marker.
    pub marker: usize,
    /// The sentence, in CHARACTERS (not bytes) of that passage's text.
    pub chars: Range<usize>,
    /// What the answer says: the sentence on one line, followed by its marker.
    pub words: String,
}

/// What became of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The sentences that answer it, best first; never empty.
    Answer(Vec<Cited>),
    /// Nothing supports an answer.
    Nothing {
        /// Why, as a sentence.
        reason: String,
    },
}

/// Answers a question from passages in the order they were retrieved. The first sentence is always whole; further ones
/// are added while the answer stays within its length.
#[must_use]
pub fn find(question: &str, sources: &[Source<'_>], shape: Shape) -> Finding {
    let nothing = |reason: &str| Finding::Nothing { reason: reason.to_owned() };
    if sources.iter().all(|source| source.text.trim().is_empty()) {
        return nothing("No passage was found for this question.");
    }
    let reading = read(question, sources);
    if reading.asked.terms.is_empty() {
        return nothing("The question names nothing to look for; say what it is about.");
    }
    let scores: Vec<f32> = evidence(&reading, sources).iter().map(|e| e.score(reading.asked.wanted)).collect();
    let Some(best) = best(&reading, &scores) else {
        return nothing("The passages found hold headings and questions, but no statement.");
    };
    if !is_supported(&reading, best) {
        return Finding::Nothing { reason: reason(&reading) };
    }
    let mut answer = Vec::new();
    let mut chars = 0;
    for at in chosen(&reading, sources, &scores, best, shape) {
        let Some(cited) = reading.lines.get(at).and_then(|line| cite(line, sources)) else { continue };
        // the space between two sentences counts as well
        chars += cited.words.chars().count() + usize::from(!answer.is_empty());
        if chars > shape.chars_max && !answer.is_empty() {
            break;
        }
        answer.push(cited);
    }
    Finding::Answer(answer)
}

/// The best statement; the earlier one where two are equal.
fn best(reading: &Reading, scores: &[f32]) -> Option<usize> {
    let lines = reading.lines.iter().zip(scores).enumerate().filter(|(_, (line, _))| line.is_statement());
    lines.max_by(|(at, (_, one)), (other_at, (_, other))| one.total_cmp(other).then(other_at.cmp(at))).map(|(at, _)| at)
}

fn text<'t>(line: &Line, sources: &[Source<'t>]) -> Option<&'t str> {
    sources.get(line.passage)?.text.get(line.sentence.bytes.clone())
}

fn cite(line: &Line, sources: &[Source<'_>]) -> Option<Cited> {
    let before = sources.get(line.passage)?.text.get(..line.sentence.bytes.start)?.chars().count();
    let words = text(line, sources)?;
    let marker = line.passage + 1;
    let chars = before..before + words.chars().count();
    Some(Cited { marker, chars, words: format!("{} [{marker}]", plain(words)) })
}

/// A sentence on one line, in which nothing can be taken for a marker: a document must not forge citations, so its own
/// `[7]` becomes `(7)`.
#[must_use]
pub fn plain(sentence: &str) -> String {
    let line = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut said = String::with_capacity(line.len());
    let mut rest = line.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        said.push_str(before);
        let inside = after.split_once(']').filter(|(inside, _)| is_reference(inside));
        rest = match inside {
            Some((numbers, tail)) => {
                said.push('(');
                said.push_str(numbers);
                said.push(')');
                tail
            }
            None => {
                said.push('[');
                after
            }
        };
    }
    said.push_str(rest);
    said
}

fn is_reference(inside: &str) -> bool {
    let is_part = |c: char| c.is_numeric() || c.is_whitespace() || matches!(c, ',' | ';' | '-' | '–');
    inside.chars().all(is_part) && inside.chars().any(char::is_numeric)
}
