//! The mean of a judge's verdicts over all answers, where the judge saw a sample of them and a figure that needs no judge is
//! known of all: prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, Science 382, 2023) with the
//! weight of the figure tuned for the narrowest interval, PPI++ (Angelopoulos, Duchi and Zrnic, arXiv:2311.01453). Pure.
//!
//! However badly the figure predicts the verdicts, the mean is the judge's: the figure only says how the answers the judge has
//! not seen differ from those it has. Where it says nothing, the weight is 0 and the interval that of the sample alone.
use super::estimate::{Estimate, Sums, estimate_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// With fewer verdicts nothing is corrected: how far figure and verdict go together is not known well enough.
const VERDICTS_MIN: u64 = 20;

/// What a judge said of a sample, beside the figure of the same answers. Shares in whole ten-thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Verdicts {
    verdicts: Sums,
    figures: Sums,
    products: u64,
}

impl Verdicts {
    /// Adds the verdict on an answer, and the answer's figure; both between 0 and 1.
    pub fn note(&mut self, verdict: f64, figure: f64) {
        self.verdicts.note(verdict);
        self.figures.note(figure);
        self.products = self.products.saturating_add(Sums::parts(verdict).saturating_mul(Sums::parts(figure)));
    }
}

/// The mean of a judge's verdicts over all answers.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Corrected {
    /// The mean over all answers, and the interval it lies in; counted are the verdicts.
    pub estimate: Estimate,
    /// What the verdicts say alone.
    pub sample: Estimate,
    /// Answers the figure is known of, those with a verdict included.
    pub answers: u64,
    /// How much the figure counts, 0 to 1.
    pub weight: f64,
}

/// Moments of one of two samples.
#[derive(Clone, Copy)]
struct Moments {
    count: f64,
    mean: f64,
    /// Unbiased; nothing where one value says nothing of how far others lie from it.
    variance: Option<f64>,
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53 answers of one tenant")]
fn moments(sums: &Sums) -> Option<Moments> {
    Some(Moments { count: sums.count() as f64, mean: sums.mean()?, variance: sums.variance() })
}

/// The mean of the verdicts over all answers; nothing where there is no verdict. `figures` are those of all answers, judged or
/// not.
#[must_use]
pub fn corrected(verdicts: &Verdicts, figures: &Sums) -> Option<Corrected> {
    let sample = estimate_of(&verdicts.verdicts)?;
    let answers = figures.count().max(sample.count);
    let alone = Corrected { estimate: sample, sample, answers, weight: 0.0 };
    Some(with_figures(verdicts, figures, alone).unwrap_or(alone))
}

fn with_figures(verdicts: &Verdicts, figures: &Sums, alone: Corrected) -> Option<Corrected> {
    let said = moments(&verdicts.verdicts).filter(|_| alone.sample.count >= VERDICTS_MIN)?;
    let judged = moments(&verdicts.figures)?;
    let others = moments(&figures.without(&verdicts.figures))?;
    let covariance = verdicts.verdicts.covariance(&verdicts.figures, verdicts.products)?;
    let (of_said, of_judged, of_others) = (said.variance?, judged.variance?, others.variance?);
    let ratio = said.count / others.count;
    // the variance of the mean as a function of the weight is a parabola, and this its lowest point
    let spread = of_judged + ratio * of_others;
    let weight = (spread > 0.0).then(|| (covariance / spread).clamp(0.0, 1.0)).filter(|weight| *weight > 0.0)?;
    let variance = of_said - 2.0 * weight * covariance + weight * weight * spread;
    // by how much the figure narrows the interval of the verdicts alone
    let narrowed = (of_said > 0.0).then(|| (variance.max(0.0) / of_said).sqrt().min(1.0))?;
    let mean = (said.mean - weight * (judged.mean - others.mean)).clamp(0.0, 1.0);
    let Estimate { mean: of_sample, low, high, count } = alone.sample;
    let (low, high) = (mean - (of_sample - low) * narrowed, mean + (high - of_sample) * narrowed);
    let estimate = Estimate { mean, low: low.clamp(0.0, mean), high: high.clamp(mean, 1.0), count };
    Some(Corrected { estimate, weight, ..alone })
}

#[cfg(test)]
#[path = "prediction_tests.rs"]
mod tests;
