//! Sealed bytes open only for the same tenant, purpose, name and key, and only unaltered.
use super::{keys, tenant};
use bailiwick_kernel::cipher::keys::KeyVersion;
use bailiwick_kernel::cipher::{Cipher, CipherError, Purpose};
use bailiwick_kernel::limits::DATA_KEYS_KEPT_MAX;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

const MASTER: [u8; 32] = [7; 32];

fn cipher(number: u128) -> Cipher {
    Cipher::derive(&MASTER, tenant(number)).unwrap()
}

#[test]
fn only_the_same_tenant_purpose_name_and_key_open() {
    let sealed = cipher(1).seal(Purpose::Blob, b"name", b"secret").unwrap();
    assert_eq!(cipher(1).open(Purpose::Blob, b"name", &sealed), Ok(b"secret".to_vec()));
    assert_eq!(cipher(2).open(Purpose::Blob, b"name", &sealed), Err(CipherError::Refused), "another tenant");
    for purpose in [Purpose::Record, Purpose::Shelf, Purpose::Index] {
        assert_eq!(cipher(1).open(purpose, b"name", &sealed), Err(CipherError::Refused), "{purpose:?}");
    }
    for name in [b"".as_slice(), b"nam", b"name2"] {
        assert_eq!(cipher(1).open(Purpose::Blob, name, &sealed), Err(CipherError::Refused), "another name");
    }
    let other_master = Cipher::derive(&[8; 32], tenant(1)).unwrap();
    assert_eq!(other_master.open(Purpose::Blob, b"name", &sealed), Err(CipherError::Refused), "another key");
    let (first, second) = [1, 2].map(|number| Cipher::new(keys(number, &[9], "local")).unwrap()).into();
    let stray = first.seal(Purpose::Record, b"", b"secret").unwrap();
    assert_eq!(
        second.open(Purpose::Record, b"", &stray),
        Err(CipherError::Refused),
        "the same key under another tenant"
    );
}

#[test]
fn a_name_is_the_same_wherever_the_newest_key_is_and_nowhere_else() {
    let name = |number, versions: &[u8], region: &str, purpose| {
        Cipher::new(keys(number, versions, region)).unwrap().name_of(purpose, b"what").unwrap()
    };
    let own = name(1, &[5], "local", Purpose::Cache);
    assert_eq!(name(1, &[5], "local", Purpose::Cache), own, "another cipher over the same keys");
    let others = [
        name(2, &[5], "local", Purpose::Cache),
        name(1, &[6], "local", Purpose::Cache),
        name(1, &[5, 6], "local", Purpose::Cache),
        name(1, &[5], "eu-west-1", Purpose::Cache),
        name(1, &[5], "local", Purpose::Blob),
        Cipher::new(keys(1, &[5], "local")).unwrap().name_of(Purpose::Cache, b"else").unwrap(),
    ];
    for (number, other) in others.into_iter().enumerate() {
        assert_ne!(other, own, "{number}");
    }
    let cipher = Cipher::new(keys(1, &[5], "local")).unwrap();
    cipher.withdraw();
    assert_eq!(cipher.name_of(Purpose::Cache, b"what"), Err(CipherError::Withdrawn));
}

#[test]
fn what_any_version_sealed_opens_and_the_newest_seals() {
    let sealed = |versions: &[u8]| {
        Cipher::new(keys(1, versions, "local")).unwrap().seal(Purpose::Shelf, b"name", b"secret").unwrap()
    };
    let (older, newer) = (sealed(&[5]), sealed(&[5, 6]));
    assert_eq!((older[1..5].to_vec(), newer[1..5].to_vec()), (vec![0, 0, 0, 1], vec![0, 0, 0, 2]));
    let both = Cipher::new(keys(1, &[5, 6], "local")).unwrap();
    for bytes in [&older, &newer] {
        assert_eq!(both.open(Purpose::Shelf, b"name", bytes), Ok(b"secret".to_vec()));
    }
    let rolled_back = Cipher::new(keys(1, &[5], "local")).unwrap();
    assert_eq!(rolled_back.open(Purpose::Shelf, b"name", &older), Ok(b"secret".to_vec()));
    assert_eq!(rolled_back.open(Purpose::Shelf, b"name", &newer), Err(CipherError::Refused), "a version it has not");
    let elsewhere = Cipher::new(keys(1, &[5, 6], "eu-west-1")).unwrap();
    assert_eq!(
        elsewhere.open(Purpose::Shelf, b"name", &newer),
        Err(CipherError::Refused),
        "the keys of another region"
    );
    assert_eq!(Cipher::new(keys(1, &[], "local")).unwrap_err(), CipherError::Keyless);
}

#[test]
fn more_data_keys_than_are_kept_at_hand_all_open() {
    let sealed: Vec<_> =
        (0..DATA_KEYS_KEPT_MAX * 2 + 1).map(|_| cipher(1).seal(Purpose::Blob, b"", b"x").unwrap()).collect();
    let reader = cipher(1);
    for bytes in sealed.iter().chain(&sealed) {
        assert_eq!(reader.open(Purpose::Blob, b"", bytes), Ok(b"x".to_vec()));
    }
}

const HEAD_BYTES: usize = 37;

/// How many messages each data key has sealed.
fn by_data_key(sealed: &[Vec<u8>]) -> BTreeMap<&[u8], u64> {
    sealed.iter().fold(BTreeMap::new(), |mut counts, bytes| {
        *counts.entry(&bytes[..HEAD_BYTES]).or_default() += 1;
        counts
    })
}

#[test]
fn a_data_key_is_followed_by_the_next_one_before_its_bound() {
    const BOUND: u64 = 1_000;
    let open = || Cipher::sealing_at_most(keys(1, &[5], "local"), BOUND).unwrap();
    let first = open();
    let sealed: Vec<_> = (0..10 * BOUND).map(|_| first.clone().seal(Purpose::Record, b"", b"x").unwrap()).collect();
    let counts = by_data_key(&sealed);
    assert!(counts.len() > 10 && counts.values().all(|count| *count <= BOUND), "{counts:?}");
    // as after a restart: the same keys, a count from nothing, and no nonce under a key before
    let second = open();
    let after = second.seal(Purpose::Record, b"", b"x").unwrap();
    assert!(!counts.contains_key(&after[..HEAD_BYTES]), "another data key");
    for cipher in [&first, &second] {
        assert!(sealed.iter().all(|bytes| cipher.open(Purpose::Record, b"", bytes) == Ok(b"x".to_vec())));
    }
    let unbounded = Cipher::sealing_at_most(keys(1, &[5], "local"), u64::MAX).unwrap();
    assert!(unbounded.seal(Purpose::Record, b"", b"x").is_ok());
}

#[test]
fn threads_that_seal_together_share_one_bound() {
    const BOUND: u64 = 1_000;
    let cipher = Cipher::sealing_at_most(keys(1, &[5], "local"), BOUND).unwrap();
    let sealed: Vec<_> = std::thread::scope(|scope| {
        let seals = || (0..20 * BOUND).map(|_| cipher.seal(Purpose::Record, b"", b"x").unwrap()).collect::<Vec<_>>();
        let threads = [scope.spawn(seals), scope.spawn(seals), scope.spawn(seals)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(by_data_key(&sealed).values().all(|count| *count <= BOUND));
}

#[test]
fn a_new_version_seals_for_every_clone_and_nothing_that_was_sealed_is_lost() {
    const VERSIONS: u32 = 200;
    let (cipher, other) = (Cipher::new(keys(1, &[1], "local")).unwrap(), Cipher::new(keys(2, &[1], "local")).unwrap());
    assert_eq!(cipher.newest_version(), 1);
    let rotating = std::sync::atomic::AtomicBool::new(true);
    let (sealed, failed) = std::thread::scope(|scope| {
        let reads = || {
            let (mut sealed, mut failed) = (vec![cipher.seal(Purpose::Blob, b"n", b"x").unwrap()], 0);
            while rotating.load(Ordering::Relaxed) {
                let nth = sealed.len() * 7 % 13 % sealed.len();
                failed += usize::from(cipher.open(Purpose::Blob, b"n", &sealed[nth]) != Ok(b"x".to_vec()));
                sealed.extend(cipher.seal(Purpose::Blob, b"n", b"x"));
                failed += usize::from(cipher.open(Purpose::Blob, b"n", sealed.last().unwrap()).is_err());
            }
            (sealed, failed)
        };
        let threads = [scope.spawn(reads), scope.spawn(reads)];
        for number in 2..=VERSIONS {
            let key = [number.to_be_bytes()[3]; 32].into();
            cipher.clone().add_version(KeyVersion { number, region: "local".to_owned(), key }).unwrap();
            assert_eq!(cipher.newest_version(), number);
            std::thread::yield_now();
        }
        rotating.store(false, Ordering::Relaxed);
        let all: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        (
            all.iter().flat_map(|(sealed, _)| sealed.clone()).collect::<Vec<_>>(),
            all.iter().map(|one| one.1).sum::<usize>(),
        )
    });
    assert_eq!(failed, 0);
    assert!(sealed.iter().all(|bytes| cipher.open(Purpose::Blob, b"n", bytes) == Ok(b"x".to_vec())));
    for number in [0, 1, VERSIONS] {
        let again = KeyVersion { number, region: "local".to_owned(), key: [9; 32].into() };
        assert_eq!(cipher.add_version(again), Err(CipherError::NotNewer(number)));
    }
    assert_eq!(other.newest_version(), 1, "another tenant's stays");
}

#[test]
fn withdrawn_keys_open_and_seal_nothing_for_any_clone() {
    let cipher = Cipher::new(keys(1, &[5, 6], "local")).unwrap();
    let (clone, weak) = (cipher.clone(), cipher.downgrade());
    let older = Cipher::new(keys(1, &[5], "local")).unwrap().seal(Purpose::Blob, b"", b"x").unwrap();
    let sealed = clone.seal(Purpose::Blob, b"", b"x").unwrap();
    assert!(clone.open(Purpose::Blob, b"", &older).is_ok());
    weak.upgrade().unwrap().withdraw();
    for bytes in [&sealed, &older] {
        assert_eq!(clone.open(Purpose::Blob, b"", bytes), Err(CipherError::Withdrawn));
        assert_eq!(clone.open_into(Purpose::Blob, b"", bytes, &mut [0; 1]), Err(CipherError::Withdrawn));
    }
    assert_eq!(clone.seal(Purpose::Blob, b"", b"x"), Err(CipherError::Withdrawn));
    let next = KeyVersion { number: 3, region: "local".to_owned(), key: [7; 32].into() };
    assert_eq!((clone.add_version(next), clone.newest_version()), (Err(CipherError::Withdrawn), 0));
    drop((cipher, clone));
    assert!(weak.upgrade().is_none(), "a weak one keeps nothing");
}

#[test]
fn a_cipher_tells_nothing_but_its_tenant() {
    assert_eq!(format!("{:?}", cipher(1)), "Cipher(000000000000)");
    let twice = [(); 2].map(|()| cipher(1).seal(Purpose::Record, b"", b"same").unwrap());
    assert_ne!(twice[0], twice[1], "each sealing draws its own nonce");
}

proptest! {
    #[test]
    fn what_was_sealed_opens_and_every_altered_byte_is_refused(
        plain in proptest::collection::vec(any::<u8>(), 0..80), name in proptest::collection::vec(any::<u8>(), 0..20), bit in 0..8_u8
    ) {
        let sealed = cipher(1).seal(Purpose::Record, &name, &plain).unwrap();
        prop_assert_eq!(cipher(1).open(Purpose::Record, &name, &sealed), Ok(plain));
        for byte in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[byte] ^= 1 << bit;
            prop_assert_eq!(cipher(1).open(Purpose::Record, &name, &altered), Err(CipherError::Refused));
            prop_assert_eq!(cipher(1).open(Purpose::Record, &name, &sealed[..byte]), Err(CipherError::Refused));
        }
    }
}
