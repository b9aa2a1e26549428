//! One rollout as its tenant lives it: which release serves a conversation, what a request says of the release that served
//! it, and what of that has to stand in the journal. Pure.
//!
//! Decided is not yet in force: a stage opens when the record that says so is durable. A release that goes back, goes back at
//! once; should that record be lost, it is decided anew from the one before.
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::digest::place;
use bailiwick_policy::rollout::{Arm, Event, Moment, Quality, Rollout, Rules, Stage, Step};
use bailiwick_policy::schema::{FailureKind, RolloutSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};

/// Conversations that failed and are remembered. A rollout that has seen so many says nothing any more, and holds.
pub const FAILED_MAX: usize = 10_000;

/// What a request was given, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drawn {
    /// Which release serves it.
    pub arm: Arm,
    stage: Stage,
    conversation: u32,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// With a reply.
    Replied {
        /// Nothing supported an answer.
        abstained: bool,
    },
    /// With a refusal or a failure.
    Refused(Code),
}

/// What must stand in the journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// Of which release.
    pub release: String,
    /// All that is known of its rollout.
    pub rollout: Rollout,
}

impl Standing {
    /// True where this says more than another one: of another release, or further on. Notes of turns that end at the same
    /// moment may overtake one another on their way to the journal.
    #[must_use]
    pub fn is_after(&self, other: &Self) -> bool {
        let progress = |standing: &Self| {
            let evidence = standing.rollout.evidence();
            let seen = evidence.total(Arm::Canary).requests.saturating_add(evidence.total(Arm::Control).requests);
            (standing.rollout.end().is_some(), standing.rollout.stage(), seen)
        };
        self.release != other.release || progress(self) > progress(other)
    }
}

/// What the answers of both releases came to, as it stands in the journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct QualityStanding {
    /// Of which release's rollout.
    pub release: String,
    /// What is known.
    pub quality: Quality,
}

impl QualityStanding {
    /// True where this says more than another one: of another release, or of more answers.
    #[must_use]
    pub fn is_after(&self, other: &Self) -> bool {
        let seen = |standing: &Self| {
            let of = |arm| standing.quality.total(arm).requests;
            of(Arm::Canary).saturating_add(of(Arm::Control))
        };
        self.release != other.release || seen(self) > seen(other)
    }
}

/// What follows from one more answer that was measured, to be written down together.
#[derive(Clone, PartialEq, Debug)]
pub struct Weighed {
    /// What is known of both releases' answers.
    pub quality: QualityStanding,
    /// The rollout, where it has ended with it.
    pub standing: Option<Standing>,
}

/// The rollout of one release.
#[derive(Clone, PartialEq, Debug)]
pub struct Course {
    release: String,
    failures: BTreeSet<FailureKind>,
    known: Rollout,
    durable: Rollout,
    failed: HashSet<u32>,
    quality: Quality,
    poor: HashSet<u32>,
}

impl Course {
    /// A rollout that goes on from where the journal says it stands.
    #[must_use]
    pub fn at(standing: Standing, settings: &RolloutSettings) -> Self {
        let Standing { release, rollout } = standing;
        let quality = Quality::begin(rollout.stage());
        Self {
            release,
            failures: settings.failures.clone(),
            known: rollout.clone(),
            durable: rollout,
            failed: HashSet::new(),
            quality,
            poor: HashSet::new(),
        }
    }

    /// The same, with what is known of the answers' worth, where that is of this release.
    #[must_use]
    pub fn knowing(self, known: Option<QualityStanding>) -> Self {
        match known.filter(|known| known.release == self.release) {
            Some(QualityStanding { quality, .. }) => Self { quality, ..self },
            None => self,
        }
    }

    /// Where a release's rollout begins.
    #[must_use]
    pub fn beginning(release: &str, settings: &RolloutSettings, now_unix_ms: u64) -> Standing {
        Standing { release: release.to_owned(), rollout: Rollout::begin(Rules::from(settings), now_unix_ms) }
    }

    /// Of which release.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// What a conversation is given now.
    #[must_use]
    pub fn draw(&self, conversation: &str) -> Drawn {
        let went_back = matches!(self.known.end(), Some(Step::RollBack(_)));
        let in_force = if went_back { &self.known } else { &self.durable };
        Drawn {
            arm: in_force.arm(&self.release, conversation),
            stage: in_force.stage(),
            conversation: place(&["failed", conversation], u32::MAX),
        }
    }

    /// Notes how a request ended; gives what must stand in the journal. What ends in another stage than it was drawn in
    /// says nothing, nor does a conversation that has failed before.
    pub fn note(&mut self, drawn: Drawn, ending: Ending, moment: Moment) -> Option<Standing> {
        let failed = self.is_failure(ending)?;
        let is_spent = self.failed.contains(&drawn.conversation) || self.failed.len() >= FAILED_MAX;
        if self.durable.end().is_some() || drawn.stage != self.known.stage() || is_spent {
            return None;
        }
        if failed {
            self.failed.insert(drawn.conversation);
        }
        self.known.step(Event::Outcome { arm: drawn.arm, failed }, moment);
        (self.known.evidence().is_weighed() || self.has_moved()).then(|| self.standing())
    }

    /// Notes what an answer was worth; gives what must stand in the journal. The same that says nothing of failures says nothing
    /// here, nor does a conversation that has had a poor answer before.
    pub fn measure(&mut self, drawn: Drawn, is_poor: bool, moment: Moment) -> Option<Weighed> {
        let is_spent = self.poor.contains(&drawn.conversation) || self.poor.len() >= FAILED_MAX;
        if self.known.end().is_some() || drawn.stage != self.known.stage() || is_spent {
            return None;
        }
        if is_poor {
            self.poor.insert(drawn.conversation);
        }
        if !self.quality.record(drawn.arm, is_poor, drawn.stage) {
            return None;
        }
        let has_ended = self.quality.is_poorer(self.known.rules());
        if has_ended {
            self.known.step(Event::Poorer, moment);
        }
        let quality = QualityStanding { release: self.release.clone(), quality: self.quality.clone() };
        Some(Weighed { quality, standing: has_ended.then(|| self.standing()) })
    }

    /// Somebody sends it back, or takes it for everybody. Gives what follows, and what must stand in the journal.
    pub fn steer(&mut self, event: Event, moment: Moment) -> (Step, Option<Standing>) {
        let step = self.known.step(event, moment);
        (step, self.has_moved().then(|| self.standing()))
    }

    /// What stands in the journal now. True where the rollout has ended with it.
    pub fn is_kept(&mut self, standing: &Standing) -> bool {
        let before = Standing { release: self.release.clone(), rollout: self.durable.clone() };
        if standing.release != self.release || before.rollout.end().is_some() || !standing.is_after(&before) {
            return false;
        }
        self.durable = standing.rollout.clone();
        self.durable.end().is_some()
    }

    /// How it ended, once that is durable.
    #[must_use]
    pub fn end(&self) -> Option<Step> {
        self.durable.end()
    }

    /// What it looks like from outside.
    #[must_use]
    pub fn view(&self, moment: Moment) -> RolloutView {
        let next = self.known.clone().step(Event::Tick, moment);
        let evidence = self.known.evidence();
        let arm = |arm: Arm| {
            let (total, in_stage) = (evidence.total(arm), evidence.in_stage(arm));
            ArmView {
                requests: total.requests,
                failures: total.failures,
                stage_requests: in_stage.requests,
                stage_failures: in_stage.failures,
                measured: self.quality.total(arm).requests,
                poor: self.quality.total(arm).failures,
            }
        };
        RolloutView {
            release: self.release.clone(),
            percent: self.durable.stage().percent(),
            next,
            canary: arm(Arm::Canary),
            control: arm(Arm::Control),
        }
    }

    fn standing(&self) -> Standing {
        Standing { release: self.release.clone(), rollout: self.known.clone() }
    }

    fn has_moved(&self) -> bool {
        self.known.stage() != self.durable.stage() || self.known.end() != self.durable.end()
    }

    /// `None` where the ending says nothing of a release: the asker's own mistakes, limits, money, and kinds of failure
    /// the tenant does not count.
    fn is_failure(&self, ending: Ending) -> Option<bool> {
        let kind = match ending {
            Ending::Replied { abstained: false } => return Some(false),
            Ending::Replied { abstained: true } => return Some(self.failures.contains(&FailureKind::Abstention)),
            Ending::Refused(Code::Lost | Code::Overloaded | Code::UpstreamFailed | Code::Internal) => {
                FailureKind::Fault
            }
            Ending::Refused(Code::PolicyDenied | Code::SovereigntyViolation) => FailureKind::Refusal,
            Ending::Refused(_) => return None,
        };
        self.failures.contains(&kind).then_some(true)
    }
}

/// A rollout from outside.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct RolloutView {
    /// Names the release: a digest of its files.
    pub release: String,
    /// The share of conversations it serves, or served when it ended.
    pub percent: u32,
    /// What follows from all that is known: why it stays where it is, or how it ended.
    #[schemars(with = "serde_json::Value")]
    pub next: Step,
    /// What the release did.
    pub canary: ArmView,
    /// What the one before did meanwhile.
    pub control: ArmView,
}

/// What one of two releases did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ArmView {
    /// Requests that say something.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// The same, in this stage alone.
    pub stage_requests: u64,
    /// The same, in this stage alone.
    pub stage_failures: u64,
    /// Answers that were held against their passages.
    pub measured: u64,
    /// Those of them with a sentence that what it cites does not carry.
    pub poor: u64,
}
