//! The shell of observability.
use super::messages::{ReadTree, Supervised};
use super::rules::{Amount, Faults, Figure, figures};
use crate::registry::messages::{Quarantined, RolloutOver};
use crate::slo::messages::{ServiceChange, ServiceChanged};
use actix::prelude::*;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::{INSPECT_MS, INSPECTIONS_AT_ONCE};
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_policy::rollout::Step;
use bailiwick_tenant::supervisor::messages::{Event, Happened, Inspect, RoomView};
use futures_util::stream::{self, StreamExt};
use metrics::Label;
use std::time::Duration;
use tokio::time::timeout;

/// The room.
pub struct Observability {
    registry: Recipient<Quarantined>,
    rollouts: Recipient<RolloutOver>,
    services: Recipient<ServiceChanged>,
    faults: Faults,
}

impl Observability {
    /// A room that has seen nothing yet.
    #[must_use]
    pub fn new(
        registry: Recipient<Quarantined>,
        rollouts: Recipient<RolloutOver>,
        services: Recipient<ServiceChanged>,
    ) -> Self {
        Self { registry, rollouts, services, faults: Faults::default() }
    }
}

impl Actor for Observability {
    type Context = Context<Self>;
}

fn emit(tenant: TenantKey, figure: &Figure) {
    let mut labels = vec![Label::new("tenant", tenant.to_string())];
    labels.extend(figure.label.map(|(key, value)| Label::from_static_parts(key, value)));
    match figure.amount {
        Amount::Count(by) => metrics::counter!(figure.metric, labels).increment(by),
        Amount::Observe(value) => metrics::histogram!(figure.metric, labels).record(value),
    }
}

impl Handler<Happened> for Observability {
    type Result = ();

    fn handle(&mut self, happened: Happened, ctx: &mut Self::Context) {
        for figure in figures(&happened.event) {
            emit(happened.tenant, &figure);
        }
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
