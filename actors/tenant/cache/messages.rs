//! What the cache room is built from and told.
use super::lookup::Meaning;
use super::rules::Key;
use super::shared::SharedService;
use crate::egress::Egress;
use crate::question::Passage;
use crate::turn::{Answered, Draft, Grounded, Turn};
use actix::{Message, Recipient};
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::obituary::Obituary;
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;

/// What a cache room is built from.
#[derive(Debug)]
pub struct CacheParts {
    /// The policy in force; says whether anything is remembered at all.
    pub policy: Arc<PolicySnapshot>,
    /// Where bytes may be kept.
    pub egress: Arc<Egress>,
    /// Seals what is remembered outside.
    pub cipher: Cipher,
    /// The cache outside the node, where there is one.
    pub shared: Option<Arc<SharedService>>,
    /// Time.
    pub clock: SharedClock,
    /// Where turns go that must be answered anew: the budget.
    pub next: Recipient<Turn<Grounded>>,
    /// Where turns go whose answer is known.
    pub exit: Recipient<Turn<Answered>>,
    /// Death notice.
    pub obituary: Obituary,
}

/// From the exit: an answer was cleared and is durable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Remember {
    /// The words it answers, where those are remembered.
    pub as_asked: Option<Key>,
    /// The meaning it answers, where that is remembered.
    pub as_meant: Option<Meaning>,
    /// What it rests on.
    pub passages: Arc<[Passage]>,
    /// What the provider said.
    pub draft: Draft,
}

/// Another policy is in force: what was remembered under the one before is forgotten.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct AdoptCache(pub Arc<PolicySnapshot>);

/// Whether the cache was asked about a turn, as its answer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheState {
    /// The answer was given before.
    Hit,
    /// The answer was given before, to a question that means the same.
    SemanticHit,
    /// It was not known.
    Miss,
    /// The asker wanted none that was given before.
    Bypass,
}

impl CacheState {
    /// As it stands in a header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::SemanticHit => "semantic-hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}
