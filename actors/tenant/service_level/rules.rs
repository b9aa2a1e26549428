//! When a service level counts as breached, and when as kept again. Pure: turns and the time in, a level out.
//!
//! Turns are gathered in windows of a minute, longer where few turns end. A window against the level in force changes
//! nothing by itself: the level is breached after [`BREACHED_WINDOWS`] bad windows in a row and kept again after
//! [`KEPT_WINDOWS`] good ones in a row. A time without turns is no window: it says neither.
use bailiwick_policy::flags::ServiceLevel;
use bailiwick_policy::schema::Objectives;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shortest window.
pub const WINDOW_MS: u64 = 60_000;
/// A window in which too little has happened by then is forgotten.
pub const WINDOW_MS_MAX: u64 = 3_600_000;
/// A window is judged by at least so many turns, a percentile by at least so many answers.
pub const JUDGED_MIN: u64 = 20;
/// Bad windows in a row that switch experimental flags off.
pub const BREACHED_WINDOWS: u32 = 3;
/// Good windows in a row that let them on again.
pub const KEPT_WINDOWS: u32 = 10;

/// Answers of a hundred that may be slower than the 95th percentile.
const SLOW_PER_CENT: u64 = 5;
/// Shares are compared in parts of a million.
const MILLION: f64 = 1_000_000.0;
const PARTS: u64 = 1_000_000;

/// How a turn ended. Refusals of policy, budget and limits are the house doing its work, and a client's own mistakes are
/// not the service's: neither is noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// An answer, a completion or an embedding.
    Answered {
        /// From arrival to clearing.
        latency_ms: u64,
    },
    /// A search; its latency is no answer's.
    Searched,
    /// It failed: lost, overloaded, a provider, our own.
    Failed,
}

/// The level and how near it is to a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LevelView {
    /// The level in force.
    pub state: ServiceLevel,
    /// Windows in a row that speak against it …
    pub windows_against: u32,
    /// … and how many of them change it.
    pub windows_needed: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Limits {
    p95_latency_ms: u64,
    error_rate_max_ppm: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Window {
    began_unix_ms: u64,
    turns: u64,
    answers: u64,
    slow: u64,
    failed: u64,
}

/// The level of one tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    limits: Limits,
    window: Option<Window>,
    level: ServiceLevel,
    against: u32,
}

impl Limits {
    fn of(objectives: &Objectives) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share, checked to be 0 to 1")]
        let error_rate_max_ppm = (objectives.error_rate_max * MILLION).round() as u64;
        Self { p95_latency_ms: objectives.p95_latency_ms, error_rate_max_ppm }
    }
}

impl Window {
    fn note(&mut self, ended: Ended, limits: Limits) {
        self.turns = self.turns.saturating_add(1);
        match ended {
            Ended::Answered { latency_ms } => {
                self.answers = self.answers.saturating_add(1);
                self.slow = self.slow.saturating_add(u64::from(latency_ms > limits.p95_latency_ms));
            }
            Ended::Searched => {}
            Ended::Failed => self.failed = self.failed.saturating_add(1),
        }
    }

    /// True where enough has happened in it to be judged by.
    fn is_over(&self, now_unix_ms: u64) -> bool {
        let lasted_ms = now_unix_ms.saturating_sub(self.began_unix_ms);
        let is_full = self.answers.saturating_add(self.failed) >= JUDGED_MIN;
        (lasted_ms >= WINDOW_MS && is_full) || lasted_ms >= WINDOW_MS_MAX
    }

    /// The level of these turns alone; `None` where they are too few to say.
    fn level(&self, limits: Limits) -> Option<ServiceLevel> {
        if self.turns < JUDGED_MIN {
            return None;
        }
        // the nearest-rank percentile lies above the limit exactly where more than five of a hundred values do
        let is_slow = self.answers >= JUDGED_MIN && self.slow > self.answers.saturating_mul(SLOW_PER_CENT) / 100;
        let is_failing = self.failed.saturating_mul(PARTS) > self.turns.saturating_mul(limits.error_rate_max_ppm);
        Some(if is_slow || is_failing { ServiceLevel::Breached } else { ServiceLevel::Kept })
    }
}

impl Watch {
    /// Nothing is known: the level counts as kept.
    #[must_use]
    pub fn new(objectives: &Objectives) -> Self {
        Self { limits: Limits::of(objectives), window: None, level: ServiceLevel::Kept, against: 0 }
    }

    /// Judges by other objectives. A window under way is forgotten: its answers were compared with the old ones.
    pub fn adopt(&mut self, objectives: &Objectives) {
        let limits = Limits::of(objectives);
        if limits != self.limits {
            self.limits = limits;
            self.window = None;
        }
    }

    /// Notes how a turn ended; the new level where the window before it has changed it.
    pub fn note(&mut self, ended: Ended, now_unix_ms: u64) -> Option<ServiceLevel> {
        let over = self.window.take_if(|window| window.is_over(now_unix_ms));
        let changed = over.and_then(|window| self.judge(window));
        let limits = self.limits;
        let fresh = || Window { began_unix_ms: now_unix_ms, turns: 0, answers: 0, slow: 0, failed: 0 };
        self.window.get_or_insert_with(fresh).note(ended, limits);
        changed
    }

    /// The level now.
    #[must_use]
    pub fn view(&self) -> LevelView {
        LevelView { state: self.level, windows_against: self.against, windows_needed: needed(self.level) }
    }

    fn judge(&mut self, window: Window) -> Option<ServiceLevel> {
        let said = window.level(self.limits)?;
        if said == self.level {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        if self.against < needed(self.level) {
            return None;
        }
        self.against = 0;
        self.level = said;
        Some(said)
    }
}

/// Windows in a row that change a level.
fn needed(level: ServiceLevel) -> u32 {
    match level {
        ServiceLevel::Kept => BREACHED_WINDOWS,
        ServiceLevel::Breached => KEPT_WINDOWS,
    }
}
