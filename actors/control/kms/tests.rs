use super::{KeyError, KeyFileError, KeyService};
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
    KeyService::open(data, &Region::default()).unwrap()
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
    let opened = |data: &Path| match KeyService::open(data, &Region::default()) {
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
