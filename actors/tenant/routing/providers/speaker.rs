//! Relays a grounded answer while it is still coming, and recognises an abstention before a letter of it is relayed.
use crate::question::Frame;
use crate::routing::prompt;
use crate::turn::{DraftContent, FrameSink, HungUp};

/// The words of one grounded answer on their way.
#[derive(Debug)]
pub(super) struct Speaker {
    sink: FrameSink,
    text: String,
    relayed_bytes: usize,
    chars: u64,
}

impl Speaker {
    /// A speaker into the given sink.
    pub(super) fn new(sink: FrameSink) -> Self {
        Self { sink, text: String::new(), relayed_bytes: 0, chars: 0 }
    }

    /// Says the next words.
    pub(super) async fn say(&mut self, words: &str) -> Result<(), HungUp> {
        self.text.push_str(words);
        self.chars = self.chars.saturating_add(chars_in(words));
        if prompt::may_become_abstention(&self.text) {
            return Ok(());
        }
        self.relay().await
    }

    /// Characters heard from the provider so far.
    pub(super) fn chars(&self) -> u64 {
        self.chars
    }

    /// The answer as a whole, or the abstention it turned out to be; `true` where the asker was gone.
    pub(super) async fn finish(mut self) -> (DraftContent, bool) {
        if prompt::is_abstention(&self.text) {
            return (grounded(self.text), false);
        }
        let gone = self.relay().await.is_err();
        (grounded(self.text), gone)
    }

    /// The answer as far as it came, where the asker is gone.
    pub(super) fn stop(self) -> DraftContent {
        grounded(self.text)
    }

    async fn relay(&mut self) -> Result<(), HungUp> {
        let words = self.text.get(self.relayed_bytes..).unwrap_or_default();
        if words.is_empty() {
            return Ok(());
        }
        let frame = Frame::Delta(words.to_owned());
        self.relayed_bytes = self.text.len();
        self.sink.send(frame).await
    }
}

/// A model's whole text as a draft.
pub(super) fn grounded(text: String) -> DraftContent {
    if prompt::is_abstention(&text) {
        return DraftContent::Abstained { reason: prompt::ABSTENTION_REASON.into() };
    }
    DraftContent::Grounded { text, spans: Vec::new() }
}

/// Characters of a text.
pub(super) fn chars_in(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}
