use super::{KeyFileError, KeyService};
use bailiwick_kernel::cipher::Purpose;
use bailiwick_kernel::ids::TenantKey;
use uuid::Uuid;

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant(number: u128) -> TenantKey {
    TenantKey::mint(Uuid::from_u128(number))
}

#[test]
fn the_key_is_made_once_and_opens_what_it_sealed() {
    let data = tempfile::tempdir().unwrap();
    let sealed = KeyService::open(data.path())
        .unwrap()
        .cipher_for(tenant(1))
        .unwrap()
        .seal(Purpose::Record, b"", b"secret")
        .unwrap();
    let again = KeyService::open(data.path()).unwrap();
    assert_eq!(again.cipher_for(tenant(1)).unwrap().open(Purpose::Record, b"", &sealed).unwrap(), b"secret");
    assert!(again.cipher_for(tenant(2)).unwrap().open(Purpose::Record, b"", &sealed).is_err());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    KeyService::open(data.path()).unwrap();
    let mode = std::fs::metadata(data.path().join("master.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_key_that_is_cut_long_or_lost_is_refused() {
    for bytes in [0, 31, 33, 4096] {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("master.key"), vec![7; bytes]).unwrap();
        assert!(matches!(KeyService::open(data.path()), Err(KeyFileError::WrongSize { .. })), "{bytes}");
    }
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir(data.path().join("store")).unwrap();
    assert!(matches!(KeyService::open(data.path()), Err(KeyFileError::Lost { .. })));
    assert!(!data.path().join("master.key").exists(), "no new key over sealed data");
}
