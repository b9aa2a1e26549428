//! The model catalogue: which providers exist, where they run and what they cost. Made by the control plane from
//! `config.toml`, handed to rooms as an immutable snapshot.
use crate::embedding::Registered;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::sovereignty::Region;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Name of the embedded provider that needs no key and no network.
pub const EXTRACTIVE: &str = "extractive";
/// Kind of the providers that embed with a model of this node.
pub const LOCAL_EMBEDDINGS: &str = "local-embeddings";
/// Answers of the embedded provider that may be made at the same time, over all tenants: it uses this machine's processors.
const EXTRACTIVE_CONCURRENCY: usize = 64;
/// The embedded provider gives up after this long.
const EXTRACTIVE_TIMEOUT_MS: u64 = 10_000;

/// Price of one token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Price {
    /// Per prompt token.
    pub input_nano_usd_per_token: u64,
    /// Per token of the answer.
    pub output_nano_usd_per_token: u64,
}

impl Price {
    /// What the given tokens cost; stops at the largest amount, which no budget holds.
    #[must_use]
    pub fn of(self, prompt_tokens: u64, completion_tokens: u64) -> NanoUsd {
        NanoUsd(self.input_nano_usd_per_token)
            .saturating_times(prompt_tokens)
            .saturating_add(NanoUsd(self.output_nano_usd_per_token).saturating_times(completion_tokens))
    }
}

/// The prices of one model, each valid until the next one begins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PriceList {
    by_start_unix_ms: BTreeMap<u64, Price>,
}

impl PriceList {
    /// Prices by the time each begins to be valid.
    #[must_use]
    pub fn new(by_start_unix_ms: BTreeMap<u64, Price>) -> Self {
        Self { by_start_unix_ms }
    }

    /// The price in force at a time, or `None` before the first one begins.
    #[must_use]
    pub fn at(&self, now_unix_ms: u64) -> Option<Price> {
        self.by_start_unix_ms.range(..=now_unix_ms).next_back().map(|(_, price)| *price)
    }
}

impl From<Price> for PriceList {
    /// A price that is valid at any time.
    fn from(price: Price) -> Self {
        Self::new(BTreeMap::from([(0, price)]))
    }
}

/// One provider of `config.toml`.
#[derive(Clone, Debug)]
pub struct ProviderEntry {
    /// Name routes use.
    pub name: String,
    /// `openai`, `anthropic`, `local-embeddings` or `extractive`: a line of the providers' table.
    pub kind: String,
    /// Base URL, for kinds that have one.
    pub base_url: Option<String>,
    /// Secret, already read from its reference.
    pub api_key: Option<secrecy::SecretString>,
    /// The registered model, for kinds that compute on this node.
    pub local: Option<Arc<Registered>>,
    /// Region it runs in.
    pub region: String,
    /// Calls in flight at most, over all tenants.
    pub concurrency: usize,
    /// Calls a minute at most, over all tenants; no limit where absent.
    pub requests_per_minute: Option<u32>,
    /// A call that takes longer is given up.
    pub timeout_ms: u64,
    /// Tries after the first, on failures that may pass.
    pub retries: u32,
    /// Prices by model; a model without a price in force is not called.
    pub prices: BTreeMap<String, PriceList>,
}

impl ProviderEntry {
    /// The embedded provider of a node: no key, no network, no price. It runs inside the node, so that what it reads is in
    /// the node's region, whatever a tenant's file says.
    #[must_use]
    pub fn embedded(node: &Region) -> Self {
        Self {
            name: EXTRACTIVE.to_owned(),
            kind: EXTRACTIVE.to_owned(),
            base_url: None,
            api_key: None,
            local: None,
            region: node.to_string(),
            concurrency: EXTRACTIVE_CONCURRENCY,
            requests_per_minute: None,
            timeout_ms: EXTRACTIVE_TIMEOUT_MS,
            retries: 0,
            prices: BTreeMap::new(),
        }
    }

    /// True where what is sent to it travels without TLS beyond this machine.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        let Some(base_url) = &self.base_url else { return false };
        url::Url::parse(base_url).map_or(true, |url| {
            let stays_here = match url.host() {
                Some(url::Host::Domain(name)) => name == "localhost",
                Some(url::Host::Ipv4(address)) => address.is_loopback(),
                Some(url::Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            };
            url.scheme() != "https" && !stays_here
        })
    }

    /// The price of one of its models in force at a time, or `None` where it may not be called then.
    #[must_use]
    pub fn price_at(&self, model: &str, now_unix_ms: u64) -> Option<Price> {
        self.prices.get(model)?.at(now_unix_ms)
    }
}

/// All providers.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By name.
    pub providers: BTreeMap<String, Arc<ProviderEntry>>,
}

impl Catalog {
    /// The price of a model in force at a time, or `None` where it may not be called then.
    #[must_use]
    pub fn price_at(&self, provider: &str, model: &str, now_unix_ms: u64) -> Option<Price> {
        if provider == EXTRACTIVE {
            return Some(Price::default());
        }
        self.providers.get(provider)?.price_at(model, now_unix_ms)
    }
}
