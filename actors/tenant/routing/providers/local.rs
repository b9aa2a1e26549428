//! A model that was registered on this node, asked for embeddings in OpenAI's shape. No key, no network: what it reads stays in
//! the node's region.
use super::{GroundedCall, PassedCall, Provider, ProviderError, ProviderFuture, Said};
use crate::catalog::ProviderEntry;
use crate::embedding::ModelError;
use crate::embedding::service::Service;
use crate::routing::tokens;
use crate::turn::DraftContent;
use bailiwick_kernel::fair::Slot;
use bailiwick_policy::sovereignty::InTransit;
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::sync::Arc;

/// Numbers of a direction are told to the billionth: less than a 32-bit float can tell.
const TOLD_TO: f64 = 1e9;

/// Opens a provider of kind `local-embeddings`: reads its model, once for both kinds of TLS, and tries it.
pub(super) fn open(entry: &ProviderEntry, _within_the_process: InTransit) -> Result<Arc<dyn Provider>, ProviderError> {
    let opening = |problem: String| ProviderError::Lasting(format!("opening provider {}: {problem}", entry.name));
    let registered = entry.local.as_ref().ok_or_else(|| {
        opening(String::from(
            "it names no model; write model = \"…\" with a name of `bailiwick model list` into config.toml",
        ))
    })?;
    let service = registered.service().map_err(|error| opening(error.to_string()))?;
    Ok(Arc::new(Local { name: entry.name.clone(), service }))
}

/// The provider.
#[derive(Clone, Debug)]
struct Local {
    name: String,
    service: Arc<Service>,
}

/// How numbers are told.
#[derive(Clone, Copy)]
enum Told {
    Numbers,
    Base64,
}

impl Provider for Local {
    fn answer(&self, _call: GroundedCall) -> ProviderFuture<Said> {
        self.has_no_words()
    }

    fn chat(&self, _call: PassedCall) -> ProviderFuture<Said> {
        self.has_no_words()
    }

    fn embed(&self, call: PassedCall) -> ProviderFuture<Said> {
        let this = self.clone();
        Box::pin(async move { this.embeddings(&call.body, None).await })
    }

    fn embed_in(&self, call: PassedCall, place: Slot) -> ProviderFuture<Said> {
        let this = self.clone();
        Box::pin(async move { this.embeddings(&call.body, Some(place)).await })
    }
}

impl Local {
    fn has_no_words(&self) -> ProviderFuture<Said> {
        let problem = "has no words, only embeddings; route this model to a provider that answers";
        let error = ProviderError::Lasting(format!("provider {} {problem}", self.name));
        Box::pin(std::future::ready(Err(error)))
    }

    async fn embeddings(self, body: &Value, place: Option<Slot>) -> Result<Said, ProviderError> {
        let refused = |problem: String| ProviderError::Lasting(format!("provider {} {problem}", self.name));
        let texts = texts_of(body).map_err(refused)?;
        let told = self.told(body).map_err(refused)?;
        let held_for = texts.clone();
        let embedded = self.service.embed(texts, place, move |direction| tell(&direction, told)).await;
        let embedded = embedded.map_err(|error| match error {
            ModelError::Text(_) => refused(format!("cannot embed this: {error}")),
            _ => ProviderError::Passing(format!("provider {}: {error}", self.name)),
        })?;
        // never more than was held for: another vocabulary may cut the same words into more pieces
        let reckoned = tokens::off_reactor(move || {
            held_for.iter().fold(0_u64, |sum, text| sum.saturating_add(tokens::count(text)))
        });
        let used = reckoned.await.map_or(embedded.tokens, |reckoned| reckoned.min(embedded.tokens));
        let data: Vec<Value> = embedded
            .each
            .into_iter()
            .enumerate()
            .map(|(index, embedding)| json!({"object": "embedding", "index": index, "embedding": embedding}))
            .collect();
        let usage = json!({"prompt_tokens": used, "total_tokens": used});
        let answer = json!({"object": "list", "data": data, "model": body.get("model"), "usage": usage});
        Ok(Said {
            content: DraftContent::Completion(answer),
            prompt_tokens: Some(used),
            completion_tokens: Some(0),
            relayed_chars: 0,
            cut_short: false,
        })
    }

    fn told(&self, body: &Value) -> Result<Told, String> {
        let dimension = self.service.model().card().dimension;
        match body.get("dimensions").and_then(Value::as_u64) {
            Some(wanted) if usize::try_from(wanted) != Ok(dimension) => {
                return Err(format!("gives {dimension} dimensions, not {wanted}; leave `dimensions` out"));
            }
            _ => {}
        }
        match body.get("encoding_format").and_then(Value::as_str) {
            None | Some("float") => Ok(Told::Numbers),
            Some("base64") => Ok(Told::Base64),
            Some(_) => Err(String::from("knows the encoding_format `float` and `base64`; send one of them")),
        }
    }
}

fn texts_of(body: &Value) -> Result<Vec<String>, String> {
    let wrong = || String::from("reads texts, not tokens; send `input` as a text or a list of texts");
    match body.get("input") {
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(list)) => {
            list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

fn tell(direction: &[f32], told: Told) -> Value {
    match told {
        Told::Numbers => direction.iter().map(|number| (f64::from(*number) * TOLD_TO).round() / TOLD_TO).collect(),
        Told::Base64 => {
            let bytes: Vec<u8> = direction.iter().flat_map(|number| number.to_le_bytes()).collect();
            Value::String(Base64::encode_string(&bytes))
        }
    }
}
