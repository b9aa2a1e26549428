//! The files of the log: slots of one segment each, written from front to back and used again.
//!
//! Where a file grows, a sync writes its new blocks, and then of the file system's own what says where they are, one after the
//! other. A slot that is used again does not grow, and one that does grows for many small groups at once.
use super::group::{self, HEADER_BYTES, Header, Kind, PAGE_BYTES, span};
use crate::fabric::store::{StoreFailure, sync_folder};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a group's changes begin in the bytes given to [`Log::append`].
pub const ROOM_BYTES: usize = HEADER_BYTES;
/// What a slot grows to for a small group: a multiple of this, or where its segment ends.
pub const GROWTH_BYTES: usize = 1 << 20;
/// From here on a group is large: what it writes outweighs what its sync writes of the file system.
pub const LARGE_GROUP_BYTES: usize = GROWTH_BYTES / 8;

#[derive(Debug)]
struct Slot {
    file: File,
    path: PathBuf,
}

impl Slot {
    fn open(folder: &Path, number: usize) -> Result<Self, StoreFailure> {
        let path = folder.join(format!("slot-{number:02}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        Ok(Self { file, path })
    }

    /// Says durably whose segment follows, and whether it is needed.
    fn begin(&self, kind: Kind, segment: u64) -> Result<(), StoreFailure> {
        let mut page = vec![0; HEADER_BYTES];
        group::seal(kind, segment, 0, &mut page);
        self.file.write_all_at(&page, 0)?;
        Ok(self.file.sync_data()?)
    }

    fn bytes(&self) -> Result<u64, StoreFailure> {
        Ok(self.file.metadata()?.len())
    }

    fn write(&self, group: &[u8], at: usize) -> Result<(), StoreFailure> {
        self.file.write_all_at(group, as_u64(at))?;
        Ok(self.file.sync_data()?)
    }
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A segment that is complete: kept until the store has what it says.
#[derive(Debug)]
pub struct Segment {
    number: u64,
    slot: Arc<Slot>,
}

/// The log, open for its next group.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    slots: usize,
    free: Vec<Arc<Slot>>,
    current: Segment,
    /// Where a segment ends, but for its last group.
    segment_bytes: usize,
    /// Bytes of the current segment in use.
    end: usize,
    /// Bytes of the current slot, in use or not. Kept: asking would be a system call for every group, and on newer kernels
    /// a file that was asked has its next write write its times, too.
    slot_bytes: u64,
    /// The number of the next group.
    group: u64,
}

/// The changes of each group of a segment …
type Groups = Vec<Vec<u8>>;
/// … with the numbers of the groups.
type Numbered = Vec<(u64, Vec<u8>)>;

/// What a log had to say when it was opened.
#[derive(Debug, Default)]
pub struct Found {
    /// Segments the store may not have, in their order, each with its groups.
    pub live: VecDeque<(Segment, Groups)>,
    free: Vec<Arc<Slot>>,
    slots: usize,
    segment: u64,
    group: u64,
}

impl Found {
    /// Reads the log of a folder, which is created where there is none.
    ///
    /// # Errors
    /// [`StoreFailure`], also where what was durable is not as it was written.
    pub fn read(folder: &Path) -> Result<Self, StoreFailure> {
        std::fs::create_dir_all(folder)?;
        let mut found = Self::default();
        let mut live = Vec::new();
        while folder.join(format!("slot-{:02}", found.slots)).exists() {
            let slot = Arc::new(Slot::open(folder, found.slots)?);
            found.slots = found.slots.saturating_add(1);
            let bytes = std::fs::read(&slot.path)?;
            match header_of(&slot, &bytes)? {
                Some(Header { kind: Kind::Live, segment, .. }) => {
                    found.segment = found.segment.max(segment);
                    let groups = groups_of(&slot, segment, &bytes)?;
                    live.push((Segment { number: segment, slot }, groups));
                }
                Some(header) => {
                    found.segment = found.segment.max(header.segment);
                    found.free.push(slot);
                }
                None => found.free.push(slot),
            }
        }
        live.sort_by_key(|(segment, _)| segment.number);
        found.take(live)?;
        Ok(found)
    }

    /// Takes segments that follow each other without a gap, and groups that do.
    fn take(&mut self, live: Vec<(Segment, Numbered)>) -> Result<(), StoreFailure> {
        let mut before: Option<(u64, Option<u64>)> = None;
        for (segment, groups) in live {
            let first = groups.first().map(|(number, _)| *number);
            if let Some((earlier, last)) = before {
                let follows = earlier.saturating_add(1) == segment.number
                    && first.is_none_or(|first| last.is_none_or(|last| last.saturating_add(1) == first));
                if !follows {
                    return Err(damaged(&segment.slot, "what was written before it is missing"));
                }
            }
            let last = groups.last().map(|(number, _)| *number).or(before.and_then(|(_, last)| last));
            before = Some((segment.number, last));
            self.group = last.map_or(self.group, |last| last.saturating_add(1));
            self.live.push_back((segment, groups.into_iter().map(|(_, changes)| changes).collect()));
        }
        Ok(())
    }

    /// Opens the log for writing, with segments that are complete from so many bytes on. What it said before must have been
    /// taken over and retired.
    ///
    /// # Errors
    /// [`StoreFailure`].
    pub fn into_log(mut self, folder: &Path, segment_bytes: usize) -> Result<Log, StoreFailure> {
        let slot = next_slot(folder, &mut self.free, &mut self.slots)?;
        let current = Segment { number: self.segment.saturating_add(1), slot };
        current.slot.begin(Kind::Live, current.number)?;
        let slot_bytes = current.slot.bytes()?;
        let Self { free, slots, group, .. } = self;
        Ok(Log { folder: folder.to_owned(), slots, free, current, segment_bytes, end: PAGE_BYTES, slot_bytes, group })
    }
}

fn damaged(slot: &Slot, what: &str) -> StoreFailure {
    StoreFailure(format!("{} is damaged: {what}; restore the node from a backup", slot.path.display()))
}

/// What a slot begins with; nothing where it was never used.
fn header_of(slot: &Slot, bytes: &[u8]) -> Result<Option<Header>, StoreFailure> {
    let first = bytes.get(..PAGE_BYTES).unwrap_or(bytes);
    match group::open(first) {
        Some((header, _)) if header.kind != Kind::Group => Ok(Some(header)),
        None if first.iter().all(|byte| *byte == 0) => Ok(None),
        _ => Err(damaged(slot, "its first page is not what was written")),
    }
}

/// The groups of a segment with their numbers, up to the first page where none begins: it was never acknowledged, unless
/// another group follows it, which is only written once the one before it is durable.
fn groups_of(slot: &Slot, segment: u64, bytes: &[u8]) -> Result<Numbered, StoreFailure> {
    let group_at = |at: usize| {
        let opened = bytes.get(at..).and_then(group::open);
        opened.filter(|(header, _)| header.kind == Kind::Group && header.segment == segment)
    };
    let (mut groups, mut at) = (Vec::new(), PAGE_BYTES);
    while let Some((header, changes)) = group_at(at) {
        groups.push((header.number, changes.to_vec()));
        at = at.saturating_add(span(header.bytes));
    }
    let mut behind = (at..bytes.len()).step_by(PAGE_BYTES);
    if let Some((header, _)) = behind.find_map(group_at) {
        return Err(damaged(
            slot,
            &format!("what was acknowledged before group {} is not what was written", header.number),
        ));
    }
    Ok(groups)
}

fn next_slot(folder: &Path, free: &mut Vec<Arc<Slot>>, slots: &mut usize) -> Result<Arc<Slot>, StoreFailure> {
    if let Some(slot) = free.pop() {
        return Ok(slot);
    }
    let slot = Slot::open(folder, *slots)?;
    slot.file.sync_all()?;
    sync_folder(folder)?;
    *slots = slots.saturating_add(1);
    Ok(Arc::new(slot))
}

impl Log {
    /// Bytes of the current segment in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.end
    }

    /// Writes a group, whose changes stand after [`ROOM_BYTES`] of room, and returns once it is on the disk: with zeros behind
    /// it where the slot grows for it, which the group has in the end, too. No group begins there, and the next one is written
    /// over them.
    ///
    /// # Errors
    /// [`StoreFailure`]: it may or may not be there.
    pub fn append(&mut self, group: &mut Vec<u8>) -> Result<(), StoreFailure> {
        group::seal(Kind::Group, self.current.number, self.group, group);
        let end = self.end.saturating_add(group.len());
        if group.len() < LARGE_GROUP_BYTES && as_u64(end) > self.slot_bytes {
            let grown = end.next_multiple_of(GROWTH_BYTES).min(self.segment_bytes).max(end);
            group.resize(grown.saturating_sub(self.end), 0);
        }
        self.current.slot.write(group, self.end)?;
        self.slot_bytes = self.slot_bytes.max(as_u64(self.end.saturating_add(group.len())));
        self.end = end;
        self.group = self.group.saturating_add(1);
        Ok(())
    }

    /// Begins the next segment and gives away the one before.
    ///
    /// # Errors
    /// [`StoreFailure`].
    pub fn begin_next(&mut self) -> Result<Segment, StoreFailure> {
        let slot = next_slot(&self.folder, &mut self.free, &mut self.slots)?;
        let number = self.current.number.saturating_add(1);
        slot.begin(Kind::Live, number)?;
        self.slot_bytes = slot.bytes()?;
        self.end = PAGE_BYTES;
        Ok(std::mem::replace(&mut self.current, Segment { number, slot }))
    }

    /// Takes the slot of a retired segment back.
    pub fn reuse(&mut self, Retired(slot): Retired) {
        self.free.push(slot);
    }

    /// Makes every further write fail.
    #[cfg(test)]
    pub fn refuse_writes(&mut self) {
        let path = self.current.slot.path.clone();
        let file = File::open(&path).expect("the slot is there");
        self.current.slot = Arc::new(Slot { file, path });
    }
}

/// A slot that may be written over.
#[derive(Debug)]
pub struct Retired(Arc<Slot>);

impl Segment {
    /// Says durably that the store has what this segment says. The oldest one is retired first.
    ///
    /// # Errors
    /// [`StoreFailure`].
    pub fn retire(self) -> Result<Retired, StoreFailure> {
        self.slot.begin(Kind::Retired, self.number)?;
        Ok(Retired(self.slot))
    }
}

impl Found {
    /// Takes the slot of a retired segment back.
    pub fn reuse(&mut self, Retired(slot): Retired) {
        self.free.push(slot);
    }
}
