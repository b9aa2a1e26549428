//! A mean with the interval it lies in. Pure.
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Of a hundred intervals made like this, about so many hold the true mean.
pub const CONFIDENCE_PERCENT: u32 = 95;
/// The normal quantile of [`CONFIDENCE_PERCENT`], both sides.
const Z: f64 = 1.959_963_984_540_054;
/// The same as a probability below.
const BELOW: f64 = 0.975;

/// The mean of shares between 0 and 1, and how sure it is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Lower end of the interval …
    pub low: f64,
    /// … and its upper end. Wilson's where every value is 0 or 1 (JASA 22, 1927), Student's otherwise, within 0 and 1.
    pub high: f64,
    /// Values it was made of.
    pub count: u64,
}

/// The mean of these shares; nothing where there are none.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "questions of one set")]
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let count = u64::try_from(values.len()).ok().filter(|count| *count > 0)?;
    let n = count as f64;
    let mean = values.iter().fold(0.0, |sum, value| sum + value) / n;
    let (low, high) = if values.iter().all(|value| *value == 0.0 || *value == 1.0) {
        wilson(mean, n)
    } else {
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        student(mean, squares, n)
    };
    Some(Estimate { mean, low: low.clamp(0.0, mean), high: high.clamp(mean, 1.0), count })
}

fn wilson(mean: f64, n: f64) -> (f64, f64) {
    let scale = 1.0 + Z * Z / n;
    let centre = (mean + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (mean * (1.0 - mean) / n + Z * Z / (4.0 * n * n)).sqrt();
    (centre - half, centre + half)
}

/// Everything is possible where one value says nothing of how far others lie from it.
fn student(mean: f64, squares: f64, n: f64) -> (f64, f64) {
    let freedom = n - 1.0;
    let Ok(distribution) = StudentsT::new(0.0, 1.0, freedom) else { return (0.0, 1.0) };
    let half = distribution.inverse_cdf(BELOW) * (squares / freedom / n).sqrt();
    (mean - half, mean + half)
}
