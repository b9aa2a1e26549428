//! The files of the log: what of a cut-off write counts, and what of damage is found.
use super::group::{self, Change, HEADER_BYTES, PAGE_BYTES};
use super::log::{Found, GROWTH_BYTES, LARGE_GROUP_BYTES, Log, ROOM_BYTES};
use crate::fabric::store::StoreFailure;
use std::path::Path;

fn change(value: u8) -> (String, Change) {
    (String::from("tree"), Change::Apply(vec![(vec![value], vec![value; 5_000])], Vec::new()))
}

fn append(log: &mut Log, value: u8) {
    append_change(log, &change(value));
}

/// How many bytes were written for it.
fn append_change(log: &mut Log, (tree, change): &(String, Change)) -> usize {
    let mut group = vec![0; ROOM_BYTES];
    group::encode(tree, change, &mut group).unwrap();
    log.append(&mut group).unwrap();
    group.len()
}

const SEGMENT_BYTES: usize = 2 * GROWTH_BYTES + 3 * PAGE_BYTES;

fn open(folder: &Path) -> Log {
    Found::read(folder).unwrap().into_log(folder, SEGMENT_BYTES).unwrap()
}

fn read(folder: &Path) -> Result<Vec<(String, Change)>, StoreFailure> {
    let found = Found::read(folder)?;
    Ok(found.live.iter().flat_map(|(_, groups)| groups).flat_map(|changes| group::decode(changes).unwrap()).collect())
}

fn changes(values: std::ops::Range<u8>) -> Vec<(String, Change)> {
    values.map(change).collect()
}

/// What a segment of three groups has in its slot.
const THREE_GROUPS_BYTES: usize = 7 * PAGE_BYTES;

/// Two segments: groups 0 to 2 in the first, 3 to 5 in the second, of two pages each after a page that says whose it is.
fn two_segments() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    (0..3).for_each(|value| append(&mut log, value));
    log.begin_next().unwrap();
    (3..6).for_each(|value| append(&mut log, value));
    folder
}

#[test]
fn a_group_that_was_cut_off_is_none_and_those_before_it_are_whole() {
    let folder = two_segments();
    let slot = folder.path().join("slot-01");
    let whole = std::fs::read(&slot).unwrap();
    assert_eq!(read(folder.path()).unwrap(), changes(0..6));
    let written = HEADER_BYTES + 5_000;
    for cut in (5 * PAGE_BYTES..5 * PAGE_BYTES + written).step_by(97) {
        std::fs::write(&slot, &whole[..cut]).unwrap();
        assert_eq!(read(folder.path()).unwrap(), changes(0..5), "cut after {cut} bytes");
        let unwritten: Vec<u8> = whole[..cut].iter().copied().chain(vec![0xA5; THREE_GROUPS_BYTES - cut]).collect();
        std::fs::write(&slot, unwritten).unwrap();
        assert_eq!(read(folder.path()).unwrap(), changes(0..5), "cut after {cut} bytes, with something else behind it");
        // an encoded change ends with a zero: cut there it is whole, and rightly
        let grown: Vec<u8> = whole[..cut].iter().copied().chain(vec![0; whole.len() - cut]).collect();
        std::fs::write(&slot, grown).unwrap();
        assert_eq!(
            read(folder.path()).unwrap(),
            changes(0..5),
            "cut after {cut} bytes, with what it grew by behind it"
        );
    }
}

#[test]
fn a_flipped_bit_in_what_was_acknowledged_is_found_and_named() {
    let folder = two_segments();
    let (first, second) = (folder.path().join("slot-00"), folder.path().join("slot-01"));
    for (slot, last_group_at) in [(&first, usize::MAX), (&second, 5 * PAGE_BYTES)] {
        let whole = std::fs::read(slot).unwrap();
        for at in (0..THREE_GROUPS_BYTES).step_by(61).filter(|at| *at < last_group_at) {
            // what fills a page up says nothing
            let in_group = at.saturating_sub(PAGE_BYTES) % (2 * PAGE_BYTES);
            if in_group >= HEADER_BYTES + 5_000 || (HEADER_BYTES..PAGE_BYTES).contains(&at) {
                continue;
            }
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            std::fs::write(slot, flipped).unwrap();
            let failure = read(folder.path()).unwrap_err();
            let named = failure.0.contains("is damaged") && failure.0.contains("slot-0");
            assert!(named, "byte {at} of {}: {failure}", slot.display());
        }
        std::fs::write(slot, whole).unwrap();
    }
    assert_eq!(read(folder.path()).unwrap(), changes(0..6));
}

#[test]
fn a_segment_that_is_missing_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    append(&mut log, 0);
    let _first = log.begin_next().unwrap();
    append(&mut log, 1);
    let second = log.begin_next().unwrap();
    append(&mut log, 2);
    assert_eq!(read(folder.path()).unwrap(), changes(0..3));
    drop(second.retire().unwrap());
    assert!(read(folder.path()).unwrap_err().0.contains("is missing"));
    let folder = two_segments();
    let mut log = open(folder.path());
    let third = log.begin_next().unwrap();
    drop(third.retire().unwrap());
    let failure = read(folder.path()).unwrap_err();
    assert!(failure.0.contains("is missing"), "what follows has no group that tells: {failure}");
}

#[test]
fn a_slot_is_used_again_and_nothing_of_its_last_segment_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    (0..4).for_each(|value| append(&mut log, value));
    let first = log.begin_next().unwrap();
    append(&mut log, 4);
    log.reuse(first.retire().unwrap());
    let second = log.begin_next().unwrap();
    append(&mut log, 5);
    drop(second);
    assert_eq!(read(folder.path()).unwrap(), changes(4..6));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no third file");
    let slot = std::fs::read(folder.path().join("slot-00")).unwrap();
    assert_eq!(
        group_at(&slot, 3 * PAGE_BYTES),
        Some((1, 1)),
        "groups of its last segment are still there, behind the new one"
    );
}

/// The segment and the number of the group at a place.
fn group_at(slot: &[u8], at: usize) -> Option<(u64, u64)> {
    group::open(&slot[at..]).map(|(header, _)| (header.segment, header.number))
}

/// A file that grows has its size and its blocks written by every sync, one after another.
#[test]
fn a_slot_grows_for_many_small_groups_at_once_and_for_a_large_one_by_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    let bytes = || usize::try_from(std::fs::metadata(folder.path().join("slot-00")).unwrap().len()).unwrap();
    let fit = u8::try_from((GROWTH_BYTES / PAGE_BYTES - 1) / 2).unwrap();
    for value in 0..fit {
        let written = append_change(&mut log, &change(value));
        assert_eq!(bytes(), GROWTH_BYTES, "after group {value}");
        assert_eq!(written, if value == 0 { GROWTH_BYTES - PAGE_BYTES } else { 2 * PAGE_BYTES }, "of group {value}");
    }
    append(&mut log, fit);
    assert_eq!(bytes(), 2 * GROWTH_BYTES, "one that does not fit any more");
    assert_eq!(read(folder.path()).unwrap(), changes(0..fit + 1), "what it grew by says nothing");

    assert_eq!(large_group(&mut log, LARGE_GROUP_BYTES), LARGE_GROUP_BYTES);
    log.begin_next().unwrap();
    let bytes = || usize::try_from(std::fs::metadata(folder.path().join("slot-01")).unwrap().len()).unwrap();
    large_group(&mut log, LARGE_GROUP_BYTES);
    assert_eq!(bytes(), log.bytes(), "a large one");
    large_group(&mut log, LARGE_GROUP_BYTES - PAGE_BYTES);
    assert_eq!(bytes(), GROWTH_BYTES, "one that is just not large");
    while bytes() < SEGMENT_BYTES {
        append(&mut log, 1);
    }
    assert_eq!(bytes(), SEGMENT_BYTES, "no group begins behind the end of a segment");
    while log.bytes() <= SEGMENT_BYTES {
        append(&mut log, 2);
    }
    assert_eq!(bytes(), log.bytes(), "and its last one ends where it ends");
    assert_eq!(read(folder.path()).unwrap().last(), Some(&change(2)), "whole");
}

/// Appends a group of so many bytes, and gives them.
fn large_group(log: &mut Log, bytes: usize) -> usize {
    let before = log.bytes();
    let value = vec![7; bytes - PAGE_BYTES];
    append_change(log, &(String::from("tree"), Change::Apply(vec![(vec![1], value)], Vec::new())));
    log.bytes() - before
}
