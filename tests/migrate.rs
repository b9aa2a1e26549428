//! A single-tenant system moves into the default tenant of a running server: nobody who asks meanwhile is failed, whoever is
//! killed goes on, and whoever does not want it has everything as it was. The bar is ten thousand records;
//! `BAILIWICK_MIGRATION_DOCUMENTS` and `BAILIWICK_MIGRATION_LINES` say how large the system is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

mod support;
use support::{Ended, House, copy_tenants, repository, until};

const TENANT: &str = "default";
const QUESTION: &str = "How many days of paid leave does an employee have?";
/// Who asks while the system moves.
const ASKERS: usize = 3;
/// Questions that have to be answered meanwhile, at least: fewer would say nothing.
const ASKED_MIN: u64 = 50;
const CHUNKS_PER_QUERY: usize = 3;
const MATRIX: &str =
    r#"{"beta_search": true, "streaming": false, "tone": "plain", "limit": 12.5, "style": {"columns": 2}}"#;

fn size(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn write(path: PathBuf, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn line(number: usize) -> String {
    json!({"source_id": format!("old-doc-{}", number % 97), "query_id": format!("q-{}", number / CHUNKS_PER_QUERY),
        "chunk_id": format!("old-chunk-{number}"), "trust_score": 0.82, "agent_id": "planner-v1", "policy_version": "1.2.3",
        "timestamp": "2025-10-08T12:00:00Z"})
    .to_string()
}

/// Writes a single-tenant system.
fn old_system(root: &Path, documents: usize, lines: usize) {
    write(
        root.join("policies/retrieval.yaml"),
        "version: 1.4\nallowlist: [intra.example]\nmin_trust_score: 0.4\nk: 6\n",
    );
    write(
        root.join("policies/governance.yaml"),
        "version: 1.4.0\norigin_signature: c2lnbmVk\nforbidden_output_patterns: ['BEGIN PRIVATE', 'top secret']\n",
    );
    write(root.join("features.json"), MATRIX);
    write(
        root.join("router.yaml"),
        "routing:\n  primary: {provider: extractive, model: sentences}\nbudget: {daily_limit_usd: 900}\n",
    );
    for number in 0..documents {
        // the same name in every folder
        let path = root.join(format!("corpus/shelf-{}/note-{}.txt", number / 10, number % 10));
        write(
            path,
            format!(
                "The inventory number of the lantern {number} is L{number}.\nIt hangs in the gallery of lanterns.\n"
            ),
        );
    }
    let samples = repository().join("tenants/acme-corp/corpus");
    for name in ["records-access.pdf", "telehealth.docx", "billing-help.html", "hand-hygiene-and-isolation.md"] {
        write(root.join("corpus/mixed").join(name), std::fs::read(samples.join(name)).unwrap());
    }
    let lineage: Vec<String> = (0..lines).map(line).collect();
    write(root.join("reports/lineage.jsonl"), lineage.join("\n") + "\n");
}

/// Files of the corpus that are no notes.
const MIXED: usize = 4;

struct Scene {
    folder: tempfile::TempDir,
    house: Ended,
    key: String,
}

fn signer() -> String {
    repository().join("tests/keys/sample_signer").display().to_string()
}

impl Scene {
    async fn new(documents: usize, lines: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_tenants(folder.path());
        old_system(&folder.path().join("old"), documents, lines);
        let house = Ended(Some(House::start_on(folder.path(), None)));
        let key = house.key(TENANT, "owner").await;
        house.teach(&key, "leave", "Leave", "Every employee has thirty days of paid leave in a year.").await;
        Self { folder, house, key }
    }

    fn old(&self) -> PathBuf {
        self.folder.path().join("old")
    }

    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command.arg("migrate").args(["--server", &self.house.url]).arg("--data").arg(&self.house.data);
        command.arg("--tenants").arg(&self.house.tenants).args(arguments).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// Runs `bailiwick migrate`; gives whether it was done, and what it said.
    async fn migrate(&self, arguments: &[&str]) -> (bool, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().await.unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    async fn brought(&self) {
        let from = self.old().display().to_string();
        let (done, said) = self.migrate(&["--from", &from, "--signer", &signer()]).await;
        assert!(done, "{said}");
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.house.call(Method::GET, path, &self.key, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn documents(&self) -> BTreeMap<String, Value> {
        let (mut documents, mut after) = (BTreeMap::new(), String::new());
        loop {
            let page = self.get(&format!("/v1/documents?limit=1000{after}")).await;
            for document in page["documents"].as_array().unwrap() {
                documents.insert(document["id"].as_str().unwrap().to_owned(), document.clone());
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return documents,
            }
        }
    }

    async fn export(&self) -> Vec<Value> {
        let export = self.house.raw(Method::GET, "/v1/lineage/export", &self.key, &[], None).await;
        export.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Numbers of the old lines, in the order they are told.
    async fn imported(&self) -> Vec<u64> {
        let numbers = self.export().await.into_iter().filter_map(|line| line["imported"]["line"].as_u64());
        numbers.collect()
    }

    async fn flags(&self) -> BTreeMap<String, Value> {
        let body = Some(json!({"context": {"targetingKey": "dana"}}));
        let (status, answer) = self.house.call(Method::POST, "/ofrep/v1/evaluate/flags", &self.key, body).await;
        assert_eq!(status, 200, "{answer}");
        let flags = answer["flags"].as_array().unwrap().iter();
        flags.map(|flag| (flag["key"].as_str().unwrap().to_owned(), flag["value"].clone())).collect()
    }

    /// Passages found, without what depends on how tidy the index is.
    async fn search(&self, query: &str) -> Vec<Value> {
        let (status, answer) =
            self.house.call(Method::POST, "/v1/search", &self.key, Some(json!({"query": query}))).await;
        assert_eq!(status, 200, "{answer}");
        answer["hits"].as_array().unwrap().iter().map(|hit| json!([hit["document_id"], hit["chunk_id"]])).collect()
    }

    /// The tenant's files; of those that are signed, what is not their version.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = self.house.tenants.join(TENANT);
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&folder) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let name = entry.path().strip_prefix(&folder).unwrap().to_owned();
                files.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
        files
    }

    async fn state(&self) -> (BTreeMap<String, Value>, Vec<Vec<Value>>, BTreeMap<String, Value>, Vec<Value>, Value) {
        let mut found = Vec::new();
        for query in ["paid leave", "lantern inventory gallery", "patient records access"] {
            found.push(self.search(query).await);
        }
        let mut policy = self.get("/v1/policy").await;
        for version in ["policy_version", "version", "digest"] {
            policy.as_object_mut().unwrap().remove(version);
        }
        (self.documents().await, found, self.flags().await, self.export().await, policy)
    }

    fn events(&self) -> usize {
        let log = self.house.tenants.join(".migrate-default/progress.jsonl");
        std::fs::read_to_string(log).map_or(0, |text| text.lines().count())
    }

    async fn restarted(mut self) -> Self {
        self.house.0.take().unwrap().kill();
        let house = Ended(Some(House::start_on(self.folder.path(), None)));
        Self { house, ..self }
    }
}

/// What is signed without its version: that never comes back.
fn without_versions(files: &BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, String> {
    let is_signature =
        |name: &Path| name.extension().is_some_and(|ending| ending == "sig") && name.starts_with("policies");
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let unversioned = |text: String| -> String {
        text.lines().filter(|line| !line.starts_with("policy_semver:")).map(|line| format!("{line}\n")).collect()
    };
    let kept = files.iter().filter(|(name, _)| !is_signature(name));
    kept.map(|(name, bytes)| {
        let whole = text(bytes);
        (name.clone(), if name.starts_with("policies") { unversioned(whole) } else { whole })
    })
    .collect()
}

/// Asks until told to stop; counts questions and those that were not answered.
async fn ask(house: (reqwest::Client, String, String), counts: Arc<[AtomicU64; 2]>, over: Arc<AtomicBool>) {
    let (http, url, key) = house;
    while !over.load(Ordering::SeqCst) {
        let asked = http.post(format!("{url}/v1/ask")).bearer_auth(&key).json(&json!({"question": QUESTION}));
        let told: Option<Value> = match asked.send().await {
            Ok(answer) if answer.status() == 200 => answer.json().await.ok(),
            Ok(answer) => {
                println!("{}: {}", answer.status(), answer.text().await.unwrap());
                None
            }
            Err(error) => {
                println!("{error}");
                None
            }
        };
        let is_answered =
            told.is_some_and(|answer| answer["abstained"] == false && answer.to_string().contains("thirty days"));
        counts[0].fetch_add(1, Ordering::SeqCst);
        counts[1].fetch_add(u64::from(!is_answered), Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_moves_while_it_is_asked_and_stays_once_it_is_confirmed() {
    let (documents, lines) = (size("BAILIWICK_MIGRATION_DOCUMENTS", 240), size("BAILIWICK_MIGRATION_LINES", 10_000));
    let scene = Scene::new(documents, lines).await;
    let before = scene.documents().await;
    let (counts, over) = (Arc::new([AtomicU64::new(0), AtomicU64::new(0)]), Arc::new(AtomicBool::new(false)));
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..ASKERS {
        let house = (scene.house.http.clone(), scene.house.url.clone(), scene.key.clone());
        askers.spawn(ask(house, Arc::clone(&counts), Arc::clone(&over)));
    }
    let started = Instant::now();
    scene.brought().await;
    let elapsed = started.elapsed();
    over.store(true, Ordering::SeqCst);
    askers.join_all().await;
    let (asked, failed) = (counts[0].load(Ordering::SeqCst), counts[1].load(Ordering::SeqCst));
    println!(
        "{documents} documents and {lines} records of lineage moved in {:.1} s while {asked} questions were asked: {failed} failed",
        elapsed.as_secs_f64()
    );
    assert!(failed == 0 && asked >= ASKED_MIN, "{failed} of {asked} asks failed");

    let after = scene.documents().await;
    assert_eq!(after.len(), before.len() + documents + MIXED);
    assert!(after.values().filter(|document| !before.contains_key(document["id"].as_str().unwrap())).all(|document| {
        document["domain"] == "general" && document["usecase"] == "general" && document["state"] != "quarantined"
    }));
    assert_eq!(scene.imported().await, (1..=lines as u64).collect::<Vec<_>>(), "each line once, in order");
    let old = scene.get("/v1/lineage?query_id=q-7").await;
    assert_eq!((old["lines"].as_array().unwrap().len(), &old["record"]), (CHUNKS_PER_QUERY, &Value::Null));
    let first = &old["lines"][0];
    let names = ["tenant_id", "domain", "usecase", "query_id", "chunk_id"].map(|name| first[name].as_str().unwrap());
    assert_eq!(names, [TENANT, "general", "general", "q-7", "old-chunk-21"]);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, line(21).as_bytes());
    assert_eq!(first["imported"]["line_sha256"], hex::encode(digest));
    let (flags, matrix) = (scene.flags().await, serde_json::from_str::<BTreeMap<String, Value>>(MATRIX).unwrap());
    for (name, value) in &matrix {
        assert_eq!(flags.get(name), Some(value), "{name}");
    }
    until("what came last can be found", async || {
        (!scene.search(&format!("lantern L{}", documents - 1)).await.is_empty()).then_some(())
    })
    .await;
    let journal = scene.house.raw(Method::GET, "/v1/receipts/export", &scene.key, &[], None).await;
    let file = scene.folder.path().join("journal.jsonl");
    std::fs::write(&file, journal.bytes().await.unwrap()).unwrap();
    let verified =
        tokio::process::Command::new(env!("CARGO_BIN_EXE_bailiwick")).arg("verify").arg(&file).output().await;
    let verified = verified.unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));

    let events = scene.events();
    scene.brought().await;
    assert_eq!((scene.events(), scene.documents().await), (events, after), "again: nothing twice");
    // the old system was asked meanwhile: it has another line and another document
    let log = scene.old().join("reports/lineage.jsonl");
    std::fs::write(&log, std::fs::read_to_string(&log).unwrap() + &line(lines) + "\n").unwrap();
    std::fs::remove_file(scene.old().join("corpus/shelf-0/note-0.txt")).unwrap();
    write(scene.old().join("corpus/shelf-0/late.txt"), "The inventory number of the late lantern is LX.");
    scene.brought().await;
    assert_eq!(scene.imported().await.len(), lines + 1);
    let late = scene.documents().await;
    assert_eq!(late.len(), before.len() + documents + MIXED);
    assert!(late.values().any(|document| document["source"] == "upload.local/late.txt"));

    let (done, said) = scene.migrate(&["--status"]).await;
    assert!(done && said.contains("complete from"), "{said}");
    assert!(scene.migrate(&["--confirm"]).await.0);
    let (done, said) = scene.migrate(&["--rollback", "--signer", &signer()]).await;
    assert!(!done && said.contains("rolling back: it was confirmed"), "{said}");
    let from = scene.old().display().to_string();
    let (done, said) = scene.migrate(&["--from", &from]).await;
    assert!(!done && said.contains("migrating: it was confirmed"), "{said}");
    let digest = old["lines"][0]["imported"]["file_sha256"].as_str().unwrap();
    let (status, problem) = scene
        .house
        .call(
            Method::POST,
            &format!("/admin/v1/tenants/{TENANT}/lineage/import/withdraw"),
            &scene.key,
            Some(json!({"file_sha256": digest})),
        )
        .await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    assert_eq!(scene.documents().await, late);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_goes_on_and_nothing_is_twice_or_lost() {
    let (documents, lines) = (160, 3_000);
    let mut scene = Scene::new(documents, lines).await;
    let before = scene.documents().await;
    let from = scene.old().display().to_string();
    let mut cuts = 0;
    loop {
        let seen = scene.events();
        let mut child = scene.command(&["--from", &from, "--signer", &signer()]).stderr(Stdio::null()).spawn().unwrap();
        // after each third thing it has written down, and sometimes before the first
        let due = seen + cuts % 4;
        let ended = until("it has written down so much, or is done", async || {
            let ended = child.try_wait().unwrap();
            (ended.is_some() || scene.events() > due).then_some(ended)
        })
        .await;
        if let Some(status) = ended {
            assert!(status.success(), "{status}");
            break;
        }
        if cuts % 3 == 2 {
            scene = scene.restarted().await;
            // it was talking to a server that is gone
            let status = child.wait().await.unwrap();
            assert!(!status.success() || scene.migrate(&["--status"]).await.1.contains("complete"));
        } else {
            child.kill().await.unwrap();
        }
        cuts += 1;
    }
    println!("{cuts} cuts");
    assert!(cuts >= 6, "hardly anything was cut");
    let after = scene.documents().await;
    let new: BTreeSet<_> = after.keys().filter(|id| !before.contains_key(*id)).collect();
    assert_eq!((after.len(), new.len()), (before.len() + documents + MIXED, documents + MIXED));
    assert_eq!(scene.imported().await, (1..=lines as u64).collect::<Vec<_>>());
    let journal = scene.get("/v1/receipts/checkpoint").await["size"].as_u64().unwrap();
    scene.brought().await;
    assert_eq!(
        scene.get("/v1/receipts/checkpoint").await["size"].as_u64().unwrap(),
        journal,
        "again: nothing is recorded"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_back_has_everything_as_it_was() {
    let scene = Scene::new(60, 500).await;
    let (files, before) = (scene.files(), scene.state().await);
    let from = scene.old().display().to_string();
    // nobody signs: the files wait, and nothing is changed
    let (done, said) = scene.migrate(&["--from", &from]).await;
    assert!(!done && said.contains("sign them with `bailiwick policy sign"), "{said}");
    assert_eq!((scene.files(), scene.state().await), (files.clone(), before.clone()));
    support::sign_policies(&scene.house.tenants.join(".migrate-default/after"), TENANT);
    let (done, said) = scene.migrate(&["--from", &from]).await;
    assert!(done, "{said}");
    assert_ne!(scene.state().await, before);
    let (done, said) = scene.migrate(&["--confirm", "--tenant", "acme-corp"]).await;
    assert!(!done && said.contains("no migration into acme-corp was begun"), "{said}");

    // cut while it goes back
    let mut child = scene.command(&["--rollback", "--signer", &signer()]).stderr(Stdio::null()).spawn().unwrap();
    let events = scene.events();
    until("it has begun to go back", async || {
        (scene.events() > events + 1 || child.try_wait().unwrap().is_some()).then_some(())
    })
    .await;
    child.kill().await.unwrap();
    let (done, said) = scene.migrate(&["--rollback", "--signer", &signer()]).await;
    assert!(done || said.contains("it was rolled back already"), "{said}");

    let now = scene.files();
    assert_eq!(without_versions(&now), without_versions(&files));
    let untouched = |name: &&PathBuf| !name.starts_with("policies") || name.ends_with("evaluation.yaml.sig");
    assert!(files.keys().filter(untouched).all(|name| now[name] == files[name]), "to the byte");
    let after = scene.state().await;
    assert_eq!(after.0, before.0, "documents");
    assert_eq!(after.1, before.1, "what is found");
    assert_eq!(after.2, before.2, "flags");
    assert_eq!(after.3, before.3, "lineage");
    assert_eq!(after.4, before.4, "the policy in force");
    let scene = scene.restarted().await;
    assert_eq!(scene.state().await, before, "and after a restart");

    // and once more from the beginning
    scene.brought().await;
    assert_eq!(scene.imported().await.len(), 500);
}

#[tokio::test]
async fn a_rehearsal_says_what_cannot_be_carried_and_changes_nothing() {
    let scene = Scene::new(3, 4).await;
    let old = scene.old();
    write(old.join("policies/evaluation.yaml"), "version: 2.0.0\nsample_rat: 0.2\nmin_groundedness: 0.95\n");
    write(old.join("policies/safety.yaml"), "block: all\n");
    write(old.join("policies/notes.txt"), "remember\n");
    write(old.join("corpus/mixed/broken.pdf"), "%PDF-1.4 and nothing more");
    write(old.join("corpus/mixed/picture.png"), "no document");
    write(old.join("scripts/run.sh"), "true\n");
    let log = old.join("reports/lineage.jsonl");
    let more = line(9).replacen('{', r#"{"latency_ms": 3, "#, 1);
    std::fs::write(&log, std::fs::read_to_string(&log).unwrap() + "{\"query_id\": 7}\n" + &more + "\n").unwrap();
    let (files, before) = (scene.files(), scene.state().await);
    let from = old.display().to_string();
    let (done, said) = scene.migrate(&["--from", &from, "--dry-run"]).await;
    assert!(done, "{said}");
    for wanted in [
        "would change default/policies/retrieval.yaml",
        "would change default/features.yaml",
        "would take in 7 documents of 8",
        "would import 5 lines of lineage",
        "not carried: policies/evaluation.yaml:2:13: sample_rat: unknown key \"sample_rat\", left behind: did you mean \"sample_rate\"?",
        "not carried: policies/governance.yaml:2:19: origin_signature",
        "not carried: policies/safety.yaml: no tenant has such a file",
        "not carried: policies/notes.txt: no part of a tenant",
        "not carried: scripts: no part of a tenant",
        "not carried: corpus/mixed/picture.png: no document",
        "not carried: corpus/mixed/broken.pdf: reading a file",
        "not carried: reports/lineage.jsonl:5: ",
        "not carried: reports/lineage.jsonl:6: unknown key \"latency_ms\"",
        "carried otherwise: policies/retrieval.yaml:4:4: k: it is called \"top_k\" today",
        "nothing was changed",
    ] {
        assert!(said.contains(wanted), "{wanted}:\n{said}");
    }
    assert_eq!((scene.files(), scene.state().await), (files.clone(), before.clone()));
    assert!(!scene.house.tenants.join(".migrate-default").exists());

    // what does not serve is refused before anything is changed
    write(old.join("policies/retrieval.yaml"), "version: 1.4\nforbidden_patterns: ['(']\n");
    for more in [&["--dry-run"][..], &[]] {
        let (done, said) = scene.migrate(&[&["--from", &from, "--signer", &signer()], more].concat()).await;
        assert!(!done && said.contains("forbidden_patterns[0]"), "{said}");
    }
    assert_eq!((scene.files(), scene.state().await), (files, before));
}

#[tokio::test]
async fn one_file_that_fails_is_named_and_tried_again() {
    let scene = Scene::new(3, 0).await;
    let broken = scene.old().join("corpus/mixed/broken.pdf");
    write(broken.clone(), "%PDF-1.4 and nothing more");
    let from = scene.old().display().to_string();
    let (done, said) = scene.migrate(&["--from", &from, "--signer", &signer()]).await;
    assert!(!done && said.contains("corpus/mixed/broken.pdf: ") && said.contains("1 of 8 files failed"), "{said}");
    std::fs::remove_file(broken).unwrap();
    scene.brought().await;
    let (_, said) = scene.migrate(&["--status", "--output", "json"]).await;
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&status["stage"], &status["documents"], &status["failed"]),
        (&json!("complete"), &json!(7), &json!({}))
    );
}
