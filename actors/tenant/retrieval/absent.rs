//! Ids that were looked for and are not on the shelf. A new document is looked for when it arrives, when it is decided about
//! and when it is taken over: once is enough, until it comes. Pure.
use super::upload::UPLOADS_MAX;
use bailiwick_kernel::limits::DOCUMENTS_PER_REQUEST_MAX;
use std::collections::HashSet;

/// As many as the uploads bring that a tenant may have under way.
const IDS_MAX: usize = UPLOADS_MAX * DOCUMENTS_PER_REQUEST_MAX;

/// What is known not to be there.
#[derive(Default, Debug)]
pub struct Absent {
    ids: HashSet<String>,
    arrivals: u64,
}

/// A moment between two arrivals on the shelf.
#[derive(Clone, Copy, Debug)]
pub struct Moment(u64);

impl Absent {
    /// True where this id is known not to be there.
    pub fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Now.
    pub fn moment(&self) -> Moment {
        Moment(self.arrivals)
    }

    /// Notes an id that was looked for after a moment and not found; not where something came since then, which may be it.
    pub fn note(&mut self, id: &str, looked: Moment) {
        if looked.0 != self.arrivals {
            return;
        }
        if self.ids.len() >= IDS_MAX {
            self.ids.clear();
        }
        self.ids.insert(id.to_owned());
    }

    /// Ids that are there now. Told after they came: whoever looked for one before that may still note it.
    pub fn came<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        self.arrivals = self.arrivals.wrapping_add(1);
        for id in ids {
            self.ids.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_was_not_found_is_known_until_it_comes() {
        let mut absent = Absent::default();
        assert!(!absent.has("a"), "nothing is known of what nobody looked for");
        let now = absent.moment();
        absent.note("a", now);
        absent.note("b", now);
        absent.came(["a", "c"]);
        assert_eq!(["a", "b", "c"].map(|id| absent.has(id)), [false, true, false]);
    }

    #[test]
    fn it_is_bounded() {
        let mut absent = Absent::default();
        for number in 0..3 * IDS_MAX {
            let now = absent.moment();
            absent.note(&number.to_string(), now);
            assert!(absent.ids.len() <= IDS_MAX && absent.has(&number.to_string()));
        }
    }

    #[derive(Clone, Debug)]
    enum Event {
        /// Somebody begins to look for an id, and sees the shelf as it is …
        Look(u8),
        /// … and notes what came of the look that began so many looks ago, which may be after anything else.
        Note(u8),
        /// An id stands on the shelf …
        Put(u8),
        /// … and that is told.
        Tell(u8),
    }

    fn event() -> impl Strategy<Value = Event> {
        let of = |event: fn(u8) -> Event| (0_u8..4).prop_map(event);
        prop_oneof![of(Event::Look), of(Event::Note), of(Event::Put), of(Event::Tell)]
    }

    proptest! {
        #[test]
        fn nothing_is_called_absent_that_was_told_to_be_there(events in prop::collection::vec(event(), 0..200)) {
            let mut absent = Absent::default();
            let (mut shelf, mut told) = (BTreeSet::new(), BTreeSet::new());
            let mut looks: Vec<(u8, Moment, bool)> = Vec::new();
            for event in events {
                match event {
                    Event::Look(id) => looks.push((id, absent.moment(), shelf.contains(&id))),
                    Event::Note(back) => {
                        let look = looks.len().checked_sub(1 + usize::from(back)).and_then(|at| looks.get(at));
                        if let Some((id, looked, false)) = look {
                            absent.note(&id.to_string(), *looked);
                        }
                    }
                    Event::Put(id) => { shelf.insert(id); }
                    Event::Tell(id) => if shelf.contains(&id) {
                        absent.came([id.to_string().as_str()]);
                        told.insert(id);
                    },
                }
                for id in &told {
                    prop_assert!(!absent.has(&id.to_string()), "{} is there", id);
                }
            }
        }
    }
}
