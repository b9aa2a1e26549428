//! Sealed bytes open only for the same tenant, purpose, name and key, and only unaltered.
use super::{keys, tenant};
use bailiwick_kernel::cipher::{Cipher, CipherError, Purpose};
use bailiwick_kernel::limits::DATA_KEYS_KEPT_MAX;
use proptest::prelude::*;

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

#[test]
fn a_data_key_stops_at_its_bound_and_the_next_opening_has_another() {
    const BOUND: u64 = 1_000;
    let open = || Cipher::sealing_at_most(keys(1, &[5], "local"), BOUND).unwrap();
    let first = open();
    let sealed: Vec<_> = (0..BOUND).map(|_| first.clone().seal(Purpose::Record, b"", b"x").unwrap()).collect();
    for _ in 0..3 {
        assert_eq!(first.seal(Purpose::Record, b"", b"x"), Err(CipherError::Spent(BOUND)));
        assert_eq!(first.clone().seal_into(Purpose::Index, b"", b"x", &mut Vec::new()), Err(CipherError::Spent(BOUND)));
    }
    assert!(CipherError::Spent(BOUND).to_string().contains("suspend and resume the tenant"));
    assert_eq!(first.open(Purpose::Record, b"", &sealed[0]), Ok(b"x".to_vec()), "reading goes on");

    // as after a restart: the same keys, a count from nothing, and no nonce under the key before
    let second = open();
    let after = second.seal(Purpose::Record, b"", b"x").unwrap();
    assert_ne!(after[..37], sealed[0][..37], "another data key");
    assert!(sealed.iter().all(|bytes| bytes[..37] == sealed[0][..37]), "one data key an opening");
    assert_eq!(second.open(Purpose::Record, b"", &sealed[999]), Ok(b"x".to_vec()));
    let unbounded = Cipher::sealing_at_most(keys(1, &[5], "local"), u64::MAX).unwrap();
    assert!(unbounded.seal(Purpose::Record, b"", b"x").is_ok());
}

#[test]
fn threads_that_seal_together_share_one_bound() {
    const BOUND: u64 = 1_000;
    let cipher = Cipher::sealing_at_most(keys(1, &[5], "local"), BOUND).unwrap();
    let sealed = std::thread::scope(|scope| {
        let seals = || (0..BOUND).filter(|_| cipher.seal(Purpose::Record, b"", b"x").is_ok()).count();
        let threads = [scope.spawn(seals), scope.spawn(seals)];
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert_eq!(sealed as u64, BOUND);
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
