//! What a turn carries of the cache to where its question's embedding is known: the right to read the answers of its own
//! tenant, policy and kind of question, and nothing to write with.
use super::meaning::{Ground, Vector};
use super::rules::{Key, Partition};
use super::store::SemanticStore;
use crate::question::Passage;
use crate::turn::Draft;
use std::fmt;
use std::sync::Arc;

/// What a question is looked up for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To be answered with what was answered before.
    Recall,
    /// To be answered anew and remembered.
    Refresh,
}

/// The answers one question may be given.
#[derive(Clone)]
pub struct Answers {
    store: Arc<SemanticStore>,
    partition: Partition,
}

impl fmt::Debug for Answers {
    /// Where it reads, and nothing of what stands there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answers({:?})", self.partition)
    }
}

impl Answers {
    pub(super) fn new(store: Arc<SemanticStore>, partition: Partition) -> Self {
        Self { store, partition }
    }

    /// Bytes that are compared.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// The answer to the nearest question that rests on these passages, as it is given again; `None` where no question is
    /// near enough.
    #[must_use]
    pub fn nearest(&self, vector: &Vector, passages: &[Passage], now_unix_ms: u64) -> Option<Draft> {
        self.store.nearest(&self.partition, vector, &Ground::of(passages), now_unix_ms)
    }
}

/// A question that is to be looked up by its meaning.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// What for.
    pub purpose: Purpose,
    /// Where.
    pub answers: Answers,
    key: Key,
    vector: Option<Arc<Vector>>,
}

impl Lookup {
    pub(super) fn new(purpose: Purpose, answers: Answers, key: Key) -> Self {
        Self { purpose, answers, key, vector: None }
    }

    /// Takes the question's embedding, under which its answer is remembered.
    pub fn embedded(&mut self, vector: Arc<Vector>) {
        self.vector = Some(vector);
    }

    /// As what the question's answer is remembered, where its embedding is known.
    #[must_use]
    pub fn meaning(&self) -> Option<Meaning> {
        let place = (self.answers.partition, self.key);
        Some(Meaning { place, vector: self.vector.clone()? })
    }
}

/// As what an answer is remembered.
#[derive(Clone, PartialEq, Debug)]
pub struct Meaning {
    /// Among which answers, and in place of which one: the one to the same question on the same passages.
    pub(super) place: (Partition, Key),
    /// What the question means.
    pub(super) vector: Arc<Vector>,
}
