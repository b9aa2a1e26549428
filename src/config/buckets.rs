//! `[[buckets]]`: the buckets tenants' documents may lie in, where each is and who asks for what lies in it. Read at the start;
//! secrets stand here by reference.
use super::variables::{AwsCredentials, AwsVariables, Variable};
use super::{Config, ConfigError};
use bailiwick_control::identity::issuer::nobody_on_the_way_may_change;
use bailiwick_policy::sovereignty::{InTransit, Region};
use bailiwick_policy::stores::bucket_problem;
use bailiwick_tenant::bucket::{Bucket, Buckets, S3Access, open};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;
use url::Url;

const EVERY_S: std::ops::RangeInclusive<u64> = 1..=86_400;
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 100..=300_000;

/// One bucket, and the tenant that may name it as its `storage.corpus_bucket`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BucketEntry {
    /// The bucket's name.
    pub bucket: String,
    /// The tenant whose bucket it is; no other one may name it.
    pub tenant: String,
    /// Where it is, as tenants' `data-sovereignty.yaml` names it, and as requests are signed for it.
    #[schemars(with = "String")]
    pub region: Region,
    /// Address of an S3-compatible server; https, or plain http to this machine. AWS's own for the region where absent.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Environment variable that holds the name of the access key; `AWS_ACCESS_KEY_ID` where absent.
    #[serde(default)]
    pub access_key_id_env: Option<String>,
    /// Environment variable that holds the access key; `AWS_SECRET_ACCESS_KEY` where absent.
    #[serde(default)]
    pub secret_access_key_env: Option<String>,
    /// Environment variable that holds the token of temporary credentials; none where absent.
    #[serde(default)]
    pub session_token_env: Option<String>,
    /// Seconds between two looks (1 to 86400; 60 where absent).
    #[serde(default = "default_every_s")]
    pub every_s: u64,
    /// Milliseconds one request may take (100 to 300000; 30000 where absent).
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

fn default_every_s() -> u64 {
    60
}

fn default_timeout_ms() -> u64 {
    30_000
}

impl BucketEntry {
    /// Checks what can be checked without secrets.
    pub(super) fn check(&self, earlier: &[&str]) -> Result<(), String> {
        if let Some(problem) = bucket_problem(&self.bucket) {
            return Err(problem);
        }
        if earlier.contains(&self.bucket.as_str()) {
            return Err("this bucket stands twice; a bucket is one tenant's".to_owned());
        }
        if self.tenant.trim().is_empty() {
            return Err("tenant: write the name of the tenant whose bucket it is".to_owned());
        }
        let figures = [("every_s", self.every_s, EVERY_S), ("timeout_ms", self.timeout_ms, TIMEOUT_MS)];
        for (name, value, range) in figures {
            if !range.contains(&value) {
                return Err(format!("{name} is {value}; write {} to {}", range.start(), range.end()));
            }
        }
        self.address().map(drop)
    }

    fn server(&self) -> Result<Option<Url>, String> {
        let Some(text) = &self.endpoint else { return Ok(None) };
        let url = Url::parse(text).map_err(|error| format!("endpoint {text:?} is no address: {error}"))?;
        if !nobody_on_the_way_may_change(&url) || !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "endpoint {text:?}: write an https address without a password (plain http to this machine only)"
            ));
        }
        Ok(Some(url))
    }

    /// The address of what lies in it.
    fn address(&self) -> Result<Url, String> {
        let Self { bucket, region, .. } = self;
        let text = match self.server()? {
            Some(server) => format!("{}/{bucket}/", server.as_str().trim_end_matches('/')),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/"),
        };
        Url::parse(&text).map_err(|error| format!("the bucket's address {text:?} is none: {error}"))
    }

    fn variables(&self) -> AwsVariables<'_> {
        AwsVariables {
            access_key_id: self.access_key_id_env.as_deref(),
            secret_access_key: self.secret_access_key_env.as_deref(),
            session_token: self.session_token_env.as_deref(),
        }
    }

    fn bucket(&self, variable: Variable<'_>) -> Result<Bucket, String> {
        let AwsCredentials { access_key_id, secret_access_key, session_token } = self.variables().read(variable)?;
        let access = S3Access {
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            endpoint: self.server()?,
            access_key_id,
            secret_access_key,
            session_token,
            timeout: Duration::from_millis(self.timeout_ms),
        };
        Ok(Bucket {
            name: self.bucket.clone(),
            region: self.region.clone(),
            tenant: self.tenant.clone(),
            every: Duration::from_secs(self.every_s),
            address: self.address()?,
            under_tls12: open(&access, InTransit::Tls12)?,
            under_tls13: open(&access, InTransit::Tls13)?,
        })
    }
}

impl Config {
    /// The buckets of this node, with secrets read. None is asked.
    ///
    /// # Errors
    /// [`ConfigError::Bucket`] where a secret is not where the file says.
    pub fn corpus_buckets(&self) -> Result<Buckets, ConfigError> {
        self.corpus_buckets_with(|name| std::env::var(name).ok())
    }

    fn corpus_buckets_with(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Buckets, ConfigError> {
        let open = |entry: &BucketEntry| {
            entry.bucket(&variable).map_err(|problem| ConfigError::Bucket { bucket: entry.bucket.clone(), problem })
        };
        Ok(Buckets::new(self.buckets.iter().map(open).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, FILE};

    const SOUND: &str = "[[buckets]]\nbucket = \"tenant-acme\"\ntenant = \"acme\"\nregion = \"eu-west-1\"\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(FILE, text).map_err(|error| error.problem)
    }

    #[test]
    fn a_bucket_is_its_tenants_alone_and_its_secrets_stand_elsewhere() {
        let config = parse(SOUND).unwrap();
        let buckets = config.corpus_buckets_with(|_| Some("hidden".to_owned())).unwrap();
        assert!(buckets.of("acme").get("tenant-acme").is_some());
        assert!(buckets.of("acme").get("tenant-beta").is_none());
        assert!(buckets.of("beta").get("tenant-acme").is_none());
        let address = buckets.of("acme").get("tenant-acme").unwrap().address.to_string();
        assert_eq!(address, "https://tenant-acme.s3.eu-west-1.amazonaws.com/");
        let unset = config.corpus_buckets_with(|_| None).unwrap_err().to_string();
        assert!(unset.contains("AWS_SECRET_ACCESS_KEY") && unset.contains("tenant-acme"), "{unset}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, expected) in [
            (SOUND.replace("region = \"eu-west-1\"\n", ""), "region"),
            (SOUND.replace("tenant-acme", "Acme"), "bucket"),
            (SOUND.replace("\"acme\"", "\" \""), "tenant"),
            (format!("{SOUND}{SOUND}"), "twice"),
            (format!("{SOUND}endpoint = \"http://s3.example\"\n"), "https"),
            (format!("{SOUND}endpoint = \"https://me:secret@s3.example\"\n"), "password"),
            (format!("{SOUND}every_s = 0\n"), "every_s"),
            (format!("{SOUND}timeout_ms = 1\n"), "timeout_ms"),
            (format!("{SOUND}secret = \"x\"\n"), "secret"),
        ] {
            let problem = parse(&text).unwrap_err();
            assert!(problem.contains(expected), "{problem}\nfor {text}");
        }
        assert!(parse(&format!("{SOUND}endpoint = \"http://127.0.0.1:9000\"\n")).is_ok());
    }
}
