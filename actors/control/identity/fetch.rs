//! Reading a key set: from a file, or over the network within a bound of bytes and time.
use super::issuer::KeySource;
use super::rules::fresh_for_ms;
use bailiwick_kernel::limits::{KEY_SET_BYTES_MAX, KEY_SET_FRESH_MS, KEY_SET_READ_MS};
use reqwest::header::{ACCEPT, CACHE_CONTROL};
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use url::Url;

const CONNECT_MS: u64 = 5_000;

/// What was read, and how long it is not read again.
pub struct Fetched {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Milliseconds.
    pub fresh_ms: u64,
}

/// The client key sets are read with.
///
/// # Errors
/// Why there can be none.
pub fn client() -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_millis(CONNECT_MS))
        .timeout(Duration::from_millis(KEY_SET_READ_MS))
        // a redirect could lead to somebody else's keys
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .map_err(|error| format!("opening the client that reads key sets: {error}"))
}

/// Reads a key set.
///
/// # Errors
/// What was being done, and what is wrong.
pub async fn fetch(client: Option<reqwest::Client>, source: KeySource) -> Result<Fetched, String> {
    match (source, client) {
        (KeySource::File(path), _) => {
            let named = path.display().to_string();
            let reading = bailiwick_kernel::residue::spawn_blocking(move || read_file(&path));
            let bytes = reading.await.map_err(|_panicked| String::from("it was interrupted"));
            let bytes = bytes.and_then(|read| read).map_err(|problem| format!("{named}: {problem}"))?;
            Ok(Fetched { bytes, fresh_ms: *KEY_SET_FRESH_MS.start() })
        }
        (KeySource::Url(url), Some(client)) => {
            get(&client, url.clone()).await.map_err(|problem| format!("reading the key set at {url}: {problem}"))
        }
        (KeySource::Url(url), None) => Err(format!("reading the key set at {url}: there is no client")),
    }
}

/// Reads a key set from a file.
///
/// # Errors
/// Why it cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(KEY_SET_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("reading the key set: {error}; write it there, or correct jwks_file"))?;
    Ok(bytes)
}

async fn get(client: &reqwest::Client, url: Url) -> Result<Fetched, String> {
    let said = |error: reqwest::Error| error.without_url().to_string();
    let mut response = client.get(url).header(ACCEPT, "application/json").send().await.map_err(said)?;
    if !response.status().is_success() {
        return Err(format!("it answers {}", response.status()));
    }
    let cache_control = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let fresh_ms = fresh_for_ms(cache_control);
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(said)? {
        bytes.extend_from_slice(&part);
        if bytes.len() > KEY_SET_BYTES_MAX {
            return Err(format!("it has more than {KEY_SET_BYTES_MAX} bytes"));
        }
    }
    Ok(Fetched { bytes, fresh_ms })
}
