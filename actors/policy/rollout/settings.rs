//! How a tenant wants its releases brought to everybody.
use super::Rules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const MS_PER_MINUTE: u64 = 60_000;

/// `settings.rollout` of `governance.yaml`: 10 %, 50 %, 100 % of the conversations (specification 4, "canary deployment").
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutSettings {
    /// Minutes a stage lasts at least.
    #[serde(default = "an_hour")]
    pub stage_minutes: u32,
    /// Requests the new version has served in a stage before the next one.
    #[serde(default = "a_hundred")]
    pub stage_requests: u64,
    /// What counts as a failure of a version.
    #[serde(default = "faults_and_refusals")]
    pub failures: BTreeSet<FailureKind>,
}

/// What may go wrong with a request, as far as a version may be blamed for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// It was lost, or a provider or the house failed.
    Fault,
    /// The policy refused it, or withheld its answer. Leave it out where a version is to refuse more.
    Refusal,
    /// Nothing supported an answer.
    Abstention,
}

impl Default for RolloutSettings {
    /// An hour, a hundred requests, faults and refusals.
    fn default() -> Self {
        Self { stage_minutes: an_hour(), stage_requests: a_hundred(), failures: faults_and_refusals() }
    }
}

fn an_hour() -> u32 {
    60
}

fn a_hundred() -> u64 {
    100
}

fn faults_and_refusals() -> BTreeSet<FailureKind> {
    [FailureKind::Fault, FailureKind::Refusal].into()
}

impl From<&RolloutSettings> for Rules {
    /// The stages a tenant asks for, under the house's own bounds on wrong decisions.
    fn from(settings: &RolloutSettings) -> Self {
        Self {
            canary_requests: settings.stage_requests,
            stage_ms: u64::from(settings.stage_minutes).saturating_mul(MS_PER_MINUTE),
            ..Self::default()
        }
    }
}
