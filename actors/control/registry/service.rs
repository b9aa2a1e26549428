//! Service levels: which tenant's releases are frozen, who is to know of it, and who overrides it. What a tenant's own journal
//! says of its freeze is kept here as well: its rooms need not be open when a folder wants to come into force.
use super::actor::Registry;
use super::changes::Change;
use super::directory::{Folder, Tenant};
use super::entry::Entry;
use super::handles::{FleetHandle, GovernHandle, ObserveHandle, call};
use super::lodging::Stage;
use super::messages::{FleetRequest, GovernRequest};
use super::views;
use crate::policy_service::messages::Passed;
use crate::slo::messages::{FleetServices, Notify, ReadServices, ServiceChange, ServiceChanged, ServiceSource};
use actix::prelude::*;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::access::Principal;
use bailiwick_tenant::slo::messages::{OverrideFreeze, ReadService, ServiceView};
use bailiwick_tenant::slo::rules::{OverrideWish, ReleasesView};
use uuid::Uuid;

/// Why a release does not come into force now, and what lets it.
const FROZEN: &str = "the tenant's error budget is used up and its releases are frozen: wait until there is some again, put \
                      files of a release back that was in force before under a newer version, or have two people override the \
                      freeze (`bailiwick slo override`)";

impl Registry {
    /// Notes at once what has become of a service level, tells who is to know, and writes a freeze down.
    fn service_changed(&mut self, ServiceChanged { tenant: key, change }: ServiceChanged, ctx: &mut Context<Self>) {
        let at_unix_ms = self.clock.now_unix_ms();
        let Some(tenant) = self.directory.tenant(key) else { return };
        let sovereignty = tenant.policy.as_ref().map(|policy| policy.sovereignty.clone());
        let notify = Notify { tenant: tenant.name.clone(), sovereignty, change, at_unix_ms };
        let ServiceChange::ReleasesStand(frozen) = change else {
            return self.notify(notify);
        };
        if tenant.frozen != frozen {
            let id = tenant.id;
            if let Some(tenant) = self.directory.tenant_mut(key) {
                // in force before it is durable: what is lost with the process is told again when the rooms are built
                tenant.frozen = frozen;
            }
            self.enqueue(Change::Releases(key, Entry::ReleasesStand { id, frozen, at_unix_ms }), ctx);
        }
        self.notify(notify);
    }

    fn notify(&self, notify: Notify) {
        if offer(&self.rooms.notify, notify).is_err() {
            metrics::counter!("bailiwick_alerts_total", "target" => "none", "outcome" => "dropped").increment(1);
        }
    }

    /// Writes down whether releases are frozen. What waited for a freeze to end comes into force now.
    pub(super) fn releases_stand(&mut self, key: TenantKey, entry: Entry, ctx: &mut Context<Self>) {
        self.record(vec![entry], ctx, move |act, ctx, _written| {
            let waits = act.directory.tenant(key).is_some_and(|tenant| matches!(tenant.folder, Folder::Frozen(_)));
            if waits && !act.are_releases_frozen(key) {
                let (slot, _nobody_asked) = ReplySlot::pair();
                act.commit_folder(key, slot, ctx);
            }
        });
    }

    /// Whether nothing new of a tenant comes into force now.
    fn are_releases_frozen(&self, key: TenantKey) -> bool {
        let now_unix_ms = self.clock.now_unix_ms();
        self.directory.tenant(key).and_then(|tenant| tenant.frozen).is_some_and(|frozen| frozen.holds(now_unix_ms))
    }

    /// Whether nothing new of a tenant comes into force now; a tenant nobody knows is frozen by nothing.
    pub(super) fn is_frozen(&self, tenant: Option<&Tenant>) -> bool {
        tenant.is_some_and(|tenant| self.are_releases_frozen(tenant.key))
    }

    /// Why what has passed does not come into force, where a freeze keeps it.
    pub(super) fn held_by_freeze(&self, id: Uuid, passed: &Passed) -> Option<String> {
        let is_held = !passed.is_free && self.is_frozen(self.directory.find_id(id));
        is_held.then(|| format!("bringing version {} into force: {FROZEN}", passed.policy.version))
    }

    /// Brings somebody's word against a freeze to the tenant it is about.
    pub(super) fn override_freeze(
        &self,
        tenant: TenantKey,
        wish: OverrideWish,
        by: Principal,
        reply: ReplySlot<ReleasesView>,
    ) {
        let doors = match self.open_doors(tenant) {
            Ok(doors) => doors,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        if let Err((said, undelivered)) = offer(&doors.override_freeze, OverrideFreeze { wish, by, reply }) {
            said.reply.answer(Err(undelivered.into()));
        }
    }

    /// Has the fleet's service levels gathered.
    pub(super) fn read_services(&self, reply: ReplySlot<FleetServices>) {
        let service = |tenant: &Tenant| match self.lodgings.get(&tenant.key).map(|lodging| &lodging.stage) {
            Some(Stage::Open(doors)) => Ok(doors.service.clone()),
            Some(Stage::Opening) => Err("opening".to_owned()),
            Some(Stage::Closing) => Err("closing".to_owned()),
            None => Err(views::tenant_view(tenant).state),
        };
        let source = |tenant: &Tenant| ServiceSource { name: tenant.name.clone(), service: service(tenant) };
        let read = ReadServices { tenants: self.directory.tenants().map(source).collect(), reply };
        if let Err((read, undelivered)) = offer(&self.rooms.services, read) {
            read.reply.answer(Err(undelivered.into()));
        }
    }
}

impl Handler<ServiceChanged> for Registry {
    type Result = ();

    fn handle(&mut self, changed: ServiceChanged, ctx: &mut Self::Context) {
        self.service_changed(changed, ctx);
    }
}

impl ObserveHandle {
    /// How the tenant's service level stands.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn service(&self) -> Outcome<ServiceView> {
        call(&self.service, |reply| ReadService { reply }).await
    }
}

impl GovernHandle {
    /// One's word that something is to be released in spite of a freeze; durable when answered.
    ///
    /// # Errors
    /// `conflict` where nothing is frozen, `forbidden` for who is no user of the tenant and for whoever has said it already.
    pub async fn override_freeze(&self, wish: OverrideWish) -> Outcome<ReleasesView> {
        self.govern(|slot| GovernRequest::OverrideFreeze(wish, slot)).await
    }
}

impl FleetHandle {
    /// How the fleet's service levels stand.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn services(&self) -> Outcome<FleetServices> {
        self.fleet(FleetRequest::Services).await
    }
}
