//! How text becomes the terms of the index, and a question those it is looked up by: the same way.
//!
//! Most words of a text have come before, and what becomes of a word depends on nothing else: it is worked out once for
//! as long as the analyser remembers it. Finding stems is the larger half of the work of indexing.
use super::words::Words;
use hashbrown::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tantivy::tokenizer::{
    Language, LowerCaser, RawTokenizer, RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream,
    Tokenizer,
};

/// Bytes of a word that is indexed; longer ones are encodings, not words.
const WORD_BYTES_MAX: usize = 64;
/// Words remembered by one analyser of an index; when there are more, it begins anew.
const REMEMBERED_MAX: usize = 1 << 14;

/// Words, without those that say nothing, as stems.
pub fn analyser() -> TextAnalyzer {
    // a question has few words, and seldom one twice
    TextAnalyzer::from(Remembering::new(of_one_word(), 0, None))
}

/// The same for the index, whose threads tell with it how far they have come.
pub fn analyser_of_index(progress: Arc<Progress>) -> TextAnalyzer {
    TextAnalyzer::from(Remembering::new(of_one_word(), REMEMBERED_MAX, Some(progress)))
}

/// How many texts the threads of an index have begun to analyse. The engine takes thousands of them into its queue and
/// does not say how many are waiting there.
#[derive(Debug, Default)]
pub struct Progress {
    texts: Mutex<u64>,
    further: Condvar,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Texts so far.
    pub fn texts(&self) -> u64 {
        *self.lock()
    }

    /// Waits until so many texts are begun, or until the time is over: a thread that died begins none. Blocking.
    pub fn wait_for(&self, texts: u64, at_most: Duration) {
        let behind = |begun: &mut u64| *begun < texts;
        let _begun = self.further.wait_timeout_while(self.lock(), at_most, behind);
    }

    fn note(&self) {
        let mut texts = self.lock();
        *texts = texts.saturating_add(1);
        self.further.notify_all();
    }
}

/// What becomes of one word: a term, or nothing.
fn of_one_word() -> TextAnalyzer {
    let word = TextAnalyzer::builder(RawTokenizer::default())
        .filter(RemoveLongFilter::limit(WORD_BYTES_MAX))
        .filter(LowerCaser);
    match StopWordFilter::new(Language::English) {
        Some(stop_words) => word.filter(stop_words).filter(Stemmer::new(Language::English)).build(),
        None => word.filter(Stemmer::new(Language::English)).build(),
    }
}

/// [`Words`] as the engine wants them, each through an analyser of single words.
struct Remembering {
    of_one_word: TextAnalyzer,
    /// Words as they stand in the text, and the term each becomes.
    known: HashMap<Box<str>, Option<Box<str>>>,
    known_max: usize,
    token: Token,
    /// Who is told of every text.
    progress: Option<Arc<Progress>>,
}

impl Remembering {
    fn new(of_one_word: TextAnalyzer, known_max: usize, progress: Option<Arc<Progress>>) -> Self {
        Self { of_one_word, known: HashMap::new(), known_max, token: Token::default(), progress }
    }
}

/// The engine clones an analyser for every question and every segment: a copy remembers nothing yet.
impl Clone for Remembering {
    fn clone(&self) -> Self {
        Self::new(self.of_one_word.clone(), self.known_max, self.progress.clone())
    }
}

struct Terms<'a> {
    text: &'a str,
    words: Words<'a>,
    of_one_word: &'a mut TextAnalyzer,
    known: &'a mut HashMap<Box<str>, Option<Box<str>>>,
    known_max: usize,
    token: &'a mut Token,
}

impl Tokenizer for Remembering {
    type TokenStream<'a> = Terms<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Terms<'a> {
        let Self { of_one_word, known, known_max, token, progress } = self;
        if let Some(progress) = progress {
            progress.note();
        }
        token.reset();
        Terms { text, words: Words::of(text), of_one_word, known, known_max: *known_max, token }
    }
}

impl Terms<'_> {
    /// Works out what becomes of a word that is not known, and remembers it.
    fn learn(&mut self, word: &str) -> bool {
        let mut terms = self.of_one_word.token_stream(word);
        let term = terms.advance().then(|| terms.token().text.as_str().into());
        drop(terms);
        let becomes_a_term = put(&mut self.token.text, term.as_deref());
        if word.len() < WORD_BYTES_MAX && self.known_max > 0 {
            if self.known.len() >= self.known_max {
                self.known.clear();
            }
            self.known.insert(word.into(), term);
        }
        becomes_a_term
    }
}

/// Says whether there is a term.
fn put(text: &mut String, term: Option<&str>) -> bool {
    text.clear();
    text.push_str(term.unwrap_or_default());
    term.is_some()
}

impl TokenStream for Terms<'_> {
    fn advance(&mut self) -> bool {
        while let Some(range) = self.words.next() {
            self.token.position = self.token.position.wrapping_add(1);
            let (offset_from, offset_to) = (range.start, range.end);
            let word = self.text.get(range).unwrap_or_default();
            let is_term = match self.known.get(word) {
                Some(term) => put(&mut self.token.text, term.as_deref()),
                None => self.learn(word),
            };
            if is_term {
                (self.token.offset_from, self.token.offset_to) = (offset_from, offset_to);
                return true;
            }
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, REMEMBERED_MAX, WORD_BYTES_MAX, analyser, analyser_of_index, of_one_word};
    use crate::retrieval::words::Words;
    use std::sync::Arc;
    use std::time::Duration;
    use tantivy::tokenizer::TextAnalyzer;

    fn terms(analyser: &mut TextAnalyzer, text: &str) -> Vec<(String, usize, usize, usize)> {
        let mut terms = Vec::new();
        let mut each = |token: &tantivy::tokenizer::Token| {
            terms.push((token.text.clone(), token.offset_from, token.offset_to, token.position));
        };
        analyser.token_stream(text).process(&mut each);
        terms
    }

    #[test]
    fn words_become_stems_at_their_places_and_those_that_say_nothing_are_left_out() {
        let expected = [("heron", 4, 10, 1), ("fish", 15, 22, 3), ("fish", 24, 31, 4)];
        let expected = expected.map(|(term, from, to, position)| (term.to_owned(), from, to, position));
        for mut analyser in [analyser(), analyser_of_index(Arc::default())] {
            assert_eq!(terms(&mut analyser, "The Herons are fishing, FISHING!"), expected);
        }
    }

    #[test]
    fn a_word_that_is_too_long_is_none() {
        let (long, longest) = ("x".repeat(WORD_BYTES_MAX), "y".repeat(WORD_BYTES_MAX - 1));
        let mut analyser = analyser_of_index(Arc::default());
        for _again in 0..2 {
            let found = terms(&mut analyser, &format!("{long} {longest} {long}"));
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].0, longest);
        }
    }

    #[test]
    fn what_is_remembered_is_what_would_be_worked_out() {
        let (mut remembering, mut plain) = (analyser_of_index(Arc::default()), of_one_word());
        // more words than are remembered, twice over, with some that come again and again
        for number in 0..REMEMBERED_MAX * 2 {
            let text = format!("The runners{} ran, Running{} generously the", number % 7, number);
            let expected: Vec<String> = Words::of(&text)
                .filter_map(|range| {
                    let mut terms = plain.token_stream(&text[range]);
                    terms.advance().then(|| terms.token().text.clone())
                })
                .collect();
            let found: Vec<String> = terms(&mut remembering, &text).into_iter().map(|(term, ..)| term).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn whoever_waits_for_a_text_is_woken_by_it() {
        let progress = Arc::new(Progress::default());
        let (mut one, mut other) =
            (analyser_of_index(Arc::clone(&progress)), analyser_of_index(Arc::clone(&progress)).clone());
        let waiting = Arc::clone(&progress);
        let waiter = std::thread::spawn(move || waiting.wait_for(3, Duration::MAX));
        terms(&mut one, "a heron");
        terms(&mut other, "");
        assert_eq!(progress.texts(), 2);
        assert!(!waiter.is_finished(), "one is missing");
        terms(&mut one, "an otter");
        waiter.join().unwrap();
        progress.wait_for(3, Duration::MAX);
        progress.wait_for(4, Duration::ZERO);
    }
}
