//! What an entry of the control journal says to somebody who reads it. Pure.
use crate::registry::entry::{Entry, KeyRecord, Standing};
use bailiwick_kernel::clock::rfc3339;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// One thing that was done.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct AuditLine {
    /// Its place in the control plane's journal, from 0.
    pub position: u64,
    /// Its chain hash, in hexadecimal: what an export of the journal has there.
    pub hash: String,
    /// RFC 3339.
    pub at: String,
    /// What was done.
    pub action: &'static str,
    /// By whose key, or by which rule of which file; absent where the node did it by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// To which tenant; absent where it is about the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Uuid>,
    /// More about it.
    pub details: Value,
}

/// An entry, taken apart.
struct Told {
    action: &'static str,
    at_unix_ms: u64,
    by: Option<String>,
    tenant_id: Option<Uuid>,
    details: Value,
}

impl Told {
    fn of(action: &'static str, id: Uuid, at_unix_ms: u64, details: Value) -> Self {
        Self { action, at_unix_ms, by: None, tenant_id: Some(id), details }
    }

    fn by(self, by: &str) -> Self {
        Self { by: Some(by.to_owned()), ..self }
    }
}

/// What an entry says, at its place.
#[must_use]
pub fn line(position: u64, hash: &[u8; 32], entry: &Entry) -> AuditLine {
    let Told { action, at_unix_ms, by, tenant_id, details } = told(entry);
    AuditLine { position, hash: hex::encode(hash), at: rfc3339(at_unix_ms), action, by, tenant_id, details }
}

/// What is of one tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The tenant.
    pub id: Uuid,
    /// Its keys: the end of a key names nothing else.
    pub keys: BTreeSet<String>,
}

impl About {
    /// Whether an entry is about the tenant.
    #[must_use]
    pub fn includes(&self, entry: &Entry) -> bool {
        match entry {
            Entry::KeyRevoked { key_id, .. } => self.keys.contains(key_id),
            entry => told(entry).tenant_id == Some(self.id),
        }
    }
}

fn told(entry: &Entry) -> Told {
    match entry {
        Entry::TenantRegistered { id, name, at_unix_ms } => {
            Told::of("tenant_registered", *id, *at_unix_ms, json!({"name": name}))
        }
        Entry::TenantChanged { id, digest, at_unix_ms, by } => {
            Told::of("tenant_changed", *id, *at_unix_ms, json!({"files_sha256": digest})).by(by)
        }
        Entry::StandingChanged { id, standing, reason, at_unix_ms, by, .. } => {
            let details = json!({"standing": standing_name(*standing), "reason": reason});
            Told::of("standing_changed", *id, *at_unix_ms, details).by(by)
        }
        Entry::KeyIssued(KeyRecord {
            key_id,
            tenant,
            role,
            user_id,
            created_unix_ms,
            expires_unix_ms,
            issued_by,
            ..
        }) => {
            let details = json!({
                "key_id": key_id, "role": role, "user_id": user_id, "expires_at": expires_unix_ms.map(rfc3339),
            });
            let by = Some(issued_by.clone());
            Told { action: "key_issued", at_unix_ms: *created_unix_ms, by, tenant_id: *tenant, details }
        }
        Entry::KeyRevoked { key_id, at_unix_ms, by } => {
            let (details, by) = (json!({"key_id": key_id}), Some(by.clone()));
            Told { action: "key_revoked", at_unix_ms: *at_unix_ms, by, tenant_id: None, details }
        }
        Entry::DestructionBegun { id, at_unix_ms, by } => {
            Told::of("destruction_begun", *id, *at_unix_ms, json!({})).by(by)
        }
        Entry::DestructionDone { id, at_unix_ms } => Told::of("destruction_done", *id, *at_unix_ms, json!({})),
        Entry::PolicyCommitted { id, version, committed, signed_by, at_unix_ms } => {
            let files: serde_json::Map<_, _> =
                committed.files.iter().map(|(file, of)| (file.clone(), json!(of.version))).collect();
            let details = json!({"version": version, "files": files, "signed_by": signed_by});
            Told::of("policy_committed", *id, *at_unix_ms, details)
        }
        Entry::ReleaseCommitted { id, release, version, is_staged, rehearsal, at_unix_ms } => {
            let details =
                json!({"version": version, "release": release, "is_staged": is_staged, "rehearsal": rehearsal});
            Told::of("release_committed", *id, *at_unix_ms, details)
        }
        Entry::RolloutEnded { id, release, reached_everybody, at_unix_ms } => {
            let details = json!({"release": release, "reached_everybody": reached_everybody});
            Told::of("rollout_ended", *id, *at_unix_ms, details)
        }
        Entry::TenantKeyMade { id, version, kms_key_id, at_unix_ms, by } => {
            let details = json!({"version": version, "kms_key_id": kms_key_id});
            Told::of("tenant_key_made", *id, *at_unix_ms, details).by(by)
        }
        Entry::TenantSealed { id, reason, at_unix_ms } => {
            Told::of("tenant_sealed", *id, *at_unix_ms, json!({"reason": reason}))
        }
        Entry::TenantUnsealed { id, at_unix_ms } => Told::of("tenant_unsealed", *id, *at_unix_ms, json!({})),
        Entry::ComplianceReported { id, week, sha256, score, at_unix_ms } => {
            let details = json!({"week": week, "report_sha256": sha256, "score_ppm": score.score_ppm});
            Told::of("compliance_reported", *id, *at_unix_ms, details)
        }
        Entry::ReleasesStand { id, frozen, at_unix_ms } => {
            let overridden = frozen.as_ref().and_then(|frozen| frozen.overridden_until_unix_ms).map(rfc3339);
            let details = json!({"frozen": frozen.is_some(), "overridden_until": overridden});
            Told::of("releases_stand", *id, *at_unix_ms, details)
        }
    }
}

fn standing_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Suspended => "suspended",
        Standing::Archived => "archived",
        Standing::Deleted => "deleted",
    }
}
