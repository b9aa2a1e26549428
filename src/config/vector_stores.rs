//! `[[vector_stores]]`: the collections tenants' vectors may be searched in, where each is and under which key it is asked. Read at
//! the start; keys stand here by reference.
use super::{Config, ConfigError};
use bailiwick_control::identity::issuer::nobody_on_the_way_may_change;
use bailiwick_policy::sovereignty::{InTransit, Region};
use bailiwick_policy::stores::namespace_problem;
use bailiwick_tenant::vector_store::{QdrantAccess, VectorStore, VectorStores, open_qdrant};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use std::time::Duration;
use url::Url;

const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 5..=5_000;
/// The port of an address that names none.
const PORT: u16 = 6_333;

/// One collection, and the tenant that may name it as its `storage.index_namespace`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorStoreEntry {
    /// The collection's name. The node makes, fills and deletes it.
    pub namespace: String,
    /// The tenant whose collection it is; no other one may name it.
    pub tenant: String,
    /// Address of the server; https, or plain http to this machine. Port 6333 where it names none.
    pub url: String,
    /// Where it is, as tenants' `data-sovereignty.yaml` names it. Nothing of a tenant that does not allow it is put there.
    #[schemars(with = "String")]
    pub region: Region,
    /// Environment variable that holds the key requests bear; none where absent.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// Milliseconds a question waits for it at most (5 to 5000; 200 where absent).
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

fn default_timeout_ms() -> u64 {
    200
}

impl VectorStoreEntry {
    /// Checks what can be checked without secrets.
    pub(super) fn check(&self, earlier: &[&str]) -> Result<(), String> {
        if let Some(problem) = namespace_problem(&self.namespace) {
            return Err(problem);
        }
        if earlier.contains(&self.namespace.as_str()) {
            return Err("this namespace stands twice; a namespace is one tenant's, in one place".to_owned());
        }
        if self.tenant.trim().is_empty() {
            return Err("tenant: write the name of the tenant whose vectors are searched there".to_owned());
        }
        if !TIMEOUT_MS.contains(&self.timeout_ms) {
            let (least, most) = (TIMEOUT_MS.start(), TIMEOUT_MS.end());
            return Err(format!("timeout_ms is {}; write {least} to {most}", self.timeout_ms));
        }
        self.server().map(drop)
    }

    fn server(&self) -> Result<Url, String> {
        let text = &self.url;
        let mut url = Url::parse(text).map_err(|error| format!("url {text:?} is no address: {error}"))?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !nobody_on_the_way_may_change(&url) || !is_plain || url.fragment().is_some() {
            return Err(format!(
                "url {text:?}: write an https address without a password (plain http to this machine only)"
            ));
        }
        if !names_port(text) {
            url.set_port(Some(PORT)).map_err(|()| format!("url {text:?} takes no port"))?;
        }
        Ok(url)
    }

    /// Host and port, to be tried.
    pub(crate) fn address(&self) -> Result<(String, u16), String> {
        let url = self.server()?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Ok((host, url.port_or_known_default().unwrap_or(PORT)))
    }

    fn store(&self, variable: &impl Fn(&str) -> Option<String>) -> Result<VectorStore, String> {
        let key = self.api_key_env.as_ref().map(|name| {
            let found = variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
            let unset = || format!("the environment variable {name} is not set; set it");
            found.map(SecretString::from).ok_or_else(unset)
        });
        let access =
            QdrantAccess { server: self.server()?, collection: self.namespace.clone(), api_key: key.transpose()? };
        Ok(VectorStore {
            namespace: self.namespace.clone(),
            region: self.region.clone(),
            tenant: self.tenant.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            under_tls12: open_qdrant(&access, InTransit::Tls12)?,
            under_tls13: open_qdrant(&access, InTransit::Tls13)?,
        })
    }
}

/// Whether an address names a port, which a parsed one does not say where it is the usual one.
fn names_port(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit_once(']').map_or(host, |(_, behind)| behind).contains(':')
}

impl Config {
    /// The vector stores of this node, with keys read. None is asked.
    ///
    /// # Errors
    /// [`ConfigError::VectorStore`] where a key is not where the file says.
    pub fn stores_of_vectors(&self) -> Result<VectorStores, ConfigError> {
        self.stores_of_vectors_with(|name| std::env::var(name).ok())
    }

    fn stores_of_vectors_with(&self, variable: impl Fn(&str) -> Option<String>) -> Result<VectorStores, ConfigError> {
        let open = |entry: &VectorStoreEntry| {
            let failed = |problem| ConfigError::VectorStore { namespace: entry.namespace.clone(), problem };
            entry.store(&variable).map_err(failed)
        };
        Ok(VectorStores::new(self.vector_stores.iter().map(open).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, FILE};

    const SOUND: &str = "[[vector_stores]]\nnamespace = \"tenant-acme\"\ntenant = \"acme\"\nurl = \"https://vectors.example\"\n\
                         region = \"eu-west-1\"\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(FILE, text).map_err(|error| error.problem)
    }

    #[test]
    fn a_namespace_is_its_tenants_alone_and_its_key_stands_elsewhere() {
        assert!(parse("").unwrap().stores_of_vectors().is_ok());
        let config = parse(&format!("{SOUND}api_key_env = \"VECTORS_KEY\"\n")).unwrap();
        let stores = config.stores_of_vectors_with(|_| Some("hidden".to_owned())).unwrap();
        assert!(!format!("{stores:?}").contains("hidden"), "{stores:?}");
        assert!(format!("{:?}", stores.of("acme")).contains("https://vectors.example:6333/collections/tenant-acme"));
        assert!(!format!("{:?}", stores.of("beta")).contains("tenant-acme"));
        let unset = config.stores_of_vectors_with(|_| None).unwrap_err().to_string();
        assert!(unset.contains("VECTORS_KEY") && unset.contains("tenant-acme"), "{unset}");
    }

    #[test]
    fn an_address_without_a_port_has_the_usual_one() {
        for (url, host, port) in [
            ("https://vectors.example", "vectors.example", 6_333),
            ("https://vectors.example:443/qdrant/", "vectors.example", 443),
            ("http://[::1]", "::1", 6_333),
            ("http://[::1]:80", "::1", 80),
            ("http://127.0.0.1:7000", "127.0.0.1", 7_000),
        ] {
            let config = parse(&SOUND.replace("https://vectors.example", url)).unwrap();
            assert_eq!(config.vector_stores[0].address(), Ok((host.to_owned(), port)), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, expected) in [
            (SOUND.replace("region = \"eu-west-1\"\n", ""), "region"),
            (SOUND.replace("url = \"https://vectors.example\"\n", ""), "url"),
            (SOUND.replace("tenant-acme", "Acme"), "namespace"),
            (SOUND.replace("\"acme\"", "\" \""), "tenant"),
            (format!("{SOUND}{SOUND}"), "twice"),
            (SOUND.replace("https", "http"), "https"),
            (SOUND.replace("vectors.example", "me:secret@vectors.example"), "password"),
            (SOUND.replace("vectors.example", "vectors.example?key=x"), "https"),
            (format!("{SOUND}timeout_ms = 1\n"), "timeout_ms"),
            (format!("{SOUND}api_key = \"x\"\n"), "api_key"),
        ] {
            let problem = parse(&text).unwrap_err();
            assert!(problem.contains(expected), "{problem}\nfor {text}");
        }
    }
}
