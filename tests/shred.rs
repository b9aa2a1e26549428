//! A tenant is destroyed: its keys first. Nothing that is left of it on the disk opens, nor anything that was copied before,
//! with the node's master key and every other key there is; its neighbours do not notice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use bailiwick_control::kms::KeyError;
use bailiwick_kernel::cipher::legacy::LegacyKey;
use bailiwick_kernel::cipher::{Cipher, Purpose};
use bailiwick_kernel::disclosure::{self, Opened};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::shelf::Traces;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;
use uuid::Uuid;

mod support;
use support::disk::{Sealed, backed_up, copy, files, harbour, keys_of, post, sealed_in, tenant_key};
use support::{Ended, House, copy_tenants, house, sign_policies, until};

const CANARIES: usize = 1_000;
/// Of them, those that are asked for, so that they stand in answers.
const ASKED: usize = 200;
/// Of those, the ones that users are called by.
const USERS: usize = 10;
const BATCH: usize = 250;
/// How a canary begins, and how long it is.
const MARK: &str = "zq";
const CANARY_BYTES: usize = 18;
const SEED: u64 = 0xCA9A;
const PAGE: usize = 4 << 10;
const NEIGHBOUR: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";
const LEAVE: &str = "Every employee has thirty days of paid leave in a year.";

/// Words nobody else writes.
fn canaries() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(SEED);
    (0..CANARIES).map(|_| format!("{MARK}{:016x}", random.random::<u64>())).collect()
}

/// Every canary in a document of its own, in its id, title, text, domain, use case and metadata, and so in the index; some
/// documents too large to stand in the store. Some of them in the words, the answers and the scopes of questions, and a few in
/// the names of users that ask. Gives the ids of the questions.
async fn plant(house: &House, key: &str, canaries: &[String]) -> Vec<Uuid> {
    for (batch, words) in canaries.chunks(BATCH).enumerate() {
        let document = |(number, canary): (usize, &String)| {
            let padding = "The quay is swept every morning. ".repeat(if number == 0 { 2_000 } else { 0 });
            let text = format!("The codeword of shed {canary} is {canary}. {padding}");
            json!({"id": id_of(batch, number, canary), "title": format!("Shed {canary}"), "text": text,
                "domain": format!("domain-{canary}"), "usecase": format!("use-{canary}"),
                "metadata": {"subject": format!("person-{canary}"), canary.clone(): canary}})
        };
        let documents: Vec<Value> = words.iter().enumerate().map(document).collect();
        post(house, "/v1/documents", key, json!({"documents": documents})).await;
    }
    let last = canaries.len() - 1;
    house.indexed(key, &id_of(last / BATCH, last % BATCH, &canaries[last])).await;
    let mut users = Vec::new();
    for canary in &canaries[..USERS] {
        users.push(house.user_key("harbour", &format!("user-{canary}"), "operator").await);
    }
    let mut queries = Vec::new();
    for (number, canary) in canaries[..ASKED].iter().enumerate() {
        let question = format!("What is the codeword of shed {canary}?");
        let body =
            json!({"question": question, "domain": format!("domain-{canary}"), "usecase": format!("use-{canary}")});
        let answer = post(house, "/v1/ask", users.get(number).map_or(key, String::as_str), body).await;
        assert!(answer["answer"].as_str().unwrap().contains(canary), "{answer}");
        let remark = json!({"query_id": answer["query_id"], "rating": "up", "comment": format!("yes, {canary}")});
        post(house, "/v1/feedback", key, remark).await;
        queries.push(answer["query_id"].as_str().unwrap().parse().unwrap());
    }
    queries
}

fn id_of(batch: usize, number: usize, canary: &str) -> String {
    format!("{batch}-{number}-{canary}")
}

/// The canaries that stand in some bytes.
fn canaries_in(bytes: &[u8], canaries: &[String]) -> BTreeSet<Vec<u8>> {
    let planted: BTreeSet<&[u8]> = canaries.iter().map(String::as_bytes).collect();
    let places = bytes.windows(CANARY_BYTES).filter(|window| window.starts_with(MARK.as_bytes()));
    places.filter(|window| planted.contains(window)).map(<[u8]>::to_vec).collect()
}

/// How many canaries stand in the clear in a folder's files and their names.
fn in_the_clear(folder: &Path, canaries: &[String]) -> usize {
    let found = |(path, bytes): (PathBuf, Vec<u8>)| {
        canaries_in(&bytes, canaries).len() + canaries_in(path.as_os_str().as_encoded_bytes(), canaries).len()
    };
    files(folder).into_iter().map(found).sum()
}

/// How many of these ids stand in a folder's files, as their bytes or as text.
fn ids_in_the_clear(folder: &Path, ids: &[Uuid]) -> usize {
    let texts: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let planted: BTreeSet<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    // all of them are of one day: what they begin with is the same
    let begins = [&ids[0].as_bytes()[..2], &texts[0].as_bytes()[..4]];
    let found = |(_, bytes): (PathBuf, Vec<u8>)| {
        let raw = bytes.windows(16).filter(|window| window.starts_with(begins[0]) && planted.contains(window)).count();
        let is_text =
            |window: &[u8]| window.starts_with(begins[1]) && texts.iter().any(|text| text.as_bytes() == window);
        raw + bytes.windows(36).filter(|window| is_text(window)).count()
    };
    files(folder).into_iter().map(found).sum()
}

/// What one key makes of records, with the secrets of their documents, and of the index.
fn opened(cipher: &Cipher, (records, secrets): &Sealed, index: &Path) -> (Vec<Vec<u8>>, bool) {
    let opened = records.iter().filter_map(|record| disclosure::open(cipher, record, secrets).ok());
    let plain = opened.filter_map(|opened| if let Opened::Words(plain) = opened { Some(plain.to_vec()) } else { None });
    let plain = plain.collect();
    let meta = std::fs::read(index.join("meta.json")).unwrap();
    (plain, cipher.open(Purpose::Index, b"Wmeta.json", &meta[4..]).is_ok())
}

/// Every cipher somebody can make who has this folder: one for each keyring.
fn ciphers(data: &Path) -> Vec<Cipher> {
    let keys = keys_of(data);
    let ids =
        files(&data.join("keys")).into_iter().map(|(path, _)| path.file_stem().unwrap().to_str().unwrap().to_owned());
    ids.map(|id| keys.cipher_for(tenant_key(&id), || panic!("it has a keyring")).unwrap()).collect()
}

/// Files and folders that bear a tenant's key.
fn named_in(folder: &Path, tenant: TenantKey) -> usize {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_name().to_string_lossy().contains(&tenant.to_hex())).count()
}

fn verified(certificate: &Path) -> String {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_bailiwick")).arg("verify").arg(certificate).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How many canaries stand in what a dump of a process holds: the heap, the program's own data, the stacks of threads.
fn in_memory(process_id: u32, canaries: &[String]) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{process_id}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{process_id}/mem")).unwrap();
    let mut held = BTreeSet::new();
    for map in maps.lines() {
        let (range, rest) = map.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        // what is not written to holds the program and files, which are looked through as files
        if !rest.starts_with("rw") {
            continue;
        }
        let mut at = start;
        while at < end {
            // pieces overlap by a canary, so that none is cut
            let length = usize::try_from((end - at).min(8 << 20)).unwrap();
            let mut piece = vec![0; length];
            // a guard page, or one that went meanwhile, is in no dump either
            if std::os::unix::fs::FileExt::read_exact_at(&memory, &mut piece, at).is_ok() {
                held.extend(piece.chunks(PAGE).enumerate().flat_map(|(page, bytes)| {
                    // a whole dump is searched letter by letter only where it can be
                    let may_be = bytes.contains(&b'z');
                    let end = ((page + 1) * PAGE + CANARY_BYTES).min(piece.len());
                    if may_be { canaries_in(&piece[page * PAGE..end], canaries) } else { BTreeSet::new() }
                }));
            }
            let step = length.saturating_sub(CANARY_BYTES).max(1) as u64;
            at = if at + length as u64 >= end { end } else { at + step };
        }
    }
    held.len()
}

async fn answers(house: &House, key: &str) -> bool {
    let answer = post(house, "/v1/ask", key, json!({"question": QUESTION})).await;
    answer["abstained"] == json!(false)
}

#[tokio::test]
async fn nothing_of_a_destroyed_tenant_opens_and_its_neighbours_serve() {
    let (folder, first) = house();
    let neighbour = first.key(NEIGHBOUR, "owner").await;
    first.teach(&neighbour, "leave", "Leave", LEAVE).await;
    let ((tenant, key), canaries) = (harbour(&first).await, canaries());
    let queries = plant(&first, &key, &canaries).await;
    let mut first = first;
    let backup = folder.path().join("backup");
    backed_up(&first, &backup).await;
    let (code, _) = first.0.take().unwrap().terminate();
    assert_eq!(code, Some(0));

    // a copy of everything, as a thief or a backup has it: with the keyring it opens
    let (data, before) = (folder.path().join("data"), folder.path().join("before"));
    copy(&data, &before);
    let sealed = sealed_in(&before, tenant);
    assert_eq!(sealed.1.len(), CANARIES, "each document has a secret of its own");
    let index = before.join("tenants").join(tenant.to_hex()).join("index");
    let own = keys_of(&before).cipher_for(tenant, || panic!("it has a keyring")).unwrap();
    let (plain, index_opens) = opened(&own, &sealed, &index);
    assert!(index_opens && plain.len() == sealed.0.len());
    assert_eq!(canaries_in(&plain.concat(), &canaries).len(), CANARIES, "they are found where something opens");
    assert_eq!(in_the_clear(&before, &canaries), 0, "neither words nor names while it lives");
    assert_eq!(ids_in_the_clear(&before, &queries), 0);
    assert_eq!(in_the_clear(&backup, &canaries), 0);
    assert!(named_in(&backup, tenant) > 1, "its parts and its key are in the backup");
    let keyring = std::fs::read_to_string(before.join("keys").join(format!("{}.keyring", tenant.to_hex()))).unwrap();
    let wrapped = keyring.split("\"wrapped\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();

    let second = Ended(Some(House::start_on(folder.path(), None)));
    assert!(answers(&second, &neighbour).await);
    let began = Instant::now();
    let path = "/admin/v1/tenants/harbour?shred=true";
    let (status, view) = second.call(Method::DELETE, path, &second.operator_key(), None).await;
    assert_eq!(status, 200, "{view}");
    println!("{CANARIES} documents and {ASKED} answers destroyed in {} ms", began.elapsed().as_millis());
    assert_eq!(second.call(Method::GET, "/v1/usage", &key, None).await.0, 401);
    assert!(answers(&second, &neighbour).await, "a neighbour serves on");
    let mut second = second;
    second.0.take().unwrap().kill();

    // nothing of it is left in the backup, and it is certified
    assert_eq!((in_the_clear(&backup, &canaries), named_in(&backup, tenant)), (0, 0));
    let certificate = data.join("certificates").join(format!("{}.json", tenant.to_hex()));
    let held = verified(&certificate);
    assert!(held.contains("holds: a certificate of erasure") && held.contains("backups_not_reached: 0"), "{held}");
    std::fs::remove_dir_all(data.join("certificates")).unwrap();

    // what is left: no canary, neither the wrapped key nor a keyring of the tenant, no record of its journal
    assert_eq!(in_the_clear(&data, &canaries), 0);
    let bytes = hex::decode(&wrapped).unwrap();
    for (path, content) in files(&data) {
        let has = |needle: &[u8]| content.windows(needle.len()).any(|window| window == needle);
        assert!(!has(&bytes) && !has(wrapped.as_bytes()), "the wrapped key in {}", path.display());
        assert!(!path.to_string_lossy().contains(&tenant.to_hex()), "{}", path.display());
    }
    assert!(sealed_in(&data, tenant).0.is_empty());

    // and with all of it, the master key included, what was copied before stays shut
    let ciphers = ciphers(&data);
    assert!(ciphers.len() >= 4, "the control plane and its tenants have keys");
    let master = std::fs::read(data.join("master.key")).unwrap();
    let derived = LegacyKey::derive(master.first_chunk().unwrap(), tenant).unwrap();
    let fresh = keys_of(&data).cipher_for(tenant, || Ok(Traces::None)).unwrap();
    for cipher in ciphers.iter().chain([&fresh]) {
        assert_eq!(opened(cipher, &sealed, &index), (Vec::new(), false));
    }
    assert!(sealed.0.iter().all(|record| derived.open(Purpose::Record, b"", record).is_err()));
    keys_of(&data).destroy(tenant).unwrap();
    let newest = sealed.0.last().unwrap().clone();
    let refused = keys_of(&data).cipher_for(tenant, || Ok(Traces::Newest(newest)));
    assert!(matches!(refused, Err(KeyError::Lost { .. })), "no new key over what was sealed");

    let third = Ended(Some(House::start_on(folder.path(), None)));
    assert!(answers(&third, &neighbour).await, "and after a restart");
    let (status, _) = third.call(Method::GET, "/admin/v1/tenants/harbour", &third.operator_key(), None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_destroyed_tenant_leaves_the_memory_of_the_process_and_every_file() {
    let (folder, mut house) = house();
    let ((tenant, key), canaries) = (harbour(&house).await, canaries());
    plant(&house, &key, &canaries).await;
    let backup = folder.path().join("backup");
    backed_up(&house, &backup).await;
    let before = in_memory(house.process_id(), &canaries);
    let began = Instant::now();
    let path = "/admin/v1/tenants/harbour?shred=true";
    let (status, view) = house.call(Method::DELETE, path, &house.operator_key(), None).await;
    assert_eq!(status, 200, "{view}");
    let took_ms = began.elapsed().as_millis();
    let at_once = in_memory(house.process_id(), &canaries);
    assert!(before > 0, "memory is looked through where something is");
    // what a client sent last lies in the buffer of its connection as long as that is open
    house.0.as_mut().unwrap().http = reqwest::Client::new();
    until("no canary is in memory once its clients have hung up", async || {
        (in_memory(house.process_id(), &canaries) == 0).then_some(())
    })
    .await;
    println!("{CANARIES} canaries, destroyed in {took_ms} ms: {before} in memory before, stacks included, {at_once}");
    println!("right after, 0 once its clients have hung up");
    assert_eq!(in_the_clear(folder.path(), &canaries), 0, "every file: data, index, journal, backup");
    assert_eq!(named_in(&backup, tenant), 0);
    let (_, certificate) = house
        .call(Method::GET, &format!("/admin/v1/certificates/{}", tenant.to_hex()), &house.operator_key(), None)
        .await;
    assert_eq!(certificate["format"], "bailiwick-erasure-1", "{certificate}");
}

#[tokio::test]
async fn a_tenant_whose_keyring_is_lost_is_closed_until_it_is_back_and_its_neighbours_are_not() {
    let (folder, first) = house();
    let neighbour = first.key(NEIGHBOUR, "owner").await;
    first.teach(&neighbour, "leave", "Leave", LEAVE).await;
    let (tenant, key) = harbour(&first).await;
    first.teach(&key, "leave", "Leave", LEAVE).await;
    let mut first = first;
    first.0.take().unwrap().kill();
    let file = folder.path().join("data/keys").join(format!("{}.keyring", tenant.to_hex()));
    let aside = folder.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();

    let second = Ended(Some(House::start_on(folder.path(), None)));
    let shown = async || {
        let path = "/admin/v1/tenants/harbour";
        second.call(Method::GET, path, &second.operator_key(), None).await.1
    };
    let view = until("the tenant is closed", async || {
        let view = shown().await;
        (view["state"] == "quarantined").then_some(view)
    })
    .await;
    let reason = view["reason"].as_str().unwrap();
    assert!(reason.contains("is missing, but there are data") && reason.contains("restore it"), "{reason}");
    assert!(!file.exists(), "no new key over sealed data");
    assert!(answers(&second, &neighbour).await);

    std::fs::rename(&aside, &file).unwrap();
    post(&second, "/admin/v1/tenants/harbour/resume", &second.operator_key(), json!({})).await;
    assert!(answers(&second, &key).await, "its keys are back");
}

#[tokio::test]
async fn a_legal_hold_keeps_a_tenant_from_being_destroyed_until_it_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let tenants = copy_tenants(folder.path());
    let path = tenants.join(NEIGHBOUR).join("policies/governance.yaml");
    let before = std::fs::read_to_string(&path).unwrap();
    let hold = |more: &str| {
        let holds = format!(
            "settings:\n  legal_holds:\n    - id: case-1\n      basis: an order of a court\n      selects: {{documents: ['*']}}\n      \
             since: \"2025-01-05T00:00:00Z\"\n{more}"
        );
        before.replacen("settings:\n", &holds, 1)
    };
    std::fs::write(&path, hold("")).unwrap();
    sign_policies(&tenants, NEIGHBOUR);
    let house = Ended(Some(House::start_on(folder.path(), None)));
    let key = house.key(NEIGHBOUR, "owner").await;
    house.teach(&key, "leave", "Leave", LEAVE).await;
    let operator = house.operator_key();
    let destroy = || house.call(Method::DELETE, "/admin/v1/tenants/default?shred=true", &operator, None);
    let (status, refused) = destroy().await;
    assert_eq!(refused["code"], "retention_violation", "{status} {refused}");
    assert!(
        refused["detail"].as_str().unwrap().contains("\"case-1\" keeps documents of it (an order of a court)"),
        "{refused}"
    );
    assert!(answers(&house, &key).await, "it serves on");
    let released =
        hold("      released: \"2025-09-01T00:00:00Z\"\n").replacen("policy_semver: 1.0.0", "policy_semver: 1.0.1", 1);
    std::fs::write(&path, released).unwrap();
    sign_policies(&tenants, NEIGHBOUR);
    until("the release is in force", async || {
        let (_, view) = house.call(Method::GET, "/admin/v1/tenants/default", &house.operator_key(), None).await;
        (view["policy_version"] == "1.0.1").then_some(())
    })
    .await;
    let (status, gone) = destroy().await;
    assert_eq!(status, 200, "{gone}");
}
