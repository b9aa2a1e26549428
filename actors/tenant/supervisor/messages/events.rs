//! What leaves a tenant sideways, for the control plane to count.
use crate::journey::Times;
use crate::slo::messages::Alarmed;
use crate::slo::rules::Frozen;
use actix::Message;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::rollout::Step;

/// Sideways, one-way: something happened that the control plane counts. No content, no names.
#[derive(Clone, PartialEq, Debug, Message)]
#[rtype(result = "()")]
pub struct Happened {
    /// To whom.
    pub tenant: bailiwick_kernel::ids::TenantKey,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A turn was answered.
    Answered {
        /// `ask`, `search`, `chat` or `embed`.
        kind: &'static str,
        /// From arrival to clearing.
        latency_ms: u64,
        /// What was charged.
        charged: NanoUsd,
        /// It abstained.
        abstained: bool,
        /// The fallback answered.
        fallback: bool,
        /// Tokens of prompt and answer.
        tokens: (u64, u64),
        /// Where the time went.
        times: Times,
        /// It counts for the service level: the asker was given it.
        is_good: bool,
        /// Millionths of the fullest window of the tenant's budget that are spent, where money was held.
        budget_used_ppm: Option<u64>,
    },
    /// A call was told what the first one under its `Idempotency-Key` was told; nothing was charged.
    Repeated {
        /// `ask`, `chat` or `embed`.
        kind: &'static str,
    },
    /// A turn was refused or failed.
    Refused {
        /// The stable code.
        code: bailiwick_kernel::outcome::Code,
        /// It counts against the service level.
        is_failure: bool,
    },
    /// What the tenant's objective allows; told whenever the rooms are built and a policy is adopted.
    ObjectiveStands {
        /// Share of failures, in millionths.
        allowed_ppm: u64,
    },
    /// The tenant's service level is breached, or kept again: experimental flags are off, or as their file says.
    LevelChanged {
        /// Which of the two.
        breached: bool,
    },
    /// An alarm of the service level was raised, or has ended.
    Alarmed(Alarmed),
    /// Releases are frozen, or free; told again whenever the rooms are built.
    ReleasesStand(Option<Frozen>),
    /// A room died and the conveyor was rebuilt.
    Rebuilt {
        /// Which room died.
        room: &'static str,
        /// How often since boot.
        restarts: u64,
    },
    /// The restart budget is used up; the tenant serves nothing until resumed.
    Quarantined,
    /// A release has reached everybody, or has gone back; told again whenever the rooms are built.
    RolloutEnded {
        /// Which.
        release: String,
        /// How.
        end: Step,
    },
}
