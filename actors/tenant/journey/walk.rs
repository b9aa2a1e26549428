//! What is told of a traced request and its turn, as plain data: numbers, times and names of the house's own. Never a word of
//! a question, of a document or of an answer.
use crate::egress::Egress;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Code;
use bailiwick_kernel::trace::{SpanId, TraceContext};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// Characters kept of what a provider says about itself.
const NAME_CHARS_MAX: usize = 256;
/// Reasons kept of why an answer ended, one a choice.
const REASONS_MAX: usize = 16;

/// Where walks go when they are over. Never waits, never fails: what does not fit is dropped and counted there.
pub trait Walks: Send + Sync + Debug {
    /// A turn of a request is over.
    fn walked(&self, of: Told, walk: Walk);
}

/// Which tree a span belongs to, and whose borders it has to pass before it leaves the node.
#[derive(Clone, Debug)]
pub struct Told {
    /// The tree, and the span of the request.
    pub context: TraceContext,
    /// The tenant's borders.
    pub egress: Arc<Egress>,
}

/// A traced request.
#[derive(Debug)]
pub struct Requested {
    /// Its tree, and its own span.
    pub context: TraceContext,
    /// The caller's span, where the caller traces.
    pub parent: Option<SpanId>,
    walks: Arc<dyn Walks>,
    owner: OnceLock<(TenantKey, Arc<Egress>)>,
}

impl PartialEq for Requested {
    fn eq(&self, other: &Self) -> bool {
        self.context == other.context
    }
}

impl Eq for Requested {}

impl Requested {
    /// A request under a span of its own.
    #[must_use]
    pub fn new(context: TraceContext, parent: Option<SpanId>, walks: Arc<dyn Walks>) -> Self {
        Self { context, parent, walks, owner: OnceLock::new() }
    }

    /// Whose request it turned out to be. Until that is known nothing of it is told.
    pub(crate) fn belongs_to(&self, tenant: TenantKey, egress: &Arc<Egress>) {
        let _known = self.owner.set((tenant, Arc::clone(egress)));
    }

    /// Whose request it is, and what has to let it pass; `None` where no tenant was asked.
    #[must_use]
    pub fn told(&self) -> Option<(TenantKey, Told)> {
        let (tenant, egress) = self.owner.get()?;
        Some((*tenant, Told { context: self.context.clone(), egress: Arc::clone(egress) }))
    }

    pub(crate) fn walked(&self, walk: Walk) {
        if let Some((_tenant, told)) = self.told().filter(|_| self.context.is_sampled) {
            self.walks.walked(told, walk);
        }
    }
}

/// How a turn ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// With an answer, or with hits.
    Answered,
    /// With the word that nothing supports an answer.
    Abstained,
    /// With a refusal or a failure.
    Refused(Code),
}

/// One turn.
#[derive(Clone, PartialEq, Debug)]
pub struct Walk {
    /// Whose.
    pub tenant: TenantKey,
    /// Its span.
    pub span: SpanId,
    /// `ask`, `search`, `chat` or `embed`.
    pub kind: &'static str,
    /// The policy it was admitted under.
    pub policy_version: String,
    /// When the tenant was asked.
    pub began: Instant,
    /// When it was over.
    pub until: Instant,
    /// The stages it stood in, one after the other.
    pub stages: Vec<(&'static str, Instant, Instant)>,
    /// Calls of providers.
    pub calls: Vec<Call>,
    /// Passages it was given.
    pub passages: Option<usize>,
    /// What the answer cache knew.
    pub cache: Option<&'static str>,
    /// What was held for it.
    pub held: Option<NanoUsd>,
    /// What was charged.
    pub settled: Option<NanoUsd>,
    /// How it ended.
    pub ending: Ending,
}

/// What a provider is asked for, as the semantic conventions for generative AI name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// `chat`.
    Chat,
    /// `embeddings`.
    Embeddings,
}

/// One call of a provider that is over.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// Its span.
    pub span: SpanId,
    /// What was asked for.
    pub operation: Operation,
    /// What it speaks: `openai`, `anthropic`, `extractive`.
    pub kind: String,
    /// Its name in `config.toml`.
    pub provider: String,
    /// Where it is.
    pub region: String,
    /// The model that was asked.
    pub model: String,
    /// The primary was not.
    pub is_fallback: bool,
    /// When it began.
    pub began: Instant,
    /// When it was over.
    pub until: Instant,
    /// Tokens of the prompt and of the answer, where they are known.
    pub tokens: Option<(u64, u64)>,
    /// What the provider said about itself.
    pub said: SaidOfItself,
    /// Why it failed, in a word; nothing where it did not.
    pub error: Option<&'static str>,
}

/// What a provider says about itself beside its words.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SaidOfItself {
    /// The model that answered.
    pub model: Option<String>,
    /// Why each choice ended.
    pub finish_reasons: Vec<String>,
}

/// A call under way: the place in the tree it hands to the provider, and what it hears from there.
#[derive(Debug)]
pub struct Calling {
    /// The tree, and the span of the call.
    pub context: TraceContext,
    /// When it began.
    pub began: Instant,
    said: Mutex<SaidOfItself>,
}

fn bounded(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}

impl Calling {
    pub(crate) fn begin(request: &TraceContext) -> Arc<Self> {
        let context = request.under(SpanId::fresh());
        Arc::new(Self { context, began: Instant::now(), said: Mutex::default() })
    }

    fn note(&self, note: impl FnOnce(&mut SaidOfItself)) {
        // nothing that can panic runs under the lock
        note(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// This model answers; the first word stands.
    pub(crate) fn note_model(&self, model: &str) {
        self.note(|said| {
            if said.model.is_none() && !model.is_empty() {
                said.model = Some(bounded(model));
            }
        });
    }

    /// A choice has ended, for this reason.
    pub(crate) fn note_finished(&self, reason: &str) {
        self.note(|said| {
            if said.finish_reasons.len() < REASONS_MAX {
                said.finish_reasons.push(bounded(reason));
            }
        });
    }

    /// What was heard.
    pub(crate) fn said(&self) -> SaidOfItself {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
