//! Faults of the provider all tenants share: it remembers, counts or mixes what different tenants asked.
use super::super::model::{Asked, Model, Outcome, PIECE_CHARS};
use super::super::world::{Fault, Street};
use super::{Leak, leak};
use crate::routing::providers::{ProviderError, Said};
use crate::turn::DraftContent;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub(in super::super) const LEAKS: &[Leak] = &[
    leak(
        "provider_answer_cache_by_question",
        "answers are remembered by the question's words alone",
        Fault::Model(remembered),
    ),
    leak("provider_echoes_last_chat", "a chat is answered with what the call before it said", Fault::Model(echoes)),
    leak(
        "provider_prompt_discount",
        "tokens of a prompt anybody has sent before are not counted",
        Fault::Model(discounts),
    ),
    leak("provider_account_quota", "every fifth call of all tenants together fails", Fault::Model(runs_out)),
    leak("provider_error_counts", "a failure's text tells the calls of all tenants", Fault::Model(counts_in_errors)),
    leak("provider_embedding_batch", "an embedding depends on the number embedded before it", Fault::Model(centres)),
    leak(
        "provider_stream_pieces",
        "a stream is cut into larger pieces while others are in flight",
        Fault::Model(coarser),
    ),
    leak("provider_shortens_under_load", "answers are cut while others are in flight", Fault::Model(shortens)),
    leak(
        "provider_tokens_of_batch",
        "tokens of an answer are those of all calls since the tenant's last",
        Fault::Model(bills_the_batch),
    ),
    leak("provider_fingerprint", "a completion carries the number of calls served so far", Fault::Model(fingerprints)),
    leak("provider_swaps_passages", "the order of what is quoted follows the parity of all calls", Fault::Model(swaps)),
    leak("provider_mixes_last_words", "an answer goes on with the last words anybody has sent", Fault::Model(goes_on)),
];

pub(super) const INVISIBLE: &[Leak] =
    &[leak("provider_counts_quietly", "all calls are counted and nobody is told", Fault::Model(counts_quietly))];

fn twist(model: &mut Model, twist: impl Fn(Asked, &str, Outcome) -> Outcome + Send + Sync + 'static) {
    model.twist = Some(Arc::new(twist));
}

/// A twist that knows how many calls came before.
fn counting(model: &mut Model, change: impl Fn(u64, Asked, Outcome) -> Outcome + Send + Sync + 'static) {
    let calls = AtomicU64::new(0);
    twist(model, move |asked, _, said| change(calls.fetch_add(1, Ordering::SeqCst), asked, said));
}

/// Changes the words of a grounded answer.
fn reworded(said: Outcome, change: impl FnOnce(String) -> String) -> Outcome {
    said.map(|said| match said.content {
        DraftContent::Grounded { text, spans } => {
            Said { content: DraftContent::Grounded { text: change(text), spans }, ..said }
        }
        _ => said,
    })
}

fn completed(said: Outcome, change: impl FnOnce(&mut serde_json::Value)) -> Outcome {
    said.map(|mut said| {
        if let DraftContent::Completion(body) = &mut said.content {
            change(body);
        }
        said
    })
}

fn remembered(model: &mut Model, _: &Arc<Street>) {
    let known = Mutex::new(BTreeMap::new());
    twist(model, move |asked, words, said| match (asked, said) {
        (Asked::Answer, Ok(said)) => Ok(known.lock().unwrap().entry(words.to_owned()).or_insert(said).clone()),
        (_, said) => said,
    });
}

fn echoes(model: &mut Model, _: &Arc<Street>) {
    let last = Mutex::new(None);
    twist(model, move |asked, _, said| match (asked, said) {
        (Asked::Chat, Ok(said)) => {
            let before = last.lock().unwrap().replace(said.content.clone());
            Ok(Said { content: before.unwrap_or_else(|| said.content.clone()), ..said })
        }
        (_, said) => said,
    });
}

fn discounts(model: &mut Model, _: &Arc<Street>) {
    let known = Mutex::new(BTreeSet::new());
    twist(model, move |_, words, said| {
        let is_new = known.lock().unwrap().insert(words.to_owned());
        said.map(|said| if is_new { said } else { Said { prompt_tokens: Some(1), ..said } })
    });
}

fn runs_out(model: &mut Model, _: &Arc<Street>) {
    counting(model, |calls, _, said| {
        if calls % 5 == 4 {
            Err(ProviderError::Busy { detail: "too many calls".into(), retry_after_ms: 1 })
        } else {
            said
        }
    });
}

fn counts_in_errors(model: &mut Model, _: &Arc<Street>) {
    counting(model, |calls, _, said| {
        said.map_err(|error| ProviderError::Lasting(format!("{error}; it was call {calls} of today")))
    });
}

fn centres(model: &mut Model, _: &Arc<Street>) {
    counting(model, |calls, asked, said| match asked {
        Asked::Embedding => completed(said, |body| body["data"][0]["embedding"][0] = json!(calls)),
        _ => said,
    });
}

fn coarser(model: &mut Model, street: &Arc<Street>) {
    let street = Arc::clone(street);
    model.piece_chars = Arc::new(move || {
        let others = street.in_flight.load(Ordering::SeqCst);
        PIECE_CHARS + usize::try_from(others).unwrap()
    });
}

fn shortens(model: &mut Model, street: &Arc<Street>) {
    let street = Arc::clone(street);
    twist(model, move |_, _, said| {
        let is_busy = street.in_flight.load(Ordering::SeqCst) > 0;
        reworded(
            said,
            |text| if is_busy { text.split_inclusive("[1]").next().unwrap_or_default().to_owned() } else { text },
        )
    });
}

fn bills_the_batch(model: &mut Model, street: &Arc<Street>) {
    let street = Arc::clone(street);
    twist(model, move |_, _, said| {
        said.map(|said| Said {
            completion_tokens: said.completion_tokens.map(|tokens| tokens + street.requests()),
            ..said
        })
    });
}

fn fingerprints(model: &mut Model, _: &Arc<Street>) {
    counting(model, |calls, asked, said| match asked {
        Asked::Chat => completed(said, |body| body["system_fingerprint"] = json!(calls)),
        _ => said,
    });
}

fn swaps(model: &mut Model, street: &Arc<Street>) {
    let street = Arc::clone(street);
    twist(model, move |_, _, said| {
        let is_odd = street.requests() % 2 == 1;
        reworded(said, |text| match text.split_once(" [1] ") {
            Some((one, other)) if is_odd => format!("{other} {one} [1]"),
            _ => text,
        })
    });
}

fn goes_on(model: &mut Model, _: &Arc<Street>) {
    let last = Mutex::new(String::new());
    twist(model, move |asked, words, said| {
        let before = if asked == Asked::Chat {
            std::mem::replace(&mut *last.lock().unwrap(), words.to_owned())
        } else {
            last.lock().unwrap().clone()
        };
        reworded(said, |text| format!("{text} {before}"))
    });
}

fn counts_quietly(model: &mut Model, _: &Arc<Street>) {
    counting(model, |_, _, said| said);
}
