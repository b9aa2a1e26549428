//! When a head is due, and how long a place that failed is left alone.
use super::messages::Pace;
use bailiwick_tenant::proofs::extension::Taken;
use serde::{Deserialize, Serialize};

/// The first pause after a failure, and the longest.
pub const PAUSE_MS: u64 = 2_000;
const PAUSE_MS_MAX: u64 = 3_600_000;

/// What was published last of a journal at a place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Booked {
    /// The head.
    pub head: Taken,
    /// When.
    pub at_unix_ms: u64,
}

/// How a place has failed for a tenant.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pause {
    failures: u32,
    until_unix_ms: u64,
}

impl Pause {
    /// After one more failure.
    #[must_use]
    pub fn after_failure(self, now_unix_ms: u64) -> Self {
        let ms = PAUSE_MS.saturating_mul(1_u64.checked_shl(self.failures).unwrap_or(u64::MAX)).min(PAUSE_MS_MAX);
        Self { failures: self.failures.saturating_add(1), until_unix_ms: now_unix_ms.saturating_add(ms) }
    }

    /// True while it is left alone.
    #[must_use]
    pub fn is_on(self, now_unix_ms: u64) -> bool {
        now_unix_ms < self.until_unix_ms
    }
}

/// Whether a tenant is asked for its head: it costs a signature.
#[must_use]
pub fn is_worth_asking(pace: Pace, last: Option<&Booked>, now_unix_ms: u64) -> bool {
    pace.after_records.is_some() || last.is_none_or(|last| is_time(pace, last, now_unix_ms))
}

/// Whether a head of so many records goes now.
#[must_use]
pub fn is_due(pace: Pace, last: Option<&Booked>, size: u64, now_unix_ms: u64) -> bool {
    let Some(last) = last else { return size > 0 };
    let grown = size.saturating_sub(last.head.size);
    grown > 0 && (is_time(pace, last, now_unix_ms) || pace.after_records.is_some_and(|records| grown >= records))
}

fn is_time(pace: Pace, last: &Booked, now_unix_ms: u64) -> bool {
    now_unix_ms.saturating_sub(last.at_unix_ms) >= pace.every_ms
}

/// Of what the book says and what the place itself shows, what was published last: a place may have taken a head that the
/// book did not come to note, and a book may be older than the place.
#[must_use]
pub fn newer(book: Option<Booked>, place: Option<Taken>) -> Option<Booked> {
    match (book, place) {
        (Some(book), Some(place)) if place.size > book.head.size => {
            Some(Booked { head: place, at_unix_ms: book.at_unix_ms })
        }
        (Some(book), _) => Some(book),
        (None, place) => place.map(|head| Booked { head, at_unix_ms: 0 }),
    }
}
