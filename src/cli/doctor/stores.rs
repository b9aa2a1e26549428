//! What the stores outside the node need: their secrets, a region their tenant allows, and that they are there. Buckets are not asked.
use super::{Finding, State, finding};
use crate::config::{Config, VectorStoreEntry};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::sovereignty::Flow;
use bailiwick_policy::stores::namespace_written;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a server has to take a connection.
const CONNECT: Duration = Duration::from_secs(1);

/// What the configuration says of them, and whether the cache is there: it may be missing, and every question would be made anew.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = buckets(config);
    findings.extend(config.shared_cache.as_ref().map(|entry| match (config.shared_answers(), entry.address()) {
        (Err(error), _) => finding("cache", State::Bad, error.to_string()),
        (_, Err(problem)) => finding("cache", State::Bad, problem),
        (Ok(_service), Ok((host, port))) => {
            if takes_connections(&host, port) {
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
    findings.extend(vector_stores(config));
    findings
}

fn takes_connections(host: &str, port: u16) -> bool {
    let addresses = (host, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    addresses.iter().any(|address| TcpStream::connect_timeout(address, CONNECT).is_ok())
}

fn vector_stores(config: &Config) -> Vec<Finding> {
    if let Err(error) = config.stores_of_vectors() {
        return vec![finding("vectors", State::Bad, error.to_string())];
    }
    let of = |entry: &VectorStoreEntry| match entry.address() {
        Err(problem) => finding("vectors", State::Bad, problem),
        Ok((host, port)) if takes_connections(&host, port) => {
            let VectorStoreEntry { namespace, region, tenant, .. } = entry;
            finding(
                "vectors",
                State::Good,
                format!("{namespace} in {region} is {tenant}'s: {host}:{port} takes connections"),
            )
        }
        Ok((host, port)) => {
            let words = format!(
                "{}: {host}:{port} takes no connection: {}'s questions are searched by their words meanwhile; start it",
                entry.namespace, entry.tenant
            );
            finding("vectors", State::Warning, words)
        }
    };
    config.vector_stores.iter().map(of).collect()
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

/// Whether what a tenant names is declared for it, in a region it allows.
pub(super) fn of_tenant(name: &str, policy: &PolicySnapshot, config: &Config) -> Vec<Finding> {
    bucket_of(name, policy, config).into_iter().chain(vectors_of(name, policy, config)).collect()
}

fn vectors_of(name: &str, policy: &PolicySnapshot, config: &Config) -> Option<Finding> {
    let namespace = policy.tenant.index_namespace()?;
    let written = namespace_written(namespace);
    let entry = config.vector_stores.iter().find(|entry| entry.namespace == namespace && entry.tenant == name);
    let Some(entry) = entry else {
        let words = format!(
            "{name}: {written} is named, and no namespace of that name is declared for it: its questions are searched by their words. \
             Declare it under [[vector_stores]] in config.toml"
        );
        return Some(finding("vectors", State::Warning, words));
    };
    if policy.dense.is_none() {
        let words =
            format!("{name}: {written} is named, and retrieval.yaml has no settings.dense: there are no vectors");
        return Some(finding("vectors", State::Warning, words));
    }
    Some(match policy.sovereignty.clear(Flow::Index, entry.region.as_str()) {
        Ok(_cleared) => finding("vectors", State::Good, format!("{name}: its vectors are searched in {written}")),
        Err(problem) => finding("vectors", State::Warning, format!("{name}: {problem}; nothing is put there")),
    })
}

fn bucket_of(name: &str, policy: &PolicySnapshot, config: &Config) -> Option<Finding> {
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
