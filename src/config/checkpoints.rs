//! `[[checkpoints]]`: where the signed heads of tenants' journals are published, and how often. Read at the start.
use super::Config;
use bailiwick_control::publishing::messages::{Pace, Place, Target, Webhook};
use bailiwick_policy::sovereignty::region_problem;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;
use url::{Host, Url};

const EVERY_S: std::ops::RangeInclusive<u64> = 1..=31_536_000;

/// One place signed heads are published at: exactly one of `folder`, `webhook` and `witness`.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoints {
    /// Its name, in alarms and in what the node remembers: another name begins anew.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Tenants whose heads go there; every tenant where absent. A witness asks for names.
    #[serde(default)]
    pub tenants: Option<Vec<String>>,
    /// Folder on this node: a file for each tenant, a line for each head.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// Address heads are sent to; https, or plain http to this machine.
    #[serde(default)]
    pub webhook: Option<String>,
    /// Region the address is in, as tenants' `data-sovereignty.yaml` names it.
    #[serde(default)]
    pub region: Option<String>,
    /// Environment variable that holds the bearer token the address asks for.
    #[serde(default)]
    pub token_env: Option<String>,
    /// Tenant of this node that takes the heads into its own journal.
    #[serde(default)]
    pub witness: Option<String>,
    /// Seconds between two heads of a journal that grows (1 to 31536000; 3600 where absent).
    #[serde(default = "default_every_s")]
    pub every_s: u64,
    /// Records after which a head goes sooner.
    #[serde(default)]
    pub after_records: Option<u64>,
}

fn default_every_s() -> u64 {
    3_600
}

/// An address that is not in the clear.
fn address(webhook: &str) -> Result<Url, String> {
    let url = Url::parse(webhook).map_err(|error| format!("webhook: {error}; write an https address"))?;
    let stays_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if stays_here => Ok(url),
        _ => Err("webhook: write an https address; plain http goes to this machine alone".to_owned()),
    }
}

impl Checkpoints {
    pub(super) fn check(&self, earlier: &[&str]) -> Result<(), String> {
        if self.name.as_ref().is_empty() || self.name.as_ref().len() > 64 {
            return Err("name has to be 1 to 64 bytes long".to_owned());
        }
        if earlier.contains(&self.name.as_ref().as_str()) {
            return Err("this name stands twice; choose another".to_owned());
        }
        if !EVERY_S.contains(&self.every_s) || self.after_records == Some(0) {
            return Err(format!(
                "every_s has to be {} to {}, after_records at least 1",
                EVERY_S.start(),
                EVERY_S.end()
            ));
        }
        if self.witness.is_some() && self.tenants.is_none() {
            return Err(
                "a witness learns of each head how many answers a tenant gave and what they cost: name the tenants"
                    .to_owned(),
            );
        }
        self.place(|_name| Some(String::new())).map(drop)
    }

    fn place(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Place, String> {
        let only_of_webhook = self.region.is_some() || self.token_env.is_some();
        match (&self.folder, &self.webhook, &self.witness) {
            (Some(folder), None, None) if !only_of_webhook => Ok(Place::Folder(folder.clone())),
            (None, None, Some(witness)) if !only_of_webhook => Ok(Place::Witness(witness.clone())),
            (None, Some(webhook), None) => {
                let region = self.region.clone().ok_or("a webhook needs the region it is in")?;
                if let Some(problem) = region_problem(&region) {
                    return Err(format!("region: {problem}"));
                }
                let read = |name: &String| {
                    let token =
                        variable(name).ok_or_else(|| format!("the environment variable {name} is not set; set it"));
                    token.map(|token| SecretString::from(token.trim().to_owned()))
                };
                let token = self.token_env.as_ref().map(read).transpose()?;
                Ok(Place::Webhook(Webhook { url: address(webhook)?, region, token }))
            }
            _ => Err("write exactly one of folder, webhook (with region) and witness".to_owned()),
        }
    }

    fn target(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Target, String> {
        let name = self.name.as_ref().clone();
        let place = self.place(variable).map_err(|problem| format!("{name}: {problem}"))?;
        let pace = Pace { every_ms: self.every_s.saturating_mul(1_000), after_records: self.after_records };
        let tenants = self.tenants.as_ref().map(|tenants| tenants.iter().cloned().collect());
        Ok(Target { name, tenants, place, pace })
    }
}

impl Config {
    /// Where signed heads are published, with secrets read.
    ///
    /// # Errors
    /// The place whose secret is missing, and what to do.
    pub fn published(&self) -> Result<Vec<Target>, String> {
        self.checkpoints.iter().map(|one| one.target(|name| std::env::var(name).ok())).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, FILE};

    fn problem(lines: &str) -> Option<String> {
        Config::parse(FILE, &format!("[[checkpoints]]\n{lines}")).err().map(|error| error.to_string())
    }

    #[test]
    fn a_place_is_one_of_three_and_says_what_its_kind_needs() {
        for good in [
            "name = \"n\"\nfolder = \"heads\"\n",
            "name = \"n\"\nwebhook = \"https://w.example/h\"\nregion = \"eu-west-1\"\nafter_records = 5\n",
            "name = \"n\"\nwebhook = \"http://127.0.0.1:9/h\"\nregion = \"local\"\n",
            "name = \"n\"\nwitness = \"beta\"\ntenants = [\"acme\"]\n",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
        for (wrong, expected) in [
            ("name = \"n\"\n", "exactly one of"),
            ("name = \"n\"\nfolder = \"h\"\nwitness = \"b\"\ntenants = []\n", "exactly one of"),
            ("name = \"n\"\nfolder = \"h\"\nregion = \"local\"\n", "exactly one of"),
            ("name = \"n\"\nwebhook = \"https://w.example\"\n", "needs the region"),
            ("name = \"n\"\nwebhook = \"https://w.example\"\nregion = \"EU\"\n", "is no region"),
            ("name = \"n\"\nwebhook = \"http://w.example\"\nregion = \"local\"\n", "write an https address"),
            ("name = \"n\"\nwebhook = \"witness\"\nregion = \"local\"\n", "write an https address"),
            ("name = \"n\"\nwitness = \"beta\"\n", "name the tenants"),
            ("name = \"n\"\nfolder = \"h\"\nevery_s = 0\n", "every_s has to be"),
            ("name = \"\"\nfolder = \"h\"\n", "name has to be"),
            ("name = \"n\"\nfolder = \"h\"\n[[checkpoints]]\nname = \"n\"\nfolder = \"i\"\n", "stands twice"),
            ("name = \"n\"\nfolders = \"h\"\n", "folder"),
        ] {
            let told = problem(wrong).unwrap_or_default();
            assert!(told.contains(expected), "{wrong}: {told}");
        }
    }

    #[test]
    fn a_token_is_read_by_reference() {
        let text =
            "[[checkpoints]]\nname = \"n\"\nwebhook = \"https://w.example\"\nregion = \"local\"\ntoken_env = \"T\"\n";
        let config = Config::parse(FILE, text).unwrap();
        let told = config.checkpoints[0].target(|_| None).unwrap_err();
        assert!(told.contains("n: the environment variable T is not set"), "{told}");
        assert!(
            !format!("{:?}", config.checkpoints[0].target(|_| Some("secret-word".to_owned()))).contains("secret-word")
        );
    }
}
