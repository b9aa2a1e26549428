//! The policy language (specification 2.1 `PolicyRule`): what may be done, what may not, and what must go with it.
//!
//! A rule names actions and a condition over typed attributes. Nothing is allowed that no rule permits; what a rule
//! forbids is refused whatever permits it, unless the permitting rule declares that it overrides that one. The fragment
//! is small on purpose: tests of one attribute against constants, joined by and, or, not. Within it every conflict can be
//! found and shown with an example. Rules name no tenant: there is no word for one.
pub mod attributes;
pub mod checks;
pub mod condition;
pub mod facts;

use crate::obligations::Obligation;
pub use condition::{Condition, Scalar, Test};
pub use facts::{Fact, Facts, RecordedFact};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What somebody wants to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Ask a question about the documents.
    Ask,
    /// Search the documents.
    Search,
    /// Have a named model complete a conversation.
    Complete,
    /// Have texts embedded.
    Embed,
    /// Add a document.
    Ingest,
    /// Remove a document.
    Remove,
    /// Judge an answer.
    Feedback,
    /// Read documents and lineage.
    Read,
    /// Find a document, for an answer, a search or a list.
    Retrieve,
    /// Call a model for a question, a completion or an embedding that was permitted.
    Generate,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 10] = [
        Self::Ask,
        Self::Search,
        Self::Complete,
        Self::Embed,
        Self::Ingest,
        Self::Remove,
        Self::Feedback,
        Self::Read,
        Self::Retrieve,
        Self::Generate,
    ];

    /// The action as it stands in files and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Search => "search",
            Self::Complete => "complete",
            Self::Embed => "embed",
            Self::Ingest => "ingest",
            Self::Remove => "remove",
            Self::Feedback => "feedback",
            Self::Read => "read",
            Self::Retrieve => "retrieve",
            Self::Generate => "generate",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a rule does where it matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Allows what no other rule forbids.
    Permit,
    /// Refuses, whatever permits it.
    Forbid,
    /// Attaches an obligation to what is permitted.
    Require,
}

/// One rule of a policy file (specification 2.1 `PolicyRule`).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Names the rule in findings, refusals and `overrides`; unique over a tenant's three policy files.
    pub id: String,
    /// What it does where it matches.
    pub effect: Effect,
    /// The actions it is about.
    pub actions: Vec<Action>,
    /// When it matches; always where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Rules this one takes precedence over: a permit lets through what the named forbid would refuse; a forbid that
    /// names a permit says that it narrows it on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// What goes with the permission; for `require` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obligation: Option<Obligation>,
    /// Told to whoever is refused by this rule.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

#[cfg(test)]
#[path = "language_tests.rs"]
mod tests;
