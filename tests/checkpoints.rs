//! Signed heads that are published: to a folder, to an address that fails and comes back, to a witness; and a journal that was
//! put back is found out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

mod support;
use support::{Ended, House, copy_tenants, until};

const TENANT: &str = "default";
const WITNESS: &str = "acme-corp";
const OTHER: &str = "beta-inc";
const QUESTION: &str = "How many days of paid leave does an employee have?";

/// An address that is sent heads: what it was sent, with what it answered.
struct Receiver {
    port: u16,
    answers_with: Arc<Mutex<u16>>,
    seen: Arc<Mutex<Vec<(u16, String, Value)>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answers_with, seen) = (Arc::new(Mutex::new(503)), Arc::new(Mutex::new(Vec::new())));
        let (answer, told) = (Arc::clone(&answers_with), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                let (head, body) = loop {
                    assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    if let Ok(body) = serde_json::from_str::<Value>(body) {
                        break (head.to_lowercase(), body);
                    }
                };
                let status = *answer.lock().unwrap();
                told.lock().unwrap().push((status, head, body));
                let said = format!("HTTP/1.1 {status} so\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                socket.write_all(said.as_bytes()).await.unwrap();
            }
        });
        Self { port, answers_with, seen }
    }

    fn answer(&self, status: u16) {
        *self.answers_with.lock().unwrap() = status;
    }

    fn taken(&self) -> Vec<Value> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|(status, ..)| *status == 200)
            .map(|(_, _, body)| body.clone())
            .collect()
    }

    fn refused(&self) -> usize {
        self.seen.lock().unwrap().iter().filter(|(status, ..)| *status != 200).count()
    }
}

struct Scene {
    folder: tempfile::TempDir,
    config: String,
    house: Ended,
}

impl Scene {
    fn new(config: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_tenants(folder.path());
        let config = config(folder.path());
        let house = Ended(Some(House::start_on(folder.path(), Some(&config))));
        Self { folder, config, house }
    }

    /// Lets a tenant's journal grow.
    async fn ask(&self, tenant: &str) {
        let key = self.house.key(tenant, "owner").await;
        let (status, answer) =
            self.house.call(Method::POST, "/v1/ask", &key, Some(json!({"question": QUESTION}))).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn head(&self, tenant: &str) -> Value {
        let key = self.house.key(tenant, "owner").await;
        self.house.call(Method::GET, "/v1/receipts/checkpoint", &key, None).await.1
    }

    async fn saved(&self, tenant: &str, path: &str, name: &str) -> PathBuf {
        let key = self.house.key(tenant, "owner").await;
        let answer = self.house.raw(Method::GET, path, &key, &[], None).await;
        assert_eq!(answer.status(), 200, "{path}");
        let file = self.folder.path().join(name);
        std::fs::write(&file, answer.bytes().await.unwrap()).unwrap();
        file
    }

    fn heads(&self, head: &Value) -> PathBuf {
        self.folder.path().join("heads").join(format!("{}.jsonl", head["tenant_key"].as_str().unwrap()))
    }

    fn stop(&mut self) -> Vec<String> {
        self.house.0.take().unwrap().kill()
    }

    fn start(&mut self) {
        self.house = Ended(Some(House::start_on(self.folder.path(), Some(&self.config))));
    }
}

/// The sizes of the heads in a file.
fn sizes(file: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["size"].as_u64().unwrap()).collect()
}

fn verified(file: &Path, more: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick")).arg("verify").arg(file).args(more).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn published(file: &Path, size: u64) {
    until("a head is published", async || sizes(file).last().is_some_and(|last| *last >= size).then_some(())).await;
}

#[tokio::test]
async fn heads_go_to_a_folder_and_to_an_address_that_comes_back() {
    let receiver = Receiver::start().await;
    let port = receiver.port;
    let scene = Scene::new(|folder| {
        format!(
            "[[checkpoints]]\nname = \"folder\"\nfolder = {:?}\nevery_s = 1\n\
             [[checkpoints]]\nname = \"notary\"\ntenants = [\"{TENANT}\"]\nwebhook = \"http://127.0.0.1:{port}/heads\"\n\
             region = \"local\"\nevery_s = 31536000\nafter_records = 1\n\
             [[checkpoints]]\nname = \"far\"\ntenants = [\"{TENANT}\"]\nwebhook = \"http://127.0.0.1:{port}/far\"\n\
             region = \"cn-north-1\"\nevery_s = 1\n",
            folder.join("heads")
        )
    });
    scene.ask(TENANT).await;
    let head = scene.head(TENANT).await;
    let (file, size) = (scene.heads(&head), head["size"].as_u64().unwrap());
    published(&file, size).await;
    until("the address has refused twice", async || (receiver.refused() >= 2).then_some(())).await;
    receiver.answer(200);
    until("the address has taken a head", async || receiver.taken().first().map(drop)).await;
    scene.ask(TENANT).await;
    let grown = scene.head(TENANT).await["size"].as_u64().unwrap();
    published(&file, grown).await;
    let newest = async || receiver.taken().last().and_then(|head| head["size"].as_u64().filter(|size| *size >= grown));
    until("the address has the newest head", newest).await;
    let taken = receiver.taken();
    assert!(taken.windows(2).all(|two| two[0]["size"].as_u64() < two[1]["size"].as_u64()), "{taken:?}");
    assert!(
        taken.windows(2).all(|two| two[1]["since"] == two[0]["size"]),
        "each is shown to begin with the one before"
    );
    let paths = receiver.seen.lock().unwrap().iter().map(|(_, head, _)| head.contains("post /far")).collect::<Vec<_>>();
    assert!(!paths.contains(&true), "nothing goes to a region the tenant's lists forbid");
    // whoever has the file and the key needs nobody's word
    let key = head["verifier_key"].as_str().unwrap();
    let (holds, said) = verified(&file, &["--verifier-key", key]);
    assert!(holds && said.contains("each goes on from the one before"), "{said}");
    let journal = scene.saved(TENANT, "/v1/receipts/export", "journal.jsonl").await;
    let (holds, said) = verified(&journal, &["--verifier-key", key, "--checkpoint", file.to_str().unwrap()]);
    assert!(holds && said.contains("it has grown from the earlier checkpoint"), "{said}");
    let lines = std::fs::read_to_string(&file).unwrap();
    let reversed: Vec<_> = lines.lines().rev().collect();
    std::fs::write(&file, reversed.join("\n") + "\n").unwrap();
    let (holds, said) = verified(&file, &["--verifier-key", key]);
    assert!(!holds && said.contains("records are gone"), "{said}");
}

#[tokio::test]
async fn a_second_tenant_witnesses_and_an_outsider_can_show_it() {
    let scene = Scene::new(|_| {
        format!("[[checkpoints]]\nname = \"w\"\ntenants = [\"{TENANT}\"]\nwitness = \"{WITNESS}\"\nevery_s = 1\n")
    });
    scene.ask(TENANT).await;
    let (head, witness) = (scene.head(TENANT).await, scene.head(WITNESS).await);
    let path = format!("/v1/receipts/witnessed?journal={}", head["tenant_key"].as_str().unwrap());
    let key = scene.house.key(WITNESS, "owner").await;
    until("the witness has the head", async || {
        let (status, _) = scene.house.call(Method::GET, &path, &key, None).await;
        (status == 200).then_some(())
    })
    .await;
    let shown = scene.saved(WITNESS, &path, "witnessed.json").await;
    let (holds, said) = verified(&shown, &["--verifier-key", witness["verifier_key"].as_str().unwrap()]);
    assert!(holds && said.contains(&format!("{WITNESS} has a head of the journal")), "{said}");
    let (holds, said) = verified(&shown, &["--verifier-key", head["verifier_key"].as_str().unwrap()]);
    assert!(!holds, "it is the witness that signs: {said}");
    // the journal is held against what the witness has
    let journal = scene.saved(TENANT, "/v1/receipts/export", "journal.jsonl").await;
    let since = ["--verifier-key", head["verifier_key"].as_str().unwrap(), "--checkpoint", shown.to_str().unwrap()];
    let (holds, said) = verified(&journal, &since);
    assert!(holds && said.contains("it has grown from the earlier checkpoint"), "{said}");
    let (status, told) = scene.house.call(Method::GET, &path, &scene.house.key(OTHER, "owner").await, None).await;
    assert_eq!(status, 404, "{told}");
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_journal_that_was_put_back_is_an_alarm_and_nothing_of_it_is_published() {
    let mut scene = Scene::new(|folder| {
        format!("[[checkpoints]]\nname = \"folder\"\nfolder = {:?}\nevery_s = 1\n", folder.join("heads"))
    });
    scene.ask(TENANT).await;
    let head = scene.head(TENANT).await;
    let file = scene.heads(&head);
    scene.stop();
    let (data, kept) = (scene.folder.path().join("data"), scene.folder.path().join("kept"));
    copy(&data, &kept);
    scene.start();
    scene.ask(TENANT).await;
    let grown = scene.head(TENANT).await["size"].as_u64().unwrap();
    published(&file, grown).await;
    scene.stop();
    let before = std::fs::read_to_string(&file).unwrap();
    // an older state of everything the node has, which goes its own way, past the length it had, while nobody publishes
    std::fs::remove_dir_all(&data).unwrap();
    copy(&kept, &data);
    let config = std::mem::take(&mut scene.config);
    scene.start();
    while scene.head(TENANT).await["size"].as_u64().unwrap() <= grown {
        scene.ask(TENANT).await;
    }
    scene.stop();
    scene.config = config;
    scene.start();
    // twice: when the neighbour's second head is out, the look that gave out its first one is over
    for _ in 0..2 {
        scene.ask(OTHER).await;
        let other = scene.head(OTHER).await;
        published(&scene.heads(&other), other["size"].as_u64().unwrap()).await;
    }
    let journal = scene.saved(TENANT, "/v1/receipts/export", "journal.jsonl").await;
    let log = scene.stop();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "nothing of it was published");
    let alarm = log.iter().find(|line| line.contains("ALARM")).unwrap_or_else(|| panic!("{log:#?}"));
    assert!(alarm.contains("written anew"), "{alarm}");
    let since = ["--verifier-key", head["verifier_key"].as_str().unwrap(), "--checkpoint", file.to_str().unwrap()];
    let (holds, said) = verified(&journal, &since);
    assert!(!holds && said.contains("written anew"), "{said}");
}
