//! Tenants' rooms as the registry keeps them: opened on the blocking pool, closed in order, knocks waiting in between.
use super::actor::Registry;
use super::directory::{Folder, Tenant};
use super::messages::{Enforcing, Wanted};
use super::minting::{Within, grant, refuse};
use super::rules::{Admission, RestartVerdict, restart, serving};
use crate::policy_service::messages::Commit;
use actix::prelude::*;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::limits::{CLOSE_MS, KNOCKS_WAITING_MAX};
use bailiwick_kernel::mail::{Awaited, ReplySlot, Undelivered, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_tenant::supervisor::doors::Doors;
use bailiwick_tenant::supervisor::messages::Close;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A knock that waits for its tenant to open.
pub(super) struct Waiting {
    pub(super) admission: Admission,
    pub(super) wanted: Wanted,
}

/// How far a tenant's rooms are.
pub(super) enum Stage {
    Opening,
    Open(Arc<Doors>),
    Closing,
}

/// A tenant's rooms; a tenant without a lodging has none open.
pub(super) struct Lodging {
    pub(super) generation: u64,
    pub(super) stage: Stage,
    waiting: Vec<Waiting>,
    /// Who is told when the rooms have ended. Not empty while opening: they are to be closed once open.
    told: Vec<ReplySlot<()>>,
}

/// Where a handle of this incarnation asks what concerns its tenant.
pub(super) fn within(tenant: TenantKey, generation: u64, ctx: &Context<Registry>) -> Within {
    Within { tenant, generation: Generation(generation), registry: ctx.address().recipient() }
}

impl Registry {
    /// Lets an admitted knock in, opening the tenant where it is not.
    pub(super) fn enter(&mut self, key: TenantKey, waiting: Waiting, ctx: &mut Context<Self>) {
        let Some(lodging) = self.lodgings.get(&key) else { return self.open(key, vec![waiting], ctx) };
        match &lodging.stage {
            Stage::Open(doors) if doors.admit.connected() => {
                let within = within(key, lodging.generation, ctx);
                grant(waiting.wanted, waiting.admission, &within, doors);
            }
            Stage::Open(_) => {
                self.lodgings.remove(&key);
                self.note_death(key);
                self.open(key, vec![waiting], ctx);
            }
            Stage::Opening | Stage::Closing => self.wait(key, waiting),
        }
    }

    fn wait(&mut self, key: TenantKey, knock: Waiting) {
        match self.lodgings.get_mut(&key) {
            Some(lodging) if lodging.waiting.len() < KNOCKS_WAITING_MAX => lodging.waiting.push(knock),
            _ => refuse(knock.wanted, Undelivered::Full.into()),
        }
    }

    /// A supervisor that is dead without having been closed: counted, so that one that dies at once is not reopened
    /// for ever.
    fn note_death(&mut self, key: TenantKey) {
        let now_unix_ms = self.clock.now_unix_ms();
        let deaths = self.deaths.entry(key).or_default();
        if restart(deaths, now_unix_ms) == RestartVerdict::Quarantine
            && let Some(tenant) = self.directory.tenant_mut(key)
        {
            tenant.quarantine = Some("its supervisor died too often".to_owned());
        }
        tracing::error!(tenant = %key, "the supervisor has died; its rooms are built anew on this knock");
    }

    /// Opens what may serve and is not open, closes what may not.
    pub(super) fn settle(&mut self, key: TenantKey, ctx: &mut Context<Self>) {
        let may_serve = self.directory.tenant(key).is_some_and(Tenant::may_serve);
        match (may_serve, self.lodgings.contains_key(&key)) {
            (true, false) => self.open(key, Vec::new(), ctx),
            (false, true) => drop(self.close(key, ctx)),
            (true, true) | (false, false) => {}
        }
    }

    /// Starts opening a tenant that has no lodging.
    pub(super) fn open(&mut self, key: TenantKey, waiting: Vec<Waiting>, ctx: &mut Context<Self>) {
        let passed = match self.directory.tenant(key) {
            _ if self.leaving.is_some() => Err(Rejection::lost()),
            None => Err(Rejection::lost()),
            Some(tenant) => serving(tenant).and_then(|()| {
                tenant.policy.clone().map(|policy| (tenant.name.clone(), policy)).ok_or_else(Rejection::lost)
            }),
        };
        let (name, policy) = match passed {
            Ok(passed) => passed,
            Err(rejection) => return refuse_all(waiting, &rejection),
        };
        let generation = self.directory.next_generation(key).unwrap_or_default();
        self.lodgings.insert(key, Lodging { generation, stage: Stage::Opening, waiting, told: Vec::new() });
        let (housing, openings, opened_with) =
            (Arc::clone(&self.housing), Arc::clone(&self.openings), Arc::clone(&policy));
        let opening = async move {
            let _permit = openings.acquire_owned().await.map_err(|_closed| Rejection::lost())?;
            let work = move || housing.open(key, &name, Generation(generation), policy);
            bailiwick_kernel::residue::spawn_blocking(work).await.unwrap_or_else(|_panicked| Err(panicked()))
        };
        ctx.spawn(opening.into_actor(self).map(move |outcome, act, ctx| act.opened(key, opened_with, outcome, ctx)));
    }

    fn opened(
        &mut self,
        key: TenantKey,
        policy: Arc<PolicySnapshot>,
        outcome: Outcome<Doors>,
        ctx: &mut Context<Self>,
    ) {
        let doors = match outcome {
            Ok(doors) => doors,
            Err(rejection) => return self.opening_failed(key, &rejection, ctx),
        };
        let may_serve = self.directory.tenant(key).is_some_and(Tenant::may_serve);
        let in_force = self.directory.tenant(key).and_then(|tenant| tenant.policy.clone());
        let Some(lodging) = self.lodgings.get_mut(&key) else { return };
        if !may_serve || !lodging.told.is_empty() || self.leaving.is_some() {
            lodging.stage = Stage::Open(Arc::new(doors));
            drop(self.close(key, ctx));
            return;
        }
        match in_force {
            Some(newer) if !newer.is_same_as(&policy) => self.catch_up(key, newer, doors, ctx),
            _ => {
                let generation = Generation(lodging.generation);
                let within = within(key, lodging.generation, ctx);
                for waiting in std::mem::take(&mut lodging.waiting) {
                    grant(waiting.wanted, waiting.admission, &within, &doors);
                }
                lodging.stage = Stage::Open(Arc::new(doors));
                tracing::info!(tenant = %key, generation = generation.0, policy = policy.version, "open");
            }
        }
    }

    /// A policy came into force while the rooms were being opened with the one before: nobody is let in until they
    /// have adopted it.
    fn catch_up(&mut self, key: TenantKey, newer: Arc<PolicySnapshot>, doors: Doors, ctx: &mut Context<Self>) {
        let generation = self.lodgings.get(&key).map_or(0, |lodging| lodging.generation);
        let (reply, awaited) = ReplySlot::pair();
        let commit = Commit {
            tenant: key,
            generation: Generation(generation),
            policy: Arc::clone(&newer),
            to: Some(doors.adopt.clone()),
            reply,
        };
        let sent =
            offer(&self.rooms.policy_service, commit).map_err(|(_commit, undelivered)| Rejection::from(undelivered));
        let adopting = async move {
            sent?;
            awaited.outcome().await
        };
        ctx.spawn(adopting.into_actor(self).map(move |outcome, act, ctx| match outcome {
            Ok(_version) => act.opened(key, newer, Ok(doors), ctx),
            Err(rejection) => {
                if let Some(lodging) = act.lodgings.get_mut(&key) {
                    lodging.stage = Stage::Open(Arc::new(doors));
                }
                act.quarantine(key, &rejection.detail, ctx);
            }
        }));
    }

    fn opening_failed(&mut self, key: TenantKey, rejection: &Rejection, ctx: &mut Context<Self>) {
        tracing::error!(tenant = %key, problem = %rejection, "the tenant could not be opened");
        if rejection.code == Code::TenantSealed {
            self.note_sealed(key, rejection.detail.clone(), ctx);
        }
        // what is damaged stays damaged: not tried again on every knock, but when an operator resumes it
        if rejection.code == Code::Internal
            && let Some(tenant) = self.directory.tenant_mut(key)
        {
            tenant.quarantine = Some(rejection.detail.clone());
        }
        let refusal =
            self.directory.tenant(key).and_then(|tenant| serving(tenant).err()).unwrap_or_else(|| rejection.clone());
        if let Some(lodging) = self.lodgings.get_mut(&key) {
            refuse_all(std::mem::take(&mut lodging.waiting), &refusal);
        }
        self.vacated(key, Ok(()), ctx);
    }

    /// Closes a tenant's rooms by a verdict of the house; an operator's resume lifts it.
    pub(super) fn quarantine(&mut self, key: TenantKey, reason: &str, ctx: &mut Context<Self>) {
        tracing::error!(tenant = %key, reason, "quarantined");
        if let Some(tenant) = self.directory.tenant_mut(key) {
            tenant.quarantine = Some(reason.to_owned());
        }
        drop(self.close(key, ctx));
    }

    /// Closes a tenant's rooms; the awaited value comes when they have ended. Who waits for them to open is refused,
    /// unless the tenant may serve again by then.
    pub(super) fn close(&mut self, key: TenantKey, ctx: &mut Context<Self>) -> Awaited<()> {
        let (slot, awaited) = ReplySlot::pair();
        let refusal = self.directory.tenant(key).and_then(|tenant| serving(tenant).err());
        let Some(lodging) = self.lodgings.get_mut(&key) else {
            slot.answer(Ok(()));
            return awaited;
        };
        if let Some(refusal) = refusal {
            refuse_all(std::mem::take(&mut lodging.waiting), &refusal);
        }
        lodging.told.push(slot);
        if matches!(lodging.stage, Stage::Open(_))
            && let Stage::Open(doors) = std::mem::replace(&mut lodging.stage, Stage::Closing)
        {
            let ending = end(doors);
            ctx.spawn(ending.into_actor(self).map(move |outcome, act, ctx| act.vacated(key, outcome, ctx)));
        }
        awaited
    }

    fn vacated(&mut self, key: TenantKey, outcome: Outcome<()>, ctx: &mut Context<Self>) {
        let Some(lodging) = self.lodgings.remove(&key) else { return };
        if let Err(rejection) = &outcome {
            tracing::error!(tenant = %key, problem = %rejection, "closing");
        }
        for slot in lodging.told {
            slot.answer(outcome.clone());
        }
        if !lodging.waiting.is_empty() {
            self.open(key, lodging.waiting, ctx);
        }
        self.leave_when_empty();
    }

    /// What every open tenant is to enforce.
    pub(super) fn enforcing(&self) -> Vec<Enforcing> {
        let of = |tenant: &Tenant| {
            let lodging = self.lodgings.get(&tenant.key)?;
            let Stage::Open(doors) = &lodging.stage else { return None };
            Some(Enforcing {
                tenant: tenant.key,
                generation: Generation(lodging.generation),
                expected: tenant.policy.clone()?,
                committed: tenant.committed.clone(),
                policy: doors.policy.clone(),
                answers: doors.audit.clone(),
            })
        };
        self.directory.tenants().filter_map(of).collect()
    }

    /// The folder of a tenant is there or not: noted, and what follows.
    pub(super) fn note_folder(&mut self, key: TenantKey, folder: Folder, ctx: &mut Context<Self>) {
        if let Some(tenant) = self.directory.tenant_mut(key) {
            tenant.folder = folder;
        }
        self.settle(key, ctx);
    }
}

fn refuse_all(waiting: Vec<Waiting>, rejection: &Rejection) {
    for knock in waiting {
        refuse(knock.wanted, rejection.clone());
    }
}

fn panicked() -> Rejection {
    Rejection::new(Code::Internal, "opening the tenant: the opening itself failed; resume it once the cause is found")
}

/// Tells the supervisor to end and waits for it. A supervisor that is dead already has ended.
async fn end(doors: Arc<Doors>) -> Outcome<()> {
    let (reply, awaited) = ReplySlot::pair();
    let ended = async {
        if doors.close.send(Close { reply }).await.is_ok() {
            let _ended = awaited.outcome().await;
        }
    };
    timeout(Duration::from_millis(CLOSE_MS), ended).await.map_err(|_late| {
        Rejection::new(
            Code::Internal,
            format!("closing the tenant: it serves nothing new, but its rooms did not end within {CLOSE_MS} ms"),
        )
    })
}
