//! The embedded provider: needs no key and no network. It answers a grounded question with sentences of the passages,
//! each cited with its exact characters, or abstains with a reason. The choosing is pure and lives in [`rules`].
pub mod cues;
pub mod doubts;
mod merging;
pub mod reading;
pub mod rules;
mod scoring;
pub mod sentences;
pub mod signals;
mod support;
#[cfg(test)]
mod tests;
pub mod texture;
pub(crate) mod words;

use super::{GroundedCall, PassedCall, Provider, ProviderError, ProviderFuture, Said};
use crate::catalog::ProviderEntry;
use crate::question::Frame;
use crate::routing::demands::Sources;
use crate::turn::{DraftContent, FrameSink};
use bailiwick_policy::sovereignty::InTransit;
use reading::Source;
use rules::{Cited, Finding, Shape, find};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// An answer of n tokens holds at least this many times n characters; fewer than in most languages, so that the most
/// tokens allowed are never passed.
const CHARS_PER_TOKEN: usize = 2;

/// The embedded provider.
#[derive(Debug)]
pub struct Extractive {
    /// Questions read at a time: reading is work for a processor, not for an arbiter.
    readers: Arc<Semaphore>,
}

/// Builds the provider from its entry; only `concurrency` matters to it.
///
/// # Errors
/// None; the signature is the table's.
pub fn build(entry: &ProviderEntry, _within_the_process: InTransit) -> Result<Arc<dyn Provider>, ProviderError> {
    let permits = entry.concurrency.clamp(1, Semaphore::MAX_PERMITS);
    Ok(Arc::new(Extractive { readers: Arc::new(Semaphore::new(permits)) }))
}

impl Provider for Extractive {
    fn answer(&self, call: GroundedCall) -> ProviderFuture<Said> {
        let readers = Arc::clone(&self.readers);
        Box::pin(async move {
            let sink = call.sink.clone();
            let permit = readers.acquire_owned().await.map_err(|_closed| stopped())?;
            let reading = bailiwick_kernel::residue::spawn_blocking(move || {
                let _held_while_reading = permit;
                look_up(&call)
            });
            match reading.await.map_err(|_panicked| stopped())? {
                Finding::Answer(cited) => Ok(say(cited, &sink).await),
                Finding::Nothing { reason } => Ok(said(DraftContent::Abstained { reason }, 0, false)),
            }
        })
    }

    fn chat(&self, _call: PassedCall) -> ProviderFuture<Said> {
        Box::pin(async {
            Err(ProviderError::Lasting(String::from(
                "chat with the embedded provider: it answers only grounded questions; use the model `bailiwick`",
            )))
        })
    }

    fn embed(&self, _call: PassedCall) -> ProviderFuture<Said> {
        Box::pin(async {
            Err(ProviderError::Lasting(String::from(
                "embeddings from the embedded provider: it answers only grounded questions and has no vectors; \
                 route this model to a provider that embeds",
            )))
        })
    }
}

fn look_up(call: &GroundedCall) -> Finding {
    let origins = Sources::of(&call.passages);
    let passages = call.passages.iter().enumerate();
    let sources: Vec<Source<'_>> = passages
        .map(|(at, passage)| Source {
            title: &passage.title,
            text: &passage.text,
            score: passage.score,
            origin: origins.at(at).unwrap_or(at),
        })
        .collect();
    let by_tokens = usize::try_from(call.max_tokens).unwrap_or(usize::MAX).saturating_mul(CHARS_PER_TOKEN);
    let chars_max = call.demands.characters_max.map_or(by_tokens, |most| most.min(by_tokens));
    find(&call.question, &sources, Shape { chars_max, origins_min: call.demands.sources_min })
}

/// Sends the answer sentence by sentence, and stops where nobody listens any more.
async fn say(cited: Vec<Cited>, sink: &FrameSink) -> Said {
    let mut text = String::new();
    let mut spans = Vec::new();
    let mut cut_short = false;
    for sentence in cited {
        let gap = if text.is_empty() { "" } else { " " };
        let delta = format!("{gap}{}", sentence.words);
        if sink.is_streaming() && sink.send(Frame::Delta(delta.clone())).await.is_err() {
            cut_short = true;
            break;
        }
        text.push_str(&delta);
        spans.push((sentence.marker, sentence.chars));
    }
    let relayed_chars = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    said(DraftContent::Grounded { text, spans }, relayed_chars, cut_short)
}

fn said(content: DraftContent, relayed_chars: u64, cut_short: bool) -> Said {
    Said { content, prompt_tokens: None, completion_tokens: None, relayed_chars, cut_short }
}

fn stopped() -> ProviderError {
    ProviderError::Passing(String::from("reading the passages: the reader stopped before it was done; ask again"))
}
