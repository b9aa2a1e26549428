//! What stands in the journal of trust that was lost and given back.
use serde::{Deserialize, Serialize};

/// Somebody rejected passages of an answer; stands in the same append, behind the judgement itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PassagesRejected {
    /// Which question.
    pub query_id: String,
    /// Who: the user, or the key where it names none. The same one counts once for a document.
    pub by: String,
    /// The documents of these passages.
    pub documents: Vec<RejectedDocument>,
    /// When.
    pub at_unix_ms: u64,
}

/// A document whose passage was rejected.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RejectedDocument {
    /// Its id.
    pub id: String,
    /// The trust it had in the answer.
    pub trust_score: f64,
}

/// Trust was given back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrustRestored {
    /// The documents.
    pub documents: Vec<String>,
    /// What this one's rejection had cost; everything where nobody is named.
    pub rejected_by: Option<String>,
    /// By whose key.
    pub by: String,
    /// When.
    pub at_unix_ms: u64,
}
