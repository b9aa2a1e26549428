//! The shell of the SLO room: tells who is to know, and asks every tenant within a bounded time how it stands.
use super::delivery::{Clients, Outbox};
use super::messages::{FleetServices, Notify, ReadServices, ServiceSource, TenantService};
use super::rules::{Told, alert, leave};
use super::targets::Target;
use crate::cost::messages::Missing;
use actix::prelude::*;
use bailiwick_kernel::limits::{COST_ALL_MS, COST_MS, COST_READINGS_AT_ONCE};
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_tenant::slo::messages::{ReadService, ServiceView};
use futures_util::stream::{self, StreamExt};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Why a tenant that said nothing is missing.
const SILENT: &str = "it did not answer in time";

/// The room.
#[derive(Debug)]
pub struct Slo {
    targets: Vec<Target>,
    clients: Clients,
    outboxes: Vec<Outbox>,
    told: Told,
}

impl Slo {
    /// A room that tells these targets.
    #[must_use]
    pub fn new(targets: Vec<Target>, clients: Clients) -> Self {
        Self { targets, clients, outboxes: Vec::new(), told: Told::default() }
    }
}

impl Actor for Slo {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        let targets = std::mem::take(&mut self.targets);
        self.outboxes = targets.into_iter().map(|target| Outbox::open(target, self.clients.clone())).collect();
    }
}

impl Handler<Notify> for Slo {
    type Result = ();

    fn handle(&mut self, notify: Notify, _: &mut Self::Context) {
        let alert = alert(&notify);
        if !self.told.is_news(&alert) {
            return;
        }
        for outbox in &self.outboxes {
            match leave(&outbox.target, &notify) {
                Ok(cleared) => outbox.send(alert.clone(), cleared),
                Err(None) => {}
                Err(Some(problem)) => {
                    let (tenant, target) = (notify.tenant.as_str(), outbox.target.name.as_str());
                    tracing::warn!(tenant, target, problem, "an alert may not leave this node");
                }
            }
        }
    }
}

impl Handler<ReadServices> for Slo {
    type Result = ();

    fn handle(&mut self, ReadServices { tenants, reply }: ReadServices, ctx: &mut Self::Context) {
        let mut awaited: BTreeSet<String> = tenants.iter().map(|tenant| tenant.name.clone()).collect();
        let gathered = async move {
            let mut answers = stream::iter(tenants)
                .map(ask)
                .buffer_unordered(COST_READINGS_AT_ONCE)
                .take_until(sleep(Duration::from_millis(COST_ALL_MS)))
                .boxed_local();
            let mut services = FleetServices { tenants: Vec::new(), missing: Vec::new() };
            while let Some((tenant, answer)) = answers.next().await {
                awaited.remove(&tenant);
                match answer {
                    Ok(service) => services.tenants.push(TenantService { tenant, service }),
                    Err(reason) => services.missing.push(Missing { tenant, reason }),
                }
            }
            let silent = awaited.into_iter().map(|tenant| Missing { tenant, reason: SILENT.to_owned() });
            services.missing.extend(silent);
            services.tenants.sort_by(|one, other| one.tenant.cmp(&other.tenant));
            services.missing.sort_by(|one, other| one.tenant.cmp(&other.tenant));
            reply.answer(Ok(services));
        };
        ctx.spawn(gathered.into_actor(self));
    }
}

/// Asks one tenant: how it stands, or why that is not known.
async fn ask(source: ServiceSource) -> (String, Result<ServiceView, String>) {
    let ServiceSource { name, service } = source;
    let answer = async {
        let to = service.map_err(|state| format!("it is {state}"))?;
        let (reply, awaited) = ReplySlot::pair();
        offer(&to, ReadService { reply }).map_err(|_busy| SILENT.to_owned())?;
        let answered = timeout(Duration::from_millis(COST_MS), awaited.outcome()).await;
        answered.map_err(|_late| SILENT.to_owned())?.map_err(|rejection| rejection.detail)
    };
    (name, answer.await)
}
