//! What the answers of a rollout's two arms are worth, as far as that can be measured without a judge.
use super::evidence::{Evidence, Margin, Tally};
use super::stages::Stage;
use super::{Arm, stages};
use serde::{Deserialize, Serialize};

/// Whether the answers of a version are poorer than those of the one before: the e-process of [`Evidence`] against "no more
/// often poor than the control's", with poor answers in the place of failures. What it holds under holds here: the first poor
/// answer of a conversation counts and none after it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quality {
    stage: Stage,
    evidence: Evidence,
}

impl Quality {
    /// Nothing is known of a rollout that is in this stage.
    #[must_use]
    pub fn begin(stage: Stage) -> Self {
        Self { stage, evidence: Evidence::default() }
    }

    /// Takes one answer of a stage; true where the e-values are new.
    pub fn record(&mut self, arm: Arm, is_poor: bool, stage: Stage) -> bool {
        if stage != self.stage {
            self.stage = stage;
            self.evidence.begin_stage();
        }
        self.evidence.record(arm, is_poor, stage.percent(), Margin::default())
    }

    /// Whether so much speaks for it that a version no worse goes back with the agreed probability at most: the part of it
    /// that is left to this test.
    #[must_use]
    pub fn is_poorer(&self, rules: &stages::Rules) -> bool {
        self.evidence.ln_worse() >= stages::ln_needed_by_quality(rules.false_rollback_ppm)
    }

    /// Answers of an arm that could be measured, and those of them that were poor.
    #[must_use]
    pub fn total(&self, arm: Arm) -> Tally {
        self.evidence.total(arm)
    }
}
