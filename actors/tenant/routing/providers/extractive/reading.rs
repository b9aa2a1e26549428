//! Reads a question and its passages into figures: which question words each sentence holds, and what else is in it. Pure.
use super::cues::{Shapes, Wanted, wanted};
use super::sentences::{Kind, Sentence, split};
use super::texture::{Texture, is_english, is_exact, is_measure, is_present, year};
use super::words::{Stems, base, folded, is_stop_word, likeness, weight, words};
use std::collections::HashMap;

/// Question words looked for, at most; a longer question is known well enough by its first ones.
pub const TERMS_MAX: usize = 64;
/// Words that say a sentence is about the one before it.
const PRONOUNS: &[&str] = &[
    "it", "its", "he", "his", "him", "she", "her", "they", "their", "them", "this", "these", "that", "those", "such",
    "both", "there",
];

/// A passage as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    /// Title of the document.
    pub title: &'t str,
    /// Text of the passage.
    pub text: &'t str,
    /// Score it was retrieved with.
    pub score: f32,
    /// Where its words come from: passages of one origin do not confirm one another.
    pub origin: usize,
}

/// One word of the question that carries a subject.
#[derive(Clone, PartialEq, Debug)]
pub struct Term {
    /// As the question writes it.
    pub written: String,
    /// Its stem.
    pub stem: String,
    /// How much meeting it proves, before looking at the passages.
    pub weight: f32,
    /// A capitalised word that does not open the question.
    pub is_name: bool,
    /// Holds a digit.
    pub is_number: bool,
    /// Names a figure or a detail.
    pub is_measure: bool,
}

/// The question.
pub struct Asked {
    /// What kind of thing it asks for.
    pub wanted: Wanted,
    /// Its words with a subject, each once, in order.
    pub terms: Vec<Term>,
    /// Years it names.
    pub years: Vec<u16>,
    /// Asks for what is so at the moment.
    pub is_present: bool,
    /// Asks for no less than the exact thing.
    pub is_exact: bool,
    /// Holds a word that English questions hold and those of other languages do not.
    pub is_english: bool,
}

/// One word that meets a question term.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place {
    /// The term.
    pub term: usize,
    /// How well it is met, 0 to 1.
    pub likeness: f32,
    /// The word's number within the sentence, from 0.
    pub word: usize,
}

/// One sentence of one passage.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which passage, from 0.
    pub passage: usize,
    /// Where it stands, and what it is.
    pub sentence: Sentence,
    /// Per question term: how well it is met here, 0 to 1.
    pub met: Vec<f32>,
    /// Where they are met, in order.
    pub places: Vec<Place>,
    /// What its other words look like.
    pub shapes: Shapes,
    /// What they tell of the sentence, whatever is asked for.
    pub texture: Texture,
    /// Years it names.
    pub years: Vec<u16>,
    /// Words.
    pub words: usize,
    /// Words after the first that open with a capital and meet no question term.
    pub strangers: u32,
    /// Opens with a word that points back.
    pub points_back: bool,
}

/// Everything read.
pub struct Reading {
    /// The question.
    pub asked: Asked,
    /// All sentences, passage by passage, in order.
    pub lines: Vec<Line>,
    /// Per passage: the question terms its title meets.
    pub titles: Vec<Vec<f32>>,
}

/// What is known of one written form of a word.
#[derive(Clone, Copy)]
struct Known {
    term: Option<(usize, f32)>,
    points_back: bool,
    shapes: Shapes,
    texture: Texture,
    year: Option<u16>,
}

/// Reads a question and its passages.
#[must_use]
pub fn read<'t>(question: &'t str, sources: &[Source<'t>]) -> Reading {
    let stems = Stems::default();
    let asked = ask(question, &stems);
    let mut known: HashMap<&'t str, Known> = HashMap::with_capacity(1_024);
    let mut lines = Vec::new();
    let mut titles = Vec::new();
    for (passage, source) in sources.iter().enumerate() {
        titles.push(title_terms(source.title, &asked, &stems));
        for sentence in split(source.text) {
            let text = source.text.get(sentence.bytes.clone()).unwrap_or_default();
            let mut line = Line::unread(passage, sentence, asked.terms.len());
            for (_, word) in words(text) {
                line.read(*known.entry(word).or_insert_with(|| know(word, &asked, &stems)));
            }
            lines.push(line);
        }
    }
    Reading { asked, lines, titles }
}

/// Takes a question apart.
fn ask(question: &str, stems: &Stems) -> Asked {
    let mut terms: Vec<Term> = Vec::new();
    let (mut years, mut present, mut exact, mut english) = (Vec::new(), false, false, false);
    for (index, (_, word)) in words(question).enumerate() {
        let lower = folded(word);
        years.extend(year(word));
        present |= is_present(&lower);
        exact |= is_exact(&lower);
        english |= is_english(&lower);
        if is_stop_word(&lower) {
            continue;
        }
        let stem = stems.of(base(&lower));
        let is_name = index > 0 && word.starts_with(char::is_uppercase);
        if terms.len() < TERMS_MAX && !terms.iter().any(|term| term.stem == stem) {
            let is_number = word.bytes().any(|b| b.is_ascii_digit());
            terms.push(Term {
                written: without_possessive(word).to_owned(),
                stem,
                weight: weight(&lower),
                is_name,
                is_number,
                is_measure: is_measure(&lower),
            });
        }
    }
    Asked { wanted: wanted(question), terms, years, is_present: present, is_exact: exact, is_english: english }
}

fn without_possessive(word: &str) -> &str {
    word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word)
}

fn title_terms(title: &str, asked: &Asked, stems: &Stems) -> Vec<f32> {
    let mut met = vec![0.0; asked.terms.len()];
    for (_, word) in words(title) {
        if let Some((term, likeness)) = best_term(&folded(word), asked, stems)
            && let Some(slot) = met.get_mut(term)
        {
            *slot = likeness.max(*slot);
        }
    }
    met
}

/// The question term a folded word meets best.
fn best_term(lower: &str, asked: &Asked, stems: &Stems) -> Option<(usize, f32)> {
    let base = base(lower);
    let first = base.as_bytes().first();
    // stemming never changes a first letter, and most words share none with the question
    if !asked.terms.iter().any(|term| term.stem.as_bytes().first() == first) || is_stop_word(lower) {
        return None;
    }
    let stem = stems.of(base);
    let met = asked.terms.iter().enumerate().map(|(index, term)| (index, likeness(&stem, &term.stem)));
    met.filter(|(_, likeness)| *likeness > 0.0).max_by(|one, other| one.1.total_cmp(&other.1))
}

fn know(word: &str, asked: &Asked, stems: &Stems) -> Known {
    let lower = folded(word);
    let term = best_term(&lower, asked, stems);
    let shapes = Shapes::of(word, &lower, term.is_some(), asked.wanted);
    let texture = Texture::of(word, &lower, term.is_some());
    Known { term, points_back: PRONOUNS.contains(&lower.as_str()), shapes, texture, year: year(word) }
}

impl Line {
    fn unread(passage: usize, sentence: Sentence, terms: usize) -> Self {
        Self {
            passage,
            sentence,
            met: vec![0.0; terms],
            places: Vec::new(),
            shapes: Shapes::default(),
            texture: Texture::default(),
            years: Vec::new(),
            words: 0,
            strangers: 0,
            points_back: false,
        }
    }

    fn read(&mut self, word: Known) {
        let opens = self.words == 0;
        self.points_back |= opens && word.points_back;
        self.shapes.join(if opens { word.shapes.opening() } else { word.shapes });
        self.texture.join(word.texture);
        self.years.extend(word.year);
        if !opens && word.term.is_none() {
            self.strangers += word.texture.capitals;
        }
        if let Some((term, likeness)) = word.term {
            self.places.push(Place { term, likeness, word: self.words });
            if let Some(slot) = self.met.get_mut(term) {
                *slot = likeness.max(*slot);
            }
        }
        self.words += 1;
    }

    /// True where it may be cited.
    #[must_use]
    pub fn is_statement(&self) -> bool {
        self.sentence.kind == Kind::Statement
    }
}
