//! `[[alerts]]`: who is told when a tenant's service level is being lost. An alert leaves the node: it says figures and the
//! tenant's name, and goes only to regions the tenant's own lists allow. Addresses and passwords stand here by reference.
use super::{Config, ConfigError};
use bailiwick_control::slo::targets::{MailSecurity, MailWay, Target, Way};
use bailiwick_policy::sovereignty::Region;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use std::path::PathBuf;

/// Targets of one node, at most: each has a task and a queue.
const TARGETS_MAX: usize = 32;
/// Receivers of one mail, at most.
const RECEIVERS_MAX: usize = 16;
const MAIL_PORT: u16 = 587;

/// A place alerts are sent to.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertTarget {
    /// Its name, in logs and figures.
    pub name: String,
    /// How it is reached.
    pub kind: AlertKind,
    /// Where it is, as tenants' `data-sovereignty.yaml` names it. A tenant that does not allow it is not told about there.
    #[schemars(with = "String")]
    pub region: Region,
    /// The tenants it is told about; all where absent.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Environment variable that holds the address of a webhook.
    #[serde(default)]
    pub url_env: Option<String>,
    /// File that holds the address of a webhook.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// The mail server.
    #[serde(default)]
    pub smtp: Option<Smtp>,
}

/// How a target is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// JSON to an address.
    Webhook,
    /// A Slack incoming webhook.
    Slack,
    /// Mail.
    Email,
}

/// A mail server.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Its host.
    pub host: String,
    /// Its port; 587 where absent.
    #[serde(default = "mail_port")]
    pub port: u16,
    /// How the line is protected; `start_tls` where absent.
    #[serde(default)]
    pub security: SmtpSecurity,
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: Vec<String>,
    /// Name it is logged in with.
    #[serde(default)]
    pub user: Option<String>,
    /// Environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
}

/// How the line to a mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpSecurity {
    /// TLS from the first byte on.
    Tls,
    /// TLS before anything is said, or nothing is sent.
    #[default]
    StartTls,
    /// None: to this machine only.
    None,
}

fn mail_port() -> u16 {
    MAIL_PORT
}

/// True for an address of this machine.
fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]")
}

fn url_problem(text: &str) -> Option<String> {
    let url = match reqwest::Url::parse(text) {
        Ok(url) => url,
        Err(error) => return Some(format!("the address is no address: {error}")),
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_here));
    (!is_safe).then(|| "the address is neither https nor http to this machine".to_owned())
}

impl AlertTarget {
    /// Checks what can be checked without secrets. `before` are the names that stand before it.
    pub(super) fn check(&self, before: &[&str]) -> Result<(), String> {
        let wrong = |problem: &str| Err(problem.to_owned());
        if before.len() >= TARGETS_MAX {
            return Err(format!("there are more than {TARGETS_MAX}; name fewer"));
        }
        if self.name.trim().is_empty() || before.contains(&self.name.as_str()) {
            return wrong("every target has a name of its own");
        }
        match (self.kind, &self.smtp) {
            (AlertKind::Email, Some(smtp)) => {
                if self.url_env.is_some() || self.url_file.is_some() {
                    return wrong("mail has no url_env or url_file");
                }
                smtp.check()
            }
            (AlertKind::Email, None) => wrong("mail needs smtp = { host = …, from = …, to = […] }"),
            (AlertKind::Webhook | AlertKind::Slack, Some(_)) => wrong("smtp is for kind = \"email\""),
            (AlertKind::Webhook | AlertKind::Slack, None) if self.url_env.is_some() == self.url_file.is_some() => {
                wrong("name the address by either url_env or url_file")
            }
            (AlertKind::Webhook | AlertKind::Slack, None) => Ok(()),
        }
    }

    fn target(&self, variable: &impl Fn(&str) -> Option<String>) -> Result<Target, String> {
        let way = match (self.kind, &self.smtp) {
            (AlertKind::Email, Some(smtp)) => Way::Mail(smtp.way(variable)?),
            (AlertKind::Slack, _) => Way::Slack { url: self.url(variable)? },
            _ => Way::Webhook { url: self.url(variable)? },
        };
        Ok(Target { name: self.name.clone(), tenants: self.tenants.clone(), region: self.region.clone(), way })
    }

    fn url(&self, variable: &impl Fn(&str) -> Option<String>) -> Result<SecretString, String> {
        let text = match (&self.url_env, &self.url_file) {
            (Some(name), _) => read_variable(variable, name)?,
            (None, Some(file)) => std::fs::read_to_string(file)
                .map_err(|cause| format!("{}: {cause}; put the address there", file.display()))?,
            (None, None) => return Err("its address is named nowhere; name url_env or url_file".to_owned()),
        };
        let text = text.trim();
        url_problem(text).map_or_else(|| Ok(SecretString::from(text)), Err)
    }
}

fn read_variable(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Result<String, String> {
    variable(name).ok_or_else(|| format!("the environment variable {name} is not set; set it"))
}

impl Smtp {
    fn check(&self) -> Result<(), String> {
        if self.security == SmtpSecurity::None && !is_here(&self.host) {
            return Err("a line without TLS leads to this machine only; choose start_tls or tls".to_owned());
        }
        if !(1..=RECEIVERS_MAX).contains(&self.to.len()) {
            return Err(format!("name 1 to {RECEIVERS_MAX} receivers in smtp.to"));
        }
        if self.user.is_some() != self.password_env.is_some() {
            return Err("smtp.user and smtp.password_env belong together".to_owned());
        }
        let is_address =
            |text: &&String| text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
        match std::iter::once(&self.from).chain(&self.to).find(|text| !is_address(text)) {
            Some(text) => Err(format!("{text:?} is no mail address")),
            None => Ok(()),
        }
    }

    fn way(&self, variable: &impl Fn(&str) -> Option<String>) -> Result<MailWay, String> {
        let login = match (&self.user, &self.password_env) {
            (Some(user), Some(name)) => Some((user.clone(), SecretString::from(read_variable(variable, name)?.trim()))),
            _ => None,
        };
        let security = match self.security {
            SmtpSecurity::Tls => MailSecurity::Tls,
            SmtpSecurity::StartTls => MailSecurity::StartTls,
            SmtpSecurity::None => MailSecurity::None,
        };
        let (host, from, to) = (self.host.clone(), self.from.clone(), self.to.clone());
        Ok(MailWay { host, port: self.port, security, from, to, login })
    }
}

impl Config {
    /// Who is told of service levels, secrets read.
    ///
    /// # Errors
    /// [`ConfigError::Alert`] where a secret is not where the file says.
    pub fn alert_targets(&self) -> Result<Vec<Target>, ConfigError> {
        self.alert_targets_with(|name| std::env::var(name).ok())
    }

    pub(super) fn alert_targets_with(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<Target>, ConfigError> {
        let of = |alert: &AlertTarget| {
            let target = alert.target(&variable);
            target.map_err(|problem| ConfigError::Alert { target: alert.name.clone(), problem })
        };
        self.alerts.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, FILE};
    use bailiwick_control::slo::targets::Way;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(FILE, text).map_err(|error| error.problem)
    }

    const HOOK: &str = "[[alerts]]\nname = \"ops\"\nkind = \"webhook\"\nregion = \"eu-west-1\"\n";
    const MAIL: &str = "[[alerts]]\nname = \"mail\"\nkind = \"email\"\nregion = \"eu-west-1\"\n";

    #[test]
    fn targets_are_read_and_their_secrets_by_reference() {
        let smtp = "smtp = { host = \"mail.example.com\", from = \"a@b.c\", to = [\"d@e.f\"], user = \"u\", password_env = \"P\" }\n";
        let config = parse(&format!("{HOOK}url_env = \"HOOK\"\ntenants = [\"acme-corp\"]\n{MAIL}{smtp}")).unwrap();
        let variable = |name: &str| Some(if name == "HOOK" { " https://x.example/y\n" } else { "secret" }.to_owned());
        let targets = config.alert_targets_with(variable).unwrap();
        assert!(targets[0].is_for("acme-corp") && !targets[0].is_for("beta-inc") && targets[1].is_for("beta-inc"));
        let Way::Mail(mail) = &targets[1].way else { panic!("{:?}", targets[1]) };
        assert_eq!((mail.port, mail.login.is_some()), (587, true));
        assert!(!format!("{targets:?}").contains("x.example") && !format!("{targets:?}").contains("secret"));
        let unset = config.alert_targets_with(|_| None).unwrap_err().to_string();
        assert!(unset.contains("ops") && unset.contains("HOOK"), "{unset}");
        let plain = config.alert_targets_with(|_| Some("http://x.example/y".to_owned())).unwrap_err().to_string();
        assert!(plain.contains("https"), "{plain}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, expected) in [
            (HOOK.to_owned(), "url_env or url_file"),
            (format!("{HOOK}url_env = \"A\"\nurl_file = \"b\"\n"), "url_env or url_file"),
            (format!("{HOOK}url_env = \"A\"\n{HOOK}url_env = \"B\"\n"), "name of its own"),
            (HOOK.replace("region = \"eu-west-1\"\n", "url_env = \"A\"\n"), "region"),
            (MAIL.to_owned(), "smtp"),
            (
                format!(
                    "{MAIL}smtp = {{ host = \"mail.example.com\", security = \"none\", from = \"a@b.c\", to = [\"d@e.f\"] }}\n"
                ),
                "this machine",
            ),
            (format!("{MAIL}smtp = {{ host = \"localhost\", from = \"a@b.c\", to = [] }}\n"), "receivers"),
            (format!("{MAIL}smtp = {{ host = \"localhost\", from = \"a\", to = [\"d@e.f\"] }}\n"), "no mail address"),
            (
                format!("{MAIL}smtp = {{ host = \"localhost\", from = \"a@b.c\", to = [\"d@e.f\"], user = \"u\" }}\n"),
                "belong together",
            ),
        ] {
            let problem = parse(&text).unwrap_err();
            assert!(problem.contains(expected), "{problem}\nfor {text}");
        }
    }
}
