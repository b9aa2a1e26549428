//! The keyring of one tenant: its keys by version, each wrapped by a root key. Reads, writes and binds; no I/O, no key in
//! the clear.
//!
//! What a version is wrapped with names the tenant, the version, the region, when it was made, whose key wraps it, and
//! everything before it in the keyring: a version cannot be moved, relabelled, made younger, or given another past.
use super::providers::EncryptionContext;
use aws_lc_rs::digest::{SHA256, digest};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::KEY_VERSIONS_MAX;
use serde::{Deserialize, Serialize};

const FORMAT: u32 = 2;
/// Had neither times nor customers' keys; read as long as it is not changed.
const FORMAT_BEFORE: u32 = 1;

/// A keyring as its file has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyring {
    format: u32,
    tenant: String,
    /// The tenant is older than its keyring: what was sealed before opens with the key derived from the master key.
    pub legacy: bool,
    /// In ascending order; the last one seals.
    pub versions: Vec<Version>,
}

/// One version of the tenant's key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// From 1, without a gap.
    pub number: u32,
    /// Who wrapped it.
    pub provider: String,
    /// Under which key of theirs, where it is a customer's; absent for the node's root key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The region it was made for.
    pub region: String,
    /// When it was made; absent in what is older than times in keyrings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_unix_ms: Option<u64>,
    /// The wrapped key, in hexadecimal.
    pub wrapped: String,
}

impl Version {
    /// The wrapped key.
    ///
    /// # Errors
    /// Where it is no hexadecimal.
    pub fn wrapped_bytes(&self) -> Result<Vec<u8>, String> {
        hex::decode(&self.wrapped).map_err(|_digits| format!("version {} is not readable", self.number))
    }
}

impl Keyring {
    /// A keyring without a key.
    #[must_use]
    pub fn empty(tenant: TenantKey, legacy: bool) -> Self {
        Self { format: FORMAT, tenant: tenant.to_hex(), legacy, versions: Vec::new() }
    }

    /// The same tenant's keyring, before it had a key.
    #[must_use]
    pub fn without_versions(&self) -> Self {
        Self { format: FORMAT, versions: Vec::new(), ..self.clone() }
    }

    /// Reads a keyring's file.
    ///
    /// # Errors
    /// What is wrong with it as this tenant's.
    pub fn parse(bytes: &[u8], tenant: TenantKey) -> Result<Self, String> {
        Self::parse_named(bytes, &tenant.to_hex())
    }

    /// As [`Keyring::parse`], for the tenant a file is named after.
    ///
    /// # Errors
    /// As [`Keyring::parse`].
    pub fn parse_named(bytes: &[u8], tenant: &str) -> Result<Self, String> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Err("was overwritten: the keys were being destroyed".to_owned());
        }
        // serde's texts quote what they read, and this is where keys are wrapped
        let keyring: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("is cut or edited: line {}, column {}", error.line(), error.column()))?;
        let is_newer = |version: &Version| version.made_unix_ms.is_some() || version.key_id.is_some();
        match keyring.format {
            FORMAT => {}
            FORMAT_BEFORE if !keyring.versions.iter().any(is_newer) => {}
            FORMAT_BEFORE => return Err(format!("has format {FORMAT_BEFORE}, and what that format does not know")),
            other => return Err(format!("has format {other}, and this build reads format {FORMAT}")),
        }
        if keyring.tenant != tenant {
            return Err("is the keyring of another tenant".to_owned());
        }
        if keyring.versions.is_empty() || keyring.versions.len() > KEY_VERSIONS_MAX {
            return Err(format!("holds {} versions of the key", keyring.versions.len()));
        }
        if (1..).zip(&keyring.versions).any(|(number, version)| version.number != number) {
            return Err("lacks a version of the key, or has one twice".to_owned());
        }
        Ok(keyring)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// Where it cannot be written down.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Adds the next version; its number and its context have to be those of this keyring.
    pub fn push(&mut self, version: Version) {
        self.format = FORMAT;
        self.versions.push(version);
    }

    /// The number the next version has; `None` where there may be no more.
    #[must_use]
    pub fn next_number(&self) -> Option<u32> {
        let held = u32::try_from(self.versions.len()).ok().filter(|_| self.versions.len() < KEY_VERSIONS_MAX);
        held.map(|held| held + 1)
    }

    /// What a version is wrapped with; its own wrapped key is no part of it.
    ///
    /// # Errors
    /// Where what stands before it cannot be written down.
    pub fn context_of(&self, version: &Version) -> Result<EncryptionContext, String> {
        let earlier: Vec<&Version> = self.versions.iter().filter(|held| held.number < version.number).collect();
        let earlier = serde_json::to_vec(&earlier).map_err(|error| error.to_string())?;
        let mut context = EncryptionContext::new([
            ("purpose", "bailiwick tenant key v1".to_owned()),
            ("tenant", self.tenant.clone()),
            ("version", version.number.to_string()),
            ("region", version.region.clone()),
            ("legacy", self.legacy.to_string()),
            ("earlier", hex::encode(digest(&SHA256, &earlier))),
        ]);
        if let Some(made_unix_ms) = version.made_unix_ms {
            context = context.with("made", made_unix_ms.to_string());
        }
        if let Some(key_id) = &version.key_id {
            context = context.with("key", key_id.clone());
        }
        Ok(context)
    }
}
