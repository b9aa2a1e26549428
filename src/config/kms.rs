//! `[kms]`: where the key comes from that wraps the tenants' keys. Read at the start.
use super::{Config, ConfigError};
use bailiwick_control::kms::RootSource;
use schemars::JsonSchema;
use serde::Deserialize;

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
}

impl Kms {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.passphrase_env.is_some() && self.root_key_env.is_some() {
            return Err("passphrase_env and root_key_env exclude each other; keep one".to_owned());
        }
        Ok(())
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
            (None, Some(name)) => RootSource::given(value(name)?.trim()).map_err(wrong(name)),
            (None, None) => Ok(RootSource::File),
        }
    }
}
