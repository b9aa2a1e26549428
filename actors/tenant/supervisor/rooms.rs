//! The conveyor of one incarnation: built downstream first, each room holding only the next one's recipient, ended
//! and rebuilt as a unit. Taken apart exhaustively wherever it is used, so that a forgotten room does not compile.
use super::actor::Supervisor;
use super::opening::Opened;
use super::parts::SupervisorParts;
use crate::bucket::{self, Following, Standing};
use crate::budget::{BudgetParts, BudgetRoom};
use crate::cache::CacheRoom;
use crate::cache::messages::CacheParts;
use crate::egress::Egress;
use crate::retrieval::{RetrievalParts, RetrievalRoom};
use crate::routing::RoutingRoom;
use crate::routing::messages::RoutingParts;
use actix::prelude::*;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::obituary::Obituary;
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;
use tokio::sync::watch;

/// The names on the door plates, as the live tree shows them.
pub(super) const KINDS: [&str; 4] = ["retrieval", "cache", "budget", "routing"];

/// The rooms of one incarnation.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) retrieval: Addr<RetrievalRoom>,
    pub(super) cache: Addr<CacheRoom>,
    pub(super) budget: Addr<BudgetRoom>,
    pub(super) routing: Addr<RoutingRoom>,
    pub(super) bucket: BucketSide,
}

/// The background that follows the tenant's bucket, as seen from the rooms: it ends with this.
#[derive(Debug)]
pub(super) struct BucketSide {
    /// Where it reads which bucket that is.
    pub(super) policy: watch::Sender<Arc<PolicySnapshot>>,
    /// How the bucket stands.
    pub(super) standing: Arc<Standing>,
}

impl Rooms {
    /// Builds the conveyor on the current arbiter.
    pub(super) fn build(
        parts: &SupervisorParts,
        opened: &Opened,
        policy: &Arc<PolicySnapshot>,
        egress: &Arc<Egress>,
        incarnation: u64,
        supervisor: &Addr<Supervisor>,
    ) -> Self {
        let obituary = |room| Obituary::new(room, incarnation, supervisor.clone().recipient());
        let routing = RoutingRoom::start(RoutingParts {
            clients: Arc::clone(&parts.clients),
            lanes: parts.clients.lanes(opened.belongings.cipher.tenant()),
            egress: Arc::clone(egress),
            exit: supervisor.clone().recipient(),
            clock: Arc::clone(&parts.clock),
            obituary: obituary("routing"),
        });
        let budget = BudgetRoom::start(BudgetParts {
            journal: opened.belongings.journal.clone(),
            ledger: opened.fold.ledger.clone(),
            accounts: opened.fold.accounts.clone(),
            policy: Arc::clone(policy),
            catalog: Arc::clone(&parts.catalog),
            clock: Arc::clone(&parts.clock),
            next: routing.clone().recipient(),
            obituary: obituary("budget"),
        });
        let cache = CacheRoom::start(CacheParts {
            policy: Arc::clone(policy),
            egress: Arc::clone(egress),
            cipher: opened.belongings.cipher.clone(),
            shared: parts.shared_cache.clone(),
            clock: Arc::clone(&parts.clock),
            next: budget.clone().recipient(),
            exit: supervisor.clone().recipient(),
            obituary: obituary("cache"),
        });
        let retrieval = RetrievalRoom::start(RetrievalParts {
            belongings: opened.belongings.clone(),
            policy: Arc::clone(policy),
            egress: Arc::clone(egress),
            clock: Arc::clone(&parts.clock),
            sandbox: parts.sandbox.clone(),
            lanes: parts.pools.lanes(opened.belongings.cipher.tenant()),
            erasures: parts.erasures.clone(),
            owes_erasure: opened.fold.erasures_open > 0,
            distrust: Arc::clone(&opened.distrust),
            vector_stores: parts.vector_stores.clone(),
            next: cache.clone().recipient(),
            search_exit: supervisor.clone().recipient(),
            embedding: supervisor.clone().recipient(),
            obituary: obituary("retrieval"),
        });
        let (policy, following) = watch::channel(Arc::clone(policy));
        let bucket = BucketSide { policy, standing: Arc::default() };
        actix::spawn(bucket::run(Following {
            buckets: parts.buckets.clone(),
            policy: following,
            egress: Arc::clone(egress),
            doors: bucket::Doors {
                admit: supervisor.clone().recipient(),
                ingest: supervisor.clone().recipient(),
                remove: supervisor.clone().recipient(),
                taken: retrieval.clone().recipient(),
            },
            erasures: parts.erasures.clone(),
            standing: Arc::clone(&bucket.standing),
            clock: Arc::clone(&parts.clock),
        }));
        Self { retrieval, cache, budget, routing, bucket }
    }

    /// Tells every room to stop; each posts its obituary when it is gone.
    pub(super) fn stop(&self, tenant: TenantKey) {
        // what follows the bucket ends when this is dropped
        let Self { retrieval, cache, budget, routing, bucket: _ } = self;
        tracing::debug!(%tenant, "stopping the rooms");
        bailiwick_kernel::mail::post_certain(retrieval, StopRoom);
        bailiwick_kernel::mail::post_certain(cache, StopRoom);
        bailiwick_kernel::mail::post_certain(budget, StopRoom);
        bailiwick_kernel::mail::post_certain(routing, StopRoom);
    }
}

/// Ends a room in order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopRoom;

macro_rules! stoppable {
    ($($room:ty),*) => {$(
        impl Handler<StopRoom> for $room {
            type Result = ();
            fn handle(&mut self, _: StopRoom, ctx: &mut Self::Context) {
                ctx.stop();
            }
        }
    )*};
}
stoppable!(RetrievalRoom, CacheRoom, BudgetRoom, RoutingRoom);

#[cfg(test)]
pub(crate) use panics::{PROVOKED, PanicRoom};

#[cfg(test)]
mod panics {
    use super::{BudgetRoom, CacheRoom, RetrievalRoom, RoutingRoom};
    use actix::prelude::*;

    /// What the panic says.
    pub(crate) const PROVOKED: &str = "provoked by a test";

    /// Makes a room panic: the fault the supervision is for.
    #[derive(Debug, Message)]
    #[rtype(result = "()")]
    pub(crate) struct PanicRoom;

    macro_rules! panicking {
        ($($room:ty),*) => {$(
            impl Handler<PanicRoom> for $room {
                type Result = ();
                fn handle(&mut self, _: PanicRoom, _: &mut Self::Context) {
                    panic!("{PROVOKED}");
                }
            }
        )*};
    }
    panicking!(RetrievalRoom, CacheRoom, BudgetRoom, RoutingRoom);
}
