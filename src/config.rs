//! `config.toml`: one node. Unknown keys are refused with file, line and the nearest known key; secrets stand here by
//! reference only; prices become whole nano-dollars per token or are refused.
use crate::gateway::hints::with_nearest_key;
use bailiwick_policy::parse::FileError;
use bailiwick_policy::sovereignty::Region;
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

mod alerts;
mod buckets;
mod checkpoints;
mod guardrails;
mod issuers;
mod kms;
mod limits;
mod otel;
mod prices;
mod provider;
mod shared_cache;
mod tls;
mod variables;
mod vector_stores;

pub use alerts::{AlertKind, AlertTarget, Smtp, SmtpSecurity};
pub use buckets::BucketEntry;
pub use checkpoints::Checkpoints;
pub use issuers::TrustedIssuer;
pub use kms::Kms;
pub use limits::Limits;
pub use otel::Otel;
pub use prices::{ModelPrice, ModelPrices};
pub use provider::{Provider, ProviderKind};
pub use shared_cache::SharedCacheEntry;
pub use tls::{ClientCertificates, Tls};
pub use vector_stores::VectorStoreEntry;

/// The file's name where none is given.
pub const FILE: &str = "config.toml";

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
    /// Where signed heads of journals are published; nowhere where absent.
    #[serde(default)]
    pub checkpoints: Vec<Checkpoints>,
    /// TLS of the gateway; plain HTTP where absent.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Who is told when a tenant's service level is being lost; nobody where absent.
    #[serde(default)]
    pub alerts: Vec<AlertTarget>,
    /// A cache outside in which nodes share tenants' answers; none where absent.
    #[serde(default)]
    pub shared_cache: Option<SharedCacheEntry>,
    /// Buckets tenants' documents may lie in; none where absent.
    #[serde(default)]
    pub buckets: Vec<BucketEntry>,
    /// Collections tenants' vectors may be searched in; none where absent.
    #[serde(default)]
    pub vector_stores: Vec<VectorStoreEntry>,
    /// The root key.
    #[serde(default)]
    pub kms: Kms,
    /// The console.
    #[serde(default)]
    pub console: Console,
    /// Logs and metrics.
    #[serde(default)]
    pub observability: Observability,
    /// Where traces are sent; nowhere where absent.
    #[serde(default)]
    pub otel: Option<Otel>,
}

/// The console.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Serve `/console`.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Logs and metrics.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Observability {
    /// Form of a log line.
    #[serde(default)]
    pub log: LogFormat,
    /// What is logged, such as `info` or `bailiwick=debug,info`.
    #[serde(default = "default_filter")]
    pub filter: String,
    /// Tenants whose metrics are kept apart; those beyond are counted together, as `other`.
    #[serde(default = "default_tenants_max")]
    pub tenants_max: usize,
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

fn default_filter() -> String {
    String::from("info")
}

fn default_tenants_max() -> usize {
    1_000
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
        Self { log: LogFormat::default(), filter: default_filter(), tenants_max: default_tenants_max() }
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
            checkpoints: Vec::new(),
            tls: None,
            alerts: Vec::new(),
            shared_cache: None,
            buckets: Vec::new(),
            vector_stores: Vec::new(),
            kms: Kms::default(),
            console: Console::default(),
            observability: Observability::default(),
            otel: None,
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
    /// What a key service is asked with is not where the file says it is.
    #[error("reading what the key services of [[kms.providers]] are asked with: {0}")]
    KeyService(String),
    /// A secret of an alert target is not where the file says it is.
    #[error("reading the alert target {target}: {problem}")]
    Alert {
        /// Which.
        target: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A secret of a bucket is not where the file says it is, or the bucket cannot be asked.
    #[error("opening the bucket {bucket} of [[buckets]]: {problem}")]
    Bucket {
        /// Which.
        bucket: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The key of a vector store is not where the file says it is.
    #[error("opening the namespace {namespace} of [[vector_stores]]: {problem}")]
    VectorStore {
        /// Which.
        namespace: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The secret of the shared cache is not where the file says it is.
    #[error("opening the cache of [shared_cache]: {0}")]
    SharedCache(String),
    /// A model of this node cannot be used.
    #[error("opening provider {provider}: {problem}")]
    Model {
        /// Whose.
        provider: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// What the collector of traces asks for is not where the file says it is.
    #[error("reading the headers of [otel]: {0}")]
    Otel(String),
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
        let tls = config.tls.as_ref().map_or(Ok(()), Tls::check);
        tls.map_err(|problem| at(file, text, text.find("[tls]").unwrap_or(0), problem))?;
        config.kms.check().map_err(|problem| at(file, text, text.find("[kms]").unwrap_or(0), problem))?;
        let otel = config.otel.as_ref().map_or(Ok(()), Otel::check);
        otel.map_err(|problem| at(file, text, text.find("[otel]").unwrap_or(0), problem))?;
        let mut names: Vec<&str> = Vec::new();
        for provider in &config.providers {
            let name = provider.name.as_ref().as_str();
            provider
                .check(&names)
                .map_err(|problem| at(file, text, provider.name.span().start, format!("provider {name}: {problem}")))?;
            names.push(name);
        }
        let mut places: Vec<&str> = Vec::new();
        for place in &config.checkpoints {
            let name = place.name.as_ref().as_str();
            place
                .check(&places)
                .map_err(|problem| at(file, text, place.name.span().start, format!("checkpoints {name}: {problem}")))?;
            places.push(name);
        }
        let mut told: Vec<&str> = Vec::new();
        for alert in &config.alerts {
            alert.check(&told).map_err(|problem| {
                at(file, text, text.find("[[alerts]]").unwrap_or(0), format!("alert target {}: {problem}", alert.name))
            })?;
            told.push(&alert.name);
        }
        let shared = config.shared_cache.as_ref().map_or(Ok(()), SharedCacheEntry::check);
        shared.map_err(|problem| at(file, text, text.find("[shared_cache]").unwrap_or(0), problem))?;
        let mut buckets: Vec<&str> = Vec::new();
        for entry in &config.buckets {
            entry.check(&buckets).map_err(|problem| {
                at(file, text, text.find("[[buckets]]").unwrap_or(0), format!("bucket {}: {problem}", entry.bucket))
            })?;
            buckets.push(&entry.bucket);
        }
        let mut namespaces: Vec<&str> = Vec::new();
        for entry in &config.vector_stores {
            entry.check(&namespaces).map_err(|problem| {
                let problem = format!("namespace {}: {problem}", entry.namespace);
                at(file, text, text.find("[[vector_stores]]").unwrap_or(0), problem)
            })?;
            namespaces.push(&entry.namespace);
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

#[cfg(test)]
mod tests;
