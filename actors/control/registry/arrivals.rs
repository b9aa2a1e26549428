//! Folders that were read, and policies on their way into force.
use super::actor::Registry;
use super::directory::Folder;
use super::entry::Entry;
use super::lifecycle::{Arrival, arrive, come_into_force};
use super::lodging::Stage;
use super::messages::TenantView;
use crate::gitops::messages::{FolderSeen, FoldersSeen, Found};
use crate::policy_service::messages::Commit;
use actix::prelude::*;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_tenant::egress::clear_to_keep;
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// What a batch of folders comes to.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    ids: HashSet<Uuid>,
    pub(super) arrived: Vec<(Uuid, Arc<PolicySnapshot>)>,
}

impl Registry {
    pub(super) fn take_folders(&mut self, seen: FoldersSeen, ctx: &mut Context<Self>) {
        let mut batch = Batch::default();
        let mut outdated = Vec::new();
        for FolderSeen { name, found, read_after } in seen.folders {
            match found {
                _ if self.writes.outdate(&name, read_after) => outdated.push(name),
                Found::Compiled(policy) => self.take_sound(&name, policy, &mut batch, ctx),
                Found::Broken(problem) => self.note_refused(&name, problem, ctx),
                Found::Gone => self.note_gone(&name, ctx),
            }
        }
        let Batch { entries, arrived, .. } = batch;
        self.record(entries, ctx, move |act, ctx, outcome| {
            if outcome.is_ok() {
                for (id, policy) in arrived {
                    act.adopt(id, policy, None, ctx);
                }
            }
            seen.reply.answer(outcome.map(|()| outdated));
        });
    }

    pub(super) fn take_sound(
        &mut self,
        name: &str,
        policy: Arc<PolicySnapshot>,
        batch: &mut Batch,
        ctx: &mut Context<Self>,
    ) {
        if self.directory.find_name(name).is_some_and(|tenant| tenant.destroying) {
            return;
        }
        let arrival = arrive(&self.directory, name, &policy, self.clock.now_unix_ms());
        let (id, entry) = match arrival {
            Err(rejection) => return self.note_refused(name, rejection.detail, ctx),
            Ok(Arrival::New(entry)) => (policy.tenant.id, Some(entry)),
            Ok(Arrival::Known(id, entry)) => (id, entry),
        };
        if !batch.ids.insert(id) {
            return self.note_refused(
                name,
                "tenant.yaml: another new folder has the same id; every tenant has its own".to_owned(),
                ctx,
            );
        }
        if let Err(elsewhere) = clear_to_keep(&policy.sovereignty, &self.node) {
            return self.note_elsewhere(name, elsewhere.detail, ctx);
        }
        let before = self.directory.find_id(id).and_then(|tenant| tenant.committed.clone());
        let commit = match come_into_force(before.as_deref(), &policy, self.clock.now_unix_ms()) {
            Err(rejection) => return self.note_refused(name, rejection.detail, ctx),
            Ok(commit) => commit,
        };
        for warning in &policy.warnings {
            tracing::warn!(
                tenant = name,
                file = warning.file,
                line = warning.line,
                problem = warning.problem,
                "policy warning"
            );
        }
        batch.entries.extend(entry);
        batch.entries.extend(commit);
        batch.arrived.push((id, policy));
    }

    pub(super) fn note_refused(&mut self, name: &str, problem: String, ctx: &mut Context<Self>) {
        tracing::error!(tenant = name, problem, "the folder is not loaded; the version in force stays");
        match self.directory.find_name(name).map(|tenant| tenant.key) {
            Some(key) => self.note_folder(key, Folder::Refused(problem), ctx),
            None => self.directory.note_stray(name, Some(problem)),
        }
    }

    /// The tenant's data may not be on this node: not registered where nobody knew it, and closed where it served. Unlike
    /// other files that are refused, these take something back, and the version before them does not stay.
    fn note_elsewhere(&mut self, name: &str, problem: String, ctx: &mut Context<Self>) {
        tracing::error!(tenant = name, problem, "the tenant's data may not be on this node; it is not served");
        let Some(key) = self.directory.find_name(name).map(|tenant| tenant.key) else {
            return self.directory.note_stray(name, Some(problem));
        };
        // what is on its way into force now is older than this
        self.commits = self.commits.saturating_add(1);
        self.committed.insert(key, self.commits);
        if let Some(tenant) = self.directory.tenant_mut(key) {
            tenant.policy = None;
        }
        self.note_folder(key, Folder::Elsewhere(problem), ctx);
    }

    fn is_elsewhere(&self, key: TenantKey) -> bool {
        self.directory.tenant(key).is_some_and(|tenant| matches!(tenant.folder, Folder::Elsewhere(_)))
    }

    fn note_gone(&mut self, name: &str, ctx: &mut Context<Self>) {
        match self.directory.find_name(name).map(|tenant| (tenant.key, tenant.destroying)) {
            Some((_, true)) => {}
            Some((key, false)) => {
                tracing::warn!(tenant = name, "the folder is gone; the tenant is suspended until it is back");
                self.note_folder(key, Folder::Gone, ctx);
            }
            None => self.directory.note_stray(name, None),
        }
    }

    /// Brings what a sound folder says into force, and answers who waits for it.
    pub(super) fn adopt(
        &mut self,
        id: Uuid,
        policy: Arc<PolicySnapshot>,
        slot: Option<ReplySlot<TenantView>>,
        ctx: &mut Context<Self>,
    ) {
        let Some(tenant) = self.directory.find_id(id) else { return };
        let key = tenant.key;
        match &tenant.policy {
            Some(in_force) if in_force.digest != policy.digest => return self.commit(key, policy, slot, ctx),
            Some(_) => {}
            None => {
                if let Some(tenant) = self.directory.tenant_mut(key) {
                    tenant.policy = Some(policy);
                }
            }
        }
        self.note_folder(key, Folder::Sound, ctx);
        if let Some(slot) = slot {
            slot.answer(self.view(key));
        }
    }

    /// Hands a policy to the policy service; in force, and answered, once the tenant has acknowledged it.
    pub(super) fn commit(
        &mut self,
        key: TenantKey,
        policy: Arc<PolicySnapshot>,
        slot: Option<ReplySlot<TenantView>>,
        ctx: &mut Context<Self>,
    ) {
        self.commits = self.commits.saturating_add(1);
        let number = self.commits;
        let in_force =
            self.directory.tenant(key).and_then(|tenant| tenant.policy.clone()).unwrap_or_else(|| Arc::clone(&policy));
        let (generation, to) = match self.lodgings.get(&key) {
            Some(lodging) => match &lodging.stage {
                Stage::Open(doors) if doors.adopt.connected() => (lodging.generation, Some(doors.adopt.clone())),
                _ => (lodging.generation, None),
            },
            None => (0, None),
        };
        let pushed = to.is_some();
        let (reply, awaited) = ReplySlot::pair();
        let commit = Commit {
            tenant: key,
            generation: Generation(generation),
            in_force,
            policy: Arc::clone(&policy),
            to,
            reply,
        };
        let sent =
            offer(&self.rooms.policy_service, commit).map_err(|(_commit, undelivered)| Rejection::from(undelivered));
        let committing = async move {
            sent?;
            awaited.outcome().await
        };
        ctx.spawn(committing.into_actor(self).map(move |outcome, act, ctx| {
            let incarnation_ended = pushed && !act.is_open(key, generation);
            match outcome {
                // the rooms that were to adopt it are gone: the next ones open with it
                Err(rejection) if rejection.code == Code::Lost && incarnation_ended && !act.is_elsewhere(key) => {
                    act.commit(key, policy, slot, ctx)
                }
                outcome => act.committed(key, number, policy, outcome, slot, ctx),
            }
        }));
    }

    fn is_open(&self, key: TenantKey, generation: u64) -> bool {
        self.lodgings.get(&key).is_some_and(|lodging| {
            lodging.generation == generation && matches!(&lodging.stage, Stage::Open(doors) if doors.adopt.connected())
        })
    }

    fn committed(
        &mut self,
        key: TenantKey,
        number: u64,
        policy: Arc<PolicySnapshot>,
        outcome: Outcome<String>,
        slot: Option<ReplySlot<TenantView>>,
        ctx: &mut Context<Self>,
    ) {
        match &outcome {
            Ok(version) => {
                tracing::info!(tenant = %key, version, digest = policy.digest, "policy in force");
                let latest = self.committed.entry(key).or_default();
                if *latest < number {
                    *latest = number;
                    if let Some(tenant) = self.directory.tenant_mut(key) {
                        tenant.policy = Some(policy);
                    }
                    self.note_folder(key, Folder::Sound, ctx);
                }
            }
            Err(rejection) => {
                tracing::error!(tenant = %key, problem = %rejection, "the policy was not adopted");
                self.not_adopted(key, number, policy, rejection, ctx);
            }
        }
        if let Some(slot) = slot {
            slot.answer(outcome.and_then(|_version| self.view(key)));
        }
    }

    /// A policy was refused by the service, and the one before it stays; or the tenant's rooms did not take it over, and are
    /// closed: it stands in the journal, so that the next ones open with it.
    fn not_adopted(
        &mut self,
        key: TenantKey,
        number: u64,
        policy: Arc<PolicySnapshot>,
        rejection: &Rejection,
        ctx: &mut Context<Self>,
    ) {
        let latest = self.committed.entry(key).or_default();
        if rejection.code != Code::Conflict && *latest < number {
            *latest = number;
            if let Some(tenant) = self.directory.tenant_mut(key) {
                tenant.policy = Some(policy);
            }
            drop(self.close(key, ctx));
        }
        if !self.is_elsewhere(key) {
            self.note_folder(key, Folder::Refused(rejection.detail.clone()), ctx);
        }
    }
}
