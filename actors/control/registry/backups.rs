//! Backups of the whole node, for its operator: made beside everything else, one at a time in a folder.
use super::actor::Registry;
use super::handles::FleetHandle;
use super::messages::FleetRequest;
use crate::backup::views::{PointView, PruneView};
use crate::backup::{Backed, BackupError, Backups, refusal};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_tenant::proofs::certificates::ErasureCertificate;
use std::path::PathBuf;
use uuid::Uuid;

impl Registry {
    /// Every tenant that is not being destroyed.
    fn backed(&self) -> Vec<Backed> {
        let tenants = self.directory.tenants().filter(|tenant| !tenant.destroying);
        let backed = tenants.map(|tenant| Backed {
            tenant: tenant.key,
            name: tenant.name.clone(),
            rules: tenant.policy.as_ref().map(|policy| policy.retention()),
            // without a policy nothing says where its bytes may be
            refused: tenant.policy.as_ref().map_or_else(
                || Some("its files do not compile".to_owned()),
                |policy| refusal(&policy.sovereignty, &self.node),
            ),
        });
        backed.collect()
    }

    /// Runs blocking work about backups beside the registry's own.
    fn beside<T: Send + 'static>(
        &self,
        slot: ReplySlot<T>,
        work: impl FnOnce(&Backups, &[Backed]) -> Result<T, BackupError> + Send + 'static,
    ) {
        let (backups, backed) = (self.backups.clone(), self.backed());
        let working = bailiwick_kernel::residue::spawn_blocking(move || work(&backups, &backed));
        actix::spawn(async move {
            let outcome = working.await.unwrap_or_else(|_panicked| {
                Err(BackupError::Refused("backing up: it ended in the middle; try again".to_owned()))
            });
            slot.answer(outcome.map_err(Rejection::from));
        });
    }

    /// Makes a point.
    pub(super) fn back_up(&self, to: PathBuf, slot: ReplySlot<PointView>) {
        self.beside(slot, move |backups, backed| backups.make(&to, backed));
    }

    /// Lets old copies go.
    pub(super) fn prune_backups(&self, from: PathBuf, slot: ReplySlot<PruneView>) {
        self.beside(slot, move |backups, backed| backups.prune(&from, backed));
    }

    /// The certificate of a tenant that was destroyed here.
    pub(super) fn certificate(&self, id: &str, slot: ReplySlot<ErasureCertificate>) {
        let unknown = || Rejection::new(Code::NotFound, "no tenant of that id was destroyed here");
        match Uuid::parse_str(id).ok().filter(|id| self.directory.was_destroyed(*id)) {
            None => slot.answer(Err(unknown())),
            Some(id) => {
                let key = id.simple().to_string();
                self.beside(slot, move |backups, _backed| backups.certificate(&key));
            }
        }
    }
}

impl FleetHandle {
    /// Makes a point of a backup in a folder of this node's machine.
    ///
    /// # Errors
    /// `invalid_request` where the folder cannot be written, `conflict` where it holds something else.
    pub async fn back_up(&self, to: PathBuf) -> Outcome<PointView> {
        self.fleet(|slot| FleetRequest::BackUp(to, slot)).await
    }

    /// Lets copies go that nothing keeps.
    ///
    /// # Errors
    /// As [`FleetHandle::back_up`].
    pub async fn prune_backups(&self, from: PathBuf) -> Outcome<PruneView> {
        self.fleet(|slot| FleetRequest::PruneBackups(from, slot)).await
    }

    /// The certificate of a tenant's destruction, by its id.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn certificate(&self, id: String) -> Outcome<ErasureCertificate> {
        self.fleet(|slot| FleetRequest::Certificate(id, slot)).await
    }
}
