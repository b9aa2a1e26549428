//! What a tenant is asked of its quality.
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::drift::trend::Quality;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Right `Audit`, and the drift room's: how the last seven days differ from the four weeks before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadQuality {
    /// Where the answer goes.
    pub reply: ReplySlot<QualityView>,
}

/// How the last seven days (UTC, today included) differ from the four weeks before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QualityView {
    /// Distance of the two periods (Jensen and Shannon's, its bias taken off), 0 to 1; 0 where chance explains the difference.
    pub drift_score: f64,
    /// The same, whether chance explains it or not.
    pub distance: f64,
    /// How probable such a difference is where nothing has changed; null where there are too few questions.
    pub p_value: Option<f64>,
    /// At or below this it is significant.
    pub level: f64,
    /// Questions of the last seven days …
    pub questions_recent: u64,
    /// … and of the four weeks before.
    pub questions_reference: u64,
    /// How much days of one period differ among themselves, 1 being chance alone.
    pub dispersion: f64,
    /// Mean trust of what was cited in the last seven days; null where nothing was.
    pub avg_trust: Option<f64>,
    /// Where quality is heading.
    pub quality_trend: Quality,
    /// The change of the mean quality is between this …
    pub quality_change_low: Option<f64>,
    /// … and this, with a confidence of 99 %; null where there are too few answers.
    pub quality_change_high: Option<f64>,
}
