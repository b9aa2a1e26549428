//! The policy pipeline on demand: what the folder's newest files would change, and bringing them into force now. They go the
//! way every folder goes; asking for it gives the answer, and no other way in.
use super::actor::Registry;
use super::directory::Folder;
use super::messages::TenantView;
use super::rules::no_such_tenant;
use crate::gitops::messages::{FolderSeen, Found, Sound};
use actix::prelude::*;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::diff::{Changes, changes};

impl Registry {
    /// Reads the tenant's folder and brings what it holds into force, or says why not. Answered when it is in force.
    pub(super) fn commit_folder(&mut self, key: TenantKey, slot: ReplySlot<TenantView>, ctx: &mut Context<Self>) {
        let Some(tenant) = self.directory.tenant(key) else { return slot.answer(Err(no_such_tenant())) };
        let (folders, name) = (self.folders.clone(), tenant.name.clone());
        let reading = move || Ok(folders.observe_now(name));
        self.prepare(reading, ctx, move |act, ctx, seen: Outcome<(FolderSeen, u64)>| {
            let seen = seen.map(|(seen, number)| {
                act.writes.note(&seen.name, number);
                seen
            });
            act.commit_seen(key, seen, slot, ctx);
        });
    }

    fn commit_seen(
        &mut self,
        key: TenantKey,
        seen: Outcome<FolderSeen>,
        slot: ReplySlot<TenantView>,
        ctx: &mut Context<Self>,
    ) {
        match seen {
            Ok(FolderSeen { name, found: Found::Compiled(sound), .. }) => {
                let Some(arrived) = self.take_sound(&name, sound, ctx) else {
                    return slot.answer(Err(self.refusal(key)));
                };
                self.examine(vec![arrived], ctx, move |act, ctx, outcome| {
                    match outcome.map(|mut passed| passed.pop()) {
                        Ok(Some((id, policy))) => act.adopt(id, policy, Some(slot), ctx),
                        Ok(None) => slot.answer(Err(act.refusal(key))),
                        Err(rejection) => slot.answer(Err(rejection)),
                    }
                });
            }
            Ok(FolderSeen { name, found: Found::Broken(problem), .. }) => {
                self.note_refused(&name, problem, ctx);
                slot.answer(Err(self.refusal(key)));
            }
            Ok(FolderSeen { found: Found::Gone, .. }) => slot.answer(Err(gone())),
            Err(rejection) => slot.answer(Err(rejection)),
        }
    }

    fn refusal(&self, key: TenantKey) -> Rejection {
        let (code, problem) = match self.directory.tenant(key).map(|tenant| &tenant.folder) {
            Some(Folder::Refused(problem)) => (Code::PolicyDenied, problem.as_str()),
            Some(Folder::Frozen(problem)) => (Code::ReleasesFrozen, problem.as_str()),
            Some(Folder::Elsewhere(problem)) => (Code::SovereigntyViolation, problem.as_str()),
            _ => (Code::PolicyDenied, "its folder cannot come into force"),
        };
        Rejection::new(code, problem)
    }

    /// Compares the rules in force with those of the folder's newest files.
    pub(super) fn compare_folder(&mut self, key: TenantKey, slot: ReplySlot<Changes>, ctx: &mut Context<Self>) {
        let Some(tenant) = self.directory.tenant(key) else { return slot.answer(Err(no_such_tenant())) };
        let (folders, name, in_force) = (self.folders.clone(), tenant.name.clone(), tenant.policy.clone());
        let comparing = move || match folders.load(&name) {
            Found::Compiled(Sound { policy: newest, .. }) => {
                let settled = in_force.as_ref().map(PolicySnapshot::settled);
                let before = settled.as_ref().map_or(&[][..], |policy| policy.engine.rules());
                changes(before, newest.engine.rules()).map_err(|_too_complicated| {
                    let detail = "comparing two policies: their rules are too complicated to be compared; split them";
                    Rejection::new(Code::TooLarge, detail)
                })
            }
            Found::Broken(problem) => Err(Rejection::new(Code::PolicyDenied, problem)),
            Found::Gone => Err(gone()),
        };
        self.prepare(comparing, ctx, |_act, _ctx, found| slot.answer(found));
    }
}

pub(super) fn gone() -> Rejection {
    Rejection::new(Code::Conflict, "reading the tenant's folder: it is gone; put it back")
}
