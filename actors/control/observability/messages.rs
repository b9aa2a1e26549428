//! What observability takes beside the tenants' own `Happened`.
use actix::{Message, Recipient};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_tenant::supervisor::messages::{Inspect, RoomView};

/// From the registry: show the live tree.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadTree {
    /// Supervisors to ask.
    pub supervisors: Vec<Supervised>,
    /// Rooms that are known without asking: those of the control plane, tenants whose rooms are not open.
    pub rooms: Vec<RoomView>,
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<RoomView>>,
}

/// One supervisor.
#[derive(Clone, Debug)]
pub struct Supervised {
    /// Whose.
    pub tenant: TenantKey,
    /// Which incarnation.
    pub generation: u64,
    /// Where to ask.
    pub inspect: Recipient<Inspect>,
}
