//! What the stores outside the node need: their secrets, and a region their tenant allows. Buckets are not asked.
use super::{Finding, State, finding};
use crate::config::Config;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::sovereignty::Flow;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long the cache has to take a connection.
const CONNECT: Duration = Duration::from_secs(1);

/// What the configuration says of them, and whether the cache is there: it may be missing, and every question would be made anew.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = buckets(config);
    findings.extend(config.shared_cache.as_ref().map(|entry| match (config.shared_answers(), entry.address()) {
        (Err(error), _) => finding("cache", State::Bad, error.to_string()),
        (_, Err(problem)) => finding("cache", State::Bad, problem),
        (Ok(_service), Ok((host, port))) => {
            let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
            if addresses.iter().any(|address| TcpStream::connect_timeout(address, CONNECT).is_ok()) {
                let words = format!("{host}:{port} in {} takes connections", entry.region);
                finding("cache", State::Good, words)
            } else {
                let words = format!(
                    "{host}:{port} takes no connection: answers are not shared, and each question is answered anew; start it or take \
                     [shared_cache] out of config.toml"
                );
                finding("cache", State::Warning, words)
            }
        }
    }));
    findings
}

fn buckets(config: &Config) -> Vec<Finding> {
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
