//! Providers behind one trait, each in one file, each one line in [`ALL`]. Nothing else names a provider.
pub mod extractive;

use crate::catalog::ProviderEntry;
use crate::question::Passage;
use crate::turn::{DraftContent, FrameSink};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A boxed future of a provider call.
pub type ProviderFuture<T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'static>>;

/// Builds a provider of one kind from its entry in the catalogue.
pub type Constructor = fn(&ProviderEntry) -> Result<Arc<dyn Provider>, ProviderError>;

/// Kind → constructor.
pub const ALL: &[(&str, Constructor)] = &[(crate::catalog::EXTRACTIVE, extractive::build)];

/// Why a provider did not answer.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ProviderError {
    /// It may work when tried again (connection, timeout, 429, 5xx); whether it was billed is told by `used`.
    #[error("{0}")]
    Passing(String),
    /// Trying again will not help (other 4xx, malformed answer).
    #[error("{0}")]
    Lasting(String),
}

/// A grounded question for a model.
#[derive(Clone, Debug)]
pub struct GroundedCall {
    /// The question.
    pub question: String,
    /// What the answer may rest on, best first; marker `[n]` names the n-th, from 1.
    pub passages: Arc<[Passage]>,
    /// Model as the provider calls it.
    pub model: String,
    /// Sampling temperature.
    pub temperature: f64,
    /// Most tokens of the answer.
    pub max_tokens: u32,
    /// Where words go while they are still coming.
    pub sink: FrameSink,
}

/// A passed-through call.
#[derive(Clone, Debug)]
pub struct PassedCall {
    /// OpenAI's body, `model` and `max_tokens` already set by the route.
    pub body: serde_json::Value,
    /// Where chunks go while they are still coming.
    pub sink: FrameSink,
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
}
