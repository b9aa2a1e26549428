//! The clients of all providers: made once for the process from the catalogue, shared by every tenant's routing room.
use super::pace::Pace;
use super::providers::{ALL, Provider, ProviderError};
use crate::catalog::{Catalog, EXTRACTIVE, ProviderEntry};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Calls in flight of the embedded provider where the catalogue does not list it: it uses this machine's processors.
const EMBEDDED_CONCURRENCY: usize = 16;
const EMBEDDED_TIMEOUT_MS: u64 = 30_000;

/// One provider, ready to be called.
pub struct Client {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// A place for each call in flight, over all tenants.
    pub places: Arc<Semaphore>,
    /// How fast it may be called, over all tenants.
    pub pace: Pace,
    /// Its entry in the catalogue.
    pub entry: Arc<ProviderEntry>,
}

impl Client {
    /// True for a provider that runs inside this process: the text it reads leaves for no region.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.entry.kind == EXTRACTIVE
    }
}

/// All providers by name.
#[derive(Default)]
pub struct Clients(BTreeMap<String, Client>);

impl Clients {
    /// Opens a client for every entry of the catalogue, and the embedded provider where the catalogue leaves it out.
    ///
    /// # Errors
    /// The entry that cannot be opened and why: an unknown kind, a base URL that is none, an unusable key.
    pub fn open(catalog: &Catalog) -> Result<Self, ProviderError> {
        let mut clients = BTreeMap::new();
        for (name, entry) in &catalog.providers {
            clients.insert(name.clone(), open_one(entry)?);
        }
        if !clients.contains_key(EXTRACTIVE) && ALL.iter().any(|(kind, _)| *kind == EXTRACTIVE) {
            clients.insert(EXTRACTIVE.to_owned(), open_one(&Arc::new(embedded_entry()))?);
        }
        Ok(Self(clients))
    }

    /// The client of a provider, or `None` where there is none of that name.
    #[must_use]
    pub fn get(&self, provider: &str) -> Option<&Client> {
        self.0.get(provider)
    }

    /// Adds a provider that stands in no table.
    #[cfg(test)]
    pub(crate) fn with(mut self, entry: ProviderEntry, provider: Arc<dyn Provider>) -> Self {
        let places = Arc::new(Semaphore::new(entry.concurrency));
        let pace = Pace::per_minute(entry.requests_per_minute);
        let client = Client { provider, places, pace, entry: Arc::new(entry) };
        self.0.insert(client.entry.name.clone(), client);
        self
    }
}

fn open_one(entry: &Arc<ProviderEntry>) -> Result<Client, ProviderError> {
    let Some((_, open)) = ALL.iter().find(|(kind, _)| *kind == entry.kind) else {
        let known: Vec<&str> = ALL.iter().map(|(kind, _)| *kind).collect();
        return Err(ProviderError::Lasting(format!(
            "opening provider {}: kind {} is not one of {}; correct it in config.toml",
            entry.name,
            entry.kind,
            known.join(", ")
        )));
    };
    let places = Arc::new(Semaphore::new(entry.concurrency.clamp(1, Semaphore::MAX_PERMITS)));
    let pace = Pace::per_minute(entry.requests_per_minute);
    Ok(Client { provider: open(entry)?, places, pace, entry: Arc::clone(entry) })
}

fn embedded_entry() -> ProviderEntry {
    ProviderEntry {
        name: EXTRACTIVE.into(),
        kind: EXTRACTIVE.into(),
        base_url: None,
        api_key: None,
        region: String::new(),
        concurrency: EMBEDDED_CONCURRENCY,
        requests_per_minute: None,
        timeout_ms: EMBEDDED_TIMEOUT_MS,
        retries: 0,
        prices: BTreeMap::new(),
    }
}
