//! What the shelf has of a document, and what a stretch of the journal comes to on it. Pure.
use super::index::place;
use super::rules::{Held, Verdict, body_name};
use crate::entry::DocumentAccepted;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the shelf has of a document: nothing that anybody has written. That stands in its record, which is shredded with it;
/// the store's log keeps what was written over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    /// Where its record stands.
    pub(super) seq: u64,
    pub(super) verdict: Verdict,
    pub(super) bytes: u64,
    pub(super) chunks: u32,
    /// What its body is called.
    pub(super) body: String,
}

impl Row {
    pub(super) fn of(held: &Held) -> Self {
        let Held { accepted, seq, verdict } = held;
        let body = body_name(&accepted.id, &accepted.text_sha256);
        Self { seq: *seq, verdict: verdict.clone(), bytes: accepted.bytes, chunks: accepted.chunks, body }
    }

    /// The chunks that may have vectors.
    pub(super) fn places(&self) -> impl Iterator<Item = u64> + use<> {
        let seq = self.seq;
        (0..self.chunks).map(move |number| place(seq, number))
    }
}

/// A version of a document that is not kept any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Left {
    pub(super) id: String,
    pub(super) seq: u64,
    pub(super) body: String,
}

impl Left {
    pub(super) fn of(held: &Held) -> Self {
        Self::version(&held.accepted, held.seq)
    }

    fn version(accepted: &DocumentAccepted, seq: u64) -> Self {
        Self { id: accepted.id.clone(), seq, body: body_name(&accepted.id, &accepted.text_sha256) }
    }
}

/// What a stretch of the journal says of documents: of each the last, and what was there in between.
#[derive(Default)]
pub(super) struct Found {
    pub(super) documents: BTreeMap<String, Option<(DocumentAccepted, u64)>>,
    pub(super) replaced: Vec<Left>,
}

impl Found {
    pub(super) fn note(&mut self, id: String, document: Option<(DocumentAccepted, u64)>) {
        if let Some(Some((earlier, seq))) = self.documents.insert(id, document) {
            self.replaced.push(Left::version(&earlier, seq));
        }
    }
}

/// What an append comes to on the shelf.
pub(super) struct Change<'a> {
    pub(super) held: Vec<Held>,
    pub(super) removed: &'a [String],
    /// Versions that came and went within it.
    pub(super) replaced: Vec<Left>,
    pub(super) applied: u64,
    pub(super) changed: u64,
}

#[cfg(test)]
mod tests {
    use super::Row;
    use crate::entry::DocumentAccepted;
    use crate::retrieval::rules::{Held, Verdict};

    #[test]
    fn a_row_holds_nothing_that_anybody_has_written() {
        let word = |of: &str| format!("word-of-{of}");
        let accepted = DocumentAccepted {
            id: word("id"),
            title: word("title"),
            source: word("source"),
            domain: word("domain"),
            usecase: word("usecase"),
            region: word("region"),
            text_sha256: word("digest"),
            bytes: 3,
            chars: 3,
            chunks: 2,
            page_starts: Vec::new(),
            signature: Some(word("signature")),
            metadata_json: word("metadata"),
            at_unix_ms: 5,
            by: word("key"),
        };
        let row = Row::of(&Held { accepted, seq: 7, verdict: Verdict::default() });
        assert!(!format!("{row:?}").contains("word-of"), "{row:?}");
        assert_eq!(row.places().count(), 2);
    }
}
