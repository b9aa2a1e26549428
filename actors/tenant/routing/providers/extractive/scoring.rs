//! Scores each sentence as the answer of a question: a weighted sum of what speaks for it. Pure.
use super::cues::Wanted;
use super::reading::{Line, Reading, Source};
use super::sentences::Kind;

/// Words between two words that still stand together.
const TOGETHER_WORDS: usize = 4;
/// Words between the first and the last of what stands close.
const CLOSE_WORDS: usize = 10;

/// What speaks for one sentence as the answer. Shares are of the question's terms found anywhere in the passages, each
/// weighed by its rarity, and lie between 0 and 1.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Evidence {
    /// Share of the terms met in the sentence.
    pub coverage: f32,
    /// Share of neighbouring terms that stand together here too.
    pub pairs: f32,
    /// Largest share of the terms within a few words.
    pub close: f32,
    /// Share the sentence before adds.
    pub before: f32,
    /// The same, where this sentence points back to it.
    pub pointed_at: f32,
    /// The same, where the sentence before is a heading or a question.
    pub announced: f32,
    /// Share the sentence after adds.
    pub after: f32,
    /// Share of the terms met in the passage.
    pub passage: f32,
    /// Share the document's title adds to the passage.
    pub title: f32,
    /// Retrieval score beside the best one.
    pub retrieved: f32,
    /// 1 in the best passage.
    pub top: f32,
    /// 1 where it holds the kind of thing asked for, the question's kind saying how much that proves.
    pub offers: f32,
}

/// What each piece of evidence weighs.
struct Weights {
    base: Evidence,
    person: f32,
    date: f32,
    place: f32,
    number: f32,
    reason: f32,
}

/// Fitted (multinomial logistic regression over the sentences of one question) on one half of the articles of XQuAD-en,
/// checked on the other half, and rounded. `announced` is set by hand: encyclopaedias have no lists of questions.
const WEIGHTS: Weights = Weights {
    base: Evidence {
        coverage: 4.5,
        pairs: 0.6,
        close: 2.5,
        before: 2.2,
        pointed_at: 0.8,
        announced: 5.0,
        after: 0.5,
        passage: 1.4,
        title: 0.6,
        retrieved: 4.0,
        top: 0.7,
        offers: 1.0,
    },
    person: 1.8,
    date: 1.5,
    place: 0.3,
    number: 2.2,
    reason: 0.8,
};

impl Evidence {
    /// The evidence as one figure; larger is better.
    #[must_use]
    pub fn score(&self, wanted: Wanted) -> f32 {
        let weights = &WEIGHTS.base;
        weights.coverage * self.coverage
            + weights.pairs * self.pairs
            + weights.close * self.close
            + weights.before * self.before
            + weights.pointed_at * self.pointed_at
            + weights.announced * self.announced
            + weights.after * self.after
            + weights.passage * self.passage
            + weights.title * self.title
            + weights.retrieved * self.retrieved
            + weights.top * self.top
            + WEIGHTS.offers(wanted) * self.offers
    }
}

impl Weights {
    fn offers(&self, wanted: Wanted) -> f32 {
        match wanted {
            Wanted::Person => self.person,
            Wanted::Date => self.date,
            Wanted::Place => self.place,
            Wanted::Number => self.number,
            Wanted::Reason => self.reason,
            Wanted::Manner | Wanted::Verdict | Wanted::Thing => 0.0,
        }
    }
}

/// How telling each question term is among the sentences read: its own weight by its inverse sentence frequency.
#[must_use]
pub fn rarities(reading: &Reading) -> Vec<f32> {
    let all = reading.lines.len() as f32;
    let mut holding = vec![0.0_f32; reading.asked.terms.len()];
    for line in &reading.lines {
        for (slot, met) in holding.iter_mut().zip(&line.met) {
            *slot += met;
        }
    }
    let terms = reading.asked.terms.iter().zip(&holding);
    terms.map(|(term, held)| term.weight * (1.0 + (all - held + 0.5).max(0.5) / (held + 0.5)).ln()).collect()
}

/// What a scorer knows before it looks at a sentence.
struct Measure<'r> {
    rarities: Vec<f32>,
    /// Rarity of all terms met anywhere.
    whole: f32,
    /// The same of neighbouring terms.
    whole_pairs: f32,
    /// Per passage: how well each term is met.
    passages: Vec<Vec<f32>>,
    score_top: f32,
    reading: &'r Reading,
}

/// The evidence for each sentence read, in the same order.
#[must_use]
pub fn evidence(reading: &Reading, sources: &[Source<'_>]) -> Vec<Evidence> {
    let measure = Measure::of(reading, sources);
    let neighbour = |at: Option<usize>, line: &Line| {
        at.and_then(|at| reading.lines.get(at)).filter(|other| other.passage == line.passage)
    };
    let lines = reading.lines.iter().enumerate();
    lines
        .map(|(at, line)| {
            let before = neighbour(at.checked_sub(1), line);
            let after = neighbour(at.checked_add(1), line);
            let score = sources.get(line.passage).map_or(0.0, finite_score);
            measure.evidence(line, before, after, score)
        })
        .collect()
}

impl<'r> Measure<'r> {
    fn of(reading: &'r Reading, sources: &[Source<'_>]) -> Self {
        let rarities = rarities(reading);
        let mut passages = vec![vec![0.0_f32; rarities.len()]; sources.len()];
        for line in &reading.lines {
            for (slot, met) in passages.get_mut(line.passage).into_iter().flatten().zip(&line.met) {
                *slot = met.max(*slot);
            }
        }
        let seen = |term: usize| passages.iter().any(|met| met.get(term).is_some_and(|met| *met > 0.0));
        let found: Vec<f32> =
            rarities.iter().enumerate().map(|(term, rarity)| if seen(term) { *rarity } else { 0.0 }).collect();
        let pairs = found.iter().zip(found.iter().skip(1));
        Self {
            whole: found.iter().sum::<f32>().max(f32::EPSILON),
            whole_pairs: pairs.map(|(one, other)| one.min(*other)).sum::<f32>().max(f32::EPSILON),
            score_top: sources.iter().map(finite_score).fold(f32::EPSILON, f32::max),
            rarities,
            passages,
            reading,
        }
    }

    fn evidence(&self, line: &Line, before: Option<&Line>, after: Option<&Line>, score: f32) -> Evidence {
        let empty = Vec::new();
        let passage = self.passages.get(line.passage).unwrap_or(&empty);
        let title = self.reading.titles.get(line.passage).unwrap_or(&empty);
        let gained = before.map_or(0.0, |before| self.gain(&before.met, &line.met));
        let is_announced = before.is_some_and(|before| before.sentence.kind != Kind::Statement);
        Evidence {
            coverage: self.share(line.met.iter().copied()),
            pairs: self.pairs(line),
            close: self.close(line),
            before: gained,
            pointed_at: if line.points_back { gained } else { 0.0 },
            announced: if is_announced { gained } else { 0.0 },
            after: after.map_or(0.0, |after| self.gain(&after.met, &line.met)),
            passage: self.share(passage.iter().copied()),
            title: self.gain(title, passage),
            retrieved: (score / self.score_top).clamp(0.0, 1.0),
            top: one_if(line.passage == 0),
            offers: one_if(line.shapes.offers(self.reading.asked.wanted)),
        }
    }

    /// Share of the terms met.
    fn share(&self, met: impl Iterator<Item = f32>) -> f32 {
        self.rarities.iter().zip(met).map(|(rarity, met)| rarity * met).sum::<f32>() / self.whole
    }

    /// Share of the terms that `more` meets better than `met`.
    fn gain(&self, more: &[f32], met: &[f32]) -> f32 {
        self.share(more.iter().zip(met).map(|(more, met)| (more - met).max(0.0)))
    }

    /// Share of the question's neighbouring terms that stand together in the sentence.
    fn pairs(&self, line: &Line) -> f32 {
        let mut together = vec![false; self.rarities.len()];
        for (at, one) in line.places.iter().enumerate() {
            let near = line.places.iter().skip(at + 1).take_while(|other| other.word <= one.word + TOGETHER_WORDS);
            for other in near.filter(|other| other.term.abs_diff(one.term) == 1) {
                if let Some(slot) = together.get_mut(one.term.min(other.term)) {
                    *slot = true;
                }
            }
        }
        let pairs = self.rarities.iter().zip(self.rarities.iter().skip(1)).zip(together);
        pairs.filter(|(_, together)| *together).map(|((one, other), _)| one.min(*other)).sum::<f32>() / self.whole_pairs
    }

    /// Largest share of the terms within a few words.
    fn close(&self, line: &Line) -> f32 {
        let mut most = 0.0_f32;
        let mut met = vec![0.0_f32; self.rarities.len()];
        for (at, one) in line.places.iter().enumerate() {
            met.fill(0.0);
            for place in line.places.iter().skip(at).take_while(|place| place.word <= one.word + CLOSE_WORDS) {
                if let Some(slot) = met.get_mut(place.term) {
                    *slot = place.likeness.max(*slot);
                }
            }
            most = most.max(self.share(met.iter().copied()));
        }
        most
    }
}

fn finite_score(source: &Source<'_>) -> f32 {
    if source.score.is_finite() { source.score } else { 0.0 }
}

fn one_if(true_here: bool) -> f32 {
    if true_here { 1.0 } else { 0.0 }
}
