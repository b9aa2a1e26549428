//! What a tenant is asked to show of its journal.
use super::certificates::ErasureCertificate;
use super::extension::Taken;
use super::forms::{Receipt, ShownRecord, SignedHead};
use crate::egress::Transfer;
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

/// Right `Audit`: the certificate of an erasure that is done.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadCertificate {
    /// Id of the request.
    pub id: String,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes; `not_found` where there is no such request, or it is open.
    pub reply: ReplySlot<ErasureCertificate>,
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

/// The publisher's: the head of the journal, signed now, cleared for where it goes.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PublishHead {
    /// Records of the head published there before: this one is shown to begin with it.
    pub since: Option<u64>,
    /// Where it goes.
    pub region: String,
    /// Where the answer goes; `invalid_request` where the journal has fewer records than it had, `sovereignty_violation`.
    pub reply: ReplySlot<Departing>,
}

/// A head on its way out.
#[derive(Debug)]
pub struct Departing {
    /// The head.
    pub head: SignedHead,
    /// Its way; under way until dropped.
    pub transfer: Transfer,
}

/// The publisher's: take in the head of another tenant's journal, where it goes on from the one taken in before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WitnessHead {
    /// The head, with the proof that it begins with the one taken in before.
    pub head: SignedHead,
    /// Where the answer goes: the position it stands at; `conflict` where it does not go on from the one before.
    pub reply: ReplySlot<u64>,
}

/// The publisher's: which head of a journal was taken in last.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadTaken {
    /// The other journal, in hexadecimal.
    pub journal: String,
    /// Where the answer goes; nothing where none was.
    pub reply: ReplySlot<Option<Taken>>,
}

/// Right `Audit`: the proof that this journal holds a head of another one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadWitness {
    /// The other journal, in hexadecimal.
    pub journal: String,
    /// Who asks.
    pub principal: Principal,
    /// Where the answer goes; `not_found` where no head of it was taken in.
    pub reply: ReplySlot<Receipt>,
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
