//! A tenant's belongings: typed entries, sealed shelves and blobs, none of them readable for another tenant.
use super::{keys, tenant};
use bailiwick_kernel::cipher::{Cipher, CipherError};
use bailiwick_kernel::disclosure::{self, Opened};
use bailiwick_kernel::fabric::AppendError;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::journal::JournalError;
use bailiwick_kernel::limits::RECORD_BYTES_MAX;
use bailiwick_kernel::shelf::{Belongings, Key, ShelfError, Stored, Traces, Vault};
use std::collections::HashMap;

const KEY: Key = Key::of("key");

fn cipher(number: u128) -> Cipher {
    Cipher::derive(&[3; 32], tenant(number)).unwrap()
}

/// Keeps a document with one record and one body, and gives where its record stands.
pub(super) async fn keep(belongings: &Belongings, name: &str, text: &str) -> Position {
    let journal = &belongings.journal;
    let document = journal.of_document(&format!("accepted {name}"), name, text.as_bytes()).unwrap();
    let (records, bodies) = journal.place(vec![document]).unwrap();
    journal.blobs_put(bodies).unwrap();
    journal.secrets_sync().unwrap();
    journal.append_records(records).await.unwrap().first
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
        let appended = own.journal.append(&[String::from("one"), String::from("two")]).await.unwrap();
        assert_eq!((appended.first, appended.last), (Position(0), Position(1)));
        assert_eq!(keep(&own, "doc", "the body").await, Position(2));
        own.shelf("notes").unwrap().put(&KEY, &String::from("derived")).unwrap();
        vault.sync().unwrap();
    }
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher(1)).unwrap();
    assert_eq!(own.journal.next_at_opening(), Position(3));
    let said = ["one", "two", "accepted doc"].map(String::from);
    assert_eq!(entries(&own), (0..).zip(said).collect::<Vec<_>>());
    assert_eq!(own.journal.entry::<String>(Position(1)).unwrap().unwrap().1, "two");
    assert_eq!(own.journal.entry::<String>(Position(3)).unwrap(), None);
    assert_eq!(own.journal.blob_get("doc").unwrap(), Some(b"the body".to_vec()));
    assert_eq!(own.shelf("notes").unwrap().get(&KEY).unwrap(), Some(String::from("derived")));
    vault.shred(tenant(1)).unwrap();
    assert!(matches!(own.journal.append(&[1_u8]).await, Err(JournalError::Append(AppendError::Stale { .. }))));
    assert_eq!(entries(&vault.belongings(cipher(1)).unwrap()), []);
}

#[actix_rt::test]
async fn another_key_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher(1)).unwrap();
    own.shelf("notes").unwrap().put(&KEY, &1_u8).unwrap();
    keep(&own, "doc", "the body").await;
    let wrong = vault.belongings(Cipher::derive(&[4; 32], tenant(1)).unwrap()).unwrap();
    assert!(matches!(wrong.shelf("notes").unwrap().get::<u8>(&KEY), Err(ShelfError::Cipher(_))));
    assert_eq!(wrong.journal.blob_get("doc").unwrap(), None, "it does not even know what a body is called");
    let other = vault.belongings(cipher(2)).unwrap();
    assert_eq!(other.shelf("notes").unwrap().get::<u8>(&KEY).unwrap(), None);
    assert_eq!(other.journal.blob_get("doc").unwrap(), None);
}

#[test]
fn a_shelf_scans_its_kinds_names_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let own = Vault::open(folder.path()).unwrap().belongings(cipher(1)).unwrap();
    let shelf = own.shelf("notes").unwrap();
    let of = |name: &str, number: u64| Key::of("a").name(name).number(number);
    let puts = [
        (of("x", 1), 1_u8),
        (of("x", 256), 3),
        (of("x", 2), 2),
        (of("y", 1), 4),
        (Key::of("ab").number(7), 5),
        (Key::of("a"), 6),
    ];
    shelf.apply(&puts, &[]).unwrap();
    let scan = |prefix: &Key, after: Option<&Stored>, max| -> Vec<u8> {
        shelf.scan::<u8>(prefix, after, max).unwrap().into_iter().map(|(_, value)| value).collect()
    };
    let x = Key::of("a").name("x");
    assert_eq!(scan(&x, None, 10), [1, 2, 3], "numbers ascend");
    assert_eq!(scan(&x, Some(&shelf.stored(&of("x", 1)).unwrap()), 10), [2, 3]);
    assert_eq!(scan(&x, Some(&shelf.stored(&of("x", 2)).unwrap()), 1), [3]);
    let mut all = scan(&Key::of("a"), None, 10);
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 6], "a kind is never the beginning of another one");
    assert_eq!(scan(&Key::of("ab"), None, 10), [5]);
    assert_eq!(shelf.scan::<u8>(&Key::of("ab"), None, 1).unwrap()[0].0.last_number(), Some(7));

    // page by page, in an order that stays
    let (mut paged, mut after) = (Vec::new(), None);
    while let Some((stored, value)) = shelf.scan::<u8>(&Key::of("a"), after.as_ref(), 1).unwrap().pop() {
        paged.push(value);
        after = Some(stored);
    }
    assert_eq!(paged, scan(&Key::of("a"), None, 10));
    shelf.apply(&[(of("x", 1), 9_u8)], &[of("x", 2)]).unwrap();
    shelf.remove(&of("y", 1)).unwrap();
    assert_eq!(scan(&x, None, 10), [9, 3]);
    shelf.clear().unwrap();
    assert_eq!(scan(&Key::of("a"), None, 10), Vec::<u8>::new());
}

#[test]
fn names_on_a_shelf_stay_over_versions_and_are_others_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let stored = |tenant: u128, versions: &[u8], shelf: &'static str, key: &Key| {
        let own = vault.shelf(Cipher::new(keys(tenant, versions, "local")).unwrap(), shelf).unwrap();
        own.stored(key).unwrap()
    };
    let key = Key::of("document").name("salaries-2026.pdf");
    let here = stored(1, &[5], "documents", &key);
    assert_eq!(
        stored(1, &[5, 6], "documents", &key),
        here,
        "a new version of the tenant's key finds what an older one named"
    );
    let others = [
        stored(2, &[5], "documents", &key),
        stored(1, &[6], "documents", &key),
        stored(1, &[5], "derived", &key),
        stored(1, &[5], "documents", &Key::of("erasure").name("salaries-2026.pdf")),
        stored(1, &[5], "documents", &Key::of("document").name("salaries-2025.pdf")),
    ];
    assert!(others.iter().all(|other| *other != here), "{others:?}");
}

#[actix_rt::test]
async fn nothing_anybody_has_named_stands_in_the_files_of_the_store() {
    const NAMES: [&str; 3] = ["salaries-of-the-board.pdf", "user-wintergreen", "body-of-the-letter"];
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher(1)).unwrap();
    let shelf = own.shelf("notes").unwrap();
    shelf.put(&Key::of("document").name(NAMES[0]), &NAMES[0].to_owned()).unwrap();
    shelf.apply(&[(Key::of("account").name(NAMES[1]).number(4), 1_u8)], &[Key::of("gone").name(NAMES[1])]).unwrap();
    keep(&own, NAMES[2], "words").await;
    let (mut read, mut folders) = (0, vec![folder.path().to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            read += bytes.len();
            for name in NAMES {
                let found = bytes.windows(name.len()).any(|window| window == name.as_bytes());
                assert!(!found, "{name} in {}", path.display());
            }
        }
    }
    assert!(read > 100, "something was written");
    assert_eq!(shelf.get::<String>(&Key::of("document").name(NAMES[0])).unwrap().as_deref(), Some(NAMES[0]));
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
    let Opened::Words(plain) = disclosure::open(&cipher(1), &newest, &HashMap::new()).unwrap() else { panic!("words") };
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
    let put = own.shelf("notes").unwrap().put(&KEY, &1_u8);
    assert_eq!(put, Err(ShelfError::Cipher(CipherError::Withdrawn)));
    assert_eq!(own.journal.of_document(&String::new(), "doc", b"x").unwrap_err(), withdrawn);
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

/// What was written of a document as it lies on the disk: its record and its body.
fn sealed(belongings: &Belongings, vault: &Vault, at: Position) -> (Vec<u8>, Vec<Vec<u8>>) {
    let tenant = belongings.journal.tenant();
    let record = vault.fabric().read(tenant, at, 1).unwrap().remove(0).payload;
    let digests = vault.store().blob_digests(tenant).unwrap();
    (record, digests.iter().filter_map(|digest| vault.store().blob_under(tenant, digest).unwrap()).collect())
}

#[actix_rt::test]
async fn a_shredded_document_opens_no_more_and_everything_around_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher(1)).unwrap();
    own.journal.append(&[String::from("before")]).await.unwrap();
    let gone = keep(&own, "gone", "what was written").await;
    let stays = keep(&own, "stays", "what stays").await;
    let shown = own.journal.shown(Position(0), 9).unwrap();
    assert_eq!(shown[1].entry::<String>().unwrap(), "accepted gone", "its key shows it to whoever is given it");
    assert_eq!(shown[1].key_version(), Some(1));
    let copied = sealed(&own, &vault, gone);

    own.journal.shred(&[gone, Position(0)], &["gone".to_owned(), "nobody's".to_owned()]).unwrap();
    assert_eq!(own.journal.entry::<String>(gone).unwrap_err(), JournalError::Shredded(gone), "it says that it was");
    assert_eq!(own.journal.blob_get("gone").unwrap(), None);
    assert_eq!(own.journal.entry::<String>(Position(0)).unwrap().unwrap().1, "before");
    assert_eq!(own.journal.entry::<String>(stays).unwrap().unwrap().1, "accepted stays");
    assert_eq!(own.journal.blob_get("stays").unwrap().as_deref(), Some(b"what stays".as_slice()));
    // its sealed bytes are what they were, and so is every proof; its key is shown to nobody
    assert_eq!(sealed(&own, &vault, gone), copied);
    let after = own.journal.shown(Position(0), 9).unwrap();
    let hashes = |shown: &[disclosure::Shown]| -> Vec<[u8; 32]> {
        shown.iter().map(|shown| shown.chain_hash(tenant(1).as_bytes())).collect()
    };
    assert_eq!(hashes(&after), hashes(&shown));
    let keyless: Vec<bool> = after.iter().map(|shown| shown.key.is_none()).collect();
    assert_eq!(keyless, [false, true, false]);
    assert_eq!(
        disclosure::open(&cipher(1), &copied.0, &HashMap::new()),
        Ok(Opened::Secretless),
        "the tenant's keys are not enough"
    );

    // and so it is for whoever opens the folder anew, whose next document has a slot of its own
    drop((own, vault));
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher(1)).unwrap();
    assert_eq!(own.journal.entry::<String>(gone).unwrap_err(), JournalError::Shredded(gone));
    let next = keep(&own, "gone", "what is written now").await;
    assert_eq!(own.journal.blob_get("gone").unwrap().as_deref(), Some(b"what is written now".as_slice()));
    assert_eq!(own.journal.entry::<String>(next).unwrap().unwrap().1, "accepted gone");
    assert_eq!(own.journal.entry::<String>(gone).unwrap_err(), JournalError::Shredded(gone));
}

#[actix_rt::test]
async fn a_document_whose_secret_is_lost_closes_its_journal_and_is_not_taken_for_shredded() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher(1)).unwrap();
    let at = keep(&own, "doc", "words").await;
    let file = folder.path().join("secrets").join(tenant(1).to_hex());
    let aside = folder.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    assert_eq!(own.journal.entry::<String>(at).unwrap_err(), JournalError::Secretless(at));
    // nor does another secret in its slot open it
    let mut other = std::fs::read(&aside).unwrap();
    other[0] ^= 1;
    std::fs::write(&file, other).unwrap();
    assert_eq!(own.journal.entry::<String>(at).unwrap_err(), JournalError::Cipher(CipherError::Refused));
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(own.journal.entry::<String>(at).unwrap().unwrap().1, "accepted doc");
}
