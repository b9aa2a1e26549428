//! Changes of the fleet and of keys, carried out.
use super::actor::Registry;
use super::changes::Change;
use super::credentials::FreshKey;
use super::entry::Entry;
use super::journal::random_key_bytes;
use super::keyring::{self, Issue};
use super::lifecycle::{self, Wish};
use super::messages::{FleetRequest, GovernRequest, IssuedKey, NewTenant, TenantChanges, TenantView};
use super::rules::no_such_tenant;
use super::{credentials, views};
use crate::gitops::folder::FolderError;
use crate::gitops::messages::Sound;
use crate::gitops::templates;
use actix::prelude::*;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_kernel::residue;
use bailiwick_policy::access::Principal;
use bailiwick_policy::commit::Standing;
use bailiwick_policy::compile::TENANT;
use bailiwick_policy::parse::{FileError, FileTexts};
use bailiwick_tenant::egress::clear_to_keep;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// When a destruction that could not be finished is tried again.
const DESTROY_AGAIN: Duration = Duration::from_secs(60);
/// By whom a certificate says a destruction was finished that an earlier start had begun.
const AGAIN: &str = "the node, at its start";

impl Registry {
    pub(super) fn change_key(
        &mut self,
        tenant: TenantKey,
        by: &Principal,
        request: GovernRequest,
        ctx: &mut Context<Self>,
    ) {
        let now_unix_ms = self.clock.now_unix_ms();
        let Some(tenant) = self.directory.tenant(tenant).filter(|tenant| !tenant.destroying) else {
            return Change::Key { tenant, by: by.clone(), request }.refuse(no_such_tenant());
        };
        match request {
            GovernRequest::Issue(new, slot) => {
                let issue = fresh_key().and_then(|fresh| {
                    Ok((keyring::issue(&self.directory, tenant, by, &new, &fresh, now_unix_ms)?, fresh))
                });
                self.hand_out(issue, now_unix_ms, slot, ctx);
            }
            GovernRequest::Rotate(key_id, slot) => {
                let issue = fresh_key().and_then(|fresh| {
                    Ok((keyring::rotate(&self.directory, tenant, by, &key_id, &fresh, now_unix_ms)?, fresh))
                });
                self.hand_out(issue, now_unix_ms, slot, ctx);
            }
            GovernRequest::Revoke(key_id, slot) => {
                match keyring::revoke(&self.directory, tenant, by, &key_id, now_unix_ms) {
                    Err(rejection) => slot.answer(Err(rejection)),
                    Ok(entries) => self.record(entries, ctx, move |act, _ctx, outcome| {
                        let view = |()| {
                            act.directory
                                .key(&key_id)
                                .and_then(|record| views::key_view(record, now_unix_ms))
                                .ok_or_else(no_such_tenant)
                        };
                        slot.answer(outcome.and_then(view));
                    }),
                }
            }
            GovernRequest::CommitFolder(slot) => self.commit_folder(tenant.key, slot, ctx),
            GovernRequest::CompareFolder(slot) => self.compare_folder(tenant.key, slot, ctx),
            GovernRequest::RehearseFolder(slot) => self.rehearse_folder(tenant.key, slot, ctx),
            GovernRequest::Evaluate(slot) => self.evaluate_folder(tenant.key, by.clone(), slot, ctx),
            other @ (GovernRequest::List(_)
            | GovernRequest::Commits(_)
            | GovernRequest::Releases(_)
            | GovernRequest::ReadRelease(..)
            | GovernRequest::SteerRollout(..)
            | GovernRequest::ApproveSpending(..)
            | GovernRequest::DecideApproval(..)
            | GovernRequest::RestoreTrust(..)
            | GovernRequest::SteerWeight(..)
            | GovernRequest::ImportLineage(..)
            | GovernRequest::Encryption(_)
            | GovernRequest::RotateEncryption(_)
            | GovernRequest::OverrideFreeze(..)) => {
                Change::Key { tenant: tenant.key, by: by.clone(), request: other }.refuse(no_change());
            }
        }
    }

    fn hand_out(
        &mut self,
        issue: Outcome<(Issue, FreshKey)>,
        now_unix_ms: u64,
        slot: ReplySlot<IssuedKey>,
        ctx: &mut Context<Self>,
    ) {
        let (issue, fresh) = match issue {
            Ok(decided) => decided,
            Err(rejection) => return slot.answer(Err(rejection)),
        };
        self.record(issue.entries, ctx, move |_act, _ctx, outcome| {
            let key = fresh.whole.expose_secret().to_owned();
            let issued = |()| {
                views::key_view(&issue.record, now_unix_ms)
                    .map(|view| IssuedKey { key, view })
                    .ok_or_else(no_such_tenant)
            };
            slot.answer(outcome.and_then(issued));
        });
    }

    pub(super) fn change_fleet(&mut self, by: &Principal, request: FleetRequest, ctx: &mut Context<Self>) {
        match request {
            FleetRequest::Create(new, slot) => self.create(new, slot, ctx),
            FleetRequest::TakeIn(texts, slot) => self.take_in(texts, slot, ctx),
            FleetRequest::Update(name, changes, slot) => self.update(&name, &changes, by, slot, ctx),
            FleetRequest::Suspend(name, reason, slot) => {
                self.change_standing(&name, Wish::Suspend(reason), by, slot, ctx)
            }
            FleetRequest::Resume(name, slot) => self.change_standing(&name, Wish::Resume, by, slot, ctx),
            FleetRequest::Archive(name, slot) => self.change_standing(&name, Wish::Archive, by, slot, ctx),
            FleetRequest::Delete(name, false, slot) => self.change_standing(&name, Wish::Delete, by, slot, ctx),
            FleetRequest::Delete(name, true, slot) => self.destroy(&name, by, slot, ctx),
            other @ (FleetRequest::Get(..)
            | FleetRequest::List(..)
            | FleetRequest::Policies(..)
            | FleetRequest::Actors(_)
            | FleetRequest::Costs(..)
            | FleetRequest::BackUp(..)
            | FleetRequest::PruneBackups(..)
            | FleetRequest::Certificate(..)
            | FleetRequest::Audit(_)
            | FleetRequest::Files(..)
            | FleetRequest::Drift(..)
            | FleetRequest::LastWeeks(..)
            | FleetRequest::Services(_)
            | FleetRequest::Reconcile(..)) => {
                Change::Fleet { by: by.clone(), request: other }.refuse(no_change());
            }
        }
    }

    /// Shows the files of a tenant's folder as they stand there.
    pub(super) fn read_files(&self, name: &str, slot: ReplySlot<FileTexts>) {
        let known = self.known(name).and_then(|key| self.directory.tenant(key).ok_or_else(no_such_tenant));
        let (name, folders) = match known {
            Ok(tenant) => (tenant.name.clone(), self.folders.clone()),
            Err(rejection) => return slot.answer(Err(rejection)),
        };
        let reading = residue::spawn_blocking(move || folders.texts(&name));
        actix::spawn(async move {
            let read = reading.await.map_err(|_panicked| Rejection::lost());
            let texts = read.and_then(|read| read.map_err(|error| invalid(&error.to_string())));
            slot.answer(texts.and_then(|texts| texts.ok_or_else(no_such_tenant)));
        });
    }

    /// createTenant: the files are compiled before anything is written, and written before anything is journaled. A
    /// crash in between leaves a sound folder, which the next start registers.
    fn create(&mut self, new: NewTenant, slot: ReplySlot<TenantView>, ctx: &mut Context<Self>) {
        let now_unix_ms = self.clock.now_unix_ms();
        let record = match lifecycle::create(&self.directory, &new, Uuid::new_v4(), now_unix_ms) {
            Ok(record) => record,
            Err(rejection) => return slot.answer(Err(rejection)),
        };
        let (signer, node, name, people) = (self.signer.clone(), self.node.clone(), record.name.clone(), new.signers);
        let compose = move || {
            let mut texts = templates::folder(&record, &node, &rfc3339(now_unix_ms));
            signer
                .sign_folder(&record.name, &people, &mut texts)
                .map_err(|refusal| Rejection::new(Code::Internal, refusal.to_string()))?;
            Ok(texts)
        };
        self.settle_in(name, compose, slot, ctx);
    }

    /// A tenant comes with files of its own.
    fn take_in(&mut self, texts: FileTexts, slot: ReplySlot<TenantView>, ctx: &mut Context<Self>) {
        match lifecycle::take_in(&self.directory, &texts) {
            Ok(record) => self.settle_in(record.name, move || Ok(texts), slot, ctx),
            Err(rejection) => slot.answer(Err(rejection)),
        }
    }

    fn settle_in(
        &mut self,
        name: String,
        compose: impl FnOnce() -> Outcome<FileTexts> + Send + 'static,
        slot: ReplySlot<TenantView>,
        ctx: &mut Context<Self>,
    ) {
        let (folders, node, new) = (self.folders.clone(), self.node.clone(), name.clone());
        let now_unix_s = i64::try_from(self.clock.now_unix_ms() / 1_000).unwrap_or(i64::MAX);
        let write = move || {
            let texts = compose()?;
            let policy = folders.compiled(&new, &texts).map_err(|problem| invalid(&problem))?;
            clear_to_keep(&policy.sovereignty, &node)?;
            // what nobody signed would stand there, take the name, and never serve
            policy.standing(None, now_unix_s).map_err(|problems| invalid(&listed(&problems)))?;
            let write = folders.create(&new, &texts).map_err(|error| not_written(&error))?;
            Ok((Sound { policy, texts: Arc::new(texts), golden: Ok(Arc::default()) }, write))
        };
        self.prepare(write, ctx, move |act, ctx, written| {
            let (sound, write) = match written {
                Ok(written) => written,
                Err(rejection) => return slot.answer(Err(rejection)),
            };
            act.writes.note(&name, write);
            let Some(arrived) = act.take_sound(&name, sound, ctx) else {
                let problem = act.not_taken(&name);
                return act.take_away(name, problem, slot, ctx);
            };
            act.examine(vec![arrived], ctx, move |act, ctx, outcome| match outcome.map(|mut passed| passed.pop()) {
                Ok(Some((id, policy))) => act.adopt(id, policy, Some(slot), ctx),
                Ok(None) => slot.answer(Err(act.not_taken(&name))),
                Err(rejection) => slot.answer(Err(rejection)),
            });
        });
    }

    /// The folder that was just written, and is not taken, does not stay in the way of the next try.
    fn take_away(&self, name: String, problem: Rejection, slot: ReplySlot<TenantView>, ctx: &mut Context<Self>) {
        let (folders, folder) = (self.folders.clone(), name.clone());
        let removing = residue::spawn_blocking(move || folders.remove(&folder));
        ctx.spawn(removing.into_actor(self).map(move |removed, act, _ctx| {
            match removed {
                Ok(Ok(write)) => {
                    act.writes.note(&name, write);
                    act.directory.note_stray(&name, None);
                }
                failed => tracing::error!(folder = %name, ?failed, "taking a folder away that is not taken"),
            }
            slot.answer(Err(problem));
        }));
    }

    fn update(
        &mut self,
        name: &str,
        changes: &TenantChanges,
        by: &Principal,
        slot: ReplySlot<TenantView>,
        ctx: &mut Context<Self>,
    ) {
        let now_unix_ms = self.clock.now_unix_ms();
        let decided = self.known(name).and_then(|key| {
            let tenant = self.directory.tenant(key).ok_or_else(no_such_tenant)?;
            let (newest, committed) = (tenant.releases.newest().map(str::to_owned), tenant.committed.clone());
            let control = tenant.policy.as_ref().and_then(|policy| policy.control.clone());
            Ok((key, lifecycle::update(tenant, changes, now_unix_ms)?, committed, newest, control))
        });
        let (key, record, committed, newest, control) = match decided {
            Ok(decided) => decided,
            Err(rejection) => return slot.answer(Err(rejection)),
        };
        let (folders, node, id, by) = (self.folders.clone(), self.node.clone(), record.id, by.key_id.clone());
        let write = move || {
            let mut texts = folders.texts(&record.name).map_err(|error| not_written(&error))?.unwrap_or_default();
            let text = templates::record(&record);
            texts.insert(TENANT.to_owned(), text.clone());
            let policy = folders.compiled(&record.name, &texts).map_err(|problem| invalid(&problem))?;
            clear_to_keep(&policy.sovereignty, &node)?;
            // what else has changed in the folder comes into force by the folder's own way, or not at all
            let now_unix_s = i64::try_from(now_unix_ms / 1_000).unwrap_or(i64::MAX);
            let is_signed_alike = policy.standing(committed.as_deref(), now_unix_s) == Ok(Standing::Unchanged);
            if !is_signed_alike || newest.as_ref() != Some(&policy.release) {
                return Err(Rejection::new(
                    Code::Conflict,
                    "the folder holds a policy that is not in force yet; try again once it is",
                ));
            }
            let write = folders.replace_record(&record.name, &text).map_err(|error| not_written(&error))?;
            Ok((record.name, policy, write))
        };
        self.prepare(write, ctx, move |act, ctx, written| match written {
            Err(rejection) => slot.answer(Err(rejection)),
            Ok((name, policy, write)) => {
                act.writes.note(&name, write);
                let entry = Entry::TenantChanged { id, digest: policy.digest.clone(), at_unix_ms: now_unix_ms, by };
                act.record(vec![entry], ctx, move |act, ctx, outcome| match outcome {
                    Ok(()) => {
                        let policy =
                            control.map_or_else(|| Arc::clone(&policy), |control| Arc::new(policy.in_stages(&control)));
                        act.commit(key, policy, Some(slot), ctx);
                    }
                    Err(rejection) => slot.answer(Err(rejection)),
                });
            }
        });
    }

    fn change_standing(
        &mut self,
        name: &str,
        wish: Wish,
        by: &Principal,
        slot: ReplySlot<TenantView>,
        ctx: &mut Context<Self>,
    ) {
        let now_unix_ms = self.clock.now_unix_ms();
        let decided = self.known(name).and_then(|key| {
            let tenant = self.directory.tenant(key).ok_or_else(no_such_tenant)?;
            Ok((key, lifecycle::change_standing(tenant, &wish, &by.key_id, now_unix_ms)?))
        });
        let (key, entries) = match decided {
            Ok(decided) => decided,
            Err(rejection) => return slot.answer(Err(rejection)),
        };
        self.record(entries, ctx, move |act, ctx, outcome| {
            if let Err(rejection) = outcome {
                return slot.answer(Err(rejection));
            }
            act.deaths.remove(&key);
            if let (Wish::Resume, Some(tenant)) = (&wish, act.directory.tenant_mut(key)) {
                tenant.quarantine = None;
                act.settle(key, ctx);
                return slot.answer(act.view(key));
            }
            act.directory.next_generation(key);
            let closed = act.close(key, ctx).outcome();
            ctx.spawn(
                closed.into_actor(act).map(move |closed, act, _ctx| slot.answer(closed.and_then(|()| act.view(key)))),
            );
        });
    }

    /// Decides to destroy, closes the rooms, destroys, and only then says so in the journal: interrupted anywhere, it
    /// is finished at the next start.
    fn destroy(&mut self, name: &str, by: &Principal, slot: ReplySlot<TenantView>, ctx: &mut Context<Self>) {
        let found = self
            .known(name)
            .and_then(|key| self.directory.tenant(key).map(|tenant| (key, tenant.id)).ok_or_else(no_such_tenant));
        let policy = |key| self.directory.tenant(key).and_then(|tenant| tenant.policy.clone());
        let allowed = found.and_then(|(key, id)| {
            let holds = policy(key).map(|policy| policy.governance.legal_holds.clone()).unwrap_or_default();
            lifecycle::destroy(&holds, self.clock.now_unix_ms()).map(|()| (key, id))
        });
        let (key, id) = match allowed {
            Ok(found) => found,
            Err(rejection) => return slot.answer(Err(rejection)),
        };
        let by = by.key_id.clone();
        let entry = Entry::DestructionBegun { id, at_unix_ms: self.clock.now_unix_ms(), by: by.clone() };
        self.record(vec![entry], ctx, move |act, ctx, outcome| match outcome {
            Ok(()) => act.finish_destruction(key, Some((by, slot)), ctx),
            Err(rejection) => slot.answer(Err(rejection)),
        });
    }

    /// Closes the rooms of a tenant whose destruction was decided and destroys what it owns.
    pub(super) fn finish_destruction(
        &mut self,
        key: TenantKey,
        asked: Option<(String, ReplySlot<TenantView>)>,
        ctx: &mut Context<Self>,
    ) {
        let (by, slot) = asked.map_or_else(|| (AGAIN.to_owned(), None), |(by, slot)| (by, Some(slot)));
        let Some(tenant) = self.directory.tenant(key) else { return };
        let (name, forgotten, reports) = (tenant.name.clone(), self.forget_releases(tenant), self.forget_weeks(tenant));
        let (closed, housing, folders, backups) =
            (self.close(key, ctx).outcome(), Arc::clone(&self.housing), self.folders.clone(), self.backups.clone());
        let destroying = async move {
            closed.await?;
            forgotten.await?;
            reports.await?;
            let work = move || {
                let shred = || {
                    housing.shred(key)?;
                    folders.remove(&name).map_err(|error| not_written(&error))
                };
                backups.destroying(key, &by, shred, || housing.shred_outside(&name))
            };
            let destroyed = residue::spawn_blocking(work).await.unwrap_or_else(|_panicked| Err(Rejection::lost()));
            residue::overwrite_everywhere();
            destroyed
        };
        ctx.spawn(destroying.into_actor(self).map(move |outcome, act, ctx| match (outcome, slot) {
            (Ok(write), slot) => act.enqueue(Change::Destroyed(key, write, slot), ctx),
            (Err(rejection), slot) => {
                tracing::error!(tenant = %key, problem = %rejection, "destroying; it is tried again in a minute, and at the next start");
                ctx.run_later(DESTROY_AGAIN, move |act, ctx| act.finish_destruction(key, None, ctx));
                if let Some(slot) = slot {
                    slot.answer(Err(rejection));
                }
            }
        }));
    }

    /// Says in the journal that nothing is left. From here on the name is free, and what was read of the folder before
    /// it was removed counts for nobody.
    pub(super) fn destroyed(
        &mut self,
        key: TenantKey,
        write: u64,
        slot: Option<ReplySlot<TenantView>>,
        ctx: &mut Context<Self>,
    ) {
        let Some(tenant) = self.directory.tenant(key) else { return };
        self.writes.note(&tenant.name, write);
        let (view, id) = (views::tenant_view(tenant), tenant.id);
        let entry = Entry::DestructionDone { id, at_unix_ms: self.clock.now_unix_ms() };
        self.record(vec![entry], ctx, move |act, _ctx, outcome| {
            act.deaths.remove(&key);
            act.committed.remove(&key);
            if let Some(slot) = slot {
                slot.answer(outcome.map(|()| TenantView {
                    reason: Some(format!(
                        "everything it owned is destroyed; certificate: GET /admin/v1/certificates/{id}"
                    )),
                    ..view
                }));
            }
        });
    }

    fn known(&self, name: &str) -> Outcome<TenantKey> {
        let found = self.directory.find(name).filter(|tenant| !tenant.destroying);
        found
            .map(|tenant| tenant.key)
            .ok_or_else(|| Rejection::new(Code::NotFound, "there is no tenant of that name or id"))
    }

    pub(super) fn view(&self, key: TenantKey) -> Outcome<TenantView> {
        self.directory.tenant(key).map(views::tenant_view).ok_or_else(no_such_tenant)
    }
}

impl Registry {
    /// Why a folder the house wrote was not taken.
    fn not_taken(&self, name: &str) -> Rejection {
        let problem = self.directory.strays().get(name).map_or("it is not taken", String::as_str);
        invalid(problem)
    }
}

fn no_change() -> Rejection {
    Rejection::new(Code::Internal, "this changes nothing in the registry's journal")
}

fn fresh_key() -> Outcome<FreshKey> {
    let random = random_key_bytes().map_err(|error| Rejection::new(Code::Internal, error.to_string()))?;
    Ok(credentials::forge(random))
}

fn listed(problems: &[FileError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn invalid(problem: &str) -> Rejection {
    Rejection::new(Code::InvalidRequest, format!("the tenant's record is not valid: {problem}"))
}

fn not_written(error: &FolderError) -> Rejection {
    match error {
        FolderError::Exists(_) => Rejection::new(Code::Conflict, format!("{error}; remove it or choose another name")),
        FolderError::Io { .. } => Rejection::new(Code::Internal, error.to_string()),
        _ => Rejection::new(Code::Conflict, error.to_string()),
    }
}
