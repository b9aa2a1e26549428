//! AWS KMS, by its JSON protocol: `Encrypt` and `Decrypt` under the customer's key, with the context as `EncryptionContext`,
//! signed by Signature Version 4.
use super::wire::{Answer, Wire, secret};
use super::{EncryptionContext, KeyHolder, KeyProvider, ProviderError};
use crate::kms::customer_key::{AWS_KMS, CustomerKey};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bailiwick_kernel::cipher::data_key::{KEY_BYTES, SecretKey};
use bailiwick_kernel::clock::SharedClock;
use base64ct::{Base64, Encoding};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use url::Url;
use zeroize::Zeroizing;

/// Errors by which the owner of a key, or the service in their name, says no.
const WITHHELD: [&str; 5] = [
    "AccessDeniedException",
    "DisabledException",
    "KMSInvalidStateException",
    "NotFoundException",
    "InvalidKeyUsageException",
];
/// Errors that speak of what is to be unwrapped.
const REFUSED: [&str; 2] = ["IncorrectKeyException", "InvalidCiphertextException"];

/// Where a region's service is, and who asks.
pub struct AwsKmsAccess {
    /// The region of the keys.
    pub region: String,
    /// Address of the service.
    pub endpoint: Url,
    /// Name of the access key.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: SecretString,
    /// Of temporary credentials.
    pub session_token: Option<SecretString>,
    /// Longest a call may take.
    pub timeout: Duration,
}

/// AWS KMS of one region.
#[derive(Clone)]
pub struct AwsKms {
    inner: Arc<Inner>,
}

struct Inner {
    access: AwsKmsAccess,
    wire: Wire,
    clock: SharedClock,
}

impl std::fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AWS KMS in {}", self.inner.access.region)
    }
}

impl AwsKms {
    /// The service, not called yet. Signatures carry the clock's time.
    #[must_use]
    pub fn new(access: AwsKmsAccess, clock: SharedClock) -> Self {
        let wire = Wire::new(access.timeout);
        Self { inner: Arc::new(Inner { access, wire, clock }) }
    }
}

impl KeyHolder for AwsKms {
    fn kind(&self) -> &'static str {
        AWS_KMS
    }

    fn region(&self) -> &str {
        &self.inner.access.region
    }

    fn provider_of(&self, key: &CustomerKey) -> Box<dyn KeyProvider> {
        Box::new(AwsKmsKey { inner: Arc::clone(&self.inner), key: key.name.clone() })
    }
}

/// One key.
struct AwsKmsKey {
    inner: Arc<Inner>,
    key: String,
}

impl std::fmt::Debug for AwsKmsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.key)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fault {
    #[serde(rename = "__type")]
    kind: String,
}

impl KeyProvider for AwsKmsKey {
    fn name(&self) -> &'static str {
        AWS_KMS
    }

    fn wrap_key(&self, key: &[u8; KEY_BYTES], context: &EncryptionContext) -> Result<Vec<u8>, ProviderError> {
        let plain = Zeroizing::new(Base64::encode_string(key));
        let body = json!({"KeyId": self.key, "Plaintext": plain.as_str(), "EncryptionContext": pairs(context)});
        let answer = self.call("TrentService.Encrypt", &body)?;
        let Encrypted { ciphertext_blob } = read(&answer)?;
        Base64::decode_vec(&ciphertext_blob).map_err(|_letters| not_understood())
    }

    fn unwrap_key(&self, wrapped: &[u8], context: &EncryptionContext) -> Result<SecretKey, ProviderError> {
        let blob = Base64::encode_string(wrapped);
        let body = json!({"KeyId": self.key, "CiphertextBlob": blob, "EncryptionContext": pairs(context)});
        let answer = self.call("TrentService.Decrypt", &body)?;
        let Decrypted { plaintext } = read(&answer)?;
        let plaintext = Zeroizing::new(plaintext);
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        let length = Base64::decode(plaintext.as_str(), key.as_mut_slice()).map_err(|_letters| not_understood())?.len();
        if length == KEY_BYTES { Ok(key) } else { Err(not_understood()) }
    }
}

fn pairs(context: &EncryptionContext) -> Value {
    Value::Object(context.pairs().map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
}

fn not_understood() -> ProviderError {
    ProviderError::Failed("its answer is none of this protocol".to_owned())
}

fn read<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Result<T, ProviderError> {
    serde_json::from_slice(&answer.body).map_err(|_shape| not_understood())
}

impl AwsKmsKey {
    fn call(&self, target: &'static str, body: &Value) -> Result<Answer, ProviderError> {
        let AwsKmsAccess { endpoint, .. } = &self.inner.access;
        let body = Zeroizing::new(serde_json::to_vec(body).map_err(|_value| not_understood())?);
        let headers = self.inner.signed(target, &body)?;
        let answer = self.inner.wire.post(endpoint.clone(), headers, body.to_vec())?;
        if answer.status == 200 {
            return Ok(answer);
        }
        let fault: Fault = serde_json::from_slice(&answer.body).unwrap_or_default();
        // some answers have the name behind a namespace
        let kind = fault.kind.rsplit('#').next().unwrap_or_default();
        Err(match kind {
            kind if WITHHELD.contains(&kind) => ProviderError::Withheld(format!("AWS KMS says {kind}")),
            kind if REFUSED.contains(&kind) => ProviderError::Refused,
            "" => ProviderError::Failed(format!("AWS KMS answers {}", answer.status)),
            kind => {
                let named = kind.chars().filter(char::is_ascii_alphanumeric).take(64).collect::<String>();
                ProviderError::Failed(format!("AWS KMS answers {} ({named})", answer.status))
            }
        })
    }
}

impl Inner {
    /// The headers of a request, its signature among them.
    fn signed(&self, target: &'static str, body: &[u8]) -> Result<HeaderMap, ProviderError> {
        let AwsKmsAccess { region, endpoint, access_key_id, secret_access_key, session_token, .. } = &self.access;
        let unsigned = |error: &dyn std::fmt::Display| ProviderError::Failed(format!("signing the request: {error}"));
        let token = session_token.as_ref().map(|token| token.expose_secret().to_owned());
        let identity =
            Credentials::new(access_key_id, secret_access_key.expose_secret(), token, None, "config.toml").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("kms")
            .time(UNIX_EPOCH + Duration::from_millis(self.clock.now_unix_ms()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?;
        let named = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        let request = SignableRequest::new("POST", endpoint.as_str(), named.into_iter(), SignableBody::Bytes(body))
            .map_err(|error| unsigned(&error))?;
        let (instructions, _signature) =
            sign(request, &parameters.into()).map_err(|error| unsigned(&error))?.into_parts();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        headers.insert(HeaderName::from_static("x-amz-target"), HeaderValue::from_static(target));
        for (name, value) in instructions.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unsigned(&error))?;
            headers.insert(name, secret(value)?);
        }
        Ok(headers)
    }
}
