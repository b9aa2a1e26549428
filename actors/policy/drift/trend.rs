//! Whether answers have become better or worse: a confidence interval for the difference of two means.
//!
//! An answer is worth the trust of what it cites, an abstention and an answer that cites nothing are worth nothing, a refusal
//! does not count. Questions of one day resemble each other: the variance of a mean is the larger of the one between
//! questions and the one between days, and the quantile is Student's with the days' degrees of freedom (Welch).
use super::sample::{Day, as_f64};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Quality that has not changed is called improving or declining this often, at most.
pub const LEVEL: f64 = 0.01;
/// A difference within this is stable.
pub const MARGIN: f64 = 0.05;
/// Answers each period has at least.
pub const ANSWERS_MIN: u64 = 30;
/// Days with answers each period has at least.
pub const DAYS_MIN: usize = 3;

/// Where quality is heading (specification 2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// It has risen.
    Improving,
    /// It differs by less than the margin.
    Stable,
    /// It has fallen.
    Declining,
    /// The data can bear none of these.
    Unknown,
}

/// What was found of the quality.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Trend {
    /// The word for it.
    pub quality: Quality,
    /// The difference of the means is between these with probability 1 − [`LEVEL`]; nothing where there are too few.
    pub interval: Option<(f64, f64)>,
}

struct Mean {
    mean: f64,
    variance: f64,
    freedom: f64,
}

/// Compares what answers were worth.
#[must_use]
pub fn trend(recent: &[Day], reference: &[Day]) -> Trend {
    let interval = mean_of(recent).zip(mean_of(reference)).and_then(|(now, before)| interval(&now, &before));
    let quality = match interval {
        None => Quality::Unknown,
        Some((low, high)) if low >= -MARGIN && high <= MARGIN => Quality::Stable,
        Some((low, _)) if low > 0.0 => Quality::Improving,
        Some((_, high)) if high < 0.0 => Quality::Declining,
        Some(_) => Quality::Unknown,
    };
    Trend { quality, interval }
}

fn mean_of(days: &[Day]) -> Option<Mean> {
    let days: Vec<_> = days.iter().map(|day| day.quality).filter(|quality| quality.count > 0).collect();
    let answers: u64 = days.iter().map(|day| day.count).sum();
    if answers < ANSWERS_MIN || days.len() < DAYS_MIN {
        return None;
    }
    let count = as_f64(answers);
    let number_of_days = as_f64(u64::try_from(days.len()).ok()?);
    let (sum, squares) =
        days.iter().map(|day| day.sums()).fold((0.0, 0.0), |(sum, squares), (s, q)| (sum + s, squares + q));
    let mean = sum / count;
    let between_answers = (squares / count - mean * mean).max(0.0) / (count - 1.0);
    let residuals: f64 = days.iter().map(|day| (day.sums().0 - as_f64(day.count) * mean).powi(2)).sum();
    let between_days = residuals / (count * count) * number_of_days / (number_of_days - 1.0);
    Some(Mean { mean, variance: between_answers.max(between_days), freedom: number_of_days - 1.0 })
}

fn interval(now: &Mean, before: &Mean) -> Option<(f64, f64)> {
    let difference = now.mean - before.mean;
    let variance = now.variance + before.variance;
    if variance <= 0.0 {
        return Some((difference, difference));
    }
    let freedom = variance.powi(2) / (now.variance.powi(2) / now.freedom + before.variance.powi(2) / before.freedom);
    let quantile = StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(1.0 - LEVEL / 2.0);
    let reach = quantile * variance.sqrt();
    reach.is_finite().then_some((difference - reach, difference + reach))
}
