//! Backups: points in time of a node that is being served, kept in a folder elsewhere, and put back onto an empty one.
//!
//! A point is made of one part a tenant, each of which holds what came since the part before it. Of each journal it is one
//! moment: its records up to an end, and every blob they point to. Nothing of a tenant is copied where its regions forbid it.
//!
//! A tenant's keys stand once in a target, in a file that is overwritten when the tenant is destroyed; so no part undoes a
//! destruction. What a copy of the target elsewhere still has is kept from returning by the erasure ledger, which is
//! applied to everything that is put back before anybody is served.
mod destroying;
mod errors;
mod evidence;
mod known;
mod making;
mod pieces;
mod pruning;
mod restoring;
mod rules;
mod target;
#[cfg(test)]
mod tests;
pub mod views;

pub use errors::BackupError;
pub use evidence::{Evidence, Shown};
pub use restoring::{Restore, Restored};

use crate::gitops::folder::Folders;
use crate::kms::KeyService;
use crate::registry::directory::control_key;
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::erasures::{self, Event, Ledger};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_kernel::shelf::Vault;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::retention::Rules;
use bailiwick_policy::schema::Sovereignty;
use bailiwick_policy::sovereignty::{Flow, Region};
use known::KnownTargets;
use making::{Making, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use target::Target;
use views::{PointView, PruneView};

/// The operator's key, which is kept with the control plane.
const OPERATOR_KEY: &str = "operator.key";

/// A tenant with the cipher its parts are sealed under.
struct TenantKeysOf {
    tenant: TenantKey,
    cipher: Cipher,
}

/// A tenant as the registry knows it.
#[derive(Clone, Debug)]
pub struct Backed {
    /// Its key.
    pub tenant: TenantKey,
    /// Its name.
    pub name: String,
    /// Its rules of retention; nothing where its files do not compile.
    pub rules: Option<Rules>,
    /// Why it may not be copied here, where its regions forbid it.
    pub refused: Option<String>,
}

/// Makes and prunes backups of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backups {
    data: PathBuf,
    vault: Vault,
    keys: KeyService,
    folders: Folders,
    ledger: Arc<Ledger>,
    clock: SharedClock,
    known: KnownTargets,
}

impl Backups {
    /// Backups of a data folder. The erasure ledger is kept beside every known target from here on. Blocking.
    ///
    /// # Errors
    /// [`BackupError`] where the list of targets cannot be read.
    pub fn open(
        data: &Path,
        vault: Vault,
        keys: KeyService,
        folders: Folders,
        ledger: Arc<Ledger>,
        clock: SharedClock,
    ) -> Result<Self, BackupError> {
        let known = KnownTargets::of(data);
        ledger.keep_copies(known.list()?.into_keys().map(|target| target.join(erasures::FILE)).collect());
        Ok(Self { data: data.to_path_buf(), vault, keys, folders, ledger, clock, known })
    }

    /// The erasure ledger.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Makes a point in a target, and lets go what nothing keeps there any more. Blocking, for as long as it copies.
    ///
    /// # Errors
    /// [`BackupError`]; the points before stay what they are.
    pub fn make(&self, to: &Path, tenants: &[Backed]) -> Result<PointView, BackupError> {
        let target = Target::open_or_make(to, self.keys.backup_cipher()?)?;
        target.keep_secret(&self.data)?;
        let numbers = target.points()?;
        let newest = numbers.last().copied().unwrap_or_default();
        if let Some(made) = self.known.list()?.get(to).filter(|made| made.saturating_sub(1) > newest) {
            let detail = format!(
                "backing up to {}: point {} was made there and its newest is {newest}; it is not what it was, name another folder",
                to.display(),
                made.saturating_sub(1)
            );
            return Err(BackupError::Refused(detail));
        }
        self.known.note(to, newest.saturating_add(1))?;
        self.ledger.keep_copies(self.known.list()?.into_keys().map(|target| target.join(erasures::FILE)).collect());
        let allowed = tenants.iter().filter(|tenant| tenant.refused.is_none());
        let subjects: Vec<Subject> = std::iter::once(Subject { tenant: control_key(), name: None })
            .chain(allowed.map(|tenant| Subject { tenant: tenant.tenant, name: Some(tenant.name.clone()) }))
            .collect();
        let making = Making {
            target: &target,
            store: self.vault.store(),
            keys: &self.keys,
            folders: &self.folders,
            of_node: self.of_node(),
            now_unix_ms: self.clock.now_unix_ms(),
        };
        let mut view = making.point(&subjects, self.ledger.head())?;
        view.pruned = self.pruned(&target, tenants)?.removed;
        view.pruned.extend(tenants.iter().filter_map(|tenant| {
            tenant.refused.as_ref().map(|reason| format!("{} is not copied: {reason}", tenant.name))
        }));
        self.known.note(to, view.point.saturating_add(1))?;
        Ok(view)
    }

    /// Lets go what nothing keeps any more in a target. Blocking.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn prune(&self, from: &Path, tenants: &[Backed]) -> Result<PruneView, BackupError> {
        self.pruned(&Target::open(from, self.keys.backup_cipher()?)?, tenants)
    }

    fn pruned(&self, target: &Target, tenants: &[Backed]) -> Result<PruneView, BackupError> {
        let rules: BTreeMap<String, Rules> =
            tenants.iter().filter_map(|tenant| Some((tenant.tenant.to_hex(), tenant.rules.clone()?))).collect();
        let lines = self.ledger.lines()?;
        let destroyed: BTreeSet<String> =
            lines.into_iter().filter(|line| line.event == Event::TenantDestroyed).map(|line| line.tenant).collect();
        pruning::prune(target, &rules, &destroyed, control_key(), self.clock.now_unix_ms())
    }

    fn of_node(&self) -> FileTexts {
        let operator = std::fs::read_to_string(self.data.join(OPERATOR_KEY));
        operator.ok().map(|key| (OPERATOR_KEY.to_owned(), key)).into_iter().collect()
    }

    /// Writes down that everything of a tenant is to be destroyed; before anything of it is. Blocking.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn note_destruction(&self, tenant: TenantKey) -> Result<(), BackupError> {
        Ok(self.ledger.note(tenant, vec![Event::TenantDestroyed], self.clock.now_unix_ms())?)
    }

    /// Destroys a tenant's keys and parts in every known target. Gives those that could not be reached: the ledger keeps
    /// what is there from returning, and the next backup to them destroys it. Blocking.
    ///
    /// # Errors
    /// [`BackupError`] where the list of targets cannot be read.
    pub fn destroy(&self, tenant: TenantKey) -> Result<Vec<PathBuf>, BackupError> {
        let mut unreached = Vec::new();
        for target in self.known.list()?.into_keys() {
            if let Err(error) = target::destroy(&target, &tenant.to_hex()) {
                tracing::error!(%tenant, target = %target.display(), %error, "the tenant's backups there are not destroyed yet");
                unreached.push(target);
            }
        }
        Ok(unreached)
    }
}

/// Why a tenant of these regions may not be copied on this node.
#[must_use]
pub fn refusal(sovereignty: &Sovereignty, node: &Region) -> Option<String> {
    sovereignty.clear(Flow::Backup, node.as_str()).err()
}

impl From<BackupError> for Rejection {
    fn from(error: BackupError) -> Self {
        let code = match &error {
            BackupError::Refused(_) => Code::Conflict,
            BackupError::Io { .. } => Code::InvalidRequest,
            _ => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}
