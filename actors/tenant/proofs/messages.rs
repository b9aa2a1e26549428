//! What a tenant is asked to show of its journal.
use super::forms::{Receipt, ShownRecord, SignedHead};
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::access::Principal;

/// Right `Audit`: what proves one answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadReceipt {
    /// Which answer.
    pub query_id: String,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes; `not_found` where there is none.
    pub reply: ReplySlot<Receipt>,
}

/// Right `Audit`: the head of the journal, signed now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadHead {
    /// Records of an earlier head it is to be shown to begin with.
    pub since: Option<u64>,
    /// Where the answer goes; `invalid_request` where no such head can have been.
    pub reply: ReplySlot<SignedHead>,
}

/// Right `Audit`: records of the journal with their keys, in portions.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ShowRecords {
    /// Journal position to start at.
    pub from: u64,
    /// Records, at most.
    pub max: usize,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<ShownRecord>>,
}

/// From the compliance room: is the journal what was written, from its first record to its last?
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct VerifyJournal {
    /// Where the answer goes.
    pub reply: ReplySlot<JournalVerified>,
}

/// What reading the journal once more came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalVerified {
    /// Records that were read and found in their chain.
    pub records: u64,
    /// Records there are.
    pub head: u64,
    /// What is wrong, where something is.
    pub problem: Option<String>,
    /// When its first record was last read again.
    pub whole_unix_ms: u64,
}
