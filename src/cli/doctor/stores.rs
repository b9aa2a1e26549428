//! What the stores outside the node need: their secrets, and a region their tenant allows. None is asked.
use super::{Finding, State, finding};
use crate::config::Config;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::sovereignty::Flow;

/// What the configuration says of them.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    match config.corpus_buckets() {
        Err(error) => vec![finding("buckets", State::Bad, error.to_string())],
        Ok(_buckets) => {
            let words = |entry: &crate::config::BucketEntry| {
                format!("{} in {} is {}'s: it is asked when the server runs", entry.bucket, entry.region, entry.tenant)
            };
            config.buckets.iter().map(|entry| finding("buckets", State::Good, words(entry))).collect()
        }
    }
}

/// Whether the bucket a tenant names is declared for it, in a region it allows.
pub(super) fn of_tenant(name: &str, policy: &PolicySnapshot, config: &Config) -> Option<Finding> {
    let place = policy.tenant.corpus_bucket()?;
    let Some(entry) = config.buckets.iter().find(|entry| entry.bucket == place.bucket && entry.tenant == name) else {
        let words = format!(
            "{name}: {} is named, and no bucket of that name is declared for it: nothing is read. Declare it under [[buckets]] in \
             config.toml",
            place.written()
        );
        return Some(finding("buckets", State::Warning, words));
    };
    Some(match policy.sovereignty.clear(Flow::Fetch, entry.region.as_str()) {
        Ok(_cleared) => finding("buckets", State::Good, format!("{name}: its documents lie in {}", place.written())),
        Err(problem) => finding("buckets", State::Warning, format!("{name}: {problem}; nothing is read")),
    })
}
