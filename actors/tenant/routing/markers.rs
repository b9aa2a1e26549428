//! Citation markers `[n]`: removes those that name no passage, before anyone sees them.
//!
//! One filter for whole texts and for streams: the same words give the same result however they are cut. It holds
//! back from a `[` until the bracket is decided, and one blank before it, so that a removed marker leaves no gap.
use crate::question::{Citation, Passage};
use std::collections::VecDeque;

/// Characters a marker may have between its brackets; a longer bracket is text.
const MARKER_CHARS_MAX: usize = 48;
/// Brackets held open within each other; the outermost is released beyond that.
const MARKER_DEPTH_MAX: usize = 4;

/// Removes markers that name no passage from a text that arrives in pieces. `[1, 2]` and `[1-2]` become `[1][2]`, so
/// that every citation's marker stands in the text literally.
#[derive(Debug)]
pub struct MarkerFilter {
    passages: usize,
    held_blank: bool,
    open: VecDeque<String>,
}

impl MarkerFilter {
    /// A filter for an answer that may cite passages 1 to `passages`.
    #[must_use]
    pub fn new(passages: usize) -> Self {
        Self { passages, held_blank: false, open: VecDeque::new() }
    }

    /// Takes the next piece; gives what is decided.
    #[must_use]
    pub fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(piece.len());
        for character in piece.chars() {
            self.take(character, &mut out);
        }
        out
    }

    /// Ends the text; gives what was still held back.
    #[must_use]
    pub fn finish(mut self) -> String {
        let mut out = String::new();
        self.release(&mut out);
        self.release_blank(&mut out);
        out
    }

    fn take(&mut self, character: char, out: &mut String) {
        let Some(innermost) = self.open.back_mut() else {
            return self.take_outside(character, out);
        };
        match character {
            '[' => {
                self.open.push_back(String::new());
                if self.open.len() > MARKER_DEPTH_MAX {
                    // without its bracket: nothing that is removed later can then complete it to a marker
                    self.release_blank(out);
                    out.push_str(&self.open.pop_front().unwrap_or_default());
                }
            }
            ']' => self.close(out),
            _ if is_marker_character(character) => {
                innermost.push(character);
                if innermost.len() > MARKER_CHARS_MAX {
                    self.release(out);
                }
            }
            _ => {
                self.release(out);
                out.push(character);
            }
        }
    }

    fn take_outside(&mut self, character: char, out: &mut String) {
        match character {
            '[' => self.open.push_back(String::new()),
            ' ' => {
                self.release_blank(out);
                self.held_blank = true;
            }
            _ => {
                self.release_blank(out);
                out.push(character);
            }
        }
    }

    fn close(&mut self, out: &mut String) {
        let inside = self.open.pop_back().unwrap_or_default();
        match resolve(&inside, self.passages) {
            None => {
                self.open.push_back(inside);
                self.release(out);
                out.push(']');
            }
            Some(numbers) if numbers.is_empty() => self.remove(out),
            Some(numbers) => {
                self.release_blank(out);
                self.release(out);
                for number in numbers {
                    out.push_str(&format!("[{number}]"));
                }
            }
        }
    }

    /// Drops a marker; brackets around it go too, because what follows could complete them to another marker.
    fn remove(&mut self, out: &mut String) {
        if self.open.is_empty() {
            self.held_blank = false;
            return;
        }
        self.release_blank(out);
        for around in self.open.drain(..) {
            out.push_str(&around);
        }
    }

    fn release(&mut self, out: &mut String) {
        if !self.open.is_empty() {
            self.release_blank(out);
        }
        for held in self.open.drain(..) {
            out.push('[');
            out.push_str(&held);
        }
    }

    fn release_blank(&mut self, out: &mut String) {
        if std::mem::take(&mut self.held_blank) {
            out.push(' ');
        }
    }
}

/// Removes markers that name no passage from a whole text; as [`MarkerFilter`].
#[must_use]
pub fn clean(text: &str, passages: usize) -> String {
    let mut filter = MarkerFilter::new(passages);
    let mut cleaned = filter.push(text);
    cleaned.push_str(&filter.finish());
    cleaned
}

/// The passages a text cites, from 1, in order of first use.
#[must_use]
pub fn cited(text: &str, passages: usize) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut from_bracket: Option<&str> = None;
    for (at, character) in text.char_indices() {
        match character {
            '[' => from_bracket = text.get(at.saturating_add(1)..),
            ']' => {
                let inside = from_bracket.take().and_then(|rest| {
                    let length = rest.len().saturating_sub(text.len().saturating_sub(at));
                    rest.get(..length).filter(|inside| inside.len() <= MARKER_CHARS_MAX)
                });
                for number in inside.and_then(|inside| resolve(inside, passages)).unwrap_or_default() {
                    if !numbers.contains(&number) {
                        numbers.push(number);
                    }
                }
            }
            _ => {}
        }
    }
    numbers
}

/// A cleaned text with other numbers in its markers; a marker without another number stays as it is.
#[must_use]
pub fn renumbered(text: &str, to: impl Fn(usize) -> Option<usize>) -> String {
    let mut renumbered = String::with_capacity(text.len());
    let mut pieces = text.split('[');
    renumbered.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        renumbered.push('[');
        let marker = piece.split_once(']').and_then(|(inside, rest)| Some((to(number(inside)?)?, rest)));
        match marker {
            Some((number, rest)) => renumbered.push_str(&format!("{number}]{rest}")),
            None => renumbered.push_str(piece),
        }
    }
    renumbered
}

/// The citation a marker stands for, with the whole passage as its snippet.
#[must_use]
pub fn citation(number: usize, passage: &Passage) -> Citation {
    Citation {
        marker: format!("[{number}]"),
        document_id: passage.document_id.clone(),
        chunk_id: passage.chunk_id.clone(),
        title: passage.title.clone(),
        source: passage.source.clone(),
        snippet: passage.text.clone(),
        start: passage.start,
        end: passage.end,
        page: passage.page,
        trust_score: passage.trust_score,
    }
}

fn is_marker_character(character: char) -> bool {
    character.is_ascii_digit() || matches!(character, ',' | ';' | ' ' | '-' | '–')
}

/// The numbers within brackets that name a passage, or `None` where the bracket is no marker at all.
fn resolve(inside: &str, passages: usize) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    let mut any = false;
    for item in inside.split([',', ';', ' ']).filter(|item| !item.is_empty()) {
        let (first, last) = item.split_once(['-', '–']).unwrap_or((item, item));
        let (first, last) = (number(first)?, number(last)?);
        any = true;
        for named in first.max(1)..=last.min(passages) {
            if !numbers.contains(&named) {
                numbers.push(named);
            }
        }
    }
    any.then_some(numbers)
}

fn number(digits: &str) -> Option<usize> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // more digits than can be counted name no passage, yet they are a marker
    all_digits.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markers_without_passage_go_and_others_stay() {
        for (text, expected) in [
            ("Salt dissolves [1].", "Salt dissolves [1]."),
            ("Salt dissolves [9].", "Salt dissolves."),
            ("Both [1, 2] and [1][2].", "Both [1][2] and [1][2]."),
            ("Half [2, 7] of it", "Half [2] of it"),
            ("A range [1-3], a wide one [2–900].", "A range [1][2][3], a wide one [2][3]."),
            ("[see 3] and [see 9] are words", "[see 3] and [see 9] are words"),
            ("unbalanced [9 and 9] and [", "unbalanced [9 and 9] and ["),
            ("nested [[9]8] leaves nothing to resolve", "nested 8] leaves nothing to resolve"),
            ("an array [[1, 2], [3]]", "an array [[1][2], [3]]"),
            ("zero [0], leading [01], huge [99999999999999999999999]!", "zero, leading [1], huge!"),
            ("empty [] and [ ] and [-1] are text", "empty [] and [ ] and [-1] are text"),
            ("[9] first", " first"),
            ("two  [9]  blanks", "two   blanks"),
            ("ends in [3", "ends in [3"),
        ] {
            assert_eq!(clean(text, 3), expected, "{text}");
        }
    }

    #[test]
    fn markers_are_renumbered_at_once_and_nothing_else_is() {
        let swapped = |number| [2, 1, 7].get(number - 1).copied();
        for (text, expected) in [
            ("Both [1][2], third [3], fourth [4].", "Both [2][1], third [7], fourth [4]."),
            ("an array [[1][2], [3]]", "an array [[2][1], [7]]"),
            ("[see 1] and [1 and 1] and [", "[see 1] and [1 and 1] and ["),
            ("1] and [é1] and [1", "1] and [é1] and [1"),
            ("", ""),
        ] {
            assert_eq!(renumbered(text, swapped), expected, "{text}");
        }
    }

    #[test]
    fn nothing_resolves_without_passages() {
        assert_eq!(clean("a [1] b [2]", 0), "a b");
    }

    #[test]
    fn a_bracket_longer_than_a_marker_is_text() {
        let long = format!("[{}]", "1, ".repeat(40));
        assert_eq!(clean(&long, 3), long);
        assert!(cited(&long, 3).is_empty());
    }

    #[test]
    fn citations_are_listed_in_order_of_first_use() {
        assert_eq!(cited("b [2] a [1, 3] again [2] no [9] [x]", 3), [2, 1, 3]);
    }

    proptest! {
        #[test]
        fn the_cut_makes_no_difference(text in r"[\[\]0-9a-b ,;–-]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..8), passages in 0usize..4) {
            let characters: Vec<char> = text.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(characters.len())).collect();
            cuts.push(characters.len());
            cuts.sort_unstable();
            let (mut filter, mut streamed, mut from) = (MarkerFilter::new(passages), String::new(), 0);
            for cut in cuts {
                streamed.push_str(&filter.push(&characters[from..cut].iter().collect::<String>()));
                from = cut;
            }
            streamed.push_str(&filter.finish());
            prop_assert_eq!(streamed, clean(&text, passages));
        }

        #[test]
        fn no_unresolved_marker_is_left(text in r"[\[\]0-9ab ,;-]{0,80}", passages in 0usize..4) {
            let cleaned = clean(&text, passages);
            let marker = regex::Regex::new(r"\[([^\[\]]*)\]").unwrap();
            for found in marker.captures_iter(&cleaned) {
                if found[1].len() <= MARKER_CHARS_MAX && let Some(numbers) = resolve(&found[1], passages) {
                    prop_assert!(!numbers.is_empty(), "{} of {}", &found[0], cleaned);
                }
            }
            prop_assert_eq!(clean(&cleaned, passages), cleaned);
        }

        #[test]
        fn what_is_held_back_is_bounded(text in r"[\[0-9 ,]{0,600}") {
            let mut filter = MarkerFilter::new(3);
            let mut seen = String::new();
            for character in text.chars() {
                seen.push_str(&filter.push(&character.to_string()));
                let held: usize = filter.open.iter().map(|held| held.len() + 1).sum();
                prop_assert!(held <= (MARKER_CHARS_MAX + 2) * MARKER_DEPTH_MAX);
            }
        }
    }
}
