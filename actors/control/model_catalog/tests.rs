use super::ModelCatalog;
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::catalog::{Catalog, EXTRACTIVE, ProviderEntry};
use std::collections::BTreeMap;
use std::sync::Arc;

fn entry(name: &str) -> ProviderEntry {
    ProviderEntry {
        name: name.into(),
        kind: "openai".into(),
        base_url: None,
        api_key: None,
        local: None,
        region: "eu-west-1".into(),
        concurrency: 1,
        requests_per_minute: None,
        timeout_ms: 1,
        retries: 0,
        prices: BTreeMap::new(),
    }
}

fn catalog(key: &str, entry: ProviderEntry) -> Catalog {
    Catalog { providers: BTreeMap::from([(key.to_owned(), Arc::new(entry))]) }
}

#[test]
fn the_embedded_provider_is_always_there() {
    let models = ModelCatalog::new(Catalog::default(), Region::default()).unwrap();
    assert!(models.snapshot().providers.contains_key(EXTRACTIVE));
    let held = models.snapshot();
    models.replace(catalog("one", entry("one"))).unwrap();
    assert!(!held.providers.contains_key("one"), "a snapshot never changes under its holder");
    assert!(models.snapshot().providers.contains_key("one") && models.snapshot().providers.contains_key(EXTRACTIVE));
}

#[test]
fn an_unsound_catalogue_is_not_taken() {
    type Spoil = fn(&mut ProviderEntry);
    let spoils: [(&str, Spoil); 4] = [
        ("name", |entry| entry.name = "two".into()),
        ("region", |entry| entry.region.clear()),
        ("concurrency", |entry| entry.concurrency = 0),
        ("timeout", |entry| entry.timeout_ms = 0),
    ];
    let models = ModelCatalog::new(catalog("good", entry("good")), Region::default()).unwrap();
    for (word, spoil) in spoils {
        let mut bad = entry("one");
        spoil(&mut bad);
        let problems = models.replace(catalog("one", bad)).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(word), "{problems:?}");
    }
    assert!(models.replace(catalog(EXTRACTIVE, entry(EXTRACTIVE))).is_err(), "the name is reserved");
    assert!(models.snapshot().providers.contains_key("good"), "the one in force stays");
}
