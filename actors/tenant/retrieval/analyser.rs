//! How text becomes the terms of the index, and a question those it is looked up by: the same way, by the rules of a language.
//!
//! All languages share one field: a text is given to the engine with its language in front, a question is looked up by what its
//! words become in each language there is in the index, a word counting once.
//!
//! Most words of a text have come before, and what becomes of a word depends on nothing else: it is worked out once for
//! as long as the analyser remembers it. Finding stems is the larger half of the work of indexing.
use super::language::Language;
use super::words::Words;
use bailiwick_kernel::background::Turn;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tantivy::tokenizer::{
    self, LowerCaser, RawTokenizer, RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream,
    Tokenizer,
};

/// Bytes of a word that is indexed; longer ones are encodings, not words.
const WORD_BYTES_MAX: usize = 64;
/// Words remembered by one analyser of an index; when there are more, it begins anew.
const REMEMBERED_MAX: usize = 1 << 14;

/// Languages of an index a question is looked up in: those most chunks are in.
pub const LANGUAGES_MAX: usize = 4;
/// The private character that stands for the first of [`Language::ALL`] in front of a text; the others follow.
const FIRST_MARK: u32 = 0xE000;

/// A text as the index's analyser takes it: with its language in front.
#[must_use]
pub fn marked(text: &str, language: Language) -> String {
    let place = Language::ALL.iter().position(|known| *known == language).and_then(|at| u32::try_from(at).ok());
    let mark = place.and_then(|place| char::from_u32(FIRST_MARK + place));
    let mut marked = String::with_capacity(text.len().saturating_add(4));
    marked.extend(mark);
    marked.push_str(text);
    marked
}

/// The language in front of a text, and the text behind it.
fn unmarked(text: &str) -> (Language, &str) {
    let mut letters = text.chars();
    let place = letters.next().and_then(|mark| u32::from(mark).checked_sub(FIRST_MARK));
    let language = place.and_then(|place| Language::ALL.get(usize::try_from(place).ok()?));
    language.map_or((Language::English, text), |language| (*language, letters.as_str()))
}

/// What becomes of the words of a text in the index, whose threads tell with it how far they have come.
pub fn analyser_of_index(progress: Arc<Progress>) -> TextAnalyzer {
    TextAnalyzer::from(Remembering::new(progress))
}

/// A question as it is looked up.
#[derive(Clone, PartialEq, Debug)]
pub struct Asked {
    /// Its words, each as the terms it may stand under, and how often it comes.
    pub words: BTreeMap<Vec<String>, f32>,
    /// Its language, where that is known and the index has texts in others.
    pub language: Option<Language>,
}

/// What becomes of the words of a question, in the languages of an index.
#[derive(Clone)]
pub struct OfQuestions(Vec<(Language, TextAnalyzer)>);

impl OfQuestions {
    /// For an index of texts in these languages, that of most of them first; for one without any, in English.
    #[must_use]
    pub fn of(languages: &[Language]) -> Self {
        let known = if languages.is_empty() { &[Language::English][..] } else { languages };
        Self(known.iter().take(LANGUAGES_MAX).map(|language| (*language, of_one_word(*language))).collect())
    }

    /// The words of a question without those that say nothing in the question's own language; at most so many. Where that language is known, names alone are looked up in the others:
    /// their other words are there by chance, and the rarer, the more they would count.
    #[must_use]
    pub fn asked(&self, question: &str, words_max: usize) -> Asked {
        let mut analysers = self.0.clone();
        let words: Vec<(&str, Vec<Option<String>>)> = Words::of(question)
            .map(|range| question.get(range).unwrap_or_default())
            .map(|word| (word, analysers.iter_mut().map(|(_, analyser)| term(analyser, word)).collect()))
            .collect();
        let (own, is_sure) = self.language_of(question, &words);
        let mut counts: BTreeMap<Vec<String>, f32> = BTreeMap::new();
        for (word, terms) in words {
            let Some(in_own) = terms.get(own).cloned().flatten() else { continue };
            let is_looked_up_everywhere = !is_sure || is_name(word);
            let mut terms: Vec<String> =
                if is_looked_up_everywhere { terms.into_iter().flatten().collect() } else { vec![in_own] };
            terms.sort_unstable();
            terms.dedup();
            if let Some(count) = counts.get_mut(&terms) {
                *count += 1.0;
            } else if counts.len() < words_max {
                counts.insert(terms, 1.0);
            }
        }
        let language = self.0.get(own).map(|(language, _)| *language).filter(|_| is_sure && self.0.len() > 1);
        Asked { words: counts, language }
    }

    /// Which of the languages a question is in: the one most of its words say nothing in, because questions are made of such
    /// words, and then it is known; of several, the likeliest by its letters; else the one of most texts.
    fn language_of(&self, question: &str, words: &[(&str, Vec<Option<String>>)]) -> (usize, bool) {
        if self.0.len() < 2 {
            return (0, true);
        }
        let empty = |at: usize, language: Language| {
            let says_nothing = |word: &str, terms: &[Option<String>]| {
                terms.get(at).is_some_and(Option::is_none) || language.asks_with(word)
            };
            words.iter().filter(|(word, terms)| says_nothing(word, terms)).count()
        };
        let counts: Vec<usize> = self.0.iter().enumerate().map(|(at, (language, _))| empty(at, *language)).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        let likely: Vec<Language> = self
            .0
            .iter()
            .zip(&counts)
            .filter(|(_, count)| **count == most)
            .map(|((language, _), _)| *language)
            .collect();
        let is_sure = likely.len() == 1;
        let language = if is_sure { None } else { Language::likeliest(question, &likely) };
        let language = language.or(likely.first().copied());
        (self.0.iter().position(|(known, _)| Some(*known) == language).unwrap_or(0), is_sure)
    }
}

/// True where a word is written as names and numbers are, which are the same in every language.
fn is_name(word: &str) -> bool {
    word.starts_with(char::is_uppercase) || word.contains(char::is_numeric)
}

fn term(analyser: &mut TextAnalyzer, word: &str) -> Option<String> {
    let mut terms = analyser.token_stream(word);
    terms.advance().then(|| terms.token().text.clone())
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

/// What becomes of one word in a language: a term, or nothing.
fn of_one_word(language: Language) -> TextAnalyzer {
    let word = TextAnalyzer::builder(RawTokenizer::default())
        .filter(RemoveLongFilter::limit(WORD_BYTES_MAX))
        .filter(LowerCaser);
    let Some(language) = engines(language) else { return word.build() };
    match StopWordFilter::new(language) {
        Some(stop_words) => word.filter(stop_words).filter(Stemmer::new(language)).build(),
        None => word.filter(Stemmer::new(language)).build(),
    }
}

/// The language as the engine knows it; nothing where it has no stems of it.
fn engines(language: Language) -> Option<tokenizer::Language> {
    use tokenizer::Language as Known;
    Some(match language {
        Language::English => Known::English,
        Language::Arabic => Known::Arabic,
        Language::Danish => Known::Danish,
        Language::Dutch => Known::Dutch,
        Language::Finnish => Known::Finnish,
        Language::French => Known::French,
        Language::German => Known::German,
        Language::Greek => Known::Greek,
        Language::Hungarian => Known::Hungarian,
        Language::Italian => Known::Italian,
        Language::Norwegian => Known::Norwegian,
        Language::Portuguese => Known::Portuguese,
        Language::Romanian => Known::Romanian,
        Language::Russian => Known::Russian,
        Language::Spanish => Known::Spanish,
        Language::Swedish => Known::Swedish,
        Language::Tamil => Known::Tamil,
        Language::Turkish => Known::Turkish,
        Language::Other => return None,
    })
}

/// The words of one language: how each is worked out, and what came of those that were.
struct Vocabulary {
    of_one_word: TextAnalyzer,
    /// Words as they stand in the text, and the term each becomes.
    known: HashMap<Box<str>, Option<Box<str>>>,
}

/// [`Words`] as the engine wants them, each through an analyser of single words of the text's language.
struct Remembering {
    languages: HashMap<Language, Vocabulary>,
    token: Token,
    /// Who is told of every text.
    progress: Arc<Progress>,
    /// That of the engine's thread, which does not give way by itself.
    turn: Turn,
}

impl Remembering {
    fn new(progress: Arc<Progress>) -> Self {
        Self { languages: HashMap::new(), token: Token::default(), progress, turn: Turn::begin() }
    }
}

/// The engine clones an analyser for every segment: a copy remembers nothing yet.
impl Clone for Remembering {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.progress))
    }
}

struct Terms<'a> {
    text: &'a str,
    words: Words<'a>,
    vocabulary: &'a mut Vocabulary,
    token: &'a mut Token,
}

impl Tokenizer for Remembering {
    type TokenStream<'a> = Terms<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Terms<'a> {
        let Self { languages, token, progress, turn } = self;
        turn.offer();
        progress.note();
        token.reset();
        let (language, text) = unmarked(text);
        let fresh = || Vocabulary { of_one_word: of_one_word(language), known: HashMap::new() };
        let vocabulary = languages.entry(language).or_insert_with(fresh);
        Terms { text, words: Words::of(text), vocabulary, token }
    }
}

impl Terms<'_> {
    /// Works out what becomes of a word that is not known, and remembers it.
    fn learn(&mut self, word: &str) -> bool {
        let Vocabulary { of_one_word, known } = &mut *self.vocabulary;
        let term = term(of_one_word, word);
        let becomes_a_term = put(&mut self.token.text, term.as_deref());
        if word.len() < WORD_BYTES_MAX {
            if known.len() >= REMEMBERED_MAX {
                known.clear();
            }
            known.insert(word.into(), term.map(String::into_boxed_str));
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
            let is_term = match self.vocabulary.known.get(word) {
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
    use super::{
        Language, OfQuestions, Progress, REMEMBERED_MAX, WORD_BYTES_MAX, analyser_of_index, marked, of_one_word,
        unmarked,
    };
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
        let mut analyser = analyser_of_index(Arc::default());
        for text in ["The Herons are fishing, FISHING!", &marked("The Herons are fishing, FISHING!", Language::English)]
        {
            assert_eq!(terms(&mut analyser, text), expected);
        }
    }

    fn stems(text: &str, language: Language) -> Vec<String> {
        let found = terms(&mut analyser_of_index(Arc::default()), &marked(text, language));
        found.into_iter().map(|(term, ..)| term).collect()
    }

    #[test]
    fn each_language_has_its_own_stems_and_words_that_say_nothing() {
        assert_eq!(stems("Die Häuser sind in den Wäldern", Language::German), ["haus", "wald"]);
        assert_eq!(stems("Les maisons et la maison", Language::French), ["maison", "maison"]);
        assert_eq!(stems("в домах и дома", Language::Russian), ["дом", "дом"]);
        assert_eq!(stems("The Houses 東京都", Language::Other), ["the", "houses", "東京", "京都"]);
        for language in Language::ALL {
            assert_eq!(unmarked(&marked("x", language)), (language, "x"));
        }
        assert_eq!((unmarked("x"), unmarked("")), ((Language::English, "x"), (Language::English, "")));
    }

    fn looked_up(question: &str, languages: &[Language]) -> Vec<Vec<String>> {
        OfQuestions::of(languages).asked(question, 9).words.into_keys().collect()
    }

    #[test]
    fn a_question_is_looked_up_by_the_stems_of_every_language_there_is() {
        let one = |term: &str| vec![term.to_owned()];
        assert_eq!(looked_up("Where are the houses?", &[]), [one("hous"), one("where")]);
        assert_eq!(looked_up("Wie alt?", &[Language::German]), [one("alt")]);
        let both = [Language::English, Language::German];
        assert_eq!(looked_up("Wie alt?", &both), [one("alt")], "in German *wie* says nothing");
        assert_eq!(looked_up("Wie alt?", &[Language::German, Language::English]), [one("alt")]);
        let either = |one: &str, other: &str| vec![one.to_owned(), other.to_owned()];
        let named = looked_up("the policy of Kennedy", &both);
        assert_eq!(
            named,
            [either("kennedi", "kennedy"), one("polici")],
            "a name is looked up in every language, as one word"
        );
        assert_eq!(looked_up("policy", &both), [either("polici", "policy")], "and so is a question of no language");
        assert!(
            looked_up("Where do whales die?", &both).contains(&vec!["die".to_owned()]),
            "English: *die* says something"
        );
        assert_eq!(looked_up("the of", &both), Vec::<Vec<String>>::new());
        assert_eq!(OfQuestions::of(&both).asked("alt alt", 9).words.into_values().collect::<Vec<_>>(), [2.0]);
        let language = |question: &str| OfQuestions::of(&both).asked(question, 9).language;
        assert_eq!([language("Wie alt?"), language("alt alt")], [Some(Language::German), None]);
        assert_eq!(OfQuestions::of(&[Language::German]).asked("Wie alt?", 9).language, None, "there is no other");
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
        let (mut remembering, mut plain) = (analyser_of_index(Arc::default()), of_one_word(Language::English));
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
