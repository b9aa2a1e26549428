//! `config.toml`: one node. Unknown keys are refused with file, line and the nearest known key; secrets stand here by
//! reference only; prices become whole nano-dollars per token or are refused.
use crate::gateway::Settings;
use crate::gateway::hints::with_nearest_key;
use bailiwick_kernel::limits::CONNECTIONS_MAX;
use bailiwick_policy::parse::FileError;
use bailiwick_policy::sovereignty::{Region, region_problem};
use bailiwick_tenant::catalog::{Catalog, EXTRACTIVE, PriceList, ProviderEntry};
use bailiwick_tenant::routing::providers;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

mod guardrails;
mod issuers;
mod kms;
mod prices;

pub use issuers::TrustedIssuer;
pub use kms::Kms;
pub use prices::{ModelPrice, ModelPrices};

/// The file's name where none is given.
pub const FILE: &str = "config.toml";
const WORKERS_MAX: usize = 256;
const DEADLINE_MS: std::ops::RangeInclusive<u64> = 100..=600_000;
/// The server's clock for connections ticks twice a second: a shorter time would be over before it began.
const CONNECTION_MS_MIN: u64 = 1_000;

/// One node's configuration.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port of the gateway; port 0 picks a free one.
    #[serde(default = "default_listen")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Folder of the node's state.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// Where this node runs, as tenants' `data-sovereignty.yaml` names it, such as `eu-west-1`: everything the node keeps is
    /// there. A tenant that does not allow it is not served here. `local` where absent: this machine, wherever it stands.
    #[serde(default)]
    #[schemars(with = "String")]
    pub region: Region,
    /// Folder of the tenants' files.
    #[serde(default = "default_tenants")]
    pub tenants: PathBuf,
    /// File of the platform's guardrails: rules above every tenant's. Read at the start; none where absent.
    #[serde(default)]
    pub guardrails: Option<PathBuf>,
    /// File of keys that sign no tenant's policy, one public key a line, as in a `.pub` file. Read at the start.
    #[serde(default)]
    pub revoked_signers: Option<PathBuf>,
    /// Limits of the doors.
    #[serde(default)]
    pub limits: Limits,
    /// Model providers beside the embedded one.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// Issuers of bearer tokens that are taken beside the house's own keys; none where absent.
    #[serde(default)]
    pub issuers: Vec<TrustedIssuer>,
    /// The root key.
    #[serde(default)]
    pub kms: Kms,
    /// The console.
    #[serde(default)]
    pub console: Console,
    /// Logs.
    #[serde(default)]
    pub observability: Observability,
}

/// Limits of the doors. Absent ones have the defaults of a small node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Milliseconds a question may take (100 to 600000; 30000 where absent).
    #[serde(default)]
    pub ask_deadline_ms: Option<u64>,
    /// Threads of the gateway; one per processor where absent.
    #[serde(default)]
    pub workers: Option<usize>,
    /// Milliseconds requests in flight have to end at shutdown (10000 where absent).
    #[serde(default)]
    pub grace_ms: Option<u64>,
    /// Connections open at the same time (16384 where absent).
    #[serde(default)]
    pub connections: Option<usize>,
    /// Milliseconds a client has to send the head of a request (at least 1000; 5000 where absent).
    #[serde(default)]
    pub head_timeout_ms: Option<u64>,
    /// Milliseconds a client has to send a JSON body (15000 where absent).
    #[serde(default)]
    pub body_timeout_ms: Option<u64>,
    /// Milliseconds a client has to send an upload (120000 where absent).
    #[serde(default)]
    pub upload_timeout_ms: Option<u64>,
    /// Milliseconds a connection is kept open between requests (at least 1000; 75000 where absent).
    #[serde(default)]
    pub keep_alive_ms: Option<u64>,
    /// Milliseconds a client has to take one piece of an answer (120000 where absent).
    #[serde(default)]
    pub answer_timeout_ms: Option<u64>,
}

/// The protocol a provider speaks: a line of the providers' table, the embedded one excepted.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema)]
#[schemars(transparent)]
pub struct ProviderKind(String);

impl<'de> Deserialize<'de> for ProviderKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kind = String::deserialize(deserializer)?;
        let known = || providers::ALL.iter().map(|(known, _)| *known).filter(|known| *known != EXTRACTIVE);
        if known().any(|known| known == kind) {
            return Ok(Self(kind));
        }
        let known: Vec<String> = known().map(|known| format!("`{known}`")).collect();
        Err(serde::de::Error::custom(format!("unknown variant `{kind}`, expected one of {}", known.join(", "))))
    }
}

/// One model provider.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The name `router.yaml` uses.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// The protocol it speaks.
    pub kind: ProviderKind,
    /// Base URL; the kind's public one where absent.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Region it runs in, as tenants' sovereignty rules name it.
    pub region: String,
    /// Environment variable that holds the key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// File that holds the key and nothing else.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// Calls in flight at most, over all tenants.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Calls a minute at most, over all tenants; no limit where absent. A call waits for its turn within its deadline,
    /// or goes to the next candidate.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// Milliseconds after which a call is given up.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Tries after the first, on failures that may pass.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Prices by model; a model without a price in force is not called.
    #[serde(default)]
    pub prices: BTreeMap<String, ModelPrices>,
}

/// The console.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Serve `/console`.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Logs.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Observability {
    /// Form of a log line.
    #[serde(default)]
    pub log: LogFormat,
    /// What is logged, such as `info` or `bailiwick=debug,info`.
    #[serde(default = "default_filter")]
    pub filter: String,
}

/// Form of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn default_data() -> PathBuf {
    PathBuf::from("data")
}

fn default_tenants() -> PathBuf {
    PathBuf::from("tenants")
}

fn default_concurrency() -> usize {
    64
}

fn default_timeout_ms() -> u64 {
    20_000
}

fn default_retries() -> u32 {
    2
}

fn default_filter() -> String {
    String::from("info")
}

fn yes() -> bool {
    true
}

impl Default for Console {
    fn default() -> Self {
        Self { enabled: yes() }
    }
}

impl Default for Observability {
    fn default() -> Self {
        Self { log: LogFormat::default(), filter: default_filter() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: default_listen(),
            data: default_data(),
            region: Region::default(),
            guardrails: None,
            revoked_signers: None,
            tenants: default_tenants(),
            limits: Limits::default(),
            providers: Vec::new(),
            issuers: Vec::new(),
            kms: Kms::default(),
            console: Console::default(),
            observability: Observability::default(),
        }
    }
}

/// Why a node cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading {file}: {cause}; name a readable file with --config")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The file says something that cannot be.
    #[error(transparent)]
    Wrong(#[from] FileError),
    /// The guardrails are wrong: everything that is, a line each.
    #[error("{0}")]
    Guardrails(String),
    /// The root key is not where the file says it is.
    #[error("reading the root key: {0}")]
    RootKey(String),
    /// A secret is not where the file says it is.
    #[error("reading the key of provider {provider}: {problem}")]
    Secret {
        /// Whose.
        provider: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`], [`ConfigError::Wrong`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable { file: file.clone(), cause })?;
        Ok(Self::parse(&file, &text)?)
    }

    /// Reads a file's text. `file` is its name in errors.
    ///
    /// # Errors
    /// The first thing wrong, with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, FileError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            at(file, text, error.span().map_or(0, |span| span.start), with_nearest_key(error.message()))
        })?;
        config.limits.check().map_err(|problem| at(file, text, text.find("[limits]").unwrap_or(0), problem))?;
        config.kms.check().map_err(|problem| at(file, text, text.find("[kms]").unwrap_or(0), problem))?;
        let mut names: Vec<&str> = Vec::new();
        for provider in &config.providers {
            let name = provider.name.as_ref().as_str();
            provider
                .check(&names)
                .map_err(|problem| at(file, text, provider.name.span().start, format!("provider {name}: {problem}")))?;
            names.push(name);
        }
        let mut known: Vec<&str> = Vec::new();
        for trusted in &config.issuers {
            let issuer = trusted.issuer.as_ref().as_str();
            trusted.check(&known).map_err(|problem| {
                at(file, text, trusted.issuer.span().start, format!("issuer {issuer}: {problem}"))
            })?;
            known.push(issuer);
        }
        Ok(config)
    }

    /// The model catalogue, secrets read, the embedded provider always in it.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] where a secret is not where the file says.
    pub fn catalog(&self) -> Result<Catalog, ConfigError> {
        self.catalog_with(|name| std::env::var(name).ok())
    }

    fn catalog_with(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Catalog, ConfigError> {
        let mut catalog = Catalog::default();
        catalog.providers.insert(EXTRACTIVE.to_owned(), Arc::new(ProviderEntry::embedded(&self.region)));
        for provider in &self.providers {
            let entry = provider.entry(&variable)?;
            catalog.providers.insert(entry.name.clone(), Arc::new(entry));
        }
        Ok(catalog)
    }

    /// Limits of the doors as the gateway takes them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let (limits, default) = (&self.limits, Settings::default());
        Settings {
            ask_deadline_ms: limits.ask_deadline_ms.unwrap_or(default.ask_deadline_ms),
            head_timeout_ms: limits.head_timeout_ms.unwrap_or(default.head_timeout_ms),
            body_timeout_ms: limits.body_timeout_ms.unwrap_or(default.body_timeout_ms),
            upload_timeout_ms: limits.upload_timeout_ms.unwrap_or(default.upload_timeout_ms),
            keep_alive_ms: limits.keep_alive_ms.unwrap_or(default.keep_alive_ms),
            answer_timeout_ms: limits.answer_timeout_ms.unwrap_or(default.answer_timeout_ms),
            grace_ms: limits.grace_ms.unwrap_or(default.grace_ms),
            connections_max: limits.connections.unwrap_or(default.connections_max),
            ..default
        }
    }

    /// Threads of the gateway.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.limits
            .workers
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
            .clamp(1, WORKERS_MAX)
    }
}

/// JSON Schema of `config.toml`.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}

fn at(file: &str, text: &str, offset: usize, problem: String) -> FileError {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    FileError { file: file.to_owned(), line: count(line), column: count(column), problem }
}

impl Limits {
    fn check(&self) -> Result<(), String> {
        if self.ask_deadline_ms.is_some_and(|deadline| !DEADLINE_MS.contains(&deadline)) {
            return Err(format!("ask_deadline_ms: write {} to {}", DEADLINE_MS.start(), DEADLINE_MS.end()));
        }
        if self.workers.is_some_and(|workers| !(1..=WORKERS_MAX).contains(&workers)) {
            return Err(format!("workers: write 1 to {WORKERS_MAX}, or leave it out"));
        }
        if self.connections.is_some_and(|connections| !(1..=CONNECTIONS_MAX).contains(&connections)) {
            return Err(format!("connections: write 1 to {CONNECTIONS_MAX}"));
        }
        for (name, time) in [("head_timeout_ms", self.head_timeout_ms), ("keep_alive_ms", self.keep_alive_ms)] {
            if time.is_some_and(|time| time < CONNECTION_MS_MIN) {
                return Err(format!("{name}: write at least {CONNECTION_MS_MIN}"));
            }
        }
        let connection = [self.head_timeout_ms, self.keep_alive_ms];
        let transfer = [self.body_timeout_ms, self.upload_timeout_ms, self.answer_timeout_ms];
        let times = [self.grace_ms].into_iter().chain(connection).chain(transfer);
        if times.flatten().any(|time| !(1..=*DEADLINE_MS.end()).contains(&time)) {
            return Err(format!("a time is outside 1 to {} milliseconds; write one within", DEADLINE_MS.end()));
        }
        Ok(())
    }
}

impl Provider {
    fn check(&self, earlier: &[&str]) -> Result<(), String> {
        let name = self.name.as_ref().as_str();
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        {
            return Err(String::from("the name has to be letters, digits, hyphens, underscores or points"));
        }
        if name == EXTRACTIVE {
            return Err(String::from(
                "this name belongs to the embedded provider, which is always there; choose another",
            ));
        }
        if earlier.contains(&name) {
            return Err(String::from("this name stands twice; choose another"));
        }
        if self.api_key_env.is_some() && self.api_key_file.is_some() {
            return Err(String::from("api_key_env and api_key_file exclude each other; keep one"));
        }
        if self.base_url.as_deref().is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
            return Err(String::from("base_url has to begin with https:// or http://"));
        }
        if let Some(problem) = region_problem(&self.region) {
            return Err(format!("region: {problem}"));
        }
        if self.concurrency == 0 || self.timeout_ms == 0 {
            return Err(String::from("concurrency and timeout_ms may not be 0"));
        }
        if self.requests_per_minute == Some(0) {
            return Err(String::from("requests_per_minute may not be 0; leave it out for no limit"));
        }
        self.priced().map(|_prices| ())
    }

    fn priced(&self) -> Result<BTreeMap<String, PriceList>, String> {
        let list = |(model, prices): (&String, &ModelPrices)| {
            Ok((model.clone(), prices.list().map_err(|problem| format!("price of {model}: {problem}"))?))
        };
        self.prices.iter().map(list).collect()
    }

    fn entry(&self, variable: &impl Fn(&str) -> Option<String>) -> Result<ProviderEntry, ConfigError> {
        let name = self.name.as_ref().clone();
        let secret = |problem: String| ConfigError::Secret { provider: name.clone(), problem };
        let api_key = self.secret(variable).map_err(secret)?;
        let prices = self.priced().map_err(secret)?;
        Ok(ProviderEntry {
            name,
            kind: self.kind.0.clone(),
            base_url: self.base_url.clone(),
            api_key,
            region: self.region.clone(),
            concurrency: self.concurrency,
            requests_per_minute: self.requests_per_minute,
            timeout_ms: self.timeout_ms,
            retries: self.retries,
            prices,
        })
    }

    fn secret(&self, variable: &impl Fn(&str) -> Option<String>) -> Result<Option<SecretString>, String> {
        let text = match (&self.api_key_env, &self.api_key_file) {
            (Some(name), _) => {
                variable(name).ok_or_else(|| format!("the environment variable {name} is not set; set it"))?
            }
            (None, Some(file)) => std::fs::read_to_string(file)
                .map_err(|cause| format!("{}: {cause}; put the key there", file.display()))?,
            (None, None) => return Ok(None),
        };
        let text = text.trim();
        if text.is_empty() {
            Err(String::from("it is empty; put the key there"))
        } else {
            Ok(Some(SecretString::from(text)))
        }
    }
}

#[cfg(test)]
mod tests;
