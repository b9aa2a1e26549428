//! Where kept replies stand in the journal: a ring on the derived shelf, filled by replaying the journal. The n-th kept
//! reply stands in slot n modulo the ring's size, so that the shelf is bounded without being counted, and a replay that
//! was interrupted may run again. Blocks; runs off the arbiter.
use super::name::Name;
use crate::supervisor::derived_keys::{key_of_removed, key_of_repeat, key_of_slot};
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::limits::REPEATS_KEPT_MS;
use bailiwick_kernel::shelf::{Key, Shelf, ShelfError};
use serde::{Deserialize, Serialize};

/// Where a kept reply stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::supervisor) struct Place {
    /// How many were kept before it.
    pub(in crate::supervisor) number: u64,
    /// Its first record.
    pub(in crate::supervisor) position: Position,
    /// When it was kept.
    pub(in crate::supervisor) at_unix_ms: u64,
}

impl Place {
    /// Milliseconds until it need not be kept any more; nothing where that time is over.
    pub(in crate::supervisor) fn kept_for_ms(&self, now_unix_ms: u64) -> Option<u64> {
        self.at_unix_ms.saturating_add(REPEATS_KEPT_MS).checked_sub(now_unix_ms).filter(|left| *left > 0)
    }
}

/// Who stands in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Slot {
    number: u64,
    name: [u8; 32],
}

/// The index of one tenant.
#[derive(Debug)]
pub(in crate::supervisor) struct Index {
    shelf: Shelf,
    slots: u64,
}

impl Index {
    /// The index on a shelf, for so many kept replies.
    pub(in crate::supervisor) fn new(shelf: Shelf, slots: u64) -> Self {
        Self { shelf, slots }
    }

    /// Takes a kept reply in; the one before it in its slot is forgotten.
    pub(in crate::supervisor) fn keep(&self, name: Name, place: Place) -> Result<(), ShelfError> {
        let slot = self.slot_key(place.number);
        let before: Option<Slot> = self.shelf.get(&slot)?;
        if let Some(before) = before.filter(|before| before.number < place.number) {
            let former = key_of_repeat(&Name::from_bytes(before.name));
            // the same name may have been kept anew since, in another slot
            if self.shelf.get::<Place>(&former)?.is_some_and(|stands| stands.number == before.number) {
                self.shelf.remove(&former)?;
            }
        }
        self.shelf.put(&key_of_repeat(&name), &place)?;
        self.shelf.put(&slot, &Slot { number: place.number, name: *name.as_bytes() })
    }

    /// Where the reply of this name stands, if it is still kept.
    pub(in crate::supervisor) fn find(&self, name: &Name, now_unix_ms: u64) -> Result<Option<Place>, ShelfError> {
        let place: Option<Place> = self.shelf.get(&key_of_repeat(name))?;
        Ok(place.filter(|place| place.kept_for_ms(now_unix_ms).is_some()))
    }

    /// Milliseconds until the slot of this number is free; nothing where it is.
    pub(in crate::supervisor) fn full_for_ms(&self, number: u64, now_unix_ms: u64) -> Result<Option<u64>, ShelfError> {
        let Some(slot) = self.shelf.get::<Slot>(&self.slot_key(number))? else { return Ok(None) };
        let stands: Option<Place> = self.shelf.get(&key_of_repeat(&Name::from_bytes(slot.name)))?;
        Ok(stands.filter(|place| place.number == slot.number).and_then(|place| place.kept_for_ms(now_unix_ms)))
    }

    /// A document was removed.
    pub(in crate::supervisor) fn removed(&self, document_id: &str, position: Position) -> Result<(), ShelfError> {
        self.shelf.put(&key_of_removed(document_id), &position)
    }

    /// True where a document was removed after this position.
    pub(in crate::supervisor) fn is_removed_since(
        &self,
        document_id: &str,
        position: Position,
    ) -> Result<bool, ShelfError> {
        let removed: Option<Position> = self.shelf.get(&key_of_removed(document_id))?;
        Ok(removed.is_some_and(|removed| removed > position))
    }

    fn slot_key(&self, number: u64) -> Key {
        key_of_slot(number.checked_rem(self.slots).unwrap_or_default())
    }
}
