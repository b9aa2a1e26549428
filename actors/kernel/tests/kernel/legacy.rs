//! What was sealed before there were keyrings opens for tenants that are older than theirs, and for nobody else.
use super::{keys, tenant};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use bailiwick_kernel::cipher::legacy::LegacyKey;
use bailiwick_kernel::cipher::{Cipher, CipherError, OVERHEAD_BYTES, Purpose};

const MASTER: [u8; 32] = [7; 32];

struct ThirtyTwo;
impl hkdf::KeyType for ThirtyTwo {
    fn len(&self) -> usize {
        32
    }
}

/// As builds without keyrings sealed a blob, with a nonce that begins like today's layout where that is asked for.
fn seal_as_before(number: u128, nonce: [u8; 12], name: &[u8], plain: &[u8]) -> Vec<u8> {
    let (tenant, mut key) = (tenant(number), [0; 32]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"bailiwick tenant cipher v1").extract(&MASTER);
    prk.expand(&[tenant.as_bytes()], ThirtyTwo).unwrap().fill(&mut key).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let mut body = plain.to_vec();
    let associated = [tenant.as_bytes().as_slice(), &[2], name].concat();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut body).unwrap();
    [nonce.as_slice(), &body].concat()
}

fn adopted(number: u128) -> Cipher {
    let legacy = LegacyKey::derive(&MASTER, tenant(number)).unwrap();
    let mut keys = keys(number, &[5], "local");
    keys.legacy = Some(legacy);
    Cipher::new(keys).unwrap()
}

#[test]
fn old_bytes_open_where_the_keyring_says_so_whatever_their_nonce() {
    for nonce in [[9; 12], [2; 12], [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], [0; 12]] {
        for plain in [b"".as_slice(), b"short", &[8; 200]] {
            let old = seal_as_before(1, nonce, b"name", plain);
            assert_eq!(adopted(1).open(Purpose::Blob, b"name", &old), Ok(plain.to_vec()), "{nonce:?}");
            assert_eq!(adopted(1).open(Purpose::Blob, b"other", &old), Err(CipherError::Refused));
            assert_eq!(adopted(1).open(Purpose::Record, b"name", &old), Err(CipherError::Refused));
            assert_eq!(adopted(2).open(Purpose::Blob, b"name", &old), Err(CipherError::Refused));
            let never_older = Cipher::new(keys(1, &[5], "local")).unwrap();
            assert_eq!(never_older.open(Purpose::Blob, b"name", &old), Err(CipherError::Refused));
            for at in 0..old.len() {
                let mut altered = old.clone();
                altered[at] ^= 0x20;
                assert_eq!(adopted(1).open(Purpose::Blob, b"name", &altered), Err(CipherError::Refused));
                assert_eq!(adopted(1).open(Purpose::Blob, b"name", &old[..at]), Err(CipherError::Refused));
            }
        }
    }
}

#[test]
fn a_tenant_older_than_its_keyring_seals_as_everybody_does() {
    let sealed = adopted(1).seal(Purpose::Blob, b"name", b"new").unwrap();
    assert_eq!(sealed.len(), 3 + OVERHEAD_BYTES);
    assert_eq!(adopted(1).open(Purpose::Blob, b"name", &sealed), Ok(b"new".to_vec()));
    let legacy = LegacyKey::derive(&MASTER, tenant(1)).unwrap();
    assert_eq!(legacy.open(Purpose::Blob, b"name", &sealed), Err(CipherError::Refused));
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert_eq!(adopted(1).open(Purpose::Blob, b"name", &altered), Err(CipherError::Refused), "byte {at}");
    }
}
