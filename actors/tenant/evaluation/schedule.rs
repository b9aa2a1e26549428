//! When golden questions are due by themselves. Pure.
use bailiwick_policy::digest::place;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The key scheduled evaluations ask and pay under.
pub const SCHEDULE_KEY: &str = "evaluation-schedule";
const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// The golden questions of a due time are asked: stands in the journal before the first of them, so that no due time is asked
/// twice, whatever becomes of the process meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EvaluationBegun {
    /// Which due time.
    pub due_unix_ms: u64,
    /// When.
    pub at_unix_ms: u64,
}

/// How often a tenant is evaluated by itself, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleView {
    /// Hours from one due time to the next.
    pub every_hours: u32,
    /// The due time whose questions were asked last, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_due_at: Option<String>,
    /// The next one, RFC 3339: what is in the past is asked within a minute or two.
    pub next_due_at: String,
}

/// When a tenant is due next: the present period's time where its questions have not been asked, the next one otherwise.
/// Tenants are due at different minutes of their period, so that not all are at once. A period nobody was there for is left out.
#[must_use]
pub fn next_due(tenant: &str, every_hours: u32, last_due_unix_ms: Option<u64>, now_unix_ms: u64) -> u64 {
    let every_ms = u64::from(every_hours.max(1)).saturating_mul(HOUR_MS);
    let minutes = u32::try_from(every_ms / MINUTE_MS).unwrap_or(u32::MAX);
    let shift_ms = u64::from(place(&["evaluation", tenant], minutes)).saturating_mul(MINUTE_MS);
    let present = now_unix_ms.saturating_sub(shift_ms) / every_ms * every_ms + shift_ms;
    match last_due_unix_ms {
        Some(last) if last >= present => present.max(last).saturating_add(every_ms),
        _ => present,
    }
}

/// The time that is due now; nothing where its questions have been asked.
#[must_use]
pub fn due(tenant: &str, every_hours: u32, last_due_unix_ms: Option<u64>, now_unix_ms: u64) -> Option<u64> {
    let next = next_due(tenant, every_hours, last_due_unix_ms, now_unix_ms);
    (next <= now_unix_ms).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_764_000_000_000;

    #[test]
    fn the_first_is_due_at_once_and_each_period_once() {
        let first = due("acme", 24, None, NOW).unwrap();
        assert!(first <= NOW && NOW - first < 24 * HOUR_MS);
        assert_eq!(due("acme", 24, Some(first), NOW), None);
        assert_eq!(next_due("acme", 24, Some(first), NOW), first + 24 * HOUR_MS);
        assert_eq!(due("acme", 24, Some(first), first + 24 * HOUR_MS), Some(first + 24 * HOUR_MS));
        let late = first + 24 * HOUR_MS * 9 + 7;
        assert_eq!(due("acme", 24, Some(first), late), Some(late - 7), "what was missed is not made up for");
        assert_eq!(due("acme", 24, Some(first), first - 1), None, "nor does a clock that went back ask again");
        assert_ne!(due("acme", 24, None, NOW), due("beta", 24, None, NOW));
    }

    proptest! {
        #[test]
        fn no_due_time_comes_twice_however_often_and_at_whatever_pace_one_looks(
            steps in prop::collection::vec((0_u64..200, 1_u32..50), 1..200),
        ) {
            let (mut now, mut last, mut asked) = (NOW, None, std::collections::BTreeSet::new());
            for (minutes, every_hours) in steps {
                now += minutes * MINUTE_MS;
                if let Some(due) = due("t", every_hours, last, now) {
                    prop_assert!(due <= now && last.is_none_or(|last| due > last));
                    prop_assert!(asked.insert(due));
                    last = Some(due);
                }
                prop_assert_eq!(super::due("t", every_hours, last, now), None);
            }
        }
    }
}
