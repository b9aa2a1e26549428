//! What a tenant is asked of the judgements it was given.
use super::rules::Distrusted;
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::access::Principal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody says of an answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Judgement {
    /// Which answer.
    pub query_id: String,
    /// True for up.
    pub up: bool,
    /// Words.
    pub comment: Option<String>,
    /// What it should have been.
    pub correct_answer: Option<String>,
    /// Chunks it cites that were of no use, or wrong.
    pub rejected: Vec<String>,
}

/// Right `Audit`: what followed from judgements.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadFeedback {
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes.
    pub reply: ReplySlot<FeedbackView>,
}

/// Right `Govern`: a document is trusted again as far as the policy says.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RestoreTrust {
    /// Which document.
    pub document_id: String,
    /// Who says so.
    pub by: Principal,
    /// Where the answer goes, once it is durable; the same where it has lost none.
    pub reply: ReplySlot<FeedbackView>,
}

/// What followed from judgements.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct FeedbackView {
    /// Documents that have lost trust, in the order of their ids.
    pub distrusted: Vec<DistrustedView>,
    /// Questions whose right answer somebody has said, the newest first: lines of `eval/golden.jsonl`, once somebody has read
    /// them.
    pub candidates: Vec<Candidate>,
}

/// A document that has lost trust.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DistrustedView {
    /// Its id.
    pub document_id: String,
    /// The trust it had before.
    pub trust_score: f64,
    /// The trust it has lost.
    pub trust_lost: f64,
    /// People who rejected it.
    pub rejected_by: u64,
}

/// A question whose right answer somebody has said, as `eval/golden.jsonl` writes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// The question.
    pub question: String,
    /// The answer that was accepted, or the one that was said to be right.
    pub answer: String,
    /// The documents it cited; none where the answer is not the one that cited them.
    pub relevant: Vec<String>,
}

impl From<&Distrusted> for DistrustedView {
    fn from(document: &Distrusted) -> Self {
        // sums of decimal fractions, shown as what they are sums of
        let shown = |value: f64| (value * 10_000.0).round() / 10_000.0;
        Self {
            document_id: document.id.clone(),
            trust_score: shown(document.trust_score),
            trust_lost: shown(document.lost()),
            rejected_by: u64::try_from(document.by.len()).unwrap_or(u64::MAX),
        }
    }
}
