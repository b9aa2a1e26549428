//! What the stores outside the node need: their secrets, a region their tenant allows, and that they are there. Buckets are not asked.
use super::{Finding, State, finding};
use crate::config::{Config, VectorStoreEntry};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::sovereignty::Flow;
use bailiwick_policy::stores::namespace_written;
use bailiwick_tenant::cache::{SharedService, SharedStore};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How long the cache has to answer, its connection included.
const ANSWERED: Duration = Duration::from_secs(6);
/// How long a server has to take a connection.
const CONNECT: Duration = Duration::from_secs(1);

/// What the configuration says of them, and whether the cache answers: it may be missing, and every question would be made anew.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = buckets(config);
    findings.extend(cache(config));
    findings.extend(vector_stores(config));
    findings
}

fn cache(config: &Config) -> Option<Finding> {
    let entry = config.shared_cache.as_ref()?;
    Some(match config.shared_answers() {
        Err(error) => finding("cache", State::Bad, error.to_string()),
        Ok(service) => asked(service?.as_ref(), &entry.url),
    })
}

/// Asks the cache as rooms would: over TLS, by its password, in its database.
fn asked(service: &SharedService, place: &str) -> Finding {
    let answered = |store: Arc<dyn SharedStore>| {
        actix_web::rt::System::new().block_on(async move {
            let answered = tokio::time::timeout(ANSWERED, store.ping()).await;
            answered.unwrap_or_else(|_elapsed| Err(format!("it did not answer within {} s", ANSWERED.as_secs())))
        })
    };
    if let Err(problem) = answered(Arc::clone(&service.under_tls12)) {
        let words = format!(
            "{place}: {problem}: answers are not shared, and each question is answered anew; start it, correct [shared_cache], or take \
             it out of config.toml"
        );
        return finding("cache", State::Warning, words);
    }
    match answered(Arc::clone(&service.under_tls13)) {
        Ok(()) => finding("cache", State::Good, format!("{place} in {} answers", service.region)),
        Err(problem) => {
            let words = format!("{place} is of no use to tenants whose lists ask for TLS 1.3: {problem}");
            finding("cache", State::Warning, words)
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FILE;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// A server that knows nothing but what every client says first, and PING.
    fn server(ping: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut writing = socket.unwrap();
                let reading = BufReader::new(writing.try_clone().unwrap());
                // a command is an array, and ends with its last word
                let mut lines = reading.lines();
                while let Some(Ok(count)) = lines.next() {
                    let words: usize = count.strip_prefix('*').unwrap().parse().unwrap();
                    let said: Vec<String> = lines.by_ref().take(2 * words).map(Result::unwrap).collect();
                    writing.write_all(if said[1] == "PING" { ping } else { "+OK\r\n" }.as_bytes()).unwrap();
                }
            }
        });
        port
    }

    fn found(port: u16) -> Finding {
        let text = format!("[shared_cache]\nurl = \"redis://127.0.0.1:{port}\"\nregion = \"eu-west-1\"\n");
        let mut findings = findings(&Config::parse(FILE, &text).unwrap());
        assert_eq!(findings.len(), 1);
        findings.remove(0)
    }

    #[test]
    fn a_cache_that_answers_is_told_from_one_that_takes_connections_and_from_none() {
        let good = found(server("+PONG\r\n"));
        assert_eq!(good.state, State::Good, "{good:?}");
        let other = found(server("-ERR no such thing here\r\n"));
        assert!(other.state == State::Warning && other.words.contains("no such thing here"), "{other:?}");
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let none = found(closed);
        assert!(none.state == State::Warning && none.words.contains("answered anew"), "{none:?}");
    }
}
