//! Calendar windows in an IANA zone. Pure: a time and a zone in, the stretch of time around it out. The start of a
//! window is part of every counter's key, so that a late record cannot touch another window and a clock that goes back
//! finds the window it left.
use bailiwick_policy::schema::Window;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// A stretch of time: from its start up to, and without, its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Stretch {
    /// First millisecond.
    pub starts_unix_ms: u64,
    /// First millisecond after it.
    pub ends_unix_ms: u64,
}

impl Stretch {
    /// True where the time lies inside.
    #[must_use]
    pub fn holds(&self, unix_ms: u64) -> bool {
        (self.starts_unix_ms..self.ends_unix_ms).contains(&unix_ms)
    }
}

/// The calendar of one budget; remembers the windows it was last asked for, which are nearly always the present ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    zone: TimeZone,
    last: [Stretch; 3],
}

impl Calendar {
    /// A calendar of the zone.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, last: [Stretch::default(); 3] }
    }

    /// The window around a time.
    pub fn window(&mut self, window: Window, at_unix_ms: u64) -> Stretch {
        let [hour, day, month] = &mut self.last;
        let known = match window {
            Window::Hour => hour,
            Window::Day => day,
            Window::Month => month,
        };
        if !known.holds(at_unix_ms) {
            *known = stretch(window, at_unix_ms, &self.zone);
        }
        *known
    }
}

/// The window around a time, reckoned anew.
#[must_use]
pub fn stretch(window: Window, at_unix_ms: u64, zone: &TimeZone) -> Stretch {
    let time = i64::try_from(at_unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let local = time.unwrap_or(Timestamp::MAX).to_zoned(zone.clone());
    let bounds = match window {
        Window::Hour => hour(&local),
        Window::Day => local.start_of_day().and_then(|start| Ok((start.clone(), start.tomorrow()?.start_of_day()?))),
        Window::Month => local.first_of_month().and_then(|first| first.start_of_day()).and_then(|start| {
            let next = start.checked_add(1.month())?.first_of_month()?.start_of_day()?;
            Ok((start, next))
        }),
    };
    // the calendar ends in the year 9999: whatever lies beyond is one window without an end
    let (starts, ends) = bounds.map_or((0, u64::MAX), |(start, end)| (unix_ms(&start), unix_ms(&end)));
    Stretch { starts_unix_ms: starts, ends_unix_ms: ends }
}

/// The hour of the wall clock, cut where the clock is changed: an hour that comes twice is two windows.
fn hour(local: &Zoned) -> Result<(Zoned, Zoned), jiff::Error> {
    let (zone, now) = (local.time_zone(), local.timestamp());
    let into_the_hour = i64::from(local.minute()) * 60 + i64::from(local.second());
    let starts = Timestamp::from_second(now.as_second().saturating_sub(into_the_hour))?;
    let ends = Timestamp::from_second(starts.as_second().saturating_add(3_600))?;
    let just_after = now.checked_add(1.nanosecond())?;
    let last_change = zone.preceding(just_after).next().map_or(starts, |change| change.timestamp());
    let next_change = zone.following(now).next().map_or(ends, |change| change.timestamp());
    Ok((starts.max(last_change).to_zoned(zone.clone()), ends.min(next_change).to_zoned(zone.clone())))
}

fn unix_ms(time: &Zoned) -> u64 {
    u64::try_from(time.timestamp().as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZONES: [&str; 12] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Chatham",
        "Africa/Casablanca",
        "America/St_Johns",
        "Asia/Tehran",
    ];

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn local(unix_ms: u64, zone: &TimeZone) -> Zoned {
        Timestamp::from_millisecond(i64::try_from(unix_ms).unwrap()).unwrap().to_zoned(zone.clone())
    }

    fn at(text: &str) -> u64 {
        unix_ms(&text.parse::<Zoned>().unwrap())
    }

    fn hours(stretch: Stretch) -> u64 {
        (stretch.ends_unix_ms - stretch.starts_unix_ms) / 3_600_000
    }

    #[test]
    fn days_have_the_hours_the_clock_gives_them() {
        let berlin = zone("Europe/Berlin");
        for (day, expected) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24), ("2028-02-29", 24)] {
            let noon = at(&format!("{day}T12:00:00[Europe/Berlin]"));
            assert_eq!(hours(stretch(Window::Day, noon, &berlin)), expected, "{day}");
        }
        let february = stretch(Window::Month, at("2028-02-29T23:59:59[Europe/Berlin]"), &berlin);
        assert_eq!((february.starts_unix_ms, hours(february)), (at("2028-02-01T00:00:00[Europe/Berlin]"), 29 * 24));
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_windows() {
        let berlin = zone("Europe/Berlin");
        let first = stretch(Window::Hour, at("2026-10-25T02:30:00+02:00[Europe/Berlin]"), &berlin);
        let second = stretch(Window::Hour, at("2026-10-25T02:30:00+01:00[Europe/Berlin]"), &berlin);
        assert_eq!(first.ends_unix_ms, second.starts_unix_ms);
        assert_eq!((hours(first), hours(second)), (1, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40_000))]

        /// A window holds the times that read the same on the calendar, all of them and no others. From 2012 on: before, a
        /// clock in Newfoundland went back over midnight, and a day came in two pieces.
        #[test]
        fn a_window_is_what_the_calendar_calls_one(
            at_unix_ms in 1_325_376_000_000_u64..2_524_608_000_000, which in 0..ZONES.len(), inside in 0.0..1.0_f64,
        ) {
            let zone = zone(ZONES[which]);
            for window in [Window::Hour, Window::Day, Window::Month] {
                let name = |unix_ms: u64| {
                    let local = local(unix_ms, &zone);
                    match window {
                        Window::Hour => (local.year(), local.month(), local.day(), local.hour(), local.offset().seconds() / 1_800),
                        Window::Day => (local.year(), local.month(), local.day(), 0, 0),
                        Window::Month => (local.year(), local.month(), 0, 0, 0),
                    }
                };
                let found = stretch(window, at_unix_ms, &zone);
                prop_assert!(found.holds(at_unix_ms), "{window:?} {}", ZONES[which]);
                let width = found.ends_unix_ms - found.starts_unix_ms;
                let other = found.starts_unix_ms + (inside * width as f64) as u64;
                prop_assert_eq!(stretch(window, other, &zone), found, "every time inside finds the same window");
                prop_assert_ne!(name(found.starts_unix_ms - 1), name(at_unix_ms), "{:?} {} starts late", window, ZONES[which]);
                prop_assert_ne!(name(found.ends_unix_ms), name(at_unix_ms), "{:?} {} ends early", window, ZONES[which]);
                prop_assert_eq!(name(found.starts_unix_ms), name(found.ends_unix_ms - 1));
            }
        }

        /// What is remembered is what would be reckoned.
        #[test]
        fn the_memory_changes_nothing(times in prop::collection::vec(1_700_000_000_000_u64..1_800_000_000_000, 1..40)) {
            let mut calendar = Calendar::new(zone("America/New_York"));
            for time in times {
                for window in [Window::Hour, Window::Day, Window::Month] {
                    prop_assert_eq!(calendar.window(window, time), stretch(window, time, &zone("America/New_York")));
                }
            }
        }
    }
}
