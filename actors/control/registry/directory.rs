//! The directory: everybody who exists, as a fold over the control journal plus what `tenants/` says now. Pure state:
//! the shell applies entries once they are durable. The one place that mints tenant keys.
use super::entry::{Entry, KeyRecord, Standing};
use super::releases::{Release, Releases};
use crate::compliance::WEEKS_KEPT_MAX;
use crate::compliance::report::WeekScore;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::REVOKED_KEYS_LISTED_MAX;
use bailiwick_policy::commit::Committed;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::schema::Status;
use bailiwick_tenant::slo::rules::Frozen;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// The reserved id of the control plane's own journal; no tenant may carry it.
pub const CONTROL_ID: Uuid = Uuid::from_bytes(*b"bailiwickcontrol");

/// The key the control plane's own journal is kept under.
#[must_use]
pub fn control_key() -> TenantKey {
    mint(CONTROL_ID)
}

/// The key that was written as these 32 hexadecimal digits, such as a folder of a backup is named by.
#[must_use]
pub(crate) fn key_of_hex(hex: &str) -> Option<TenantKey> {
    Uuid::try_parse(hex).ok().map(mint)
}

#[expect(clippy::disallowed_methods, reason = "the directory is the one place that mints tenant keys")]
fn mint(id: Uuid) -> TenantKey {
    TenantKey::mint(id)
}

/// Policies listed of a tenant; older ones are in the journal alone.
const COMMITS_LISTED_MAX: usize = 64;

/// A policy that came into force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct CommitView {
    /// The version answers are stamped with.
    pub version: String,
    /// The version of every policy file.
    pub files: BTreeMap<String, String>,
    /// Who signed what changed.
    pub signed_by: BTreeSet<String>,
    /// RFC 3339.
    pub committed_at: String,
}

/// The last decision about a tenant's standing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The standing.
    pub standing: Standing,
    /// Why.
    pub reason: Option<String>,
    /// What `tenant.yaml` said when it was taken.
    pub file_status: Status,
}

/// What the tenant's folder gives now.
#[derive(Clone, Debug, Default)]
pub enum Folder {
    /// Not looked at yet.
    #[default]
    Unread,
    /// The version in force is what the files say.
    Sound,
    /// The newest files are not in force, for this reason; the version before them stays.
    Refused(String),
    /// The newest files are not in force while releases are frozen; the version before them stays.
    Frozen(String),
    /// The newest files do not allow the tenant's data to be where this node is, for this reason: it does not serve here.
    Elsewhere(String),
    /// The folder is gone.
    Gone,
}

/// One tenant.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its opaque key.
    pub key: TenantKey,
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// When it was registered.
    pub registered_unix_ms: u64,
    /// The last decision about its standing; `tenant.yaml` decides where there is none.
    pub decision: Option<Decision>,
    /// The policies that came into force, as far as the next change is held against them; `None` before the first.
    pub committed: Option<Arc<Committed>>,
    /// The last policies that came into force, newest last.
    pub commits: VecDeque<CommitView>,
    /// Its releases: which came through, which is on its way.
    pub releases: Releases,
    /// Its weekly compliance reports, oldest first.
    pub weeks: VecDeque<WeekScore>,
    /// Since when nothing new is released, where that is so.
    pub frozen: Option<Frozen>,
    /// The policy in force; `None` until its files compile once.
    pub policy: Option<Arc<PolicySnapshot>>,
    /// What its folder gives.
    pub folder: Folder,
    /// Why it was closed by the house; lifted by resuming it, or by a restart.
    pub quarantine: Option<String>,
    /// Why the key of its own that wraps its keys is not to be had, where it is not.
    pub sealed: Option<String>,
    /// True from the moment its destruction was decided.
    pub destroying: bool,
    /// Generation of its rooms; never used twice.
    pub generation: u64,
}

/// Everybody who exists.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    tenants: BTreeMap<TenantKey, Tenant>,
    by_name: HashMap<String, TenantKey>,
    destroyed: BTreeSet<Uuid>,
    keys: HashMap<String, KeyRecord>,
    strays: BTreeMap<String, String>,
    generations: u64,
}

impl Directory {
    /// An empty directory whose generations start above those of every earlier start of the node.
    #[must_use]
    pub fn starting_at(generations: u64) -> Self {
        Self { generations, ..Self::default() }
    }

    /// Generations count up from here; called once the journal's epoch is known.
    pub fn count_generations_from(&mut self, generations: u64) {
        self.generations = generations;
    }

    /// Folds one durable entry in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::TenantRegistered { id, name, at_unix_ms } => self.register(*id, name, *at_unix_ms),
            // what is sealed now is asked of who holds the key, and stands here for whoever reads it later
            Entry::TenantChanged { .. }
            | Entry::TenantKeyMade { .. }
            | Entry::TenantSealed { .. }
            | Entry::TenantUnsealed { .. } => {}
            Entry::StandingChanged { id, standing, reason, file_status, .. } => {
                let decision = Decision { standing: *standing, reason: reason.clone(), file_status: *file_status };
                if let Some(tenant) = self.tenants.get_mut(&mint(*id)) {
                    tenant.decision = Some(decision);
                }
            }
            Entry::KeyIssued(record) => {
                self.keys.insert(record.key_id.clone(), record.clone());
            }
            Entry::KeyRevoked { key_id, at_unix_ms, .. } => self.revoke(key_id, *at_unix_ms),
            Entry::DestructionBegun { id, .. } => {
                if let Some(tenant) = self.tenants.get_mut(&mint(*id)) {
                    tenant.destroying = true;
                }
                self.keys.retain(|_, record| record.tenant != Some(*id));
            }
            Entry::DestructionDone { id, .. } => {
                if let Some(tenant) = self.tenants.remove(&mint(*id)) {
                    self.by_name.remove(&tenant.name);
                }
                self.destroyed.insert(*id);
            }
            Entry::PolicyCommitted { id, version, committed, signed_by, at_unix_ms } => {
                let Some(tenant) = self.tenants.get_mut(&mint(*id)) else { return };
                tenant.committed = Some(Arc::new(committed.clone()));
                if tenant.commits.len() >= COMMITS_LISTED_MAX {
                    tenant.commits.pop_front();
                }
                tenant.commits.push_back(CommitView {
                    version: version.clone(),
                    files: committed.files.iter().map(|(file, found)| (file.clone(), found.version.clone())).collect(),
                    signed_by: signed_by.clone(),
                    committed_at: rfc3339(*at_unix_ms),
                });
            }
            Entry::ReleaseCommitted { id, release, version, is_staged, rehearsal, at_unix_ms } => {
                let Some(tenant) = self.tenants.get_mut(&mint(*id)) else { return };
                let release = Release {
                    release: release.clone(),
                    version: version.clone(),
                    committed_at: rfc3339(*at_unix_ms),
                    rehearsal: *rehearsal,
                };
                tenant.releases.committed(release, *is_staged);
            }
            Entry::RolloutEnded { id, release, reached_everybody, .. } => {
                let Some(tenant) = self.tenants.get_mut(&mint(*id)) else { return };
                tenant.releases.ended(release, *reached_everybody);
            }
            Entry::ComplianceReported { id, week, sha256, score, at_unix_ms } => {
                let Some(tenant) = self.tenants.get_mut(&mint(*id)) else { return };
                if tenant.weeks.len() >= WEEKS_KEPT_MAX {
                    tenant.weeks.pop_front();
                }
                tenant.weeks.push_back(WeekScore {
                    week: week.clone(),
                    reported_at: rfc3339(*at_unix_ms),
                    sha256: sha256.clone(),
                    score: *score,
                });
            }
            Entry::ReleasesStand { id, frozen, .. } => {
                if let Some(tenant) = self.tenants.get_mut(&mint(*id)) {
                    tenant.frozen = *frozen;
                }
            }
        }
    }

    fn register(&mut self, id: Uuid, name: &str, at_unix_ms: u64) {
        let key = mint(id);
        let tenant = Tenant {
            key,
            id,
            name: name.to_owned(),
            registered_unix_ms: at_unix_ms,
            decision: None,
            committed: None,
            commits: VecDeque::new(),
            releases: Releases::default(),
            weeks: VecDeque::new(),
            frozen: None,
            policy: None,
            folder: Folder::Unread,
            quarantine: None,
            sealed: None,
            destroying: false,
            generation: 0,
        };
        self.by_name.insert(name.to_owned(), key);
        self.strays.remove(name);
        self.tenants.insert(key, tenant);
    }

    fn revoke(&mut self, key_id: &str, at_unix_ms: u64) {
        let Some(record) = self.keys.get_mut(key_id) else { return };
        record.revoked_unix_ms = Some(at_unix_ms);
        let owner = record.tenant;
        let mut revoked: Vec<_> = self
            .keys
            .values()
            .filter(|record| record.tenant == owner)
            .filter_map(|record| record.revoked_unix_ms.map(|at| (at, record.key_id.clone())))
            .collect();
        revoked.sort();
        let excess = revoked.len().saturating_sub(REVOKED_KEYS_LISTED_MAX);
        for (_, forgotten) in revoked.into_iter().take(excess) {
            self.keys.remove(&forgotten);
        }
    }

    /// One tenant.
    #[must_use]
    pub fn tenant(&self, key: TenantKey) -> Option<&Tenant> {
        self.tenants.get(&key)
    }

    /// One tenant, to note what is not journaled: its folder, policy, quarantine.
    pub fn tenant_mut(&mut self, key: TenantKey) -> Option<&mut Tenant> {
        self.tenants.get_mut(&key)
    }

    /// Finds a tenant by name or uuid.
    #[must_use]
    pub fn find(&self, name_or_id: &str) -> Option<&Tenant> {
        let by_name = self.by_name.get(name_or_id).copied();
        let key = by_name.or_else(|| Uuid::parse_str(name_or_id).ok().map(mint))?;
        self.tenants.get(&key)
    }

    /// Finds a tenant by name alone: a folder's name is no id.
    #[must_use]
    pub fn find_name(&self, name: &str) -> Option<&Tenant> {
        self.by_name.get(name).and_then(|key| self.tenants.get(key))
    }

    /// Finds a tenant by uuid.
    #[must_use]
    pub fn find_id(&self, id: Uuid) -> Option<&Tenant> {
        self.tenants.get(&mint(id))
    }

    /// Every tenant, in key order.
    pub fn tenants(&self) -> impl Iterator<Item = &Tenant> {
        self.tenants.values()
    }

    /// True where an id was destroyed: it is never used again.
    #[must_use]
    pub fn was_destroyed(&self, id: Uuid) -> bool {
        self.destroyed.contains(&id)
    }

    /// A key by its public id.
    #[must_use]
    pub fn key(&self, key_id: &str) -> Option<&KeyRecord> {
        self.keys.get(key_id)
    }

    /// The keys of one tenant (`None`: of the platform operator), oldest first.
    #[must_use]
    pub fn keys_of(&self, owner: Option<Uuid>) -> Vec<&KeyRecord> {
        let mut keys: Vec<_> = self.keys.values().filter(|record| record.tenant == owner).collect();
        keys.sort_by(|one, other| (one.created_unix_ms, &one.key_id).cmp(&(other.created_unix_ms, &other.key_id)));
        keys
    }

    /// Gives a tenant its next generation. `None` where there is no such tenant.
    pub fn next_generation(&mut self, key: TenantKey) -> Option<u64> {
        let tenant = self.tenants.get_mut(&key)?;
        self.generations = self.generations.saturating_add(1);
        tenant.generation = self.generations;
        Some(self.generations)
    }

    /// Folders that belong to no registered tenant because they never compiled, with the reason.
    #[must_use]
    pub fn strays(&self) -> &BTreeMap<String, String> {
        &self.strays
    }

    /// Notes such a folder, or forgets it.
    pub fn note_stray(&mut self, name: &str, problem: Option<String>) {
        match problem {
            Some(problem) => self.strays.insert(name.to_owned(), problem),
            None => self.strays.remove(name),
        };
    }

    /// Takes over what is not journaled from the directory this one replaces after a replay.
    pub fn carry_over(&mut self, earlier: Self) {
        self.generations = self.generations.max(earlier.generations);
        self.strays = earlier.strays;
        for (key, was) in earlier.tenants {
            if let Some(tenant) = self.tenants.get_mut(&key) {
                tenant.policy = was.policy;
                tenant.folder = was.folder;
                tenant.quarantine = was.quarantine;
                tenant.sealed = was.sealed;
                tenant.generation = was.generation;
            }
        }
    }
}

impl Tenant {
    /// Where it stands: the last decision, unless its `tenant.yaml` has said something else since.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let said = self.policy.as_ref().map(|policy| policy.tenant.status);
        match (&self.decision, said) {
            (Some(decision), _) if decision.standing == Standing::Deleted => Standing::Deleted,
            (Some(decision), Some(said)) if said != decision.file_status => from_file(said),
            (Some(decision), _) => decision.standing,
            (None, Some(said)) => from_file(said),
            (None, None) => Standing::Active,
        }
    }

    /// True where its rooms may be open.
    #[must_use]
    pub fn may_serve(&self) -> bool {
        self.standing() == Standing::Active
            && self.policy.is_some()
            && self.quarantine.is_none()
            && self.sealed.is_none()
            && !self.destroying
            && !matches!(self.folder, Folder::Gone | Folder::Elsewhere(_))
    }
}

fn from_file(status: Status) -> Standing {
    match status {
        Status::Active => Standing::Active,
        Status::Suspended => Standing::Suspended,
        Status::Archived => Standing::Archived,
    }
}
