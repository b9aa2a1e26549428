//! The log ahead of a store: what is read over it, and what a power cut or a failure leaves of both.
use super::group::{self, Change, HEADER_BYTES, Kind, PAGE_BYTES, span};
use super::{Sizes, WriteAhead};
use crate::fabric::memory::MemoryStore;
use crate::fabric::store::{Keyed, Pairs, Store, StoreFailure};
use crate::limits::STORE_AHEAD_SEGMENTS_MAX;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const SMALL: Sizes = Sizes { segment_bytes: 3 * PAGE_BYTES, buffer_bytes: 2 * PAGE_BYTES, below_bytes: PAGE_BYTES };
const TREES: [&str; 3] = ["a", "b", "c"];

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;
type Model = BTreeMap<&'static str, Contents>;

#[derive(Clone, Debug)]
enum Step {
    Put {
        tree: usize,
        keys: Vec<u8>,
        value: u8,
        repeated: usize,
    },
    Remove {
        tree: usize,
        keys: Vec<u8>,
    },
    Exchange {
        tree: usize,
        put: u8,
        removed: u8,
    },
    Clear {
        tree: usize,
    },
    Drop {
        tree: usize,
    },
    Sync,
    /// Power fails; the store below has lost what part of its writes since its last sync?
    Cut {
        lost: prop::sample::Index,
    },
    Look {
        tree: usize,
        from: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let tree = 0..TREES.len();
    prop_oneof![
        8 => (tree.clone(), vec(0..24_u8, 1..4), any::<u8>(), prop_oneof![Just(9_usize), Just(900), Just(3_000)])
            .prop_map(|(tree, keys, value, repeated)| Step::Put { tree, keys, value, repeated }),
        3 => (tree.clone(), vec(0..24_u8, 1..4)).prop_map(|(tree, keys)| Step::Remove { tree, keys }),
        2 => (tree.clone(), 0..24_u8, 0..24_u8).prop_map(|(tree, put, removed)| Step::Exchange { tree, put, removed }),
        1 => tree.clone().prop_map(|tree| Step::Clear { tree }),
        1 => tree.clone().prop_map(|tree| Step::Drop { tree }),
        4 => Just(Step::Sync),
        1 => any::<prop::sample::Index>().prop_map(|lost| Step::Cut { lost }),
        4 => (tree, 0..24_u8).prop_map(|(tree, from)| Step::Look { tree, from }),
    ]
}

fn contents(keyed: &dyn Keyed, from: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut keep = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    keyed.visit(&[from], &mut keep).unwrap();
    found
}

fn all(store: &dyn Store) -> Model {
    let there = |name: &&'static str| Some((*name, contents(store.existing(name)?.as_ref(), 0).into_iter().collect()));
    TREES.iter().filter_map(there).collect()
}

/// The trees that have anything: the store makes one before the log says so, and a cut may leave it empty.
fn full(model: &Model) -> impl Iterator<Item = (&&'static str, &Contents)> {
    model.iter().filter(|(_, contents)| !contents.is_empty())
}

fn carry_out(store: &WriteAhead, model: &mut Model, step: &Step) {
    let tree = |at: usize| store.tree(TREES[at]).unwrap();
    match step.clone() {
        Step::Put { tree: at, keys, value, repeated } => {
            let puts: Pairs = keys.into_iter().map(|key| (vec![key], vec![value; repeated])).collect();
            model.entry(TREES[at]).or_default().extend(puts.iter().cloned());
            if repeated == 9 { tree(at).append(puts).unwrap() } else { tree(at).apply(puts, &[]).unwrap() }
        }
        Step::Remove { tree: at, keys } => {
            keys.iter().for_each(|key| drop(model.entry(TREES[at]).or_default().remove([*key].as_slice())));
            let removals: Vec<_> = keys.into_iter().map(|key| vec![key]).collect();
            tree(at).apply(Vec::new(), &removals).unwrap();
        }
        Step::Exchange { tree: at, put, removed } => {
            let contents = model.entry(TREES[at]).or_default();
            contents.insert(vec![put], vec![put]);
            contents.remove([removed].as_slice());
            tree(at).apply(vec![(vec![put], vec![put])], &[vec![removed]]).unwrap();
        }
        Step::Clear { tree: at } => {
            model.insert(TREES[at], Contents::new());
            tree(at).clear().unwrap();
        }
        Step::Drop { tree: at } => {
            model.remove(TREES[at]);
            store.drop_tree(TREES[at]).unwrap();
        }
        Step::Sync => store.sync().unwrap(),
        Step::Cut { .. } | Step::Look { .. } => {}
    }
}

/// Steps with power cuts: each ends in a state that was there after one of the steps, and not before the last sync.
fn live(steps: &[Step]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let mut below = MemoryStore::default();
    let mut store = WriteAhead::with_sizes(folder.path(), Arc::new(below.clone()), SMALL).unwrap();
    // what was there after each step since the last one that was certainly durable
    let mut possible = vec![Model::new()];
    for step in steps {
        let mut model = possible.last().unwrap().clone();
        match step {
            Step::Cut { lost } => {
                drop(store);
                let (written, synced) = below.written_and_synced();
                below = below.cut_after(synced + lost.index(written - synced + 1));
                store = WriteAhead::with_sizes(folder.path(), Arc::new(below.clone()), SMALL).unwrap();
                let left = all(&store);
                let is_there = possible.iter().any(|model| full(model).eq(full(&left)));
                prop_assert!(is_there, "{left:?} is none of {possible:?}");
                possible = vec![left];
            }
            Step::Look { tree, from } => {
                let expected: Option<Vec<_>> = model
                    .get(TREES[*tree])
                    .map(|contents| contents.range(vec![*from]..).map(|(k, v)| (k.clone(), v.clone())).collect());
                let found = store.existing(TREES[*tree]);
                prop_assert_eq!(found.as_ref().map(|tree| contents(tree.as_ref(), *from)), expected);
                let one = found.and_then(|tree| tree.get(&[*from]).unwrap());
                prop_assert_eq!(
                    one.as_ref(),
                    model.get(TREES[*tree]).and_then(|contents| contents.get([*from].as_slice()))
                );
            }
            step => {
                carry_out(&store, &mut model, step);
                let was_there = |tree: &usize| possible.last().unwrap().contains_key(TREES[*tree]);
                if matches!(step, Step::Sync) || matches!(step, Step::Drop { tree } if was_there(tree)) {
                    possible.clear();
                }
                possible.push(model);
            }
        }
    }
    let left = all(&store);
    prop_assert!(full(possible.last().unwrap()).eq(full(&left)), "{left:?} is not the last of {possible:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_power_cut_leaves_what_was_there_after_one_of_the_changes_since_the_last_sync(steps in vec(step(), 1..160)) {
        live(&steps)?;
    }

    #[test]
    fn a_group_is_read_as_it_was_written(
        tree in "[a-z/]{0,20}", puts in vec((vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..3_000)), 0..6),
        removals in vec(vec(any::<u8>(), 0..40), 0..4), segment: u64, number: u64, byte: prop::sample::Index, bit in 0..8_u8
    ) {
        let changes = [Change::Create, Change::Apply(puts, removals), Change::Clear, Change::Drop];
        let mut whole = vec![0; HEADER_BYTES];
        changes.iter().for_each(|change| group::encode(&tree, change, &mut whole).unwrap());
        let bytes = whole.len() - HEADER_BYTES;
        group::seal(Kind::Group, segment, number, &mut whole);
        prop_assert_eq!(whole.len(), span(bytes));
        let (header, read) = group::open(&whole).unwrap();
        prop_assert_eq!((header.kind, header.segment, header.number, header.bytes), (Kind::Group, segment, number, bytes));
        let decoded: Vec<_> = group::decode(read).unwrap();
        prop_assert_eq!(decoded, changes.map(|change| (tree.clone(), change)));
        whole[byte.index(HEADER_BYTES + bytes)] ^= 1 << bit;
        prop_assert_eq!(group::open(&whole), None);
    }

    #[test]
    fn any_bytes_can_be_tried_as_changes(bytes in vec(any::<u8>(), 0..200)) {
        let _whatever = group::decode(&bytes);
        prop_assert_eq!(group::open(&bytes), None);
    }
}

fn small(folder: &Path, below: &MemoryStore) -> WriteAhead {
    WriteAhead::with_sizes(folder, Arc::new(below.clone()), SMALL).unwrap()
}

fn largest(key: u8) -> Pairs {
    vec![(vec![key], vec![key; PAGE_BYTES])]
}

#[test]
fn what_the_store_cannot_take_is_lost_to_nobody_and_nothing_more_is_acknowledged() {
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let store = small(folder.path(), &below);
    let tree = store.tree("tree").unwrap();
    below.before_write(Box::new(|_| Err(StoreFailure(String::from("no space")))));
    let acknowledged =
        (0..u8::MAX).take_while(|key| tree.apply(largest(*key), &[]).and_then(|()| store.sync()).is_ok()).count();
    assert!((1..usize::from(u8::MAX)).contains(&acknowledged), "{acknowledged} were acknowledged");
    let failure = store.sync().unwrap_err();
    assert!(failure.0.contains("restart the node") && failure.0.contains("no space"), "{failure}");
    drop((tree, store));
    below.before_write(Box::new(|_| Ok(())));
    let found = contents(small(folder.path(), &below).tree("tree").unwrap().as_ref(), 0);
    assert!(found.len() >= acknowledged && found.iter().all(|(key, value)| vec![key[0]; PAGE_BYTES] == *value));
}

#[test]
fn what_the_log_cannot_take_is_not_acknowledged_and_nothing_after_it() {
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let store = small(folder.path(), &below);
    let tree = store.tree("tree").unwrap();
    tree.apply(largest(1), &[]).unwrap();
    store.sync().unwrap();
    store.ahead.log().refuse_writes();
    tree.apply(largest(2), &[]).unwrap();
    store.sync().unwrap_err();
    let failure = store.sync().unwrap_err();
    assert!(failure.0.contains("restart the node"), "{failure}");
    drop((tree, store));
    assert_eq!(contents(small(folder.path(), &below).tree("tree").unwrap().as_ref(), 0), largest(1));
}

#[test]
fn what_nobody_syncs_is_written_before_it_is_much() {
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let store = small(folder.path(), &below);
    let tree = store.tree("tree").unwrap();
    (0..40).for_each(|key| tree.apply(largest(key), &[]).unwrap());
    drop((tree, store));
    let left = contents(small(folder.path(), &below).tree("tree").unwrap().as_ref(), 0).len();
    assert!(left >= 40 - SMALL.buffer_bytes / PAGE_BYTES, "{left} of 40 are left");
}

#[test]
fn what_many_write_at_once_is_there_after_a_power_cut() {
    const THREADS: u8 = 4;
    const EACH: u16 = 400;
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let store = small(folder.path(), &below);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, tree) = (&store, store.tree("tree").unwrap());
            scope.spawn(move || {
                for number in 0..EACH {
                    let key = [&[thread], number.to_be_bytes().as_slice()].concat();
                    tree.apply(vec![(key, vec![thread; 100])], &[]).unwrap();
                    if number % 8 == 7 {
                        store.sync().unwrap();
                    }
                }
            });
        }
    });
    drop(store);
    let synced = below.written_and_synced().1;
    let left = contents(small(folder.path(), &below.cut_after(synced)).tree("tree").unwrap().as_ref(), 0);
    assert_eq!(left.len(), usize::from(EACH) * usize::from(THREADS));
}

/// A reader that asked twice for what a writer waits for would hold both up for ever.
#[test]
fn who_reads_and_who_writes_wait_for_each_other_in_turn() {
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let store = small(folder.path(), &below);
    store.tree("tree").unwrap().apply(largest(0), &[]).unwrap();
    std::thread::scope(|scope| {
        for thread in 1..3_u8 {
            let tree = store.tree("tree").unwrap();
            scope.spawn(move || {
                (0..20_000_u16).for_each(|at| tree.apply(vec![(vec![thread], at.to_be_bytes().to_vec())], &[]).unwrap())
            });
        }
        for _ in 0..2 {
            let tree = store.tree("tree").unwrap();
            scope.spawn(move || (0..20_000).for_each(|_| assert!(tree.get(&[0]).unwrap().is_some())));
        }
    });
    let last = 19_999_u16.to_be_bytes().to_vec();
    assert_eq!([1, 2].map(|key| store.tree("tree").unwrap().get(&[key]).unwrap()), [Some(last.clone()), Some(last)]);
}

#[test]
fn a_store_that_is_far_behind_is_waited_for() {
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let store = small(folder.path(), &below);
    let (let_go, wait_for) = channel::<()>();
    below.before_sync(Box::new(move |_| {
        let _let_go = wait_for.recv();
        Ok(())
    }));
    let slots = || std::fs::read_dir(folder.path()).unwrap().count();
    std::thread::scope(|scope| {
        let (tree, store) = (store.tree("tree").unwrap(), &store);
        let writing = scope.spawn(move || {
            (0..100).for_each(|key| {
                tree.apply(largest(key), &[]).unwrap();
                store.sync().unwrap();
            });
        });
        while slots() <= STORE_AHEAD_SEGMENTS_MAX && !writing.is_finished() {
            std::thread::yield_now();
        }
        (0..1_000).for_each(|_| std::thread::yield_now());
        assert!(!writing.is_finished(), "it waits for the store");
        assert_eq!(slots(), STORE_AHEAD_SEGMENTS_MAX + 1, "those the store has not, and the one that is written");
        let unhurried = scope.spawn(|| store.keep_pace());
        (0..1_000).for_each(|_| std::thread::yield_now());
        assert!(!unhurried.is_finished(), "who writes much waits, too");
        drop(let_go);
        writing.join().unwrap();
        unhurried.join().unwrap();
    });
    assert_eq!(contents(store.tree("tree").unwrap().as_ref(), 0).len(), 100);
}

#[test]
fn the_store_has_what_is_old_and_what_is_new_is_in_the_log_alone() {
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let store = small(folder.path(), &below);
    let tree = store.tree("tree").unwrap();
    let ((tell, synced), (_let_go, wait_for)) = (channel(), channel::<()>());
    below.before_sync(Box::new(move |_| {
        let _nobody_asks = tell.send(());
        let _let_go = wait_for.recv();
        Ok(())
    }));
    tree.apply(largest(0), &[]).unwrap();
    store.sync().unwrap();
    assert_eq!(below.tree("tree").unwrap().get(&[0]).unwrap(), None, "it is durable, and not by the store");
    (1..6).for_each(|key| {
        tree.apply(largest(key), &[]).unwrap();
        store.sync().unwrap();
    });
    synced.recv_timeout(Duration::from_secs(60)).expect("the store gets complete segments");
    assert_eq!(below.tree("tree").unwrap().get(&[0]).unwrap(), Some(vec![0; PAGE_BYTES]));
    assert_eq!(below.tree("tree").unwrap().get(&[5]).unwrap(), None);
}

#[test]
fn what_is_too_large_for_a_store_is_refused_before_the_log_has_it() {
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let store = small(folder.path(), &below);
    let tree = store.tree("tree").unwrap();
    let too_large = vec![0; crate::limits::STORE_VALUE_BYTES_MAX + 1];
    assert!(tree.apply(vec![(vec![1], vec![1]), (vec![2], too_large)], &[]).is_err());
    assert_eq!(contents(tree.as_ref(), 0), []);
    store.sync().unwrap();
    store.drop_tree("tree").unwrap();
    assert!(tree.get(&[1]).is_err() && tree.apply(largest(1), &[]).is_err() && store.existing("tree").is_none());
}

/// A log whose every synced group completes a segment, which the store is synced once for, with a tree the store has; and what
/// tells of each further sync of the store.
fn with_a_tree_to_drop(folder: &Path, below: &MemoryStore) -> (WriteAhead, Receiver<()>) {
    let (tell, synced) = channel();
    below.before_sync(Box::new(move |_| {
        let _nobody_asks = tell.send(());
        Ok(())
    }));
    let sizes = Sizes { segment_bytes: PAGE_BYTES + HEADER_BYTES + 1, below_bytes: usize::MAX, ..SMALL };
    let store = WriteAhead::with_sizes(folder, Arc::new(below.clone()), sizes).unwrap();
    store.tree("dropped").unwrap().apply(largest(1), &[]).unwrap();
    store.sync().unwrap();
    synced.recv_timeout(Duration::from_secs(60)).expect("the store gets complete segments");
    (store, synced)
}

#[test]
fn a_dropped_tree_stays_dropped_although_the_segment_that_says_so_is_used_again() {
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let (store, synced) = with_a_tree_to_drop(folder.path(), &below);
    below.before_write(Box::new(move |_| {
        // time enough for whoever should wait for the drop and does not
        let _in_vain = synced.recv_timeout(Duration::from_millis(200));
        Ok(())
    }));
    store.drop_tree("dropped").unwrap();
    drop(store);
    let synced = below.written_and_synced().1;
    assert!(small(folder.path(), &below.cut_after(synced)).existing("dropped").is_none());
}

#[test]
fn a_tree_the_store_cannot_drop_is_dropped_once_both_are_opened_again() {
    let (folder, below) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let (store, synced) = with_a_tree_to_drop(folder.path(), &below);
    below.before_write(Box::new(|_| Err(StoreFailure(String::from("no space")))));
    store.drop_tree("dropped").unwrap_err();
    let failure = store.sync().unwrap_err();
    assert!(failure.0.contains("restart the node") && failure.0.contains("no space"), "{failure}");
    assert!(synced.recv_timeout(Duration::from_millis(200)).is_err(), "the segment that says so is kept");
    drop(store);
    below.before_write(Box::new(|_| Ok(())));
    assert!(small(folder.path(), &below).existing("dropped").is_none());
}
