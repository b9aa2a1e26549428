//! Decisions of people about a tenant's money, handed on to the tenant: they stand in its own journal.
use super::actor::Registry;
use super::lodging::Stage;
use super::rules::{no_such_tenant, serving};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_tenant::budget::messages::{ApproveSpending, Reconcile};
use bailiwick_tenant::entry::{Reconciled, SpendingApproved};
use bailiwick_tenant::supervisor::doors::Doors;
use std::sync::Arc;

impl Registry {
    /// The doors of a tenant that is open.
    pub(super) fn open_doors(&self, key: TenantKey) -> Outcome<Arc<Doors>> {
        let tenant = self.directory.tenant(key).ok_or_else(no_such_tenant)?;
        serving(tenant)?;
        match self.lodgings.get(&key).map(|lodging| &lodging.stage) {
            Some(Stage::Open(doors)) => Ok(Arc::clone(doors)),
            _ => Err(Rejection::lost()),
        }
    }

    /// Tells a tenant what the providers' statements say.
    pub(super) fn reconcile(&self, name: &str, charged: NanoUsd, by: Principal, reply: ReplySlot<Reconciled>) {
        let key = self.directory.find(name).map(|tenant| tenant.key).ok_or_else(no_such_tenant);
        let doors = match key.and_then(|key| self.open_doors(key)) {
            Ok(doors) => doors,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        if let Err((message, undelivered)) = offer(&doors.reconcile, Reconcile { charged, by: by.key_id, reply }) {
            message.reply.answer(Err(undelivered.into()));
        }
    }

    /// Tells a tenant that spending beyond the circuit breaker's threshold is approved for a while.
    pub(super) fn approve_spending(
        &self,
        tenant: TenantKey,
        for_ms: u64,
        by: Principal,
        reply: ReplySlot<SpendingApproved>,
    ) {
        let doors = match self.open_doors(tenant) {
            Ok(doors) => doors,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let until_unix_ms = self.clock.now_unix_ms().saturating_add(for_ms);
        let approve = ApproveSpending { until_unix_ms, by: by.key_id, reply };
        if let Err((message, undelivered)) = offer(&doors.approve, approve) {
            message.reply.answer(Err(undelivered.into()));
        }
    }
}
