//! Which segments an idle index rewrites, as a pure decision: a query pays for every segment, a rewrite for every
//! chunk, and removed text must go.

/// Chunks up to which an idle index is merged; larger ones are left to the engine's own policy.
const MERGED_CHUNKS_MAX: u32 = 50_000;
/// What lies outside the largest segment is merged into it once it is this part of the whole.
const WORTH_A_REWRITE: u32 = 10;

/// A segment as far as the decision needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentSize {
    /// Chunks that are alive.
    pub chunks: u32,
    /// True where it still holds removed text.
    pub is_stale: bool,
}

/// The places of the segments to be rewritten into one; none where the index is as it should be. A small index ends as
/// one segment, or as one with a small one beside it until that has grown worth rewriting the whole.
#[must_use]
pub fn to_merge(segments: &[SegmentSize]) -> Vec<usize> {
    let stale = || (0..).zip(segments).filter(|(_, segment)| segment.is_stale).map(|(at, _)| at).collect();
    let whole = segments.iter().map(|segment| segment.chunks).fold(0, u32::saturating_add);
    let Some((largest, size)) = (0..).zip(segments).max_by_key(|(_, segment)| segment.chunks) else {
        return Vec::new();
    };
    if whole > MERGED_CHUNKS_MAX {
        return stale();
    }
    let beside = whole.saturating_sub(size.chunks);
    let is_worth_it = segments.len() > 1 && beside.saturating_mul(WORTH_A_REWRITE) >= whole;
    if is_worth_it || segments.iter().any(|segment| segment.is_stale) {
        return (0..segments.len()).collect();
    }
    let small: Vec<usize> = (0..segments.len()).filter(|at| *at != largest).collect();
    if small.len() > 1 { small } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::{MERGED_CHUNKS_MAX, SegmentSize, to_merge};
    use proptest::prelude::*;

    fn sizes(chunks: &[u32]) -> Vec<SegmentSize> {
        chunks.iter().map(|chunks| SegmentSize { chunks: *chunks, is_stale: false }).collect()
    }

    #[test]
    fn small_indexes_end_as_one_segment_and_large_ones_are_not_rewritten_for_a_document() {
        for (chunks, merged) in [
            (&[][..], &[][..]),
            (&[5], &[]),
            (&[5, 5], &[0, 1]),
            (&[90, 10], &[0, 1]),
            (&[91, 9], &[]),
            (&[1, 900, 1], &[0, 2]),
            (&[MERGED_CHUNKS_MAX, 9_000], &[]),
        ] {
            assert_eq!(to_merge(&sizes(chunks)), merged, "{chunks:?}");
        }
    }

    #[test]
    fn removed_text_is_always_rewritten() {
        let stale = SegmentSize { chunks: 3, is_stale: true };
        assert_eq!(to_merge(&[stale]), [0]);
        assert_eq!(to_merge(&[SegmentSize { chunks: 900, is_stale: false }, stale]), [0, 1]);
        let large = SegmentSize { chunks: MERGED_CHUNKS_MAX, is_stale: false };
        assert_eq!(to_merge(&[large, stale]), [1], "a large index rewrites what is stale and nothing else");
    }

    proptest! {
        #[test]
        fn repeated_it_comes_to_rest_with_two_segments_at_most(chunks in prop::collection::vec(1_u32..2_000, 0..20)) {
            let mut segments = sizes(&chunks);
            for _round in 0..3 {
                let merged = to_merge(&segments);
                let together = merged.iter().map(|at| segments[*at].chunks).sum();
                let kept = (0..segments.len()).filter(|at| !merged.contains(at)).map(|at| segments[at]);
                let mut after: Vec<_> = kept.collect();
                if !merged.is_empty() {
                    after.push(SegmentSize { chunks: together, is_stale: false });
                }
                segments = after;
            }
            prop_assert!(to_merge(&segments).is_empty(), "{segments:?}");
            prop_assert!(segments.len() <= 2);
        }
    }
}
