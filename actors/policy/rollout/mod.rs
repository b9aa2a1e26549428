//! Staged rollouts: how a new version of a policy, a route to a model or a feature reaches all of a tenant's
//! conversations, 10 % → 50 % → 100 %, and what sends it back.
//!
//! A rollout learns from outcomes only, and its two questions are two always-valid tests: they may be looked at after
//! every request without spending more error than was agreed (Netflix, arXiv:2205.14762; a z-test looked at every 200
//! requests aborts 38 % of the good versions). [`Evidence`] says why they hold.
//!
//! * **Worse?** Sends the version back at once, frozen or not. Two tests over the whole rollout, which share the
//!   error agreed on: nine tenths for failures, one for what the answers are worth ([`Quality`]).
//! * **Harmless?** Opens the next stage: until harm beyond [`Margin`] is excluded, the rollout holds. A new test at
//!   every stage, since a version may only fail under more load.
//!
//! No data says nothing: such a rollout neither advances (flagger #1011) nor goes back (flagger #1035). At 100 % there
//! is no control left and nothing to compare with; who sees harm there withdraws the version.
//!
//! # What the caller feeds
//!
//! Every outcome of a conversation up to and with its first failure, and nothing of it afterwards: a conversation stays in
//! its arm, and one that fails ten times is one misfortune, not ten. With that, the share of false rollbacks holds under
//! whatever bursts of failures that do not depend on the version. Without it, one conversation in a hundred that always
//! fails makes every sixth good version go back; the tests measure both. "Harmless" asks for more, that requests within
//! twenty in a row fail independently; what it lets through by mistake, "worse" may still send back.
//!
//! Outcomes are fed in the order in which they become known. A version that only changes how long a failure takes is not
//! judged by this.
mod evidence;
mod quality;
mod settings;
mod stages;

pub use evidence::{Evidence, Margin, Tally};
pub use quality::Quality;
pub use settings::{FailureKind, RolloutSettings};
pub use stages::{Event, Hold, Moment, RollBack, Rollout, Rules, Stage, Step};

use crate::digest::place;
use serde::{Deserialize, Serialize};

/// Which version serves a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The version that served before the rollout.
    Control,
    /// The version that is rolled out.
    Canary,
}

/// The arm of a conversation at a stage: the same on every node and after every restart, and never back to control
/// while the stages rise. `salt` belongs to one rollout, so that not always the same conversations go first.
///
/// A request without a conversation has its own id here, and is then a conversation of one request.
#[must_use]
pub fn arm(salt: &str, conversation: &str, stage: Stage) -> Arm {
    if place(&[salt, conversation], PLACES) < stage.percent().saturating_mul(PLACES / 100) {
        Arm::Canary
    } else {
        Arm::Control
    }
}

/// A percentage has three decimal places, as with features.
const PLACES: u32 = 100_000;

#[cfg(test)]
mod tests;
