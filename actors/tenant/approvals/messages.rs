//! What people of a tenant are shown of requests that need their word, and what they say.
use super::rules::Decision;
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::access::Principal;
use bailiwick_policy::language::Action;
use serde::{Deserialize, Serialize};

/// Right `Audit`: requests that need somebody's approval.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadApprovals {
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes: those that wait, may be carried out or were refused, oldest first.
    pub reply: ReplySlot<Vec<ApprovalView>>,
}

/// Right `Govern`: somebody's word on a request.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DecideApproval {
    /// Which request.
    pub id: String,
    /// The word.
    pub decision: Decision,
    /// Whose.
    pub by: Principal,
    /// Where the answer goes, once it is durable; `not_found`, `forbidden`, `conflict`.
    pub reply: ReplySlot<ApprovalView>,
}

/// How a request stands that needs somebody's approval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has decided yet.
    Waiting,
    /// It may be carried out, once.
    Approved,
    /// It may not.
    Refused,
}

/// A request that needs somebody's approval.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ApprovalView {
    /// Its id: it follows from what is asked and by whom.
    pub id: String,
    /// How it stands.
    pub state: ApprovalState,
    /// What is asked for.
    pub action: Action,
    /// All that is asked.
    pub subject: String,
    /// SHA-256 of action, request and asker, in hexadecimal: what an approval is bound to.
    pub sha256: String,
    /// Key that asked.
    pub asked_by: String,
    /// User that asked, where the key names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// RFC 3339.
    pub asked_at: String,
    /// RFC 3339; by when it is decided, or carried out.
    pub until: String,
}
