//! Between a provider's words and the asker: markers that resolve to nothing are taken out, forbidden words stop the
//! stream, and everything is counted, so that a stream that ends badly is settled all the same.
use super::allowance::Allowance;
use super::assembly::Assembly;
use super::demands::{Demands, Sources, Within};
use super::markers::{self, MarkerFilter};
use super::output::{self, WITHHELD_CHARS, Watch};
use crate::question::{Citation, Frame, Passage};
use crate::turn::{FrameSink, HungUp};
use bailiwick_policy::redaction::{Redactions, Redactor};
use regex::RegexSet;
use serde_json::Value;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// How a relay ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum End {
    /// The provider had no more words.
    #[default]
    Whole,
    /// The asker was gone.
    HungUp,
    /// Words the output policy forbids were withheld.
    Forbidden,
    /// More came than was held for: what was within is told.
    Spent,
}

/// What came through a relay.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    /// Everything the provider said.
    pub(super) heard: String,
    /// The asker was shown something.
    pub(super) shown: bool,
    /// How it ended.
    pub(super) end: End,
    /// The completion told, where it is wanted whole as well.
    pub(super) assembly: Option<Assembly>,
    /// The chunk a passed-through stream was ended with, where more came than was held for.
    pub(super) last_chunk: Option<Value>,
}

/// One stream's relay.
pub(super) struct Relay {
    sink: FrameSink,
    citations: Vec<Citation>,
    filter: Option<MarkerFilter>,
    watch: Watch,
    withheld: VecDeque<(Frame, usize)>,
    withheld_chars: usize,
    /// Words so far, while they do not rest on the sources demanded.
    unfounded: Option<String>,
    sources: Sources,
    demands: Demands,
    within: Option<Within>,
    redactor: Option<Redactor>,
    whole: Option<Whole>,
    allowance: Option<Allowance>,
    tally: Tally,
}

/// A passed-through stream that is told in one piece: what a form of personal data spells may come in as many chunks, in
/// as many fields, as a provider likes.
struct Whole {
    redactions: Redactions,
    assembly: Assembly,
    /// The last chunk with words …
    chunk: Option<Value>,
    /// … and the one that tells what was used.
    usage: Option<Value>,
}

impl Whole {
    fn hear(&mut self, chunk: Value) {
        let has_words = chunk.get("choices").and_then(Value::as_array).is_some_and(|choices| !choices.is_empty());
        self.assembly.hear(&chunk);
        *(if has_words { &mut self.chunk } else { &mut self.usage }) = Some(chunk);
    }

    /// What is told of it.
    fn told(self) -> impl Iterator<Item = Value> {
        let Self { redactions, assembly, chunk, usage } = self;
        let words = chunk.map(|chunk| output::redacted(assembly.chunk(chunk), "delta", redactions));
        words.into_iter().chain(usage)
    }
}

/// Why a relay stops early.
enum Stop {
    HungUp,
    Forbidden,
}

impl From<HungUp> for Stop {
    fn from(_gone: HungUp) -> Self {
        Self::HungUp
    }
}

impl Relay {
    /// A relay of a grounded answer; the passages are shown before its first word.
    pub(super) fn of_words(sink: FrameSink, passages: &[Passage], forbidden: RegexSet) -> Self {
        let citations = passages
            .iter()
            .enumerate()
            .map(|(index, passage)| markers::citation(index.saturating_add(1), passage))
            .collect();
        let filter = Some(MarkerFilter::new(passages.len()));
        Self { citations, filter, sources: Sources::of(passages), ..Self::of_chunks(sink, forbidden) }
    }

    /// Shows nothing before the words rest on the sources demanded: what does not is withheld whole at the exit. Ends
    /// where an answer of the length demanded has to.
    pub(super) fn meeting(mut self, demands: Demands) -> Self {
        self.unfounded = (demands.sources_min > 0).then(String::new);
        self.within = Some(Within::new(demands.characters_max));
        self.demands = demands;
        self
    }

    /// Takes these forms out of the words, and of the passages they cite.
    pub(super) fn redacting(mut self, redactions: Redactions) -> Self {
        self.citations.iter_mut().for_each(|citation| citation.redact(redactions));
        self.redactor = Some(Redactor::new(redactions));
        self
    }

    /// Takes these forms out of a passed-through stream, which is told when it has ended.
    pub(super) fn redacting_chunks(mut self, redactions: Redactions) -> Self {
        let fresh = || Whole { redactions, assembly: Assembly::default(), chunk: None, usage: None };
        self.whole = (!redactions.is_empty()).then(fresh);
        self
    }

    /// A relay of a passed-through stream.
    pub(super) fn of_chunks(sink: FrameSink, forbidden: RegexSet) -> Self {
        Self {
            sink,
            citations: Vec::new(),
            filter: None,
            watch: Watch::new(forbidden),
            withheld: VecDeque::new(),
            withheld_chars: 0,
            unfounded: None,
            sources: Sources::default(),
            demands: Demands::default(),
            within: None,
            redactor: None,
            whole: None,
            allowance: None,
            tally: Tally::default(),
        }
    }

    /// Puts a passed-through stream together beside relaying it.
    pub(super) fn assembling(mut self) -> Self {
        self.tally.assembly = Some(Assembly::default());
        self
    }

    /// Ends where more comes than was held for.
    pub(super) fn within(mut self, allowance: Option<Allowance>) -> Self {
        self.allowance = allowance;
        self
    }

    /// Relays until the provider ends, the asker is gone, the policy forbids or the tokens held for are used.
    pub(super) async fn run(mut self, mut frames: mpsc::Receiver<Frame>) -> Tally {
        let sink = self.sink.clone();
        let mut gone = std::pin::pin!(sink.closed());
        let end = loop {
            let frame = tokio::select! {
                biased;
                frame = frames.recv() => frame,
                () = &mut gone => break End::HungUp,
            };
            let passed = match frame {
                Some(frame) => self.pass(frame).await,
                None => self.end().await.map(|()| Some(End::Whole)),
            };
            match passed {
                Ok(None) => {}
                Ok(Some(end)) => break end,
                Err(Stop::HungUp) => break End::HungUp,
                Err(Stop::Forbidden) => break End::Forbidden,
            }
        };
        Tally { end, ..self.tally }
    }

    /// Passes a frame on; gives the end where it was the last one.
    async fn pass(&mut self, frame: Frame) -> Result<Option<End>, Stop> {
        let from = self.tally.heard.len();
        match frame {
            Frame::Delta(mut words) => {
                self.tally.heard.push_str(&words);
                let kept = self.bytes_within(from).await;
                words.truncate(kept.unwrap_or(words.len()));
                let words = match &mut self.filter {
                    Some(filter) => filter.push(&words),
                    None => words,
                };
                self.pass_words(words).await?;
                self.end_where(kept).await
            }
            Frame::Chunk(mut chunk) => {
                let (watch, heard, mut forbidden) = (&mut self.watch, &mut self.tally.heard, false);
                if watch.is_idle() {
                    output::collect_words(&chunk, "delta", heard);
                } else {
                    output::for_each_voice(&chunk, "delta", &mut |voice, words| {
                        heard.push_str(words);
                        forbidden = watch.forbids(voice, words) || forbidden;
                    });
                }
                if forbidden {
                    return Err(Stop::Forbidden);
                }
                let kept = self.bytes_within(from).await;
                if let Some((allowance, kept)) = self.allowance.as_ref().zip(kept) {
                    chunk = allowance.last_chunk(chunk, kept);
                    self.tally.last_chunk = Some(chunk.clone());
                }
                if let Some(assembly) = &mut self.tally.assembly {
                    assembly.hear(&chunk);
                }
                if let Some(whole) = &mut self.whole {
                    whole.hear(chunk);
                    return self.end_where(kept).await;
                }
                let chars = self.tally.heard.get(from..).map_or(0, |words| words.chars().count());
                self.withhold(Frame::Chunk(chunk), chars).await?;
                self.end_where(kept).await
            }
            // the passages shown are those of the turn, never a provider's own
            Frame::Citations(_) => Ok(None),
        }
    }

    /// How many bytes of the words heard from here on were held for, where that is not all of them; the others are not heard.
    async fn bytes_within(&mut self, from: usize) -> Option<usize> {
        let end = self.allowance.as_mut()?.end_of(&self.tally.heard).await?;
        // what was told is told
        let end = end.max(from);
        self.tally.heard.truncate(end);
        Some(end.saturating_sub(from))
    }

    /// Tells what is left, where the words just passed on were the last ones that were held for.
    async fn end_where(&mut self, kept: Option<usize>) -> Result<Option<End>, Stop> {
        if kept.is_none() {
            return Ok(None);
        }
        self.end().await.map(|()| Some(End::Spent))
    }

    async fn pass_words(&mut self, words: String) -> Result<(), Stop> {
        if words.is_empty() {
            return Ok(());
        }
        if self.watch.forbids("answer", &words) {
            return Err(Stop::Forbidden);
        }
        let words = match &mut self.redactor {
            Some(redactor) => redactor.push(&words),
            None => words,
        };
        self.tell(words).await
    }

    /// Words as they may be told, as far as they are within the length.
    async fn tell(&mut self, words: String) -> Result<(), Stop> {
        let words = match &mut self.within {
            Some(within) => within.push(&words),
            None => words,
        };
        self.found(words).await
    }

    /// Words that are within the length, once they rest on what they have to.
    async fn found(&mut self, words: String) -> Result<(), Stop> {
        if words.is_empty() {
            return Ok(());
        }
        if let Some(unfounded) = &mut self.unfounded {
            unfounded.push_str(&words);
        }
        let (sources, least) = (&self.sources, self.demands.sources_min);
        self.unfounded.take_if(|unfounded| sources.cited(unfounded) >= least);
        let chars = words.chars().count();
        self.withhold(Frame::Delta(words), chars).await
    }

    async fn withhold(&mut self, frame: Frame, chars: usize) -> Result<(), Stop> {
        self.withheld_chars = self.withheld_chars.saturating_add(chars);
        self.withheld.push_back((frame, chars));
        // whoever watches words needs some that are not shown yet, to find what they complete
        let kept_chars = if self.watch.is_idle() { 0 } else { WITHHELD_CHARS };
        while let Some((_, chars)) = self.withheld.front().filter(|_| self.unfounded.is_none()) {
            let behind_it = self.withheld_chars.saturating_sub(*chars);
            if behind_it < kept_chars {
                break;
            }
            self.withheld_chars = behind_it;
            if let Some((frame, _)) = self.withheld.pop_front() {
                self.show(frame).await?;
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Stop> {
        if let Some(filter) = self.filter.take() {
            self.pass_words(filter.finish()).await?;
        }
        if let Some(redactor) = self.redactor.take() {
            self.tell(redactor.finish()).await?;
        }
        if let Some(within) = self.within.take() {
            self.found(within.finish()).await?;
        }
        if self.unfounded.is_some() {
            return Ok(());
        }
        for chunk in self.whole.take().into_iter().flat_map(Whole::told) {
            self.show(Frame::Chunk(chunk)).await?;
        }
        while let Some((frame, _)) = self.withheld.pop_front() {
            self.show(frame).await?;
        }
        Ok(())
    }

    async fn show(&mut self, frame: Frame) -> Result<(), Stop> {
        if !std::mem::replace(&mut self.tally.shown, true) && !self.citations.is_empty() {
            self.sink.send(Frame::Citations(std::mem::take(&mut self.citations))).await?;
        }
        Ok(self.sink.send(frame).await?)
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
