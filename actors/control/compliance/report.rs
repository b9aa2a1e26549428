//! The report: what is shown, kept and drawn. Plain data; everything in it follows from what it was made of.
use super::facts::FactValue;
use super::frameworks::Framework;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `format` says.
pub const FORMAT: &str = "bailiwick-compliance-1";
/// What every report says of itself.
pub const MEANING: &str = "Controls support the clauses they name. They are machine-checked evidence, not a statement that \
                           anybody complies: that is judged by people, who look at more. Unknown and outdated evidence counts \
                           as failed.";

/// What became of a control.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The evidence is there, fresh, and says what it has to.
    Passed,
    /// The evidence says otherwise.
    Failed,
    /// Evidence is missing or outdated: counts as failed.
    Unknown,
}

/// One fact a control rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Kind of the fact.
    pub fact: String,
    /// What it says.
    pub says: String,
    /// Its value; null where nobody has told.
    pub value: Option<FactValue>,
    /// Where it comes from.
    pub source: Option<String>,
    /// When it was so, RFC 3339.
    pub observed_at: Option<String>,
    /// Until when it may be relied on, RFC 3339.
    pub fresh_until: Option<String>,
    /// True where it is there and may be relied on.
    pub is_fresh: bool,
}

/// A clause of a framework.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Clause {
    /// Which framework.
    pub framework: Framework,
    /// Its number there.
    pub clause: String,
}

/// A control with what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ControlResult {
    /// Its id.
    pub id: String,
    /// Its name.
    pub title: String,
    /// What it checks.
    pub checks: String,
    /// How much it counts.
    pub weight: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub why: String,
    /// What to do; null where it has passed.
    pub to_do: Option<String>,
    /// The clauses it supports.
    pub supports: Vec<Clause>,
    /// The facts it rests on.
    pub evidence: Vec<Evidence>,
}

/// How many controls came to what, and the score.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// Weight of what has passed over the weight of all, in parts of a million.
    pub score_ppm: u32,
    /// Controls that have passed.
    pub passed: u32,
    /// Controls that have failed.
    pub failed: u32,
    /// Controls without evidence, or with outdated evidence.
    pub unknown: u32,
    /// Weight of what has passed.
    pub weight_passed: u32,
    /// Weight of all.
    pub weight: u32,
}

/// One framework the tenant says it is under.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FrameworkResult {
    /// Which.
    pub framework: Framework,
    /// Its title.
    pub title: String,
    /// How its controls came out.
    #[serde(flatten)]
    pub score: Score,
    /// Ids of the controls that support its clauses.
    pub controls: Vec<String>,
}

/// A weekly report, as the history lists it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WeekScore {
    /// ISO week in UTC, such as `2026-W48`.
    pub week: String,
    /// RFC 3339.
    pub reported_at: String,
    /// SHA-256 of the report, in hexadecimal.
    pub sha256: String,
    /// How its controls came out.
    #[serde(flatten)]
    pub score: Score,
}

/// The tenant's journal at the time of the report: what ties the report to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoint {
    /// What the journal is bound to, in hexadecimal.
    pub tenant_key: String,
    /// Records in it.
    pub size: u64,
    /// The head of its Merkle tree, signed (C2SP tlog-checkpoint).
    pub note: String,
    /// What the signature is verified with.
    pub verifier_key: String,
}

/// A report on one tenant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// The tenant's name.
    pub tenant: String,
    /// The tenant's id.
    pub tenant_id: String,
    /// ISO week in UTC, such as `2026-W48`.
    pub week: String,
    /// When it was made, RFC 3339.
    pub reported_at: String,
    /// The policy in force; empty where none is.
    pub policy_version: String,
    /// Where the node is.
    pub region: String,
    /// The score over all controls in scope.
    #[serde(flatten)]
    pub score: Score,
    /// The frameworks the tenant says it is under.
    pub frameworks: Vec<FrameworkResult>,
    /// Those it names for which no clauses are mapped here.
    pub not_mapped: Vec<String>,
    /// The controls in scope: those of the frameworks, or all where the tenant names none.
    pub controls: Vec<ControlResult>,
    /// Weekly reports before this one, oldest first.
    pub history: Vec<WeekScore>,
    /// The tenant's journal; null where it could not be asked.
    pub checkpoint: Option<Checkpoint>,
    /// What all of this means.
    pub meaning: String,
}
