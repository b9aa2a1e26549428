//! Sealed bytes open only for the same tenant, purpose, name and key, and only unaltered.
use super::tenant;
use bailiwick_kernel::cipher::{Cipher, CipherError, Purpose};
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
    let (first, second) =
        (Cipher::with_key(&[1; 32], tenant(1)).unwrap(), Cipher::with_key(&[1; 32], tenant(2)).unwrap());
    let stray = first.seal(Purpose::Record, b"", b"secret").unwrap();
    assert_eq!(
        second.open(Purpose::Record, b"", &stray),
        Err(CipherError::Refused),
        "the same key under another tenant"
    );
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
