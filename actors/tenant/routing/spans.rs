//! What is told of a call of a provider that is over. Pure but for the clock.
use super::clients::Client;
use super::flight::Landing;
use super::providers::{ProviderError, Said};
use crate::budget::hold::{Candidate, Embedding};
use crate::journey::walk::{Call, Calling, Operation};
use crate::question::Matter;
use std::time::Instant;

/// A call of a candidate.
pub(super) fn attempt(
    calling: &Calling,
    client: &Client,
    candidate: &Candidate,
    matter: &Matter,
    landing: &Landing,
) -> Call {
    let (tokens, error) = match landing {
        Landing::Billed(draft) => {
            let tokens = (draft.prompt_tokens, draft.completion_tokens);
            (Some(tokens), draft.rejection.as_ref().map(|rejection| rejection.code.as_str()))
        }
        Landing::Failed(error) => (None, Some(failure(error))),
        Landing::Abandoned => (None, Some("abandoned")),
        Landing::Crowded(rejection) | Landing::Barred(rejection) | Landing::Withdrawn(rejection) => {
            (None, Some(rejection.code.as_str()))
        }
        Landing::Paced(_) => (None, Some("paced")),
    };
    let has_no_words = matches!(matter, Matter::Embed(_) | Matter::Rank(_));
    let operation = if has_no_words { Operation::Embeddings } else { Operation::Chat };
    Call { is_fallback: candidate.fallback, tokens, error, ..call(calling, client, operation, &candidate.route.model) }
}

/// A call that embeds a question.
pub(super) fn embedding(
    calling: &Calling,
    client: &Client,
    embedding: &Embedding,
    outcome: &Result<Said, ProviderError>,
) -> Call {
    let call = call(calling, client, Operation::Embeddings, &embedding.route.model);
    match outcome {
        Ok(said) => Call { tokens: said.prompt_tokens.map(|tokens| (tokens, 0)), ..call },
        Err(error) => Call { error: Some(failure(error)), ..call },
    }
}

fn call(calling: &Calling, client: &Client, operation: Operation, model: &str) -> Call {
    Call {
        span: calling.context.span,
        operation,
        kind: client.entry.kind.clone(),
        provider: client.entry.name.clone(),
        region: client.entry.region.clone(),
        model: model.to_owned(),
        is_fallback: false,
        began: calling.began,
        until: Instant::now(),
        tokens: None,
        said: calling.said(),
        error: None,
    }
}

/// Why a call failed, in one of a few words: its text may quote the provider.
fn failure(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Passing(_) => "unavailable",
        ProviderError::Busy { .. } => "busy",
        ProviderError::Lasting(_) => "refused",
        ProviderError::Unsure { .. } => "unsure",
        ProviderError::Cut { .. } => "broken_off",
    }
}
