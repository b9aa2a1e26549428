//! What the gateway does by itself, without a registry behind its door.
mod bodies;
mod connection;
mod errors;
mod openai;
mod routes;
mod session;
mod streams;
mod uploads;

use bailiwick_kernel::money::NanoUsd;
use bailiwick_tenant::question::{Answer, Citation, ModelUsed, Usage};

fn citation(marker: &str) -> Citation {
    Citation {
        marker: marker.into(),
        document_id: "d1".into(),
        chunk_id: "d1#0".into(),
        title: "Leave".into(),
        source: "https://example.org/leave".into(),
        snippet: "thirty days".into(),
        start: 4,
        end: 15,
        page: None,
        trust_score: 0.9,
    }
}

fn answer(text: &str, citations: Vec<Citation>) -> Answer {
    Answer {
        query_id: "q1".into(),
        answer: text.into(),
        abstained: false,
        reason: None,
        citations,
        trust_score: 0.9,
        model: ModelUsed {
            provider: "extractive".into(),
            name: "extractive".into(),
            region: "local".into(),
            fallback: false,
        },
        usage: Usage { prompt_tokens: 7, completion_tokens: 5, cost: NanoUsd(1_500) },
        policy_version: "1.0.0".into(),
        receipt: "bwr1.3.abc".into(),
        notes: Vec::new(),
        ended_by_length: false,
    }
}
