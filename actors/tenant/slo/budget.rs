//! The error budget of the last 30 days: reckoned from whole numbers of events whenever somebody asks, never kept. Pure.
use super::windows::{Tally, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The time a budget is for.
pub const BUDGET_MS: u64 = 30 * 24 * 3_600_000;
const SLOT_MS: u64 = 3_600_000;
const MINUTE_MS: f64 = 60_000.0;
const MILLION: u64 = 1_000_000;
/// Fewer failures than this use no budget up, whatever their share: one failure of ten requests is chance.
pub const EXHAUSTING_FAILURES_MIN: u64 = 5;
/// Percent of a budget from which on it is told as a warning.
pub const WARNING_PERCENT: u64 = 75;
/// Percent of a budget down to which a freeze lasts: at its edge every request would begin and end one.
pub const THAWING_PERCENT: u64 = 90;

/// How much of a budget is left (specification 2.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Enough.
    Healthy,
    /// Three quarters are used, or all of it by so few failures that it may be chance.
    Warning,
    /// Nothing.
    Exhausted,
}

/// The events of the last 30 days, an hour at a time. Part of the tenant's fold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Events {
    window: Window,
    began_unix_ms: Option<u64>,
    /// The last event: a clock that goes back takes no time away.
    latest_unix_ms: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self { window: Window::new(SLOT_MS, BUDGET_MS / SLOT_MS), began_unix_ms: None, latest_unix_ms: 0 }
    }
}

impl Events {
    /// Counts events.
    pub fn note(&mut self, tally: Tally, at_unix_ms: u64) {
        self.window.pass(at_unix_ms);
        if self.window.begins_unix_ms().is_none() {
            self.began_unix_ms = Some(at_unix_ms);
        }
        self.window.note(tally, at_unix_ms);
        self.latest_unix_ms = self.latest_unix_ms.max(at_unix_ms);
    }

    /// Forgets what is older than 30 days.
    pub fn pass(&mut self, now_unix_ms: u64) {
        self.window.pass(now_unix_ms);
    }

    /// The hours of which something is kept, oldest first.
    pub fn hours(&self) -> impl Iterator<Item = (u64, Tally)> {
        self.window.slots()
    }

    /// The budget that an objective leaves after these events.
    #[must_use]
    pub fn budget(&self, allowed_ppm: u64, now_unix_ms: u64) -> Budget {
        let begins = self.window.begins_unix_ms().max(self.began_unix_ms.filter(|_| self.window.sum().total() > 0));
        let now_unix_ms = now_unix_ms.max(self.latest_unix_ms);
        let covered_ms = begins.map_or(0, |begins| now_unix_ms.saturating_sub(begins).min(BUDGET_MS));
        Budget { allowed_ppm, tally: self.window.sum(), covered_ms }
    }
}

/// What is known of a budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Share of failures the objective allows, in parts of a million.
    pub allowed_ppm: u64,
    /// Events of the last 30 days.
    pub tally: Tally,
    /// How much of the 30 days the events are from.
    pub covered_ms: u64,
}

/// The budget as shown (specification 2.7). Minutes are those of an outage of everything that would have failed as much.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, JsonSchema)]
pub struct BudgetView {
    /// Minutes of outage 30 days may have.
    pub monthly_downtime_minutes: f64,
    /// Minutes used; null where nothing has happened within 30 days.
    pub consumed_minutes: Option<f64>,
    /// Minutes left; null where nothing has happened.
    pub remaining_minutes: Option<f64>,
    /// How it stands; null where nothing has happened.
    pub status: Option<Status>,
    /// Turns of the last 30 days that ended well.
    pub good: u64,
    /// Turns of the last 30 days that failed.
    pub bad: u64,
}

impl Budget {
    /// Milliseconds of outage that are allowed.
    #[must_use]
    pub fn allowed_ms(&self) -> u64 {
        BUDGET_MS.saturating_mul(self.allowed_ppm) / MILLION
    }

    /// Milliseconds of outage the failures come to: their share of the time the events are from. `None` without events.
    #[must_use]
    pub fn consumed_ms(&self) -> Option<u64> {
        let consumed = u128::from(self.tally.bad).saturating_mul(u128::from(self.covered_ms));
        consumed.checked_div(u128::from(self.tally.total())).map(|ms| u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// How it stands; `None` without events.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let consumed = self.consumed_ms()?;
        let is_used_up = consumed >= self.allowed_ms() && self.tally.bad > 0;
        Some(if is_used_up && self.tally.bad >= EXHAUSTING_FAILURES_MIN {
            Status::Exhausted
        } else if is_used_up || self.has_used(consumed, WARNING_PERCENT) {
            Status::Warning
        } else {
            Status::Healthy
        })
    }

    /// Whether a freeze that this budget began may end. Without events nothing is known against it any more.
    #[must_use]
    pub fn may_thaw(&self) -> bool {
        self.consumed_ms().is_none_or(|consumed| {
            self.status() != Some(Status::Exhausted) && !self.has_used(consumed, THAWING_PERCENT)
        })
    }

    fn has_used(&self, consumed_ms: u64, percent: u64) -> bool {
        self.tally.bad > 0 && u128::from(consumed_ms) * 100 >= u128::from(self.allowed_ms()) * u128::from(percent)
    }

    /// As shown.
    #[must_use]
    pub fn view(&self) -> BudgetView {
        let minutes = |ms: u64| ms as f64 / MINUTE_MS;
        let consumed = self.consumed_ms();
        BudgetView {
            monthly_downtime_minutes: minutes(self.allowed_ms()),
            consumed_minutes: consumed.map(minutes),
            remaining_minutes: consumed.map(|consumed| minutes(self.allowed_ms().saturating_sub(consumed))),
            status: self.status(),
            good: self.tally.good,
            bad: self.tally.bad,
        }
    }
}

/// The share of failures an availability allows, in parts of a million.
#[must_use]
pub fn allowed_ppm(availability: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share, checked to be 0 to 1")]
    let allowed = ((1.0 - availability.clamp(0.0, 1.0)) * MILLION as f64).round() as u64;
    allowed
}
