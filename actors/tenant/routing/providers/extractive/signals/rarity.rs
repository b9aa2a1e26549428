//! What rare words tell: that a passage lacks a common word of the question proves little, that it lacks a rare one much. How
//! rare a word is follows from its rank among the 8,000 most frequent of English (`frequent_words.txt`, the first of the list
//! `english_wikipedia` of zxcvbn 4, MIT), because a tenant's own corpus may be too small to tell. Pure.
use super::super::words::{Stems, base};
use super::{Seen, Signals, largest, one_if};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Ranks of stems, from 1.
static RANKS: LazyLock<HashMap<String, u16>> = LazyLock::new(|| {
    let stems = Stems::default();
    let mut ranks = HashMap::new();
    for (word, rank) in include_str!("frequent_words.txt").lines().zip(1..) {
        ranks.entry(stems.of(base(word))).or_insert(rank);
    }
    ranks
});

/// Rank of a word that is not listed.
const UNLISTED_RANK: f32 = 12_000.0;
/// The least a word counts, and the power of ten of the rank from which on it counts more.
const RARITY_MIN: f32 = 0.2;
const FREQUENT_RANK_LOG10: f32 = 1.0;
/// BM25 as usual: how soon more of a word counts no more, and how much length counts.
const K1: f32 = 1.2;
const B: f32 = 0.75;

fn rarity(stem: &str) -> f32 {
    let rank = RANKS.get(stem).map_or(UNLISTED_RANK, |rank| f32::from(*rank));
    (rank.log10() - FREQUENT_RANK_LOG10).max(RARITY_MIN)
}

/// The largest and the one after it.
fn first_two(values: impl Iterator<Item = f32>) -> (f32, f32) {
    values.fold(
        (0.0, 0.0),
        |(first, second), value| {
            if value > first { (value, first) } else { (first, second.max(value)) }
        },
    )
}

impl Seen<'_> {
    pub(super) fn rarities(&self, signals: &mut Signals) {
        let rarities: Vec<f32> = self.terms.iter().map(|term| rarity(&term.stem)).collect();
        let whole: f32 = rarities.iter().sum();
        // without a word that carries a subject all of the question is met
        let share = |met: &[f32]| {
            let got: f32 = rarities.iter().zip(met).map(|(rarity, met)| rarity * met).sum();
            if whole > 0.0 { got / whole } else { 1.0 }
        };
        let missing = |met: &[f32]| -> Vec<f32> {
            rarities.iter().zip(met).filter(|(_, met)| **met <= 0.0).map(|(rarity, _)| *rarity).collect()
        };
        (signals.rare_passage, signals.rare_passage_next) = first_two(self.passages.iter().map(|met| share(met)));
        signals.rare_anywhere = share(&self.anywhere);
        let lines = self.reading.lines.iter();
        (signals.rare_sentence, signals.rare_sentence_next) = first_two(lines.map(|line| share(&line.met)));
        let nowhere = missing(&self.anywhere);
        signals.missing_rarest = largest(nowhere.iter().copied());
        signals.missing_rare = nowhere.iter().sum();
        let best = self.passages.iter().max_by(|one, other| share(one).total_cmp(&share(other)));
        let best = best.map_or(&[][..], Vec::as_slice);
        let lacking = missing(best);
        signals.missing_rarest_passage = largest(lacking.iter().copied());
        signals.missing_rare_passage = lacking.iter().sum();
        let once = |term: usize| {
            let meets = |met: &&Vec<f32>| met.get(term).is_some_and(|met| *met > 0.0);
            one_if(self.passages.iter().filter(meets).count() == 1)
        };
        let once: Vec<f32> = (0..rarities.len()).map(once).collect();
        signals.rare_once = share(&once);
        let once_best = once.iter().zip(best).map(|(once, met)| if *met > 0.0 { *once } else { 0.0 });
        signals.rare_once_passage = share(&once_best.collect::<Vec<_>>());
        let (first, second) = first_two(self.scores(&rarities).into_iter());
        signals.scored = if whole > 0.0 { first / whole } else { 0.0 };
        signals.scored_next = if first > 0.0 { second / first } else { 0.0 };
        signals.rarity = whole;
        signals.rarity_mean = whole / rarities.len().max(1) as f32;
        let words: usize = self.reading.lines.iter().map(|line| line.words).sum();
        let strangers: u32 = self.reading.lines.iter().map(|line| line.strangers).sum();
        signals.strangers = strangers as f32 / words.max(1) as f32;
    }

    /// Per passage: its score as BM25 counts (Robertson and Zaragoza 2009), a rarity where a corpus would say how rare.
    fn scores(&self, rarities: &[f32]) -> Vec<f32> {
        let mut counts = vec![vec![0.0_f32; rarities.len()]; self.passages.len()];
        let mut words = vec![0.0_f32; self.passages.len()];
        for (count, title) in counts.iter_mut().zip(&self.reading.titles) {
            count.iter_mut().zip(title).for_each(|(count, met)| *count += met);
        }
        for line in &self.reading.lines {
            let (Some(count), Some(length)) = (counts.get_mut(line.passage), words.get_mut(line.passage)) else {
                continue;
            };
            *length += line.words as f32;
            for place in &line.places {
                if let Some(count) = count.get_mut(place.term) {
                    *count += place.likeness;
                }
            }
        }
        let mean = (words.iter().sum::<f32>() / words.len().max(1) as f32).max(1.0);
        let score = |(count, words): (&Vec<f32>, &f32)| {
            let long = K1 * (1.0 - B + B * words / mean);
            count.iter().zip(rarities).map(|(count, rarity)| rarity * count * (K1 + 1.0) / (count + long)).sum()
        };
        counts.iter().zip(&words).map(score).collect()
    }
}
