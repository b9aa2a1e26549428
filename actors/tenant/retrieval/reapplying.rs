//! What was erased does not come back: the erasure ledger is applied to a journal that was put back from a backup, before
//! anybody is served from it.
use super::rules::{body_name, subjects};
use crate::entry::Entry;
use crate::erasures::records::ErasureAsked;
use crate::erasures::rules::removed_for;
use bailiwick_kernel::erasures::{Event, Mark, Of, TenantErasures};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::journal::JournalError;
use bailiwick_kernel::limits::DOCUMENTS_PER_REQUEST_MAX;
use bailiwick_kernel::shelf::Belongings;
use std::collections::{BTreeMap, HashMap};

/// Why requests that are open are asked for once more.
const BASIS: &str = "taken over from the erasure ledger";
/// Days within which they are due.
const DAYS: u32 = 30;

/// What the ledger says of one tenant.
#[derive(Default)]
struct Said {
    /// What was erased: by mark, the newest time up to which, and for which request.
    erased: HashMap<(Of, Mark), (u64, String)>,
    /// What was asked for.
    asked: BTreeMap<String, ErasureAsked>,
}

fn mark_of(written: &str) -> Option<Mark> {
    let mut mark = [0; 32];
    hex::decode_to_slice(written, &mut mark).ok()?;
    Some(Mark(mark))
}

impl Said {
    fn of(events: &[Event]) -> Self {
        let mut said = Self::default();
        for event in events {
            match event {
                Event::Erased { of, mark, request, stored_by_unix_ms } => {
                    let Some(mark) = mark_of(mark) else { continue };
                    let known = said.erased.entry((*of, mark)).or_insert((0, request.clone()));
                    if known.0 <= *stored_by_unix_ms {
                        *known = (*stored_by_unix_ms, request.clone());
                    }
                }
                Event::Asked { of, mark, request, stored_by_unix_ms } => {
                    let Some(mark) = mark_of(mark) else { continue };
                    said.asked.insert(
                        request.clone(),
                        ErasureAsked {
                            id: request.clone(),
                            of: *of,
                            mark,
                            basis: BASIS.to_owned(),
                            within_days: DAYS,
                            key_id: BASIS.to_owned(),
                            user_id: None,
                            at_unix_ms: *stored_by_unix_ms,
                        },
                    );
                }
                Event::TenantDestroyed => {}
            }
        }
        said
    }

    /// The request for which a document was erased, where it was.
    fn erased_for(&self, found: &Found, erasures: &TenantErasures, id: &str) -> Option<&str> {
        let names = found.subjects.iter().map(|subject| (Of::Subject, subject.as_str())).chain([(Of::Document, id)]);
        let erased = names.filter_map(|(of, name)| self.erased.get(&(of, erasures.mark(of, name))));
        erased.filter(|(by, _)| found.stored_unix_ms <= *by).map(|(_, request)| request.as_str()).next()
    }
}

/// A document of a journal.
struct Found {
    subjects: Vec<String>,
    stored_unix_ms: u64,
    record: Position,
    body: String,
}

/// Erases what the ledger says was erased, and asks again for what it says was asked for. Gives how many documents were
/// erased. Blocks while it reads.
///
/// # Errors
/// [`JournalError`].
pub async fn reapply(
    belongings: &Belongings,
    erasures: &TenantErasures,
    events: &[Event],
    now_unix_ms: u64,
) -> Result<usize, JournalError> {
    let mut said = Said::of(events);
    let mut documents: BTreeMap<String, Found> = BTreeMap::new();
    belongings.journal.replay(Position(0), |position, _hash, entry: Entry| match entry {
        Entry::DocumentAccepted(accepted) => {
            let found = Found {
                subjects: subjects(&accepted),
                stored_unix_ms: accepted.at_unix_ms,
                record: position,
                body: body_name(&accepted.id, &accepted.text_sha256),
            };
            documents.insert(accepted.id, found);
        }
        Entry::DocumentRemoved { id, .. } => {
            documents.remove(&id);
        }
        Entry::ErasureAsked(asked) => {
            said.asked.remove(&asked.id);
        }
        _ => {}
    })?;
    let (mut entries, mut records, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    entries.extend(said.asked.values().cloned().map(|asked| Entry::ErasureAsked(Box::new(asked))));
    let asked = entries.len();
    for (id, found) in &documents {
        if let Some(request) = said.erased_for(found, erasures, id) {
            let by = removed_for(if request.is_empty() { super::erasing::BY } else { request });
            entries.push(Entry::DocumentRemoved { id: id.clone(), at_unix_ms: now_unix_ms, by });
            records.push(found.record);
            bodies.push(found.body.clone());
        }
    }
    for portion in entries.chunks(DOCUMENTS_PER_REQUEST_MAX) {
        belongings.journal.append(portion).await?;
    }
    belongings.journal.shred(&records, &bodies)?;
    for body in bodies {
        belongings.journal.blob_delete(&body)?;
    }
    Ok(entries.len().saturating_sub(asked))
}
