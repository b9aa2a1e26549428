//! How doubtful it is that the passages answer an English question: a sum over small trees of what [`super::signals`] says.
//! Boosted trees of two steps, because figures mean different things together: a number that is missing tells nothing
//! where none is asked for. Pure; the weights are fitted by `benches/support_fit.py` on one half of fitz-gov and of
//! XQuAD-en, and judged by `benches/answers.py` on the other.
mod weights;

use super::signals::Signals;
use weights::{BIAS, TREES};

/// Figures looked at (the root's, the one below where it is at most its threshold, the one below where it is more), their
/// thresholds, and what is added in the four cases that leaves.
type Tree = ([u8; 3], [f32; 3], [f32; 4]);

/// The doubt that there is an answer, in log odds beside where a refusal begins: more than 0 is too much.
#[must_use]
pub fn doubt(signals: &Signals) -> f32 {
    let values = signals.values();
    let exceeds = |figure: u8, threshold: f32| values.get(usize::from(figure)).is_some_and(|value| *value > threshold);
    let said = TREES.iter().map(|([root, low, high], [part, part_low, part_high], [a, b, c, d])| {
        match (exceeds(*root, *part), exceeds(*low, *part_low), exceeds(*high, *part_high)) {
            (false, false, _) => *a,
            (false, true, _) => *b,
            (true, _, false) => *c,
            (true, _, true) => *d,
        }
    });
    BIAS + said.sum::<f32>()
}
