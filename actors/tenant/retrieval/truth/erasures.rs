//! Requests for erasure, as the shelf has them.
use super::{ERASURE, Kept, MARK, OPEN, Truth, TruthError};
use crate::erasures::records::ErasureAsked;
use crate::erasures::rules::Standing;
use crate::retrieval::rules::Mark;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::shelf::Key;

impl Truth {
    /// A request for erasure.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn erasure(&self, id: &str) -> Result<Option<Standing>, TruthError> {
        Ok(match self.shelf.get::<Kept>(&ERASURE.name(id))? {
            Some(Kept::Erasure(standing)) => Some(*standing),
            _ => None,
        })
    }

    /// Requests for erasure in an order that stays, after that of an id.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn erasures(&self, after: Option<&str>, max: usize) -> Result<Vec<Standing>, TruthError> {
        let after = after.map(|id| self.shelf.stored(&ERASURE.name(id))).transpose()?;
        let found = self.shelf.scan::<Kept>(&ERASURE, after.as_ref(), max)?;
        Ok(found
            .into_iter()
            .filter_map(|(_key, kept)| if let Kept::Erasure(standing) = kept { Some(*standing) } else { None })
            .collect())
    }

    /// The requests for erasure that are open.
    ///
    /// # Errors
    /// [`TruthError::Shelf`].
    pub fn open_erasures(&self) -> Result<Vec<ErasureAsked>, TruthError> {
        let mut open = Vec::new();
        for (_key, kept) in self.shelf.scan::<Kept>(&OPEN, None, usize::MAX)? {
            let Kept::Open(id) = kept else { continue };
            open.extend(self.erasure(&id)?.map(|standing| standing.asked));
        }
        Ok(open)
    }

    /// Takes over what was appended about requests for erasure; `last` is the position of the append's last record. Under
    /// the gate, as everything the mark speaks of.
    ///
    /// # Errors
    /// [`TruthError::Shelf`]; the next opening folds it again from the journal.
    pub fn note_erasures(&self, standings: &[Standing], last: Position) -> Result<(), TruthError> {
        let mark = Mark { applied: last.next().0, ..self.mark() };
        self.put_erasures(standings, vec![(MARK, Kept::Mark(mark))])?;
        self.lock().mark = mark;
        Ok(())
    }

    pub(super) fn put_erasures(&self, standings: &[Standing], more: Vec<(Key, Kept)>) -> Result<(), TruthError> {
        let (mut puts, mut ended) = (more, Vec::new());
        for standing in standings {
            let id = &standing.asked.id;
            match standing.ended {
                Some(_) => ended.push(OPEN.name(id)),
                None => puts.push((OPEN.name(id), Kept::Open(id.clone()))),
            }
            puts.push((ERASURE.name(id), Kept::Erasure(Box::new(standing.clone()))));
        }
        Ok(self.shelf.apply(&puts, &ended)?)
    }
}
