//! Lineage that another system wrote: brought in one portion at a time, and told beside what this journal proves.
use super::actor::Supervisor;
use super::audit::{failed, unreadable};
use super::derived_keys::key_of_imported;
use super::lineage::{Derived, DerivedError};
use super::lineage_forms::imported_of;
use super::messages::{Lineage, LineageOfRecord};
use super::opening::on_derived;
use crate::entry::Entry;
use crate::imports::messages::{ImportLineage, ImportView};
use crate::imports::records::{ImportedLines, LineageImport};
use crate::imports::rules::{Imports, decide};
use actix::prelude::*;
use bailiwick_kernel::ids::{Position, QueryId};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_kernel::shelf::Key;
use bailiwick_policy::sovereignty::Flow;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

/// Records that are looked at for one question of another system.
const RECORDS_OF_QUERY_MAX: usize = 1_024;

/// Steps of imports of one tenant that are under way or wait, at most.
const STEPS_MAX: usize = 64;

/// Whose turn it is: one at a time, because a portion is judged by what the one before it left in the journal.
#[derive(Debug)]
pub(super) struct Importing {
    places: Semaphore,
    turn: Mutex<()>,
}

impl Default for Importing {
    fn default() -> Self {
        Self { places: Semaphore::new(STEPS_MAX), turn: Mutex::new(()) }
    }
}

impl Importing {
    async fn turn(&self) -> Outcome<(SemaphorePermit<'_>, MutexGuard<'_, ()>)> {
        let place = self.places.try_acquire().map_err(|_full| {
            let detail = "importing lineage: as many portions as one tenant may have are under way; try again shortly";
            Rejection::retry_after(Code::Overloaded, detail, 250)
        })?;
        Ok((place, self.turn.lock().await))
    }
}

/// Where the lines of a record are to be found, by question.
pub(super) fn stands(position: Position, entry: &Entry) -> impl Iterator<Item = Key> {
    let lines = match entry {
        Entry::LineageImported(import) => lines_of(import).map(|lines| lines.lines.as_slice()).unwrap_or_default(),
        _ => &[],
    };
    let queries: BTreeSet<&str> = lines.iter().map(|line| line.said.query_id.as_str()).collect();
    queries.into_iter().map(|query_id| key_of_imported(query_id, Some(position))).collect::<Vec<_>>().into_iter()
}

fn lines_of(import: &LineageImport) -> Option<&ImportedLines> {
    match import {
        LineageImport::Lines(lines) => Some(lines),
        LineageImport::Withdrawn { .. } | LineageImport::Kept { .. } => None,
    }
}

/// The lines of a record, each for itself; nothing where their import was taken back.
pub(super) fn told(
    tenant_name: &str,
    imports: &Imports,
    position: Position,
    hash: &[u8; 32],
    import: &LineageImport,
) -> Vec<LineageOfRecord> {
    let Some(record) = lines_of(import).filter(|record| imports.shows(position, record)) else { return Vec::new() };
    let lines = imported_of(tenant_name, position, hash, record);
    lines.into_iter().map(|line| LineageOfRecord { asked_unix_ms: None, lines: vec![line] }).collect()
}

impl Derived {
    /// Everything the journal holds about one question: the answer it recorded, and lines of a question of that name that were
    /// brought in.
    pub(super) fn lineage_or_imported(
        &mut self,
        tenant_name: &str,
        query_id: &str,
    ) -> Result<Option<Lineage>, DerivedError> {
        let own = match QueryId::parse(query_id) {
            Some(query) => self.lineage(tenant_name, query)?,
            None => None,
        };
        self.catch_up()?;
        let mut imported = Vec::new();
        for (key, ()) in self.shelf().scan::<()>(&key_of_imported(query_id, None), None, RECORDS_OF_QUERY_MAX)? {
            let Some(position) = key.last_number().map(Position) else { continue };
            let Some((hash, Entry::LineageImported(import))) = self.journal().entry::<Entry>(position)? else {
                continue;
            };
            let lines = told(tenant_name, &self.fold().imports, position, &hash, &import).into_iter();
            imported.extend(lines.flat_map(|record| record.lines).filter(|line| line.query_id == query_id));
        }
        Ok(match (own, imported.first()) {
            (Some(mut own), _) => {
                own.lines.append(&mut imported);
                Some(own)
            }
            (None, Some(first)) => {
                let (seq, hash) = (first.seq, first.hash.clone());
                Some(Lineage {
                    record: None,
                    seq,
                    hash,
                    lines: imported,
                    feedback: Vec::new(),
                    found: None,
                    ranked: None,
                    conversation: None,
                })
            }
            (None, None) => None,
        })
    }
}

impl Handler<ImportLineage> for Supervisor {
    type Result = ();

    fn handle(&mut self, ImportLineage { step, by, reply }: ImportLineage, _: &mut Self::Context) {
        let kept_here = self.egress.clear_here(Flow::Store);
        let opened = self.opened.as_ref();
        let asked = opened.map(|opened| (Arc::clone(&opened.derived), opened.belongings.journal.clone()));
        let (name, at_unix_ms) = (self.parts.name.clone(), self.parts.clock.now_unix_ms());
        let importing = Arc::clone(&self.importing);
        actix::spawn(async move {
            let outcome: Outcome<ImportView> = async {
                kept_here?;
                let (derived, journal) = asked.ok_or_else(Rejection::lost)?;
                let _turn = importing.turn().await?;
                let decided = on_derived(derived, move |derived| {
                    Ok(decide(&derived.catch_up()?.imports, &name, step, &by, at_unix_ms))
                });
                let decided = decided.await.map_err(|reason| unreadable(&reason))??;
                if !decided.entries.is_empty() {
                    let appended = journal.append(&decided.entries).await;
                    appended.map_err(|error| failed(&journal, &error))?;
                }
                Ok(decided.view)
            }
            .await;
            reply.answer(outcome);
        });
    }
}
