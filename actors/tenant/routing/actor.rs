//! The shell of the routing room: one task for each turn, so that a slow provider holds up nobody.
use super::clients::{Clients, ProviderLanes};
use super::flight;
use super::messages::RoutingParts;
use super::rules::HealthBook;
use super::standing::Standings;
use crate::egress::Egress;
use crate::turn::{Answered, Funded, Turn};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::limits::MAILBOX_MAX;
use bailiwick_kernel::obituary::Obituary;
use bailiwick_kernel::outcome::{Code, Rejection};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tracing::Instrument;

/// What the turns under way share.
pub(super) struct Desk {
    pub(super) clients: Arc<Clients>,
    pub(super) lanes: ProviderLanes,
    pub(super) egress: Arc<Egress>,
    pub(super) exit: Recipient<Turn<Answered>>,
    pub(super) clock: SharedClock,
    pub(super) book: RefCell<HealthBook>,
    pub(super) standings: RefCell<Standings>,
    under_way: Cell<u32>,
}

/// The routing room of one tenant.
pub struct RoutingRoom {
    desk: Rc<Desk>,
    _obituary: Obituary,
}

impl RoutingRoom {
    /// A room of the given parts.
    #[must_use]
    pub fn new(parts: RoutingParts) -> Self {
        let RoutingParts { clients, lanes, egress, exit, clock, obituary } = parts;
        let desk = Desk {
            clients,
            lanes,
            egress,
            exit,
            clock,
            book: RefCell::default(),
            standings: RefCell::default(),
            under_way: Cell::new(0),
        };
        Self { desk: Rc::new(desk), _obituary: obituary }
    }
}

impl Actor for RoutingRoom {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_MAX);
    }
}

impl Handler<Turn<Funded>> for RoutingRoom {
    type Result = ();

    fn handle(&mut self, turn: Turn<Funded>, _context: &mut Self::Context) {
        let most = turn.case.policy.tenant.quotas.max_concurrent_requests;
        let Some(place) = Place::take(&self.desk, most) else {
            let detail =
                format!("calling a model: {most} requests of this tenant are under way; try again when one has ended");
            return turn.refuse(Rejection::retry_after(Code::Overloaded, detail, 250));
        };
        let span = turn.log_span();
        let flying = async move {
            flight::fly(&place.0, turn).await;
        };
        actix::spawn(flying.instrument(span));
    }
}

/// One of the tenant's calls under way; given back by its own `Drop`, also when the call panics.
struct Place(Rc<Desk>);

impl Place {
    fn take(desk: &Rc<Desk>, most: u32) -> Option<Self> {
        let taken = desk.under_way.get();
        (taken < most).then(|| {
            desk.under_way.set(taken.saturating_add(1));
            Self(Rc::clone(desk))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get().saturating_sub(1));
    }
}
