//! ISO weeks in UTC: names sort as weeks follow each other.
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The week a time is in, such as `2026-W48`. Weeks begin on Monday; the first of a year is the one with its first Thursday.
#[must_use]
pub fn week_of(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    let week = time.to_zoned(TimeZone::UTC).date().iso_week_date();
    format!("{:04}-W{:02}", week.year(), week.week())
}

/// True for a text that has the form of a week's name.
#[must_use]
pub fn is_week(text: &str) -> bool {
    let is_number = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once("-W").is_some_and(|(year, week)| is_number(year, 4) && is_number(week, 2))
}
