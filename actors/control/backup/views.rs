//! What is told of backups.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A point in time that a node can be restored to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PointView {
    /// Its number.
    pub point: u64,
    /// RFC 3339.
    pub made_at: String,
    /// Bytes it added to the backup.
    pub bytes: u64,
    /// Lines of the erasure ledger when it was made.
    pub erasures: u64,
    /// What it is made of.
    pub tenants: Vec<TenantPart>,
    /// Older copies that went with it, because nothing keeps them any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pruned: Vec<String>,
}

/// One tenant in a point.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantPart {
    /// The tenant's name, or the control plane.
    pub tenant: String,
    /// Bytes that are new; 0 where nothing is.
    pub bytes: u64,
    /// It is a whole copy, and not what came since the point before.
    pub is_whole: bool,
}

/// What became of the copies of a target.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PruneView {
    /// Copies that are gone, each with the reason.
    pub removed: Vec<String>,
    /// Copies that stay, each with what keeps it.
    pub kept: Vec<String>,
}
