//! Keyrings that were cut, edited, exchanged, lost or half written, and tenants that are older than theirs.
use super::tests::{cipher, open, tenant};
use super::{KeyError, KeyService, RootSource, shown};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use bailiwick_kernel::cipher::{Cipher, CipherError, Purpose};
use bailiwick_kernel::codec;
use bailiwick_kernel::fabric::Blob;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::shelf::{Traces, Vault};
use bailiwick_policy::sovereignty::Region;
use std::fs;
use std::path::{Path, PathBuf};

fn file(data: &Path, number: u128) -> PathBuf {
    data.join(shown(tenant(number)))
}

/// Why the keys of tenant 1 are not had; what is there of it does not matter, because its keyring is there.
fn refusal(data: &Path) -> String {
    let refused = open(data).cipher_for(tenant(1), || panic!("its keyring decides"));
    refused.expect_err("it must be refused").to_string()
}

#[test]
fn a_keyring_cut_at_any_byte_is_refused() {
    let data = tempfile::tempdir().unwrap();
    cipher(&open(data.path()), 1);
    let whole = fs::read(file(data.path(), 1)).unwrap();
    let newline_aside = whole.len() - 1;
    for length in 0..newline_aside {
        fs::write(file(data.path(), 1), &whole[..length]).unwrap();
        let problem = refusal(data.path());
        assert!(problem.contains("restore it from your backup"), "{length}: {problem}");
    }
    fs::write(file(data.path(), 1), vec![0; whole.len()]).unwrap();
    assert!(refusal(data.path()).contains("were being destroyed"));
    fs::write(file(data.path(), 1), vec![b' '; 2 << 20]).unwrap();
    assert!(refusal(data.path()).contains("is larger than"));
    fs::write(file(data.path(), 1), &whole).unwrap();
    cipher(&open(data.path()), 1);
}

#[test]
fn a_keyring_edited_anywhere_is_refused_or_says_the_same() {
    let data = tempfile::tempdir().unwrap();
    let sealed = cipher(&open(data.path()), 1).seal(Purpose::Blob, b"name", b"secret").unwrap();
    let whole = fs::read(file(data.path(), 1)).unwrap();
    let keys = open(data.path());
    let mut same = 0;
    for at in 0..whole.len() {
        for bit in [0x01, 0x02, 0x08, 0x20] {
            let mut edited = whole.clone();
            edited[at] ^= bit;
            fs::write(file(data.path(), 1), &edited).unwrap();
            // a letter of the other case is the same digit: nothing else is let through
            if let Ok(cipher) = keys.cipher_for(tenant(1), || panic!("its keyring decides")) {
                assert!(edited.eq_ignore_ascii_case(&whole), "byte {at}");
                assert_eq!(cipher.open(Purpose::Blob, b"name", &sealed).unwrap(), b"secret", "byte {at}");
                same += 1;
            }
        }
    }
    assert!(same < whole.len(), "{same} edits changed nothing");
}

#[test]
fn what_a_keyring_says_of_a_key_is_bound_to_the_key() {
    let data = tempfile::tempdir().unwrap();
    cipher(&open(data.path()), 1);
    cipher(&open(data.path()), 2);
    let elsewhere = KeyService::open(data.path(), &RootSource::File, &Region::named("eu-west-1").unwrap()).unwrap();
    cipher(&elsewhere, 1);
    let (own, other) = (file(data.path(), 1), fs::read_to_string(file(data.path(), 2)).unwrap());
    // the same tenant, version, region and root key, but another key: as in an older copy of the folder
    let copy = tempfile::tempdir().unwrap();
    fs::copy(data.path().join("master.key"), copy.path().join("master.key")).unwrap();
    cipher(&open(copy.path()), 1);
    let before = fs::read_to_string(file(copy.path(), 1)).unwrap();
    let whole = fs::read_to_string(&own).unwrap();
    let edit = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from} in {whole}");
        whole.replacen(from, to, 1)
    };
    let wrapped = |text: &str, nth: usize| {
        let found = text.split("\"wrapped\": \"").nth(nth + 1).unwrap();
        found.split('"').next().unwrap().to_owned()
    };
    let made = |text: &str| {
        let begins = text.find("\"made_unix_ms\"").unwrap();
        text[begins..=begins + text[begins..].find(',').unwrap()].to_owned()
    };
    // as the other key of the same moment
    let of_before = edit(&wrapped(&whole, 0), &wrapped(&before, 0)).replacen(&made(&whole), &made(&before), 1);
    // the newest one, which nothing stands behind: younger than it is
    let younger = {
        let at = whole.rfind("\"made_unix_ms\": 1").unwrap() + "\"made_unix_ms\": ".len();
        format!("{}2{}", &whole[..at], &whole[at + 1..])
    };
    let not_as_it_says = "does not open under this node's root key as what it says it is";
    let cases = [
        (other.clone(), "is the keyring of another tenant"),
        (other.replace(&tenant(2).to_hex(), &tenant(1).to_hex()), not_as_it_says),
        (edit(&wrapped(&whole, 0), &wrapped(&other, 0)), not_as_it_says),
        (edit(&wrapped(&whole, 0), &wrapped(&whole, 1)), not_as_it_says),
        (of_before, "version 2 in keys/"),
        (edit("\"region\": \"local\"", "\"region\": \"eu-west-1\""), not_as_it_says),
        (edit("\"region\": \"eu-west-1\"", "\"region\": \"local\""), not_as_it_says),
        (edit("\"legacy\": false", "\"legacy\": true"), not_as_it_says),
        (edit("\"number\": 2", "\"number\": 3"), "lacks a version"),
        (edit("\"number\": 2", "\"number\": 1"), "lacks a version"),
        (edit("\"provider\": \"local-file\"", "\"provider\": \"vault\""), "which names no key of it"),
        (edit("\"region\"", "\"key_id\": \"vault:local:t/k\", \"region\""), "declares no provider for it"),
        (edit("\"region\"", "\"key_id\": \"my key\", \"region\""), "names no key this build can ask for"),
        (edit("\"made_unix_ms\": 17", "\"made_unix_ms\": 27"), not_as_it_says),
        (edit(&made(&whole), ""), not_as_it_says),
        (younger, not_as_it_says),
        (edit("\"format\": 2", "\"format\": 3"), "this build reads format 2"),
        (edit("\"format\": 2", "\"format\": 1"), "what that format does not know"),
        (edit("\"legacy\"", "\"remark\": 1, \"legacy\""), "is cut or edited"),
        (edit(&wrapped(&whole, 1), "zz"), "version 2 is not readable"),
        (edit(&wrapped(&whole, 1), ""), not_as_it_says),
        (
            format!("{{\"format\": 1, \"tenant\": \"{}\", \"legacy\": false, \"versions\": []}}", tenant(1).to_hex()),
            "0 versions",
        ),
    ];
    for (text, expected) in cases {
        fs::write(&own, &text).unwrap();
        let problem = refusal(data.path());
        assert!(problem.contains(expected), "{expected}: {problem}");
        assert!(problem.contains("restore") || problem.contains("declare it"), "{problem}");
        assert!(!problem.contains(&wrapped(&whole, 0)), "no key material: {problem}");
    }
}

#[test]
fn another_root_key_opens_nothing() {
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    cipher(&open(data.path()), 1);
    open(other.path());
    fs::copy(other.path().join("master.key"), data.path().join("master.key")).unwrap();
    assert!(refusal(data.path()).contains("or the root key"));
}

#[test]
fn a_node_in_another_region_seals_under_a_new_version_and_reads_the_old_one() {
    let data = tempfile::tempdir().unwrap();
    let before = cipher(&open(data.path()), 1).seal(Purpose::Blob, b"name", b"secret").unwrap();
    let watched = data.path().join("watched");
    fs::hard_link(file(data.path(), 1), &watched).unwrap();
    let moved = KeyService::open(data.path(), &RootSource::File, &Region::named("eu-west-1").unwrap()).unwrap();
    let after = cipher(&moved, 1).seal(Purpose::Blob, b"name", b"secret").unwrap();
    assert_eq!((before[4], after[4]), (1, 2), "the version stands in the head");
    assert!(fs::read(&watched).unwrap().iter().all(|byte| *byte == 0), "what it replaced keeps no key");
    for keys in [moved, open(data.path())] {
        for sealed in [&before, &after] {
            assert_eq!(cipher(&keys, 1).open(Purpose::Blob, b"name", sealed).unwrap(), b"secret");
        }
    }
    assert_eq!(fs::read_to_string(file(data.path(), 1)).unwrap().matches("wrapped").count(), 3, "back again: a third");
}

#[test]
fn a_write_cut_short_leaves_what_was_there() {
    let data = tempfile::tempdir().unwrap();
    let aside = data.path().join(format!("{}.new", shown(tenant(1))));
    // before the first keyring had its name: nothing was sealed yet
    let keys = open(data.path());
    fs::write(&aside, b"{\"format\": 1, \"ten").unwrap();
    let sealed = cipher(&keys, 1).seal(Purpose::Blob, b"name", b"secret").unwrap();
    assert!(!aside.exists());
    // after it had its name, before the other one was gone: both are names of the same bytes
    fs::hard_link(file(data.path(), 1), &aside).unwrap();
    assert_eq!(cipher(&keys, 1).open(Purpose::Blob, b"name", &sealed).unwrap(), b"secret");
    let kept = fs::read(file(data.path(), 1)).unwrap();
    let far = KeyService::open(data.path(), &RootSource::File, &Region::named("us-east-1").unwrap()).unwrap();
    assert_eq!(cipher(&far, 1).open(Purpose::Blob, b"name", &sealed).unwrap(), b"secret");
    assert!(!aside.exists());
    fs::write(file(data.path(), 1), kept).unwrap();
    // before a new version had taken the place of the old one
    fs::write(&aside, b"half a keyr").unwrap();
    assert_eq!(cipher(&keys, 1).open(Purpose::Blob, b"name", &sealed).unwrap(), b"secret");
    let moved = KeyService::open(data.path(), &RootSource::File, &Region::named("eu-west-1").unwrap()).unwrap();
    assert_eq!(cipher(&moved, 1).open(Purpose::Blob, b"name", &sealed).unwrap(), b"secret");
    assert!(!aside.exists());
}

#[test]
fn a_destroyed_keyring_is_gone_from_its_folder_and_its_name_stays_free() {
    let data = tempfile::tempdir().unwrap();
    let keys = open(data.path());
    let sealed = cipher(&keys, 1).seal(Purpose::Record, b"", b"secret").unwrap();
    cipher(&keys, 2);
    fs::copy(file(data.path(), 1), data.path().join(format!("{}.new", shown(tenant(1))))).unwrap();
    // another name of the same bytes shows that they are overwritten before the name goes
    let watched = data.path().join("watched");
    fs::hard_link(file(data.path(), 1), &watched).unwrap();
    let length = fs::metadata(&watched).unwrap().len();
    keys.destroy(tenant(1)).unwrap();
    assert_eq!(fs::read(&watched).unwrap(), vec![0; usize::try_from(length).unwrap()]);
    let left: Vec<_> = fs::read_dir(data.path().join("keys")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [file(data.path(), 2)]);
    keys.destroy(tenant(1)).unwrap();
    // what is left of the tenant names a key nobody has
    let newest = sealed.clone();
    assert!(matches!(keys.cipher_for(tenant(1), || Ok(Traces::Newest(newest))), Err(KeyError::Lost { .. })));
    assert_eq!(cipher(&keys, 1).open(Purpose::Record, b"", &sealed), Err(CipherError::Refused), "another key");
}

#[test]
fn a_destruction_cut_short_is_refused_and_finished() {
    let data = tempfile::tempdir().unwrap();
    let keys = open(data.path());
    cipher(&keys, 1);
    let length = fs::metadata(file(data.path(), 1)).unwrap().len();
    fs::write(file(data.path(), 1), vec![0; usize::try_from(length).unwrap()]).unwrap();
    assert!(refusal(data.path()).contains("were being destroyed"));
    keys.destroy(tenant(1)).unwrap();
    assert!(!file(data.path(), 1).exists());
}

#[tokio::test]
async fn a_keyring_that_is_missing_beside_sealed_data_is_never_made_anew() {
    let data = tempfile::tempdir().unwrap();
    let (keys, vault) = (open(data.path()), Vault::open(data.path()).unwrap());
    let opened = || keys.cipher_for(tenant(1), || vault.traces(tenant(1)));
    let own = vault.belongings(opened().unwrap()).unwrap();
    own.journal.append(&[String::from("first")]).await.unwrap();
    let kept = fs::read(file(data.path(), 1)).unwrap();
    fs::remove_file(file(data.path(), 1)).unwrap();
    for _ in 0..2 {
        let problem = opened().unwrap_err().to_string();
        assert!(problem.contains("is missing, but there are data") && problem.contains("restore it"), "{problem}");
        assert!(!file(data.path(), 1).exists());
    }
    fs::write(file(data.path(), 1), kept).unwrap();
    let again = vault.belongings(opened().unwrap()).unwrap();
    assert_eq!(again.journal.entry::<String>(Position(0)).unwrap().unwrap().1, "first");
}

struct ThirtyTwo;
impl hkdf::KeyType for ThirtyTwo {
    fn len(&self) -> usize {
        32
    }
}

/// As builds without keyrings sealed.
fn seal_as_before(data: &Path, number: u128, purpose: u8, name: &[u8], plain: &[u8]) -> Vec<u8> {
    let (tenant, mut key) = (tenant(number), [0; 32]);
    let master = fs::read(data.join("master.key")).unwrap();
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"bailiwick tenant cipher v1").extract(&master);
    prk.expand(&[tenant.as_bytes()], ThirtyTwo).unwrap().fill(&mut key).unwrap();
    let (key, nonce) = (LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap()), rand::random::<[u8; 12]>());
    let mut body = plain.to_vec();
    let associated = [tenant.as_bytes().as_slice(), &[purpose], name].concat();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut body).unwrap();
    [nonce.as_slice(), &body].concat()
}

#[tokio::test]
async fn a_folder_from_before_keyrings_opens_and_goes_on_under_a_key_of_its_own() {
    let data = tempfile::tempdir().unwrap();
    // a folder as it was: a master key, a store, no keys
    fs::write(data.path().join("master.key"), [9; 32]).unwrap();
    let old = |purpose, name: &[u8], plain: &[u8]| seal_as_before(data.path(), 1, purpose, name, plain);
    {
        let fabric = Vault::open(data.path()).unwrap().fabric();
        let epoch = fabric.acquire(tenant(1)).unwrap().epoch;
        let blob = Blob { name: "doc".to_owned(), sealed: old(2, b"doc", b"the body") };
        fabric.blobs_put(tenant(1), vec![blob]).unwrap();
        let record = |text: &str| old(1, b"", &codec::encode(&text.to_owned()).unwrap());
        fabric.append(tenant(1), epoch, vec![record("first"), record("second")]).await.unwrap();
    }
    let (keys, vault) = (open(data.path()), Vault::open(data.path()).unwrap());
    let opened = || keys.cipher_for(tenant(1), || vault.traces(tenant(1)));
    let texts = |cipher: Cipher| {
        let (mut texts, own) = (Vec::new(), vault.belongings(cipher).unwrap());
        own.journal.replay(Position(0), |_, _, text: String| texts.push(text)).unwrap();
        (texts, own)
    };
    let (before, own) = texts(opened().unwrap());
    assert_eq!(before, ["first", "second"]);
    assert_eq!(own.journal.blob_get("doc").unwrap(), Some(b"the body".to_vec()));
    own.journal.append(&[String::from("third")]).await.unwrap();
    let (after, _) = texts(opened().unwrap());
    assert_eq!(after, ["first", "second", "third"], "old and new side by side");
    assert!(fs::read_to_string(file(data.path(), 1)).unwrap().contains("\"legacy\": true"));

    // once something is sealed under its own key, a lost keyring is not taken for an old folder
    fs::remove_file(file(data.path(), 1)).unwrap();
    assert!(matches!(opened(), Err(KeyError::Lost { .. })));
    // a tenant that is new beside it is not given the derived key
    vault.belongings(keys.cipher_for(tenant(2), || vault.traces(tenant(2))).unwrap()).unwrap();
    assert!(fs::read_to_string(file(data.path(), 2)).unwrap().contains("\"legacy\": false"));
}
