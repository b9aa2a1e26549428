//! What the drift room takes and gives.
use actix::{Message, Recipient};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::drift::trend::Quality;
use bailiwick_tenant::quality::messages::ReadQuality;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// From the registry: draw the map of these tenants.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadDrift {
    /// Every tenant there is.
    pub tenants: Vec<DriftSource>,
    /// Where the answer goes.
    pub reply: ReplySlot<DriftMap>,
}

/// One tenant: what the registry knows of it, and where the rest is asked.
#[derive(Clone, Debug)]
pub struct DriftSource {
    /// Its name.
    pub name: String,
    /// The policy that is to be in force.
    pub policy: Option<Arc<PolicySnapshot>>,
    /// Why the newest files are not in force, where they are not.
    pub refused: Option<String>,
    /// Policies that came into force in the last seven days, of the last 64 there were.
    pub policy_changes_7d: u64,
    /// Where it is asked; nothing where its rooms are not open.
    pub quality: Option<Recipient<ReadQuality>>,
}

/// The map over all tenants (specification 2.6, `tenant-drift-map.json`).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DriftMap {
    /// RFC 3339.
    pub generated_at: String,
    /// Every tenant, by name.
    pub tenants: BTreeMap<String, TenantDrift>,
    /// Conflicts of rules in force, and policies that cannot come into force.
    pub conflicts: Vec<PolicyConflict>,
}

/// One tenant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantDrift {
    /// How far the last seven days lie from the four weeks before, 0 to 1; 0 where chance explains the difference or there is too
    /// little to tell; null where the tenant does not answer.
    pub drift_score: Option<f64>,
    /// Mean trust of what was cited in the last seven days; null where nothing was, or the tenant does not answer.
    pub avg_trust: Option<f64>,
    /// Policies that came into force in the last seven days, of the last 64.
    pub policy_changes_7d: u64,
    /// Where quality is heading; `unknown` where the data are thin.
    pub quality_trend: Quality,
}

/// One conflict.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyConflict {
    /// Whose.
    pub tenant: String,
    /// Of the policy of this version; empty where none is in force.
    pub policy_version: String,
    /// Which kind: as in the conflict map, or `not_in_force`.
    pub kind: String,
    /// The rule it is about; empty where it is about files.
    pub rule: String,
    /// What is wrong and what to do.
    pub problem: String,
}
