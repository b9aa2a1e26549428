//! `[kms]`: where the key comes from that wraps the tenants' keys, and which key services outside are asked for the keys
//! customers keep themselves. Read at the start.
use super::variables::{AwsCredentials, AwsVariables, Variable, value};
use super::{Config, ConfigError};
use bailiwick_control::identity::issuer::nobody_on_the_way_may_change;
use bailiwick_control::kms::RootSource;
use bailiwick_control::kms::providers::KeyHolder;
use bailiwick_control::kms::providers::aws_kms::{AwsKms, AwsKmsAccess};
use bailiwick_control::kms::providers::vault_transit::{Token, VaultAccess, VaultTransit};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::KEY_CALL_MS_MAX;
use bailiwick_policy::sovereignty::Region;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Shortest time a call may be given.
const CALL_MS_MIN: u64 = 50;
/// Key services of one node.
const HOLDERS_MAX: usize = 16;

/// The node's root key. Absent: `master.key` in the data folder, for its owner's eyes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kms {
    /// Environment variable that holds the passphrase `master.key` is sealed under. A file that is not sealed becomes so at the
    /// next start.
    #[serde(default)]
    pub passphrase_env: Option<String>,
    /// Environment variable that holds the root key itself, 64 hexadecimal digits; the data folder has none then.
    #[serde(default)]
    pub root_key_env: Option<String>,
    /// Environment variable that holds the root key before the one of `root_key_env`: what it has wrapped is read until
    /// `bailiwick kms rewrap` has wrapped it anew.
    #[serde(default)]
    pub former_root_key_env: Option<String>,
    /// Key services outside this node. A tenant's `kms_key_id` is honoured where one of its kind and region stands here.
    #[serde(default)]
    pub providers: Vec<KeyServiceEntry>,
}

/// What a key service speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyServiceKind {
    /// AWS KMS, for `arn:aws:kms:REGION:ACCOUNT:key/ID`.
    AwsKms,
    /// HashiCorp Vault's transit engine, for `vault:REGION:MOUNT/KEY`.
    VaultTransit,
}

/// One key service outside this node.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyServiceEntry {
    /// What it speaks.
    pub kind: KeyServiceKind,
    /// The region its keys are in, as `kms_key_id` names it.
    #[schemars(with = "String")]
    pub region: Region,
    /// Its address; https, or plain http to this machine. AWS's own for the region where absent; Vault has none of its own.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// AWS: environment variable that holds the name of the access key; `AWS_ACCESS_KEY_ID` where absent.
    #[serde(default)]
    pub access_key_id_env: Option<String>,
    /// AWS: environment variable that holds the access key; `AWS_SECRET_ACCESS_KEY` where absent.
    #[serde(default)]
    pub secret_access_key_env: Option<String>,
    /// AWS: environment variable that holds the token of temporary credentials; none where absent.
    #[serde(default)]
    pub session_token_env: Option<String>,
    /// Vault: environment variable that holds the token; `VAULT_TOKEN` where neither is named.
    #[serde(default)]
    pub token_env: Option<String>,
    /// Vault: file that holds the token and nothing else; read for every call.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Milliseconds a call may take (50 to 1000; 1000 where absent).
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

impl Kms {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.passphrase_env.is_some() && self.root_key_env.is_some() {
            return Err("passphrase_env and root_key_env exclude each other; keep one".to_owned());
        }
        if self.former_root_key_env.is_some() && self.root_key_env.is_none() {
            return Err("former_root_key_env goes with root_key_env: a key in master.key is replaced by `bailiwick kms rewrap` alone".to_owned());
        }
        if self.providers.len() > HOLDERS_MAX {
            return Err(format!("providers: a node asks {HOLDERS_MAX} key services at most; leave some out"));
        }
        for (place, entry) in self.providers.iter().enumerate() {
            let named = |problem: String| format!("providers: {}: {problem}", entry.region);
            entry.check().map_err(named)?;
            let earlier = self.providers.iter().take(place);
            if earlier.into_iter().any(|other| (other.kind, &other.region) == (entry.kind, &entry.region)) {
                return Err(named("this kind stands twice for the region; keep one".to_owned()));
            }
        }
        Ok(())
    }
}

impl KeyServiceEntry {
    fn check(&self) -> Result<(), String> {
        self.address()?;
        if self.timeout_ms.is_some_and(|ms| !(CALL_MS_MIN..=KEY_CALL_MS_MAX).contains(&ms)) {
            return Err(format!("timeout_ms: write {CALL_MS_MIN} to {KEY_CALL_MS_MAX}"));
        }
        let of_vault = self.token_env.is_some() || self.token_file.is_some();
        match self.kind {
            KeyServiceKind::AwsKms if of_vault => {
                Err("token_env and token_file are Vault's; AWS has access keys".to_owned())
            }
            KeyServiceKind::VaultTransit if self.variables().are_named() => {
                Err("access keys are AWS's; Vault has token_env or token_file".to_owned())
            }
            KeyServiceKind::VaultTransit if self.token_env.is_some() && self.token_file.is_some() => {
                Err("token_env and token_file exclude each other; keep one".to_owned())
            }
            KeyServiceKind::AwsKms | KeyServiceKind::VaultTransit => Ok(()),
        }
    }

    fn address(&self) -> Result<Url, String> {
        let text = match (&self.endpoint, self.kind) {
            (Some(text), _) => text.clone(),
            (None, KeyServiceKind::AwsKms) => format!("https://kms.{}.amazonaws.com/", self.region),
            (None, KeyServiceKind::VaultTransit) => return Err("endpoint: write the address of the Vault".to_owned()),
        };
        let url = Url::parse(&text).map_err(|error| format!("endpoint {text:?} is no address: {error}"))?;
        if !nobody_on_the_way_may_change(&url) {
            return Err(format!(
                "endpoint {text:?}: keys would travel in the clear; write an https address (plain http to this machine only)"
            ));
        }
        Ok(url)
    }

    fn variables(&self) -> AwsVariables<'_> {
        AwsVariables {
            access_key_id: self.access_key_id_env.as_deref(),
            secret_access_key: self.secret_access_key_env.as_deref(),
            session_token: self.session_token_env.as_deref(),
        }
    }

    fn holder(&self, clock: SharedClock, variable: Variable<'_>) -> Result<Box<dyn KeyHolder>, String> {
        let unset = |problem: String| format!("{}: {problem}", self.region);
        let (region, endpoint) = (self.region.as_str().to_owned(), self.address()?);
        let timeout = Duration::from_millis(self.timeout_ms.unwrap_or(KEY_CALL_MS_MAX));
        Ok(match self.kind {
            KeyServiceKind::AwsKms => {
                let AwsCredentials { access_key_id, secret_access_key, session_token } =
                    self.variables().read(variable).map_err(unset)?;
                let access =
                    AwsKmsAccess { region, endpoint, access_key_id, secret_access_key, session_token, timeout };
                Box::new(AwsKms::new(access, clock))
            }
            KeyServiceKind::VaultTransit => {
                let token = match &self.token_file {
                    Some(file) => Token::File(file.clone()),
                    None => {
                        let name = self.token_env.as_deref().unwrap_or("VAULT_TOKEN");
                        Token::Given(value(variable, name).map_err(unset)?.into())
                    }
                };
                Box::new(VaultTransit::new(VaultAccess { region, address: endpoint, token, timeout }))
            }
        })
    }
}

impl Config {
    /// Where the root key comes from, read from the environment.
    ///
    /// # Errors
    /// [`ConfigError::RootKey`] where the variable is not set, or holds no key.
    pub fn root_key(&self) -> Result<RootSource, ConfigError> {
        self.root_key_with(|name| std::env::var(name).ok())
    }

    pub(super) fn root_key_with(&self, variable: impl Fn(&str) -> Option<String>) -> Result<RootSource, ConfigError> {
        let value = |name: &str| {
            variable(name)
                .ok_or_else(|| ConfigError::RootKey(format!("the environment variable {name} is not set; set it")))
        };
        let wrong = |name: &str| {
            let name = name.to_owned();
            move |problem| ConfigError::RootKey(format!("the environment variable {name}: {problem}"))
        };
        match (&self.kms.passphrase_env, &self.kms.root_key_env) {
            (Some(name), _) => RootSource::sealed_under(value(name)?.trim()).map_err(wrong(name)),
            (None, Some(name)) => match &self.kms.former_root_key_env {
                None => RootSource::given(value(name)?.trim()).map_err(wrong(name)),
                Some(former) => RootSource::changed(value(name)?.trim(), value(former)?.trim())
                    .map_err(wrong(&format!("{name} or {former}"))),
            },
            (None, None) => Ok(RootSource::File),
        }
    }

    /// The key services outside this node, with what they are asked with, read from the environment. None is called.
    ///
    /// # Errors
    /// [`ConfigError::KeyService`] where a secret is not set.
    pub fn key_holders(&self, clock: &SharedClock) -> Result<Vec<Box<dyn KeyHolder>>, ConfigError> {
        self.key_holders_with(clock, &|name| std::env::var(name).ok())
    }

    pub(super) fn key_holders_with(
        &self,
        clock: &SharedClock,
        variable: Variable<'_>,
    ) -> Result<Vec<Box<dyn KeyHolder>>, ConfigError> {
        let entries = self.kms.providers.iter();
        entries
            .map(|entry| entry.holder(SharedClock::clone(clock), variable))
            .collect::<Result<_, _>>()
            .map_err(ConfigError::KeyService)
    }
}
