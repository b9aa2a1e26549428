//! Pure: which texts are encoded together. A batch is bounded by its tokens, not by its texts: time and memory follow tokens.

/// Tokens of a batch, at most, where it has more than one text. Larger ones gain nothing and take memory.
pub const BATCH_TOKENS_MAX: usize = 2_048;

/// Puts texts into batches, given how many tokens each has. Each text is in one batch; those of like length are together.
#[must_use]
pub fn batches(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, usize)> =
        lengths.iter().copied().enumerate().map(|(text, length)| (length, text)).collect();
    order.sort_unstable();
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0_usize;
    for (length, text) in order {
        tokens = tokens.saturating_add(length);
        match batches.last_mut() {
            Some(batch) if tokens <= BATCH_TOKENS_MAX => batch.push(text),
            _ => {
                batches.push(vec![text]);
                tokens = length;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::{BATCH_TOKENS_MAX, batches};
    use proptest::prelude::*;

    #[test]
    fn nothing_makes_no_batch_and_one_long_text_makes_one() {
        assert!(batches(&[]).is_empty());
        assert_eq!(batches(&[BATCH_TOKENS_MAX + 1]), [[0]]);
        assert_eq!(batches(&[3, 1, 2]), [[1, 2, 0]]);
    }

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_within_the_bound(lengths in prop::collection::vec(1_usize..300, 0..200)) {
            let batches = batches(&lengths);
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                prop_assert!(batch.iter().map(|text| lengths[*text]).sum::<usize>() <= BATCH_TOKENS_MAX);
            }
            for pair in batches.windows(2) {
                let first: usize = pair[0].iter().chain(pair[1].first()).map(|text| lengths[*text]).sum();
                prop_assert!(first > BATCH_TOKENS_MAX, "a batch ends only where the next text does not fit");
            }
        }
    }
}
