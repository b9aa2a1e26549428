//! What the policy demands of a grounded answer beside its citations: sources that do not repeat one another, and an end.
//! The relay asks while words are still coming and the exit asks again of the whole, by the same rules. Pure.
use super::markers;
use super::providers::extractive::sentences;
use crate::question::Passage;

/// What is demanded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Demands {
    /// Independent sources the answer rests on at least; 0 where it need not rest on any.
    pub sources_min: usize,
    /// Characters the answer has at most.
    pub characters_max: Option<usize>,
}

impl Demands {
    /// Why an answer that rests on `sources` of them is withheld; nothing where they suffice.
    #[must_use]
    pub fn refusal(&self, sources: usize) -> Option<String> {
        match (sources, self.sources_min) {
            (sources, least) if sources >= least => None,
            (_, 1) => Some(String::from("the model's answer cites none of the passages it was given")),
            (sources, least) => Some(format!(
                "the policy asks for {least} sources that do not repeat one another, and the answer rests on {sources}"
            )),
        }
    }
}

/// Which passages of a turn are one source: those of one document or of its copies, and those whose words are the same, wherever
/// they were uploaded. Reckoned over all passages at once, so that further citations never make sources fewer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources(Vec<usize>);

impl Sources {
    /// The sources of these passages.
    #[must_use]
    pub fn of(passages: &[Passage]) -> Self {
        let words: Vec<String> = passages.iter().map(|passage| folded(&passage.text)).collect();
        let known: Vec<(&Passage, &String)> = passages.iter().zip(&words).collect();
        let mut sources: Vec<usize> = (0..passages.len()).collect();
        for (at, (passage, words)) in known.iter().enumerate() {
            for (before, (other, said)) in known.iter().take(at).enumerate() {
                let (Some(one), Some(two)) = (sources.get(at).copied(), sources.get(before).copied()) else { continue };
                if (is_of_one_text(passage, other) || words == said) && one != two {
                    sources.iter_mut().filter(|source| **source == one).for_each(|source| *source = two);
                }
            }
        }
        Self(sources)
    }

    /// The source of the passage at this place, from 0.
    #[must_use]
    pub fn at(&self, passage: usize) -> Option<usize> {
        self.0.get(passage).copied()
    }

    /// Sources a text cites.
    #[must_use]
    pub fn cited(&self, text: &str) -> usize {
        let numbers = markers::cited(text, self.0.len());
        let mut cited: Vec<usize> = numbers.iter().filter_map(|number| self.at(number.checked_sub(1)?)).collect();
        cited.sort_unstable();
        cited.dedup();
        cited.len()
    }
}

/// Two passages of one document, or of a document and its copy.
fn is_of_one_text(one: &Passage, other: &Passage) -> bool {
    let is_copy = !one.document_sha256.is_empty() && one.document_sha256 == other.document_sha256;
    one.document_id == other.document_id || is_copy
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Lets sentences through as long as all of them together are within a length. Once one is not, nothing follows.
#[derive(Debug)]
pub struct Within {
    left: Option<usize>,
    held: String,
}

impl Within {
    /// Lets at most so many characters through; everything where nothing is said.
    #[must_use]
    pub fn new(characters_max: Option<usize>) -> Self {
        Self { left: characters_max, held: String::new() }
    }

    /// Hears words, and says those that may be told now: sentences known to be whole.
    pub fn push(&mut self, words: &str) -> String {
        if self.left.is_none() {
            return words.to_owned();
        }
        self.held.push_str(words);
        self.sentences()
    }

    fn sentences(&mut self) -> String {
        let mut told = String::new();
        while let Some(end) = sentences::first_end(&self.held) {
            let sentence: String = self.held.drain(..end).collect();
            told.push_str(&self.let_through(sentence));
        }
        told
    }

    /// The rest, where it is within the length.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.left.is_none() {
            return String::new();
        }
        // nothing else comes: the last word is whole
        self.held.push('\n');
        let mut told = self.sentences();
        let mut rest = std::mem::take(&mut self.held);
        rest.pop();
        told.push_str(&self.let_through(rest));
        told
    }

    fn let_through(&mut self, words: String) -> String {
        let Some(left) = &mut self.left else { return words };
        let chars = words.chars().count();
        if let Some(rest) = left.checked_sub(chars) {
            *left = rest;
            return words;
        }
        *left = 0;
        String::new()
    }
}

/// A text as far as it is within a length: what [`Within`] tells of it however it is cut.
#[must_use]
pub fn shortened(text: &str, characters_max: Option<usize>) -> String {
    let mut within = Within::new(characters_max);
    let mut told = within.push(text);
    told.push_str(&within.finish());
    told
}

#[cfg(test)]
#[path = "demands_tests.rs"]
mod tests;
