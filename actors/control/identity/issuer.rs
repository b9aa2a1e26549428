//! An issuer of bearer tokens as the configuration names it: whose tokens are taken, for which tenants, and what their
//! claims mean.
use bailiwick_kernel::limits::NAME_CHARS_MAX;
use bailiwick_policy::access::Role;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use url::{Host, Url};

/// What a token may be signed with where the configuration says nothing.
pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
/// What a token may be signed with at all: public keys only, because whoever may read a key set must not be able to sign.
const ALLOWED: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];
const HOST_CHARS_MAX: usize = 64;

/// Where an issuer's key set is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// Over HTTPS; plain HTTP to this machine only.
    Url(Url),
    /// A file.
    File(PathBuf),
}

/// One issuer.
#[derive(Clone, PartialEq, Debug)]
pub struct Issuer {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// What the `aud` of its tokens has to contain.
    pub audience: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// What its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// The tenants it may speak for.
    pub tenants: Vec<String>,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that names the role, or a list that holds it.
    pub role_claim: String,
    /// The claim that names the user.
    pub user_claim: String,
    /// What the claim's values mean; empty where they are the names of the roles.
    pub roles: BTreeMap<String, Role>,
    /// Attributes of the user, by the claim that says them; `users.yaml` has the last word.
    pub attributes: BTreeMap<String, String>,
    /// Seconds its clock may be off.
    pub leeway_s: u64,
}

impl Issuer {
    /// A short name for records and figures: the host of its address, or itself where it is none.
    #[must_use]
    pub fn host(&self) -> String {
        let host = Url::parse(&self.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        let plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
        host.as_ref().unwrap_or(&self.issuer).chars().filter(plain).take(HOST_CHARS_MAX).collect()
    }

    /// What a token's claims say of the user. A claim that is no short text says nothing.
    pub(super) fn attributes_of(&self, claims: &Map<String, Value>) -> BTreeMap<String, String> {
        let said =
            |(name, attribute): (&String, &String)| Some((attribute.clone(), text(claims, name, NAME_CHARS_MAX)?));
        self.attributes.iter().filter_map(said).collect()
    }

    /// The role a token's claims come to: the highest one they name.
    pub(super) fn role_of(&self, claims: &Map<String, Value>) -> Option<Role> {
        let meant = |value: &Value| {
            let text = value.as_str()?;
            if self.roles.is_empty() { Role::parse(text) } else { self.roles.get(text).copied() }
        };
        match claim(claims, &self.role_claim)? {
            Value::Array(values) => values.iter().filter_map(meant).min(),
            value => meant(value),
        }
    }
}

/// A claim by its name, or by its JSON Pointer where the name begins with a slash.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let Some(path) = name.strip_prefix('/') else { return claims.get(name) };
    let mut parts = path.split('/');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// A claim that is a text of one character at least, and not too long.
pub(super) fn text(claims: &Map<String, Value>, name: &str, chars_max: usize) -> Option<String> {
    let text = claim(claims, name)?.as_str()?;
    let fits = (1..=chars_max).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// Reads the name of an algorithm.
///
/// # Errors
/// What may stand there instead.
pub fn algorithm(name: &str) -> Result<Algorithm, String> {
    ALLOWED.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm).ok_or_else(|| {
        let known = ALLOWED.map(|(known, _)| known).join(", ");
        format!("algorithms: {name:?} is not one of {known}; tokens are signed with a key only their issuer has")
    })
}

/// Where keys are read, as configured.
///
/// # Errors
/// What is wrong, and what to do.
pub fn key_source(url: Option<&str>, file: Option<&Path>) -> Result<KeySource, String> {
    match (url, file) {
        (Some(url), None) => published_at(url).map(KeySource::Url),
        (None, Some(file)) => Ok(KeySource::File(file.to_owned())),
        (None, None) => Err(String::from("its keys are nowhere: write jwks_url or jwks_file")),
        (Some(_), Some(_)) => Err(String::from("jwks_url and jwks_file exclude each other; keep one")),
    }
}

fn published_at(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("jwks_url {text:?} is no address: {error}"))?;
    if nobody_on_the_way_may_change(&url) {
        return Ok(url);
    }
    Err(format!(
        "jwks_url {text:?}: whoever can change keys on their way can sign tokens; write an https address (plain http to \
         this machine only)"
    ))
}

/// True for https, and for plain http to this machine.
#[must_use]
pub fn nobody_on_the_way_may_change(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => loopback,
        _ => false,
    }
}
