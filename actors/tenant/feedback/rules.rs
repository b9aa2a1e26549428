//! How much trust a document has lost, and which documents are trusted too little to be found. Folded from the journal. Pure.
use super::records::{PassagesRejected, RejectedDocument, TrustRestored};
use crate::entry::{Entry, LineageChunk};
use crate::question::Passage;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::visibility::Visible;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Trust a document loses by one person's rejection.
pub const STEP: f64 = 0.05;
/// People whose rejection counts: no document loses more than so many steps.
pub const STEPS_MAX: usize = 5;
/// Documents that may have lost trust at once; a rejection of one more is written down and has no effect.
pub const DISTRUSTED_MAX: usize = 256;
/// Passages one judgement may reject.
pub const REJECTED_MAX: usize = 20;
/// Far below a step, far above what sums of decimal fractions are off by.
const TOLERANCE: f64 = 1e-9;

/// A document that has lost trust.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Distrusted {
    /// Its id.
    pub id: String,
    /// The trust it had before.
    pub trust_score: f64,
    /// Who rejected it.
    pub by: Vec<String>,
}

impl Distrusted {
    /// The trust it has lost.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a handful of people")]
    pub fn lost(&self) -> f64 {
        self.by.len() as f64 * STEP
    }

    fn left(&self) -> f64 {
        (self.trust_score - self.lost()).max(0.0)
    }
}

/// The documents that have lost trust.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Distrust {
    documents: BTreeMap<String, Distrusted>,
}

impl Distrust {
    /// What was saved.
    #[must_use]
    pub fn of(documents: impl IntoIterator<Item = Distrusted>) -> Self {
        Self { documents: documents.into_iter().map(|document| (document.id.clone(), document)).collect() }
    }

    /// The documents, in the order of their ids.
    pub fn documents(&self) -> impl Iterator<Item = &Distrusted> {
        self.documents.values()
    }

    /// The same, without these.
    #[must_use]
    pub fn without<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Self {
        let mut without = self.clone();
        ids.for_each(|id| drop(without.documents.remove(id)));
        without
    }

    /// Folds one record in. A document that is replaced or removed starts anew.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::PassagesRejected(rejected) => self.reject(rejected),
            Entry::TrustRestored(restored) => self.restore(restored),
            Entry::DocumentAccepted(accepted) => {
                self.documents.remove(&accepted.id);
            }
            Entry::DocumentRemoved { id, .. } => {
                self.documents.remove(id);
            }
            _ => {}
        }
    }

    fn reject(&mut self, PassagesRejected { by, documents, .. }: &PassagesRejected) {
        for RejectedDocument { id, trust_score } in documents {
            if !self.documents.contains_key(id) && self.documents.len() >= DISTRUSTED_MAX {
                continue;
            }
            let document = self.documents.entry(id.clone()).or_insert_with(|| Distrusted {
                id: id.clone(),
                trust_score: *trust_score,
                by: Vec::new(),
            });
            if document.by.len() < STEPS_MAX && !document.by.contains(by) {
                document.by.push(by.clone());
            }
        }
    }

    fn restore(&mut self, TrustRestored { documents, rejected_by, .. }: &TrustRestored) {
        for id in documents {
            let Some(document) = self.documents.get_mut(id) else { continue };
            match rejected_by {
                Some(rejected_by) => document.by.retain(|by| by != rejected_by),
                None => document.by.clear(),
            }
            if document.by.is_empty() {
                self.documents.remove(id);
            }
        }
    }

    /// Whether somebody's rejection of a document counts.
    #[must_use]
    pub fn is_rejected_by(&self, id: &str, by: &str) -> bool {
        self.documents.get(id).is_some_and(|document| document.by.iter().any(|one| one == by))
    }

    /// What may be found, without the documents whose trust has fallen below the policy's minimum.
    #[must_use]
    pub fn keep_out(&self, visible: Visible, min_trust_score: f64) -> Visible {
        let below = self.documents.values().filter(|document| document.left() < min_trust_score - TOLERANCE);
        visible.without(below.map(|document| document.id.clone()).collect())
    }

    /// Says of found passages how far they are trusted now.
    pub fn lower(&self, passages: &mut [Passage]) {
        if self.documents.is_empty() {
            return;
        }
        for passage in passages {
            if let Some(document) = self.documents.get(&passage.document_id) {
                passage.trust_score = (passage.trust_score - document.lost()).max(0.0);
            }
        }
    }
}

/// What one judgement says of the passages of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// Which question.
    pub query_id: &'a str,
    /// True for up.
    pub up: bool,
    /// Chunks that are rejected.
    pub rejected: &'a [String],
    /// Who: the user, or the key where it names none.
    pub by: &'a str,
    /// By which key.
    pub key_id: &'a str,
    /// When.
    pub at_unix_ms: u64,
}

/// What stands in the journal behind a judgement: the step down for what it rejects; for praise, the steps back that the same
/// person's earlier rejections of the cited documents had cost. Nothing where it changes nothing.
///
/// # Errors
/// `invalid_request` where a chunk is rejected that the answer does not cite, or praise rejects one.
pub fn follows(judged: &Judged<'_>, cited: &[LineageChunk], distrust: &Distrust) -> Result<Option<Entry>, Rejection> {
    let Judged { query_id, up, rejected, by, key_id, at_unix_ms } = *judged;
    if up {
        if !rejected.is_empty() {
            let detail = "judging an answer: it is praised and passages of it are rejected; say one of both";
            return Err(Rejection::new(Code::InvalidRequest, detail));
        }
        let mut documents: Vec<String> = cited.iter().map(|chunk| chunk.source_id.clone()).collect();
        documents.sort_unstable();
        documents.dedup();
        documents.retain(|id| distrust.is_rejected_by(id, by));
        let restored = TrustRestored { documents, rejected_by: Some(by.to_owned()), by: key_id.to_owned(), at_unix_ms };
        return Ok((!restored.documents.is_empty()).then(|| Entry::TrustRestored(Box::new(restored))));
    }
    let mut documents: Vec<RejectedDocument> = Vec::new();
    for chunk_id in rejected {
        let Some(chunk) = cited.iter().find(|chunk| chunk.chunk_id == *chunk_id) else {
            let detail =
                format!("judging an answer: it does not cite chunk {chunk_id}; reject what stands in its citations");
            return Err(Rejection::new(Code::InvalidRequest, detail));
        };
        if documents.iter().all(|document| document.id != chunk.source_id) {
            // what was lost before is no part of the trust it started from
            let lost = distrust.documents.get(&chunk.source_id).map_or(0.0, Distrusted::lost);
            documents.push(RejectedDocument { id: chunk.source_id.clone(), trust_score: chunk.trust_score + lost });
        }
    }
    let rejected = PassagesRejected { query_id: query_id.to_owned(), by: by.to_owned(), documents, at_unix_ms };
    Ok((!rejected.documents.is_empty()).then(|| Entry::PassagesRejected(Box::new(rejected))))
}
