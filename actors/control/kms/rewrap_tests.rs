//! All keys under a new root key: nothing that was sealed is lost, whenever it is interrupted, and the root key before opens
//! nothing afterwards.
use super::holder_fixture::{Holder, Mood};
use super::rewrap::{Rewrap, Rewrapped, rewrap};
use super::rules::Rotation;
use super::tests::{cipher, open, tenant};
use super::{KeyError, KeyService, RootSource, Setting, Wish, shown};
use bailiwick_kernel::cipher::Purpose;
use bailiwick_kernel::clock::SystemClock;
use bailiwick_kernel::shelf::Traces;
use bailiwick_policy::sovereignty::Region;
use std::path::Path;
use std::sync::Arc;

const TENANTS: u128 = 300;

type Sealed = Vec<(u128, Vec<u8>)>;

/// Tenants with something sealed; every fifth has two versions.
fn fill(keys: &KeyService, tenants: u128) -> Sealed {
    let mut sealed = Vec::new();
    for number in 1..=tenants {
        let cipher = cipher(keys, number);
        sealed.push((number, cipher.seal(Purpose::Blob, b"name", b"x").unwrap()));
        if number % 5 == 0 {
            keys.rotate(tenant(number), Wish::AsItIs, Rotation::OnDemand).unwrap().unwrap();
            sealed.push((number, cipher.seal(Purpose::Blob, b"name", b"x").unwrap()));
        }
    }
    sealed
}

fn lost(keys: &KeyService, sealed: &Sealed) -> usize {
    let opens = |number: u128, bytes: &[u8]| {
        let cipher = keys.cipher_for(tenant(number), || panic!("it has a keyring"));
        cipher.is_ok_and(|cipher| cipher.open(Purpose::Blob, b"name", bytes).is_ok())
    };
    sealed.iter().filter(|(number, bytes)| !opens(*number, bytes)).count()
}

fn copy_keyrings(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("keys")).unwrap();
    for entry in std::fs::read_dir(from.join("keys")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join("keys").join(entry.file_name())).unwrap();
    }
}

#[test]
fn everything_is_under_the_new_root_key_and_what_followed_from_the_old_one_still_does() {
    let (data, stolen) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = open(data.path());
    let sealed = fill(&keys, 20);
    let (signer, seed) = (keys.head_signer(tenant(1)).unwrap(), keys.policy_signing_seed().unwrap());
    assert!(matches!(rewrap(data.path(), &RootSource::File), Err(KeyError::InUse)), "not under a running server");
    drop(keys);
    let watched = data.path().join("watched");
    std::fs::hard_link(data.path().join("master.key"), &watched).unwrap();
    let ring = data.path().join("ring");
    std::fs::hard_link(data.path().join(shown(tenant(1))), &ring).unwrap();
    std::fs::copy(data.path().join("master.key"), stolen.path().join("master.key")).unwrap();
    let done = rewrap(data.path(), &RootSource::File).unwrap();
    assert_eq!((done.keyrings, done.keys, done.done_before), (20, 24, 0));
    for former in [watched, ring] {
        assert!(std::fs::read(former).unwrap().iter().all(|byte| *byte == 0), "what it was is overwritten");
    }
    assert!(!data.path().join("master.key.next").exists());
    let keys = open(data.path());
    assert_eq!(lost(&keys, &sealed), 0);
    assert_eq!(keys.head_signer(tenant(1)).unwrap().verifier_key(), signer.verifier_key());
    assert_eq!(*keys.policy_signing_seed().unwrap(), *seed);
    drop(keys);
    // whoever has the root key before opens no keyring of now
    copy_keyrings(data.path(), stolen.path());
    assert_eq!(lost(&open(stolen.path()), &sealed), sealed.len());
    // and once more, from what it has become
    let again = rewrap(data.path(), &RootSource::File).unwrap();
    assert_eq!((again.keyrings, again.keys), (20, 24));
    let keys = open(data.path());
    assert_eq!(lost(&keys, &sealed), 0);
    assert_eq!(*keys.policy_signing_seed().unwrap(), *seed);
}

#[test]
fn interrupted_anywhere_it_has_lost_nothing_and_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let mut sealed = fill(&open(data.path()), TENANTS);
    // before the first batch, between batches, within one, and before the new key takes the place of the old one
    for batches in 0..=3 {
        let mut begun = Rewrap::begin(data.path(), &RootSource::File).unwrap();
        for _ in 0..batches {
            begun.turn(40).unwrap();
        }
        match batches {
            1 => drop(begun.write_aside(40).unwrap()),
            2 => {
                let aside = begun.write_aside(40).unwrap();
                begun.exchange(&aside).unwrap();
            }
            3 => while begun.turn(40).unwrap() {},
            _ => {}
        }
        drop(begun);
        std::fs::write(data.path().join(format!("{}.new", shown(tenant(7)))), b"half a keyr").unwrap();
        let keys = open(data.path());
        assert_eq!(lost(&keys, &sealed), 0, "after {batches} batches");
        // a server in between makes keys, under the new one
        let number = TENANTS + 1 + batches;
        sealed.push((number, cipher(&keys, number).seal(Purpose::Blob, b"name", b"x").unwrap()));
        keys.rotate(tenant(3), Wish::AsItIs, Rotation::OnDemand).unwrap().unwrap();
    }
    let done = rewrap(data.path(), &RootSource::File).unwrap();
    assert_eq!((done.keyrings, u128::from(done.done_before)), (0, TENANTS + 4), "{done:?}");
    assert_eq!(lost(&open(data.path()), &sealed), 0);
    let left = std::fs::read_dir(data.path().join("keys")).unwrap().count();
    assert_eq!(left, usize::try_from(TENANTS).unwrap() + 4, "nothing is left aside");
}

#[test]
fn a_damaged_keyring_keeps_the_root_key_before_and_one_being_destroyed_does_not() {
    let data = tempfile::tempdir().unwrap();
    let sealed = fill(&open(data.path()), 3);
    let ring = data.path().join(shown(tenant(2)));
    let whole = std::fs::read(&ring).unwrap();
    std::fs::write(&ring, &whole[..whole.len() / 2]).unwrap();
    let refused = rewrap(data.path(), &RootSource::File).unwrap_err().to_string();
    assert!(refused.contains("is cut or edited"), "{refused}");
    std::fs::write(&ring, &whole).unwrap();
    assert_eq!(lost(&open(data.path()), &sealed), 0, "the root key before is still there");
    std::fs::write(&ring, vec![0; whole.len()]).unwrap();
    assert_eq!(rewrap(data.path(), &RootSource::File).unwrap().destroyed, 1);
    let keys = open(data.path());
    assert_eq!(lost(&keys, &sealed), 1);
}

#[test]
fn a_root_key_from_outside_is_changed_by_naming_both() {
    let data = tempfile::tempdir().unwrap();
    let (old, new) = ("5a".repeat(32), "5b".repeat(32));
    let with = |source: &RootSource| KeyService::open(data.path(), source, &Region::default());
    let sealed = fill(&with(&RootSource::given(&old).unwrap()).unwrap(), 5);
    assert!(matches!(rewrap(data.path(), &RootSource::given(&new).unwrap()), Err(KeyError::NoFormer)));
    let both = RootSource::changed(&new, &old).unwrap();
    assert_eq!(lost(&with(&both).unwrap(), &sealed), 0);
    assert_eq!(rewrap(data.path(), &both).unwrap().keyrings, 5);
    assert_eq!(rewrap(data.path(), &both).unwrap(), Rewrapped { done_before: 5, ..Rewrapped::default() });
    let seed = with(&both).unwrap().policy_signing_seed().unwrap();
    let keys = with(&RootSource::given(&new).unwrap()).unwrap();
    assert_eq!(lost(&keys, &sealed), 0);
    assert_eq!(*keys.policy_signing_seed().unwrap(), *seed);
    drop(keys);
    assert!(with(&RootSource::given(&old).unwrap()).is_err(), "the node's secret is under the new one");
}

#[test]
fn customers_keyrings_are_left_to_their_own_keys() {
    let (data, holder) = (tempfile::tempdir().unwrap(), Holder::default());
    holder.set("transit/acme", Mood::Good);
    let start = || {
        let (root, region, outside) = (RootSource::File, Region::default(), vec![Box::new(holder.clone()) as _]);
        let clock = Arc::new(SystemClock);
        KeyService::start(Setting { data: data.path(), root: &root, region: &region, outside, clock }).unwrap()
    };
    let keys = start();
    let custody = keys.custody(Some("vault:local:transit/acme"));
    let own = keys.cipher_under(tenant(1), custody.wish(), || Ok(Traces::None)).unwrap();
    let sealed = own.seal(Purpose::Blob, b"name", b"x").unwrap();
    cipher(&keys, 2);
    drop(keys);
    let done = rewrap(data.path(), &RootSource::File).unwrap();
    assert_eq!((done.keyrings, done.customers), (1, 1));
    assert_eq!(lost(&start(), &vec![(1, sealed)]), 0);
}
