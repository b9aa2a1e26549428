//! Keeps the index in step with the documents. Every method blocks; [`super::indexer`] calls one at a time.
use super::chunk::{Piece, chunk};
use super::corpus::Corpus;
use super::index::{Chunk, FirstOfDocument, IndexError, SearchIndex, Stamp, Writer};
use super::language::Language;
use super::rules::{Held, Verdict, judge};
use super::truth::{Truth, TruthError};
use bailiwick_kernel::background::Turn;
use std::fs::{File, TryLockError};
use std::sync::Arc;

/// Documents read from the shelf at once while the index is rebuilt.
const REBUILD_BATCH: usize = 256;

/// First pieces of a document its language is told by.
const PIECES_DETECTED: usize = 2;

/// Why the index could not be kept in step.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EngineError {
    /// The index; a rebuild cures it.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The documents.
    #[error(transparent)]
    Truth(#[from] TruthError),
}

/// A document ready for the index: judged, cut, durable.
#[derive(Clone, PartialEq, Debug)]
pub struct Ready {
    /// Its record.
    pub held: Held,
    /// Its chunks.
    pub pieces: Vec<Piece>,
    /// Which of them may be retrieved.
    pub admitted: Vec<bool>,
    /// What the index may hold of it.
    pub former: Former,
}

/// Whether the index may hold chunks of an earlier version of a document. Taking out what was never there costs a
/// look through every segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Former {
    /// It holds none.
    Absent,
    /// It may hold some: they are taken out first.
    Possible,
}

/// Changes of one append, in order.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// The position after the document entry before this append.
    pub after: u64,
    /// The position after this append.
    pub next: u64,
    /// Documents taken.
    pub ready: Vec<Ready>,
    /// Documents removed.
    pub removed: Vec<String>,
}

/// Whether the open index reflects every document under the guard in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// In step.
    Fresh,
    /// Behind, or under another guard.
    Behind,
}

/// The open index of one tenant and its writer.
pub struct Engine {
    corpus: Arc<Corpus>,
    truth: Arc<Truth>,
    open: Option<Open>,
    /// That of whichever thread writes.
    turn: Turn,
}

struct Open {
    writer: Option<Writer>,
    index: SearchIndex,
    /// What the index will reflect with the next commit; `None` before the first one.
    stamp: Option<Stamp>,
    step: Step,
    /// Records before this position may stand in the index although its stamp does not reach them: a catch-up also finds
    /// what arrives while it reads.
    found_before: u64,
    /// One owner of the folder at a time, whoever started it: a tenant that is started anew waits for the last write of the
    /// one before. Incarnations of one tenant take their turns before they come here.
    _lock: File,
}

impl Engine {
    /// An engine that has opened nothing yet.
    #[must_use]
    pub fn new(corpus: Arc<Corpus>, truth: Arc<Truth>) -> Self {
        Self { corpus, truth, open: None, turn: Turn::begin() }
    }

    fn guard(&self) -> String {
        self.corpus.policy.load().guard.fingerprint.clone()
    }

    /// Opens the index where it is closed, and serves it where it is in step.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn open(&mut self) -> Result<Step, EngineError> {
        let guard = self.guard();
        if let Some(open) = &mut self.open {
            if open.stamp.as_ref().is_none_or(|stamp| stamp.guard != guard) {
                open.step = Step::Behind;
            }
            return Ok(open.step);
        }
        let folder = self.corpus.index_folder();
        let lock = lock(&self.corpus)?;
        let index = SearchIndex::open(&folder, &self.corpus.belongings.cipher)?;
        let mark = self.truth.mark();
        // An index ahead of the journal is that of another history: it is rebuilt from nothing.
        let stamp = index.stamp()?.filter(|stamp| stamp.next <= mark.applied);
        let fresh = stamp.as_ref().is_some_and(|stamp| stamp.next >= mark.changed && stamp.guard == guard);
        let step = if fresh { Step::Fresh } else { Step::Behind };
        self.open = Some(Open { writer: None, index, stamp, step, found_before: 0, _lock: lock });
        if fresh {
            self.publish()?;
        }
        Ok(step)
    }

    fn opened(&mut self) -> Result<&mut Open, EngineError> {
        self.open.as_mut().ok_or_else(|| closed().into())
    }

    fn writer(&mut self) -> Result<&Writer, EngineError> {
        let open = self.opened()?;
        let writer = match open.writer.take() {
            Some(writer) => writer,
            None => open.index.writer()?,
        };
        Ok(open.writer.insert(writer))
    }

    /// Brings the index in step with the documents under the guard in force, and serves it.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn catch_up(&mut self) -> Result<(), EngineError> {
        if self.open()? == Step::Fresh {
            return Ok(());
        }
        let next = self.truth.mark().changed;
        self.catch_up_to(next)
    }

    /// Puts everything before `next`, and whatever else is found on the way.
    pub(super) fn catch_up_to(&mut self, next: u64) -> Result<(), EngineError> {
        let guard = self.guard();
        match self.opened()?.stamp.clone() {
            None => {
                self.wipe()?;
                self.put_all()?;
            }
            Some(stamp) => {
                for id in self.truth.touched_since(stamp.next)? {
                    self.put_or_remove(&id)?;
                }
                if stamp.guard != guard {
                    self.put_all()?;
                }
            }
        }
        let open = self.opened()?;
        open.stamp = Some(Stamp { next, guard });
        open.step = Step::Fresh;
        self.commit()
    }

    /// Closes the writer and the index, and gives the folder free: none of their threads touches it any more.
    pub fn close(&mut self) {
        if let Some(writer) = self.open.as_mut().and_then(|open| open.writer.take())
            && let Err(error) = writer.close()
        {
            tracing::warn!(tenant = %self.corpus.tenant(), %error, "what was not committed is taken from the journal again");
        }
        self.open = None;
    }

    /// Removes the index and opens an empty one in its place; waits for the folder where another incarnation has it.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn start_over(&mut self) -> Result<(), EngineError> {
        self.close();
        let lock = lock(&self.corpus)?;
        self.open_empty(lock)
    }

    /// Starts with an empty index in the locked folder.
    fn wipe(&mut self) -> Result<(), EngineError> {
        let Some(Open { writer, index, _lock: lock, .. }) = self.open.take() else { return Err(closed().into()) };
        writer.map_or(Ok(()), Writer::close)?;
        drop(index);
        self.open_empty(lock)
    }

    fn open_empty(&mut self, lock: File) -> Result<(), EngineError> {
        let folder = self.corpus.index_folder();
        SearchIndex::wipe(&folder)?;
        let index = SearchIndex::open(&folder, &self.corpus.belongings.cipher)?;
        self.open = Some(Open { writer: None, index, stamp: None, step: Step::Behind, found_before: 0, _lock: lock });
        Ok(())
    }

    fn put_all(&mut self) -> Result<(), EngineError> {
        let mut after: Option<String> = None;
        loop {
            let mut documents = self.truth.list(after.as_deref(), REBUILD_BATCH)?;
            let Some(last) = documents.last() else { return Ok(()) };
            after = Some(last.accepted.id.clone());
            // as they came: an index made anew is in the order of the one it replaces
            documents.sort_by_key(|held| held.seq);
            for held in documents {
                self.put_held(held)?;
            }
        }
    }

    fn put_or_remove(&mut self, id: &str) -> Result<(), EngineError> {
        match self.truth.get(id)? {
            Some(held) => self.put_held(held),
            None => {
                self.writer()?.remove(id);
                Ok(())
            }
        }
    }

    /// Judges a kept document under the guard in force and puts it into the index.
    fn put_held(&mut self, held: Held) -> Result<(), EngineError> {
        let text = match self.truth.text(&held.accepted) {
            Ok(text) => text,
            Err(TruthError::Bodiless(_)) => {
                self.writer()?.remove(&held.accepted.id);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let pieces = chunk(&text, &held.accepted.page_starts);
        let policy = self.corpus.policy.load_full();
        let (verdict, admitted) =
            judge(&policy.guard, &held.accepted.source, pieces.iter().map(|piece| piece.text.as_str()));
        let is_news = verdict != held.verdict;
        let ready = Ready { held: Held { verdict, ..held }, pieces, admitted, former: Former::Possible };
        self.put(&ready)?;
        let open = self.opened()?;
        open.found_before = open.found_before.max(ready.held.seq.saturating_add(1));
        if is_news {
            self.truth.rejudged(vec![ready.held])?;
        }
        Ok(())
    }

    fn put(&mut self, ready: &Ready) -> Result<(), EngineError> {
        self.turn.offer();
        let Held { accepted, seq, verdict: Verdict { trust_score, .. } } = &ready.held;
        let was_found = *seq < self.opened()?.found_before;
        let writer = self.writer()?;
        if was_found || ready.former == Former::Possible {
            writer.remove(&accepted.id);
        }
        let start = ready.pieces.iter().take(PIECES_DETECTED).map(|piece| piece.text.as_str()).collect::<Vec<_>>();
        let language = Language::of_document(&start.join("\n"));
        let mut first = FirstOfDocument::Yes;
        for ((number, piece), _admitted) in
            (0_u32..).zip(&ready.pieces).zip(&ready.admitted).filter(|(_piece, admitted)| **admitted)
        {
            let chunk = Chunk {
                document_id: accepted.id.as_str(),
                title: &accepted.title,
                source: &accepted.source,
                domain: &accepted.domain,
                usecase: &accepted.usecase,
                text: &piece.text,
                number,
                start: piece.start,
                end: piece.end,
                page: piece.page,
                trust_score: *trust_score,
                version: *seq,
                document_sha256: &accepted.text_sha256,
                language,
            };
            writer.add(&chunk, first)?;
            first = FirstOfDocument::No;
        }
        Ok(())
    }

    /// Puts the changes of one append into the index, to be committed later. What the index has already is skipped;
    /// where an earlier append never arrived, the journal is asked.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn take(&mut self, batch: &Batch) -> Result<(), EngineError> {
        let reached = self.opened()?.stamp.as_ref().map_or(0, |stamp| stamp.next);
        if batch.next <= reached {
            return Ok(());
        }
        if batch.after > reached {
            self.opened()?.step = Step::Behind;
            return self.catch_up();
        }
        for ready in &batch.ready {
            self.put(ready)?;
        }
        for id in &batch.removed {
            self.writer()?.remove(id);
        }
        self.writer()?.keep_pace();
        if let Some(stamp) = &mut self.opened()?.stamp {
            stamp.next = batch.next;
        }
        Ok(())
    }

    /// Commits what was put, and serves it.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn commit(&mut self) -> Result<(), EngineError> {
        self.writer()?;
        let open = self.opened()?;
        if let (Some(writer), Some(stamp)) = (&mut open.writer, &open.stamp) {
            writer.commit(stamp)?;
        }
        self.publish()
    }

    fn publish(&mut self) -> Result<(), EngineError> {
        let corpus = Arc::clone(&self.corpus);
        let open = self.opened()?;
        if let Some(stamp) = &open.stamp {
            corpus.show(open.index.view()?, stamp.clone());
        }
        Ok(())
    }

    /// Tidies up and closes the writer. Everything must be committed.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn stop_writing(&mut self) -> Result<(), EngineError> {
        let Some(mut writer) = self.opened()?.writer.take() else { return Ok(()) };
        writer.compact()?;
        self.publish()?;
        Ok(writer.finish()?)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

fn closed() -> IndexError {
    IndexError { doing: "using the index", reason: "it is closed".into() }
}

fn lock(corpus: &Corpus) -> Result<File, IndexError> {
    let failed = |error: std::io::Error| IndexError { doing: "locking the index's folder", reason: error.to_string() };
    std::fs::create_dir_all(&corpus.belongings.folder).map_err(failed)?;
    let path = corpus.belongings.folder.join("index.lock");
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => file.lock().map_err(failed)?,
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    Ok(file)
}
