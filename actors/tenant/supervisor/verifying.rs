//! The journal read once more, record by record, and held against the head that is signed: in portions, beside everything
//! else the tenant does.
use super::actor::Supervisor;
use super::opening::on_derived;
use crate::proofs::messages::{JournalVerified, VerifyJournal};
use crate::quality::messages::ReadQuality;
use crate::quality::rules::view;
use actix::prelude::*;
use bailiwick_kernel::fabric::chain;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use std::sync::{Arc, Mutex, PoisonError};

/// Records read at once.
const RECORDS_AT_ONCE: usize = 256;
/// The whole journal is read again after this; until then only what has come since.
const WHOLE_AFTER_MS: u64 = 24 * 3_600 * 1_000;
const DAY_MS: u64 = 86_400_000;

/// How far the journal has been read, and when that began at its first record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    head: chain::Head,
    whole_unix_ms: u64,
}

/// The same for every incarnation.
pub(super) type SharedReached = Arc<Mutex<Option<Reached>>>;

/// Where reading goes on: behind what was read within a day, or at the first record.
fn begin(reached: Option<Reached>, journal: &Journal, now_unix_ms: u64) -> Reached {
    let recent = reached.filter(|reached| now_unix_ms.saturating_sub(reached.whole_unix_ms) < WHOLE_AFTER_MS);
    recent.unwrap_or(Reached { head: chain::Head::genesis(journal.tenant()), whole_unix_ms: now_unix_ms })
}

/// Reads up to the given number of records; what is wrong with the first one that does not follow. Blocking.
fn read_on(journal: &Journal, mut reached: Reached, end: u64) -> (Reached, Option<String>) {
    while reached.head.next.0 < end {
        let left = usize::try_from(end.saturating_sub(reached.head.next.0)).unwrap_or(usize::MAX);
        let records = match journal.shown(reached.head.next, left.min(RECORDS_AT_ONCE)) {
            Ok(records) if records.is_empty() => {
                return (reached, Some(format!("there is no record {} of {end}", reached.head.next.0)));
            }
            Ok(records) => records,
            Err(error) => return (reached, Some(error.to_string())),
        };
        for record in records {
            if record.position != reached.head.next || record.previous != reached.head.hash {
                return (reached, Some(format!("record {} does not follow the one before it", record.position.0)));
            }
            let hash = record.chain_hash(journal.tenant().as_bytes());
            reached.head = chain::Head { next: Position(record.position.0.saturating_add(1)), hash };
        }
    }
    (reached, None)
}

impl Handler<VerifyJournal> for Supervisor {
    type Result = ();

    fn handle(&mut self, VerifyJournal { reply }: VerifyJournal, _: &mut Self::Context) {
        let Some(opened) = &self.opened else { return reply.answer(Err(Rejection::lost())) };
        let (derived, journal) = (Arc::clone(&opened.derived), opened.belongings.journal.clone());
        let (shared, now_unix_ms) = (Arc::clone(&self.reached), self.parts.clock.now_unix_ms());
        actix::spawn(async move {
            let outcome: Outcome<JournalVerified> = async {
                let folded =
                    on_derived(derived, |derived| derived.catch_up().map(|fold| (fold.next.0, fold.chain))).await;
                let (head, signed) = folded.map_err(|reason| super::audit::unreadable(&reason))?;
                let reading = bailiwick_kernel::residue::spawn_blocking(move || {
                    let before = *shared.lock().unwrap_or_else(PoisonError::into_inner);
                    let (reached, problem) = read_on(&journal, begin(before, &journal, now_unix_ms), head);
                    // another reading may have gone further meanwhile: its head is later than the one signed then
                    let is_at_head = reached.head.next.0 == head;
                    let problem = problem.or_else(|| {
                        let differs = is_at_head && head > 0 && reached.head.hash != signed;
                        differs.then(|| "its records do not lead to the head that is signed".to_owned())
                    });
                    let kept = problem.is_none().then_some(reached);
                    *shared.lock().unwrap_or_else(PoisonError::into_inner) = kept;
                    let (records, whole_unix_ms) = (reached.head.next.0.min(head), reached.whole_unix_ms);
                    JournalVerified { records, head, problem, whole_unix_ms }
                });
                reading.await.map_err(|_panicked| Rejection::lost())
            }
            .await;
            reply.answer(outcome);
        });
    }
}

impl Handler<ReadQuality> for Supervisor {
    type Result = ();

    fn handle(&mut self, ReadQuality { reply }: ReadQuality, _: &mut Self::Context) {
        let Some(opened) = &self.opened else { return reply.answer(Err(Rejection::lost())) };
        let (derived, today) = (Arc::clone(&opened.derived), self.parts.clock.now_unix_ms() / DAY_MS);
        actix::spawn(async move {
            let read = on_derived(derived, move |derived| Ok(view(&derived.catch_up()?.quality, today))).await;
            reply.answer(read.map_err(|reason| super::audit::unreadable(&reason)));
        });
    }
}

#[cfg(test)]
#[path = "verifying_tests.rs"]
mod tests;
