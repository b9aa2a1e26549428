//! Pure decisions of the supervisor: the restart budget, and what state admits what.
use bailiwick_kernel::limits::{RESTART_WINDOW_MS, RESTARTS_MAX};
use bailiwick_kernel::outcome::{Code, Rejection};
use std::collections::VecDeque;

/// Life of a tenant's conveyor. A phase is a value, not a set of flags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The journal is being acquired and folded.
    Opening,
    /// Turns are admitted.
    Serving,
    /// A room died; the rooms are rebuilt as a unit.
    Rebuilding,
    /// The restart budget is used up, or the journal is damaged; the reason is in the words.
    Quarantined(String),
    /// Stopping in order.
    Closing,
}

impl Phase {
    /// As shown in the live tree.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Serving => "serving",
            Self::Rebuilding => "rebuilding",
            Self::Quarantined(_) => "quarantined",
            Self::Closing => "closing",
        }
    }

    /// Whether a request may enter now.
    ///
    /// # Errors
    /// *Lost* (retryable) while rooms are rebuilt or closed, `overloaded` while opening, `tenant_suspended` in quarantine.
    pub fn admits(&self) -> Result<(), Rejection> {
        match self {
            Self::Serving => Ok(()),
            Self::Opening => {
                Err(Rejection::retry_after(Code::Overloaded, "the tenant is waking up; try again shortly", 50))
            }
            Self::Rebuilding | Self::Closing => Err(Rejection::lost()),
            Self::Quarantined(_) => Err(Rejection::new(
                Code::TenantSuspended,
                "the tenant is quarantined after repeated faults; its operator must resume it",
            )),
        }
    }
}

/// What follows from a room's death.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Rebuild all rooms.
    Rebuild,
    /// Serve nothing until resumed.
    Quarantine,
}

/// The restart budget: so many deaths within a window, then quarantine of this tenant alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Restarts {
    recent_unix_ms: VecDeque<u64>,
    total: u64,
}

impl Restarts {
    /// Counts one death and decides.
    pub fn died(&mut self, now_unix_ms: u64) -> Verdict {
        self.total = self.total.saturating_add(1);
        self.recent_unix_ms.push_back(now_unix_ms);
        while self.recent_unix_ms.front().is_some_and(|first| now_unix_ms.saturating_sub(*first) > RESTART_WINDOW_MS) {
            self.recent_unix_ms.pop_front();
        }
        let recent = u32::try_from(self.recent_unix_ms.len()).unwrap_or(u32::MAX);
        if recent > RESTARTS_MAX { Verdict::Quarantine } else { Verdict::Rebuild }
    }

    /// Deaths since boot.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// Answers of one second whose facts are written down. Each is a record more: for all of a busy tenant's it would cost as
/// much again as the answers themselves.
const FACTS_PER_SECOND_MAX: u32 = 32;
const SECOND_MS: u64 = 1_000;

/// Which answers have their facts written down: all of a quiet tenant's, the first ones of every second of a busy one's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FactsKept {
    second: u64,
    kept: u32,
}

impl FactsKept {
    /// Whether those of an answer given now are.
    pub fn keeps(&mut self, now_unix_ms: u64) -> bool {
        let second = now_unix_ms / SECOND_MS;
        if second != self.second {
            *self = Self { second, kept: 0 };
        }
        let keeps = self.kept < FACTS_PER_SECOND_MAX;
        self.kept = self.kept.saturating_add(u32::from(keeps));
        keeps
    }
}
