//! The shell of observability.
use super::exposition::Exposition;
use super::messages::{ReadTree, Supervised};
use super::rules::{Faults, figures};
use crate::registry::messages::{Quarantined, RolloutOver};
use crate::slo::messages::{ServiceChange, ServiceChanged};
use actix::prelude::*;
use bailiwick_kernel::limits::{INSPECT_MS, INSPECTIONS_AT_ONCE};
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_policy::rollout::Step;
use bailiwick_tenant::supervisor::messages::{Event, Happened, Inspect, RoomView};
use futures_util::stream::{self, StreamExt};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The room.
pub struct Observability {
    registry: Recipient<Quarantined>,
    rollouts: Recipient<RolloutOver>,
    services: Recipient<ServiceChanged>,
    faults: Faults,
    exposition: Arc<Exposition>,
}

/// How often observations are taken in where nobody reads the figures.
const TIDY: Duration = Duration::from_secs(5);

impl Observability {
    /// A room that has seen nothing yet.
    #[must_use]
    pub fn new(
        registry: Recipient<Quarantined>,
        rollouts: Recipient<RolloutOver>,
        services: Recipient<ServiceChanged>,
        exposition: Arc<Exposition>,
    ) -> Self {
        Self { registry, rollouts, services, faults: Faults::default(), exposition }
    }
}

impl Actor for Observability {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TIDY, |room, _| {
            let exposition = Arc::clone(&room.exposition);
            let _tidied = bailiwick_kernel::residue::spawn_blocking(move || exposition.tidy());
        });
    }
}

impl Handler<Happened> for Observability {
    type Result = ();

    fn handle(&mut self, happened: Happened, ctx: &mut Self::Context) {
        self.exposition.count(happened.tenant, &figures(&happened.event), Instant::now());
        self.faults.note(&happened);
        if let Event::RolloutEnded { release, end } = &happened.event {
            let over = RolloutOver {
                tenant: happened.tenant,
                release: release.clone(),
                reached_everybody: *end == Step::Complete,
            };
            ctx.spawn(self.rollouts.send(over).into_actor(self).map(|_sent, _act, _ctx| ()));
        }
        let change = match &happened.event {
            Event::Alarmed(alarmed) => Some(ServiceChange::Alarmed(*alarmed)),
            Event::ReleasesStand(frozen) => Some(ServiceChange::ReleasesStand(*frozen)),
            _ => None,
        };
        if let Some(change) = change {
            let changed = ServiceChanged { tenant: happened.tenant, change };
            ctx.spawn(self.services.send(changed).into_actor(self).map(|_sent, _act, _ctx| ()));
        }
        if happened.event == Event::Quarantined {
            let registry = self.registry.clone();
            let quarantined = Quarantined { tenant: happened.tenant };
            // waits for room in the registry's mailbox: a quarantine is never dropped here
            ctx.spawn(registry.send(quarantined).into_actor(self).map(|_sent, _act, _ctx| ()));
        }
    }
}

impl Handler<ReadTree> for Observability {
    type Result = ();

    fn handle(&mut self, read: ReadTree, ctx: &mut Self::Context) {
        let ReadTree { supervisors, mut rooms, reply } = read;
        let faults = self.faults.clone();
        let asked = stream::iter(supervisors)
            .map(move |supervised| {
                let silent = faults.silent(supervised.tenant, supervised.generation);
                async move { inspect(supervised).await.unwrap_or_else(|| vec![silent]) }
            })
            .buffer_unordered(INSPECTIONS_AT_ONCE);
        let tree = async move {
            let found: Vec<Vec<RoomView>> = asked.collect().await;
            rooms.extend(found.into_iter().flatten());
            rooms.sort_by(|one, other| one.address.cmp(&other.address));
            reply.answer(Ok(rooms));
        };
        ctx.spawn(tree.into_actor(self));
    }
}

async fn inspect(supervised: Supervised) -> Option<Vec<RoomView>> {
    let (reply, awaited) = ReplySlot::pair();
    offer(&supervised.inspect, Inspect { reply }).ok()?;
    timeout(Duration::from_millis(INSPECT_MS), awaited.outcome()).await.ok()?.ok()
}
