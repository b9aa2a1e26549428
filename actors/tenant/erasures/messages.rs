//! What a tenant is asked about erasures, and what it says.
use super::rules::Wish;
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::access::Principal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Right `Ingest`: documents are to be erased. Durable when answered; they go as soon as nothing keeps them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AskErasure {
    /// Which.
    pub wish: Wish,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes; `overloaded` where as many are open as may be.
    pub reply: ReplySlot<ErasureView>,
}

/// From the compliance room: how many documents are past their end, though nothing keeps them?
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CountOverdue {
    /// Where the answer goes.
    pub reply: ReplySlot<u64>,
}

/// Right `Audit`: requests in the order of their ids.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ListErasures {
    /// Start after this id.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<ErasureView>>,
}

/// Right `Audit`: one request, with what keeps its documents.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ShowErasure {
    /// Which.
    pub id: String,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes; `not_found`.
    pub reply: ReplySlot<ErasureView>,
}

/// A request for erasure. It names nobody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErasureView {
    /// Its id.
    pub id: String,
    /// `document` or `subject`.
    pub of: String,
    /// Which one: a keyed digest of its name, in hexadecimal.
    pub mark: String,
    /// `open` while something it is about is left, then `done`.
    pub state: String,
    /// Why it was asked for.
    pub basis: String,
    /// RFC 3339.
    pub asked_at: String,
    /// By whose key.
    pub asked_by: String,
    /// By whom, where the key names a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// RFC 3339: by when it is due.
    pub due_at: String,
    /// RFC 3339: when nothing was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Documents that were erased for it; told when it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<u64>,
    /// What it waits for where no document is left, and something of one may still lie outside the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Documents that something keeps.
    pub kept_documents: u64,
    /// The first of them that the asker may see, each with what keeps it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptDocument>,
}

/// A document that is kept against a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeptDocument {
    /// Its id.
    pub document_id: String,
    /// What keeps it, and what would have it gone.
    pub reason: String,
    /// RFC 3339: when that changes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}
