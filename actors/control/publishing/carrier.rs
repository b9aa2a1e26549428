//! Brings heads to where they go: appended to a file, or sent to an address within a bound of time.
use super::messages::Webhook;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_policy::sovereignty::InTransit;
use bailiwick_tenant::proofs::extension::Taken;
use bailiwick_tenant::proofs::forms::PublishedHead;
use reqwest::StatusCode;
use reqwest::tls::Version;
use secrecy::ExposeSecret;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SEND: Duration = Duration::from_secs(10);
/// Bytes at the end of a file that are looked through for its last head: several times the longest one.
const TAIL_BYTES: u64 = 256 << 10;

/// Why a head did not arrive.
#[derive(Debug)]
pub(super) enum Undelivered {
    /// It may arrive later.
    Failed(String),
    /// The place has other heads of this journal than this one goes on from.
    Contradicted(String),
}

/// The clients addresses are reached with.
#[derive(Clone)]
pub(super) struct Carrier {
    under_tls12: reqwest::Client,
    under_tls13: reqwest::Client,
}

fn client(oldest: Version) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
        .tls_version_min(oldest)
        .timeout(SEND)
        // a redirect could lead to a region nobody decided about
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .map_err(|error| format!("opening the client that sends heads: {error}"))
}

impl Carrier {
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self { under_tls12: client(Version::TLS_1_2)?, under_tls13: client(Version::TLS_1_3)? })
    }

    /// Sends a head to an address. Taken is what is answered with a success.
    pub(super) async fn send(
        &self,
        webhook: &Webhook,
        in_transit: InTransit,
        head: &PublishedHead,
    ) -> Result<(), Undelivered> {
        let client = match in_transit {
            InTransit::Tls12 => &self.under_tls12,
            InTransit::Tls13 => &self.under_tls13,
        };
        let request = client.post(webhook.url.clone()).json(head);
        let request = match &webhook.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let answer = request.send().await.map_err(|error| Undelivered::Failed(error.without_url().to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT => Err(Undelivered::Contradicted("it answers 409: it has another head".to_owned())),
            status => Err(Undelivered::Failed(format!("it answers {status}"))),
        }
    }
}

fn file(folder: &Path, tenant: TenantKey) -> PathBuf {
    folder.join(format!("{}.jsonl", tenant.to_hex()))
}

/// The end of a file: whole lines of it, and where they end.
fn tail(file: &mut File) -> std::io::Result<(String, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    // what a power cut left behind the last whole line was never acknowledged
    let torn = bytes.iter().rev().take_while(|byte| **byte != b'\n').count();
    bytes.truncate(bytes.len().saturating_sub(torn));
    let end = length.saturating_sub(u64::try_from(torn).unwrap_or(u64::MAX));
    Ok((String::from_utf8_lossy(&bytes).into_owned(), end))
}

/// The last head a file holds; nothing where there is no file. Blocking.
pub(super) fn last_in(folder: &Path, tenant: TenantKey) -> Result<Option<Taken>, String> {
    let path = file(folder, tenant);
    let failed = |error: &dyn std::fmt::Display| format!("reading {}: {error}", path.display());
    let mut opened = match File::open(&path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let (lines, _) = tail(&mut opened).map_err(|error| failed(&error))?;
    let Some(line) = lines.lines().last() else { return Ok(None) };
    let published: PublishedHead = serde_json::from_str(line).map_err(|error| failed(&error))?;
    Ok(Some(Taken::from(&published.head)))
}

/// Appends a head to its file; it is on the disk when this returns. Blocking.
pub(super) fn append(folder: &Path, tenant: TenantKey, head: &PublishedHead) -> Result<(), String> {
    let path = file(folder, tenant);
    let write = || {
        std::fs::create_dir_all(folder)?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let (_, end) = tail(&mut file)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let line = serde_json::to_string(head).map_err(std::io::Error::other)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| format!("writing {}: {error}", path.display()))
}
