//! A whole house in its own process: the real binary, a data folder of its own, a free port, real sockets.
#![allow(dead_code, reason = "each test binary uses its part")]
use bailiwick_kernel::money::NanoUsd;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub mod certificates;
pub mod collector;
pub mod disk;
pub mod foreign;
pub mod issuer;
pub mod scene;
pub mod till;
pub mod upstream;
pub mod vault;
pub mod wire;

/// A running server.
pub struct House {
    child: Child,
    pub url: String,
    pub data: PathBuf,
    pub tenants: PathBuf,
    pub http: Client,
    log: std::thread::JoinHandle<Vec<String>>,
}

pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Copies a folder of tenants, so that a test may change it.
pub fn copy_tenants(to: &Path) -> PathBuf {
    let from = repository().join("tenants");
    for entry in walkdir::WalkDir::new(&from) {
        let entry = entry.unwrap();
        let target = to.join("tenants").join(entry.path().strip_prefix(&from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
    to.join("tenants")
}

/// The receipt of an answer, verified offline: it holds, and leaves out no record of the answer up to its last one.
pub async fn is_proved_whole(house: &House, key: &str, answer: &Value) {
    let path = format!("/v1/receipts?query_id={}", answer["query_id"].as_str().unwrap());
    let receipt = house.raw(Method::GET, &path, key, &[], None).await.bytes().await.unwrap();
    let file = house.data.join("receipt.json");
    std::fs::write(&file, receipt).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick")).arg("verify").arg(&file).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.contains("permitted by "), "{said}");
}

/// Signs a tenant's policies as they stand, with the key of the samples.
pub fn sign_policies(tenants: &Path, tenant: &str) {
    let signed = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .args(["policy", "sign", "--tenant", tenant, "--tenants"])
        .arg(tenants)
        .arg("--signer")
        .arg(repository().join("tests/keys/sample_signer"))
        .output()
        .unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
}

impl House {
    /// Starts on an existing folder (data and tenants below it), with an optional configuration.
    pub fn start_on(folder: &Path, config: Option<&str>) -> Self {
        let (data, tenants) = (folder.join("data"), folder.join("tenants"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).arg("--data").arg(&data).arg("--tenants").arg(&tenants);
        let config_path = folder.join("config.toml");
        std::fs::write(&config_path, config.unwrap_or_default()).unwrap();
        command.arg("--config").arg(&config_path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = Vec::new();
        let url = loop {
            match lines.next() {
                Some(Ok(line)) => {
                    let found = line.split("listening on ").nth(1).map(|rest| rest.trim().to_owned());
                    seen.push(line);
                    if let Some(url) = found {
                        break url;
                    }
                }
                _ => panic!("the server ended before it listened:\n{}", seen.join("\n")),
            }
        };
        let log = std::thread::spawn(move || {
            seen.extend(lines.map_while(Result::ok));
            seen
        });
        Self { child, url, data, tenants, http: Client::builder().tcp_nodelay(true).build().unwrap(), log }
    }

    /// Starts on a fresh copy of the sample tenants.
    pub fn start(folder: &Path) -> Self {
        copy_tenants(folder);
        Self::start_on(folder, None)
    }

    pub fn operator_key(&self) -> String {
        std::fs::read_to_string(self.data.join("operator.key")).unwrap().trim().to_owned()
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request with a key and gives status and JSON body.
    pub async fn call(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.raw(method, path, key, &[], body).await;
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// Sends a request with a key and headers.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Response {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !key.is_empty() {
            request = request.bearer_auth(key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    /// Issues a key of a tenant.
    pub async fn key(&self, tenant: &str, role: &str) -> String {
        let path = format!("/admin/v1/tenants/{tenant}/keys");
        let (status, body) =
            self.call(Method::POST, &path, &self.operator_key(), Some(serde_json::json!({"role": role}))).await;
        assert_eq!(status, 201, "{body}");
        body["key"].as_str().unwrap().to_owned()
    }

    /// Issues a key of a user of a tenant.
    pub async fn user_key(&self, tenant: &str, user: &str, role: &str) -> String {
        let path = format!("/admin/v1/tenants/{tenant}/keys");
        let body = serde_json::json!({"role": role, "user_id": user});
        let (status, body) = self.call(Method::POST, &path, &self.operator_key(), Some(body)).await;
        assert_eq!(status, 201, "{body}");
        body["key"].as_str().unwrap().to_owned()
    }

    /// Ends the process as a power cut would.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.join().unwrap()
    }

    /// Asks the process to end and gives its exit code and log.
    pub fn terminate(mut self) -> (Option<i32>, Vec<String>) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let code = self.child.wait().unwrap().code();
        (code, self.log.join().unwrap())
    }
}

/// Longest a condition is waited for; far above what any of them takes on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Asks again until there is an answer, and gives up with the name of what was waited for.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(found) => found,
        Err(_elapsed) => panic!("waited in vain: {what}"),
    }
}

impl House {
    /// Takes one text document in and waits until it can be found.
    pub async fn teach(&self, key: &str, id: &str, title: &str, text: &str) {
        let document = serde_json::json!({"id": id, "title": title, "text": text});
        let body = serde_json::json!({"documents": [document]});
        let (status, answer) = self.call(Method::POST, "/v1/documents", key, Some(body)).await;
        assert_eq!(status, 201, "{answer}");
        self.indexed(key, id).await;
    }

    /// Waits until a document can be found.
    pub async fn indexed(&self, key: &str, id: &str) {
        let path = format!("/v1/documents/{id}");
        until("a document is indexed", async || {
            let (_, document) = self.call(Method::GET, &path, key, None).await;
            (document["state"] == "indexed").then_some(())
        })
        .await;
    }

    /// The tenant's own figures.
    pub async fn usage(&self, key: &str) -> Value {
        let (status, figures) = self.call(Method::GET, "/v1/usage", key, None).await;
        assert_eq!(status, 200, "{figures}");
        figures
    }
}

/// A house that is ended when the test ends, whatever happens.
pub struct Ended(pub Option<House>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(mut house) = self.0.take() {
            let _ = house.child.kill();
            let _ = house.child.wait();
        }
    }
}

impl std::ops::Deref for Ended {
    type Target = House;
    fn deref(&self) -> &House {
        self.0.as_ref().unwrap()
    }
}

/// A house on a fresh folder.
pub fn house() -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    let house = House::start(folder.path());
    (folder, Ended(Some(house)))
}

/// An amount as the doors write it.
pub fn usd(amount: &Value) -> NanoUsd {
    NanoUsd::parse_usd(amount.as_str().unwrap_or_else(|| panic!("no amount: {amount}"))).unwrap()
}

/// Has a document erased on request, and waits until it is.
pub async fn erase(house: &House, key: &str, document: &str) {
    let body = json!({"document": document, "basis": "GDPR article 17"});
    let (status, asked) = house.call(Method::POST, "/v1/erasures", key, Some(body)).await;
    assert_eq!(status, 202, "{asked}");
    let path = format!("/v1/erasures/{}", asked["id"].as_str().unwrap_or_default());
    until("an erasure is done", async || {
        let (_, view) = house.call(Method::GET, &path, key, None).await;
        (view["state"] == "done").then_some(())
    })
    .await;
}
