//! Two rankings of the same passages made one: by their words and by their meaning. Pure.
//!
//! Per query, the scores of each arm are stretched to 0…1 and added by weight; what an arm did not find counts 0 there
//! (Bruch, Gai and Ingber, ACM TOIS 42(1), 2023). Reciprocal ranks (Cormack, Clarke and Büttcher, SIGIR 2009) are the
//! alternative: they need no scores, and lost to the sum wherever the two were compared on labelled questions.
use std::collections::BTreeMap;

pub use bailiwick_policy::dense::Fusion;

/// What keeps the first places from deciding alone where ranks are added.
const RANK_CONSTANT: f64 = 60.0;
/// The weight where none is given that is a number.
const UNSAID: f64 = 0.5;

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
    let weight = if rule.weight.is_finite() { rule.weight.clamp(0.0, 1.0) } else { UNSAID };
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

#[cfg(test)]
#[path = "fusion_tests.rs"]
mod tests;
