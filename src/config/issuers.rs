//! Issuers of bearer tokens: whose tokens this node takes beside its own keys, and for which tenants.
use super::Config;
use bailiwick_control::identity::issuer::{ALGORITHMS, Issuer, KeySource, algorithm, key_source};
use bailiwick_kernel::limits::{ISSUERS_MAX, TOKEN_ATTRIBUTES_MAX, TOKEN_LEEWAY_S_MAX};
use bailiwick_policy::access::Role;
use bailiwick_policy::compile::name_problem;
use bailiwick_policy::language::attributes::{USER_ATTRIBUTES, find};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;

/// One issuer of bearer tokens (JWT), such as an OpenID provider.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// The exact `iss` of its tokens.
    #[schemars(with = "String")]
    pub issuer: Spanned<String>,
    /// What the `aud` of its tokens has to contain: the name of this node at the issuer.
    pub audience: String,
    /// The tenants it may speak for; a token for any other is refused like an unknown key.
    pub tenants: Vec<String>,
    /// Address of its key set; https, or plain http to this machine.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// File of its key set, instead of an address.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// What its tokens may be signed with; RS256, ES256 and EdDSA where absent.
    #[serde(default)]
    pub algorithms: Option<Vec<String>>,
    /// The claim that names the tenant; a JSON Pointer where it begins with a slash.
    #[serde(default = "default_tenant_claim")]
    pub tenant_claim: String,
    /// The claim that names the role, or a list that holds it; a JSON Pointer where it begins with a slash.
    #[serde(default = "default_role_claim")]
    pub role_claim: String,
    /// The claim that names the user; a JSON Pointer where it begins with a slash.
    #[serde(default = "default_user_claim")]
    pub user_claim: String,
    /// What the values of the role's claim mean; where absent they have to be the names of the roles.
    #[serde(default)]
    pub roles: BTreeMap<String, Role>,
    /// Attributes of the user, by the claim that says them: `department = "department"`. `users.yaml` wins over them.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Seconds its clock may be off (at most 300).
    #[serde(default = "default_leeway_s")]
    pub leeway_s: u64,
}

fn default_tenant_claim() -> String {
    String::from("tenant")
}

fn default_role_claim() -> String {
    String::from("role")
}

fn default_user_claim() -> String {
    String::from("sub")
}

fn default_leeway_s() -> u64 {
    60
}

impl Config {
    /// The issuers this node trusts.
    ///
    /// # Errors
    /// What is wrong with one, which [`Config::parse`] has said before with its place.
    pub fn issuers(&self) -> Result<Vec<Issuer>, String> {
        self.issuers.iter().map(TrustedIssuer::trusted).collect()
    }
}

impl TrustedIssuer {
    /// The issuer as the control plane takes it.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn trusted(&self) -> Result<Issuer, String> {
        let algorithms = match &self.algorithms {
            None => ALGORITHMS.to_vec(),
            Some(names) => names.iter().map(|name| algorithm(name)).collect::<Result<_, _>>()?,
        };
        Ok(Issuer {
            issuer: self.issuer.as_ref().clone(),
            audience: self.audience.clone(),
            keys: self.keys()?,
            algorithms,
            tenants: self.tenants.clone(),
            tenant_claim: self.tenant_claim.clone(),
            role_claim: self.role_claim.clone(),
            user_claim: self.user_claim.clone(),
            roles: self.roles.clone(),
            attributes: self.attributes.clone(),
            leeway_s: self.leeway_s,
        })
    }

    fn keys(&self) -> Result<KeySource, String> {
        key_source(self.jwks_url.as_deref(), self.jwks_file.as_deref())
    }

    pub(super) fn check(&self, earlier: &[&str]) -> Result<(), String> {
        let issuer = self.trusted()?;
        if earlier.len() >= ISSUERS_MAX {
            return Err(format!("a node trusts {ISSUERS_MAX} issuers at most; leave this one out"));
        }
        if earlier.contains(&issuer.issuer.as_str()) {
            return Err(String::from("this issuer stands twice; keep one, with the tenants of both"));
        }
        let claims = [&issuer.tenant_claim, &issuer.role_claim, &issuer.user_claim];
        if [&issuer.issuer, &issuer.audience].into_iter().chain(claims).any(|text| text.trim().is_empty()) {
            return Err(String::from(
                "issuer, audience and the names of claims may not be empty; write them as the issuer does",
            ));
        }
        if issuer.algorithms.is_empty() {
            return Err(String::from("algorithms: the list is empty; name one, or leave it out"));
        }
        if issuer.tenants.is_empty() {
            return Err(String::from("tenants: the list is empty; name the tenants this issuer speaks for"));
        }
        if let Some((name, problem)) = issuer.tenants.iter().find_map(|name| Some((name, name_problem(name)?))) {
            return Err(format!("tenants: {name:?} is no tenant: {problem}"));
        }
        if issuer.attributes.len() > TOKEN_ATTRIBUTES_MAX {
            return Err(format!("attributes: name {TOKEN_ATTRIBUTES_MAX} at most"));
        }
        for attribute in issuer.attributes.values() {
            find(&format!("{USER_ATTRIBUTES}{attribute}")).map_err(|problem| format!("attributes: {problem}"))?;
        }
        if issuer.leeway_s > TOKEN_LEEWAY_S_MAX {
            return Err(format!("leeway_s: write 0 to {TOKEN_LEEWAY_S_MAX}"));
        }
        Ok(())
    }
}
