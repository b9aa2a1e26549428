//! Cuts a passage into sentences, and says which of them are headings or questions. Pure.
use std::ops::Range;

/// A longer sentence is cut at a clause or a space: a citation of a page is not a citation.
pub const SENTENCE_BYTES_MAX: usize = 900;
/// A line at most this long without a full stop may be a heading.
const HEADING_BYTES_MAX: usize = 80;
/// A line shorter than this was not wrapped by an editor: the line break means something.
const WRAPPED_LINE_BYTES_MIN: usize = 50;

/// A number with more digits before a dot is a year or an amount, not a list's.
const LIST_DIGITS_MAX: usize = 3;

/// Abbreviations that another word of the same sentence always follows.
const TITLES: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "gen", "lt", "col", "sgt", "capt", "cmdr", "adm", "maj", "rev", "hon",
    "gov", "sen", "rep", "pres", "vs", "e.g", "i.e", "cf", "fig", "figs", "eq", "vol", "pp", "ch", "sec", "art",
    "approx", "ca", "messrs", "mt", "ft", "al", "v", "c", "p", "n",
];

/// Abbreviations that may also end a sentence: what follows decides.
const ABBREVIATIONS: &[&str] = &[
    "etc", "inc", "ltd", "co", "corp", "bros", "jr", "sr", "dept", "est", "a.m", "p.m", "b.c", "a.d", "ph.d", "m.d",
    "no", "nos", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "ave", "blvd",
    "rd", "min", "max", "avg", "z.b", "bzw", "ca", "usw", "d.h",
];

/// Words that open a sentence far more often than they follow an abbreviation.
const OPENERS: &[&str] = &[
    "the",
    "a",
    "an",
    "it",
    "its",
    "he",
    "his",
    "she",
    "her",
    "they",
    "their",
    "this",
    "that",
    "these",
    "those",
    "in",
    "on",
    "at",
    "by",
    "for",
    "from",
    "with",
    "after",
    "before",
    "during",
    "when",
    "while",
    "although",
    "however",
    "as",
    "if",
    "there",
    "we",
    "you",
    "i",
    "but",
    "and",
    "most",
    "many",
    "some",
    "all",
    "both",
    "since",
    "under",
    "according",
];

/// What a sentence is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Says something; may be cited.
    Statement,
    /// Announces what follows.
    Heading,
    /// Asks: its answer is what follows.
    Question,
}

/// One sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sentence {
    /// Bytes of the passage's text, without white space at either end and without a list's mark; never empty.
    pub bytes: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// The sentences of a text, in order. White space between them belongs to none.
#[must_use]
pub fn split(text: &str) -> Vec<Sentence> {
    let mut found = Vec::new();
    for block in blocks(text) {
        let words = text.get(block.clone()).unwrap_or_default();
        let (mark, body) = (mark(words), trimmed(text, block.start + mark(words).len()..block.end));
        for piece in pieces(text, body.clone()) {
            for bytes in bounded(text, piece) {
                let words = text.get(bytes.clone()).unwrap_or_default();
                found.push(Sentence { kind: kind(words, mark, bytes == body), bytes });
            }
        }
    }
    found
}

/// Lines that belong together: a paragraph, a heading, a list item.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open: Option<(Range<usize>, &str)> = None;
    let mut at = 0;
    for line in text.split_inclusive(['\n', '\r', '\u{2028}', '\u{2029}']) {
        let bytes = trimmed(text, at..at + line.len());
        at += line.len();
        let words = text.get(bytes.clone()).unwrap_or_default();
        open = match open {
            Some((range, last)) if continues(last, words) => Some((range.start..bytes.end, words)),
            Some((range, _)) => {
                found.push(range);
                (!words.is_empty()).then_some((bytes, words))
            }
            None => (!words.is_empty()).then_some((bytes, words)),
        };
    }
    found.extend(open.map(|(range, _)| range));
    found
}

/// True where a line goes on in the next one.
fn continues(line: &str, next: &str) -> bool {
    if next.is_empty() || is_item(next) || line.starts_with('#') {
        return false;
    }
    if next.starts_with(char::is_lowercase) {
        return true;
    }
    line.len() >= WRAPPED_LINE_BYTES_MIN
}

/// The mark of a list item, a markdown heading or a quotation that a line starts with, with the space after it.
fn mark(line: &str) -> &str {
    let signs = line.trim_start_matches(['#', '>', '-', '*', '+', '•', '‣', '▪', '·', '–', '—']);
    let numbered = line.trim_start_matches('(').trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.trim_start_matches('(').len() - numbered.len();
    let after = match numbered.strip_prefix(['.', ')']) {
        Some(rest) if (1..=LIST_DIGITS_MAX).contains(&digits) => rest,
        _ => signs,
    };
    let body = after.trim_start();
    let is_mark = after.len() < line.len() && body.len() < after.len();
    if is_mark { line.get(..line.len() - body.len()).unwrap_or_default() } else { "" }
}

/// True where a line starts something of its own.
fn is_item(line: &str) -> bool {
    line.starts_with('|') || !mark(line).is_empty()
}

/// The sentences of one block.
fn pieces(text: &str, block: Range<usize>) -> Vec<Range<usize>> {
    let words = text.get(block.clone()).unwrap_or_default();
    let mut found = Vec::new();
    let mut start = 0;
    let mut skip_to = 0;
    for (at, mark) in words.char_indices() {
        if at < skip_to || !is_terminator(mark) {
            continue;
        }
        let end = closed(words, at + mark.len_utf8());
        skip_to = end;
        let (before, after) = (words.get(start..at).unwrap_or_default(), words.get(end..).unwrap_or_default());
        if ends_here(before, mark, after) {
            found.push(trimmed(text, block.start + start..block.start + end));
            start = end;
        }
    }
    found.push(trimmed(text, block.start + start..block.end));
    found.retain(|range| !range.is_empty());
    found
}

/// The byte behind the first sentence of a text that surely ends in it: something else follows, and the references that
/// belong to the sentence (`. [1]`) are within.
#[must_use]
pub fn first_end(text: &str) -> Option<usize> {
    let mut skip_to = 0;
    for (at, mark) in text.char_indices() {
        if at < skip_to || !is_terminator(mark) {
            continue;
        }
        let mut end = closed(text, at + mark.len_utf8());
        skip_to = end;
        let after = text.get(end..)?;
        if !is_full_width_terminator(mark) && !after.starts_with(char::is_whitespace) {
            continue;
        }
        while let Some(reference) = reference(text.get(end..)?) {
            end += reference;
        }
        let rest = text.get(end..)?.trim_start();
        let may_become_reference = rest.starts_with('[') && rest.len() < REFERENCE_BYTES_MAX && !rest.contains(']');
        // what follows a dot decides, as far as its first word: `p. 7`, `A. B. Smith`
        let following = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let is_known = is_full_width_terminator(mark) || following.contains(char::is_whitespace);
        if rest.is_empty() || may_become_reference || !is_known {
            return None;
        }
        if ends_here(text.get(..at)?, mark, after) {
            return Some(end);
        }
    }
    None
}

/// What is longer between square brackets is no reference.
const REFERENCE_BYTES_MAX: usize = 40;

/// Bytes of a reference such as ` [1]` that a text begins with.
fn reference(text: &str) -> Option<usize> {
    let inside = text.trim_start().strip_prefix('[')?;
    let (numbers, rest) = inside.split_once(']')?;
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, ',' | ' ');
    let is_short = inside.len() - rest.len() < REFERENCE_BYTES_MAX - 1;
    (is_short && !numbers.is_empty() && numbers.chars().all(is_number)).then(|| text.len() - rest.len())
}

/// True for marks that may end a sentence, in the larger scripts.
fn is_terminator(mark: char) -> bool {
    matches!(mark, '.' | '!' | '?') || !mark.is_ascii() && (mark == '…' || is_full_width_terminator(mark))
}

/// True for marks that end a sentence without a space after them.
fn is_full_width_terminator(mark: char) -> bool {
    matches!(mark, '。' | '！' | '？' | '｡' | '।' | '॥' | '؟' | '۔' | '։' | '።')
}

/// The end of the sentence whose last mark ends at `from`: quotes, brackets and reference numbers that follow belong to it.
fn closed(words: &str, from: usize) -> usize {
    let mut end = from;
    loop {
        let rest = words.get(end..).unwrap_or_default();
        let Some(next) = rest.chars().next() else { return end };
        if is_terminator(next) || matches!(next, '"' | '\'' | ')' | ']' | '}' | '»' | '”' | '’' | '」' | '』' | '）')
        {
            end += next.len_utf8();
            continue;
        }
        let number = rest.strip_prefix('[').map(|tail| tail.trim_start_matches(|c: char| c.is_ascii_digit()));
        match number.and_then(|tail| tail.strip_prefix(']')) {
            Some(tail) => end += rest.len() - tail.len(),
            None => return end,
        }
    }
}

/// True where a sentence ends at `mark`, given what stands before and after it.
fn ends_here(before: &str, mark: char, after: &str) -> bool {
    if is_full_width_terminator(mark) {
        return true;
    }
    if !after.starts_with(char::is_whitespace) {
        return false;
    }
    let following = after.trim_start().trim_start_matches(|c: char| !c.is_alphanumeric());
    if following.starts_with(char::is_lowercase) {
        return false;
    }
    mark != '.' || ends_at_dot(before, following)
}

/// True where a dot followed by a space and no small letter ends a sentence.
fn ends_at_dot(before: &str, following: &str) -> bool {
    let token = before
        .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '“' | '/'))
        .next()
        .unwrap_or_default();
    let lower = token.to_lowercase();
    if TITLES.contains(&lower.as_str()) {
        return false;
    }
    let mut letters = token.chars();
    let is_initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    let is_acronym = token.contains('.') && token.split('.').all(|part| part.chars().count() == 1);
    if is_initial || is_acronym || ABBREVIATIONS.contains(&lower.as_str()) {
        let word = following.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        // "Plan B. The": an initial before an opener ends; "J. Smith" and "J. A. Smith" do not
        let is_another = word.len() == 1 && following.get(1..).is_some_and(|rest| rest.starts_with('.'));
        return !is_another && OPENERS.contains(&word.to_lowercase().as_str());
    }
    true
}

/// The range without white space at either end.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let words = text.get(range.clone()).unwrap_or_default();
    let start = range.start + (words.len() - words.trim_start().len());
    start..start + words.trim().len()
}

/// The range in parts of at most [`SENTENCE_BYTES_MAX`] bytes, cut after a semicolon, else at a space, else anywhere.
fn bounded(text: &str, mut range: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    while range.len() > SENTENCE_BYTES_MAX {
        let mut most = range.start + SENTENCE_BYTES_MAX;
        while !text.is_char_boundary(most) {
            most -= 1;
        }
        let window = text.get(range.start..most).unwrap_or_default();
        let cut = window
            .rfind("; ")
            .filter(|at| *at > SENTENCE_BYTES_MAX / 4)
            .map(|at| at + 1)
            .or_else(|| window.rfind(char::is_whitespace).filter(|at| *at > 0))
            .map_or(most, |at| range.start + at);
        parts.push(trimmed(text, range.start..cut));
        range = trimmed(text, cut..range.end);
    }
    parts.push(range);
    parts.retain(|part| !part.is_empty());
    parts
}

/// What a sentence is; `mark` is its block's, `alone` where it is all of its block.
fn kind(words: &str, mark: &str, alone: bool) -> Kind {
    let bare = words.trim_end_matches(['"', '\'', ')', '”', '’', '*', '_']);
    if bare.ends_with(['?', '？', '؟']) {
        return Kind::Question;
    }
    if mark.starts_with('#') {
        return Kind::Heading;
    }
    let is_short = alone && mark.is_empty() && words.len() <= HEADING_BYTES_MAX && !words.starts_with('|');
    let says_something = bare.ends_with(is_terminator) || words.contains(|c: char| c.is_ascii_digit());
    let pairs = words.split_once(": ").is_some_and(|(_, value)| !value.trim().is_empty());
    if is_short && !says_something && !pairs { Kind::Heading } else { Kind::Statement }
}
