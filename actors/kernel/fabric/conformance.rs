//! What every back end of the seam must do. A back end joins by implementing [`Subject`] and naming itself in `suite!`.
use super::chain::{Head, link};
use super::embedded::Embedded;
use super::memory::MemoryStore;
use super::record::Unit;
use super::store::{Keyed, SledStore, Store};
use super::write_ahead::WriteAhead;
use super::*;
use crate::limits::{APPEND_RECORDS_MAX, INLINE_BLOB_BYTES_MAX};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// One back end with data of its own, and a hand that can reach under it.
pub(super) trait Subject {
    /// Closes whatever is open, which the caller has let go of, and starts again from what is stored.
    fn open(&self) -> Arc<dyn Fabric>;
    fn raw(&self, tenant: TenantKey, at: u64) -> Option<Vec<u8>>;
    fn overwrite(&self, tenant: TenantKey, at: u64, value: Option<Vec<u8>>);
}

#[expect(clippy::disallowed_methods, reason = "test")]
pub(super) fn tenant(number: u128) -> TenantKey {
    TenantKey::mint(uuid::Uuid::from_u128(number))
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn append(fabric: &dyn Fabric, tenant: TenantKey, epoch: Epoch, payloads: &[&[u8]]) -> Result<Appended, AppendError> {
    wait(fabric.append(tenant, epoch, payloads.iter().map(|payload| payload.to_vec()).collect()))
}

fn payloads(fabric: &dyn Fabric, tenant: TenantKey) -> Vec<Vec<u8>> {
    fabric.read(tenant, Position(0), usize::MAX).unwrap().into_iter().map(|record| record.payload).collect()
}

fn damaged_at(result: Result<impl std::fmt::Debug, FabricError>, whose: TenantKey) -> u64 {
    match result {
        Err(FabricError::Damaged { tenant, position, .. }) if tenant == whose => position.0,
        other => panic!("expected a damaged journal, got {other:?}"),
    }
}

/// Three records of one tenant, written and closed.
fn three_records(subject: &impl Subject) {
    let fabric = subject.open();
    let epoch = fabric.acquire(tenant(1)).unwrap().epoch;
    for payload in [b"first".as_slice(), b"second", b"third"] {
        append(&*fabric, tenant(1), epoch, &[payload]).unwrap();
    }
}

pub(super) fn records_are_dense_and_chained(subject: &impl Subject) {
    let fabric = subject.open();
    let Tenure { epoch, next } = fabric.acquire(tenant(1)).unwrap();
    assert_eq!(next, Position(0));
    let one = append(&*fabric, tenant(1), epoch, &[b"a"]).unwrap();
    let more = append(&*fabric, tenant(1), epoch, &[b"", b"c"]).unwrap();
    assert_eq!((one.first, one.last, more.first, more.last), (Position(0), Position(0), Position(1), Position(2)));
    let mut previous = Head::genesis(tenant(1)).hash;
    let records = fabric.read(tenant(1), Position(0), 10).unwrap();
    assert_eq!(
        records.iter().map(|record| record.payload.as_slice()).collect::<Vec<_>>(),
        [b"a".as_slice(), b"", b"c"]
    );
    for (index, record) in (0..).zip(&records) {
        assert_eq!((record.position, record.epoch), (Position(index), epoch));
        assert_eq!(record.hash, link(tenant(1).as_bytes(), record.position, epoch, &previous, &record.payload));
        previous = record.hash;
    }
    assert_eq!(previous, more.head);
    assert_eq!([one.first_hash, one.head, more.first_hash], [0, 0, 1].map(|at: usize| records[at].hash));
    assert_eq!(fabric.read(tenant(1), Position(1), 1).unwrap(), records[1..2]);
    assert_eq!(fabric.read(tenant(1), Position(3), 10).unwrap(), []);
    assert_eq!(fabric.read(tenant(1), Position(9), 10).unwrap(), []);
    assert_eq!(fabric.read(tenant(2), Position(0), 10).unwrap(), []);
}

pub(super) fn a_stale_owner_cannot_append(subject: &impl Subject) {
    let fabric = subject.open();
    let old = fabric.acquire(tenant(1)).unwrap().epoch;
    append(&*fabric, tenant(1), old, &[b"old"]).unwrap();
    let Tenure { epoch: new, next } = fabric.acquire(tenant(1)).unwrap();
    assert!(new > old);
    assert_eq!(next, Position(1));
    assert_eq!(append(&*fabric, tenant(1), old, &[b"no"]), Err(AppendError::Stale { ours: old, owner: new }));
    append(&*fabric, tenant(1), new, &[b"new"]).unwrap();
    assert_eq!(append(&*fabric, tenant(2), new, &[b"no"]), Err(AppendError::Stale { ours: new, owner: Epoch(0) }));
    drop(fabric);
    let fabric = subject.open();
    assert_eq!(append(&*fabric, tenant(1), new, &[b"no"]), Err(AppendError::Stale { ours: new, owner: new }));
    let newest = fabric.acquire(tenant(1)).unwrap().epoch;
    assert!(newest > new);
    assert_eq!(append(&*fabric, tenant(1), new, &[b"no"]), Err(AppendError::Stale { ours: new, owner: newest }));
    assert_eq!(payloads(&*fabric, tenant(1)), [b"old", b"new"]);
    assert_eq!(fabric.view(), [Holding { tenant: tenant(1), epoch: newest, node: String::from("here") }]);
}

pub(super) fn everything_is_there_after_reopening(subject: &impl Subject) {
    three_records(subject);
    let fabric = subject.open();
    let before = fabric.read(tenant(1), Position(0), 10).unwrap();
    let Tenure { epoch, next } = fabric.acquire(tenant(1)).unwrap();
    assert_eq!((before.len(), next), (3, Position(3)));
    assert_eq!(append(&*fabric, tenant(1), epoch, &[b"fourth"]).unwrap().first, Position(3));
    drop(fabric);
    let fabric = subject.open();
    fabric.acquire(tenant(1)).unwrap();
    let after = fabric.read(tenant(1), Position(0), 10).unwrap();
    assert_eq!((&after[..3], after[3].epoch, after[3].payload.as_slice()), (&before[..], epoch, b"fourth".as_slice()));
}

/// Callers on their own threads, each with several appends under way for tenants they share with the others.
pub(super) fn many_callers_share_the_commit(subject: &impl Subject) {
    const CALLERS: u8 = 8;
    const ROUNDS: u8 = 20;
    let fabric = subject.open();
    let epochs: Vec<Epoch> = (0..4).map(|number| fabric.acquire(tenant(number)).unwrap().epoch).collect();
    let acknowledged = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (fabric, epochs, acknowledged) = (&fabric, &epochs, &acknowledged);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let under_way: Vec<_> = (0_u8..)
                        .zip(epochs)
                        .map(|(number, epoch)| {
                            let records = (0..=caller % 3).map(|part| vec![caller, round, number, part]).collect();
                            (number, fabric.append(tenant(number.into()), *epoch, records))
                        })
                        .collect();
                    for (number, append) in under_way {
                        let appended = wait(append).unwrap();
                        for (part, at) in (0_u8..).zip(appended.first.0..=appended.last.0) {
                            let twice =
                                acknowledged.lock().unwrap().insert((number, at), vec![caller, round, number, part]);
                            assert_eq!(twice, None);
                        }
                    }
                }
            });
        }
    });
    drop(fabric);
    let fabric = subject.open();
    let acknowledged = acknowledged.into_inner().unwrap();
    for number in 0..4_u8 {
        fabric.acquire(tenant(number.into())).unwrap();
        let stored = payloads(&*fabric, tenant(number.into()));
        let expected: Vec<Vec<u8>> =
            acknowledged.iter().filter(|((of, _), _)| *of == number).map(|(_, payload)| payload.clone()).collect();
        assert_eq!(stored, expected, "all that was acknowledged, where it was acknowledged, and nothing else");
        for caller in 0..CALLERS {
            let own: Vec<_> = stored.iter().filter(|payload| payload[0] == caller).collect();
            assert!(own.is_sorted(), "the order of each caller is kept, its appends in one piece");
        }
    }
}

pub(super) fn a_torn_tail_is_cut_to_the_last_whole_record(subject: &impl Subject) {
    three_records(subject);
    let whole = subject.raw(tenant(1), 2).unwrap();
    for length in 0..whole.len() {
        subject.overwrite(tenant(1), 2, Some(whole[..length].to_vec()));
        // Nothing vouches for the third record yet, so each start finds a write that was cut off.
        let fabric = subject.open();
        let Tenure { epoch, next } = fabric.acquire(tenant(1)).unwrap();
        assert_eq!((next, subject.raw(tenant(1), 2)), (Position(2), None), "cut at {length}");
        if length + 1 == whole.len() {
            assert_eq!(append(&*fabric, tenant(1), epoch, &[b"again"]).unwrap().first, Position(2));
            assert_eq!(payloads(&*fabric, tenant(1)), [b"first".to_vec(), b"second".to_vec(), b"again".to_vec()]);
        }
    }
}

pub(super) fn a_torn_record_elsewhere_is_damage(subject: &impl Subject) {
    three_records(subject);
    let (middle, last) = (subject.raw(tenant(1), 1).unwrap(), subject.raw(tenant(1), 2).unwrap());
    subject.overwrite(tenant(1), 1, Some(middle[..20].to_vec()));
    assert_eq!(damaged_at(subject.open().acquire(tenant(1)), tenant(1)), 1);
    subject.overwrite(tenant(1), 1, Some(middle));
    subject.open().acquire(tenant(1)).unwrap();
    // The last acquisition saw three whole records: a torn third one is no unfinished write any more.
    subject.overwrite(tenant(1), 2, Some(last[..20].to_vec()));
    assert_eq!(damaged_at(subject.open().acquire(tenant(1)), tenant(1)), 2);
}

pub(super) fn every_flipped_byte_is_found_and_named(subject: &impl Subject) {
    three_records(subject);
    for at in 0..3_u64 {
        let whole = subject.raw(tenant(1), at).unwrap();
        for byte in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[byte] ^= 1 << (byte % 8);
            subject.overwrite(tenant(1), at, Some(flipped));
            let fabric = subject.open();
            assert_eq!(damaged_at(fabric.acquire(tenant(1)), tenant(1)), at, "byte {byte} of record {at}, acquired");
            assert_eq!(damaged_at(fabric.acquire(tenant(1)), tenant(1)), at, "byte {byte} of record {at}, tried again");
            assert_eq!(
                damaged_at(fabric.read(tenant(1), Position(at), 1), tenant(1)),
                at,
                "byte {byte} of record {at}, read"
            );
            assert_eq!(fabric.view(), []);
        }
        subject.overwrite(tenant(1), at, Some(whole));
    }
    assert_eq!(subject.open().acquire(tenant(1)).unwrap().next, Position(3));
}

pub(super) fn damage_under_an_owner_is_found_by_reading(subject: &impl Subject) {
    three_records(subject);
    let fabric = subject.open();
    fabric.acquire(tenant(1)).unwrap();
    let mut flipped = subject.raw(tenant(1), 0).unwrap();
    flipped[50] ^= 1;
    subject.overwrite(tenant(1), 0, Some(flipped));
    assert_eq!(damaged_at(fabric.read(tenant(1), Position(0), 10), tenant(1)), 0);
    assert_eq!(
        damaged_at(fabric.read(tenant(1), Position(1), 10), tenant(1)),
        0,
        "a record is read against the one before it"
    );
    assert_eq!(fabric.read(tenant(1), Position(2), 10).unwrap().len(), 1);
    subject.overwrite(tenant(1), 2, None);
    assert_eq!(damaged_at(fabric.read(tenant(1), Position(2), 10), tenant(1)), 2, "a lost tail is no end");
    assert_eq!(damaged_at(fabric.acquire(tenant(1)), tenant(1)), 2);
}

pub(super) fn a_gap_is_named(subject: &impl Subject) {
    three_records(subject);
    subject.open().acquire(tenant(1)).unwrap();
    for at in 0..3 {
        let whole = subject.raw(tenant(1), at);
        subject.overwrite(tenant(1), at, None);
        assert_eq!(damaged_at(subject.open().acquire(tenant(1)), tenant(1)), at);
        subject.overwrite(tenant(1), at, whole);
    }
    assert_eq!(subject.open().acquire(tenant(1)).unwrap().next, Position(3));
}

pub(super) fn a_record_of_another_tenant_or_place_is_refused(subject: &impl Subject) {
    three_records(subject);
    let fabric = subject.open();
    let epoch = fabric.acquire(tenant(2)).unwrap().epoch;
    append(&*fabric, tenant(2), epoch, &[b"own"]).unwrap();
    drop(fabric);
    subject.overwrite(tenant(2), 0, subject.raw(tenant(1), 0));
    assert_eq!(damaged_at(subject.open().acquire(tenant(2)), tenant(2)), 0);
    let (second, third) = (subject.raw(tenant(1), 1), subject.raw(tenant(1), 2));
    subject.overwrite(tenant(1), 1, third);
    subject.overwrite(tenant(1), 2, second);
    assert_eq!(damaged_at(subject.open().acquire(tenant(1)), tenant(1)), 1);
}

pub(super) fn a_record_rewritten_together_with_its_hash_is_found(subject: &impl Subject) {
    three_records(subject);
    let (first, _) = Head::genesis(tenant(1)).extend(tenant(1), Epoch(1), b"first", Unit::Ends).unwrap();
    let (forged, second) = first.extend(tenant(1), Epoch(1), b"forged", Unit::Ends).unwrap();
    let (_, third) = forged.extend(tenant(1), Epoch(1), b"forged too", Unit::Ends).unwrap();
    let genuine = subject.raw(tenant(1), 1);
    subject.overwrite(tenant(1), 1, Some(second.clone()));
    assert_eq!(damaged_at(subject.open().acquire(tenant(1)), tenant(1)), 2, "the next record names another one");
    subject.overwrite(tenant(1), 1, genuine);
    subject.open().acquire(tenant(1)).unwrap();
    // Even a tail that is rewritten as a whole is not the one that was once acquired.
    subject.overwrite(tenant(1), 1, Some(second));
    subject.overwrite(tenant(1), 2, Some(third));
    assert_eq!(damaged_at(subject.open().acquire(tenant(1)), tenant(1)), 2);
}

pub(super) fn too_much_is_refused(subject: &impl Subject) {
    let fabric = subject.open();
    let epoch = fabric.acquire(tenant(1)).unwrap().epoch;
    let refused = |payloads: Vec<Vec<u8>>| wait(fabric.append(tenant(1), epoch, payloads)).unwrap_err();
    let large = vec![7; PAYLOAD_BYTES_MAX + 1];
    assert_eq!(
        refused(vec![b"x".to_vec(), large]),
        AppendError::TooLarge { bytes: PAYLOAD_BYTES_MAX + 1, max: PAYLOAD_BYTES_MAX }
    );
    assert_eq!(refused(vec![]), AppendError::Count { records: 0, max: APPEND_RECORDS_MAX });
    let many = vec![Vec::new(); APPEND_RECORDS_MAX + 1];
    assert_eq!(refused(many), AppendError::Count { records: APPEND_RECORDS_MAX + 1, max: APPEND_RECORDS_MAX });
    assert!(matches!(refused(vec![vec![7; PAYLOAD_BYTES_MAX]; 1_100]), AppendError::TooLarge { .. }));
    assert_eq!(payloads(&*fabric, tenant(1)), Vec::<Vec<u8>>::new(), "nothing half-done");
    let largest = vec![vec![7; PAYLOAD_BYTES_MAX]; 3];
    wait(fabric.append(tenant(1), epoch, largest.clone())).unwrap();
    assert_eq!(payloads(&*fabric, tenant(1)), largest);
}

pub(super) fn blobs_small_and_large(subject: &impl Subject) {
    let long = "n".repeat(5_000);
    let names = ["plain.txt", "", "../../../etc/passwd", "/absolute", "a\0b", "päth/ü\n", ".", &long];
    let sealed = |name: &str, extra: usize| [name.as_bytes(), &vec![9; extra]].concat();
    let fabric = subject.open();
    let epoch = fabric.acquire(tenant(1)).unwrap().epoch;
    let put = |blobs: Vec<(&str, Vec<u8>)>| {
        let blobs = blobs.into_iter().map(|(name, sealed)| Blob { name: name.into(), sealed }).collect();
        fabric.blobs_put(tenant(1), blobs).unwrap();
    };
    for extra in [0, INLINE_BLOB_BYTES_MAX + 1, 3, INLINE_BLOB_BYTES_MAX * 4] {
        for name in names {
            put(vec![(name, sealed(name, extra))]);
            assert_eq!(fabric.blob_get(tenant(1), name).unwrap(), Some(sealed(name, extra)));
        }
    }
    // several at once, small ones in the place of large ones and large ones in the place of small ones
    for turn in 0..4 {
        let extra = |at: usize| if (at + turn).is_multiple_of(2) { 3 } else { INLINE_BLOB_BYTES_MAX * 4 };
        put(names.iter().enumerate().map(|(at, name)| (*name, sealed(name, extra(at)))).collect());
        for (at, name) in names.iter().enumerate() {
            assert_eq!(fabric.blob_get(tenant(1), name).unwrap(), Some(sealed(name, extra(at))));
        }
    }
    put(names.map(|name| (name, sealed(name, INLINE_BLOB_BYTES_MAX * 4))).into());
    put(Vec::new());
    put(vec![("small", b"small".into())]);
    append(&*fabric, tenant(1), epoch, &[b"names them"]).unwrap();
    drop(fabric);
    let fabric = subject.open();
    for name in names {
        assert_eq!(fabric.blob_get(tenant(1), name).unwrap(), Some(sealed(name, INLINE_BLOB_BYTES_MAX * 4)));
        assert_eq!(fabric.blob_get(tenant(2), name).unwrap(), None);
    }
    assert_eq!(fabric.blob_get(tenant(1), "small").unwrap(), Some(b"small".to_vec()));
    for name in ["small", "plain.txt", "never there"] {
        fabric.blob_delete(tenant(1), name).unwrap();
        assert_eq!(fabric.blob_get(tenant(1), name).unwrap(), None);
    }
}

pub(super) fn shredding_leaves_only_the_epoch(subject: &impl Subject) {
    three_records(subject);
    let fabric = subject.open();
    let epoch = fabric.acquire(tenant(1)).unwrap().epoch;
    let neighbour = fabric.acquire(tenant(2)).unwrap().epoch;
    for number in [1, 2] {
        let small = Blob { name: "small".into(), sealed: b"small".into() };
        let large = Blob { name: "large".into(), sealed: vec![1; INLINE_BLOB_BYTES_MAX * 2] };
        fabric.blobs_put(tenant(number), vec![small, large]).unwrap();
    }
    append(&*fabric, tenant(2), neighbour, &[b"stays"]).unwrap();
    fabric.shred(tenant(1)).unwrap();
    fabric.shred(tenant(1)).unwrap();
    assert!(matches!(append(&*fabric, tenant(1), epoch, &[b"no"]), Err(AppendError::Stale { .. })));
    let check = |fabric: &dyn Fabric| {
        assert_eq!(payloads(fabric, tenant(1)), Vec::<Vec<u8>>::new());
        assert_eq!(
            (fabric.blob_get(tenant(1), "small").unwrap(), fabric.blob_get(tenant(1), "large").unwrap()),
            (None, None)
        );
        assert_eq!(payloads(fabric, tenant(2)), [b"stays"]);
        assert!(
            fabric.blob_get(tenant(2), "small").unwrap().is_some()
                && fabric.blob_get(tenant(2), "large").unwrap().is_some()
        );
    };
    check(&*fabric);
    drop(fabric);
    let fabric = subject.open();
    check(&*fabric);
    let again = fabric.acquire(tenant(1)).unwrap();
    assert!(again.epoch > epoch && again.next == Position(0));
    append(&*fabric, tenant(1), again.epoch, &[b"new life"]).unwrap();
    assert_eq!(payloads(&*fabric, tenant(1)), [b"new life"]);
}

/// Opens the store of a folder, given the one open before.
type Reopen = fn(&std::path::Path, Option<Arc<dyn Store>>) -> Arc<dyn Store>;

/// The embedded back end over a store that a test can reach.
struct Over {
    folder: tempfile::TempDir,
    store: Mutex<Option<Arc<dyn Store>>>,
    reopen: Reopen,
}

impl Over {
    fn journal(&self, tenant: TenantKey) -> Arc<dyn Keyed> {
        self.store.lock().unwrap().as_ref().unwrap().tree(&format!("{}/journal", tenant.to_hex())).unwrap()
    }
}

impl Subject for Over {
    fn open(&self) -> Arc<dyn Fabric> {
        let mut store = self.store.lock().unwrap();
        let before = store.take();
        let opened = store.insert((self.reopen)(self.folder.path(), before));
        Arc::new(Embedded::over(Arc::clone(opened), self.folder.path(), 1_000).unwrap())
    }

    fn raw(&self, tenant: TenantKey, at: u64) -> Option<Vec<u8>> {
        self.journal(tenant).get(&record::key(Position(at))).unwrap()
    }

    fn overwrite(&self, tenant: TenantKey, at: u64, value: Option<Vec<u8>>) {
        let key = record::key(Position(at)).to_vec();
        match value {
            Some(value) => self.journal(tenant).apply(vec![(key, value)], &[]).unwrap(),
            None => self.journal(tenant).apply(vec![], &[key]).unwrap(),
        }
        self.store.lock().unwrap().as_ref().unwrap().sync().unwrap();
    }
}

macro_rules! suite {
    ($back_end:ident, $reopen:expr, $($check:ident)*) => {
        mod $back_end {
            use super::*;
            $(#[test]
            fn $check() {
                super::$check(&Over { folder: tempfile::tempdir().unwrap(), store: Mutex::new(None), reopen: $reopen });
            })*
        }
    };
    ($back_end:ident, $reopen:expr) => {
        suite! { $back_end, $reopen,
            records_are_dense_and_chained
            a_stale_owner_cannot_append
            everything_is_there_after_reopening
            many_callers_share_the_commit
            a_torn_tail_is_cut_to_the_last_whole_record
            a_torn_record_elsewhere_is_damage
            every_flipped_byte_is_found_and_named
            damage_under_an_owner_is_found_by_reading
            a_gap_is_named
            a_record_of_another_tenant_or_place_is_refused
            a_record_rewritten_together_with_its_hash_is_found
            too_much_is_refused
            blobs_small_and_large
            shredding_leaves_only_the_epoch
        }
    };
}

suite!(on_sled, |folder, open| {
    drop(open);
    Arc::new(SledStore::open(&folder.join("store")).unwrap())
});
suite!(on_sled_with_a_log_ahead, |folder, open| {
    drop(open);
    let sled = SledStore::open(&folder.join("store")).unwrap();
    Arc::new(WriteAhead::open(&folder.join("store/ahead"), Arc::new(sled)).unwrap())
});
suite!(in_memory, |_, open| open.unwrap_or_else(|| Arc::new(MemoryStore::default())));
