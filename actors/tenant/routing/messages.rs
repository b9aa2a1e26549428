//! What the routing room is given. It takes `Turn<Funded>` and sends `Turn<Answered>`; it has no messages of its own.
use crate::egress::Egress;
use crate::routing::clients::{Clients, ProviderLanes};
use crate::turn::{Answered, Turn};
use actix::Recipient;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::obituary::Obituary;
use std::sync::Arc;

/// Everything a routing room is made of.
pub struct RoutingParts {
    /// The clients of all providers, shared by all tenants.
    pub clients: Arc<Clients>,
    /// The tenant's ways to their places.
    pub lanes: ProviderLanes,
    /// Where its bytes may be sent.
    pub egress: Arc<Egress>,
    /// Where answered turns go: the supervisor's exit.
    pub exit: Recipient<Turn<Answered>>,
    /// The time.
    pub clock: SharedClock,
    /// Told when the room ends.
    pub obituary: Obituary,
}
