//! Which sentences make an answer: the one that answers best, those that add what it leaves open, one from elsewhere that
//! says otherwise, and as many origins as are asked for. Pure.
use super::reading::{Line, Reading, Source};
use super::scoring::rarities;
use super::words::{folded, words};
use std::collections::BTreeSet;

/// Sentences of an answer, at most: the one that answers and what it leaves open.
pub const SENTENCES_MAX: usize = 3;
/// A further sentence must meet at least this share of the question that is still open.
const FURTHER_SHARE_MIN: f32 = 0.2;
/// A further sentence must be at least this good beside the first.
const FURTHER_SCORE_MIN: f32 = 0.6;
/// One that says otherwise must be at least this good beside the first: it has to be about the same.
const OTHERWISE_SCORE_MIN: f32 = 0.75;
/// One that is there because more origins are asked for must be at least this good beside the first.
const ORIGIN_SCORE_MIN: f32 = 0.5;
/// Sentences that share this much of their words repeat one another.
const REPEATED_SHARE: f32 = 0.75;

/// What an answer has to be like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Most characters of it.
    pub chars_max: usize,
    /// Origins it rests on at least, as far as there are any.
    pub origins_min: usize,
}

/// Sentences chosen so far, and all there are.
struct Choice<'r, 't> {
    reading: &'r Reading,
    sources: &'r [Source<'t>],
    scores: &'r [f32],
    chosen: Vec<usize>,
}

/// The lines of the answer: the best one first, the others in the order they were read in.
pub fn chosen(reading: &Reading, sources: &[Source<'_>], scores: &[f32], best: usize, shape: Shape) -> Vec<usize> {
    let mut choice = Choice { reading, sources, scores, chosen: vec![best] };
    choice.add_what_is_open();
    if choice.chosen.len() < SENTENCES_MAX {
        let otherwise = choice.best_elsewhere(OTHERWISE_SCORE_MIN, |line| choice.says_otherwise(line));
        choice.chosen.extend(otherwise);
    }
    while choice.origins().len() < shape.origins_min {
        let Some(more) = choice.best_elsewhere(ORIGIN_SCORE_MIN, |_| true) else { break };
        choice.chosen.push(more);
    }
    if let Some(rest) = choice.chosen.get_mut(1..) {
        rest.sort_unstable();
    }
    choice.chosen
}

impl Choice<'_, '_> {
    fn add_what_is_open(&mut self) {
        let rarities = rarities(self.reading);
        let whole = rarities.iter().sum::<f32>().max(f32::EPSILON);
        let mut met = vec![0.0_f32; rarities.len()];
        while let Some(line) = self.chosen.last().and_then(|at| self.reading.lines.get(*at)) {
            if self.chosen.len() == SENTENCES_MAX {
                return;
            }
            met = met.iter().zip(&line.met).map(|(one, other)| one.max(*other)).collect();
            let gain = |line: &Line| {
                let gains = line.met.iter().zip(&met).zip(&rarities);
                gains.map(|((more, met), rarity)| (more - met).max(0.0) * rarity).sum::<f32>() / whole
            };
            let open = self.open(FURTHER_SCORE_MIN).map(|(at, line, _)| (at, gain(line)));
            let Some(next) = largest(open.filter(|(_, gain)| *gain >= FURTHER_SHARE_MIN)) else { return };
            self.chosen.push(next);
        }
    }

    /// Statements that are good enough beside the best and repeat nothing that was chosen.
    fn open(&self, share: f32) -> impl Iterator<Item = (usize, &Line, f32)> + '_ {
        let least = self.chosen.first().and_then(|best| self.scores.get(*best)).map_or(0.0, |score| score * share);
        let lines = self.reading.lines.iter().zip(self.scores).enumerate();
        lines
            .filter(move |(at, (line, score))| {
                line.is_statement() && **score >= least && !self.chosen.contains(at) && !self.repeats(line)
            })
            .map(|(at, (line, score))| (at, line, *score))
    }

    /// The best statement of an origin nothing was chosen from yet.
    fn best_elsewhere(&self, share: f32, counts: impl Fn(&Line) -> bool) -> Option<usize> {
        let known = self.origins();
        let elsewhere = |line: &Line| self.origin(line).is_some_and(|origin| !known.contains(&origin));
        let open = self.open(share).filter(|(_, line, _)| elsewhere(line) && counts(line));
        largest(open.map(|(at, _, score)| (at, score)))
    }

    /// True where a line offers what is asked for and says it with other numbers than the best one, or denies it where
    /// the best one does not: whoever asks has to see both.
    fn says_otherwise(&self, line: &Line) -> bool {
        let Some(best) = self.chosen.first().and_then(|best| self.reading.lines.get(*best)) else { return false };
        let asked = self.reading.asked.wanted;
        let differs =
            self.numbers(best) != self.numbers(line) && best.texture.new_digits > 0 && line.texture.new_digits > 0;
        let denies = (best.texture.denials == 0) != (line.texture.denials == 0);
        line.shapes.offers(asked) && (differs || denies)
    }

    fn numbers(&self, line: &Line) -> BTreeSet<&str> {
        words(self.text(line))
            .map(|(_, word)| word)
            .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .collect()
    }

    fn origins(&self) -> BTreeSet<usize> {
        let lines = self.chosen.iter().filter_map(|at| self.reading.lines.get(*at));
        lines.filter_map(|line| self.origin(line)).collect()
    }

    fn origin(&self, line: &Line) -> Option<usize> {
        self.sources.get(line.passage).map(|source| source.origin)
    }

    fn text(&self, line: &Line) -> &str {
        self.sources
            .get(line.passage)
            .and_then(|source| source.text.get(line.sentence.bytes.clone()))
            .unwrap_or_default()
    }

    fn repeats(&self, line: &Line) -> bool {
        let own = word_set(self.text(line));
        let chosen = self.chosen.iter().filter_map(|at| self.reading.lines.get(*at));
        chosen.map(|other| word_set(self.text(other))).any(|other| {
            let shared = own.intersection(&other).count() as f32;
            shared >= REPEATED_SHARE * own.union(&other).count() as f32
        })
    }
}

fn word_set(text: &str) -> BTreeSet<String> {
    words(text).map(|(_, word)| folded(word)).collect()
}

/// The place of the largest value; the earlier one where two are equal.
fn largest(values: impl Iterator<Item = (usize, f32)>) -> Option<usize> {
    values.max_by(|(at, one), (other_at, other)| one.total_cmp(other).then(other_at.cmp(at))).map(|(at, _)| at)
}
