//! A tenant moves from one node to another, by the command line: with its files, documents and lineage, and the proof of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

mod support;
use support::{Ended, House, copy_tenants, house, repository, until};

/// Names a place of a shared cache, which no two tenants may name.
const PREFIX: &str = "\nstorage:\n  cache_prefix: \"redis:one\"\n";
const TENANT: &str = "acme-corp";
const QUESTION: &str = "Who signs the discharge letters?";
const FACT: &str = "The discharge letters are signed by the attending physician.";

fn bailiwick(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bailiwick")).env_clear().args(words).output().unwrap()
}

/// On the node's own machine, where the operator's key is found.
fn on(house: &House, words: &[&str]) -> Output {
    bailiwick(&[words, &["--server", &house.url, "--data", house.data.to_str().unwrap()]].concat())
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(why), "{said}");
}

/// A node without that tenant.
fn elsewhere() -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    let tenants = copy_tenants(folder.path());
    std::fs::remove_dir_all(tenants.join(TENANT)).unwrap();
    let record = tenants.join("default/tenant.yaml");
    std::fs::write(&record, std::fs::read_to_string(&record).unwrap() + PREFIX).unwrap();
    let house = Ended(Some(House::start_on(folder.path(), None)));
    (folder, house)
}

/// What of every document is the same wherever it is.
async fn documents(house: &House, key: &str) -> Vec<Value> {
    until("every document is searchable", async || {
        let (status, page) = house.call(Method::GET, "/v1/documents?limit=1000", key, None).await;
        assert_eq!(status, 200, "{page}");
        let documents = page["documents"].as_array().unwrap();
        let lasting = |document: &Value| {
            let mut document = document.clone();
            let fields = document.as_object_mut().unwrap();
            fields.retain(|field, _| !["seq", "created_at", "bytes"].contains(&field.as_str()));
            document
        };
        let are_there = documents.iter().all(|document| document["state"] != "accepted");
        let mut documents: Vec<_> = documents.iter().map(lasting).collect();
        documents.sort_by_key(|document| document["id"].as_str().unwrap().to_owned());
        are_there.then_some(documents)
    })
    .await
}

async fn ask(house: &House, key: &str) -> Value {
    let (status, answer) = house.call(Method::POST, "/v1/ask", key, Some(json!({"question": QUESTION}))).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn a_tenant_moves_with_all_it_has_and_the_proof_of_it() {
    let (_folder, first) = house();
    let key = first.key(TENANT, "owner").await;
    let corpus = repository().join("tenants").join(TENANT).join("corpus");
    done(&on(&first, &["ingest", "--tenant", TENANT, corpus.to_str().unwrap()]));
    first.teach(&key, "letters", "Letters", FACT).await;
    let answer = ask(&first, &key).await;
    let before = documents(&first, &key).await;
    assert!(before.len() > 10, "{}", before.len());

    let kept = tempfile::tempdir().unwrap();
    let archive = kept.path().join("acme");
    let folder = archive.to_str().unwrap();
    let told = done(&on(&first, &["tenant", "export", TENANT, "--out", folder]));
    assert!(told.contains(&format!("{} documents", before.len())), "{told}");
    refused(&on(&first, &["tenant", "export", TENANT, "--out", folder]), "something is there already");
    refused(&on(&first, &["tenant", "export", "nobody", "--out", "nowhere"]), "not_found");
    // an outsider can tell that it is what the first node has signed
    let (journal, lineage) = (archive.join("journal.jsonl"), archive.join("lineage.jsonl"));
    done(&bailiwick(&["verify", journal.to_str().unwrap()]));
    done(&bailiwick(&["verify", lineage.to_str().unwrap(), "--journal", journal.to_str().unwrap()]));

    let (_folder, second) = elsewhere();
    let altered = kept.path().join("altered");
    copy(&archive, &altered);
    let words = std::fs::read_to_string(altered.join("documents.jsonl")).unwrap().replace("physician", "janitor");
    std::fs::write(altered.join("documents.jsonl"), words).unwrap();
    refused(&on(&second, &["tenant", "import", altered.to_str().unwrap()]), "not what was exported");
    assert_eq!(show(&second).await.0, 404, "nothing half-done");

    let told = done(&on(&second, &["tenant", "import", folder]));
    assert!(told.contains(&format!("{} documents", before.len())), "{told}");
    let (status, view) = show(&second).await;
    let former = show(&first).await.1;
    assert_eq!((status, &view["id"], &view["state"]), (200, &former["id"], &json!("serving")), "{view}");
    assert_eq!(view["policy_version"], former["policy_version"]);
    assert_eq!(second.call(Method::GET, "/v1/usage", &key, None).await.0, 401, "keys stay where they were issued");
    let new_key = second.key(TENANT, "owner").await;
    assert_eq!(documents(&second, &new_key).await, before);
    let answered = ask(&second, &new_key).await;
    assert_eq!((&answered["answer"], &answered["abstained"]), (&answer["answer"], &json!(false)));
    let past = format!("/v1/lineage?query_id={}", answer["query_id"].as_str().unwrap());
    let (status, traced) = second.call(Method::GET, &past, &new_key, None).await;
    assert_eq!(status, 200, "what was answered before can be traced: {traced}");

    refused(&on(&second, &["tenant", "import", folder]), "it is there already");
    let again = done(&on(&second, &["tenant", "import", folder, "--resume", "--output", "json"]));
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again["documents"], &again["failed"]), (&json!(before.len()), &json!([])));
    assert_eq!(documents(&second, &new_key).await, before, "nothing is twice");
}

async fn show(house: &House) -> (u16, Value) {
    house.call(Method::GET, &format!("/admin/v1/tenants/{TENANT}"), &house.operator_key(), None).await
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let place = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&place).unwrap();
        } else {
            std::fs::copy(entry.path(), &place).unwrap();
        }
    }
}

#[tokio::test]
async fn files_that_are_no_tenants_are_not_taken_in() {
    let (_folder, first) = house();
    let operator = first.operator_key();
    let path = format!("/admin/v1/tenants/{TENANT}/files");
    let (status, shown) = first.call(Method::GET, &path, &operator, None).await;
    assert_eq!(status, 200, "{shown}");
    let (status, problem) = first.call(Method::POST, "/admin/v1/imports", &operator, Some(shown.clone())).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "it is there: {problem}");

    let (_folder, second) = elsewhere();
    let operator = second.operator_key();
    let put = async |files: &Value| {
        second.call(Method::POST, "/admin/v1/imports", &operator, Some(json!({"files": files}))).await
    };
    let files = &shown["files"];
    let changed = |place: &str, text: Option<&str>| {
        let mut files = files.clone();
        match text {
            Some(text) => drop(files.as_object_mut().unwrap().insert(place.to_owned(), json!(text))),
            None => drop(files.as_object_mut().unwrap().remove(place)),
        }
        files
    };
    let record = files["tenant.yaml"].as_str().unwrap().to_owned() + PREFIX;
    let edited = files["policies/retrieval.yaml"].as_str().unwrap().replacen("0.", "0.0", 1);
    for (files, why) in [
        (changed("../default/tenant.yaml", Some("x")), "no place of a file"),
        (changed("policies/../../x.yaml", Some("x")), "no place of a file"),
        (changed("/etc/x.yaml", Some("x")), "no place of a file"),
        (changed("corpus/leave.txt", Some("x")), "no place of a file"),
        (changed("tenant.yaml", Some(&record)), "cache_prefix"),
        (changed("tenant.yaml", None), "it has no tenant.yaml"),
        (changed("tenant.yaml", Some("id: 5")), "tenant.yaml"),
        (changed("policies/retrieval.yaml.sig", None), "policies/retrieval.yaml"),
        (changed("policies/retrieval.yaml", Some(&edited)), "policies/retrieval.yaml"),
    ] {
        let (status, problem) = put(&files).await;
        assert_eq!(status, 400, "{why}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{why}: {problem}");
    }
    assert_eq!(show(&second).await.0, 404, "nothing is left of any of them");
    let mut names: Vec<_> =
        std::fs::read_dir(&second.tenants).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["beta-inc", "default"]);
    let (status, view) = put(files).await;
    assert_eq!((status, &view["state"]), (201, &json!("serving")), "{view}");
}
