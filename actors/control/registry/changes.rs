//! The one queue of changes: each is decided on what is durable, written, applied, then answered.
use super::actor::Registry;
use super::encryption::EncryptionView;
use super::entry::Entry;
use super::messages::{FleetRequest, GovernRequest, RolloutOver};
use crate::compliance::messages::WeekReported;
use crate::gitops::messages::FoldersSeen;
use actix::prelude::*;
use bailiwick_kernel::fabric::AppendError;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::journal::JournalError;
use bailiwick_kernel::limits::CHANGES_WAITING_MAX;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use std::sync::Arc;

/// A change that waits for its turn.
pub(super) enum Change {
    /// Of one tenant's keys.
    Key { tenant: TenantKey, by: Principal, request: GovernRequest },
    /// Of the fleet.
    Fleet { by: Principal, request: FleetRequest },
    /// Folders were read.
    Folders(FoldersSeen),
    /// A release of a tenant has reached everybody, or was sent back.
    Rollout(RolloutOver),
    /// Something of a tenant's keys has happened and is written down; who waits for that is told.
    Noted(Entry, Option<(ReplySlot<EncryptionView>, EncryptionView)>),
    /// A weekly report of a tenant was made.
    Week(WeekReported),
    /// A tenant's releases are frozen, or free.
    Releases(TenantKey, Entry),
    /// Everything of a tenant has been destroyed, its folder by the write of this number.
    Destroyed(TenantKey, u64, Option<ReplySlot<super::messages::TenantView>>),
}

impl Change {
    /// Answers with a refusal.
    pub(super) fn refuse(self, rejection: Rejection) {
        match self {
            Self::Key { request, .. } => match request {
                GovernRequest::Issue(_, slot) | GovernRequest::Rotate(_, slot) => slot.answer(Err(rejection)),
                GovernRequest::Revoke(_, slot) => slot.answer(Err(rejection)),
                GovernRequest::List(slot) => slot.answer(Err(rejection)),
                GovernRequest::Commits(slot) => slot.answer(Err(rejection)),
                GovernRequest::CommitFolder(slot) => slot.answer(Err(rejection)),
                GovernRequest::CompareFolder(slot) => slot.answer(Err(rejection)),
                GovernRequest::ApproveSpending(_, slot) => slot.answer(Err(rejection)),
                GovernRequest::ReadRelease(_, slot) => slot.answer(Err(rejection)),
                GovernRequest::RehearseFolder(slot) => slot.answer(Err(rejection)),
                GovernRequest::Releases(slot) => slot.answer(Err(rejection)),
                GovernRequest::SteerRollout(_, slot) => slot.answer(Err(rejection)),
                GovernRequest::DecideApproval(_, _, slot) => slot.answer(Err(rejection)),
                GovernRequest::RestoreTrust(_, slot) => slot.answer(Err(rejection)),
                GovernRequest::SteerWeight(_, slot) => slot.answer(Err(rejection)),
                GovernRequest::Evaluate(slot) => slot.answer(Err(rejection)),
                GovernRequest::ImportLineage(_, slot) => slot.answer(Err(rejection)),
                GovernRequest::Encryption(slot) | GovernRequest::RotateEncryption(slot) => slot.answer(Err(rejection)),
                GovernRequest::OverrideFreeze(_, slot) => slot.answer(Err(rejection)),
            },
            Self::Fleet { request, .. } => refuse_fleet(request, rejection),
            Self::Folders(seen) => seen.reply.answer(Err(rejection)),
            Self::Destroyed(_, _, Some(slot)) => slot.answer(Err(rejection)),
            Self::Noted(_, Some((slot, _))) => slot.answer(Err(rejection)),
            Self::Noted(entry, None) => {
                tracing::error!(tenant = "control", ?entry, problem = %rejection, "not written down");
            }
            Self::Week(reported) => reported.reply.answer(Err(rejection)),
            // told again when the tenant's rooms are built next
            Self::Rollout(_) | Self::Releases(..) | Self::Destroyed(_, _, None) => {}
        }
    }
}

fn refuse_fleet(request: FleetRequest, rejection: Rejection) {
    match request {
        FleetRequest::Create(_, slot)
        | FleetRequest::TakeIn(_, slot)
        | FleetRequest::Get(_, slot)
        | FleetRequest::Update(_, _, slot)
        | FleetRequest::Suspend(_, _, slot)
        | FleetRequest::Resume(_, slot)
        | FleetRequest::Archive(_, slot)
        | FleetRequest::Delete(_, _, slot) => slot.answer(Err(rejection)),
        FleetRequest::List(_, slot) => slot.answer(Err(rejection)),
        FleetRequest::Policies(slot) => slot.answer(Err(rejection)),
        FleetRequest::Actors(slot) => slot.answer(Err(rejection)),
        FleetRequest::Costs(_, slot) => slot.answer(Err(rejection)),
        FleetRequest::Drift(slot) => slot.answer(Err(rejection)),
        FleetRequest::LastWeeks(slot) => slot.answer(Err(rejection)),
        FleetRequest::Services(slot) => slot.answer(Err(rejection)),
        FleetRequest::Reconcile(_, _, slot) => slot.answer(Err(rejection)),
        FleetRequest::BackUp(_, slot) => slot.answer(Err(rejection)),
        FleetRequest::PruneBackups(_, slot) => slot.answer(Err(rejection)),
        FleetRequest::Certificate(_, slot) => slot.answer(Err(rejection)),
        FleetRequest::Files(_, slot) => slot.answer(Err(rejection)),
        FleetRequest::Audit(wish) => wish.refuse(rejection),
    }
}

impl Registry {
    /// Takes a change into the queue.
    pub(super) fn enqueue(&mut self, change: Change, ctx: &mut Context<Self>) {
        if self.sealed || self.leaving.is_some() {
            return change.refuse(Rejection::lost());
        }
        if self.changes.len() >= CHANGES_WAITING_MAX {
            let rejection =
                Rejection::retry_after(Code::Overloaded, "too many changes are waiting; try again shortly", 500);
            return change.refuse(rejection);
        }
        self.changes.push_back(change);
        self.next_change(ctx);
    }

    pub(super) fn next_change(&mut self, ctx: &mut Context<Self>) {
        while !self.busy
            && let Some(change) = self.changes.pop_front()
        {
            match change {
                Change::Key { tenant, by, request } => self.change_key(tenant, &by, request, ctx),
                Change::Fleet { by, request } => self.change_fleet(&by, request, ctx),
                Change::Folders(seen) => self.take_folders(seen, ctx),
                Change::Rollout(over) => self.rollout_over(over, ctx),
                Change::Noted(entry, told) => self.note(entry, told, ctx),
                Change::Week(reported) => self.week_reported(reported, ctx),
                Change::Releases(tenant, entry) => self.releases_stand(tenant, entry, ctx),
                Change::Destroyed(tenant, write, slot) => self.destroyed(tenant, write, slot, ctx),
            }
        }
    }

    /// Does blocking work as part of a change; the next change waits for it.
    pub(super) fn prepare<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> Outcome<T> + Send + 'static,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>, Outcome<T>) + 'static,
    ) {
        self.busy = true;
        let working = async {
            bailiwick_kernel::residue::spawn_blocking(work).await.unwrap_or_else(|_panicked| Err(Rejection::lost()))
        };
        ctx.spawn(working.into_actor(self).map(|outcome, act, ctx| {
            act.busy = false;
            then(act, ctx, outcome);
            act.next_change(ctx);
        }));
    }

    /// Writes entries, applies them once they are durable, then goes on. No entries: goes on at once.
    pub(super) fn record(
        &mut self,
        entries: Vec<Entry>,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>, Outcome<()>) + 'static,
    ) {
        if entries.is_empty() {
            return then(self, ctx, Ok(()));
        }
        self.busy = true;
        let append = self.journal.append(&entries);
        ctx.spawn(append.into_actor(self).map(move |result, act, ctx| {
            act.busy = false;
            let outcome = match result {
                Ok(_appended) => {
                    for entry in &entries {
                        act.directory.apply(entry);
                    }
                    Ok(())
                }
                Err(error) => Err(act.append_failed(&error, ctx)),
            };
            then(act, ctx, outcome);
            act.next_change(ctx);
        }));
    }

    fn append_failed(&mut self, error: &JournalError, ctx: &mut Context<Self>) -> Rejection {
        tracing::error!(tenant = "control", %error, "a change was not written");
        match error {
            JournalError::Append(AppendError::Full(_)) => Rejection::retry_after(
                Code::Overloaded,
                "the journal is busy; nothing was changed; try again shortly",
                500,
            ),
            JournalError::Append(AppendError::TooLarge { .. } | AppendError::Count { .. })
            | JournalError::Codec(_)
            | JournalError::Cipher(_)
            | JournalError::Secretless(_)
            | JournalError::Shredded(_) => {
                Rejection::new(Code::Internal, "the change could not be written; nothing was changed")
            }
            JournalError::Append(AppendError::Stale { .. }) => {
                self.seal("another owner has taken the control journal over");
                Rejection::lost()
            }
            JournalError::Append(AppendError::Unsure(_)) | JournalError::Fabric(_) => {
                self.reread(ctx);
                Rejection::new(
                    Code::Internal,
                    "it is not known whether the change was written; look before you repeat it",
                )
            }
        }
    }

    /// Nobody knows what the journal ends with: reads it anew. Until then no change is taken; knocks go on being
    /// judged on what was durable before.
    fn reread(&mut self, ctx: &mut Context<Self>) {
        self.busy = true;
        let reopen = Arc::clone(&self.reopen);
        let reading = bailiwick_kernel::residue::spawn_blocking(move || reopen());
        ctx.spawn(reading.into_actor(self).map(|read, act, ctx| {
            act.busy = false;
            match read {
                Ok(Ok((journal, mut directory))) => {
                    directory.carry_over(std::mem::take(&mut *act.directory));
                    (act.journal, *act.directory) = (journal, directory);
                    let tenants: Vec<_> = act.directory.tenants().map(|tenant| tenant.key).collect();
                    for key in tenants {
                        act.settle(key, ctx);
                    }
                    act.next_change(ctx);
                }
                failed => {
                    let problem = match failed {
                        Ok(Err(error)) => error.to_string(),
                        _ => "its reading failed".to_owned(),
                    };
                    act.seal(&problem);
                }
            }
        }));
    }

    /// The directory may be outdated from here on: nobody is let in and nothing is changed until a restart.
    fn seal(&mut self, problem: &str) {
        tracing::error!(tenant = "control", problem, "the control journal is lost; nobody is let in until a restart");
        self.sealed = true;
        self.lobby.clear();
        for change in std::mem::take(&mut self.changes) {
            change.refuse(Rejection::lost());
        }
    }
}
