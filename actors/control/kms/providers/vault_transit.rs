//! HashiCorp Vault's transit engine: `encrypt` and `decrypt` under the customer's key, with the context as
//! `associated_data`. The key has to be of a type that authenticates it (`aes256-gcm96`, `chacha20-poly1305`).
use super::wire::{Answer, Wire, secret};
use super::{EncryptionContext, KeyHolder, KeyProvider, ProviderError};
use crate::kms::customer_key::{CustomerKey, VAULT_TRANSIT};
use bailiwick_kernel::cipher::data_key::{KEY_BYTES, SecretKey};
use base64ct::{Base64, Encoding};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// Bytes of a token's file.
const TOKEN_BYTES_MAX: u64 = 8 << 10;

/// Where this node's token stands.
#[derive(Clone, Debug)]
pub enum Token {
    /// It was given at the start.
    Given(SecretString),
    /// In a file that is read for every call, because whoever renews the token writes it anew.
    File(PathBuf),
}

/// Where a Vault is, and who asks.
#[derive(Debug)]
pub struct VaultAccess {
    /// The region it is in.
    pub region: String,
    /// Its address.
    pub address: Url,
    /// Who asks.
    pub token: Token,
    /// Longest a call may take.
    pub timeout: Duration,
}

/// A Vault of one region.
#[derive(Clone)]
pub struct VaultTransit {
    inner: Arc<Inner>,
}

struct Inner {
    access: VaultAccess,
    wire: Wire,
}

impl std::fmt::Debug for VaultTransit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault in {}", self.inner.access.region)
    }
}

impl VaultTransit {
    /// The Vault, not called yet.
    #[must_use]
    pub fn new(access: VaultAccess) -> Self {
        let wire = Wire::new(access.timeout);
        Self { inner: Arc::new(Inner { access, wire }) }
    }
}

impl KeyHolder for VaultTransit {
    fn kind(&self) -> &'static str {
        VAULT_TRANSIT
    }

    fn region(&self) -> &str {
        &self.inner.access.region
    }

    fn provider_of(&self, key: &CustomerKey) -> Box<dyn KeyProvider> {
        Box::new(TransitKey { inner: Arc::clone(&self.inner), path: key.name.clone() })
    }
}

/// One key.
struct TransitKey {
    inner: Arc<Inner>,
    /// Mount and key.
    path: String,
}

impl std::fmt::Debug for TransitKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path)
    }
}

#[derive(Deserialize)]
struct Said<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fault {
    errors: Vec<String>,
}

impl KeyProvider for TransitKey {
    fn name(&self) -> &'static str {
        VAULT_TRANSIT
    }

    fn wrap_key(&self, key: &[u8; KEY_BYTES], context: &EncryptionContext) -> Result<Vec<u8>, ProviderError> {
        let plain = Zeroizing::new(Base64::encode_string(key));
        let answer = self.call("encrypt", &json!({"plaintext": plain.as_str(), "associated_data": bound(context)}))?;
        let Said { data: Encrypted { ciphertext } } = read(&answer)?;
        Ok(ciphertext.into_bytes())
    }

    fn unwrap_key(&self, wrapped: &[u8], context: &EncryptionContext) -> Result<SecretKey, ProviderError> {
        let ciphertext = std::str::from_utf8(wrapped).map_err(|_bytes| ProviderError::Refused)?;
        let answer = self.call("decrypt", &json!({"ciphertext": ciphertext, "associated_data": bound(context)}))?;
        let Said { data: Decrypted { plaintext } } = read(&answer)?;
        let plaintext = Zeroizing::new(plaintext);
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        let length = Base64::decode(plaintext.as_str(), key.as_mut_slice()).map_err(|_letters| not_understood())?.len();
        if length == KEY_BYTES { Ok(key) } else { Err(not_understood()) }
    }
}

fn bound(context: &EncryptionContext) -> String {
    Base64::encode_string(&context.canonical())
}

fn not_understood() -> ProviderError {
    ProviderError::Failed("its answer is none of this protocol".to_owned())
}

fn read<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Result<T, ProviderError> {
    serde_json::from_slice(&answer.body).map_err(|_shape| not_understood())
}

impl TransitKey {
    /// `POST /v1/MOUNT/VERB/KEY`.
    fn call(&self, verb: &str, body: &Value) -> Result<Answer, ProviderError> {
        let VaultAccess { address, token, .. } = &self.inner.access;
        let mut url = address.clone();
        let (mount, key) = self.path.split_once('/').ok_or_else(not_understood)?;
        let rooted = url.path_segments_mut().map(|mut path| {
            path.pop_if_empty().extend(["v1", mount, verb, key]);
        });
        rooted.map_err(|()| not_understood())?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static("x-vault-request"), HeaderValue::from_static("true"));
        headers.insert(HeaderName::from_static("x-vault-token"), secret(token.read()?.expose_secret())?);
        let body = Zeroizing::new(serde_json::to_vec(body).map_err(|_value| not_understood())?);
        let answer = self.inner.wire.post(url, headers, body.to_vec())?;
        if answer.status == 200 {
            return Ok(answer);
        }
        Err(fault_of(&answer))
    }
}

/// What an answer without success means. Vault says it in words: those of its API documentation and of its source.
fn fault_of(answer: &Answer) -> ProviderError {
    let fault: Fault = serde_json::from_slice(&answer.body).unwrap_or_default();
    let says = |words: &[&str]| words.iter().any(|words| fault.errors.iter().any(|error| error.contains(words)));
    match answer.status {
        // the node's own token: nothing is said about the key
        403 if says(&["invalid token", "token mac"]) => {
            ProviderError::Failed("Vault does not take this node's token".to_owned())
        }
        403 => ProviderError::Withheld("Vault denies this node the use of the key".to_owned()),
        404 => ProviderError::Withheld("Vault knows no such key".to_owned()),
        400 if says(&["encryption key not found", "disallowed by policy", "no longer available"]) => {
            ProviderError::Withheld("Vault does not let the key be used any more".to_owned())
        }
        400 if says(&["unable to decrypt", "authentication failed", "invalid ciphertext"]) => ProviderError::Refused,
        status => ProviderError::Failed(format!("Vault answers {status}")),
    }
}

impl Token {
    fn read(&self) -> Result<SecretString, ProviderError> {
        match self {
            Self::Given(token) => Ok(token.clone()),
            Self::File(path) => {
                let mut text = String::new();
                std::fs::File::open(path)
                    .and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_string(&mut text))
                    .map_err(|error| ProviderError::Failed(format!("reading this node's token: {error}")))?;
                Ok(SecretString::from(text.trim().to_owned()))
            }
        }
    }
}
