//! Looks a question up by its meaning before a model is asked: embeds it, once, with what the hold set aside for that, and
//! compares it with what was answered before. Whatever fails on the way is a miss: the question is then answered anew.
use super::actor::Desk;
use super::clients::Client;
use super::flight::while_allowed;
use super::providers::{PassedCall, ProviderError, Said};
use super::spans;
use super::tokens;
use crate::budget::hold::Embedding;
use crate::cache::lookup::{Answers, Purpose};
use crate::cache::meaning::Vector;
use crate::cache::messages::CacheState;
use crate::question::{Matter, ModelUsed};
use crate::ruling::ModelCall;
use crate::turn::{Draft, DraftContent, FrameSink, Funded, Turn};
use bailiwick_kernel::limits::LOOKUP_MS_MAX;
use bailiwick_kernel::outcome::Rejection;
use bailiwick_policy::schema::CACHE_PROVIDER;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More remembered bytes than these are compared off the reactor: about 50 microseconds.
const OFF_REACTOR_BYTES: u64 = 256 << 10;
/// Looking up may use this part of a request's remaining time: the model that is asked after a miss needs the rest.
const PART_OF_TIME: u64 = 4;

/// The answer that was given to a question of the same meaning, where there is one. The turn carries the embedding on, for
/// its own answer to be remembered under.
pub(super) async fn look_up(desk: &Desk, turn: &mut Turn<Funded>) -> Option<Draft> {
    let mut lookup = turn.case.lookup.take()?;
    let vector = embed(desk, turn).await.map(Arc::new);
    let found = match (lookup.purpose, &vector) {
        (Purpose::Recall, Some(vector)) => nearest(desk, turn, &lookup.answers, vector).await,
        (Purpose::Recall | Purpose::Refresh, _) => None,
    };
    if lookup.purpose == Purpose::Recall {
        turn.note_cache(if found.is_some() { CacheState::SemanticHit } else { CacheState::Miss });
    }
    if let Some(vector) = vector {
        lookup.embedded(vector);
    }
    turn.case.lookup = Some(lookup);
    found
}

/// What the exit settles where the question was embedded and nobody answered it.
///
/// # Errors
/// The rejection itself, where nothing was paid for.
pub(super) fn paid_in_vain(desk: &Desk, turn: &Turn<Funded>, rejection: Rejection) -> Result<Draft, Rejection> {
    let Some((embedding, _)) = turn.stage.hold.embedded() else { return Err(rejection) };
    let client = desk.clients.get(&embedding.route.provider);
    Ok(Draft {
        content: DraftContent::Grounded { text: String::new(), spans: Vec::new() },
        prompt_tokens: 0,
        completion_tokens: 0,
        model: ModelUsed {
            provider: CACHE_PROVIDER.to_owned(),
            name: format!("{}/{}", embedding.route.provider, embedding.route.model),
            region: client.map_or_else(String::new, |client| client.entry.region.clone()),
            fallback: false,
        },
        cut_short: false,
        ended_by_length: false,
        rejection: Some(rejection),
    })
}

async fn nearest(desk: &Desk, turn: &Turn<Funded>, answers: &Answers, vector: &Arc<Vector>) -> Option<Draft> {
    let now_unix_ms = desk.clock.now_unix_ms();
    let passages = Arc::clone(&turn.stage.passages);
    if answers.bytes() <= OFF_REACTOR_BYTES {
        return answers.nearest(vector, &passages, now_unix_ms);
    }
    let (answers, vector) = (answers.clone(), Arc::clone(vector));
    tokens::off_reactor(move || answers.nearest(&vector, &passages, now_unix_ms)).await?
}

/// Embeds the question where that is held for, notes what it took, and gives the embedding where it is one.
async fn embed(desk: &Desk, turn: &mut Turn<Funded>) -> Option<Vector> {
    let Matter::Ask(question) = &turn.case.matter else { return None };
    let embedding = turn.stage.hold.embedding()?.clone();
    let client = desk.clients.get(&embedding.route.provider)?;
    let (region, policy) = (client.entry.region.as_str(), &turn.case.policy);
    client.may_take(&desk.egress, &policy.sovereignty).ok()?;
    let route = &embedding.route;
    let model_call = ModelCall { provider: &route.provider, model: &route.model, region, fallback: false };
    turn.case.ruled.may_call(policy, &model_call).ok()?;
    let text = question.text.clone();
    if turn.is_abandoned() && !turn.case.is_told_again() {
        return None; // nobody waits for what would be paid for
    }
    let said = match call(desk, turn, client, &embedding, &text).await {
        Ok(said) => said,
        Err(ProviderError::Unsure { .. }) => {
            turn.stage.hold.note_unsure(embedding.worst().money);
            return None;
        }
        Err(_) => return None,
    };
    let used = match said.prompt_tokens {
        Some(reported) => reported,
        None if text.len() <= tokens::OFF_REACTOR_BYTES => tokens::count(&text),
        None => tokens::count_off_reactor(text).await,
    };
    turn.stage.hold.note_embedded(used);
    match &said.content {
        DraftContent::Completion(body) => Vector::read(body),
        DraftContent::Grounded { .. } | DraftContent::Abstained { .. } => None,
    }
}

/// Calls the provider as any other call does: where its health allows it, at its pace, in a place of its own.
async fn call(
    desk: &Desk,
    turn: &Turn<Funded>,
    client: &Client,
    embedding: &Embedding,
    question: &str,
) -> Result<Said, ProviderError> {
    let provider = &embedding.route.provider;
    let not_called = || ProviderError::Passing(format!("provider {provider} may not be called in time"));
    let lane = desk.lanes.get(provider, turn.case.policy.tenant.plan).ok_or_else(not_called)?;
    let now_unix_ms = desk.clock.now_unix_ms();
    let remaining_ms = turn.case.deadline_unix_ms.saturating_sub(now_unix_ms);
    let patience_ms = (remaining_ms / PART_OF_TIME).min(LOOKUP_MS_MAX).min(client.entry.timeout_ms);
    // of its own: a provider that cannot embed may answer well, and must not rest for it
    let health = format!("embeddings of {provider}");
    desk.book.borrow_mut().admit(&health, now_unix_ms).map_err(|_rests_ms| not_called())?;
    let until_unix_ms = now_unix_ms.saturating_add(patience_ms);
    let left = || Duration::from_millis(until_unix_ms.saturating_sub(desk.clock.now_unix_ms()));
    client.pace.cell(left()).await.map_err(|_too_fast| not_called())?;
    let _place = lane.enter(left()).await.map_err(|_crowded| not_called())?;
    let mut transfer = client
        .depart(&desk.egress, &turn.case.policy.sovereignty)
        .map_err(|barred| ProviderError::Lasting(barred.detail))?;
    let reached = client.reach(&transfer).ok_or_else(not_called)?;
    let body = json!({"model": embedding.route.model, "input": question, "encoding_format": "float"});
    let (called, traced) = (Instant::now(), turn.calling());
    let calling = reached.embed(PassedCall { body, sink: FrameSink::whole(), calling: traced.clone() });
    let late =
        |_elapsed| ProviderError::Unsure { detail: format!("provider {provider} embedded too slowly"), passing: true };
    let until_withdrawn = async { drop(transfer.withdrawn().await) };
    let calling = while_allowed(until_withdrawn, calling);
    let outcome = tokio::time::timeout(left(), calling).await.map_err(late).flatten();
    drop(transfer);
    turn.note_upstream_us(u64::try_from(called.elapsed().as_micros()).unwrap_or(u64::MAX));
    if let Some(traced) = traced {
        turn.called(spans::embedding(&traced, client, embedding, &outcome));
    }
    let is_alive = match &outcome {
        Ok(_) | Err(ProviderError::Lasting(_) | ProviderError::Cut { .. }) => true,
        Err(ProviderError::Unsure { passing, .. }) => !passing,
        Err(ProviderError::Passing(_) | ProviderError::Busy { .. }) => false,
    };
    let mut book = desk.book.borrow_mut();
    if is_alive {
        book.note_alive(&health);
    } else {
        book.note_failure(&health, desk.clock.now_unix_ms());
    }
    outcome
}
