//! What goes with a permission: obligations of `require` rules, joined to the strictest of all that match.
use crate::language::Action;
use crate::redaction::{Recogniser, Redactions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Sources an obligation can ask for at most: as many as passages go into an answer.
const SOURCES_MAX: u32 = 50;

/// One obligation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Obligation {
    /// The answer cites its passages, or abstains.
    Cite,
    /// The answer has at most so many tokens.
    CapTokens(u32),
    /// The answer rests on at least so many sources that do not repeat one another, or abstains.
    MinSources(u32),
    /// The answer has at most so many characters: it ends behind its last sentence that is within them, or abstains.
    MaxAnswerCharacters(u32),
    /// These forms of personal data are taken out of what is told: of answers, of what they cite, of passages found.
    Redact(BTreeSet<Recogniser>),
    /// What is asked, by whom and when, is durable before anything of it is told.
    Log,
    /// Somebody else lets this very request through, once, before anything of it is done.
    Approve,
}

impl Obligation {
    /// True where the answer to such a request can meet it.
    #[must_use]
    pub fn is_met_by(&self, action: Action) -> bool {
        match self {
            // a passed-through completion has no sources, and may be code that cannot end anywhere
            Self::Cite | Self::MinSources(_) | Self::MaxAnswerCharacters(_) => action == Action::Ask,
            Self::CapTokens(_) => matches!(action, Action::Ask | Action::Complete),
            Self::Redact(_) => matches!(action, Action::Ask | Action::Search | Action::Complete),
            // documents taken in or removed and feedback are records of the journal by themselves
            Self::Log => {
                matches!(action, Action::Ask | Action::Search | Action::Complete | Action::Embed | Action::Read)
            }
            Self::Approve => {
                matches!(action, Action::Ask | Action::Search | Action::Complete | Action::Embed | Action::Remove)
            }
        }
    }

    /// Obligations that come to the same together and can be met one without the other.
    #[must_use]
    pub fn parts(&self) -> Vec<Self> {
        match self {
            Self::Redact(forms) => forms.iter().map(|form| Self::Redact(BTreeSet::from([*form]))).collect(),
            whole => vec![whole.clone()],
        }
    }

    /// True where whoever meets this one has met the other as well.
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cite, Self::Cite) | (Self::Log, Self::Log) | (Self::Approve, Self::Approve) => true,
            (Self::CapTokens(own), Self::CapTokens(others))
            | (Self::MaxAnswerCharacters(own), Self::MaxAnswerCharacters(others)) => own <= others,
            (Self::MinSources(own), Self::MinSources(others)) => own >= others,
            (Self::Redact(own), Self::Redact(others)) => own.is_superset(others),
            _ => false,
        }
    }

    /// What is wrong with it; `None` where it can be met.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Self::CapTokens(0) => Some("an answer of 0 tokens says nothing: write at least 1, or forbid the action"),
            Self::Redact(forms) if forms.is_empty() => {
                Some("nothing is taken out: name at least one form, such as email")
            }
            Self::MinSources(0) => Some("an answer of no sources is any answer: write at least 1, or remove the rule"),
            Self::MinSources(sources) if *sources > SOURCES_MAX => {
                Some("no answer has so many passages: write at most 50, or forbid the action")
            }
            Self::MaxAnswerCharacters(0) => {
                Some("an answer of 0 characters says nothing: write at least 1, or forbid the action")
            }
            Self::Cite
            | Self::CapTokens(_)
            | Self::MinSources(_)
            | Self::MaxAnswerCharacters(_)
            | Self::Redact(_)
            | Self::Log
            | Self::Approve => None,
        }
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
    /// Fewest sources of the answer that do not repeat one another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_sources: Option<u32>,
    /// Most characters of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_answer_characters: Option<u32>,
    /// Forms of personal data that are taken out of what is told.
    #[serde(skip_serializing_if = "Redactions::is_empty")]
    pub redact: Redactions,
    /// What is asked is durable before anything of it is told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
    /// Somebody else lets it through first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approve: bool,
}

impl Obligations {
    /// True where an answer that cites nothing is withheld.
    #[must_use]
    pub const fn must_cite(&self) -> bool {
        self.cite || self.min_sources.is_some()
    }

    /// Adds one: of two caps the lower stands, of two numbers of sources the higher.
    pub fn add(&mut self, obligation: &Obligation) {
        match obligation {
            Obligation::Cite => self.cite = true,
            Obligation::CapTokens(cap) => {
                self.cap_tokens = Some(self.cap_tokens.map_or(*cap, |known| known.min(*cap)));
            }
            Obligation::MinSources(sources) => self.min_sources = self.min_sources.max(Some(*sources)),
            Obligation::MaxAnswerCharacters(most) => {
                self.max_answer_characters = Some(self.max_answer_characters.map_or(*most, |known| known.min(*most)));
            }
            Obligation::Redact(forms) => self.redact = self.redact.and(Redactions::of(forms)),
            Obligation::Log => self.log = true,
            Obligation::Approve => self.approve = true,
        }
    }
}
