//! The service level of one tenant: its error budget, its alarms, the latency of its answers, and whether anything new is
//! released (specification 2.7). The rules are pure; this is the place where the turns' many tasks note how they ended.
pub mod alarms;
pub mod budget;
pub mod gate;
pub mod latencies;
pub mod messages;
pub mod records;
pub mod rules;
#[cfg(test)]
mod tests;
pub mod windows;

use crate::entry::Entry;
use crate::service_level::rules::Ended;
use actix::Recipient;
use alarms::{Alarms, Change};
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::access::Principal;
use bailiwick_policy::schema::Objectives;
use budget::{Events, allowed_ppm};
use latencies::{Latencies, Sketch};
use messages::{AlarmView, Alarmed, KeepService, LatencyWindow, ServiceView};
use records::TurnsCounted;
use rules::{Frozen, OverrideWish, Releases, ServiceRecord};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use windows::Tally;

const MINUTE_MS: u64 = 60_000;
/// How often an alarm that stands is looked at …
const TICK: Duration = Duration::from_secs(10);
/// … and counts that are to be written, or a freeze that may end.
const MINUTE: Duration = Duration::from_secs(60);
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Slots of the hour, and of the day, that latencies are told of.
const HOUR_SLOTS: u64 = 12;
const DAY_SLOTS: u64 = 24;

/// The service level of one tenant, the same for all incarnations of its rooms.
#[derive(Debug)]
pub struct SharedService {
    book: Mutex<Book>,
    keeper: OnceLock<Recipient<KeepService>>,
}

#[derive(Debug)]
struct Book {
    allowed_ppm: u64,
    is_followed: bool,
    events: Events,
    /// Events that do not stand in the journal yet, and when the first of them happened.
    pending: Option<(Tally, u64)>,
    alarms: Alarms,
    hour: Latencies,
    day: Latencies,
    releases: Releases,
    /// What must stand in the journal at once.
    owed: Vec<Entry>,
}

/// What follows from something that happened.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Noted {
    /// Alarms that were raised, or ended.
    pub alarms: Vec<Alarmed>,
    /// The freeze, where it has begun or ended.
    pub releases: Option<Option<Frozen>>,
    /// Something is to be written down, or to be looked at later.
    pub is_owed: bool,
}

impl SharedService {
    /// Nothing is known.
    #[must_use]
    pub fn new(objectives: &Objectives) -> Self {
        let allowed_ppm = allowed_ppm(objectives.availability);
        let book = Book {
            allowed_ppm,
            is_followed: false,
            events: Events::default(),
            pending: None,
            alarms: Alarms::new(allowed_ppm),
            hour: Latencies::new(HOUR_MS / HOUR_SLOTS, HOUR_SLOTS),
            day: Latencies::new(HOUR_MS, DAY_SLOTS),
            releases: Releases::default(),
            owed: Vec::new(),
        };
        Self { book: Mutex::new(book), keeper: OnceLock::new() }
    }

    /// Where it is asked that something be kept at once.
    pub(crate) fn kept_by(&self, keeper: Recipient<KeepService>) {
        let _the_first_one_stays = self.keeper.set(keeper);
    }

    /// Asks for it.
    pub(crate) fn ask_to_keep(&self) {
        if let Some(keeper) = self.keeper.get() {
            // a supervisor that is busy looks again within a tick
            let _busy = bailiwick_kernel::mail::offer(keeper, KeepService);
        }
    }

    /// Goes on from what the journal says. Later on this knows more than the journal.
    pub(crate) fn follow(&self, record: &ServiceRecord, now_unix_ms: u64) {
        let mut book = self.lock();
        if std::mem::replace(&mut book.is_followed, true) {
            return;
        }
        let unknown = book.pending;
        book.events = record.events.clone();
        book.releases = record.releases.clone();
        let hours: Vec<_> = book.events.hours().collect();
        hours.into_iter().for_each(|(at_unix_ms, tally)| book.alarms.remember(tally, at_unix_ms));
        if let Some((tally, at_unix_ms)) = unknown {
            book.events.note(tally, at_unix_ms);
        }
        book.events.pass(now_unix_ms);
    }

    /// Judges by other objectives from now on.
    pub(crate) fn adopt(&self, objectives: &Objectives, now_unix_ms: u64) -> Noted {
        let mut book = self.lock();
        book.allowed_ppm = allowed_ppm(objectives.availability);
        let allowed_ppm = book.allowed_ppm;
        book.alarms.adopt(allowed_ppm);
        let releases = book.judge(now_unix_ms);
        book.noted(Vec::new(), releases, now_unix_ms)
    }

    /// Notes how a turn ended.
    pub fn note(&self, ended: Ended, now_unix_ms: u64) -> Noted {
        let mut book = self.lock();
        if let Ended::Answered { latency_ms } = ended {
            book.hour.note(latency_ms, now_unix_ms);
            book.day.note(latency_ms, now_unix_ms);
        }
        let tally = Tally::one(ended != Ended::Failed);
        book.events.note(tally, now_unix_ms);
        // the first of its minute is to be looked at later, and the first after it writes it down
        let is_due = book.pending.is_none_or(|(_, at_unix_ms)| is_over(at_unix_ms, now_unix_ms));
        book.pending.get_or_insert((Tally::default(), now_unix_ms)).0.add(tally);
        let changes = book.alarms.note(tally, now_unix_ms);
        let releases = if tally.bad > 0 { book.judge(now_unix_ms) } else { None };
        let noted = book.noted(changes, releases, now_unix_ms);
        Noted { is_owed: is_due || noted.is_owed, ..noted }
    }

    /// Time went by.
    pub(crate) fn pass(&self, now_unix_ms: u64) -> Noted {
        let mut book = self.lock();
        book.events.pass(now_unix_ms);
        book.hour.pass(now_unix_ms);
        book.day.pass(now_unix_ms);
        let changes = book.alarms.pass(now_unix_ms);
        let releases = book.judge(now_unix_ms);
        book.noted(changes, releases, now_unix_ms)
    }

    /// What is to be written now: counts of a minute that is over, and at once what begins or ends a freeze, with the counts
    /// it follows from.
    pub(crate) fn take_owed(&self, now_unix_ms: u64) -> Vec<Entry> {
        let mut book = self.lock();
        let is_due = !book.owed.is_empty() || book.pending.is_some_and(|(_, at)| is_over(at, now_unix_ms));
        if is_due { book.take_all() } else { Vec::new() }
    }

    /// All that is not written yet.
    pub(crate) fn take_all(&self) -> Vec<Entry> {
        self.lock().take_all()
    }

    /// What could not be written is owed again.
    pub(crate) fn give_back(&self, entries: Vec<Entry>) {
        let mut book = self.lock();
        for entry in entries.into_iter().rev() {
            match entry {
                Entry::TurnsCounted(counted) => {
                    let tally = Tally { good: counted.good, bad: counted.bad };
                    let pending = book.pending.get_or_insert((Tally::default(), counted.at_unix_ms));
                    pending.0.add(tally);
                    pending.1 = pending.1.min(counted.at_unix_ms);
                }
                other => book.owed.insert(0, other),
            }
        }
    }

    /// Somebody's word against a freeze, to be written down.
    ///
    /// # Errors
    /// `conflict`, `forbidden`.
    pub(crate) fn say(&self, wish: OverrideWish, by: &Principal, now_unix_ms: u64) -> Outcome<Entry> {
        self.lock().releases.say(wish, by, now_unix_ms)
    }

    /// Folds in what has become durable; the freeze as it stands then.
    pub(crate) fn apply(&self, entry: &Entry) -> Option<Frozen> {
        let mut book = self.lock();
        book.releases.apply(entry);
        book.releases.frozen()
    }

    /// The freeze, where there is one.
    #[must_use]
    pub fn frozen(&self) -> Option<Frozen> {
        self.lock().releases.frozen()
    }

    /// Whether nothing may be released now.
    #[must_use]
    pub fn is_frozen(&self, now_unix_ms: u64) -> bool {
        self.lock().releases.is_frozen(now_unix_ms)
    }

    /// When to look again; `None` where nothing follows from time alone, and nothing is owed.
    pub(crate) fn look_after(&self) -> Option<Duration> {
        let book = self.lock();
        if !book.alarms.is_at_rest() || !book.owed.is_empty() {
            return Some(TICK);
        }
        (book.pending.is_some() || book.releases.frozen().is_some()).then_some(MINUTE)
    }

    /// How it stands.
    #[must_use]
    pub fn view(&self, now_unix_ms: u64) -> ServiceView {
        let mut book = self.lock();
        book.events.pass(now_unix_ms);
        book.hour.pass(now_unix_ms);
        book.day.pass(now_unix_ms);
        let alarms = book.alarms.raised().map(|(pair, since_unix_ms)| AlarmView {
            name: pair.name,
            severity: pair.severity,
            since: rfc3339(since_unix_ms),
        });
        ServiceView {
            error_budget: book.events.budget(book.allowed_ppm, now_unix_ms).view(),
            alarms: alarms.collect(),
            releases: book.releases.view(now_unix_ms),
            windows: [("1h", book.hour.merged()), ("24h", book.day.merged())].iter().filter_map(window).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // nothing that can panic runs under the lock
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Begins or ends a freeze where the budget says so; told where it does.
    fn judge(&mut self, now_unix_ms: u64) -> Option<Option<Frozen>> {
        // what the journal says of a freeze has to be known first
        let budget = self.events.budget(self.allowed_ppm, now_unix_ms);
        let entry = self.releases.judge(budget, now_unix_ms).filter(|_| self.is_followed)?;
        self.releases.apply(&entry);
        self.owed.push(entry);
        Some(self.releases.frozen())
    }

    fn noted(&self, changes: Vec<Change>, releases: Option<Option<Frozen>>, at_unix_ms: u64) -> Noted {
        let alarmed = |change| Alarmed { change, allowed_ppm: self.allowed_ppm, at_unix_ms };
        Noted { alarms: changes.into_iter().map(alarmed).collect(), releases, is_owed: releases.is_some() }
    }

    fn take_all(&mut self) -> Vec<Entry> {
        let counted = self.pending.take().map(|(tally, at_unix_ms)| {
            Entry::TurnsCounted(TurnsCounted { good: tally.good, bad: tally.bad, at_unix_ms })
        });
        counted.into_iter().chain(std::mem::take(&mut self.owed)).collect()
    }
}

fn is_over(minute_unix_ms: u64, now_unix_ms: u64) -> bool {
    minute_unix_ms / MINUTE_MS != now_unix_ms / MINUTE_MS
}

fn window((name, sketch): &(&'static str, Sketch)) -> Option<LatencyWindow> {
    Some(LatencyWindow {
        window: name,
        count: sketch.count(),
        p50_ms: sketch.percentile_ms(500)?,
        p95_ms: sketch.percentile_ms(950)?,
        p99_ms: sketch.percentile_ms(990)?,
    })
}
