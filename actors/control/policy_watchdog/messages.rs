//! What the watchdog takes.
use actix::Message;
use bailiwick_kernel::ids::{Generation, TenantKey};

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
