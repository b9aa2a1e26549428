//! The embedded back end where the store fails, waits or loses power, and the pure parts under it.
use super::chain::{End, Head, Walk};
use super::conformance::{tenant, wait};
use super::embedded::Embedded;
use super::memory::MemoryStore;
use super::record::{Frame, FrameFault, Unit};
use super::store::{SledStore, Store, StoreFailure};
use super::*;
use crate::limits::{APPEND_GROUP_TENANT_BYTES_MAX, APPEND_QUEUE_MAX, STORE_KEY_BYTES_MAX, STORE_VALUE_BYTES_MAX};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use tempfile::TempDir;

fn embedded(store: &MemoryStore, queue_max: usize) -> (Embedded, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Embedded::over(Arc::new(store.clone()), folder.path(), queue_max).unwrap(), folder)
}

fn payloads(fabric: &dyn Fabric, tenant: TenantKey) -> Vec<Vec<u8>> {
    fabric.read(tenant, Position(0), usize::MAX).unwrap().into_iter().map(|record| record.payload).collect()
}

fn one(fabric: &Embedded, tenant: TenantKey, epoch: Epoch, payload: &[u8]) -> Result<Appended, AppendError> {
    wait(fabric.append(tenant, epoch, vec![payload.to_vec()]))
}

/// Waits for a sync to begin; a writer that never syncs fails the test instead of hanging it.
fn began_within_reason(began: &Receiver<()>) {
    began.recv_timeout(std::time::Duration::from_secs(60)).expect("a sync begins");
}

/// Makes each sync of a store tell that it began and wait to be let go.
fn hold_syncs(store: &MemoryStore) -> (Receiver<()>, Sender<()>) {
    let (tell, began) = channel();
    let (let_go, wait_for) = channel::<()>();
    let mut held = true;
    store.before_sync(Box::new(move |_| {
        let _nobody_asks = tell.send(());
        held = held && wait_for.recv().is_ok();
        Ok(())
    }));
    (began, let_go)
}

#[test]
fn what_waits_during_a_sync_is_committed_by_the_next_one() {
    let store = MemoryStore::default();
    let (fabric, _folder) = embedded(&store, APPEND_QUEUE_MAX);
    let epochs: Vec<Epoch> = (0..10).map(|number| fabric.acquire(tenant(number)).unwrap().epoch).collect();
    let before = store.syncs();
    let (began, let_go) = hold_syncs(&store);
    let first = fabric.append(tenant(0), epochs[0], vec![b"first".to_vec()]);
    began_within_reason(&began);
    assert_eq!(payloads(&fabric, tenant(0)), Vec::<Vec<u8>>::new(), "what is not durable is not read");
    let waiting: Vec<_> = (0..100_usize)
        .map(|at| fabric.append(tenant((at % 10) as u128), epochs[at % 10], vec![vec![at as u8], vec![at as u8]]))
        .collect();
    drop(let_go);
    wait(first).unwrap();
    for append in waiting {
        wait(append).unwrap();
    }
    assert_eq!(store.syncs() - before, 2);
    assert_eq!(payloads(&fabric, tenant(0)).len(), 21);
}

#[test]
fn a_tenant_with_much_to_append_delays_nobody_by_more_than_its_share_and_keeps_its_order() {
    let store = MemoryStore::default();
    let (fabric, _folder) = embedded(&store, APPEND_QUEUE_MAX);
    let [much, little] = [tenant(1), tenant(2)];
    let (much_epoch, little_epoch) = (fabric.acquire(much).unwrap().epoch, fabric.acquire(little).unwrap().epoch);
    let (began, let_go) = hold_syncs(&store);
    let first = fabric.append(little, little_epoch, vec![b"first".to_vec()]);
    began_within_reason(&began);
    let large = |mark: u8| vec![vec![mark; 32 << 10]; APPEND_GROUP_TENANT_BYTES_MAX / (32 << 10)];
    let [one, two] = [1, 2].map(|mark| fabric.append(much, much_epoch, large(mark)));
    let three = fabric.append(much, much_epoch, vec![vec![3]]);
    let beside = fabric.append(little, little_epoch, vec![b"beside".to_vec()]);
    let before = store.syncs();
    let_go.send(()).unwrap();
    wait(first).unwrap();
    began_within_reason(&began);
    let written = store.written_and_synced().0;
    let_go.send(()).unwrap();
    wait(beside).unwrap();
    began_within_reason(&began);
    assert_eq!(store.syncs() - before, 2, "the neighbour is answered by the sync after the first one");
    assert!(store.written_and_synced().0 > written, "what was too much is written after that");
    drop(let_go);
    for append in [one, two, three] {
        wait(append).unwrap();
    }
    let marks: Vec<u8> = payloads(&fabric, much).iter().map(|payload| payload[0]).collect();
    assert!(marks.is_sorted() && marks.last() == Some(&3), "{marks:?}");
}

#[test]
fn a_full_queue_is_answered_at_once() {
    let store = MemoryStore::default();
    let (fabric, _folder) = embedded(&store, 3);
    let epoch = fabric.acquire(tenant(1)).unwrap().epoch;
    let (began, let_go) = hold_syncs(&store);
    let mut taken = vec![fabric.append(tenant(1), epoch, vec![vec![0]])];
    began_within_reason(&began);
    taken.extend((1..=3).map(|number| fabric.append(tenant(1), epoch, vec![vec![number]])));
    let refused = one(&fabric, tenant(1), epoch, b"refused").unwrap_err();
    assert_eq!(refused, AppendError::Full(3));
    assert_eq!(refused.to_string(), AppendError::Full(4).to_string(), "the count is that of all tenants");
    drop(let_go);
    for append in taken {
        wait(append).unwrap();
    }
    assert_eq!(payloads(&fabric, tenant(1)), [[0], [1], [2], [3]]);
    one(&fabric, tenant(1), epoch, b"room again").unwrap();
}

#[test]
fn the_bytes_that_wait_are_bounded_too() {
    let store = MemoryStore::default();
    let (fabric, _folder) = embedded(&store, APPEND_QUEUE_MAX);
    let epoch = fabric.acquire(tenant(1)).unwrap().epoch;
    let (began, let_go) = hold_syncs(&store);
    let first = fabric.append(tenant(1), epoch, vec![vec![0]]);
    began_within_reason(&began);
    let large = || fabric.append(tenant(1), epoch, vec![vec![7; PAYLOAD_BYTES_MAX]; 1_000]);
    let taken = [large(), large()];
    assert_eq!(wait(large()), Err(AppendError::Full(2)));
    drop(let_go);
    wait(first).unwrap();
    for append in taken {
        wait(append).unwrap();
    }
    wait(large()).unwrap();
}

#[test]
fn after_a_failed_sync_nobody_appends_before_acquiring_again() {
    let store = MemoryStore::default();
    let (fabric, _folder) = embedded(&store, APPEND_QUEUE_MAX);
    let epochs = [1, 2, 3].map(|number| fabric.acquire(tenant(number)).unwrap().epoch);
    one(&fabric, tenant(1), epochs[0], b"kept").unwrap();
    let failing = Arc::new(AtomicBool::new(true));
    let fails = Arc::clone(&failing);
    store.before_sync(Box::new(move |_| {
        if fails.load(Ordering::SeqCst) { Err(StoreFailure(String::from("disk on fire"))) } else { Ok(()) }
    }));
    let unsure = Err(AppendError::Unsure(String::from("disk on fire")));
    let group = [1, 2].map(|number: u8| {
        fabric.append(tenant(number.into()), epochs[usize::from(number) - 1], vec![b"maybe".to_vec()])
    });
    group.into_iter().for_each(|append| assert_eq!(wait(append), unsure));
    assert!(matches!(fabric.sync(), Err(FabricError::Store { .. })));
    failing.store(false, Ordering::SeqCst);
    assert_eq!(one(&fabric, tenant(1), epochs[0], b"no"), unsure);
    assert_eq!(payloads(&fabric, tenant(1)), [b"kept"]);
    one(&fabric, tenant(3), epochs[2], b"untouched").unwrap();
    let Tenure { epoch, next } = fabric.acquire(tenant(1)).unwrap();
    assert_eq!(next, Position(2), "the new owner learns that it was written");
    assert_eq!(one(&fabric, tenant(1), epoch, b"on").unwrap().first, next);
    assert_eq!(payloads(&fabric, tenant(1)), [b"kept".to_vec(), b"maybe".to_vec(), b"on".to_vec()]);
    assert!(matches!(one(&fabric, tenant(1), epochs[0], b"no"), Err(AppendError::Stale { .. })));
}

#[test]
fn a_failed_write_stops_that_tenant_alone() {
    let store = MemoryStore::default();
    let (fabric, _folder) = embedded(&store, APPEND_QUEUE_MAX);
    let epochs = [1, 2].map(|number| fabric.acquire(tenant(number)).unwrap().epoch);
    let name = format!("{}/journal", tenant(1).to_hex());
    let mut left = 1;
    store.before_write(Box::new(move |tree| {
        left -= i32::from(tree == name);
        if tree == name && left >= 0 { Err(StoreFailure(String::from("no space"))) } else { Ok(()) }
    }));
    assert_eq!(one(&fabric, tenant(1), epochs[0], b"lost"), Err(AppendError::Unsure(String::from("no space"))));
    assert_eq!(one(&fabric, tenant(1), epochs[0], b"no"), Err(AppendError::Unsure(String::from("no space"))));
    one(&fabric, tenant(2), epochs[1], b"untouched").unwrap();
    assert_eq!(fabric.view().len(), 1, "a failed owner holds nothing");
    let Tenure { epoch, next } = fabric.acquire(tenant(1)).unwrap();
    assert_eq!(next, Position(0));
    one(&fabric, tenant(1), epoch, b"on").unwrap();
}

#[test]
fn a_write_that_fails_is_unsure_for_all_that_were_written_with_it() {
    let store = MemoryStore::default();
    let (fabric, _folder) = embedded(&store, APPEND_QUEUE_MAX);
    let epochs = [1, 2].map(|number| fabric.acquire(tenant(number)).unwrap().epoch);
    let (began, let_go) = hold_syncs(&store);
    let first = fabric.append(tenant(2), epochs[1], vec![b"first".to_vec()]);
    began_within_reason(&began);
    let name = format!("{}/journal", tenant(1).to_hex());
    store.before_write(Box::new(
        move |tree| {
            if tree == name { Err(StoreFailure(String::from("no space"))) } else { Ok(()) }
        },
    ));
    let lost = [1, 2].map(|mark| fabric.append(tenant(1), epochs[0], vec![vec![mark]]));
    let beside = fabric.append(tenant(2), epochs[1], vec![b"beside".to_vec()]);
    drop(let_go);
    wait(first).unwrap();
    for append in lost {
        assert_eq!(wait(append), Err(AppendError::Unsure(String::from("no space"))));
    }
    assert_eq!(wait(beside).unwrap().first, Position(1));
}

#[test]
fn an_owner_who_comes_during_a_sync_counts_what_the_old_one_wrote() {
    let store = MemoryStore::default();
    let (fabric, _folder) = embedded(&store, APPEND_QUEUE_MAX);
    let old = fabric.acquire(tenant(1)).unwrap().epoch;
    let (began, let_go) = hold_syncs(&store);
    let under_way = fabric.append(tenant(1), old, vec![b"old".to_vec()]);
    began_within_reason(&began);
    let (tenure, late) = std::thread::scope(|scope| {
        let acquiring = scope.spawn(|| fabric.acquire(tenant(1)).unwrap());
        while fabric.view().iter().any(|holding| holding.epoch == old) {
            std::thread::yield_now();
        }
        let late = fabric.append(tenant(1), old, vec![b"late".to_vec()]);
        drop(let_go);
        (acquiring.join().unwrap(), wait(late))
    });
    assert_eq!(wait(under_way).unwrap().first, Position(0));
    assert_eq!(late, Err(AppendError::Stale { ours: old, owner: tenure.epoch }));
    assert_eq!(tenure.next, Position(1));
    assert_eq!(one(&fabric, tenant(1), tenure.epoch, b"new").unwrap().first, Position(1));
}

#[test]
fn dropping_finishes_what_is_queued_and_syncs_the_rest() {
    let store = MemoryStore::default();
    let (fabric, _folder) = embedded(&store, APPEND_QUEUE_MAX);
    let epoch = fabric.acquire(tenant(1)).unwrap().epoch;
    let (began, let_go) = hold_syncs(&store);
    let first = fabric.append(tenant(1), epoch, vec![b"first".to_vec()]);
    began_within_reason(&began);
    let second = fabric.append(tenant(1), epoch, vec![b"second".to_vec()]);
    fabric.tree(tenant(1), "notes").unwrap().put(b"key", b"derived".to_vec()).unwrap();
    drop(let_go);
    drop(fabric);
    assert_eq!((wait(first).unwrap().first, wait(second).unwrap().first), (Position(0), Position(1)));
    let (written, synced) = store.written_and_synced();
    assert_eq!(written, synced);
}

/// One step of an owner's life, for the power cuts below.
#[derive(Clone, Debug)]
enum Step {
    Append { tenant: u8, records: u8 },
    Acquire { tenant: u8 },
    Blob { tenant: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..3_u8, 1..4_u8).prop_map(|(tenant, records)| Step::Append { tenant, records }),
        1 => (0..3_u8).prop_map(|tenant| Step::Acquire { tenant }),
        1 => (0..3_u8).prop_map(|tenant| Step::Blob { tenant }),
    ]
}

/// An acknowledged record: whose, where, what, and how much of the store's log was synced by then.
struct Acknowledged {
    tenant: TenantKey,
    at: usize,
    payload: Vec<u8>,
    synced: usize,
}

fn live(store: &MemoryStore, steps: &[Step]) -> Vec<Acknowledged> {
    let (fabric, _folder) = embedded(store, APPEND_QUEUE_MAX);
    let mut epochs: Vec<Epoch> = (0..3).map(|number| fabric.acquire(tenant(number)).unwrap().epoch).collect();
    let mut acknowledged = Vec::new();
    for (number, step) in (0_u8..).zip(steps) {
        match step {
            Step::Acquire { tenant: whose } => {
                epochs[usize::from(*whose)] = fabric.acquire(tenant((*whose).into())).unwrap().epoch
            }
            Step::Blob { tenant: whose } => {
                let blob = Blob { name: "blob".into(), sealed: vec![number] };
                fabric.blobs_put(tenant((*whose).into()), vec![blob]).unwrap();
            }
            Step::Append { tenant: whose, records } => {
                let (tenant, payloads) =
                    (tenant((*whose).into()), (0..*records).map(|part| vec![number, part, *records]));
                let appended =
                    wait(fabric.append(tenant, epochs[usize::from(*whose)], payloads.clone().collect())).unwrap();
                let synced = store.written_and_synced().1;
                let placed = (appended.first.0 as usize..).zip(payloads);
                acknowledged.extend(placed.map(|(at, payload)| Acknowledged { tenant, at, payload, synced }));
            }
        }
    }
    acknowledged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_power_cut_after_any_write_loses_nothing_acknowledged(steps in vec(step(), 1..20)) {
        let store = MemoryStore::default();
        let acknowledged = live(&store, &steps);
        for cut in 0..=store.written_and_synced().0 {
            let (fabric, _folder) = embedded(&store.cut_after(cut), APPEND_QUEUE_MAX);
            let journals: Vec<(TenantKey, Vec<Vec<u8>>)> = (0..3).map(|number| {
                let Tenure { epoch, next } = fabric.acquire(tenant(number)).unwrap();
                prop_assert_eq!(one(&fabric, tenant(number), epoch, b"on").unwrap().first, next);
                Ok((tenant(number), payloads(&fabric, tenant(number))))
            }).collect::<Result<_, TestCaseError>>()?;
            for (tenant, journal) in &journals {
                let whole = |append: &[Vec<u8>]| append.iter().map(|payload| payload[1] + 1).eq(1..=append[0][2]);
                let mut left = journal.as_slice();
                while let [first, rest @ ..] = left && first != b"on" {
                    prop_assert!(left.get(..usize::from(first[2])).is_some_and(whole), "half an append of {tenant}: {left:?}");
                    left = rest.get(usize::from(first[2]) - 1..).unwrap_or_default();
                }
            }
            for record in acknowledged.iter().filter(|record| record.synced <= cut) {
                let journal = &journals.iter().find(|(tenant, _)| *tenant == record.tenant).unwrap().1;
                prop_assert_eq!(&journal[record.at], &record.payload, "cut after {} writes", cut);
            }
        }
    }
}

#[test]
fn the_largest_values_never_leave_the_synced_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let tree = store.tree("tree").unwrap();
    let largest = |key: u64| vec![(key.to_be_bytes().to_vec(), vec![7; STORE_VALUE_BYTES_MAX])];
    for at in 0..200_u64 {
        tree.apply(largest(at.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 64), &[]).unwrap();
    }
    // Pages shrink, merge and grow again under several writers at once.
    std::thread::scope(|scope| {
        for writer in 0..3_u64 {
            let tree = &tree;
            scope.spawn(move || {
                for at in 0..60_u64 {
                    tree.apply(Vec::new(), &[(at.wrapping_mul(7 + writer) % 64).to_be_bytes().to_vec()]).unwrap();
                    tree.apply(largest(at.wrapping_mul(11 + writer) % 64), &[]).unwrap();
                }
            });
        }
    });
    for at in 0..600_u64 {
        let key = [at.to_be_bytes().as_slice(), &[7; STORE_KEY_BYTES_MAX - 8]].concat();
        tree.apply(vec![(key, Vec::new())], &[]).unwrap();
    }
    store.sync().unwrap();
    let outside: Vec<_> =
        std::fs::read_dir(folder.path().join("blobs")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(outside, Vec::<std::ffi::OsString>::new());
}

#[test]
fn the_store_refuses_what_its_log_cannot_hold_and_a_second_owner() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let tree = store.tree("tree").unwrap();
    let good = (b"good".to_vec(), b"value".to_vec());
    assert!(tree.apply(vec![good.clone(), (b"key".to_vec(), vec![0; STORE_VALUE_BYTES_MAX + 1])], &[]).is_err());
    assert!(tree.apply(vec![good, (vec![0; STORE_KEY_BYTES_MAX + 1], Vec::new())], &[]).is_err());
    assert_eq!(tree.get(b"good").unwrap(), None, "nothing half-done");
    assert!(SledStore::open(folder.path()).is_err());
    assert_eq!(store.names("tr"), ["tree"]);
    store.drop_tree("tree").unwrap();
    assert!(store.existing("tree").is_none() && tree.get(b"good").is_err());
}

/// Computed once with another implementation of the layout and of SHA-256.
const GOLDEN_FRAME: &str = "b10000000700000000000000073a67a952d118051386b42a499186eb1dcbc39d3a88c8647795d2b034de8ed2c974a0e1c370 \
    61796c6f616456e0f01ab803b1f93a453f1c4bb24aa6dffb786e59bcf710922a0dc61aa8a890";

#[test]
fn frame_and_hash_are_what_was_written_on_disks_before() {
    let (head, frame) = Head::genesis(tenant(1)).extend(tenant(1), Epoch(7), b"payload", Unit::Ends).unwrap();
    assert_eq!(hex::encode(&frame), GOLDEN_FRAME.replace(char::is_whitespace, ""));
    assert_eq!(record::decode(&frame).unwrap().hash, head.hash);
}

fn chained(payloads: &[Vec<u8>]) -> (Head, Vec<Vec<u8>>) {
    let mut head = Head::genesis(tenant(1));
    let frames = payloads.iter().map(|payload| {
        let (next, frame) = head.extend(tenant(1), Epoch(1), payload, Unit::Ends).unwrap();
        head = next;
        frame
    });
    let frames = frames.collect();
    (head, frames)
}

fn walked(records: &[(u64, Vec<u8>)]) -> Result<End, chain::Damage> {
    let mut walk = Walk::from_genesis(tenant(1));
    for (at, bytes) in records {
        walk.step(&record::key(Position(*at)), bytes)?;
    }
    walk.finish()
}

proptest! {
    #[test]
    fn a_frame_is_read_as_it_was_written(ends: bool, epoch: u64, previous: [u8; 32], hash: [u8; 32], payload in vec(any::<u8>(), 0..300)) {
        let unit = if ends { Unit::Ends } else { Unit::GoesOn };
        let frame = Frame { unit, epoch: Epoch(epoch), previous, payload: &payload, hash };
        let mut bytes = record::encode(&frame).unwrap();
        prop_assert_eq!(bytes.len(), payload.len() + record::OVERHEAD_BYTES);
        prop_assert_eq!(record::decode(&bytes), Ok(frame));
        for length in 0..bytes.len() {
            let torn = matches!(record::decode(&bytes[..length]), Err(FrameFault::Torn { have, need }) if have == length && need > length);
            prop_assert!(torn);
        }
        bytes.push(0);
        prop_assert_eq!(record::decode(&bytes), Err(FrameFault::Trailing(1)));
    }

    #[test]
    fn any_bytes_can_be_tried(bytes in vec(any::<u8>(), 0..200)) {
        let _whatever = record::decode(&bytes);
        prop_assert!(ledger::decode(&bytes).is_none());
        prop_assert!(record::position(&bytes).is_none() || bytes.len() == 8);
    }

    #[test]
    fn a_walk_names_the_first_record_that_does_not_fit(
        payloads in vec(vec(any::<u8>(), 0..60), 1..8), which: prop::sample::Index, byte: prop::sample::Index, bit in 0..8_u8
    ) {
        let (head, frames) = chained(&payloads);
        let whole: Vec<(u64, Vec<u8>)> = (0..).zip(frames).collect();
        prop_assert_eq!(walked(&whole), Ok(End { head: Some(head), unfinished: Vec::new() }));
        let at = which.index(whole.len());
        let mut flipped = whole.clone();
        let byte = byte.index(flipped[at].1.len());
        flipped[at].1[byte] ^= 1 << bit;
        prop_assert_eq!(walked(&flipped).unwrap_err().position, Position(at as u64));
        let mut gap = whole.clone();
        gap.remove(at);
        match walked(&gap) {
            Ok(end) => prop_assert_eq!((at + 1, end.head.unwrap().next), (whole.len(), Position(at as u64))),
            Err(damage) => prop_assert_eq!(damage.position, Position(at as u64)),
        }
        let mut torn = whole;
        torn[at].1.truncate(byte);
        match walked(&torn) {
            Ok(end) => prop_assert_eq!((at + 1, end.unfinished), (torn.len(), vec![Position(at as u64)])),
            Err(damage) => prop_assert_eq!(damage.position, Position(at as u64)),
        }
    }

    #[test]
    fn an_altered_ledger_entry_is_refused(epoch: u64, next: u64, hash: [u8; 32], byte: prop::sample::Index, bit in 0..8_u8) {
        let entry = ledger::Entry { epoch: Epoch(epoch), mark: Head { next: Position(next), hash } };
        let mut bytes = ledger::encode(&entry);
        prop_assert_eq!(ledger::decode(&bytes), Some(entry));
        let byte = byte.index(bytes.len());
        bytes[byte] ^= 1 << bit;
        prop_assert_eq!(ledger::decode(&bytes), None);
    }
}
