//! How the search by meaning stands, as it is told.
use bailiwick_policy::dense::{Judged, Learnt};
use serde::{Deserialize, Serialize};

/// How the search by meaning stands, as it is told.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DenseView {
    /// The model that embeds.
    pub model: String,
    /// Passages are found by words and meaning now; by words alone otherwise.
    pub in_force: bool,
    /// Passages with a vector.
    pub indexed: u64,
    /// Passages that wait for theirs.
    pub pending: u64,
    /// Passages no vector could be had for; they are found by their words alone.
    pub skipped: u64,
    /// Why it is not in force, or why passages wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What golden questions came to with and without it, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
    /// Weight of the ranking by meaning now.
    pub weight: f64,
    /// What accepted answers and golden questions came to for the weight, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt: Option<Learnt>,
    /// The store outside its vectors are searched in; in the node's memory where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<OutsideView>,
}

/// How the collection outside stands, in which a tenant's vectors are searched.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OutsideView {
    /// Its namespace, as the tenant names it.
    pub namespace: String,
    /// Where it is; absent where none of that name is declared for the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Passages whose vectors are there.
    pub points: u64,
    /// Passages whose vectors are not there yet.
    pub waiting: u64,
    /// Documents that went, whose points are not known to be gone.
    pub owed: u64,
    /// Why something waits, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
