//! Where the spend of a window is heading: the pace of the last complete days carried on to the window's end. Integers
//! throughout; says *unknown* rather than guess from too little.
//!
//! The pace of a day is a trimmed mean (the highest and the lowest day left out), so that one spike or one outage does
//! not bend it; with three weeks of history each weekday has a pace of its own. The interval is the normal one for a
//! sum of independent days: 80 % lie within 1.28 standard deviations, and one is 1.25 mean absolute deviations, so the
//! margin is 1.6 mean absolute deviations times the root of the days to come.
use super::calendar::DAY_MS;
use bailiwick_kernel::money::NanoUsd;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Complete days looked back on, at most: four weeks.
pub const DAYS_LOOKED_BACK: u64 = 28;
/// Fewer complete days than this foretell nothing.
const DAYS_MIN: u64 = 3;
/// From here on every weekday has at least three days of its own.
const DAYS_FOR_WEEKDAYS: u64 = 21;
const WEEK: u64 = 7;
/// 1.28 standard deviations of a normal distribution in mean absolute deviations, in tenths.
const MARGIN_TENTHS: u128 = 16;

/// What a forecast is made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Past<'a> {
    /// Spent by UTC day (days since the epoch); a day that is missing cost nothing.
    pub by_day: &'a BTreeMap<u64, NanoUsd>,
    /// The first day anything was asked.
    pub first_day: Option<u64>,
    /// Spent in the window so far.
    pub spent: NanoUsd,
}

/// The forecast of one window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Forecast {
    /// When the window ends, RFC 3339.
    pub window_ends_at: String,
    /// Spent in the window so far.
    pub spent_usd: NanoUsd,
    /// The window's ceiling.
    pub limit_usd: NanoUsd,
    /// What follows.
    #[serde(flatten)]
    pub outlook: Outlook,
}

/// What follows from the past.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "outlook", rename_all = "snake_case")]
pub enum Outlook {
    /// There is too little to go by.
    Unknown {
        /// Why, in words.
        reason: String,
    },
    /// At the pace of the last complete days.
    Known {
        /// What the window will have cost.
        expected_usd: NanoUsd,
        /// Nine windows in ten end above this.
        low_usd: NanoUsd,
        /// Nine windows in ten end below this.
        high_usd: NanoUsd,
        /// When the ceiling is reached at this pace, RFC 3339; absent where that is not within the window.
        limit_reached_at: Option<String>,
        /// Complete days looked back on.
        days_looked_back: u64,
        /// True where every weekday has a pace of its own.
        by_weekday: bool,
    },
}

/// The pace of a tenant: what a day costs, by weekday where there is enough to tell them apart.
struct Pace {
    days: u64,
    by_weekday: bool,
    of_weekday: [u128; WEEK as usize],
    deviation: u128,
}

impl Pace {
    fn of(past: &Past<'_>, today: u64) -> Option<Self> {
        let from = past.first_day?.max(today.saturating_sub(DAYS_LOOKED_BACK));
        let days = today.saturating_sub(from);
        if days < DAYS_MIN {
            return None;
        }
        let cost = |day: u64| past.by_day.get(&day).map_or(0, |amount| u128::from(amount.0));
        let by_weekday = days >= DAYS_FOR_WEEKDAYS;
        let of_weekday: [u128; WEEK as usize] = std::array::from_fn(|weekday| {
            let is_alike = |day: &u64| !by_weekday || usize::try_from(day % WEEK).is_ok_and(|other| other == weekday);
            trimmed_mean((from..today).filter(is_alike).map(cost).collect())
        });
        let mut pace = Self { days, by_weekday, of_weekday, deviation: 0 };
        let sum: u128 = (from..today).map(|day| cost(day).abs_diff(pace.day(day))).sum();
        pace.deviation = sum.checked_div(u128::from(days)).unwrap_or(0);
        Some(pace)
    }

    fn day(&self, day: u64) -> u128 {
        let weekday = usize::try_from(day % WEEK).unwrap_or(0);
        self.of_weekday.get(weekday).copied().unwrap_or(0)
    }
}

/// The mean without the highest and the lowest, where at least three are given.
fn trimmed_mean(mut costs: Vec<u128>) -> u128 {
    costs.sort_unstable();
    let kept = if costs.len() >= 3 { costs.get(1..costs.len().saturating_sub(1)).unwrap_or(&[]) } else { &costs };
    let count = u128::try_from(kept.len()).unwrap_or(u128::MAX);
    kept.iter().sum::<u128>().checked_div(count).unwrap_or(0)
}

fn money(nano: u128) -> NanoUsd {
    NanoUsd(u64::try_from(nano).unwrap_or(u64::MAX))
}

/// Carries the pace on to the end of a window of whole UTC days that holds `now`.
#[must_use]
pub fn forecast(past: &Past<'_>, window: Range<u64>, limit: NanoUsd, now_unix_ms: u64) -> Forecast {
    let outlook = Pace::of(past, now_unix_ms / DAY_MS).map_or_else(
        || Outlook::Unknown { reason: format!("fewer than {DAYS_MIN} complete days have been seen") },
        |pace| outlook(past.spent, &pace, window.end, limit, now_unix_ms),
    );
    let window_ends_at = bailiwick_kernel::clock::rfc3339(window.end.saturating_mul(DAY_MS));
    Forecast { window_ends_at, spent_usd: past.spent, limit_usd: limit, outlook }
}

fn outlook(spent: NanoUsd, pace: &Pace, ends: u64, limit: NanoUsd, now_unix_ms: u64) -> Outlook {
    let (spent, limit) = (u128::from(spent.0), u128::from(limit.0));
    let mut expected = spent;
    let mut reached = (spent >= limit).then_some(now_unix_ms);
    let mut from_ms = now_unix_ms;
    while from_ms < ends.saturating_mul(DAY_MS) {
        let day = from_ms / DAY_MS;
        let until_ms = day.saturating_add(1).saturating_mul(DAY_MS);
        let still_ms = u128::from(until_ms.saturating_sub(from_ms));
        let coming = pace.day(day).saturating_mul(still_ms) / u128::from(DAY_MS);
        if reached.is_none() && coming > 0 && expected.saturating_add(coming) >= limit {
            let after_ms = limit.saturating_sub(expected).saturating_mul(still_ms) / coming;
            reached = Some(from_ms.saturating_add(u64::try_from(after_ms).unwrap_or(u64::MAX)));
        }
        expected = expected.saturating_add(coming);
        from_ms = until_ms;
    }
    let margin = margin(pace.deviation, ends.saturating_mul(DAY_MS).saturating_sub(now_unix_ms));
    Outlook::Known {
        expected_usd: money(expected),
        low_usd: money(expected.saturating_sub(margin).max(spent)),
        high_usd: money(expected.saturating_add(margin)),
        limit_reached_at: reached.map(bailiwick_kernel::clock::rfc3339),
        days_looked_back: pace.days,
        by_weekday: pace.by_weekday,
    }
}

/// 1.6 mean absolute deviations times the root of the days to come; the root is taken of milliseconds.
fn margin(deviation: u128, to_come_ms: u64) -> u128 {
    let root_of_days_thousandths = (u128::from(to_come_ms).saturating_mul(1_000_000) / u128::from(DAY_MS)).isqrt();
    deviation.saturating_mul(root_of_days_thousandths).saturating_mul(MARGIN_TENTHS) / 10_000
}
