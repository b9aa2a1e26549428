//! The shell: one writer of the control journal, many readers of the directory. Knocks are judged on what is durable
//! and never wait for a change; changes wait for one another.
use super::changes::Change;
use super::credentials::ShownKey;
use super::directory::{Directory, Tenant, control_key};
use super::freshness::Writes;
use super::handles::{Fleet, Governed};
use super::housing::Housing;
use super::journal::Reopen;
use super::lobby::{Grounds, KnownTenants, Lobby, Lodgings};
use super::lodging::{Stage, Waiting, within};
use super::messages::{CloseAll, FleetRequest, GovernRequest, Knock, Quarantined, ReadEnforcing, RolloutOver, Verdict};
use super::minting::{grant_fleet, grant_governing, refuse, right_of};
use super::rules::{Admission, Place, judge, judge_token, no_such_tenant};
use super::{credentials, views};
use crate::backup::Backups;
use crate::compliance::messages::{ForgetKept, MakeReport, ReadKept};
use crate::cost::messages::{CostSource, ReadCosts};
use crate::drift::messages::ReadDrift;
use crate::gitops::folder::Folders;
use crate::gitops::messages::FoldersSeen;
use crate::gitops::signer::PlatformSigner;
use crate::observability::messages::{ReadTree, Supervised};
use crate::policy_service::messages::{Commit, Examine, ForgetReleases, ReadRelease};
use crate::slo::messages::{Notify, ReadServices};
use actix::prelude::*;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::limits::OPENINGS_AT_ONCE;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_kernel::transparency::checkpoint::HeadSigner;
use bailiwick_policy::access::Right;
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::supervisor::messages::RoomView;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The control rooms the registry sends to.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// Brings policies into force.
    pub policy_service: Recipient<Commit>,
    /// Says which policies may come into force.
    pub examine: Recipient<Examine>,
    /// Gives the texts of releases.
    pub release: Recipient<ReadRelease>,
    /// Forgets them.
    pub forget: Recipient<ForgetReleases>,
    /// Shows the live tree.
    pub observability: Recipient<ReadTree>,
    /// Shows what the fleet cost.
    pub cost: Recipient<ReadCosts>,
    /// Draws the map of drift.
    pub drift: Recipient<ReadDrift>,
    /// Makes compliance reports.
    pub report: Recipient<MakeReport>,
    /// Gives weekly ones.
    pub kept: Recipient<ReadKept>,
    /// Forgets them.
    pub forget_kept: Recipient<ForgetKept>,
    /// Shows how the fleet's service levels stand.
    pub services: Recipient<ReadServices>,
    /// Tells who is to know of them.
    pub notify: Recipient<Notify>,
}

/// The room.
pub struct Registry {
    pub(super) directory: KnownTenants,
    pub(super) journal: Journal,
    pub(super) reopen: Reopen,
    pub(super) clock: SharedClock,
    pub(super) housing: Arc<dyn Housing>,
    pub(super) folders: Folders,
    pub(super) signer: PlatformSigner,
    pub(super) node: Region,
    pub(super) backups: Backups,
    pub(super) heads: HeadSigner,
    /// What the registry itself wrote there.
    pub(super) writes: Writes,
    pub(super) rooms: Rooms,
    pub(super) openings: Arc<Semaphore>,
    pub(super) lodgings: Lodgings,
    pub(super) lobby: Lobby,
    pub(super) deaths: HashMap<TenantKey, Vec<u64>>,
    pub(super) changes: VecDeque<Change>,
    /// A change is being prepared or written.
    pub(super) busy: bool,
    /// The journal is lost to this incarnation: nobody is let in, and no change is taken.
    pub(super) sealed: bool,
    pub(super) commits: u64,
    pub(super) committed: HashMap<TenantKey, u64>,
    pub(super) leaving: Option<Vec<ReplySlot<()>>>,
}

/// What the registry is made of.
pub struct Belongings {
    /// The directory as replayed.
    pub directory: Directory,
    /// The control journal, acquired.
    pub journal: Journal,
    /// How both are had again after an append whose outcome is unknown.
    pub reopen: Reopen,
    /// Time.
    pub clock: SharedClock,
    /// Opens tenants.
    pub housing: Arc<dyn Housing>,
    /// The tenants folder.
    pub folders: Folders,
    /// Signs the policies this house writes.
    pub signer: PlatformSigner,
    /// Where this node is, and everything it keeps.
    pub node: Region,
    /// Its backups, and the erasure ledger.
    pub backups: Backups,
    /// Signs heads of the control journal.
    pub heads: HeadSigner,
    /// The rooms it sends to.
    pub rooms: Rooms,
}

impl Registry {
    /// A registry in which no tenant is open yet; what it grants again and again is kept in the lobby.
    #[must_use]
    pub(super) fn new(parts: Belongings, lobby: Lobby) -> Self {
        Self {
            directory: Grounds::new(parts.directory, lobby.clone()),
            journal: parts.journal,
            reopen: parts.reopen,
            clock: parts.clock,
            housing: parts.housing,
            folders: parts.folders,
            signer: parts.signer,
            node: parts.node,
            backups: parts.backups,
            heads: parts.heads,
            writes: Writes::default(),
            rooms: parts.rooms,
            openings: Arc::new(Semaphore::new(OPENINGS_AT_ONCE)),
            lodgings: Grounds::new(HashMap::new(), lobby.clone()),
            lobby,
            deaths: HashMap::new(),
            changes: VecDeque::new(),
            busy: false,
            sealed: false,
            commits: 0,
            committed: HashMap::new(),
            leaving: None,
        }
    }

    pub(super) fn leave_when_empty(&mut self) {
        if self.lodgings.is_empty()
            && let Some(slots) = &mut self.leaving
        {
            for slot in slots.drain(..) {
                slot.answer(Ok(()));
            }
        }
    }

    /// The same knock is granted in the lobby from now on, until anything it stands on changes.
    fn remember(
        &self,
        key: TenantKey,
        shown: ShownKey,
        named: Option<String>,
        right: Right,
        admission: &Admission,
        ctx: &Context<Self>,
    ) {
        if let Some(lodging) = self.lodgings.get(&key)
            && let Stage::Open(doors) = &lodging.stage
        {
            let within = within(key, lodging.generation, ctx);
            self.lobby.keep(shown, named, right, admission.clone(), within, doors);
        }
    }

    fn tree(&self) -> (Vec<Supervised>, Vec<RoomView>) {
        let mut supervisors = Vec::new();
        let mut rooms: Vec<_> =
            CONTROL_ROOMS.iter().map(|room| room_view(format!("{}/{room}", control_key()), room, "serving")).collect();
        for tenant in self.directory.tenants() {
            let lodging = self.lodgings.get(&tenant.key);
            match lodging.map(|lodging| &lodging.stage) {
                Some(Stage::Open(doors)) => {
                    supervisors.push(Supervised {
                        tenant: tenant.key,
                        generation: tenant.generation,
                        inspect: doors.inspect.clone(),
                    });
                }
                stage => {
                    let state = match stage {
                        Some(Stage::Opening) => "rebuilding",
                        _ if tenant.quarantine.is_some() => "quarantined",
                        _ => "closed",
                    };
                    rooms.push(room_view(
                        format!("{}/{}/supervisor", tenant.key, tenant.generation),
                        "supervisor",
                        state,
                    ));
                }
            }
        }
        (supervisors, rooms)
    }
}

impl Registry {
    /// Every tenant, with where its spend is read or the state in which it cannot be.
    fn cost_sources(&self) -> Vec<CostSource> {
        let spend = |tenant: &Tenant| match self.lodgings.get(&tenant.key).map(|lodging| &lodging.stage) {
            Some(Stage::Open(doors)) => Ok(doors.spend.clone()),
            Some(Stage::Opening) => Err("opening".to_owned()),
            Some(Stage::Closing) => Err("closing".to_owned()),
            None => Err(views::tenant_view(tenant).state),
        };
        self.directory.tenants().map(|tenant| CostSource { name: tenant.name.clone(), spend: spend(tenant) }).collect()
    }
}

/// The rooms of the control plane, as the live tree shows them.
const CONTROL_ROOMS: [&str; 13] = [
    "registry",
    "identity",
    "gitops",
    "policy_service",
    "policy_watchdog",
    "key_watch",
    "publishing",
    "observability",
    "cost",
    "compliance",
    "drift",
    "slo",
    "schedule",
];

fn room_view(address: String, kind: &str, state: &str) -> RoomView {
    RoomView {
        address,
        kind: kind.to_owned(),
        state: state.to_owned(),
        mailbox_depth: 0,
        restarts: 0,
        last_fault: None,
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let unfinished: Vec<_> =
            self.directory.tenants().filter(|tenant| tenant.destroying).map(|tenant| tenant.key).collect();
        for key in unfinished {
            self.finish_destruction(key, None, ctx);
        }
    }
}

impl Handler<Knock> for Registry {
    type Result = ();

    fn handle(&mut self, Knock { claim, token, wanted }: Knock, ctx: &mut Self::Context) {
        if self.sealed {
            return refuse(wanted, Rejection::lost());
        }
        let (right, named, now_unix_ms) = (right_of(&wanted), claim.tenant.as_deref(), self.clock.now_unix_ms());
        let (judged, shown) = match token {
            Some(token) => {
                let judged = judge_token(&self.directory, &token, named, right, now_unix_ms);
                if judged.as_ref().is_err_and(|rejection| rejection.code == Code::Unauthenticated) {
                    let (tenant, key) = (token.tenant(), token.key_id());
                    tracing::info!(tenant, key, "a true token is refused: no such tenant, or its user is locked");
                }
                (judged, Some(token.into_mark()))
            }
            None => {
                let shown = claim.credential.as_ref().and_then(credentials::read);
                (judge(&self.directory, shown.as_ref(), named, right, now_unix_ms), shown)
            }
        };
        let admission = match judged {
            Ok(admission) => admission,
            Err(rejection) => {
                metrics::counter!("bailiwick_knocks_refused_total", "code" => rejection.code.as_str()).increment(1);
                return refuse(wanted, rejection);
            }
        };
        match admission.into {
            Place::Fleet => grant_fleet(wanted, admission, ctx.address().recipient()),
            Place::Tenant(key) if right == Right::Govern => {
                let generation = self.directory.tenant(key).map_or(0, |tenant| tenant.generation);
                grant_governing(wanted, admission, key, Generation(generation), ctx.address().recipient());
            }
            Place::Tenant(key) => {
                if let Some(shown) = shown {
                    self.remember(key, shown, claim.tenant, right, &admission, ctx);
                }
                self.enter(key, Waiting { admission, wanted }, ctx);
            }
        }
    }
}

impl Handler<Governed> for Registry {
    type Result = ();

    fn handle(&mut self, Governed { tenant, by, request }: Governed, ctx: &mut Self::Context) {
        match request {
            GovernRequest::List(slot) => {
                let now_unix_ms = self.clock.now_unix_ms();
                let keys = self
                    .directory
                    .tenant(tenant)
                    .map(|tenant| self.directory.keys_of(Some(tenant.id)))
                    .unwrap_or_default();
                slot.answer(Ok(keys.into_iter().filter_map(|record| views::key_view(record, now_unix_ms)).collect()));
            }
            GovernRequest::Commits(slot) => {
                let commits = self.directory.tenant(tenant).map(|tenant| tenant.commits.iter().cloned().collect());
                slot.answer(commits.ok_or_else(no_such_tenant));
            }
            GovernRequest::ApproveSpending(for_ms, slot) => self.approve_spending(tenant, for_ms, by, slot),
            GovernRequest::SteerRollout(event, slot) => self.steer_rollout(tenant, event, by, slot),
            GovernRequest::DecideApproval(id, decision, slot) => self.decide_approval(tenant, id, decision, by, slot),
            GovernRequest::RestoreTrust(document_id, slot) => self.restore_trust(tenant, document_id, by, slot),
            GovernRequest::SteerWeight(order, slot) => self.steer_weight(tenant, order, by, slot),
            GovernRequest::ImportLineage(step, slot) => self.import_lineage(tenant, step, by, slot),
            GovernRequest::Releases(slot) => {
                let releases = self.directory.tenant(tenant).map(|tenant| tenant.releases.kept().cloned().collect());
                slot.answer(releases.ok_or_else(no_such_tenant));
            }
            GovernRequest::OverrideFreeze(wish, slot) => self.override_freeze(tenant, wish, by, slot),
            GovernRequest::ReadRelease(version, slot) => self.read_release(tenant, &version, slot),
            GovernRequest::Encryption(slot) => self.show_encryption(tenant, slot, ctx),
            GovernRequest::RotateEncryption(slot) => self.rotate_on_demand(tenant, by, slot, ctx),
            request => self.enqueue(Change::Key { tenant, by, request }, ctx),
        }
    }
}

impl Handler<Fleet> for Registry {
    type Result = ();

    fn handle(&mut self, Fleet { by, request }: Fleet, ctx: &mut Self::Context) {
        match request {
            FleetRequest::Get(name, slot) => {
                let found = self.directory.find(&name).map(views::tenant_view);
                let stray = || self.directory.strays().get(&name).map(|problem| views::stray_view(&name, problem));
                slot.answer(
                    found
                        .or_else(stray)
                        .ok_or_else(|| Rejection::new(Code::NotFound, "there is no tenant of that name or id")),
                );
            }
            FleetRequest::List(filters, slot) => slot.answer(Ok(views::list(&self.directory, &filters))),
            FleetRequest::Policies(slot) => slot.answer(Ok(views::policies(&self.directory))),
            FleetRequest::Actors(reply) => {
                let (supervisors, rooms) = self.tree();
                if let Err((read, undelivered)) =
                    offer(&self.rooms.observability, ReadTree { supervisors, rooms, reply })
                {
                    read.reply.answer(Err(undelivered.into()));
                }
            }
            FleetRequest::Costs(query, reply) => {
                let tenants = self.cost_sources();
                if let Err((read, undelivered)) = offer(&self.rooms.cost, ReadCosts { tenants, query, reply }) {
                    read.reply.answer(Err(undelivered.into()));
                }
            }
            FleetRequest::Drift(reply) => self.draw_drift(reply),
            FleetRequest::LastWeeks(slot) => slot.answer(Ok(self.last_weeks())),
            FleetRequest::Services(reply) => self.read_services(reply),
            FleetRequest::Reconcile(name, charged, slot) => self.reconcile(&name, charged, by, slot),
            FleetRequest::BackUp(to, slot) => self.back_up(to, slot),
            FleetRequest::PruneBackups(from, slot) => self.prune_backups(from, slot),
            FleetRequest::Certificate(id, slot) => self.certificate(&id, slot),
            FleetRequest::Audit(wish) => self.audit(wish),
            FleetRequest::Files(name, slot) => self.read_files(&name, slot),
            request => self.enqueue(Change::Fleet { by, request }, ctx),
        }
    }
}

impl Handler<FoldersSeen> for Registry {
    type Result = ();

    fn handle(&mut self, seen: FoldersSeen, ctx: &mut Self::Context) {
        self.enqueue(Change::Folders(seen), ctx);
    }
}

impl Handler<ReadEnforcing> for Registry {
    type Result = ();

    fn handle(&mut self, ReadEnforcing { reply }: ReadEnforcing, _ctx: &mut Self::Context) {
        reply.answer(Ok(self.enforcing()));
    }
}

impl Handler<Quarantined> for Registry {
    type Result = ();

    fn handle(&mut self, Quarantined { tenant }: Quarantined, ctx: &mut Self::Context) {
        if self.lodgings.contains_key(&tenant) {
            self.quarantine(tenant, "its rooms died too often", ctx);
        }
    }
}

impl Handler<RolloutOver> for Registry {
    type Result = ();

    fn handle(&mut self, over: RolloutOver, ctx: &mut Self::Context) {
        self.enqueue(Change::Rollout(over), ctx);
    }
}

impl Handler<Verdict> for Registry {
    type Result = ();

    fn handle(&mut self, verdict: Verdict, ctx: &mut Self::Context) {
        if self.lodgings.get(&verdict.tenant).is_some_and(|lodging| lodging.generation == verdict.generation.0) {
            self.quarantine(verdict.tenant, &verdict.reason, ctx);
        }
    }
}

impl Handler<CloseAll> for Registry {
    type Result = ();

    fn handle(&mut self, CloseAll { reply }: CloseAll, ctx: &mut Self::Context) {
        self.leaving.get_or_insert_default().push(reply);
        for change in std::mem::take(&mut self.changes) {
            change.refuse(Rejection::lost());
        }
        let open: Vec<_> = self.lodgings.keys().copied().collect();
        for key in open {
            drop(self.close(key, ctx));
        }
        self.leave_when_empty();
    }
}
