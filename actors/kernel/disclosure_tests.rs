use super::*;
use crate::ids::TenantKey;

#[expect(clippy::disallowed_methods, reason = "test")]
fn cipher(tenant: u128) -> Cipher {
    Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(tenant))).unwrap()
}

fn shown(payload: Vec<u8>, key: RecordKey) -> Shown {
    Shown { position: Position(3), epoch: Epoch(1), previous: [9; 32], payload, key: Some(key) }
}

fn opened(tenant: u128, payload: &[u8]) -> Result<Vec<u8>, CipherError> {
    match open(&cipher(tenant), payload, &HashMap::new())? {
        Opened::Words(plain) => Ok(plain.to_vec()),
        other => panic!("{other:?}"),
    }
}

fn sealed(text: &str) -> Vec<u8> {
    seal(&cipher(1), &codec::encode(&text).unwrap()).unwrap()
}

#[test]
fn a_record_is_read_by_its_owner_and_by_whoever_has_its_key() {
    let (one, other) = (sealed("one"), sealed("other"));
    assert_eq!(one.len() + 2, other.len(), "overhead does not depend on the words");
    assert_eq!(one.len(), codec::encode(&"one").unwrap().len() + RECORD_OVERHEAD_BYTES - SLOT_HEAD_BYTES);
    assert_eq!(codec::decode::<String>(&opened(1, &one).unwrap()).unwrap(), "one");
    let key = key_of(&cipher(1), &one).unwrap();
    assert_eq!(shown(one.clone(), key.clone()).entry::<String>().unwrap(), "one");
    assert!(shown(other, key).entry::<String>().is_err(), "this record and nothing else");
    assert!(key_of(&cipher(2), &one).is_err() && opened(2, &one).is_err());
}

#[test]
fn records_from_before_they_had_keys_are_read_and_not_shown() {
    let former = cipher(1).seal(Purpose::Record, b"", b"former").unwrap();
    assert_eq!(opened(1, &former).unwrap(), b"former");
    assert!(key_of(&cipher(1), &former).is_err());
}

#[test]
fn altered_bytes_are_refused_everywhere() {
    let whole = sealed("some words that matter");
    let key = key_of(&cipher(1), &whole).unwrap();
    let before = shown(whole.clone(), key.clone()).chain_hash(cipher(1).tenant().as_bytes());
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        assert!(opened(1, &altered).is_err(), "byte {at}");
        let altered = shown(altered, key.clone());
        assert!(altered.entry::<String>().is_err() || at < SEALED_KEY_BYTES, "byte {at}");
        assert_ne!(altered.chain_hash(cipher(1).tenant().as_bytes()), before, "byte {at}");
    }
    assert!(shown(whole[..40].to_vec(), key).entry::<String>().is_err());
}

/// What is sealed under one key and committed to under another opens with neither: the same bytes cannot be shown to two
/// people with two keys.
#[test]
fn a_commitment_to_another_key_is_refused() {
    let (one, other) = (sealed("one"), sealed("two"));
    let keys = [&one, &other].map(|payload| key_of(&cipher(1), payload).unwrap());
    let (start, end) = (SEALED_KEY_BYTES, SEALED_KEY_BYTES + COMMITMENT_BYTES);
    let mut crossed = one.clone();
    crossed[start..end].copy_from_slice(&other[start..end]);
    for key in keys {
        assert!(shown(crossed.clone(), key).entry::<String>().is_err());
    }
}
