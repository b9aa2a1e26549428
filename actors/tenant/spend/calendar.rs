//! Days and months in UTC, as numbers and as they are written.
use jiff::civil::Date;
use std::ops::Range;

/// Milliseconds of a day.
pub const DAY_MS: u64 = 86_400_000;
const EPOCH: Date = jiff::civil::date(1970, 1, 1);

fn date(day: u64) -> Option<Date> {
    let days = i64::try_from(day).ok()?;
    EPOCH.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

fn day(date: Date) -> u64 {
    EPOCH.until(date).map_or(0, |span| u64::try_from(span.get_days()).unwrap_or(0))
}

/// A day (days since the epoch) as a date such as `2026-01-31`.
#[must_use]
pub fn date_of_day(day: u64) -> String {
    date(day).map_or_else(|| String::from("invalid"), |date| date.to_string())
}

/// The day a date such as `2026-01-31` names; `None` where it is no date since 1970.
#[must_use]
pub fn day_of_date(text: &str) -> Option<u64> {
    let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date: Date = text.parse().ok().filter(|date| is_plain && *date >= EPOCH)?;
    Some(day(date))
}

/// The days of the calendar month a day lies in: from its first one up to, not including, the next month's first.
#[must_use]
pub fn month_of_day(of: u64) -> Range<u64> {
    let Some(date) = date(of) else { return of..of.saturating_add(1) };
    let ends = date.last_of_month();
    day(date.first_of_month())..day(ends).saturating_add(1)
}
