use super::{KeyError, KeyFileError, KeyService, RootSource};
use bailiwick_kernel::cipher::{Cipher, Purpose};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::shelf::Traces;
use bailiwick_policy::sovereignty::Region;
use std::path::Path;
use uuid::Uuid;

#[expect(clippy::disallowed_methods, reason = "test")]
pub(crate) fn tenant(number: u128) -> TenantKey {
    TenantKey::mint(Uuid::from_u128(number))
}

pub(super) fn open(data: &Path) -> KeyService {
    KeyService::open(data, &RootSource::File, &Region::default()).unwrap()
}

/// The cipher of a tenant that has nothing here, or has its keyring.
pub(super) fn cipher(keys: &KeyService, number: u128) -> Cipher {
    keys.cipher_for(tenant(number), || Ok(Traces::None)).unwrap()
}

#[test]
fn keys_are_made_once_and_open_what_they_sealed() {
    let data = tempfile::tempdir().unwrap();
    let sealed = cipher(&open(data.path()), 1).seal(Purpose::Record, b"", b"secret").unwrap();
    let again = open(data.path());
    let known = again.cipher_for(tenant(1), || panic!("its keyring says everything")).unwrap();
    assert_eq!(known.open(Purpose::Record, b"", &sealed).unwrap(), b"secret");
    assert!(cipher(&again, 2).open(Purpose::Record, b"", &sealed).is_err());
    assert!(Cipher::derive(&[7; 32], tenant(1)).unwrap().open(Purpose::Record, b"", &sealed).is_err());
    let master = std::fs::read(data.path().join("master.key")).unwrap();
    let derived = Cipher::derive(master.first_chunk().unwrap(), tenant(1)).unwrap();
    assert!(derived.open(Purpose::Record, b"", &sealed).is_err(), "nothing follows from the master key alone");
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_them() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    cipher(&open(data.path()), 1);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data.path().join("master.key")), 0o600);
    assert_eq!(mode(&data.path().join("keys")), 0o700);
    assert_eq!(mode(&data.path().join(super::shown(tenant(1)))), 0o600);
}

#[test]
fn a_key_that_is_cut_long_or_lost_is_refused() {
    let opened = |data: &Path| match KeyService::open(data, &RootSource::File, &Region::default()) {
        Err(KeyError::Master(error)) => error,
        other => panic!("{other:?}"),
    };
    for bytes in [0, 31, 33, 4096] {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("master.key"), vec![7; bytes]).unwrap();
        assert!(matches!(opened(data.path()), KeyFileError::WrongSize { .. }), "{bytes}");
    }
    for used in ["store", "blobs", "keys"] {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join(used)).unwrap();
        assert!(matches!(opened(data.path()), KeyFileError::Lost { .. }), "{used}");
        assert!(!data.path().join("master.key").exists(), "no new key over sealed data");
    }
}

#[test]
fn a_master_key_under_a_passphrase_opens_with_it_alone() {
    let data = tempfile::tempdir().unwrap();
    let opened = |root: &RootSource| KeyService::open(data.path(), root, &Region::default());
    let passphrase = |text: &str| RootSource::sealed_under(text).unwrap();
    let right = passphrase("a long way to the quay");
    let sealed = cipher(&opened(&right).unwrap(), 1).seal(Purpose::Blob, b"name", b"secret").unwrap();
    assert_eq!(cipher(&opened(&right).unwrap(), 1).open(Purpose::Blob, b"name", &sealed).unwrap(), b"secret");
    let refused = |root: &RootSource| opened(root).unwrap_err().to_string();
    assert!(refused(&passphrase("a long way to the quai")).contains("the passphrase does not open it"));
    assert!(refused(&RootSource::File).contains("passphrase_env"));
    assert!(refused(&RootSource::given(&"5a".repeat(32)).unwrap()).contains("has one of its own"));
    let file = data.path().join("master.key");
    let whole = std::fs::read(&file).unwrap();
    for at in [4, 20, 36, 52, 64, 111] {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        std::fs::write(&file, &altered).unwrap();
        assert!(refused(&right).contains("or the file was altered"), "{at}");
    }
    std::fs::write(&file, &whole[..111]).unwrap();
    assert!(refused(&right).contains("is no key"));
}

#[test]
fn a_file_that_was_open_is_sealed_in_place_and_what_it_was_is_overwritten() {
    let data = tempfile::tempdir().unwrap();
    let sealed = cipher(&open(data.path()), 1).seal(Purpose::Blob, b"name", b"secret").unwrap();
    let (file, watched) = (data.path().join("master.key"), data.path().join("watched"));
    let key = std::fs::read(&file).unwrap();
    std::fs::hard_link(&file, &watched).unwrap();
    let right = RootSource::sealed_under("a long way to the quay").unwrap();
    for _ in 0..2 {
        let keys = KeyService::open(data.path(), &right, &Region::default()).unwrap();
        assert_eq!(cipher(&keys, 1).open(Purpose::Blob, b"name", &sealed).unwrap(), b"secret");
    }
    assert_eq!(std::fs::read(&watched).unwrap(), [0; 32]);
    let now = std::fs::read(&file).unwrap();
    assert!(now.len() == 112 && !now.windows(8).any(|window| window == &key[..8]));
    assert!(!data.path().join("master.key.new").exists());
}

#[test]
fn a_root_key_from_outside_stands_in_no_file() {
    let data = tempfile::tempdir().unwrap();
    let given = |digits: &str| RootSource::given(digits).unwrap();
    let opened = |root: &RootSource| KeyService::open(data.path(), root, &Region::default());
    let sealed = cipher(&opened(&given(&"5a".repeat(32))).unwrap(), 1).seal(Purpose::Blob, b"name", b"secret").unwrap();
    let again = opened(&given(&"5a".repeat(32))).unwrap();
    assert_eq!(cipher(&again, 1).open(Purpose::Blob, b"name", &sealed).unwrap(), b"secret");
    let other = opened(&given(&"5b".repeat(32))).unwrap();
    let refused = other.cipher_for(tenant(1), || panic!("it has a keyring")).unwrap_err().to_string();
    assert!(refused.contains("or the root key"), "{refused}");
    assert!(opened(&RootSource::File).unwrap_err().to_string().contains("root_key_env"), "no new key over sealed data");
    assert!(!data.path().join("master.key").exists());
    for wrong in ["", "5a", &"5a".repeat(33), &"5g".repeat(32), &"00".repeat(32)] {
        assert!(RootSource::given(wrong).unwrap_err().contains("openssl rand -hex 32"), "{wrong}");
    }
    assert!(RootSource::sealed_under("eleven char").unwrap_err().contains("12 characters"));
}
