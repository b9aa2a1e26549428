//! The stages of a rollout, and what moves it from one to the next.
use super::{Arm, Evidence, Margin};
use serde::{Deserialize, Serialize};

const MILLION: f64 = 1e6;

/// The share of conversations a version serves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// 10 %.
    Tenth,
    /// 50 %.
    Half,
    /// 100 %: nothing is left to compare with.
    Full,
}

impl Stage {
    /// 10, 50 or 100.
    #[must_use]
    pub fn percent(self) -> u32 {
        match self {
            Self::Tenth => 10,
            Self::Half => 50,
            Self::Full => 100,
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::Tenth => Some(Self::Half),
            Self::Half => Some(Self::Full),
            Self::Full => None,
        }
    }
}

/// What was agreed before the first request, and is not changed by what is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Highest probability, in millionths, that a version no worse than the control is ever rolled back, by its failures or by
    /// what its answers are worth; over the whole rollout. Read as at least 1.
    pub false_rollback_ppm: u32,
    /// Highest probability, in millionths, that a stage opens to a version that does harm beyond the margin. Read as at
    /// least 1.
    pub false_advance_ppm: u32,
    /// The harm that must be excluded.
    pub margin: Margin,
    /// Requests the version must have served in a stage before the next one; read as at least 1.
    pub canary_requests: u64,
    /// Milliseconds a stage lasts at least, so that what shows late (a cache running full, a timeout) shows within it.
    /// Time under a freeze counts: requests are observed then, too.
    pub stage_ms: u64,
}

impl Default for Rules {
    /// 1 % false rollbacks, 5 % false advances, a hundred requests and an hour.
    fn default() -> Self {
        Self {
            false_rollback_ppm: 10_000,
            false_advance_ppm: 50_000,
            margin: Margin::default(),
            canary_requests: 100,
            stage_ms: 3_600_000,
        }
    }
}

/// What happens to a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The outcome of a request became known.
    Outcome {
        /// The arm that served it.
        arm: Arm,
        /// Whether it failed.
        failed: bool,
    },
    /// Time went by.
    Tick,
    /// Somebody, or another guard such as a burning service level, wants the version back.
    Withdraw,
    /// Somebody takes it upon himself that everybody is served by the version now. Not under a freeze.
    Promote,
    /// The answers of the version are worth less than those of the control ([`super::Quality`]).
    Poorer,
}

/// When an event happens, and under which circumstances.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// Milliseconds since 1970. A clock set back makes a stage last longer, never shorter.
    pub unix_ms: u64,
    /// The tenant's releases are frozen: nothing advances.
    pub is_frozen: bool,
}

/// What follows from an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The stage stays.
    Hold(Hold),
    /// The next stage begins now; told once.
    Advance(Stage),
    /// Every conversation is served by the control again. Final for this version, and told from now on.
    RollBack(RollBack),
    /// Every conversation is served by the version, which was long enough at 100 %. Final, and told from now on.
    Complete,
}

/// Why a stage stays: the first thing that is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Releases are frozen.
    Frozen,
    /// An arm has served nothing in this stage, and nothing follows from that.
    NoData,
    /// The version has not served enough in this stage.
    TooFewRequests {
        /// Requests missing.
        missing: u64,
    },
    /// The stage is too young.
    TooSoon {
        /// Milliseconds missing.
        missing_ms: u64,
    },
    /// Harm beyond the margin is not excluded yet.
    HarmNotExcluded,
}

/// Why a version went back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollBack {
    /// It fails more often than the control.
    Worse,
    /// It was withdrawn.
    Withdrawn,
    /// Its answers are worth less than the control's.
    Poorer,
}

/// The rollout of one version to one tenant. A journal may keep it whole, or its events and moments: both continue
/// alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rollout {
    rules: Rules,
    stage: Stage,
    since_unix_ms: u64,
    evidence: Evidence,
    end: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    RolledBack(RollBack),
    Completed,
}

impl Rollout {
    /// A rollout that begins with a tenth of the conversations.
    #[must_use]
    pub fn begin(rules: Rules, now_unix_ms: u64) -> Self {
        Self { rules, stage: Stage::Tenth, since_unix_ms: now_unix_ms, evidence: Evidence::default(), end: None }
    }

    /// Takes an event and says what follows; at most one stage at a time.
    pub fn step(&mut self, event: Event, moment: Moment) -> Step {
        if self.end.is_none() {
            self.end = self.take(event, moment);
        }
        if let Some(end) = self.end() {
            return end;
        }
        if let Some(missing) = self.missing(moment) {
            return Step::Hold(missing);
        }
        self.open(moment.unix_ms)
    }

    /// The version that serves a conversation now; see [`super::arm`].
    #[must_use]
    pub fn arm(&self, salt: &str, conversation: &str) -> Arm {
        match self.end {
            Some(End::RolledBack(_)) => Arm::Control,
            Some(End::Completed) => Arm::Canary,
            None => super::arm(salt, conversation, self.stage),
        }
    }

    /// How it ended; `None` while it goes on.
    #[must_use]
    pub fn end(&self) -> Option<Step> {
        self.end.map(|end| match end {
            End::RolledBack(reason) => Step::RollBack(reason),
            End::Completed => Step::Complete,
        })
    }

    /// The stage it is in, or was in when it ended.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// When the stage began, in milliseconds since 1970.
    #[must_use]
    pub fn since_unix_ms(&self) -> u64 {
        self.since_unix_ms
    }

    /// What was agreed.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What was seen.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    fn take(&mut self, event: Event, moment: Moment) -> Option<End> {
        match event {
            Event::Withdraw => Some(End::RolledBack(RollBack::Withdrawn)),
            Event::Promote => (!moment.is_frozen).then_some(End::Completed),
            Event::Tick => None,
            Event::Poorer => Some(End::RolledBack(RollBack::Poorer)),
            Event::Outcome { arm, failed } => {
                let is_worse = self.evidence.record(arm, failed, self.stage.percent(), self.rules.margin)
                    && self.evidence.ln_worse() >= ln_needed_by_failures(self.rules.false_rollback_ppm);
                is_worse.then_some(End::RolledBack(RollBack::Worse))
            }
        }
    }

    fn missing(&self, moment: Moment) -> Option<Hold> {
        if moment.is_frozen {
            return Some(Hold::Frozen);
        }
        let has_control = self.stage != Stage::Full;
        let canary = self.evidence.in_stage(Arm::Canary).requests;
        if canary == 0 || (has_control && self.evidence.in_stage(Arm::Control).requests == 0) {
            return Some(Hold::NoData);
        }
        if canary < self.rules.canary_requests {
            return Some(Hold::TooFewRequests { missing: self.rules.canary_requests.saturating_sub(canary) });
        }
        let age_ms = moment.unix_ms.saturating_sub(self.since_unix_ms);
        if age_ms < self.rules.stage_ms {
            return Some(Hold::TooSoon { missing_ms: self.rules.stage_ms.saturating_sub(age_ms) });
        }
        let is_harmless = self.evidence.ln_harmless() >= ln_needed(self.rules.false_advance_ppm);
        (has_control && !is_harmless).then_some(Hold::HarmNotExcluded)
    }

    fn open(&mut self, now_unix_ms: u64) -> Step {
        match self.stage.next() {
            Some(stage) => {
                self.stage = stage;
                self.since_unix_ms = now_unix_ms;
                self.evidence.begin_stage();
                Step::Advance(stage)
            }
            None => {
                self.end = Some(End::Completed);
                Step::Complete
            }
        }
    }
}

/// The part of the error agreed on that is left to the test of what answers are worth; the test of failures has the rest. A
/// tenth costs the older test next to nothing, and this one a few more answers.
const SHARE_OF_QUALITY: f64 = 0.1;

/// What the test of failures has to reach.
fn ln_needed_by_failures(ppm: u32) -> f64 {
    ln_needed(ppm) - (1.0 - SHARE_OF_QUALITY).ln()
}

/// What the test of quality has to reach: either of the two ever does with at most the probability given.
pub(super) fn ln_needed_by_quality(ppm: u32) -> f64 {
    ln_needed(ppm) - SHARE_OF_QUALITY.ln()
}

/// Ville's inequality: an e-process ever reaches this with at most the probability given.
fn ln_needed(ppm: u32) -> f64 {
    (MILLION / f64::from(ppm.max(1))).ln()
}
