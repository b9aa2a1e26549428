//! How far a collection outside is a copy of the shelf's vectors, beside them in the same sealed shelf: what takes a document out
//! notes as one unit that its points have to go. Blocking.
use super::super::index::place;
use super::super::rows::Row;
use super::super::truth::{Kept, Truth, TruthError};
use super::arm::Arm;
use super::vectors::Placed;
use bailiwick_kernel::shelf::Key;
use serde::{Deserialize, Serialize};

const MIRROR: Key = Key::of("mirror");
/// Vectors that were kept since everything was brought there, by place.
const WAITING: Key = Key::of("waiting");
/// Versions of documents whose points have to go.
const OWED: Key = Key::of("owed");

/// How a collection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// Nobody knows what lies there: it is deleted first.
    Unknown,
    /// It is not there.
    Absent,
    /// It is there, and is given everything the shelf has, in order.
    Filling {
        /// The last place it was given; nothing where it is empty.
        after: Option<u64>,
    },
    /// It was given everything; what came since waits.
    Filled,
}

/// Which collection, of what, and how it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MirrorMark {
    /// Its namespace.
    pub namespace: String,
    /// The model of its vectors.
    pub model: String,
    /// How it stands.
    pub stage: Stage,
}

/// A version of a document whose points have to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owed {
    /// Which.
    pub version: u64,
    /// Chunks it had.
    pub chunks: u32,
}

impl Owed {
    /// The numbers its points may have.
    pub fn places(self) -> impl Iterator<Item = u64> {
        (0..self.chunks).map(move |number| place(self.version, number))
    }
}

/// What is written down where a version goes.
#[derive(Default)]
pub(in super::super) struct Parting {
    /// That its points have to go.
    pub(in super::super) owing: Vec<(Key, Kept)>,
    /// Keys of what need not be brought there any more.
    pub(in super::super) forgotten: Vec<Key>,
}

fn waiting_key(place: u64) -> Key {
    WAITING.number(place)
}

fn owed_key(version: u64) -> Key {
    OWED.number(version)
}

impl Truth {
    /// Which collection has a copy of the vectors, as far as is known; nothing where none ever had.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn mirror_mark(&self) -> Result<Option<MirrorMark>, TruthError> {
        Ok(match self.shelf.get::<Kept>(&MIRROR)? {
            Some(Kept::Mirror(mark)) => Some(*mark),
            _ => None,
        })
    }

    /// Says how the collection stands.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn put_mirror(&self, mark: &MirrorMark) -> Result<(), TruthError> {
        Ok(self.shelf.put(&MIRROR, &Kept::Mirror(Box::new(mark.clone())))?)
    }

    /// What makes vectors wait for the collection, where there is one.
    pub(super) fn waiting_puts(&self, vectors: &[Placed]) -> Result<Vec<(Key, Kept)>, TruthError> {
        if self.mirror_mark()?.is_none() {
            return Ok(Vec::new());
        }
        Ok(vectors.iter().map(|placed| (waiting_key(placed.place), Kept::Waiting)).collect())
    }

    /// What notes that the points of a version have to go, and what need not be brought there any more.
    pub(in super::super) fn parting(&self, former: &Row) -> Result<Parting, TruthError> {
        if self.mirror_mark()?.is_none() {
            return Ok(Parting::default());
        }
        let owed = Owed { version: former.seq, chunks: former.chunks };
        let owing = vec![(owed_key(owed.version), Kept::Owed(owed.chunks))];
        Ok(Parting { owing, forgotten: owed.places().map(waiting_key).collect() })
    }

    /// Places that wait, in order.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn waiting(&self, after: Option<u64>, max: usize) -> Result<Vec<u64>, TruthError> {
        let after = after.map(|place| self.shelf.stored(&waiting_key(place))).transpose()?;
        let found = self.shelf.scan::<Kept>(&WAITING, after.as_ref(), max)?;
        Ok(found.iter().filter_map(|(key, _)| key.last_number()).collect())
    }

    /// These places wait no longer; how the collection stands now, as one unit.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn brought(&self, places: &[u64], mark: &MirrorMark) -> Result<(), TruthError> {
        let keys: Vec<Key> = places.iter().copied().map(waiting_key).collect();
        Ok(self.shelf.apply(&[(MIRROR, Kept::Mirror(Box::new(mark.clone())))], &keys)?)
    }

    /// Versions whose points have to go, in order.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn owed(&self, max: usize) -> Result<Vec<Owed>, TruthError> {
        let found = self.shelf.scan::<Kept>(&OWED, None, max)?;
        let owed = found.into_iter().filter_map(|(key, kept)| match kept {
            Kept::Owed(chunks) => Some(Owed { version: key.last_number()?, chunks }),
            _ => None,
        });
        Ok(owed.collect())
    }

    /// Whether points of documents that went may still lie outside.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn owes_points(&self) -> Result<bool, TruthError> {
        Ok(!self.owed(1)?.is_empty())
    }

    /// The points of these versions are gone.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn settled(&self, versions: &[u64]) -> Result<(), TruthError> {
        let keys: Vec<Key> = versions.iter().copied().map(owed_key).collect();
        Ok(self.shelf.apply::<Kept>(&[], &keys)?)
    }

    /// Forgets what waits and what has to go, at most so many of each: the collection is not there. True where some are left.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn forget_waiting(&self, max: usize) -> Result<bool, TruthError> {
        let mut keys = Vec::new();
        let mut is_last = true;
        for kind in [WAITING, OWED] {
            let found = self.shelf.scan::<Kept>(&kind, None, max)?;
            is_last &= found.len() < max;
            keys.extend(found.iter().filter_map(|(key, _)| Some(kind.clone().number(key.last_number()?))));
        }
        self.shelf.apply::<Kept>(&[], &keys)?;
        Ok(!is_last)
    }

    /// Notes in an arm what of its vectors may lie outside by now. Nothing is brought there meanwhile.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub(super) fn note_sent(&self, arm: &Arm) -> Result<(), TruthError> {
        let mark = self.mirror_mark()?.filter(|mark| arm.is_of(&mark.model, Some(&mark.namespace)));
        let (Some(mark), Some(mut outline)) = (mark, arm.outline_mut()) else { return Ok(()) };
        let waiting = self.waiting(None, usize::MAX)?;
        let reached = match mark.stage {
            Stage::Unknown | Stage::Absent | Stage::Filling { after: None } => return Ok(()),
            Stage::Filling { after: Some(after) } => after,
            Stage::Filled => u64::MAX,
        };
        let sent: Vec<u64> = outline.up_to(reached).filter(|place| waiting.binary_search(place).is_err()).collect();
        outline.send(sent.into_iter());
        outline.send(self.owed(usize::MAX)?.into_iter().flat_map(Owed::places));
        outline.set_filled(mark.stage == Stage::Filled);
        Ok(())
    }

    /// There is no collection any more, nor anything that waits for it or has to go from it. Under the gate, so that nothing is noted
    /// meanwhile that nobody would look for.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn forget_mirror(&self) -> Result<(), TruthError> {
        let mut keys = vec![MIRROR];
        for kind in [WAITING, OWED] {
            let found = self.shelf.scan::<Kept>(&kind, None, usize::MAX)?;
            keys.extend(found.iter().filter_map(|(key, _)| Some(kind.clone().number(key.last_number()?))));
        }
        Ok(self.shelf.apply::<Kept>(&[], &keys)?)
    }

    /// What makes the collection be made anew, where there is one: its vectors are gone from the shelf.
    pub(super) fn unknown_mirror(&self) -> Result<Option<(Key, Kept)>, TruthError> {
        let unknown = |mark| Kept::Mirror(Box::new(MirrorMark { stage: Stage::Unknown, ..mark }));
        Ok(self.mirror_mark()?.map(|mark| (MIRROR, unknown(mark))))
    }
}
