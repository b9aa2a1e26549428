//! Releases on their way: what people want of them, how they ended, and the texts of those that were.
use super::actor::Registry;
use super::directory::Tenant;
use super::entry::Entry;
use super::handles::{AuditHandle, GovernHandle, call};
use super::lodging::Stage;
use super::messages::{GovernRequest, RolloutOver};
use super::pipeline::gone;
use super::releases::Release;
use super::rules::no_such_tenant;
use crate::gitops::messages::{Found, Sound};
use crate::policy_service::messages::{ForgetReleases, ReadRelease};
use actix::prelude::*;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::rehearsal::Rehearsal;
use bailiwick_policy::rollout::Event;
use bailiwick_tenant::rollout::rules::RolloutView;
use bailiwick_tenant::supervisor::messages::{ReadRollout, Rehearse, SteerRollout};
use std::sync::Arc;

impl Registry {
    /// Tells a tenant that its release goes back, or is for everybody now.
    pub(super) fn steer_rollout(&self, tenant: TenantKey, event: Event, by: Principal, reply: ReplySlot<RolloutView>) {
        let doors = match self.open_doors(tenant) {
            Ok(doors) => doors,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        if let Err((steer, undelivered)) = offer(&doors.steer, SteerRollout { event, by: by.key_id, reply }) {
            steer.reply.answer(Err(undelivered.into()));
        }
    }

    /// Has the texts of the last release of a version given.
    pub(super) fn read_release(&self, tenant: TenantKey, version: &str, reply: ReplySlot<FileTexts>) {
        let Some(tenant) = self.directory.tenant(tenant) else { return reply.answer(Err(no_such_tenant())) };
        let Some(release) = tenant.releases.of_version(version).map(|release| release.release.clone()) else {
            let known: Vec<_> = tenant.releases.kept().map(|kept| kept.version.as_str()).collect();
            let detail = format!(
                "reading a release: none of version {version:?} is kept; there are {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            );
            return reply.answer(Err(Rejection::new(Code::NotFound, detail)));
        };
        let read = ReadRelease { tenant: tenant.id, release, reply };
        if let Err((read, undelivered)) = offer(&self.rooms.release, read) {
            read.reply.answer(Err(undelivered.into()));
        }
    }

    /// Where an open tenant rehearses.
    pub(super) fn rehearsing(&self, key: TenantKey) -> Option<Recipient<Rehearse>> {
        match self.lodgings.get(&key).map(|lodging| &lodging.stage) {
            Some(Stage::Open(doors)) => Some(doors.rehearse.clone()),
            _ => None,
        }
    }

    /// Has the tenant rehearse what its folder holds now; nothing comes into force.
    pub(super) fn rehearse_folder(&mut self, key: TenantKey, slot: ReplySlot<Rehearsal>, ctx: &mut Context<Self>) {
        let (to, name) = match (self.open_doors(key), self.directory.tenant(key)) {
            (Ok(doors), Some(tenant)) => (doors.rehearse.clone(), tenant.name.clone()),
            (Err(rejection), _) => return slot.answer(Err(rejection)),
            (Ok(_), None) => return slot.answer(Err(no_such_tenant())),
        };
        let folders = self.folders.clone();
        let reading = move || match folders.load(&name) {
            Found::Compiled(Sound { policy, golden, .. }) => {
                golden.map(|golden| (policy, golden)).map_err(|problem| Rejection::new(Code::PolicyDenied, problem))
            }
            Found::Broken(problem) => Err(Rejection::new(Code::PolicyDenied, problem)),
            Found::Gone => Err(gone()),
        };
        self.prepare(reading, ctx, move |_act, _ctx, found| match found {
            Err(rejection) => slot.answer(Err(rejection)),
            Ok((policy, golden)) => {
                let rehearse = Rehearse { policy, golden: golden.to_vec(), reply: slot };
                if let Err((rehearse, undelivered)) = offer(&to, rehearse) {
                    rehearse.reply.answer(Err(undelivered.into()));
                }
            }
        });
    }

    /// Has the texts of a tenant's releases forgotten.
    pub(super) fn forget_releases(&self, tenant: &Tenant) -> impl Future<Output = Outcome<()>> + 'static + use<> {
        let releases = tenant.releases.kept().map(|kept| kept.release.clone()).collect();
        let (reply, awaited) = ReplySlot::pair();
        let sent = offer(&self.rooms.forget, ForgetReleases { tenant: tenant.id, releases, reply })
            .map_err(|(_forget, undelivered)| Rejection::from(undelivered));
        async move {
            sent?;
            awaited.outcome().await
        }
    }

    /// Writes down how a rollout ended. A release that has reached everybody is pushed alone; beside one that was sent back,
    /// the one before goes on serving.
    pub(super) fn rollout_over(&mut self, over: RolloutOver, ctx: &mut Context<Self>) {
        let RolloutOver { tenant: key, release, reached_everybody } = over;
        let Some(tenant) = self.directory.tenant(key).filter(|tenant| tenant.releases.is_on_its_way(&release)) else {
            return;
        };
        let ended =
            Entry::RolloutEnded { id: tenant.id, release, reached_everybody, at_unix_ms: self.clock.now_unix_ms() };
        self.record(vec![ended], ctx, move |act, ctx, outcome| {
            // not written down: told again when the rooms are built next
            let Ok(()) = outcome else { return };
            let in_force = act.directory.tenant(key).and_then(|tenant| tenant.policy.clone());
            match in_force.filter(|_| reached_everybody) {
                Some(policy) => act.commit(key, Arc::new(policy.for_everybody()), None, ctx),
                None => act.note_taken(key, ctx),
            }
        });
    }
}

impl AuditHandle {
    /// How far the newest release is on its way; nothing where everybody has it.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn rollout(&self) -> Outcome<Option<RolloutView>> {
        call(&self.rollout, |reply| ReadRollout { reply }).await
    }
}

impl GovernHandle {
    /// Sends the release on its way back, or takes it for everybody; durable when answered.
    ///
    /// # Errors
    /// `conflict` where no release is on its way, or releases are frozen.
    pub async fn steer_rollout(&self, event: Event) -> Outcome<RolloutView> {
        self.govern(|slot| GovernRequest::SteerRollout(event, slot)).await
    }

    /// What the folder's newest files would have made of what was asked before; nothing comes into force.
    ///
    /// # Errors
    /// `policy_denied` where they do not compile; the tenant's refusal.
    pub async fn rehearse_folder(&self) -> Outcome<Rehearsal> {
        self.govern(GovernRequest::RehearseFolder).await
    }

    /// The releases whose texts are kept, oldest first.
    ///
    /// # Errors
    /// The registry's refusal.
    pub async fn releases(&self) -> Outcome<Vec<Release>> {
        self.govern(GovernRequest::Releases).await
    }

    /// The texts of the last release of a version, with their signatures.
    ///
    /// # Errors
    /// `not_found` where none is kept.
    pub async fn release(&self, version: String) -> Outcome<FileTexts> {
        self.govern(|slot| GovernRequest::ReadRelease(version, slot)).await
    }
}
