//! What the watchdog takes.
use actix::Message;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::mail::ReplySlot;
use std::collections::BTreeMap;

/// From the policy service: a policy is about to be pushed; its acknowledgement is expected.
#[derive(Clone, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct Expect {
    /// Names the push.
    pub push: u64,
    /// To which tenant.
    pub tenant: TenantKey,
    /// To which incarnation.
    pub generation: Generation,
    /// Which version.
    pub version: String,
}

/// From the policy service: the push was answered, one way or the other, or its incarnation has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct Heard {
    /// Which push.
    pub push: u64,
}

/// From the compliance room: what the last look at all open tenants found.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadPatrol {
    /// Where the answer goes.
    pub reply: ReplySlot<Patrol>,
}

/// What a look found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Patrol {
    /// When it ended; nothing before the first one has.
    pub at_unix_ms: Option<u64>,
    /// Who deviates, and how.
    pub deviating: BTreeMap<TenantKey, String>,
}
