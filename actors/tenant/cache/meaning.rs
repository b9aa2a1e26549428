//! Pure: when the answer to one question may answer another one. Both must mean nearly the same, and every passage the
//! answer cites must have been found for the other question too, unchanged: the exit then verifies each citation against
//! passages retrieved a moment ago, as it does for a model's answer.
use super::rules::{Support, given_again, is_fit};
use crate::question::Passage;
use crate::routing::markers;
use crate::turn::{Draft, DraftContent};
use bailiwick_kernel::limits::EMBEDDING_DIMENSIONS_MAX;
use serde_json::Value;

/// What rounding takes from the similarity of two equal questions.
const ROUNDING: f64 = 1e-6;
/// Products added up side by side, so that the processor can do as many at once.
const LANES: usize = 8;

/// A question's embedding, of length 1: the cosine of two is the sum of their products.
#[derive(Clone, PartialEq, Debug)]
pub struct Vector(Box<[f32]>);

impl Vector {
    /// The vector in this direction; `None` where there is none (no numbers, too many, one that is not finite, only
    /// zeros).
    #[must_use]
    pub fn towards(numbers: &[f64]) -> Option<Self> {
        let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
        let is_direction = length.is_normal() && numbers.len() <= EMBEDDING_DIMENSIONS_MAX;
        #[expect(clippy::cast_possible_truncation, reason = "within -1 and 1: what is lost is below what models mean")]
        is_direction.then(|| Self(numbers.iter().map(|number| (number / length) as f32).collect()))
    }

    /// The one embedding in a provider's answer, in OpenAI's shape; `None` where there is none to be used.
    #[must_use]
    pub fn read(body: &Value) -> Option<Self> {
        let [one] = body.get("data")?.as_array()?.as_slice() else { return None };
        let numbers: Option<Vec<f64>> = one.get("embedding")?.as_array()?.iter().map(Value::as_f64).collect();
        Self::towards(&numbers?)
    }

    /// The cosine of the angle between two; `None` where they are of different models, which share no directions.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> Option<f64> {
        if self.0.len() != other.0.len() {
            return None;
        }
        let (ours, theirs) = (self.0.chunks_exact(LANES), other.0.chunks_exact(LANES));
        let rest = ours.remainder().iter().zip(theirs.remainder()).map(|(one, other)| one * other).sum::<f32>();
        let mut sums = [0_f32; LANES];
        for (ours, theirs) in ours.zip(theirs) {
            for (sum, (one, other)) in sums.iter_mut().zip(ours.iter().zip(theirs)) {
                *sum += one * other;
            }
        }
        Some(f64::from(sums.iter().sum::<f32>() + rest))
    }

    /// Its numbers.
    #[must_use]
    pub fn numbers(&self) -> &[f32] {
        &self.0
    }

    /// Bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len().saturating_mul(size_of::<f32>())
    }
}

/// True where two questions are as near as the tenant's rules want them.
#[must_use]
pub fn is_near(similarity: f64, min_similarity: f64) -> bool {
    similarity + ROUNDING >= min_similarity
}

/// The passages found for a question, as an answer may rest on them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ground(Vec<Support>);

impl Ground {
    /// Of passages in their order.
    #[must_use]
    pub fn of(passages: &[Passage]) -> Self {
        Self(passages.iter().map(Support::of).collect())
    }

    /// The number of a passage, from 1, where it is among them.
    fn number(&self, support: &Support) -> Option<usize> {
        Some(self.0.iter().position(|found| found == support)?.saturating_add(1))
    }

    fn get(&self, number: usize) -> Option<Support> {
        self.0.get(number.checked_sub(1)?).copied()
    }
}

/// An answer with the passages it cites.
#[derive(Clone, PartialEq, Debug)]
pub struct Recollection {
    draft: Draft,
    /// Marker → passage.
    cites: Vec<(usize, Support)>,
}

impl Recollection {
    /// Of an answer and the passages it was given on; `None` where it may not answer another question: an abstention says
    /// something about passages that another question may not have, and so does an answer that cites none.
    #[must_use]
    pub fn of(draft: &Draft, ground: &Ground) -> Option<Self> {
        let DraftContent::Grounded { text, .. } = &draft.content else { return None };
        let cites: Option<Vec<_>> = markers::cited(text, ground.0.len())
            .into_iter()
            .map(|number| Some((number, ground.get(number)?)))
            .collect();
        let cites = cites.filter(|cites| !cites.is_empty() && is_fit(draft))?;
        Some(Self { draft: draft.clone(), cites })
    }

    /// The answer as it is given to another question, its markers naming that question's passages; `None` where one it
    /// cites was not found for it.
    #[must_use]
    pub fn on(&self, ground: &Ground) -> Option<Draft> {
        let DraftContent::Grounded { text, spans } = &self.draft.content else { return None };
        let moved: Option<Vec<(usize, usize)>> =
            self.cites.iter().map(|(number, support)| Some((*number, ground.number(support)?))).collect();
        let moved = moved?;
        let to = |number: usize| moved.iter().find(|(from, _)| *from == number).map(|(_, to)| *to);
        let spans = spans.iter().filter_map(|(number, span)| Some((to(*number)?, span.clone()))).collect();
        let text = markers::renumbered(text, to);
        // a marker written in a way that was not renumbered would cite another passage
        let cited = markers::cited(&text, ground.0.len());
        if !cited.iter().eq(moved.iter().map(|(_, to)| to)) {
            return None;
        }
        Some(Draft { content: DraftContent::Grounded { text, spans }, ..given_again(&self.draft) })
    }

    /// The answer itself.
    #[must_use]
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Bytes of what it cites.
    #[must_use]
    pub fn cites_bytes(&self) -> usize {
        self.cites.len().saturating_mul(size_of::<(usize, Support)>())
    }
}
