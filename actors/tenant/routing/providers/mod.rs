//! Providers behind one trait, each in one file, each one line in [`ALL`]. Nothing else names a provider.
mod anthropic;
mod anthropic_shape;
pub mod extractive;
mod line;
mod local;
mod openai;
mod rerank;
mod speaker;
mod traced;

use crate::catalog::ProviderEntry;
use crate::journey::walk::Calling;
use crate::question::{Exchange, Passage, Ranking};
use crate::routing::demands::Demands;
use crate::routing::prompt::{self, Prompt};
use crate::turn::{DraftContent, FrameSink};
use bailiwick_kernel::fair::Slot;
use bailiwick_policy::sovereignty::InTransit;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A boxed future of a provider call.
pub type ProviderFuture<T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'static>>;

/// Builds a provider of one kind from its entry in the catalogue, to be reached under this TLS or a newer one.
pub type Constructor = fn(&ProviderEntry, InTransit) -> Result<Arc<dyn Provider>, ProviderError>;

/// Kind → constructor.
pub const ALL: &[(&str, Constructor)] = &[
    ("anthropic", anthropic::open),
    (crate::catalog::EXTRACTIVE, extractive::build),
    (crate::catalog::LOCAL_EMBEDDINGS, local::open),
    ("openai", openai::open),
    ("rerank", rerank::open),
];

/// Why a provider did not answer. The texts are fit for the asker: no key, nothing of another tenant, bounded.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ProviderError {
    /// It may work when tried again (connection, 408, 409, 429, 5xx); nothing was generated.
    #[error("{0}")]
    Passing(String),
    /// As [`ProviderError::Passing`], and the provider said when.
    #[error("{detail}")]
    Busy {
        /// What went wrong.
        detail: String,
        /// Milliseconds it wants to be left alone.
        retry_after_ms: u64,
    },
    /// Trying again will not help (other 4xx, malformed answer).
    #[error("{0}")]
    Lasting(String),
    /// The call reached the provider and may have been billed, and no usable answer came of it.
    #[error("{detail}")]
    Unsure {
        /// What went wrong.
        detail: String,
        /// It may work when tried again.
        passing: bool,
    },
    /// A stream broke off after words were relayed: they are billed, and nobody else may go on with them.
    #[error("{detail}")]
    Cut {
        /// What went wrong.
        detail: String,
        /// Characters relayed until then.
        relayed_chars: u64,
    },
}

impl ProviderError {
    /// The same failure as it stands after so many characters were relayed.
    #[must_use]
    pub fn after(self, relayed_chars: u64) -> Self {
        if relayed_chars == 0 { self } else { Self::Cut { detail: self.to_string(), relayed_chars } }
    }
}

/// A grounded question for a model.
#[derive(Clone, Debug)]
pub struct GroundedCall {
    /// The question.
    pub question: String,
    /// What was asked and answered before in its conversation, oldest first.
    pub earlier: Arc<[Exchange]>,
    /// What the answer may rest on, best first; marker `[n]` names the n-th, from 1.
    pub passages: Arc<[Passage]>,
    /// Model as the provider calls it.
    pub model: String,
    /// Sampling temperature.
    pub temperature: f64,
    /// Most tokens of the answer.
    pub max_tokens: u32,
    /// What the policy demands of the answer.
    pub demands: Demands,
    /// Where words go while they are still coming.
    pub sink: FrameSink,
    /// Its place in a trace, handed on to the provider; nothing where it is not traced.
    pub calling: Option<Arc<Calling>>,
}

/// A passed-through call.
#[derive(Clone, Debug)]
pub struct PassedCall {
    /// OpenAI's body, `model` and `max_tokens` already set by the route.
    pub body: serde_json::Value,
    /// Where chunks go while they are still coming.
    pub sink: FrameSink,
    /// Its place in a trace, handed on to the provider; nothing where it is not traced.
    pub calling: Option<Arc<Calling>>,
}

impl GroundedCall {
    /// What a model is asked, with passages as data inside a boundary drawn for this call.
    fn prompt(&self) -> Prompt {
        prompt::grounded(&self.question, &self.earlier, &self.passages, self.demands, rand::random())
    }
}

/// Texts to be ranked.
#[derive(Clone, Debug)]
pub struct RankCall {
    /// Which, for which question, by which model.
    pub ranking: Ranking,
    /// Its place in a trace, handed on to the provider; nothing where it is not traced.
    pub calling: Option<Arc<Calling>>,
}

/// What a provider said and used.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// The words.
    pub content: DraftContent,
    /// Tokens of the prompt, where the provider reported them.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, where the provider reported them.
    pub completion_tokens: Option<u64>,
    /// Characters relayed, to reckon tokens from where none were reported.
    pub relayed_chars: u64,
    /// True where the asker hung up before the end.
    pub cut_short: bool,
}

/// One provider.
pub trait Provider: Send + Sync + 'static {
    /// Answers a question from passages.
    fn answer(&self, call: GroundedCall) -> ProviderFuture<Said>;

    /// Passes a chat completion through.
    fn chat(&self, call: PassedCall) -> ProviderFuture<Said>;

    /// Passes an embedding through.
    fn embed(&self, call: PassedCall) -> ProviderFuture<Said>;

    /// Says how well texts answer a question, in the shape Cohere and Jina gave it; most providers have no model for that.
    fn rank(&self, call: RankCall) -> ProviderFuture<Said> {
        let problem = "ranks nothing; name a model of a provider of kind rerank";
        let error = ProviderError::Lasting(format!("the provider of {} {problem}", call.ranking.model));
        Box::pin(std::future::ready(Err(error)))
    }

    /// As [`Provider::embed`], and keeps a place at the provider until it ends. A provider that computes on this machine lets
    /// others in between its slices.
    fn embed_in(&self, call: PassedCall, place: Slot) -> ProviderFuture<Said> {
        let calling = self.embed(call);
        Box::pin(async move {
            let _until_it_ends = place;
            calling.await
        })
    }
}

#[cfg(test)]
mod local_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
