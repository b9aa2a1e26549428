//! Passages' vectors beside their documents, in the same sealed shelf: what takes a document out takes its vectors out with
//! it, as one unit. A vector is named by its chunk's place, so that one of a former version is nobody's. Blocking.
use super::super::rows::Row;
use super::super::truth::{Kept, Truth, TruthError};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::shelf::{Key, Stored};
use bailiwick_policy::dense::{Judged, Learnt};
use serde::{Deserialize, Serialize};

const VECTOR: Key = Key::of("vector");
const DENSE: Key = Key::of("dense");
pub(in super::super) const JUDGED: Key = Key::of("judged");
pub(in super::super) const LEARNT: Key = Key::of("learnt");
const NUMBER_BYTES: usize = size_of::<f32>();

/// How far passages have been embedded, and with what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DenseMark {
    /// The model all vectors are of.
    pub model: String,
    /// The guard that said which chunks are embedded.
    pub guard: String,
    /// Every document accepted before this journal position is embedded, as far as it is still there.
    pub next: u64,
}

/// A chunk's vector.
#[derive(Clone, PartialEq, Debug)]
pub struct Placed {
    /// Which chunk.
    pub place: u64,
    /// Its vector, of length 1.
    pub vector: Vec<f32>,
}

fn key(place: u64) -> Key {
    VECTOR.number(place)
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<NUMBER_BYTES>().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

impl Truth {
    /// How far passages have been embedded; nothing where none ever were.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn dense_mark(&self) -> Result<Option<DenseMark>, TruthError> {
        Ok(match self.shelf.get::<Kept>(&DENSE)? {
            Some(Kept::Dense(mark)) => Some(*mark),
            _ => None,
        })
    }

    /// Keeps vectors together with how far that comes, as one unit.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn put_vectors(&self, vectors: &[Placed], mark: &DenseMark) -> Result<(), TruthError> {
        let kept = |placed: &Placed| {
            let bytes = placed.vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            (key(placed.place), Kept::Vector(bytes))
        };
        let mut puts: Vec<_> = vectors.iter().map(kept).collect();
        puts.push((DENSE, Kept::Dense(Box::new(mark.clone()))));
        puts.extend(self.waiting_puts(vectors)?);
        Ok(self.shelf.apply(&puts, &[])?)
    }

    /// The vector of a chunk.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn vector(&self, place: u64) -> Result<Option<Vec<f32>>, TruthError> {
        Ok(match self.shelf.get::<Kept>(&key(place))? {
            Some(Kept::Vector(bytes)) => Some(numbers(&bytes)),
            _ => None,
        })
    }

    /// Vectors in the order of their places, after one.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn vectors(&self, after: Option<u64>, max: usize) -> Result<Vec<Placed>, TruthError> {
        let after = after.map(|place| self.shelf.stored(&key(place))).transpose()?;
        let found = self.shelf.scan::<Kept>(&VECTOR, after.as_ref(), max)?;
        let placed = |(key, kept): (Stored, Kept)| match kept {
            Kept::Vector(bytes) => Some(Placed { place: key.last_number()?, vector: numbers(&bytes) }),
            _ => None,
        };
        Ok(found.into_iter().filter_map(placed).collect())
    }

    /// Takes out vectors, at most so many, and the mark with the last of them; true where some are left.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn forget_vectors(&self, max: usize) -> Result<bool, TruthError> {
        let found = self.shelf.scan::<Kept>(&VECTOR, None, max)?;
        let mut keys: Vec<Key> = found.iter().filter_map(|(stored, _)| stored.last_number().map(key)).collect();
        let (is_last, mut puts) = (found.len() < max, Vec::new());
        if is_last {
            keys.push(DENSE);
            puts.extend(self.unknown_mirror()?);
        }
        self.shelf.apply(&puts, &keys)?;
        Ok(!is_last)
    }

    /// The keys of everything that was embedded of a version of a document.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub(in super::super) fn keys_of_vectors(&self, former: &Row) -> Result<Vec<Key>, TruthError> {
        if self.dense_mark()?.is_none() {
            return Ok(Vec::new());
        }
        Ok(former.places().map(key).collect())
    }

    /// What golden questions came to with and without the search by meaning.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn judged(&self) -> Result<Option<Judged>, TruthError> {
        Ok(match self.shelf.get::<Kept>(&JUDGED)? {
            Some(Kept::Judged(judged)) => Some(*judged),
            _ => None,
        })
    }

    /// Takes over what was appended about them. Under the gate, as everything the mark speaks of.
    ///
    /// # Errors
    /// [`TruthError::Shelf`]; the next opening folds it again from the journal.
    pub fn note_judged(&self, judged: &Judged, last: Position) -> Result<(), TruthError> {
        self.note(vec![(JUDGED, Kept::Judged(Box::new(judged.clone())))], last)
    }

    /// What accepted answers and golden questions came to for the weight, the last time.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn learnt(&self) -> Result<Option<Learnt>, TruthError> {
        Ok(match self.shelf.get::<Kept>(&LEARNT)? {
            Some(Kept::Learnt(learnt)) => Some(*learnt),
            _ => None,
        })
    }

    /// Takes over what was appended about the weight. Under the gate, as everything the mark speaks of.
    ///
    /// # Errors
    /// [`TruthError::Shelf`]; the next opening folds it again from the journal.
    pub fn note_learnt(&self, learnt: &Learnt, last: Position) -> Result<(), TruthError> {
        self.note(vec![(LEARNT, Kept::Learnt(Box::new(learnt.clone())))], last)
    }
}
