//! A server with the sample tenants, a single-tenant system in a folder beside it, and what can be seen of either.
use super::support::{Ended, House, copy_tenants, repository};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub const TENANT: &str = "default";
pub const QUESTION: &str = "How many days of paid leave does an employee have?";
/// Who asks while the system moves.
pub const ASKERS: usize = 3;
/// Questions that have to be answered meanwhile, at least: fewer would say nothing.
pub const ASKED_MIN: u64 = 50;
pub const CHUNKS_PER_QUERY: usize = 3;
pub const MATRIX: &str =
    r#"{"beta_search": true, "streaming": false, "tone": "plain", "limit": 12.5, "style": {"columns": 2}}"#;

pub fn size(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

pub fn write(path: PathBuf, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub fn line(number: usize) -> String {
    json!({"source_id": format!("old-doc-{}", number % 97), "query_id": format!("q-{}", number / CHUNKS_PER_QUERY),
        "chunk_id": format!("old-chunk-{number}"), "trust_score": 0.82, "agent_id": "planner-v1", "policy_version": "1.2.3",
        "timestamp": "2025-10-08T12:00:00Z"})
    .to_string()
}

/// Writes a single-tenant system.
pub fn old_system(root: &Path, documents: usize, lines: usize) {
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
pub const MIXED: usize = 4;

pub struct Scene {
    pub folder: tempfile::TempDir,
    pub house: Ended,
    pub key: String,
}

pub fn signer() -> String {
    repository().join("tests/keys/sample_signer").display().to_string()
}

impl Scene {
    pub async fn new(documents: usize, lines: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_tenants(folder.path());
        old_system(&folder.path().join("old"), documents, lines);
        let house = Ended(Some(House::start_on(folder.path(), None)));
        let key = house.key(TENANT, "owner").await;
        house.teach(&key, "leave", "Leave", "Every employee has thirty days of paid leave in a year.").await;
        Self { folder, house, key }
    }

    pub fn old(&self) -> PathBuf {
        self.folder.path().join("old")
    }

    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command.arg("migrate").args(["--server", &self.house.url]).arg("--data").arg(&self.house.data);
        command.arg("--tenants").arg(&self.house.tenants).args(arguments).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// Runs `bailiwick migrate`; gives whether it was done, and what it said.
    pub async fn migrate(&self, arguments: &[&str]) -> (bool, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().await.unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    pub async fn brought(&self) {
        let from = self.old().display().to_string();
        let (done, said) = self.migrate(&["--from", &from, "--signer", &signer()]).await;
        assert!(done, "{said}");
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.house.call(Method::GET, path, &self.key, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub async fn documents(&self) -> BTreeMap<String, Value> {
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

    pub async fn export(&self) -> Vec<Value> {
        let export = self.house.raw(Method::GET, "/v1/lineage/export", &self.key, &[], None).await;
        export.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Numbers of the old lines, in the order they are told.
    pub async fn imported(&self) -> Vec<u64> {
        let numbers = self.export().await.into_iter().filter_map(|line| line["imported"]["line"].as_u64());
        numbers.collect()
    }

    pub async fn flags(&self) -> BTreeMap<String, Value> {
        let body = Some(json!({"context": {"targetingKey": "dana"}}));
        let (status, answer) = self.house.call(Method::POST, "/ofrep/v1/evaluate/flags", &self.key, body).await;
        assert_eq!(status, 200, "{answer}");
        let flags = answer["flags"].as_array().unwrap().iter();
        flags.map(|flag| (flag["key"].as_str().unwrap().to_owned(), flag["value"].clone())).collect()
    }

    /// Passages found, without what depends on how tidy the index is.
    pub async fn search(&self, query: &str) -> Vec<Value> {
        let (status, answer) =
            self.house.call(Method::POST, "/v1/search", &self.key, Some(json!({"query": query}))).await;
        assert_eq!(status, 200, "{answer}");
        answer["hits"].as_array().unwrap().iter().map(|hit| json!([hit["document_id"], hit["chunk_id"]])).collect()
    }

    /// The tenant's files; of those that are signed, what is not their version.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
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

    pub async fn state(
        &self,
    ) -> (BTreeMap<String, Value>, Vec<Vec<Value>>, BTreeMap<String, Value>, Vec<Value>, Value) {
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

    pub fn events(&self) -> usize {
        let log = self.house.tenants.join(".migrate-default/progress.jsonl");
        std::fs::read_to_string(log).map_or(0, |text| text.lines().count())
    }

    pub async fn restarted(mut self) -> Self {
        self.house.0.take().unwrap().kill();
        let house = Ended(Some(House::start_on(self.folder.path(), None)));
        Self { house, ..self }
    }
}

/// What is signed without its version: that never comes back.
pub fn without_versions(files: &BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, String> {
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
pub async fn ask(house: (reqwest::Client, String, String), counts: Arc<[AtomicU64; 2]>, over: Arc<AtomicBool>) {
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
