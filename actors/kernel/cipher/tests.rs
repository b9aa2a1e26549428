//! Both ways of sealing and opening, and what neither of them takes.
use super::*;

#[expect(clippy::disallowed_methods, reason = "test")]
fn cipher() -> Cipher {
    Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(1))).unwrap()
}

#[test]
fn both_ways_of_sealing_are_opened_by_both_ways_of_opening() {
    let cipher = cipher();
    let mut appended = b"before".to_vec();
    cipher.seal_into(Purpose::Index, b"name", b"plain", &mut appended).unwrap();
    let sealed = appended.split_off(6);
    assert_eq!(appended, b"before");
    assert_eq!(sealed.len(), 5 + OVERHEAD_BYTES);
    assert_eq!(cipher.open(Purpose::Index, b"name", &sealed).unwrap(), b"plain");

    let sealed = cipher.seal(Purpose::Index, b"name", b"plain").unwrap();
    let mut plain = [0; 5];
    cipher.open_into(Purpose::Index, b"name", &sealed, &mut plain).unwrap();
    assert_eq!(&plain, b"plain");
}

#[test]
fn opening_into_refuses_what_was_altered_renamed_or_is_of_another_length() {
    let cipher = cipher();
    let sealed = cipher.seal(Purpose::Index, b"name", b"plain").unwrap();
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert_eq!(cipher.open_into(Purpose::Index, b"name", &altered, &mut [0; 5]), Err(CipherError::Refused));
    }
    assert_eq!(cipher.open_into(Purpose::Index, b"other", &sealed, &mut [0; 5]), Err(CipherError::Refused));
    assert_eq!(cipher.open_into(Purpose::Blob, b"name", &sealed, &mut [0; 5]), Err(CipherError::Refused));
    for length in [0, 4, 6, 64] {
        let mut plain = vec![0; length];
        assert_eq!(cipher.open_into(Purpose::Index, b"name", &sealed, &mut plain), Err(CipherError::Refused));
    }
}

#[test]
fn where_no_further_data_key_can_be_derived_sealing_stops_at_the_bound_and_goes_on_when_it_can() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static FAILS: AtomicBool = AtomicBool::new(false);
    const BOUND: u64 = 1_000;
    let draw = || if FAILS.load(Ordering::SeqCst) { Err(CipherError::Random) } else { present::draw_salt() };
    let version = KeyVersion { number: 1, region: "local".to_owned(), key: [5; 32].into() };
    let keys = TenantKeys { tenant: cipher().tenant(), legacy: None, versions: vec![version] };
    let cipher = Cipher::drawing(keys, BOUND, draw).unwrap();
    FAILS.store(true, Ordering::SeqCst);
    let sealed: Vec<_> = (0..BOUND).map(|_| cipher.seal(Purpose::Record, b"", b"x").unwrap()).collect();
    assert!(sealed.iter().all(|bytes| bytes[..HEAD_BYTES] == sealed[0][..HEAD_BYTES]), "one data key");
    for _ in 0..3 {
        assert_eq!(cipher.seal(Purpose::Record, b"", b"x"), Err(CipherError::Spent(BOUND)));
        assert_eq!(
            cipher.clone().seal_into(Purpose::Index, b"", b"x", &mut Vec::new()),
            Err(CipherError::Spent(BOUND))
        );
    }
    assert!(CipherError::Spent(BOUND).to_string().contains("suspend and resume the tenant"));
    assert_eq!(cipher.open(Purpose::Record, b"", &sealed[0]), Ok(b"x".to_vec()), "reading goes on");
    FAILS.store(false, Ordering::SeqCst);
    let after = cipher.seal(Purpose::Record, b"", b"x").unwrap();
    assert_ne!(after[..HEAD_BYTES], sealed[0][..HEAD_BYTES], "another data key");
}
