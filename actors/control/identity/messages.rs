//! What the identity room takes.
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;

/// From the door: a token was shown whose key is not known. Answered when the issuer's key set has been read again, or at
/// once where such a token had it read a moment ago.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Refresh {
    /// Place of the issuer in the configuration.
    pub issuer: usize,
    /// Version of the key sets the token was held against: what was read since may know its key.
    pub seen_version: u64,
    /// Where the answer goes.
    pub reply: ReplySlot<()>,
}
