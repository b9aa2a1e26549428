//! A tenant's belongings: typed entries, sealed shelves and blobs, none of them readable for another tenant.
use super::{keys, tenant};
use bailiwick_kernel::cipher::{Cipher, CipherError};
use bailiwick_kernel::fabric::AppendError;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::journal::JournalError;
use bailiwick_kernel::limits::RECORD_BYTES_MAX;
use bailiwick_kernel::shelf::{Belongings, ShelfError, Traces, Vault};

fn cipher(number: u128) -> Cipher {
    Cipher::derive(&[3; 32], tenant(number)).unwrap()
}

fn entries(belongings: &Belongings) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    belongings.journal.replay(Position(0), |at, _, entry| found.push((at.0, entry))).unwrap();
    found
}

#[actix_rt::test]
async fn entries_blobs_and_shelves_survive_reopening() {
    let folder = tempfile::tempdir().unwrap();
    {
        let vault = Vault::open(folder.path()).unwrap();
        let own = vault.belongings(cipher(1)).unwrap();
        own.journal.blobs_put(vec![own.journal.blob("doc".into(), b"the body").unwrap()]).unwrap();
        let appended = own.journal.append(&[String::from("one"), String::from("two")]).await.unwrap();
        assert_eq!((appended.first, appended.last), (Position(0), Position(1)));
        own.shelf("notes").unwrap().put(b"key", &String::from("derived")).unwrap();
        vault.sync().unwrap();
    }
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher(1)).unwrap();
    assert_eq!(own.journal.next_at_opening(), Position(2));
    assert_eq!(entries(&own), [(0, String::from("one")), (1, String::from("two"))]);
    assert_eq!(own.journal.entry::<String>(Position(1)).unwrap().unwrap().1, "two");
    assert_eq!(own.journal.entry::<String>(Position(2)).unwrap(), None);
    assert_eq!(own.journal.blob_get("doc").unwrap(), Some(b"the body".to_vec()));
    assert_eq!(own.shelf("notes").unwrap().get(b"key").unwrap(), Some(String::from("derived")));
    vault.shred(tenant(1)).unwrap();
    assert!(matches!(own.journal.append(&[1_u8]).await, Err(JournalError::Append(AppendError::Stale { .. }))));
    assert_eq!(entries(&vault.belongings(cipher(1)).unwrap()), []);
}

#[test]
fn another_key_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher(1)).unwrap();
    own.shelf("notes").unwrap().put(b"key", &1_u8).unwrap();
    own.journal.blobs_put(vec![own.journal.blob("doc".into(), b"the body").unwrap()]).unwrap();
    let wrong = vault.belongings(Cipher::derive(&[4; 32], tenant(1)).unwrap()).unwrap();
    assert!(matches!(wrong.shelf("notes").unwrap().get::<u8>(b"key"), Err(ShelfError::Cipher(_))));
    assert!(matches!(wrong.journal.blob_get("doc"), Err(JournalError::Cipher(_))));
    let other = vault.belongings(cipher(2)).unwrap();
    assert_eq!(other.shelf("notes").unwrap().get::<u8>(b"key").unwrap(), None);
    assert_eq!(other.journal.blob_get("doc").unwrap(), None);
}

#[test]
fn a_shelf_scans_in_key_order_within_a_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Vault::open(folder.path()).unwrap().belongings(cipher(1)).unwrap().shelf("notes").unwrap();
    let puts: Vec<(Vec<u8>, u8)> =
        [("a1", 1), ("a2", 2), ("a20", 3), ("b1", 4)].map(|(key, value)| (key.into(), value)).into();
    shelf.apply(&puts, &[]).unwrap();
    let scan = |prefix: &str, after: Option<&str>, max| -> Vec<u8> {
        let found = shelf.scan::<u8>(prefix.as_bytes(), after.map(str::as_bytes), max).unwrap();
        found.into_iter().map(|(_, value)| value).collect()
    };
    assert_eq!(scan("a", None, 10), [1, 2, 3]);
    assert_eq!(scan("a", Some("a1"), 10), [2, 3]);
    assert_eq!(scan("a", Some("a2"), 1), [3]);
    assert_eq!(scan("a", Some("Z"), 10), [1, 2, 3], "a key before the prefix starts at the prefix");
    assert_eq!(scan("a", Some("b"), 10), Vec::<u8>::new());
    assert_eq!(scan("", None, 2), [1, 2]);
    shelf.apply(&[(b"a1".to_vec(), 9_u8)], &[b"a2".to_vec()]).unwrap();
    shelf.remove(b"b1").unwrap();
    assert_eq!(scan("", None, 10), [9, 3]);
    shelf.clear().unwrap();
    assert_eq!(scan("", None, 10), Vec::<u8>::new());
}

#[actix_rt::test]
async fn an_entry_larger_than_a_record_is_refused_before_it_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let own = Vault::open(folder.path()).unwrap().belongings(cipher(1)).unwrap();
    let refused = own.journal.append(&["x".repeat(RECORD_BYTES_MAX)]).await.unwrap_err();
    assert!(matches!(refused, JournalError::Append(AppendError::TooLarge { max: RECORD_BYTES_MAX, .. })));
    own.journal.append(&["x".repeat(RECORD_BYTES_MAX - 10)]).await.unwrap();
    assert_eq!(entries(&own).len(), 1);
}

#[actix_rt::test]
async fn what_lies_here_of_a_tenant_is_found_without_opening_it() {
    let folder = tempfile::tempdir().unwrap();
    let newest = {
        let vault = Vault::open(folder.path()).unwrap();
        assert_eq!(vault.traces(tenant(1)), Ok(Traces::None));
        let own = vault.belongings(cipher(1)).unwrap();
        assert_eq!(vault.traces(tenant(1)), Ok(Traces::WithoutRecords));
        own.journal.append(&[String::from("first")]).await.unwrap();
        let own = own.reacquire().unwrap();
        for from in [0, 3_000] {
            let entries: Vec<_> = (from..from + 3_000).map(|number| format!("record {number}")).collect();
            own.journal.append(&entries).await.unwrap();
        }
        let Traces::Newest(newest) = vault.traces(tenant(1)).unwrap() else { panic!("there are records") };
        newest
    };
    let vault = Vault::open(folder.path()).unwrap();
    assert_eq!(vault.traces(tenant(1)), Ok(Traces::Newest(newest.clone())));
    let plain = bailiwick_kernel::disclosure::open(&cipher(1), &newest).unwrap();
    assert_eq!(bailiwick_kernel::codec::decode::<String>(&plain).unwrap(), "record 5999");
    vault.shred(tenant(1)).unwrap();
    assert_eq!(vault.traces(tenant(1)), Ok(Traces::None));
    for kind in ["tenants", "blobs"] {
        let own = folder.path().join(kind).join(tenant(2).to_hex());
        std::fs::create_dir_all(&own).unwrap();
        assert_eq!(vault.traces(tenant(2)), Ok(Traces::WithoutRecords), "{kind}");
        std::fs::remove_dir(own).unwrap();
    }
    assert_eq!(vault.traces(tenant(2)), Ok(Traces::None));
}

#[actix_rt::test]
async fn a_journal_goes_on_under_the_next_data_key_and_reads_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let opened = || vault.belongings(Cipher::sealing_at_most(keys(1, &[5], "local"), 2).unwrap()).unwrap();
    let own = opened();
    let texts: Vec<_> = (0..100).map(|number| format!("record {number}")).collect();
    for text in &texts {
        own.journal.append(std::slice::from_ref(text)).await.unwrap();
    }
    for own in [own.reacquire().unwrap(), opened()] {
        assert_eq!(entries(&own), (0..).zip(texts.clone()).collect::<Vec<_>>());
    }
}

#[actix_rt::test]
async fn a_journal_whose_keys_are_withdrawn_takes_and_tells_nothing_until_it_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let opened = || vault.belongings(Cipher::new(keys(1, &[5], "local")).unwrap()).unwrap();
    let own = opened();
    own.journal.append(&[String::from("one")]).await.unwrap();
    own.cipher.withdraw();
    let withdrawn = JournalError::Cipher(CipherError::Withdrawn);
    assert_eq!(own.journal.append(&[String::from("two")]).await.unwrap_err(), withdrawn);
    assert_eq!(own.journal.entry::<String>(Position(0)).unwrap_err(), withdrawn);
    let put = own.shelf("notes").unwrap().put(b"key", &1_u8);
    assert_eq!(put, Err(ShelfError::Cipher(CipherError::Withdrawn)));
    assert_eq!(own.journal.blob("doc".into(), b"x").unwrap_err(), withdrawn);
    let rebuilt = own.reacquire().unwrap();
    assert_eq!(
        rebuilt.journal.append(&[String::from("two")]).await.unwrap_err(),
        withdrawn,
        "rooms built anew have no keys"
    );
    let again = opened();
    again.journal.append(&[String::from("two")]).await.unwrap();
    assert_eq!(entries(&again), [(0, String::from("one")), (1, String::from("two"))]);
}
