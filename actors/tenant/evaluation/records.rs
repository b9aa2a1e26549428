//! What stands in the journal of an evaluation.
use super::answers::Grounding;
use super::estimate::Estimate;
use bailiwick_kernel::money::NanoUsd;
use serde::{Deserialize, Serialize};

/// What golden questions came to, under one policy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evaluation {
    /// Version of the policy.
    pub policy_version: String,
    /// Digest of its files: rules, models, regions, flags.
    pub policy_digest: String,
    /// By whose key.
    pub by: String,
    /// When the first question was asked.
    pub began_unix_ms: u64,
    /// When the last one was answered.
    pub ended_unix_ms: u64,
    /// Questions asked.
    pub questions: u64,
    /// Those that failed or were refused.
    pub failed: u64,
    /// Provider and model, and how many questions it answered.
    pub models: Vec<(String, String, u64)>,
    /// The figures, by name.
    pub measures: Vec<Measure>,
    /// Median of the time to an answer.
    pub latency_p50_ms: u64,
    /// Its 95th percentile.
    pub latency_p95_ms: u64,
    /// What the answers were charged together.
    #[serde(rename = "cost_usd")]
    pub cost: NanoUsd,
    /// Some of the questions that went wrong.
    pub missed: Vec<Missed>,
    /// What the policy asks of its answers (`evaluation.yaml`) and does not get.
    pub objections: Vec<String>,
}

impl Evaluation {
    /// One figure, by its name.
    #[must_use]
    pub fn measure(&self, name: &str) -> Option<Estimate> {
        self.measures.iter().find(|measure| measure.name == name).map(|measure| measure.estimate)
    }
}

/// A figure and how sure it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Measure {
    /// Its name.
    pub name: String,
    /// The mean over the questions that have it, between 0 and 1.
    pub estimate: Estimate,
}

/// A question that went wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Missed {
    /// Its first characters.
    pub question: String,
    /// What was wrong.
    pub problem: String,
}

/// What an answer is worth by the passages it was given from, measured when it was cleared; stands in the same append, behind
/// the answer's record. Repeats whose answer it is, so that releases are compared without looking back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AnswerMeasured {
    /// Which question.
    pub query_id: String,
    /// Policy it was cleared under.
    pub policy_version: String,
    /// Provider that answered.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// When it was cleared.
    pub cleared_unix_ms: u64,
    /// The figures.
    pub grounding: Grounding,
}
