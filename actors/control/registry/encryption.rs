//! The keys a tenant's data are sealed under: shown, made anew, withheld by who owns the key above them, given back.
use super::actor::Registry;
use super::changes::Change;
use super::directory::Tenant;
use super::entry::Entry;
use super::handles::GovernHandle;
use super::housing::KeysSeen;
use super::lodging::Stage;
use super::messages::GovernRequest;
use super::rules::no_such_tenant;
use crate::kms::rules::{Newest, Rotation};
use actix::prelude::*;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::KEY_WITHDRAW_MS;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_policy::access::Principal;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The keys of one tenant, without the keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct EncryptionView {
    /// The version that seals now.
    pub version: u32,
    /// Days after which the next one is made, where the tenant says so.
    pub rotation_days: Option<u32>,
    /// The key of its own the tenant names in `data-sovereignty.yaml`.
    pub kms_key_id: Option<String>,
    /// Why that key does not wrap the tenant's keys, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_honoured: Option<String>,
    /// Every version, oldest first: all of them open what they have sealed.
    pub versions: Vec<KeyVersionView>,
}

/// One version of a tenant's key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct KeyVersionView {
    /// Its number.
    pub version: u32,
    /// RFC 3339, where it is known.
    pub made_at: Option<String>,
    /// The region it was made for.
    pub region: String,
    /// The customer's key that wraps it; absent for the node's root key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrapped_by: Option<String>,
}

/// From the key watch: a tenant's key is due.
#[derive(Clone, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct KeyIsDue {
    /// Which tenant.
    pub tenant: TenantKey,
    /// Why.
    pub rotation: Rotation,
}

/// From the key watch: what is said of the key of its own that wraps a tenant's keys.
#[derive(Clone, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct KeyStanding {
    /// Which tenant.
    pub tenant: TenantKey,
    /// Why the key is not to be had; `None` where it is.
    pub withheld: Option<String>,
}

/// From the key watch: what the tenants' files say of keys.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReadKeyRules {
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<KeyRules>>,
}

/// What one tenant's files say of its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRules {
    /// Which tenant.
    pub tenant: TenantKey,
    /// Days after which the next version is made.
    pub rotation_days: Option<u32>,
    /// The key of its own that is to wrap.
    pub kms_key_id: Option<String>,
    /// Its rooms are open.
    pub is_open: bool,
    /// It is closed because of its key.
    pub is_sealed: bool,
}

fn kms_key_id(tenant: &Tenant) -> Option<String> {
    tenant.policy.as_ref().and_then(|policy| policy.sovereignty.encryption.kms_key_id.clone())
}

fn rotation_days(tenant: &Tenant) -> Option<u32> {
    tenant.policy.as_ref().and_then(|policy| policy.sovereignty.encryption.key_rotation_days)
}

fn view(seen: KeysSeen, kms_key_id: Option<String>, rotation_days: Option<u32>) -> EncryptionView {
    let KeysSeen { versions, not_honoured } = seen;
    EncryptionView {
        version: versions.last().map_or(0, |newest| newest.number),
        rotation_days,
        kms_key_id,
        not_honoured,
        versions: versions
            .into_iter()
            .map(|seen| KeyVersionView {
                version: seen.number,
                made_at: seen.made_unix_ms.map(rfc3339),
                region: seen.region,
                wrapped_by: seen.key_id,
            })
            .collect(),
    }
}

impl Registry {
    pub(super) fn show_encryption(&self, key: TenantKey, slot: ReplySlot<EncryptionView>, ctx: &mut Context<Self>) {
        let Some(tenant) = self.directory.tenant(key) else { return slot.answer(Err(no_such_tenant())) };
        let (housing, own, days) = (Arc::clone(&self.housing), kms_key_id(tenant), rotation_days(tenant));
        let looking = bailiwick_kernel::residue::spawn_blocking(move || {
            let seen = housing.keys_of(key, own.as_deref())?;
            Ok(view(seen, own, days))
        });
        let looked = async move { looking.await.unwrap_or_else(|_panicked| Err(Rejection::lost())) };
        ctx.spawn(looked.into_actor(self).map(|outcome, _act, _ctx| slot.answer(outcome)));
    }

    /// Makes a new version of a tenant's key because somebody asks for it; answered when it stands in the journal.
    pub(super) fn rotate_on_demand(
        &mut self,
        key: TenantKey,
        by: Principal,
        slot: ReplySlot<EncryptionView>,
        ctx: &mut Context<Self>,
    ) {
        self.rotate(key, Rotation::OnDemand, by.key_id, Some(slot), ctx);
    }

    /// Beside the changes, because a key service that is slow must keep nobody else's waiting.
    fn rotate(
        &mut self,
        key: TenantKey,
        rotation: Rotation,
        by: String,
        slot: Option<ReplySlot<EncryptionView>>,
        ctx: &mut Context<Self>,
    ) {
        let found = self.directory.tenant(key).filter(|tenant| !tenant.destroying);
        let found = found.map(|tenant| (tenant.id, kms_key_id(tenant), rotation_days(tenant)));
        let (id, own, days) = match found {
            Some(found) if !self.sealed && self.leaving.is_none() => found,
            Some(_) => return answer(slot, Err(Rejection::lost())),
            None => return answer(slot, Err(no_such_tenant())),
        };
        let housing = Arc::clone(&self.housing);
        let rotating = bailiwick_kernel::residue::spawn_blocking(move || {
            let made = housing.rotate(key, own.as_deref(), rotation)?;
            let seen = housing.keys_of(key, own.as_deref())?;
            Ok((made, view(seen, own, days)))
        });
        let rotated = async move { rotating.await.unwrap_or_else(|_panicked| Err(Rejection::lost())) };
        ctx.spawn(rotated.into_actor(self).map(move |outcome, act, ctx| match outcome {
            Ok((Some(made), seen)) => act.key_made(key, id, made, by, slot.map(|slot| (slot, seen)), ctx),
            Ok((None, seen)) => answer(slot, Ok(seen)),
            Err(rejection) => {
                tracing::error!(tenant = %key, problem = %rejection, "the tenant's key was not made anew; the one before goes on");
                answer(slot, Err(rejection));
            }
        }));
    }

    fn key_made(
        &mut self,
        key: TenantKey,
        id: Uuid,
        made: Newest,
        by: String,
        told: Option<(ReplySlot<EncryptionView>, EncryptionView)>,
        ctx: &mut Context<Self>,
    ) {
        let Newest { number: version, key_id: kms_key_id, .. } = made;
        tracing::info!(tenant = %key, version, by, "the tenant has a new version of its key");
        metrics::counter!("bailiwick_tenant_keys_made_total").increment(1);
        let at_unix_ms = self.clock.now_unix_ms();
        self.enqueue(Change::Noted(Entry::TenantKeyMade { id, version, kms_key_id, at_unix_ms, by }, told), ctx);
    }

    /// Writes down what has happened.
    pub(super) fn note(
        &mut self,
        entry: Entry,
        told: Option<(ReplySlot<EncryptionView>, EncryptionView)>,
        ctx: &mut Context<Self>,
    ) {
        self.record(vec![entry], ctx, move |_act, _ctx, outcome| {
            if let Some((slot, seen)) = told {
                slot.answer(outcome.map(|()| seen));
            }
        });
    }

    /// The key above the tenant's is not to be had: nobody is let in from here on.
    pub(super) fn note_sealed(&mut self, key: TenantKey, reason: String, ctx: &mut Context<Self>) {
        let Some(tenant) = self.directory.tenant(key) else { return };
        let (id, was_sealed) = (tenant.id, tenant.sealed.is_some());
        if let Some(tenant) = self.directory.tenant_mut(key) {
            tenant.sealed = Some(reason.clone());
        }
        if !was_sealed {
            tracing::error!(tenant = %key, reason, "sealed: the key of its own that wraps its keys is not to be had");
            let at_unix_ms = self.clock.now_unix_ms();
            self.enqueue(Change::Noted(Entry::TenantSealed { id, reason, at_unix_ms }, None), ctx);
        }
    }

    /// Closes a tenant's rooms, and takes the keys from what is left of them a little later.
    fn seal_tenant(&mut self, key: TenantKey, reason: String, ctx: &mut Context<Self>) {
        self.note_sealed(key, reason, ctx);
        drop(self.close(key, ctx));
        ctx.run_later(Duration::from_millis(KEY_WITHDRAW_MS), move |act, _ctx| {
            if act.directory.tenant(key).is_some_and(|tenant| tenant.sealed.is_some()) {
                act.housing.withdraw(key);
            }
        });
    }

    fn unseal_tenant(&mut self, key: TenantKey, ctx: &mut Context<Self>) {
        let Some(tenant) = self.directory.tenant(key).filter(|tenant| tenant.sealed.is_some()) else { return };
        let id = tenant.id;
        tracing::info!(tenant = %key, "unsealed: the key of its own can be used again");
        if let Some(tenant) = self.directory.tenant_mut(key) {
            tenant.sealed = None;
        }
        let at_unix_ms = self.clock.now_unix_ms();
        self.enqueue(Change::Noted(Entry::TenantUnsealed { id, at_unix_ms }, None), ctx);
        self.settle(key, ctx);
    }

    fn key_rules(&self) -> Vec<KeyRules> {
        let of = |tenant: &Tenant| KeyRules {
            tenant: tenant.key,
            rotation_days: rotation_days(tenant),
            kms_key_id: kms_key_id(tenant),
            is_open: matches!(self.lodgings.get(&tenant.key).map(|lodging| &lodging.stage), Some(Stage::Open(_))),
            is_sealed: tenant.sealed.is_some(),
        };
        let kept = |tenant: &&Tenant| tenant.policy.is_some() && !tenant.destroying;
        self.directory.tenants().filter(kept).map(of).collect()
    }
}

fn answer(slot: Option<ReplySlot<EncryptionView>>, outcome: Outcome<EncryptionView>) {
    if let Some(slot) = slot {
        slot.answer(outcome);
    }
}

impl Handler<ReadKeyRules> for Registry {
    type Result = ();

    fn handle(&mut self, ReadKeyRules { reply }: ReadKeyRules, _ctx: &mut Self::Context) {
        reply.answer(Ok(self.key_rules()));
    }
}

impl Handler<KeyIsDue> for Registry {
    type Result = ();

    fn handle(&mut self, KeyIsDue { tenant, rotation }: KeyIsDue, ctx: &mut Self::Context) {
        let by = match rotation {
            Rotation::OfAnotherHolder => "kms_key_id",
            Rotation::OnDemand | Rotation::OlderThanDays(_) => "key_rotation_days",
        };
        self.rotate(tenant, rotation, by.to_owned(), None, ctx);
    }
}

impl Handler<KeyStanding> for Registry {
    type Result = ();

    fn handle(&mut self, KeyStanding { tenant, withheld }: KeyStanding, ctx: &mut Self::Context) {
        match withheld {
            Some(reason) => self.seal_tenant(tenant, reason, ctx),
            None => self.unseal_tenant(tenant, ctx),
        }
    }
}

impl GovernHandle {
    /// The keys the tenant's data are sealed under, without the keys.
    ///
    /// # Errors
    /// `conflict` where it has none yet.
    pub async fn encryption(&self) -> Outcome<EncryptionView> {
        self.govern(GovernRequest::Encryption).await
    }

    /// Makes a new version of the tenant's key: everything is sealed under it from here on, what was sealed before opens as
    /// before. It stands in the journal when this is answered.
    ///
    /// # Errors
    /// `conflict` where there may be no more because somebody asks, `tenant_sealed` where the customer's key is not to be had.
    pub async fn rotate_encryption(&self) -> Outcome<EncryptionView> {
        self.govern(GovernRequest::RotateEncryption).await
    }
}
