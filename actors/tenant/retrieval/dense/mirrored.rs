//! How far a collection outside is a copy of the shelf's vectors, beside them in the same sealed shelf: what takes a document out
//! notes as one unit that its points have to go. Blocking.
use super::super::index::place;
use super::super::rules::Held;
use super::super::truth::{Kept, Truth, TruthError};
use super::arm::Arm;
use super::vectors::Placed;
use serde::{Deserialize, Serialize};

const MIRROR: &[u8] = b"mirror";
/// Vectors that were kept since everything was brought there, by place.
const WAITING: &[u8] = b"p/";
/// Versions of documents whose points have to go.
const OWED: &[u8] = b"x/";

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

fn waiting_key(place: u64) -> Vec<u8> {
    [WAITING, &place.to_be_bytes()].concat()
}

fn owed_key(version: u64) -> Vec<u8> {
    [OWED, &version.to_be_bytes()].concat()
}

fn number_of(key: &[u8], prefix: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(prefix)?.try_into().ok()?))
}

impl Truth {
    /// Which collection has a copy of the vectors, as far as is known; nothing where none ever had.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn mirror_mark(&self) -> Result<Option<MirrorMark>, TruthError> {
        Ok(match self.shelf.get::<Kept>(MIRROR)? {
            Some(Kept::Mirror(mark)) => Some(*mark),
            _ => None,
        })
    }

    /// Says how the collection stands.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn put_mirror(&self, mark: &MirrorMark) -> Result<(), TruthError> {
        Ok(self.shelf.put(MIRROR, &Kept::Mirror(Box::new(mark.clone())))?)
    }

    /// What makes vectors wait for the collection, where there is one.
    pub(super) fn waiting_puts(&self, vectors: &[Placed]) -> Result<Vec<(Vec<u8>, Kept)>, TruthError> {
        if self.mirror_mark()?.is_none() {
            return Ok(Vec::new());
        }
        Ok(vectors.iter().map(|placed| (waiting_key(placed.place), Kept::Waiting)).collect())
    }

    /// What notes that the points of a version have to go, and what need not be brought there any more.
    pub(in super::super) fn parting(&self, former: &Held) -> Result<(Vec<(Vec<u8>, Kept)>, Vec<Vec<u8>>), TruthError> {
        if self.mirror_mark()?.is_none() {
            return Ok((Vec::new(), Vec::new()));
        }
        let owed = Owed { version: former.seq, chunks: former.accepted.chunks };
        let puts = vec![(owed_key(owed.version), Kept::Owed(owed.chunks))];
        Ok((puts, owed.places().map(waiting_key).collect()))
    }

    /// Places that wait, in order.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn waiting(&self, after: Option<u64>, max: usize) -> Result<Vec<u64>, TruthError> {
        let found = self.shelf.scan::<Kept>(WAITING, after.map(waiting_key).as_deref(), max)?;
        Ok(found.iter().filter_map(|(key, _)| number_of(key, WAITING)).collect())
    }

    /// These places wait no longer; how the collection stands now, as one unit.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn brought(&self, places: &[u64], mark: &MirrorMark) -> Result<(), TruthError> {
        let keys: Vec<Vec<u8>> = places.iter().copied().map(waiting_key).collect();
        Ok(self.shelf.apply(&[(MIRROR.to_vec(), Kept::Mirror(Box::new(mark.clone())))], &keys)?)
    }

    /// Versions whose points have to go, in order.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn owed(&self, max: usize) -> Result<Vec<Owed>, TruthError> {
        let found = self.shelf.scan::<Kept>(OWED, None, max)?;
        let owed = found.into_iter().filter_map(|(key, kept)| match kept {
            Kept::Owed(chunks) => Some(Owed { version: number_of(&key, OWED)?, chunks }),
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
        let keys: Vec<Vec<u8>> = versions.iter().copied().map(owed_key).collect();
        Ok(self.shelf.apply::<Kept>(&[], &keys)?)
    }

    /// Forgets what waits and what has to go, at most so many of each: the collection is not there. True where some are left.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn forget_waiting(&self, max: usize) -> Result<bool, TruthError> {
        let mut keys = Vec::new();
        let mut is_last = true;
        for prefix in [WAITING, OWED] {
            let found = self.shelf.scan::<Kept>(prefix, None, max)?;
            is_last &= found.len() < max;
            keys.extend(found.into_iter().map(|(key, _)| key));
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
        let mut keys = vec![MIRROR.to_vec()];
        for prefix in [WAITING, OWED] {
            keys.extend(self.shelf.scan::<Kept>(prefix, None, usize::MAX)?.into_iter().map(|(key, _)| key));
        }
        Ok(self.shelf.apply::<Kept>(&[], &keys)?)
    }

    /// What makes the collection be made anew, where there is one: its vectors are gone from the shelf.
    pub(super) fn unknown_mirror(&self) -> Result<Option<(Vec<u8>, Kept)>, TruthError> {
        let unknown = |mark| Kept::Mirror(Box::new(MirrorMark { stage: Stage::Unknown, ..mark }));
        Ok(self.mirror_mark()?.map(|mark| (MIRROR.to_vec(), unknown(mark))))
    }
}
