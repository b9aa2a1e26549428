//! `bailiwick doctor`: checks what a server needs before it is started, and says what to do.
use super::{Output, say};
use crate::config::Config;
use anyhow::bail;
use bailiwick_control::gitops::folder::Folders;
use bailiwick_control::gitops::messages::{Found, Sound};
use bailiwick_control::identity::fetch::read_file;
use bailiwick_control::identity::issuer::{Issuer, KeySource};
use bailiwick_control::identity::keys::KeySet;
use bailiwick_control::kms::customer_key::CustomerKey;
use bailiwick_control::kms::providers::KeyHolder;
use bailiwick_kernel::clock::{Clock, SharedClock, SystemClock, rfc3339};
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::egress::clear_to_keep;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod stores;
mod tls;

/// Index segments need memory maps: six each (ARCHITECTURE.md).
const MAPS_WANTED: u64 = 65_530;
const FILES_WANTED: u64 = 4_096;
const FREE_BYTES_WANTED: u64 = 1 << 30;
/// A clock before this build's year is wrong.
const CLOCK_AT_LEAST_UNIX_MS: u64 = 1_735_689_600_000;

/// Check config, keys, disks, limits and clocks.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Configuration file.
    #[arg(long, default_value = "config.toml")]
    config: PathBuf,
    /// Tenants folder; that of the configuration where absent.
    #[arg(long)]
    tenants: Option<PathBuf>,
    /// Data folder; that of the configuration where absent.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    Warning,
    Bad,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    words: String,
}

fn finding(check: &'static str, state: State, words: impl Into<String>) -> Finding {
    Finding { check, state, words: words.into() }
}

impl Doctor {
    /// Runs every check; an error where one is bad.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut findings = Vec::new();
        let config = match Config::load(&self.config) {
            Ok(config) => {
                findings.push(finding("config", State::Good, format!("{} is understood", self.config.display())));
                config
            }
            Err(error) => {
                findings.push(finding("config", State::Bad, error.to_string()));
                Config::default()
            }
        };
        findings.push(match config.catalog() {
            Ok(catalog) => finding(
                "providers",
                State::Good,
                format!("{} providers, their secrets readable", catalog.providers.len()),
            ),
            Err(error) => finding("providers", State::Bad, error.to_string()),
        });
        findings.extend(in_the_clear(&config));
        findings.extend(local_models(&config));
        if let Err(error) = config.root_key() {
            findings.push(finding("keys", State::Bad, error.to_string()));
        }
        findings.extend(config.tls.iter().flat_map(tls::findings));
        findings.extend(key_services(&config));
        findings.extend(stores::findings(&config));
        if let Err(error) = config.alert_targets() {
            findings.push(finding("alerts", State::Bad, error.to_string()));
        }
        if let Err(error) = config.traces() {
            findings.push(finding("otel", State::Bad, error.to_string()));
        }
        findings.push(region(&config.region));
        findings.extend(issuers(&config));
        let root = self.tenants.as_deref().unwrap_or(&config.tenants);
        match config.guardrails() {
            Ok(guardrails) => findings.extend(tenants(root, guardrails, &config)),
            Err(error) => findings.push(finding("guardrails", State::Bad, error.to_string())),
        }
        findings.extend(data(self.data.as_deref().unwrap_or(&config.data)));
        findings.extend(limits());
        findings.push(clock());
        match self.output {
            Output::Json => say(serde_json::to_string(&findings)?),
            Output::Text => findings.iter().for_each(|finding| {
                let mark = match finding.state {
                    State::Good => "ok  ",
                    State::Warning => "warn",
                    State::Bad => "BAD ",
                };
                say(format!("{mark}  {:<10} {}", finding.check, finding.words));
            }),
        }
        let bad = findings.iter().filter(|finding| finding.state == State::Bad).count();
        if bad > 0 {
            bail!("{bad} checks are bad; the server would not start or not serve every tenant");
        }
        Ok(())
    }
}

/// Key sets in files are read; those of addresses are not, because a check of this machine asks no other.
fn issuers(config: &Config) -> Vec<Finding> {
    let issuers = match config.issuers() {
        Ok(issuers) => issuers,
        Err(problem) => return vec![finding("issuers", State::Bad, problem)],
    };
    let looked_at = |issuer: Issuer| match &issuer.keys {
        KeySource::Url(url) => {
            let words = format!("{}: its key set is read at {url} when the server starts", issuer.issuer);
            finding("issuers", State::Good, words)
        }
        KeySource::File(path) => match read_file(path).and_then(|bytes| KeySet::read(&bytes)) {
            Ok(keys) if keys.is_empty() => finding(
                "issuers",
                State::Bad,
                format!("{}: {} holds no public key; every token would be refused", issuer.issuer, path.display()),
            ),
            Ok(keys) => {
                finding("issuers", State::Good, format!("{}: {} keys in {}", issuer.issuer, keys.len(), path.display()))
            }
            Err(problem) => finding("issuers", State::Bad, format!("{}: {}: {problem}", issuer.issuer, path.display())),
        },
    };
    issuers.into_iter().map(looked_at).collect()
}

fn region(node: &Region) -> Finding {
    if *node == Region::default() {
        let words = format!(
            "this node names no region, so that everything it keeps is at {node:?}; write region = \"eu-west-1\", or whatever \
             yours is, into config.toml",
            node = node.as_str()
        );
        return finding("region", State::Warning, words);
    }
    finding("region", State::Good, format!("everything this node keeps is in {node}"))
}

fn in_the_clear(config: &Config) -> Vec<Finding> {
    let Ok(catalog) = config.catalog() else { return Vec::new() };
    let open = catalog.providers.values().filter(|provider| provider.is_in_the_clear());
    let words = |name: &str| {
        format!(
            "{name} is reached without TLS and not on this machine: no tenant's text is sent to it; give it an https base_url"
        )
    };
    open.map(|provider| finding("providers", State::Warning, words(&provider.name))).collect()
}

/// Models of this node are read and tried, as at a start.
fn local_models(config: &Config) -> Vec<Finding> {
    let Ok(catalog) = config.catalog() else { return Vec::new() };
    let locals = catalog.providers.values().filter_map(|provider| provider.local.as_ref());
    let tried = locals.map(|model| match model.service() {
        Ok(_service) => finding("models", State::Good, format!("{} is what it was when it was added", model.name())),
        Err(error) => finding("models", State::Bad, error.to_string()),
    });
    tried.collect()
}

/// Key services are not called: a check of this machine asks no other.
fn key_services(config: &Config) -> Vec<Finding> {
    let clock: SharedClock = Arc::new(SystemClock);
    match config.key_holders(&clock) {
        Err(error) => vec![finding("keys", State::Bad, error.to_string())],
        Ok(holders) => {
            let words = |holder: Box<dyn KeyHolder>| {
                format!(
                    "{} in {}: keys tenants name there wrap theirs; it is asked when the server runs",
                    holder.kind(),
                    holder.region()
                )
            };
            holders.into_iter().map(|holder| finding("keys", State::Good, words(holder))).collect()
        }
    }
}

/// Whether the key a tenant names wraps its keys on this node.
fn own_key(name: &str, kms_key_id: Option<&str>, config: &Config) -> Option<Finding> {
    let key = match CustomerKey::parse(kms_key_id?) {
        Ok(key) => key,
        Err(problem) => return Some(finding("keys", State::Warning, format!("{name}: {problem}"))),
    };
    let clock: SharedClock = Arc::new(SystemClock);
    let holders = config.key_holders(&clock).unwrap_or_default();
    if holders.iter().any(|holder| holder.kind() == key.kind && holder.region() == key.region) {
        return Some(finding("keys", State::Good, format!("{name}: {} wraps its keys", key.id)));
    }
    let words = format!(
        "{name}: kms_key_id is named, but not honoured: no provider of kind {:?} in {} is configured; the node's root key wraps \
         instead. Declare it under [[kms.providers]] in config.toml",
        key.kind, key.region
    );
    Some(finding("keys", State::Warning, words))
}

fn tenants(root: &Path, guardrails: Guardrails, config: &Config) -> Vec<Finding> {
    let node = &config.region;
    let listed = Folders::open(root, guardrails).and_then(|folders| Ok((folders.names()?, folders)));
    let (names, folders) = match listed {
        Ok(listed) => listed,
        Err(error) => return vec![finding("tenants", State::Bad, error.to_string())],
    };
    if names.is_empty() {
        let words = format!("{} holds no tenant; create one with `bailiwick tenant create`", root.display());
        return vec![finding("tenants", State::Warning, words)];
    }
    let mut findings = Vec::new();
    for name in names {
        match folders.load(&name) {
            Found::Compiled(Sound { policy: snapshot, .. }) => {
                findings.push(match clear_to_keep(&snapshot.sovereignty, node) {
                    Ok(_here) => finding("tenants", State::Good, format!("{name}: policy {}", snapshot.version)),
                    Err(elsewhere) => finding("tenants", State::Bad, format!("{name}: {}", elsewhere.detail)),
                });
                findings.extend(own_key(&name, snapshot.sovereignty.encryption.kms_key_id.as_deref(), config));
                findings.extend(stores::of_tenant(&name, &snapshot, config));
                let warnings = snapshot.warnings.iter();
                findings
                    .extend(warnings.map(|warning| finding("tenants", State::Warning, format!("{name}/{warning}"))));
            }
            Found::Broken(problems) => findings.push(finding("tenants", State::Bad, format!("{name}: {problems}"))),
            Found::Gone => {}
        }
    }
    findings
}

fn data(folder: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let probe = folder.join(".doctor");
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, b"probe"))
        .and_then(|()| std::fs::remove_file(&probe));
    findings.push(match written {
        Ok(()) => finding("data", State::Good, format!("{} can be written", folder.display())),
        Err(error) => finding(
            "data",
            State::Bad,
            format!("{} cannot be written: {error}; choose another with --data", folder.display()),
        ),
    });
    for secret in ["operator.key", "master.key", "node.secret", "keys"] {
        let path = folder.join(secret);
        findings.extend(mode("keys", &path));
    }
    findings.push(match fs4::available_space(folder) {
        Ok(bytes) if bytes < FREE_BYTES_WANTED => {
            finding("disk", State::Warning, format!("{} MB are free; leave at least 1 GB", bytes >> 20))
        }
        Ok(bytes) => finding("disk", State::Good, format!("{} GB are free", bytes >> 30)),
        Err(error) => finding("disk", State::Warning, format!("free space cannot be read: {error}")),
    });
    findings
}

/// Whether others may read a secret file; nothing where it is not there.
fn mode(check: &'static str, path: &Path) -> Option<Finding> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::metadata(path).ok()?.permissions().mode() & 0o077 != 0;
        let state = if open { State::Bad } else { State::Good };
        let advice = if open { ": others can read it; chmod go-rwx it" } else { " is readable by its owner only" };
        Some(finding(check, state, format!("{}{advice}", path.display())))
    }
    #[cfg(not(unix))]
    {
        let _unknown = (check, path);
        None
    }
}

fn limits() -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(maps) =
        std::fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse::<u64>().ok())
    {
        let state = if maps < MAPS_WANTED { State::Warning } else { State::Good };
        findings.push(finding(
            "limits",
            state,
            format!("vm.max_map_count is {maps}; {MAPS_WANTED} or more let ten thousand index segments be open"),
        ));
    }
    if let Ok((soft, _hard)) = rlimit::getrlimit(rlimit::Resource::NOFILE) {
        let state = if soft < FILES_WANTED { State::Warning } else { State::Good };
        findings.push(finding(
            "limits",
            state,
            format!("{soft} open files are allowed; {FILES_WANTED} or more are wanted (ulimit -n)"),
        ));
    }
    findings
}

fn clock() -> Finding {
    let now = SystemClock.now_unix_ms();
    let (state, advice) = if now < CLOCK_AT_LEAST_UNIX_MS {
        (State::Bad, "; it is wrong, budgets and leases would be too: set it")
    } else {
        (State::Good, "")
    };
    finding("clock", state, format!("it is {}{advice}", rfc3339(now)))
}
