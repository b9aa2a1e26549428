//! Folders that were read, and policies on their way into force.
use super::actor::Registry;
use super::directory::Folder;
use super::entry::Entry;
use super::lifecycle::{Arrival, arrive};
use super::lodging::Stage;
use super::messages::TenantView;
use crate::gitops::messages::{FolderSeen, FoldersSeen, Found, Sound};
use crate::policy_service::messages::{Candidate, Commit, Examine};
use actix::prelude::*;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::{PolicySnapshot, TENANT};
use bailiwick_policy::parse::{FileError, FileTexts};
use bailiwick_policy::schema::TenantFile;
use bailiwick_policy::stores::{namespace_taken, prefix_taken};
use bailiwick_tenant::egress::clear_to_keep;
use std::sync::Arc;
use uuid::Uuid;

/// A folder that compiled and belongs to somebody: what it says of the tenant's standing, and what wants to come into force.
pub(super) struct Arrived {
    name: String,
    id: Uuid,
    entry: Option<Entry>,
    candidate: Candidate,
}

impl Arrived {
    /// What is wrong with a folder that names a store of this one's.
    fn named_by(&self, other: &Self) -> Option<FileError> {
        taken_from(&self.candidate.policy.tenant, &other.candidate.policy.tenant, &other.candidate.texts)
    }
}

/// What is wrong with a tenant that names what another one has outside the node.
fn taken_from(other: &TenantFile, one: &TenantFile, texts: &FileTexts) -> Option<FileError> {
    let is_same = |of: fn(&TenantFile) -> Option<&str>| of(one).is_some() && of(one) == of(other);
    let text = texts.get(TENANT).map(String::as_str).unwrap_or_default();
    if is_same(TenantFile::cache_prefix) {
        return Some(prefix_taken(text));
    }
    is_same(TenantFile::index_namespace).then(|| namespace_taken(text))
}

impl Registry {
    pub(super) fn take_folders(&mut self, seen: FoldersSeen, ctx: &mut Context<Self>) {
        let (mut arrived, mut outdated) = (Vec::<Arrived>::new(), Vec::new());
        for FolderSeen { name, found, read_after } in seen.folders {
            match found {
                _ if self.writes.outdate(&name, read_after) => outdated.push(name),
                Found::Compiled(sound) => {
                    let Some(one) = self.take_sound(&name, sound, ctx) else { continue };
                    if arrived.iter().any(|other| other.id == one.id) {
                        let problem = "tenant.yaml: another new folder has the same id; every tenant has its own";
                        self.note_refused(&name, problem.to_owned(), ctx);
                    } else if let Some(problem) = arrived.iter().find_map(|other| other.named_by(&one)) {
                        self.note_refused(&name, problem.to_string(), ctx);
                    } else {
                        arrived.push(one);
                    }
                }
                Found::Broken(problem) => self.note_refused(&name, problem, ctx),
                Found::Gone => self.note_gone(&name, ctx),
            }
        }
        self.examine(arrived, ctx, move |act, ctx, outcome| {
            let outcome = outcome.map(|passed| {
                for (id, policy) in passed {
                    act.adopt(id, policy, None, ctx);
                }
                outdated
            });
            seen.reply.answer(outcome);
        });
    }

    /// What is wrong with a folder that names what another tenant here has outside the node.
    fn taken_from_another(&self, name: &str, policy: &PolicySnapshot, texts: &FileTexts) -> Option<FileError> {
        let others = self.directory.tenants().filter(|other| other.name != name);
        let mut policies = others.filter_map(|other| other.policy.as_ref());
        policies.find_map(|other| taken_from(&other.tenant, &policy.tenant, texts))
    }

    /// Whose folder it is; `None` where it cannot be loaded, which is noted.
    pub(super) fn take_sound(&mut self, name: &str, sound: Sound, ctx: &mut Context<Self>) -> Option<Arrived> {
        if self.directory.find_name(name).is_some_and(|tenant| tenant.destroying) {
            return None;
        }
        let Sound { policy, texts, golden } = sound;
        if let Some(problem) = self.taken_from_another(name, &policy, &texts) {
            self.note_refused(name, problem.to_string(), ctx);
            return None;
        }
        let (id, entry) = match arrive(&self.directory, name, &policy, self.clock.now_unix_ms()) {
            Err(rejection) => {
                self.note_refused(name, rejection.detail, ctx);
                return None;
            }
            Ok(Arrival::New(entry)) => (policy.tenant.id, Some(entry)),
            Ok(Arrival::Known(id, entry)) => (id, entry),
        };
        if let Err(elsewhere) = clear_to_keep(&policy.sovereignty, &self.node) {
            self.note_elsewhere(name, elsewhere.detail, ctx);
            return None;
        }
        let tenant = self.directory.find_id(id);
        let candidate = Candidate {
            policy,
            texts,
            committed: tenant.and_then(|tenant| tenant.committed.clone()),
            releases: tenant.map(|tenant| tenant.releases.clone()).unwrap_or_default(),
            in_force: tenant.and_then(|tenant| tenant.policy.clone()),
            is_frozen: self.is_frozen(tenant),
            golden,
            rehearse: tenant.and_then(|tenant| self.rehearsing(tenant.key)),
        };
        Some(Arrived { name: name.to_owned(), id, entry, candidate })
    }

    /// Has the policy service examine what arrived, and writes down what comes into force. What may not is noted. The next
    /// change waits.
    pub(super) fn examine(
        &mut self,
        arrived: Vec<Arrived>,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>, Outcome<Vec<(Uuid, Arc<PolicySnapshot>)>>) + 'static,
    ) {
        if arrived.is_empty() {
            return then(self, ctx, Ok(Vec::new()));
        }
        let candidates = arrived.iter().map(|one| one.candidate.clone()).collect();
        let (reply, awaited) = ReplySlot::pair();
        let sent = offer(&self.rooms.examine, Examine { candidates, reply })
            .map_err(|(_examine, undelivered)| Rejection::from(undelivered));
        self.busy = true;
        let examining = async move {
            sent?;
            awaited.outcome().await
        };
        ctx.spawn(examining.into_actor(self).map(move |verdicts, act, ctx| {
            act.busy = false;
            match verdicts {
                Ok(verdicts) => {
                    let (mut entries, mut passed, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
                    for (one, verdict) in arrived.into_iter().zip(verdicts) {
                        match verdict {
                            Err(rejection) => act.note_refused(&one.name, rejection.detail, ctx),
                            Ok(verdict) => {
                                if let Some(held) = act.held_by_freeze(one.id, &verdict) {
                                    match verdict.instead.filter(|last| act.may_be_here(last)) {
                                        None => act.note_frozen(&one.name, held, ctx),
                                        Some(last) => {
                                            passed.push((one.id, last));
                                            waiting.push((one.name, held));
                                        }
                                    }
                                    continue;
                                }
                                warn_of(&one.name, &verdict.policy);
                                entries.extend(one.entry.into_iter().chain(verdict.entries));
                                passed.push((one.id, verdict.policy));
                            }
                        }
                    }
                    act.record(entries, ctx, move |act, ctx, outcome| {
                        then(act, ctx, outcome.map(|()| passed));
                        waiting.into_iter().for_each(|(name, held)| act.note_frozen(&name, held, ctx));
                    });
                }
                Err(rejection) => then(act, ctx, Err(rejection)),
            }
            act.next_change(ctx);
        }));
    }

    pub(super) fn note_refused(&mut self, name: &str, problem: String, ctx: &mut Context<Self>) {
        tracing::error!(tenant = name, problem, "the folder is not loaded; the version in force stays");
        match self.directory.find_name(name).map(|tenant| tenant.key) {
            Some(key) => self.note_folder(key, Folder::Refused(problem), ctx),
            None => self.directory.note_stray(name, Some(problem)),
        }
    }

    /// Whether a policy lets the tenant's data be where this node is.
    fn may_be_here(&self, policy: &PolicySnapshot) -> bool {
        clear_to_keep(&policy.sovereignty, &self.node).is_ok()
    }

    /// The version in force stays as long as releases are frozen.
    fn note_frozen(&mut self, name: &str, problem: String, ctx: &mut Context<Self>) {
        tracing::warn!(tenant = name, problem, "the folder waits for the end of a release freeze");
        if let Some(key) = self.directory.find_name(name).map(|tenant| tenant.key) {
            self.note_folder(key, Folder::Frozen(problem), ctx);
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
            Some(in_force) if !in_force.is_same_as(&policy) => return self.commit(key, policy, slot, ctx),
            Some(_) => {}
            None => {
                if let Some(tenant) = self.directory.tenant_mut(key) {
                    tenant.policy = Some(policy);
                }
            }
        }
        self.note_taken(key, ctx);
        if let Some(slot) = slot {
            slot.answer(self.view(key));
        }
    }

    /// What the folder holds is in force, or was and has been sent back.
    pub(super) fn note_taken(&mut self, key: TenantKey, ctx: &mut Context<Self>) {
        let sent_back = self.directory.tenant(key).and_then(|tenant| tenant.releases.sent_back());
        let folder = sent_back.map_or(Folder::Sound, |release| {
            Folder::Refused(format!(
                "version {} was sent back and serves nobody, the one before serves: put something newer into the folder, \
                 or what was there before under a newer version (`bailiwick policy rollback`)",
                release.version
            ))
        });
        self.note_folder(key, folder, ctx);
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
        let (generation, to) = match self.lodgings.get(&key) {
            Some(lodging) => match &lodging.stage {
                Stage::Open(doors) if doors.adopt.connected() => (lodging.generation, Some(doors.adopt.clone())),
                _ => (lodging.generation, None),
            },
            None => (0, None),
        };
        let pushed = to.is_some();
        let (reply, awaited) = ReplySlot::pair();
        let commit = Commit { tenant: key, generation: Generation(generation), policy: Arc::clone(&policy), to, reply };
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
                    self.note_taken(key, ctx);
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

fn warn_of(tenant: &str, policy: &PolicySnapshot) {
    for warning in &policy.warnings {
        let (file, line, problem) = (&warning.file, warning.line, &warning.problem);
        tracing::warn!(tenant, file, line, problem, "policy warning");
    }
}
