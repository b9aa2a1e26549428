//! What makes a catalogue sound.
use bailiwick_policy::sovereignty::{Region, region_problem};
use bailiwick_tenant::catalog::{Catalog, EXTRACTIVE, ProviderEntry};
use std::sync::Arc;

/// Checks a catalogue and adds the embedded provider where it is missing.
///
/// # Errors
/// Everything that is wrong, one sentence each.
pub fn sound(mut catalog: Catalog, node: &Region) -> Result<Catalog, Vec<String>> {
    let problems: Vec<_> = catalog.providers.iter().flat_map(|(name, entry)| problems_of(name, entry)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    catalog.providers.entry(EXTRACTIVE.to_owned()).or_insert_with(|| Arc::new(ProviderEntry::embedded(node)));
    Ok(catalog)
}

fn problems_of(name: &str, entry: &ProviderEntry) -> Vec<String> {
    let checks = [
        (entry.name != name, format!("its own name is {:?}; the two must be equal", entry.name)),
        (
            name == EXTRACTIVE && entry.kind != EXTRACTIVE,
            "this name is the embedded provider's; choose another one".to_owned(),
        ),
        (
            region_problem(&entry.region).is_some(),
            "it has no region; without one no tenant's sovereignty can allow it".to_owned(),
        ),
        (entry.concurrency == 0, "its concurrency is 0, so it could never be called; give at least 1".to_owned()),
        (entry.timeout_ms == 0, "its timeout is 0 ms, so every call would fail; give at least 1".to_owned()),
    ];
    checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, what)| format!("provider {name}: {what}")).collect()
}
