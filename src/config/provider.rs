//! `[[providers]]`: model providers beside the embedded one, where their keys are, what they cost.
use super::{Config, ConfigError, ModelPrices};
use bailiwick_policy::sovereignty::{Region, region_problem};
use bailiwick_tenant::catalog::{Catalog, EXTRACTIVE, LOCAL_EMBEDDINGS, Price, PriceList, ProviderEntry};
use bailiwick_tenant::embedding::Registered;
use bailiwick_tenant::routing::providers;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

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
    /// Model of this node, as `bailiwick model list` names it; for the kind `local-embeddings` and no other. It costs nothing
    /// where `prices` says nothing else.
    #[serde(default)]
    pub model: Option<String>,
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

fn default_concurrency() -> usize {
    64
}

fn default_timeout_ms() -> u64 {
    20_000
}

fn default_retries() -> u32 {
    2
}

impl Provider {
    pub(super) fn check(&self, earlier: &[&str]) -> Result<(), String> {
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
        self.check_local()?;
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

    fn is_local(&self) -> bool {
        self.kind.0 == LOCAL_EMBEDDINGS
    }

    /// A model of this node is reached over no network; every other one is no model of this node.
    fn check_local(&self) -> Result<(), String> {
        let wrong = match (self.is_local(), &self.model) {
            (true, None) => "name the model: model = \"…\", with a name of `bailiwick model list`",
            (true, Some(_)) if self.base_url.is_some() || self.api_key_env.is_some() || self.api_key_file.is_some() => {
                "a model of this node is reached over no network; leave out base_url, api_key_env and api_key_file"
            }
            (false, Some(_)) => "`model` names a model of this node, for the kind `local-embeddings`; leave it out",
            (true | false, _) => return Ok(()),
        };
        Err(wrong.to_owned())
    }

    /// The registered model, which computes where the node is.
    fn local(&self, data: &Path, node: &Region) -> Result<Option<Arc<Registered>>, String> {
        let Some(model) = self.model.as_ref().filter(|_| self.is_local()) else { return Ok(None) };
        if self.region != node.as_str() {
            let (said, node) = (&self.region, node.as_str());
            return Err(format!(
                "it computes on this node, which is in {node:?}, not in {said:?}; write region = {node:?}"
            ));
        }
        Registered::find(data, model).map(Arc::new).map(Some).map_err(|error| error.to_string())
    }

    fn priced(&self) -> Result<BTreeMap<String, PriceList>, String> {
        let list = |(model, prices): (&String, &ModelPrices)| {
            Ok((model.clone(), prices.list().map_err(|problem| format!("price of {model}: {problem}"))?))
        };
        let mut prices: BTreeMap<String, PriceList> = self.prices.iter().map(list).collect::<Result<_, String>>()?;
        if let Some(model) = self.model.as_ref().filter(|_| self.is_local()) {
            prices.entry(model.clone()).or_insert_with(|| PriceList::from(Price::default()));
        }
        Ok(prices)
    }

    fn entry(&self, config: &Config, variable: &impl Fn(&str) -> Option<String>) -> Result<ProviderEntry, ConfigError> {
        let name = self.name.as_ref().clone();
        let secret = |problem: String| ConfigError::Secret { provider: name.clone(), problem };
        let api_key = self.secret(variable).map_err(secret)?;
        let prices = self.priced().map_err(secret)?;
        let wrong = |problem: String| ConfigError::Model { provider: name.clone(), problem };
        let local = self.local(&config.data, &config.region).map_err(wrong)?;
        // a model of this node has no more places than there are processors: what is shared is their time
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let concurrency = if local.is_some() { self.concurrency.min(processors) } else { self.concurrency };
        Ok(ProviderEntry {
            name,
            kind: self.kind.0.clone(),
            base_url: self.base_url.clone(),
            api_key,
            local,
            region: self.region.clone(),
            concurrency,
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

impl Config {
    /// The model catalogue, secrets read, the embedded provider always in it.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] where a secret is not where the file says; [`ConfigError::Model`] where a model of this node is not
    /// registered, or is said to be elsewhere.
    pub fn catalog(&self) -> Result<Catalog, ConfigError> {
        self.catalog_with(|name| std::env::var(name).ok())
    }

    pub(super) fn catalog_with(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Catalog, ConfigError> {
        let mut catalog = Catalog::default();
        catalog.providers.insert(EXTRACTIVE.to_owned(), Arc::new(ProviderEntry::embedded(&self.region)));
        for provider in &self.providers {
            let entry = provider.entry(self, &variable)?;
            catalog.providers.insert(entry.name.clone(), Arc::new(entry));
        }
        Ok(catalog)
    }
}
