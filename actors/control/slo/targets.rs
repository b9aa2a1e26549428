//! Where alerts go: named by the operator, each for tenants and in a region.
use bailiwick_policy::sovereignty::Region;
use secrecy::SecretString;

/// A place that is told.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name, in logs and figures.
    pub name: String,
    /// The tenants it is told about; all where empty.
    pub tenants: Vec<String>,
    /// Where it is, as tenants' lists name it.
    pub region: Region,
    /// How it is reached.
    pub way: Way,
}

/// How a target is reached. Addresses are secrets: whoever has that of a webhook can write there.
#[derive(Clone, Debug)]
pub enum Way {
    /// JSON to an address.
    Webhook {
        /// The address.
        url: SecretString,
    },
    /// A Slack incoming webhook.
    Slack {
        /// The address.
        url: SecretString,
    },
    /// Mail over SMTP.
    Mail(MailWay),
}

/// A mail server.
#[derive(Clone, Debug)]
pub struct MailWay {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the line is protected.
    pub security: MailSecurity,
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: Vec<String>,
    /// Name and password, where the server asks for them.
    pub login: Option<(String, SecretString)>,
}

/// How the line to a mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailSecurity {
    /// TLS from the first byte on.
    Tls,
    /// TLS before anything is said, or nothing.
    StartTls,
    /// None: to this machine only.
    None,
}

impl Target {
    /// Whether it is told about a tenant.
    #[must_use]
    pub fn is_for(&self, tenant: &str) -> bool {
        self.tenants.is_empty() || self.tenants.iter().any(|named| named == tenant)
    }
}
