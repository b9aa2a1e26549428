//! Which readings of a folder still count. Folders are read beside the registry's queue, and meanwhile the registry
//! itself may create, change or remove them: what was read before that speaks of a folder that is no more.
use bailiwick_kernel::limits::FOLDER_EVENTS_MAX;
use std::collections::BTreeMap;

/// The house's own writes: the number of the last one to each folder.
#[derive(Debug, Default)]
pub struct Writes {
    last: BTreeMap<String, u64>,
    /// No reading from before this write counts, whichever the folder: of more folders than are remembered, the
    /// sound readings are read again rather than the outdated ones believed.
    floor: u64,
}

impl Writes {
    /// Notes that the write of this number to a folder has ended.
    pub fn note(&mut self, folder: &str, number: u64) {
        if self.last.len() >= FOLDER_EVENTS_MAX && !self.last.contains_key(folder) {
            self.floor = self.last.values().copied().fold(self.floor, u64::max);
            self.last.clear();
        }
        let last = self.last.entry(folder.to_owned()).or_default();
        *last = number.max(*last);
    }

    /// True where the house has written to a folder since a reading of it began.
    #[must_use]
    pub fn outdate(&self, folder: &str, read_after: u64) -> bool {
        let last = self.last.get(folder).copied().unwrap_or_default();
        read_after < last.max(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_counts_until_the_house_writes_to_its_folder() {
        let mut writes = Writes::default();
        assert!(!writes.outdate("acme", 0), "nothing was written");
        writes.note("acme", 3);
        for (folder, read_after, outdated) in [
            ("acme", 0, true),
            ("acme", 2, true),
            ("acme", 3, false),
            ("acme", 4, false),
            ("beta", 0, false),
            ("beta", 9, false),
        ] {
            assert_eq!(writes.outdate(folder, read_after), outdated, "{folder} read after write {read_after}");
        }
        writes.note("acme", 2);
        assert!(writes.outdate("acme", 2), "an earlier write that is noted later takes nothing back");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_no_outdated_reading_is_believed() {
        let mut writes = Writes::default();
        let many = u64::try_from(FOLDER_EVENTS_MAX).unwrap() + 1;
        for number in 1..=many {
            writes.note(&format!("folder-{number}"), number);
        }
        assert!(writes.last.len() <= FOLDER_EVENTS_MAX);
        for number in 1..=many {
            assert!(writes.outdate(&format!("folder-{number}"), number - 1), "folder-{number}");
        }
        assert!(!writes.outdate("folder-1", many) && !writes.outdate("untouched", many));
    }
}
