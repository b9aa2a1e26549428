//! What a store outside is asked, and what of its answer is taken: pure. Who may be found stands inside the question, and is held
//! against the answer all the same.

/// Points one question names, at most.
pub const IDS_MAX: usize = 10_000;
/// Questions one search is made of, at most.
pub const QUESTIONS_MAX: usize = 8;
/// How far rounding may take a cosine out of its bounds.
const ROUNDING: f64 = 1e-3;
/// Bytes of one request that brings points, about.
const REQUEST_BYTES: usize = 4 << 20;
/// Bytes of a number as it is written, about.
const NUMBER_BYTES: usize = 14;
/// Points brought by one request, at most.
const POINTS_MAX: usize = 256;
/// The wait after a failure, doubled with each one after it …
const WAIT_MS: u64 = 1_000;
/// … up to this.
const WAIT_MS_MAX: u64 = 60_000;

/// Which points may come back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    /// These alone.
    These(Vec<u64>),
    /// Any but these.
    AllBut(Vec<u64>),
}

/// A point an answer names.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hit {
    /// Which; nothing where its name is no number.
    pub id: Option<u64>,
    /// How near the store says it is.
    pub score: f64,
}

/// Both sides of what may be found are too many to be named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{admitted} passages may be found and {others} may not: more than can be named in one search")]
pub struct TooMany {
    /// Points that may come back.
    pub admitted: usize,
    /// Points that may not.
    pub others: usize,
}

/// The questions that find among the admitted and nowhere else, by naming the smaller side. None where nothing is admitted.
///
/// # Errors
/// [`TooMany`].
pub fn filters(admitted: &[u64], others: &[u64]) -> Result<Vec<Filter>, TooMany> {
    if admitted.is_empty() {
        return Ok(Vec::new());
    }
    if others.len() <= admitted.len().min(IDS_MAX) {
        return Ok(vec![Filter::AllBut(others.to_vec())]);
    }
    if admitted.len() <= IDS_MAX.saturating_mul(QUESTIONS_MAX) {
        return Ok(admitted.chunks(IDS_MAX).map(|ids| Filter::These(ids.to_vec())).collect());
    }
    Err(TooMany { admitted: admitted.len(), others: others.len() })
}

/// Why nothing of an answer is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// More than was asked for.
    #[error("it named more points than were asked for")]
    TooMany,
    /// A point that may not be found, or that is nobody's.
    #[error("it named a point that was not among those asked for")]
    Foreign,
    /// The same point more than once.
    #[error("it named a point twice")]
    Twice,
    /// A nearness there is not.
    #[error("it gave a point a nearness that no cosine has")]
    Score,
    /// Nothing, where something lies.
    #[error("it found nothing where points were put")]
    Nothing,
}

/// The points an answer names, where every one of them may be found. `admitted` is in order.
///
/// # Errors
/// [`Unfit`]: then none of it is taken.
pub fn taken(hits: &[Hit], admitted: &[u64], most: usize) -> Result<Vec<u64>, Unfit> {
    if hits.is_empty() && !admitted.is_empty() && most > 0 {
        return Err(Unfit::Nothing);
    }
    if hits.len() > most {
        return Err(Unfit::TooMany);
    }
    let mut ids = Vec::with_capacity(hits.len());
    for hit in hits {
        if !hit.score.is_finite() || hit.score.abs() > 1.0 + ROUNDING {
            return Err(Unfit::Score);
        }
        ids.push(hit.id.filter(|id| admitted.binary_search(id).is_ok()).ok_or(Unfit::Foreign)?);
    }
    ids.sort_unstable();
    let is_twice = ids.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
    if is_twice { Err(Unfit::Twice) } else { Ok(ids) }
}

/// Points of so many numbers that one request brings.
#[must_use]
pub fn points_at_once(dimensions: usize) -> usize {
    let bytes = dimensions.max(1).saturating_mul(NUMBER_BYTES);
    REQUEST_BYTES.checked_div(bytes).unwrap_or(1).clamp(1, POINTS_MAX)
}

/// Milliseconds until it is tried again after so many failures.
#[must_use]
pub fn wait_ms(failures: u32) -> u64 {
    WAIT_MS.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(WAIT_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(range: std::ops::Range<u64>) -> Vec<u64> {
        range.collect()
    }

    fn hit(id: u64, score: f64) -> Hit {
        Hit { id: Some(id), score }
    }

    #[test]
    fn the_smaller_side_is_named() {
        assert_eq!(filters(&[], &[1, 2]), Ok(vec![]));
        assert_eq!(filters(&[1, 2], &[]), Ok(vec![Filter::AllBut(vec![])]));
        assert_eq!(filters(&[1, 2, 3], &[4]), Ok(vec![Filter::AllBut(vec![4])]));
        assert_eq!(filters(&[4], &[1, 2, 3]), Ok(vec![Filter::These(vec![4])]));
    }

    #[test]
    fn no_question_names_more_than_it_may_and_where_that_is_too_little_none_is_asked() {
        let (few, many) = (ids(0..10_000), ids(20_000..31_001));
        assert_eq!(filters(&many, &few), Ok(vec![Filter::AllBut(few.clone())]));
        let both = filters(&many, &ids(40_000..60_000)).unwrap();
        assert_eq!(both, [Filter::These(ids(20_000..30_000)), Filter::These(ids(30_000..31_001))]);
        let (admitted, others) = (ids(0..80_001), ids(100_000..200_000));
        assert_eq!(filters(&admitted, &others), Err(TooMany { admitted: 80_001, others: 100_000 }));
        assert_eq!(filters(&ids(0..80_000), &others).unwrap().len(), QUESTIONS_MAX);
    }

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        let admitted = [3, 5, 9];
        assert_eq!(taken(&[hit(9, 0.4), hit(3, -1.0)], &admitted, 3), Ok(vec![3, 9]));
        assert_eq!(taken(&[], &[], 3), Ok(vec![]));
        for (hits, unfit) in [
            (vec![hit(3, 0.4), hit(4, 0.3)], Unfit::Foreign),
            (vec![hit(3, 0.4), Hit { id: None, score: 0.3 }], Unfit::Foreign),
            (vec![hit(3, 0.4), hit(3, 0.4)], Unfit::Twice),
            (vec![hit(3, f64::NAN)], Unfit::Score),
            (vec![hit(3, f64::INFINITY)], Unfit::Score),
            (vec![hit(3, 1.01)], Unfit::Score),
            (vec![hit(3, -1.01)], Unfit::Score),
            (vec![hit(3, 0.1), hit(5, 0.1), hit(9, 0.1), hit(9, 0.1)], Unfit::TooMany),
            (vec![], Unfit::Nothing),
        ] {
            assert_eq!(taken(&hits, &admitted, 3), Err(unfit), "{hits:?}");
        }
    }

    #[test]
    fn a_request_stays_within_its_bytes() {
        assert_eq!(points_at_once(1), POINTS_MAX);
        assert_eq!(points_at_once(384), POINTS_MAX);
        assert_eq!(points_at_once(8_192), 36);
        assert_eq!(points_at_once(usize::MAX), 1);
    }

    #[test]
    fn what_fails_is_tried_ever_more_seldom() {
        assert_eq!([1, 2, 3, 40].map(wait_ms), [1_000, 2_000, 4_000, WAIT_MS_MAX]);
    }

    proptest! {
        /// Whatever a store holds and answers: the filters let nothing through that may not be found, and nothing else is taken.
        #[test]
        fn nothing_is_found_that_may_not_be(
            points in prop::collection::btree_map(0_u64..60, any::<bool>(), 0..40),
            answer in prop::collection::vec((0_u64..80, -1.0_f64..1.0), 0..12),
        ) {
            let (admitted, others): (Vec<u64>, Vec<u64>) = {
                let of = |wanted: bool| points.iter().filter(move |(_, may)| **may == wanted).map(|(id, _)| *id).collect();
                (of(true), of(false))
            };
            let filters = filters(&admitted, &others).unwrap();
            let passes = |id: &u64| filters.iter().any(|filter| match filter {
                Filter::These(ids) => ids.contains(id),
                Filter::AllBut(ids) => !ids.contains(id),
            });
            let found: Vec<u64> = points.keys().copied().filter(passes).collect();
            prop_assert_eq!(&found, &admitted);
            let hits: Vec<Hit> = answer.iter().map(|(id, score)| hit(*id, *score)).collect();
            if let Ok(taken) = taken(&hits, &admitted, 12) {
                prop_assert!(taken.iter().all(|id| admitted.contains(id)));
                prop_assert_eq!(taken.len(), hits.len());
            }
        }
    }
}
