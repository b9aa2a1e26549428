//! Two rankings of the same passages made one: by their words and by their meaning. Pure.
//!
//! Per query, the scores of each arm are stretched to 0…1 and added by weight; what an arm did not find counts 0 there
//! (Bruch, Gai and Ingber, ACM TOIS 42(1), 2023). Reciprocal ranks (Cormack, Clarke and Büttcher, SIGIR 2009) are the
//! alternative: they need no scores, and lost to the sum wherever the two were compared on labelled questions.
use bailiwick_policy::ranking::{FIRST_PAGE, ndcg};
use std::collections::BTreeMap;

pub use bailiwick_policy::dense::Fusion;

/// What keeps the first places from deciding alone where ranks are added.
const RANK_CONSTANT: f64 = 60.0;
/// A learnt weight never silences an arm.
const LEARNT_MIN: f64 = 0.2;
const LEARNT_MAX: f64 = 0.8;
/// The weight nobody has reason to move.
const UNLEARNT: f64 = 0.5;
/// Steps from the smallest learnt weight to the greatest.
const STEPS: u32 = 12;
/// So many labelled questions are as convincing as what was known before any of them.
const QUESTIONS_AS_PRIOR: f64 = 20.0;

/// A passage with the score one arm gave it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scored<Key> {
    /// Which.
    pub key: Key,
    /// The arm's own score; greater is better.
    pub score: f32,
}

/// A score that is not a finite number: no place in a ranking follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("ranking passages: the {arm} arm gave a score that is no finite number; its ranking is left out")]
pub struct NoNumber {
    /// Whose.
    pub arm: &'static str,
}

/// How two rankings become one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rule {
    /// The way.
    pub fusion: Fusion,
    /// Weight of the arm by meaning, 0 to 1; the other arm has the rest.
    pub weight: f64,
}

/// The passages of both arms, best first, each once; equal scores in the order of their keys.
///
/// # Errors
/// [`NoNumber`] where a score is not finite.
pub fn fuse<Key: Ord + Copy>(
    lexical: &[Scored<Key>],
    dense: &[Scored<Key>],
    rule: Rule,
) -> Result<Vec<Scored<Key>>, NoNumber> {
    let weight = if rule.weight.is_finite() { rule.weight.clamp(0.0, 1.0) } else { UNLEARNT };
    let mut fused: BTreeMap<Key, f64> = BTreeMap::new();
    for (arm, scored, weight) in [("lexical", lexical, 1.0 - weight), ("dense", dense, weight)] {
        for (key, points) in points(arm, scored, rule.fusion)? {
            *fused.entry(key).or_default() += weight * points;
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "between 0 and 1; what is lost orders nothing anybody could tell"
    )]
    let mut ranked: Vec<_> = fused.into_iter().map(|(key, score)| Scored { key, score: score as f32 }).collect();
    ranked.sort_by(|one, other| other.score.total_cmp(&one.score).then_with(|| one.key.cmp(&other.key)));
    Ok(ranked)
}

/// What each passage of an arm counts, 0 to 1. A passage named twice counts as what is best of it.
fn points<Key: Ord + Copy>(
    arm: &'static str,
    scored: &[Scored<Key>],
    fusion: Fusion,
) -> Result<BTreeMap<Key, f64>, NoNumber> {
    let mut best: BTreeMap<Key, f32> = BTreeMap::new();
    for Scored { key, score } in scored {
        if !score.is_finite() {
            return Err(NoNumber { arm });
        }
        best.entry(*key).and_modify(|known| *known = known.max(*score)).or_insert(*score);
    }
    Ok(match fusion {
        Fusion::MinMax => stretched(best),
        Fusion::Rrf => by_rank(best),
    })
}

/// Scores stretched so that the worst found counts 0 and the best 1. Where all are equal there is no worst: each counts 1,
/// because being found says more than not being found.
fn stretched<Key: Ord>(best: BTreeMap<Key, f32>) -> BTreeMap<Key, f64> {
    let least = best.values().copied().fold(f32::INFINITY, f32::min);
    let most = best.values().copied().fold(f32::NEG_INFINITY, f32::max);
    let span = f64::from(most) - f64::from(least);
    let stretch = |score: f32| if span > 0.0 { (f64::from(score) - f64::from(least)) / span } else { 1.0 };
    best.into_iter().map(|(key, score)| (key, stretch(score))).collect()
}

/// One over the place, from the constant on, so that the first place counts 1. Equal scores share the better place.
fn by_rank<Key: Ord + Copy>(best: BTreeMap<Key, f32>) -> BTreeMap<Key, f64> {
    let mut ranked: Vec<(Key, f32)> = best.into_iter().collect();
    ranked.sort_by(|(a, one), (b, other)| other.total_cmp(one).then_with(|| a.cmp(b)));
    let (mut points, mut before) = (BTreeMap::new(), None);
    for (rank, (key, score)) in (0_u32..).zip(ranked) {
        let place = match before {
            Some((place, equal)) if equal == score => place,
            _ => rank,
        };
        before = Some((place, score));
        points.insert(key, (RANK_CONSTANT + 1.0) / (RANK_CONSTANT + 1.0 + f64::from(place)));
    }
    points
}

/// A question of which it is known which documents answer it, with what each arm found for it. Keys are documents' names.
#[derive(Clone, PartialEq, Debug)]
pub struct Labelled<'a> {
    /// Found by words.
    pub lexical: Vec<Scored<&'a str>>,
    /// Found by meaning.
    pub dense: Vec<Scored<&'a str>>,
    /// What should be found.
    pub relevant: Vec<String>,
}

/// The weight of the arm by meaning that ranks labelled questions best (mean nDCG@10, by the stretched sum), between 0.2 and
/// 0.8 and as near to one half as the number of questions says: a handful moves it a little. One half where nothing is
/// labelled, where every weight ranks alike, or where the best are equally far from it.
#[must_use]
pub fn learn_weight(questions: &[Labelled<'_>]) -> f64 {
    let mut best: Option<(f64, f64)> = None;
    let mut judged = 0_u32;
    for step in 0..=STEPS {
        let weight = LEARNT_MIN + (LEARNT_MAX - LEARNT_MIN) * f64::from(step) / f64::from(STEPS);
        let gains: Vec<f64> = questions.iter().filter_map(|question| gain(question, weight)).collect();
        judged = u32::try_from(gains.len()).unwrap_or(u32::MAX);
        let mean = gains.iter().sum::<f64>() / f64::from(judged.max(1));
        let is_better = best.is_none_or(|(known, at)| {
            mean > known + 1e-12 || ((mean - known).abs() <= 1e-12 && from_half(weight) < from_half(at))
        });
        if is_better {
            best = Some((mean, weight));
        }
    }
    let best = best.map_or(UNLEARNT, |(_, weight)| weight);
    let trust = f64::from(judged) / (f64::from(judged) + QUESTIONS_AS_PRIOR);
    UNLEARNT + (best - UNLEARNT) * trust
}

fn from_half(weight: f64) -> f64 {
    (weight - UNLEARNT).abs()
}

fn gain(question: &Labelled<'_>, weight: f64) -> Option<f64> {
    let fused = fuse(&question.lexical, &question.dense, Rule { fusion: Fusion::MinMax, weight }).ok()?;
    let found: Vec<&str> = fused.iter().map(|scored| scored.key).collect();
    ndcg(&found, &question.relevant, FIRST_PAGE)
}

#[cfg(test)]
#[path = "fusion_tests.rs"]
mod tests;
