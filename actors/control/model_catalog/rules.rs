//! What makes a catalogue sound.
use bailiwick_tenant::catalog::{Catalog, EXTRACTIVE, ProviderEntry};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Answers of the embedded provider that may be made at the same time, over all tenants.
const EXTRACTIVE_CONCURRENCY: usize = 64;
/// The embedded provider gives up after this long.
const EXTRACTIVE_TIMEOUT_MS: u64 = 10_000;

/// Checks a catalogue and adds the embedded provider where it is missing.
///
/// # Errors
/// Everything that is wrong, one sentence each.
pub fn sound(mut catalog: Catalog) -> Result<Catalog, Vec<String>> {
    let problems: Vec<_> = catalog.providers.iter().flat_map(|(name, entry)| problems_of(name, entry)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    catalog.providers.entry(EXTRACTIVE.to_owned()).or_insert_with(|| Arc::new(embedded()));
    Ok(catalog)
}

fn embedded() -> ProviderEntry {
    ProviderEntry {
        name: EXTRACTIVE.to_owned(),
        kind: EXTRACTIVE.to_owned(),
        base_url: None,
        api_key: None,
        // runs where the tenant is: routing takes the tenant's home region
        region: String::new(),
        concurrency: EXTRACTIVE_CONCURRENCY,
        requests_per_minute: None,
        timeout_ms: EXTRACTIVE_TIMEOUT_MS,
        retries: 0,
        prices: BTreeMap::new(),
    }
}

fn problems_of(name: &str, entry: &ProviderEntry) -> Vec<String> {
    let checks = [
        (entry.name != name, format!("its own name is {:?}; the two must be equal", entry.name)),
        (
            name == EXTRACTIVE && entry.kind != EXTRACTIVE,
            "this name is the embedded provider's; choose another one".to_owned(),
        ),
        (
            entry.kind != EXTRACTIVE && entry.region.is_empty(),
            "it has no region; without one no tenant's sovereignty can allow it".to_owned(),
        ),
        (entry.concurrency == 0, "its concurrency is 0, so it could never be called; give at least 1".to_owned()),
        (entry.timeout_ms == 0, "its timeout is 0 ms, so every call would fail; give at least 1".to_owned()),
    ];
    checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, what)| format!("provider {name}: {what}")).collect()
}
