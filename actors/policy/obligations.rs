//! What goes with a permission: obligations of `require` rules, joined to the strictest of all that match.
use crate::language::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One obligation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Obligation {
    /// The answer cites its passages, or abstains.
    Cite,
    /// The answer has at most so many tokens.
    CapTokens(u32),
}

impl Obligation {
    /// True where the answer to such a request can meet it.
    #[must_use]
    pub fn is_met_by(&self, action: Action) -> bool {
        match self {
            Self::Cite => action == Action::Ask,
            Self::CapTokens(_) => matches!(action, Action::Ask | Action::Complete),
        }
    }

    /// True where whoever meets this one has met the other as well.
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cite, Self::Cite) => true,
            (Self::CapTokens(own), Self::CapTokens(others)) => own <= others,
            _ => false,
        }
    }

    /// What is wrong with it; `None` where it can be met.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        matches!(self, Self::CapTokens(0))
            .then_some("an answer of 0 tokens says nothing: write at least 1, or forbid the action")
    }
}

/// All obligations of one decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Obligations {
    /// The answer cites its passages, or abstains.
    pub cite: bool,
    /// Most tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_tokens: Option<u32>,
}

impl Obligations {
    /// Adds one: of two caps the lower stands.
    pub fn add(&mut self, obligation: &Obligation) {
        match obligation {
            Obligation::Cite => self.cite = true,
            Obligation::CapTokens(cap) => {
                self.cap_tokens = Some(self.cap_tokens.map_or(*cap, |known| known.min(*cap)));
            }
        }
    }
}
