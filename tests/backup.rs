//! A house is backed up while it serves and put back on another machine; what was erased since does not return.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

mod support;
use support::{Ended, House, house, until};

const TENANT: &str = "default";
const SUBJECTS: usize = 1_000;
const POINTS: usize = 4;
/// Of the subjects of each point, those somebody asked about, so that their words stand in answers.
const ASKED: usize = 5;
const IN_FLIGHT: usize = 16;

fn bailiwick(args: &[&str], folders: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
    command.args(args);
    for (name, folder) in folders {
        command.arg(name).arg(folder);
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// Has the running house add a point.
fn backed_up(house: &House, target: &Path) -> Value {
    let target = target.to_str().unwrap();
    let made = bailiwick(
        &["backup", "create", target, "--server", &house.url, "--output", "json"],
        &[("--data", house.data.as_path())],
    );
    assert!(made.status.success(), "{}", text(&made));
    serde_json::from_slice(&made.stdout).unwrap()
}

struct Restore<'a> {
    target: &'a Path,
    to: &'a Path,
    root_key: &'a Path,
    point: Option<usize>,
    ledger: Option<&'a Path>,
}

fn restored(restore: &Restore<'_>) -> Output {
    let point = restore.point.map(|point| point.to_string());
    let mut args = vec!["restore", restore.target.to_str().unwrap(), "--output", "json"];
    if let Some(point) = &point {
        args.extend(["--point", point]);
    }
    let (data, tenants) = (restore.to.join("data"), restore.to.join("tenants"));
    let mut folders = vec![("--data", data.as_path()), ("--tenants", &tenants), ("--root-key", restore.root_key)];
    folders.extend(restore.ledger.map(|ledger| ("--ledger", ledger)));
    bailiwick(&args, &folders)
}

fn in_files(folder: &Path, needle: &str) -> Vec<PathBuf> {
    let files =
        walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let has = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    };
    files.map(walkdir::DirEntry::into_path).filter(has).collect()
}

#[tokio::test]
async fn a_house_is_put_back_on_another_machine() {
    let (folder, house) = house();
    let key = house.key(TENANT, "owner").await;
    house
        .teach(&key, "leave", "Leave", "Every employee of zqfirstcanary has thirty days of paid leave in a year.")
        .await;
    let target = folder.path().join("backup");
    let first = backed_up(&house, &target);
    house.teach(&key, "pets", "Pets", "Dogs of zqsecondcanary may come to the office on Fridays.").await;
    let second = backed_up(&house, &target);
    let bytes = |point: &Value| point["bytes"].as_u64().unwrap();
    println!("the first point added {} bytes, the second one {}", bytes(&first), bytes(&second));
    assert!(bytes(&second) < bytes(&first) / 2, "{first} {second}");
    for canary in ["zqfirstcanary", "zqsecondcanary", "may come to the office", "acme-corp", "bwk_"] {
        assert_eq!(in_files(&target, canary), Vec::<PathBuf>::new(), "{canary} in the clear");
    }
    let root_key = folder.path().join("carried.key");
    std::fs::copy(house.data.join("master.key"), &root_key).unwrap();
    let operator = house.operator_key();
    let mut house = house;
    house.0.take().unwrap().kill();

    let elsewhere = tempfile::tempdir().unwrap();
    let restore = Restore { target: &target, to: elsewhere.path(), root_key: &root_key, point: None, ledger: None };
    let back = restored(&restore);
    assert!(back.status.success(), "{}", text(&back));
    let taken = restored(&restore);
    assert!(!taken.status.success() && text(&taken).contains("it is not empty"), "{}", text(&taken));
    let again = Ended(Some(House::start_on(elsewhere.path(), None)));
    assert_eq!(again.operator_key(), operator);
    let (status, answer) = again
        .call(
            Method::POST,
            "/v1/ask",
            &key,
            Some(json!({"question": "How many days of paid leave does an employee have?"})),
        )
        .await;
    assert!(status == 200 && answer["answer"].as_str().unwrap().contains("thirty days"), "{answer}");
    let (status, pets) = again.call(Method::GET, "/v1/documents/pets", &key, None).await;
    assert!(status == 200 && pets["text"].as_str().unwrap().contains("Fridays"), "{pets}");
    // and it is backed up further
    assert_eq!(backed_up(&again, &target)["point"], 3);
    // both are evidence: what there is to go back to, and that somebody went back
    let path = format!("/admin/v1/tenants/{TENANT}/reports/compliance");
    let (status, report) = again.call(Method::GET, &path, &key, None).await;
    assert_eq!(status, 200, "{report}");
    let controls = report["controls"].as_array().unwrap();
    for (id, why) in [("OPS-1", "point 3"), ("OPS-2", "of point 2")] {
        let control = controls.iter().find(|control| control["id"] == id).unwrap();
        assert_eq!((&control["outcome"], &control["why"]), (&json!("passed"), &json!(why)), "{control}");
    }
}

fn canary(number: usize) -> String {
    format!("zq{number:05}canary")
}

/// A thousand subjects, a document about each of them.
async fn taught(house: &House, key: &str) {
    let numbers: Vec<usize> = (0..SUBJECTS).collect();
    for numbers in numbers.chunks(250) {
        let document = |number: &usize| {
            let text = format!("The locker code of person {number} is {}.", canary(*number));
            json!({"id": format!("file-{number}"), "title": format!("File {number}"), "text": text,
                "metadata": {"subject": format!("person-{number}")}})
        };
        let documents: Vec<Value> = numbers.iter().map(document).collect();
        let (status, taken) =
            house.call(Method::POST, "/v1/documents", key, Some(json!({"documents": documents}))).await;
        assert_eq!(status, 201, "{taken}");
    }
    house.indexed(key, &format!("file-{}", SUBJECTS - 1)).await;
}

/// Every request is made, and done.
async fn erased(house: &House, key: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    let asked = stream::iter(numbers).map(async |number| {
        let body = json!({"subject": format!("person-{number}"), "basis": "GDPR article 17"});
        let (status, asked) = house.call(Method::POST, "/v1/erasures", key, Some(body)).await;
        assert_eq!(status, 202, "{asked}");
        asked["id"].as_str().unwrap().to_owned()
    });
    let ids: Vec<String> = asked.buffer_unordered(IN_FLIGHT).collect().await;
    for id in &ids {
        until("an erasure is done", async || {
            let (_, view) = house.call(Method::GET, &format!("/v1/erasures/{id}"), key, None).await;
            (view["state"] == "done").then(|| assert_eq!(view["erased"], 1, "{view}"))
        })
        .await;
    }
    ids
}

/// How many of the subjects are found in any way; the ids of documents that are there.
async fn found(house: &House, key: &str, queries: &[String]) -> (BTreeSet<usize>, usize) {
    let mut found = BTreeSet::new();
    let number_of = |id: &str| id.strip_prefix("file-").and_then(|number| number.parse::<usize>().ok());
    let (_, page) = house.call(Method::GET, "/v1/documents?limit=1000", key, None).await;
    found.extend(
        page["documents"].as_array().unwrap().iter().filter_map(|view| number_of(view["id"].as_str().unwrap())),
    );
    let looked = stream::iter(0..SUBJECTS).map(async |number| {
        let search = json!({"query": canary(number), "top_k": 3});
        let (_, hits) = house.call(Method::POST, "/v1/search", key, Some(search)).await;
        let (shown, _) = house.call(Method::GET, &format!("/v1/documents/file-{number}"), key, None).await;
        (number, hits.to_string().contains(&canary(number)) || shown != 404)
    });
    let looked: Vec<_> = looked.buffer_unordered(IN_FLIGHT).collect().await;
    found.extend(looked.into_iter().filter(|(_, is_found)| *is_found).map(|(number, _)| number));
    let mut told = 0;
    for query in queries {
        let (status, lineage) = house.call(Method::GET, &format!("/v1/lineage?query_id={query}"), key, None).await;
        // an answer that was given after the point is not there
        told += usize::from(status == 200);
        for number in 0..SUBJECTS {
            if lineage.to_string().contains(&canary(number)) {
                found.insert(number);
            }
        }
    }
    (found, told)
}

#[tokio::test]
async fn of_a_thousand_erased_subjects_none_returns_from_any_backup() {
    let (folder, house) = house();
    let key = house.key(TENANT, "owner").await;
    taught(&house, &key).await;
    let target = folder.path().join("backup");
    let mut queries = Vec::new();
    let per_point = SUBJECTS / POINTS;
    let mut certified = String::new();
    for point in 0..POINTS {
        let numbers = point * per_point..(point + 1) * per_point;
        for number in numbers.clone().take(ASKED) {
            let question = format!("What is the locker code of person {number}?");
            let (_, answer) = house.call(Method::POST, "/v1/ask", &key, Some(json!({"question": question}))).await;
            queries.push(answer["query_id"].as_str().unwrap().to_owned());
        }
        backed_up(&house, &target);
        certified = erased(&house, &key, numbers).await.remove(0);
    }
    let (here, told) = found(&house, &key, &queries).await;
    assert_eq!((here, told), (BTreeSet::new(), POINTS * ASKED), "erased here, and the answers are still accounted for");

    // what one of them comes to can be shown to others
    let path = format!("/v1/erasures/{certified}/certificate");
    let (status, certificate) = house.call(Method::GET, &path, &key, None).await;
    assert_eq!(status, 200, "{certificate}");
    let file = folder.path().join("certificate.json");
    std::fs::write(&file, certificate.to_string()).unwrap();
    let (_, head) = house.call(Method::GET, "/v1/receipts/checkpoint", &key, None).await;
    let verifier = head["verifier_key"].as_str().unwrap();
    let held = bailiwick(&["verify", file.to_str().unwrap(), "--verifier-key", verifier], &[]);
    assert!(held.status.success() && text(&held).contains("documents: 1"), "{}", text(&held));
    assert!(!text(&held).contains("person-"), "it names nobody");
    std::fs::write(&file, certificate.to_string().replace("documents 1", "documents 2")).unwrap();
    assert!(!bailiwick(&["verify", file.to_str().unwrap(), "--verifier-key", verifier], &[]).status.success());
    let other = house.key("beta-inc", "owner").await;
    assert_eq!(house.call(Method::GET, &path, &other, None).await.0, 404);

    let (root_key, ledger) = (folder.path().join("carried.key"), folder.path().join("ledger.jsonl"));
    std::fs::copy(house.data.join("master.key"), &root_key).unwrap();
    let exported =
        bailiwick(&["erasure", "ledger", "export", ledger.to_str().unwrap()], &[("--data", house.data.as_path())]);
    assert!(
        exported.status.success() && !std::fs::read_to_string(&ledger).unwrap().contains("person-"),
        "{}",
        text(&exported)
    );
    assert_eq!(
        std::fs::read(target.join("erasures.jsonl")).unwrap(),
        std::fs::read(&ledger).unwrap(),
        "the newest ledger stands beside the backup, without another backup"
    );
    let mut house = house;
    house.0.take().unwrap().kill();
    let mut returned = 0;
    for point in 1..=POINTS {
        let elsewhere = tempfile::tempdir().unwrap();
        let (to, ledger) = (elsewhere.path(), (point == 1).then_some(ledger.as_path()));
        let back = restored(&Restore { target: &target, to, root_key: &root_key, point: Some(point), ledger });
        assert!(back.status.success(), "{}", text(&back));
        let said: Value = serde_json::from_slice(&back.stdout).unwrap();
        // what had gone before the point was made is not in it
        assert_eq!(said["erased_again"], json!(SUBJECTS - (point - 1) * per_point), "{said}");
        let again = Ended(Some(House::start_on(to, None)));
        let (found, told) = found(&again, &key, &queries).await;
        println!("point {point}: {} of {SUBJECTS} subjects return, {told} answers are shown", found.len());
        returned += found.len();
        for number in [0, SUBJECTS / 2, SUBJECTS - 1] {
            assert_eq!(in_files(to, &canary(number)), Vec::<PathBuf>::new());
        }
    }
    assert_eq!(returned, 0);
    // without the newest ledger nobody is put back who was erased
    std::fs::remove_file(target.join("erasures.jsonl")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let back =
        restored(&Restore { target: &target, to: elsewhere.path(), root_key: &root_key, point: None, ledger: None });
    assert!(!back.status.success() && text(&back).contains("--ledger"), "{}", text(&back));
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused_and_who_may_not_remove_may_not_ask() {
    let (_folder, house) = house();
    let owner = house.key(TENANT, "owner").await;
    for body in [
        json!({}),
        json!({"subject": "a", "document": "b"}),
        json!({"subject": "a", "data_type": "prompts"}),
        json!({"subject": "a", "within_days": 1000}),
        json!({"subject": "a", "more": 1}),
    ] {
        let (status, refused) = house.call(Method::POST, "/v1/erasures", &owner, Some(body.clone())).await;
        assert_eq!((status, refused["code"].as_str()), (400, Some("invalid_request")), "{body}: {refused}");
    }
    let viewer = house.key(TENANT, "viewer").await;
    assert_eq!(house.call(Method::POST, "/v1/erasures", &viewer, Some(json!({"subject": "a"}))).await.0, 403);
    let (status, _) = house.call(Method::GET, "/v1/erasures/er-000000000000000000000000", &owner, None).await;
    assert_eq!(status, 404);
    let relative =
        house.call(Method::POST, "/admin/v1/backups", &house.operator_key(), Some(json!({"folder": "x"}))).await;
    assert_eq!(relative.0, 400, "{}", relative.1);
    assert_eq!(house.call(Method::POST, "/admin/v1/backups", &owner, Some(json!({"folder": "/x"}))).await.0, 403);
}
