//! A kept document as the outside sees it.
use super::messages::{DocumentState, DocumentView};
use super::rules::Held;
use bailiwick_kernel::clock::rfc3339;

/// The view of a kept document; `has_indexed` tells whether the index has reached it.
#[must_use]
pub fn view(held: Held, has_indexed: bool) -> DocumentView {
    let Held { accepted, seq, verdict } = held;
    let state = match (verdict.admitted, has_indexed) {
        (0, _) => DocumentState::Quarantined,
        (_, true) => DocumentState::Indexed,
        (_, false) => DocumentState::Accepted,
    };
    DocumentView {
        id: accepted.id,
        title: accepted.title,
        source: accepted.source,
        domain: accepted.domain,
        usecase: accepted.usecase,
        region: accepted.region,
        chunks: accepted.chunks,
        chars: accepted.chars,
        bytes: accepted.bytes,
        trust_score: verdict.trust_score,
        state,
        reason: verdict.reason,
        seq,
        text_sha256: accepted.text_sha256,
        created_at: rfc3339(accepted.at_unix_ms),
        metadata: serde_json::from_str(&accepted.metadata_json).unwrap_or_default(),
    }
}
