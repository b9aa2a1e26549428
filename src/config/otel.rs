//! `[otel]`: where traces are sent. Nothing is sent without it. A trace says times, numbers and names of the house's own; it
//! leaves the node all the same, and only for tenants whose lists allow the region. Headers stand here by reference.
use super::{Config, ConfigError};
use bailiwick_control::observability::traces::Setting;
use bailiwick_kernel::trace::Share;
use bailiwick_policy::sovereignty::Region;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use url::{Host, Url};

/// What a collector's base address is followed by (OpenTelemetry protocol, OTLP/HTTP).
const PATH: &str = "v1/traces";
const HEADERS_MAX: usize = 16;
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 10..=60_000;
const EVERY_MS: std::ops::RangeInclusive<u64> = 10..=60_000;
const QUEUE: std::ops::RangeInclusive<usize> = 1..=65_536;
const SERVICE_CHARS_MAX: usize = 256;

/// Traces.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otel {
    /// Base address of a collector that takes OTLP over HTTP, such as `https://collector.example:4318`; `/v1/traces` is added.
    /// https, or plain http to this machine.
    pub endpoint: String,
    /// Where the collector is, as tenants' `data-sovereignty.yaml` names it. Nothing of a tenant that does not allow it is sent.
    #[schemars(with = "String")]
    pub region: Region,
    /// Headers sent along: name, and the environment variable that holds the value.
    #[serde(default)]
    pub headers_env: BTreeMap<String, String>,
    /// The name of this service in traces.
    #[serde(default = "default_service")]
    pub service_name: String,
    /// Share of the traces that begin here and are kept, 0 to 1. A caller's trace is kept where the caller keeps it.
    #[serde(default = "default_ratio")]
    pub sample_ratio: f64,
    /// Milliseconds the collector has to take a batch, 10 to 60000.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Milliseconds a batch is waited for, 10 to 60000.
    #[serde(default = "default_every_ms")]
    pub every_ms: u64,
    /// Requests and turns that may wait to be sent, 1 to 65536; what comes on top is dropped and counted.
    #[serde(default = "default_queue")]
    pub queue: usize,
}

fn default_service() -> String {
    "bailiwick".to_owned()
}

fn default_ratio() -> f64 {
    1.0
}

fn default_timeout_ms() -> u64 {
    5_000
}

fn default_every_ms() -> u64 {
    1_000
}

fn default_queue() -> usize {
    4_096
}

impl Otel {
    /// Checks what can be checked without secrets.
    pub(super) fn check(&self) -> Result<(), String> {
        let endpoint = self.url()?;
        let is_here = match endpoint.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err("endpoint has no host; write one such as https://collector.example:4318".to_owned()),
        };
        let is_safe = endpoint.scheme() == "https" || (endpoint.scheme() == "http" && is_here);
        if !is_safe {
            return Err("endpoint is neither https nor http to this machine; write an https address".to_owned());
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err("endpoint holds a password; send it by headers_env".to_owned());
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err("sample_ratio is a share; write a number from 0 to 1".to_owned());
        }
        within("timeout_ms", self.timeout_ms, &TIMEOUT_MS)?;
        within("every_ms", self.every_ms, &EVERY_MS)?;
        within("queue", self.queue, &QUEUE)?;
        if self.service_name.trim().is_empty() || self.service_name.chars().count() > SERVICE_CHARS_MAX {
            return Err(format!("service_name has 1 to {SERVICE_CHARS_MAX} characters"));
        }
        if self.headers_env.len() > HEADERS_MAX {
            return Err(format!("headers_env names more than {HEADERS_MAX} headers; name fewer"));
        }
        let wrong = self.headers_env.keys().find(|name| http_name(name).is_none());
        wrong.map_or(Ok(()), |name| Err(format!("headers_env: {name:?} is no name of a header")))
    }

    fn url(&self) -> Result<Url, String> {
        Url::parse(&self.endpoint)
            .map_err(|error| format!("endpoint: {error}; write one such as https://collector.example:4318"))
    }

    fn setting(&self, node: &Region, variable: &impl Fn(&str) -> Option<String>) -> Result<Setting, String> {
        let mut endpoint = self.url()?;
        let path = format!("{}/{PATH}", endpoint.path().trim_end_matches('/'));
        endpoint.set_path(&path);
        let header = |(name, from): (&String, &String)| {
            let value = variable(from).ok_or_else(|| format!("the environment variable {from} is not set; set it"))?;
            let value = value.trim();
            let is_sendable = value.bytes().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e));
            is_sendable
                .then(|| (name.clone(), SecretString::from(value)))
                .ok_or_else(|| format!("the environment variable {from} holds what no header can carry"))
        };
        Ok(Setting {
            endpoint,
            headers: self.headers_env.iter().map(header).collect::<Result<_, _>>()?,
            region: self.region.clone(),
            node: node.clone(),
            service: self.service_name.clone(),
            share: Share::of(self.sample_ratio),
            timeout: Duration::from_millis(self.timeout_ms),
            queue: self.queue,
            every: Duration::from_millis(self.every_ms),
        })
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    name: &str,
    value: T,
    range: &std::ops::RangeInclusive<T>,
) -> Result<(), String> {
    let (least, most) = (range.start(), range.end());
    range
        .contains(&value)
        .then_some(())
        .ok_or_else(|| format!("{name} is {value}; write a number from {least} to {most}"))
}

fn http_name(name: &str) -> Option<actix_web::http::header::HeaderName> {
    name.parse().ok()
}

impl Config {
    /// Where traces go, secrets read; nothing where the file has no `[otel]`.
    ///
    /// # Errors
    /// [`ConfigError::Otel`] where a secret is not where the file says.
    pub fn traces(&self) -> Result<Option<Setting>, ConfigError> {
        self.traces_with(|name| std::env::var(name).ok())
    }

    fn traces_with(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Setting>, ConfigError> {
        let setting = self.otel.as_ref().map(|otel| otel.setting(&self.region, &variable));
        setting.transpose().map_err(ConfigError::Otel)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, FILE};

    const SOUND: &str = "[otel]\nendpoint = \"https://collector.example:4318/base/\"\nregion = \"eu-west-1\"\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(FILE, text).map_err(|error| error.problem)
    }

    #[test]
    fn nothing_is_sent_unless_the_file_says_so() {
        assert!(parse("").unwrap().traces().unwrap().is_none());
    }

    #[test]
    fn a_collector_is_read_and_its_headers_by_reference() {
        let config = parse(&format!("{SOUND}headers_env = {{ authorization = \"TOKEN\" }}\n")).unwrap();
        let setting = config.traces_with(|_| Some(" Bearer hidden\n".to_owned())).unwrap().unwrap();
        assert_eq!(setting.endpoint.as_str(), "https://collector.example:4318/base/v1/traces");
        assert!(!format!("{setting:?}").contains("hidden"), "{setting:?}");
        let unset = config.traces_with(|_| None).unwrap_err().to_string();
        assert!(unset.contains("TOKEN"), "{unset}");
        let broken = config.traces_with(|_| Some("a\nb".to_owned())).unwrap_err().to_string();
        assert!(broken.contains("no header") && !broken.contains("a\nb"), "{broken}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, expected) in [
            ("[otel]\nregion = \"eu-west-1\"\n".to_owned(), "endpoint"),
            ("[otel]\nendpoint = \"https://a.example\"\n".to_owned(), "region"),
            (SOUND.replace("https", "http"), "https"),
            (SOUND.replace("https://", "https://me:secret@"), "password"),
            (format!("{SOUND}sample_ratio = 1.5\n"), "sample_ratio"),
            (format!("{SOUND}sample_ratio = nan\n"), "sample_ratio"),
            (format!("{SOUND}timeout_ms = 0\n"), "timeout_ms"),
            (format!("{SOUND}every_ms = 0\n"), "every_ms"),
            (format!("{SOUND}queue = 0\n"), "queue"),
            (format!("{SOUND}service_name = \" \"\n"), "service_name"),
            (format!("{SOUND}headers_env = {{ \"a b\" = \"X\" }}\n"), "header"),
            (format!("{SOUND}headers = {{ a = \"X\" }}\n"), "headers"),
        ] {
            let problem = parse(&text).unwrap_err();
            assert!(problem.contains(expected), "{problem}\nfor {text}");
        }
    }
}
