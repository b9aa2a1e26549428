//! The documents as the journal tells them: a shelf folded from the entries, and the bodies beside it. Blocking.
use super::absent::Absent;
use super::dense::mirrored::MirrorMark;
use super::dense::vectors::{DenseMark, JUDGED, LEARNT};
use super::rows::{Change, Found, Left, Row};
use super::rules::{Held, Mark, Verdict, body_name, may_be_found};
use crate::entry::{DocumentAccepted, Entry};
use crate::erasures::rules::Standing;
use crate::limits::storage::{Claim, Footprint, Storage};
use bailiwick_kernel::background::Turn;
use bailiwick_kernel::codec::CodecError;
use bailiwick_kernel::fabric::{AppendError, Blob};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::journal::{Journal, JournalError};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_kernel::shelf::{Belongings, Key, Shelf, ShelfError};
use bailiwick_policy::dense::{Judged, Learnt};
use bailiwick_policy::retention::Erasable;
use bailiwick_policy::visibility::Visible;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

mod erasures;

const SHELF: &str = "documents";
/// Documents by id.
const DOCUMENT: Key = Key::of("document");
/// Another name whenever the form of what is kept changes: the shelf is then folded anew.
const MARK: Key = Key::of("mark-3");
/// Requests for erasure by id, and the ids of those that are open.
const ERASURE: Key = Key::of("erasure");
const OPEN: Key = Key::of("open");
/// Documents gathered in a replay before they are written to the shelf.
const REPLAY_BATCH: usize = 1_024;
/// Versions whose bodies are looked for at the end of a replay.
const LEFT_MAX: usize = 65_536;

/// Why the room's state could not be read or written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TruthError {
    /// The journal or a body.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The shelf.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// A body that a record points to is not there.
    #[error("reading document {0}: its body is missing; restore it from a backup or send the document again")]
    Bodiless(String),
}

impl TruthError {
    /// True where this incarnation no longer owns the journal, or cannot know what stands in it: rebuild the rooms.
    #[must_use]
    pub fn ends_the_incarnation(&self) -> bool {
        matches!(self, Self::Journal(JournalError::Append(AppendError::Stale { .. } | AppendError::Unsure(_))))
    }
}

impl From<TruthError> for Rejection {
    fn from(error: TruthError) -> Self {
        match &error {
            TruthError::Journal(JournalError::Append(AppendError::Full(_))) => {
                Self::retry_after(Code::Overloaded, error.to_string(), 250)
            }
            TruthError::Journal(JournalError::Append(AppendError::TooLarge { .. })) => {
                Self::new(Code::TooLarge, error.to_string())
            }
            _ if error.ends_the_incarnation() => Self::lost(),
            _ => Self::new(Code::Internal, error.to_string()),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) enum Kept {
    Document(Box<Row>),
    Mark(Mark),
    Erasure(Box<Standing>),
    Open(String),
    Dense(Box<DenseMark>),
    /// Numbers of four bytes, least significant first.
    Vector(Vec<u8>),
    Judged(Box<Judged>),
    Learnt(Box<Learnt>),
    Mirror(Box<MirrorMark>),
    Waiting,
    /// Chunks of a version whose points have to go.
    Owed(u32),
}

/// The sums of what is kept, and what is reserved for what may be.
#[derive(Debug)]
struct Books {
    mark: Mark,
    storage: Storage,
}

/// The fold of one tenant's document entries.
#[derive(Debug)]
pub struct Truth {
    journal: Journal,
    pub(super) shelf: Shelf,
    books: Mutex<Books>,
    absent: Mutex<Absent>,
}

/// Judges a document by its record and text, for documents found in a replay.
pub type Judge<'a> = &'a dyn Fn(&DocumentAccepted, &str) -> Verdict;

impl Truth {
    /// Opens the shelf and folds into it what the journal has and it has not. A shelf that cannot be read is emptied
    /// and folded anew.
    ///
    /// # Errors
    /// [`TruthError`].
    pub fn open(belongings: &Belongings, judge: Judge<'_>) -> Result<Self, TruthError> {
        let shelf = belongings.shelf(SHELF)?;
        let mark = match shelf.get::<Kept>(&MARK) {
            Ok(Some(Kept::Mark(mark))) => mark,
            Ok(_) | Err(ShelfError::Cipher(_) | ShelfError::Codec(_)) => {
                shelf.clear()?;
                Mark::default()
            }
            Err(error) => return Err(error.into()),
        };
        let books = Mutex::new(Books { mark, storage: Storage::of_tenant(mark.bytes) });
        let truth = Self { journal: belongings.journal.clone(), shelf, books, absent: Mutex::default() };
        truth.fold(judge)?;
        Ok(truth)
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// How far the fold has come, and its sums.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.lock().mark
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads or changes what is reserved.
    pub fn with_storage<T>(&self, change: impl FnOnce(&mut Storage) -> T) -> T {
        change(&mut self.lock().storage)
    }

    /// Counts the bytes of domains and use cases from the shelf, once; from then on they are kept with every change.
    /// Nothing may change meanwhile: the caller holds the gate.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn count_levels(&self) -> Result<(), TruthError> {
        if self.with_storage(|storage| storage.counts_levels()) {
            return Ok(());
        }
        let mut found: Vec<Footprint> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let portion = self.list(after.as_deref(), REPLAY_BATCH)?;
            after = portion.last().map(|held| held.accepted.id.clone());
            found.extend(portion.iter().map(|held| Footprint::from(&held.accepted)));
            if portion.len() < REPLAY_BATCH {
                break;
            }
        }
        self.with_storage(|storage| storage.count_levels(found.into_iter()));
        Ok(())
    }

    fn fold(&self, judge: Judge<'_>) -> Result<(), TruthError> {
        let (mut found, mut left) = (Found::default(), Vec::new());
        let mut trouble = None;
        let mut changed = self.mark().changed;
        let mut visit = |position: Position, entry: Entry| {
            match entry {
                Entry::DocumentAccepted(accepted) => found.note(accepted.id.clone(), Some((accepted, position.0))),
                Entry::DocumentRemoved { id, .. } => found.note(id, None),
                Entry::ErasureAsked(asked) => {
                    let standing = Standing { asked: *asked, asked_at: position.0, ended: None };
                    return self.put_erasures(&[standing], Vec::new());
                }
                Entry::ErasureEnded(ended) => {
                    let Some(standing) = self.erasure(&ended.id)? else { return Ok(()) };
                    return self.put_erasures(&[Standing { ended: Some(ended), ..standing }], Vec::new());
                }
                Entry::DenseJudged(judged) => return Ok(self.shelf.put(&JUDGED, &Kept::Judged(judged))?),
                Entry::WeightLearnt(learnt) => return Ok(self.shelf.put(&LEARNT, &Kept::Learnt(learnt))?),
                _ => return Ok(()),
            };
            changed = position.next().0;
            if found.documents.len() < REPLAY_BATCH {
                return Ok(());
            }
            left.extend(self.fold_batch(std::mem::take(&mut found), changed, changed, judge)?);
            // those before them went when they were left, unless the shelf was lost with them
            left.drain(..left.len().saturating_sub(LEFT_MAX));
            Ok(())
        };
        let end = self.journal.replay(Position(self.mark().applied), |position, _hash, entry| {
            if trouble.is_none() {
                trouble = visit(position, entry).err();
            }
        })?;
        if let Some(error) = trouble {
            return Err(error);
        }
        if end.0 != self.mark().applied {
            left.extend(self.fold_batch(found, end.0, changed, judge)?);
        }
        // at the end alone: a later version may have the body of an earlier one
        self.forget_bodies(left)
    }

    fn fold_batch(&self, found: Found, applied: u64, changed: u64, judge: Judge<'_>) -> Result<Vec<Left>, TruthError> {
        let mut held = Vec::new();
        let mut gone = Vec::new();
        for (id, document) in found.documents {
            match document {
                Some((accepted, seq)) => {
                    let verdict = match self.text(&accepted) {
                        Ok(text) => judge(&accepted, &text),
                        Err(TruthError::Bodiless(_)) => {
                            Verdict { reason: Some("its body is missing".into()), ..Verdict::default() }
                        }
                        Err(error) => return Err(error),
                    };
                    held.push(Held { accepted, seq, verdict });
                }
                None => gone.push(id),
            }
        }
        let change = Change { held, removed: &gone, replaced: found.replaced, applied, changed };
        self.apply(change, &mut Claim::default())
    }

    fn absent(&self) -> MutexGuard<'_, Absent> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn row(&self, id: &str) -> Result<Option<Row>, TruthError> {
        Ok(match self.shelf.get::<Kept>(&key(id))? {
            Some(Kept::Document(row)) => Some(*row),
            _ => None,
        })
    }

    /// As [`Self::row`], for a document that is taken in: it is looked for more than once.
    fn row_of_former(&self, id: &str) -> Result<Option<Row>, TruthError> {
        let looked = {
            let absent = self.absent();
            if absent.has(id) {
                return Ok(None);
            }
            absent.moment()
        };
        let row = self.row(id)?;
        if row.is_none() {
            self.absent().note(id, looked);
        }
        Ok(row)
    }

    /// Writes the rows of documents, with whatever else changes in the same step.
    fn put_rows<'a>(
        &self,
        held: impl Iterator<Item = &'a Held> + Clone,
        more: Vec<(Key, Kept)>,
        removals: &[Key],
    ) -> Result<(), TruthError> {
        let puts: Vec<_> = held.clone().map(document).chain(more).collect();
        let applied = self.shelf.apply(&puts, removals);
        // also where that failed: they may be there
        self.absent().came(held.map(|held| held.accepted.id.as_str()));
        Ok(applied?)
    }

    /// The document of a row; nothing where its record was shredded.
    fn held(&self, row: Row) -> Result<Option<Held>, TruthError> {
        let Row { seq, verdict, .. } = row;
        Ok(match self.journal.entry::<Entry>(Position(seq))? {
            Some((_, Entry::DocumentAccepted(accepted))) => Some(Held { accepted, seq, verdict }),
            _ => None,
        })
    }

    /// One document.
    ///
    /// # Errors
    /// [`TruthError`].
    pub fn get(&self, id: &str) -> Result<Option<Held>, TruthError> {
        self.held_as(id, self.row(id)?)
    }

    /// The version of a document that is kept, for one that is taken in.
    ///
    /// # Errors
    /// [`TruthError`].
    pub fn former(&self, id: &str) -> Result<Option<Held>, TruthError> {
        self.held_as(id, self.row_of_former(id)?)
    }

    fn held_as(&self, id: &str, row: Option<Row>) -> Result<Option<Held>, TruthError> {
        let held = row.map(|row| self.held(row)).transpose()?.flatten();
        // a row names its record, and the record whose it is
        Ok(held.filter(|held| held.accepted.id == id))
    }

    /// Documents in an order that stays and says nothing of their ids, after that of an id.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn list(&self, after: Option<&str>, max: usize) -> Result<Vec<Held>, TruthError> {
        let after = after.map(|id| self.shelf.stored(&key(id))).transpose()?;
        let found = self.shelf.scan::<Kept>(&DOCUMENT, after.as_ref(), max)?;
        let rows =
            found.into_iter().filter_map(|(_key, kept)| if let Kept::Document(row) = kept { Some(*row) } else { None });
        rows.filter_map(|row| self.held(row).transpose()).collect()
    }

    /// Takes over what an append says that is about no document.
    pub(super) fn note(&self, mut puts: Vec<(Key, Kept)>, last: Position) -> Result<(), TruthError> {
        let mark = Mark { applied: last.next().0, ..self.mark() };
        puts.push((MARK, Kept::Mark(mark)));
        self.shelf.apply(&puts, &[])?;
        self.lock().mark = mark;
        Ok(())
    }

    /// Documents that somebody may find, in the order of [`Truth::list`].
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn list_visible(&self, after: Option<String>, max: usize, visible: &Visible) -> Result<Vec<Held>, TruthError> {
        let (mut after, mut listed) = (after, Vec::new());
        loop {
            let found = self.list(after.as_deref(), max)?;
            let is_last = found.len() < max;
            after = found.last().map(|held| held.accepted.id.clone());
            listed.extend(found.into_iter().filter(|held| may_be_found(visible, &held.accepted)));
            if is_last || listed.len() >= max {
                listed.truncate(max);
                return Ok(listed);
            }
        }
    }

    /// The text of a document.
    ///
    /// # Errors
    /// [`TruthError::Bodiless`], [`TruthError::Journal`].
    pub fn text(&self, accepted: &DocumentAccepted) -> Result<String, TruthError> {
        let body = self.journal.blob_get(&body_name(&accepted.id, &accepted.text_sha256))?;
        let bytes = body.ok_or_else(|| TruthError::Bodiless(accepted.id.clone()))?;
        String::from_utf8(bytes).map_err(|_bytes| {
            TruthError::Journal(JournalError::Codec(CodecError::Malformed("a document's body is not UTF-8".into())))
        })
    }

    /// Stores the texts of documents, at the pace of the store; durable with the next append. Blocking.
    ///
    /// # Errors
    /// [`TruthError::Journal`].
    pub fn put_bodies(&self, bodies: Vec<Blob>) -> Result<(), TruthError> {
        self.journal.keep_pace();
        Ok(self.journal.blobs_put(bodies)?)
    }

    /// Takes over what was appended: documents kept, and removed with leave; former bodies gone. `last` is the position of the
    /// append's last record. What the claim reserved for them ends when the bytes count as kept, in one step.
    ///
    /// # Errors
    /// [`TruthError`]; the next opening folds it again from the journal.
    pub fn take_over(
        &self,
        held: Vec<Held>,
        removed: &[Erasable],
        last: Position,
        claim: &mut Claim,
    ) -> Result<(), TruthError> {
        let removed: Vec<String> = removed.iter().map(|leave| leave.id().to_owned()).collect();
        let next = last.next().0;
        let change = Change { held, removed: &removed, replaced: Vec::new(), applied: next, changed: next };
        let left = self.apply(change, claim)?;
        self.forget_bodies(left)
    }

    /// Writes another verdict on documents that stay what they are.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn rejudged(&self, held: Vec<Held>) -> Result<(), TruthError> {
        self.put_rows(held.iter(), Vec::new(), &[])
    }

    /// Gives the versions that are kept no more. Their records do not open any more; their bodies are still there.
    fn apply(&self, change: Change<'_>, claim: &mut Claim) -> Result<Vec<Left>, TruthError> {
        let Change { held, removed, mut replaced, applied, changed } = change;
        let mut mark = self.mark();
        mark.applied = applied;
        mark.changed = changed;
        let (mut freed, mut owed): (Vec<Footprint>, Vec<_>) = (Vec::new(), Vec::new());
        let mut removals: Vec<Key> = removed.iter().map(|id| key(id)).collect();
        let mut latest: BTreeMap<String, Held> = BTreeMap::new();
        for held in held {
            replaced.extend(latest.insert(held.accepted.id.clone(), held).map(|earlier| Left::of(&earlier)));
        }
        let mut turn = Turn::begin();
        for id in latest.keys().chain(removed) {
            turn.offer();
            // what was replaced by itself, in a replay, is no former version
            let Some(row) = self.row_of_former(id)? else { continue };
            mark.documents = mark.documents.saturating_sub(1);
            mark.bytes = mark.bytes.saturating_sub(row.bytes);
            removals.extend(self.keys_of_vectors(&row)?);
            if latest.get(id).is_none_or(|held| held.seq != row.seq) {
                replaced.push(Left { id: id.clone(), seq: row.seq, body: row.body.clone() });
                let parting = self.parting(&row)?;
                owed.extend(parting.owing);
                removals.extend(parting.forgotten);
            }
            freed.extend(self.held(row)?.map(|former| Footprint::from(&former.accepted)));
        }
        for held in latest.values() {
            mark.documents = mark.documents.saturating_add(1);
            mark.bytes = mark.bytes.saturating_add(held.accepted.bytes);
        }
        let records: Vec<Position> = replaced.iter().map(|left| Position(left.seq)).collect();
        // before the shelf forgets them: what a crash leaves undone is done by the next replay
        self.journal.shred(&records, &[])?;
        let added: Vec<Footprint> = latest.values().map(|held| Footprint::from(&held.accepted)).collect();
        owed.push((MARK, Kept::Mark(mark)));
        self.put_rows(latest.values(), owed, &removals)?;
        let mut books = self.lock();
        books.mark = mark;
        freed.iter().for_each(|document| books.storage.free(document));
        added.iter().for_each(|document| books.storage.keep(document));
        books.storage.redeem(claim, &added, &freed);
        drop(books);
        Ok(replaced)
    }

    /// Takes away the bodies of versions that are kept no more, unless the version that is kept has the same one.
    fn forget_bodies(&self, left: Vec<Left>) -> Result<(), TruthError> {
        let (mut bodies, mut turn) = (Vec::new(), Turn::begin());
        for Left { id, body, .. } in left {
            turn.offer();
            if self.row(&id)?.is_none_or(|row| row.body != body) {
                bodies.push(body);
            }
        }
        self.journal.shred(&[], &bodies)?;
        Ok(bodies.iter().try_for_each(|body| self.journal.blob_delete(body))?)
    }

    /// Ids of the documents that entries from a position on speak of.
    ///
    /// # Errors
    /// [`TruthError::Journal`].
    pub fn touched_since(&self, from: u64) -> Result<Vec<String>, TruthError> {
        let mut ids = std::collections::BTreeSet::new();
        self.journal.replay(Position(from), |_position, _hash, entry: Entry| {
            if let Entry::DocumentAccepted(DocumentAccepted { id, .. }) | Entry::DocumentRemoved { id, .. } = entry {
                ids.insert(id);
            }
        })?;
        Ok(ids.into_iter().collect())
    }
}

pub(super) fn key(id: &str) -> Key {
    DOCUMENT.name(id)
}

fn document(held: &Held) -> (Key, Kept) {
    (key(&held.accepted.id), Kept::Document(Box::new(Row::of(held))))
}
