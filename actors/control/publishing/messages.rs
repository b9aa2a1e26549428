//! Where heads go.
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::path::PathBuf;
use url::Url;

/// A place heads are published at.
#[derive(Clone, Debug)]
pub struct Target {
    /// Names it in the book and in alarms.
    pub name: String,
    /// Whose heads, by name; everybody's where absent.
    pub tenants: Option<BTreeSet<String>>,
    /// Where they go.
    pub place: Place,
    /// How often.
    pub pace: Pace,
}

/// Where heads go.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder of this node, a file for each tenant.
    Folder(PathBuf),
    /// An address.
    Webhook(Webhook),
    /// Another tenant of this node, by name.
    Witness(String),
}

/// An address heads are sent to.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The address.
    pub url: Url,
    /// Where it is: the tenant's lists decide about it.
    pub region: String,
    /// What it is shown to know this node by.
    pub token: Option<SecretString>,
}

/// How often heads go to a place. One goes only where its journal has grown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Milliseconds after which one goes.
    pub every_ms: u64,
    /// Records after which one goes sooner.
    pub after_records: Option<u64>,
}

impl Target {
    /// Whether the heads of a tenant go there. A witness does not witness itself.
    #[must_use]
    pub fn takes(&self, tenant: &str) -> bool {
        let is_itself = matches!(&self.place, Place::Witness(name) if name == tenant);
        !is_itself && self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
    }
}
