//! The weight of the search by meaning, learnt from questions of which it is known what answers them. Pure.
//!
//! A weight is taken over only where it ranks questions better that it was not learnt from, and not worse than words alone:
//! each fifth of the questions is ranked with what the other four fifths say.
use super::fusion::{Fusion, Rule, Scored, fuse};
use bailiwick_kernel::limits::TOP_K_MAX;
use bailiwick_policy::digest::place;
use bailiwick_policy::ranking::{FIRST_PAGE, documents, ndcg};

/// With fewer labelled questions the policy's weight stays.
pub const LABELS_MIN: usize = 30;
/// A learnt weight never silences an arm.
const LEARNT_MIN: f64 = 0.2;
const LEARNT_MAX: f64 = 0.8;
/// Steps from the smallest learnt weight to the greatest.
const STEPS: u32 = 12;
/// So many labelled questions are as convincing as what the policy says.
const QUESTIONS_AS_PRIOR: f64 = 20.0;
/// Parts the questions are divided into to be ranked by what the others say.
const FOLDS: u32 = 5;
/// Far below what one question's rank changes.
const TOLERANCE: f64 = 1e-9;
const BY_WORDS: Rule = Rule { fusion: Fusion::MinMax, weight: 0.0 };

/// A question of which it is known which documents answer it, with what each arm found for it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Labelled {
    /// The question.
    pub question: String,
    /// The document of each passage that was found; arms name passages by their place here.
    pub documents: Vec<String>,
    /// Found by words.
    pub lexical: Vec<Scored<u32>>,
    /// Found by meaning.
    pub dense: Vec<Scored<u32>>,
    /// What should be found.
    pub relevant: Vec<String>,
}

impl Labelled {
    /// As a search would show it: what stands behind its last passage is seen by nobody.
    fn gain_of(&self, ranked: &[Scored<u32>]) -> Option<f64> {
        let document = |scored: &Scored<u32>| {
            usize::try_from(scored.key).ok().and_then(|at| self.documents.get(at)).map(String::as_str)
        };
        let shown = ranked.iter().take(TOP_K_MAX);
        ndcg(&documents(shown.filter_map(document)), &self.relevant, FIRST_PAGE)
    }

    /// nDCG@10 of what both arms come to; nothing where nothing is known of the question, or an arm gave no number.
    #[must_use]
    pub fn gain(&self, rule: Rule) -> Option<f64> {
        self.gain_of(&fuse(&self.lexical, &self.dense, rule).ok()?)
    }

    /// The same of the arm by words alone.
    #[must_use]
    pub fn gain_by_words(&self) -> Option<f64> {
        self.gain_of(&fuse(&self.lexical, &[], BY_WORDS).ok()?)
    }

    fn fold(&self) -> u32 {
        place(&["fold", &self.question], FOLDS)
    }
}

/// What labelled questions say about the weight. Figures are means over all of them, each ranked by what the others say.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Lesson {
    /// The weight to be used; nothing where the policy's stays.
    pub weight: Option<f64>,
    /// Questions that can be judged.
    pub questions: u32,
    /// nDCG@10 with weights learnt from other questions.
    pub learnt: f64,
    /// With the policy's weight.
    pub policy: f64,
    /// By words alone.
    pub lexical: f64,
}

/// The weight of the arm by meaning that ranks labelled questions best (mean nDCG@10), between 0.2 and 0.8, and as near to the
/// policy's as the number of questions says: a handful moves it a little. The policy's where nothing is labelled, or no weight
/// ranks better.
#[must_use]
pub fn learn_weight<'a>(questions: impl Iterator<Item = &'a Labelled> + Clone, policy: Rule) -> f64 {
    let mean = |weight: f64| mean(questions.clone().filter_map(|question| question.gain(Rule { weight, ..policy })));
    let (mut best, mut judged) = (mean(policy.weight), 0.0);
    let mut at = policy.weight;
    for step in 0..=STEPS {
        let weight = LEARNT_MIN + (LEARNT_MAX - LEARNT_MIN) * f64::from(step) / f64::from(STEPS);
        let found = mean(weight);
        judged = found.1;
        let is_alike = (found.0 - best.0).abs() <= TOLERANCE;
        let is_nearer = (weight - policy.weight).abs() < (at - policy.weight).abs();
        if found.0 > best.0 + TOLERANCE || (is_alike && is_nearer) {
            (best, at) = (found, weight);
        }
    }
    policy.weight + (at - policy.weight) * judged / (judged + QUESTIONS_AS_PRIOR)
}

/// The mean of gains, and how many there are.
fn mean(gains: impl Iterator<Item = f64>) -> (f64, f64) {
    let (sum, count) = gains.fold((0.0, 0.0), |(sum, count), gain| (sum + gain, count + 1.0));
    (if count > 0.0 { sum / count } else { 0.0 }, count)
}

/// What labelled questions say about a policy's weight.
#[must_use]
pub fn lesson(questions: &[Labelled], policy: Rule) -> Lesson {
    let judged: Vec<&Labelled> = questions.iter().filter(|question| question.gain(policy).is_some()).collect();
    let by_others: Vec<f64> = (0..FOLDS)
        .map(|fold| learn_weight(judged.iter().copied().filter(|question| question.fold() != fold), policy))
        .collect();
    let held_out = |question: &&Labelled| {
        let weight = usize::try_from(question.fold()).ok().and_then(|fold| by_others.get(fold)).copied();
        question.gain(Rule { weight: weight.unwrap_or(policy.weight), ..policy })
    };
    let learnt = mean(judged.iter().filter_map(held_out)).0;
    let by_policy = mean(judged.iter().filter_map(|question| question.gain(policy))).0;
    let lexical = mean(judged.iter().filter_map(|question| question.gain_by_words())).0;
    let is_better = learnt > by_policy + TOLERANCE && learnt >= lexical - TOLERANCE;
    let is_wanted = judged.len() >= LABELS_MIN && is_better;
    Lesson {
        weight: is_wanted.then(|| learn_weight(judged.iter().copied(), policy)),
        questions: u32::try_from(judged.len()).unwrap_or(u32::MAX),
        learnt,
        policy: by_policy,
        lexical,
    }
}

#[cfg(test)]
#[path = "weights_tests.rs"]
mod tests;
