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

/// Shares as they are summed up: whole ten-thousandths, so that it does not matter in which order they came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sums {
    count: u64,
    sum: u64,
    squares: u64,
}

/// Parts of one that [`Sums`] tells apart.
const PARTS: f64 = 10_000.0;

impl Sums {
    /// A share in the parts sums are kept in.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10,000")]
    pub fn parts(share: f64) -> u64 {
        (share.clamp(0.0, 1.0) * PARTS).round() as u64
    }

    /// Adds one share between 0 and 1.
    pub fn note(&mut self, share: f64) {
        let parts = Self::parts(share);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(parts);
        self.squares = self.squares.saturating_add(parts.saturating_mul(parts));
    }

    /// Shares that were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The same without some of them.
    #[must_use]
    pub fn without(&self, some: &Self) -> Self {
        Self {
            count: self.count.saturating_sub(some.count),
            sum: self.sum.saturating_sub(some.sum),
            squares: self.squares.saturating_sub(some.squares),
        }
    }

    /// Their mean; nothing where there are none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 answers of one tenant")]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / PARTS / self.count as f64)
    }

    /// How they vary, unbiased; nothing where one value says nothing of how far others lie from it.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        self.covariance(self, self.squares)
    }

    /// How they go together with as many others, unbiased, by the sum of the products of both in parts. Reckoned in whole
    /// numbers: of shares that never differ it is nothing, and no rest of rounding that something could be divided by.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "what is lost is far below one part")]
    pub fn covariance(&self, others: &Self, products: u64) -> Option<f64> {
        let count = i128::from(self.count);
        let sums = i128::from(self.sum).saturating_mul(i128::from(others.sum));
        let about_means = count.saturating_mul(i128::from(products)).saturating_sub(sums);
        let pairs = count.saturating_mul(count.saturating_sub(1));
        (pairs > 0).then(|| about_means as f64 / pairs as f64 / PARTS / PARTS)
    }
}

/// The mean of shares that were summed up; nothing where there are none.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "far below 2^53 answers of one tenant")]
pub fn estimate_of(sums: &Sums) -> Option<Estimate> {
    let Sums { count, sum, squares } = *sums;
    let n = (count > 0).then_some(count as f64)?;
    let mean = sum as f64 / PARTS / n;
    let about_mean = (squares as f64 / PARTS / PARTS - mean * mean * n).max(0.0);
    // only 0 and 1 are their own squares
    let spread =
        if sum as f64 * PARTS == squares as f64 { Spread::OfAllOrNothing } else { Spread::OfShares(about_mean) };
    Some(within(mean, spread, count))
}

/// The mean of these shares; nothing where there are none.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "questions of one set")]
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let count = u64::try_from(values.len()).ok().filter(|count| *count > 0)?;
    let mean = values.iter().fold(0.0, |sum, value| sum + value) / count as f64;
    let spread = if values.iter().all(|value| *value == 0.0 || *value == 1.0) {
        Spread::OfAllOrNothing
    } else {
        Spread::OfShares(values.iter().map(|value| (value - mean).powi(2)).sum())
    };
    Some(within(mean, spread, count))
}

/// How far values lie from their mean.
#[derive(Clone, Copy)]
enum Spread {
    /// Every value is 0 or 1, so that the mean says it.
    OfAllOrNothing,
    /// The squares of their distances, together.
    OfShares(f64),
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53 values")]
fn within(mean: f64, spread: Spread, count: u64) -> Estimate {
    let (low, high) = match spread {
        Spread::OfAllOrNothing => wilson(mean, count as f64),
        Spread::OfShares(squares) => student(mean, squares, count as f64),
    };
    Estimate { mean, low: low.clamp(0.0, mean), high: high.clamp(mean, 1.0), count }
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
