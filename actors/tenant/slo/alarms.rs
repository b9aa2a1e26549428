//! When a service level is being lost so fast that somebody is to know. Pure.
//!
//! The pairs of windows are those of the SRE workbook for 30 days. An alarm is raised where, in both of its windows, failures
//! are so many times what the objective allows, and its [`Gate`] says that this is no chance. It ends where the short window
//! has events and not so many failures, or where the long one has nothing left: a time without events is no recovery.
use super::gate::{ALLOWED_PPM_MIN, Gate};
use super::windows::{Tally, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Slots of a short window.
const SHORT_SLOTS: u64 = 30;
const MILLION: u64 = 1_000_000;
const TENTHS: u64 = 10;

/// Who is to be told, and how soon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody, now.
    Page,
    /// Somebody, on the next working day.
    Ticket,
}

/// One pair of windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// Stable name.
    pub name: &'static str,
    /// Times the allowed share of failures, in tenths.
    pub burn_tenths: u64,
    /// Milliseconds of the long window.
    pub long_ms: u64,
    /// Milliseconds of the short window.
    pub short_ms: u64,
    /// Times the allowed share that chance is held against, in tenths. No evidence tells the allowed share from itself: where
    /// the alarm is for just that, against twice as much.
    pub worse_tenths: u64,
    /// Who is told.
    pub severity: Severity,
}

/// The pairs of the SRE workbook.
pub const PAIRS: [Pair; 3] = [
    Pair {
        name: "burn_14x",
        burn_tenths: 144,
        long_ms: HOUR_MS,
        short_ms: 5 * MINUTE_MS,
        worse_tenths: 144,
        severity: Severity::Page,
    },
    Pair {
        name: "burn_6x",
        burn_tenths: 60,
        long_ms: 6 * HOUR_MS,
        short_ms: 30 * MINUTE_MS,
        worse_tenths: 60,
        severity: Severity::Page,
    },
    Pair {
        name: "burn_1x",
        burn_tenths: 10,
        long_ms: 3 * DAY_MS,
        short_ms: 6 * HOUR_MS,
        worse_tenths: 20,
        severity: Severity::Ticket,
    },
];

/// So many times the allowed share. At a lax objective, where that would be more than can fail, half of what lies above it.
fn share_ppm(tenths: u64, allowed_ppm: u64) -> u64 {
    (allowed_ppm.saturating_mul(tenths) / TENTHS).min(allowed_ppm.saturating_add(MILLION) / 2)
}

/// What has become of an alarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Which.
    pub pair: &'static Pair,
    /// Raised, or ended.
    pub is_raised: bool,
    /// Since when it stands, or stood.
    pub since_unix_ms: u64,
    /// Events of the long window.
    pub long: Tally,
    /// Events of the short window.
    pub short: Tally,
}

#[derive(Clone, PartialEq, Debug)]
struct Alarm {
    pair: &'static Pair,
    share_ppm: u64,
    long: Window,
    short: Window,
    gate: Gate,
    raised_unix_ms: Option<u64>,
}

impl Alarm {
    fn new(pair: &'static Pair, allowed_ppm: u64) -> Self {
        let slot_ms = pair.short_ms / SHORT_SLOTS;
        // nothing is evidence against a share of nothing
        let judged_ppm = allowed_ppm.max(ALLOWED_PPM_MIN);
        Self {
            pair,
            share_ppm: share_ppm(pair.burn_tenths, allowed_ppm),
            long: Window::new(slot_ms, pair.long_ms / slot_ms),
            short: Window::new(slot_ms, SHORT_SLOTS),
            gate: Gate::new(share_ppm(pair.worse_tenths, judged_ppm), judged_ppm),
            raised_unix_ms: None,
        }
    }

    fn pass(&mut self, now_unix_ms: u64) {
        self.long.pass(now_unix_ms);
        self.short.pass(now_unix_ms);
        self.gate.pass(now_unix_ms);
    }

    fn is_burning(&self, tally: Tally) -> bool {
        tally.bad > 0 && tally.bad.saturating_mul(MILLION) >= tally.total().saturating_mul(self.share_ppm)
    }

    fn look(&mut self, now_unix_ms: u64) -> Option<Change> {
        let (long, short) = (self.long.sum(), self.short.sum());
        let change = |is_raised, since_unix_ms| Change { pair: self.pair, is_raised, since_unix_ms, long, short };
        match self.raised_unix_ms {
            None if self.is_burning(short) && self.is_burning(long) && self.gate.is_open() => {
                let raised = change(true, now_unix_ms);
                self.raised_unix_ms = Some(now_unix_ms);
                Some(raised)
            }
            Some(since) if (short.total() > 0 && !self.is_burning(short)) || long.total() == 0 => {
                let ended = change(false, since);
                self.raised_unix_ms = None;
                // what was seen has been told; the next alarm is about something new
                self.gate.forget();
                Some(ended)
            }
            _ => None,
        }
    }
}

/// The alarms of one tenant.
#[derive(Clone, PartialEq, Debug)]
pub struct Alarms {
    allowed_ppm: u64,
    alarms: Vec<Alarm>,
}

impl Alarms {
    /// Nothing was seen. `allowed_ppm` is the share of failures the objective allows, in parts of a million.
    #[must_use]
    pub fn new(allowed_ppm: u64) -> Self {
        Self { allowed_ppm, alarms: PAIRS.iter().map(|pair| Alarm::new(pair, allowed_ppm)).collect() }
    }

    /// Holds what happens from now on against another objective. What was counted stays counted; evidence against the old one
    /// says nothing about the new one.
    pub fn adopt(&mut self, allowed_ppm: u64) {
        if allowed_ppm == self.allowed_ppm {
            return;
        }
        self.allowed_ppm = allowed_ppm;
        for alarm in &mut self.alarms {
            let fresh = Alarm::new(alarm.pair, allowed_ppm);
            (alarm.share_ppm, alarm.gate) = (fresh.share_ppm, fresh.gate);
        }
    }

    /// Counts what is known from before this process, an hour at a time: in the windows that are long enough for that.
    pub fn remember(&mut self, tally: Tally, at_unix_ms: u64) {
        for alarm in self.alarms.iter_mut().filter(|alarm| alarm.pair.long_ms >= DAY_MS) {
            alarm.long.note(tally, at_unix_ms);
        }
    }

    /// Counts events that all ended alike, and says what follows. Only a failure raises an alarm, or the time.
    pub fn note(&mut self, tally: Tally, now_unix_ms: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        for alarm in &mut self.alarms {
            alarm.long.note(tally, now_unix_ms);
            alarm.short.note(tally, now_unix_ms);
            alarm.gate.pass(now_unix_ms);
            alarm.gate.weigh(tally.good, tally.bad);
            if tally.bad > 0 || alarm.raised_unix_ms.is_some() {
                changes.extend(alarm.look(now_unix_ms));
            }
        }
        changes
    }

    /// Time went by.
    pub fn pass(&mut self, now_unix_ms: u64) -> Vec<Change> {
        let look = |alarm: &mut Alarm| {
            alarm.pass(now_unix_ms);
            alarm.look(now_unix_ms)
        };
        self.alarms.iter_mut().filter_map(look).collect()
    }

    /// The alarms that stand, and since when.
    pub fn raised(&self) -> impl Iterator<Item = (&'static Pair, u64)> {
        self.alarms.iter().filter_map(|alarm| Some((alarm.pair, alarm.raised_unix_ms?)))
    }

    /// True where nothing follows from time alone: without an event none is raised.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.raised().next().is_none()
    }

    /// Whether a plain burn rate, without evidence, would raise an alarm of this severity now.
    #[cfg(test)]
    pub(crate) fn is_burning_somewhere(&self, severity: Severity) -> bool {
        let burns = |alarm: &Alarm| alarm.is_burning(alarm.long.sum()) && alarm.is_burning(alarm.short.sum());
        self.alarms.iter().any(|alarm| alarm.pair.severity == severity && burns(alarm))
    }
}
