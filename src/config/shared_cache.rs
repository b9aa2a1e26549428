//! `[shared_cache]`: the cache outside the node in which tenants that name a prefix share their answers with other nodes. Read at
//! the start; the password stands here by reference.
use super::variables::{Variable, value};
use super::{Config, ConfigError};
use bailiwick_policy::sovereignty::{InTransit, Region};
use bailiwick_tenant::cache::{RedisAccess, SharedService, open_redis};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 5..=1_000;
const PORT: u16 = 6_379;

/// A server that speaks Redis' protocol.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedCacheEntry {
    /// `rediss://HOST:PORT/DATABASE`; plain `redis://` to this machine only.
    pub url: String,
    /// Where it is, as tenants' `data-sovereignty.yaml` names it. Nothing of a tenant that does not allow it is put there.
    #[schemars(with = "String")]
    pub region: Region,
    /// Who asks, where the server has users.
    #[serde(default)]
    pub username: Option<String>,
    /// Environment variable that holds the password; none where absent.
    #[serde(default)]
    pub password_env: Option<String>,
    /// Milliseconds a question waits for it at most (5 to 1000; 50 where absent).
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

fn default_timeout_ms() -> u64 {
    50
}

impl SharedCacheEntry {
    /// Checks what can be checked without secrets.
    pub(super) fn check(&self) -> Result<(), String> {
        if !TIMEOUT_MS.contains(&self.timeout_ms) {
            return Err(format!(
                "timeout_ms is {}; write {} to {}",
                self.timeout_ms,
                TIMEOUT_MS.start(),
                TIMEOUT_MS.end()
            ));
        }
        self.access(None).map(drop)
    }

    fn access(&self, password: Option<SecretString>) -> Result<RedisAccess, String> {
        let url = Url::parse(&self.url).map_err(|error| format!("url {:?} is no address: {error}", self.url))?;
        let host = match Host::parse(url.host_str().unwrap_or_default()) {
            Ok(host) => host,
            Err(_none) => return Err("url has no host: write rediss://HOST:6379".to_owned()),
        };
        let stays_here = match &host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let is_encrypted = match url.scheme() {
            "rediss" => true,
            "redis" if stays_here => false,
            "redis" => return Err("url: write rediss://, plain redis:// goes to this machine alone".to_owned()),
            _ => return Err("url: write rediss://HOST:6379".to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("url holds a user or a password; write username and password_env".to_owned());
        }
        let path = url.path().trim_matches('/');
        let database = if path.is_empty() { Ok(0) } else { path.parse::<u16>() };
        let database = database.map_err(|_other| format!("url: {path:?} is no number of a database"))?;
        let host = host.to_string().trim_matches(['[', ']']).to_owned();
        let (port, username) = (url.port().unwrap_or(PORT), self.username.clone());
        Ok(RedisAccess { host, port, is_encrypted, database: i64::from(database), username, password })
    }

    fn service(&self, variable: Variable<'_>) -> Result<SharedService, String> {
        let password = self.password_env.as_ref().map(|name| value(variable, name)).transpose()?;
        let access = self.access(password.map(SecretString::from))?;
        let under_tls12 = open_redis(access.clone(), InTransit::Tls12)?;
        let under_tls13 = open_redis(access, InTransit::Tls13)?;
        Ok(SharedService::new(self.region.clone(), Duration::from_millis(self.timeout_ms), under_tls12, under_tls13))
    }
}

impl Config {
    /// The cache outside the node, with secrets read; nothing where the file has none. It is not asked.
    ///
    /// # Errors
    /// [`ConfigError::SharedCache`] where a secret is not where the file says.
    pub fn shared_answers(&self) -> Result<Option<Arc<SharedService>>, ConfigError> {
        self.shared_answers_with(|name| std::env::var(name).ok())
    }

    fn shared_answers_with(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Arc<SharedService>>, ConfigError> {
        let service = self.shared_cache.as_ref().map(|entry| entry.service(&variable).map(Arc::new));
        service.transpose().map_err(ConfigError::SharedCache)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, FILE};

    const SOUND: &str = "[shared_cache]\nurl = \"rediss://cache.example:6380/2\"\nregion = \"eu-west-1\"\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(FILE, text).map_err(|error| error.problem)
    }

    fn address(config: &Config) -> (String, u16) {
        let access = config.shared_cache.as_ref().unwrap().access(None).unwrap();
        (access.host, access.port)
    }

    #[test]
    fn a_cache_is_read_and_its_password_by_reference() {
        assert!(parse("").unwrap().shared_answers().unwrap().is_none());
        let config = parse(&format!("{SOUND}password_env = \"REDIS_PASSWORD\"\n")).unwrap();
        assert_eq!(address(&config), ("cache.example".to_owned(), 6_380));
        let service = config.shared_answers_with(|_| Some("hidden".to_owned())).unwrap().unwrap();
        assert!(!format!("{service:?}").contains("hidden"), "{service:?}");
        let unset = config.shared_answers_with(|_| None).unwrap_err().to_string();
        assert!(unset.contains("REDIS_PASSWORD"), "{unset}");
        let here = parse(&SOUND.replace("rediss://cache.example:6380/2", "redis://[::1]")).unwrap();
        assert_eq!(address(&here), ("::1".to_owned(), 6_379));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, expected) in [
            (SOUND.replace("region = \"eu-west-1\"\n", ""), "region"),
            (SOUND.replace("rediss", "redis"), "rediss://"),
            (SOUND.replace("rediss", "https"), "rediss://"),
            (SOUND.replace("cache.example", "me:secret@cache.example"), "password_env"),
            (SOUND.replace("/2", "/two"), "database"),
            (format!("{SOUND}timeout_ms = 0\n"), "timeout_ms"),
            (format!("{SOUND}password = \"x\"\n"), "password"),
        ] {
            let problem = parse(&text).unwrap_err();
            assert!(problem.contains(expected), "{problem}\nfor {text}");
        }
    }
}
